//! Ending all sessions that a filter matches, or counting them first.

use serde_json::{Map, Value, json};

use super::access_tokens::CLOCK_TOLERANCE;
use super::failure::Failure;
use super::session_search::{StateFilter, count_sessions};
use super::{Actor, Auth};
use crate::domain::client::Client;
use crate::domain::session::EndReason;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::UserId;
use crate::store::audit_events::{self, By, Event, Kind};
use crate::store::sessions;
pub use crate::store::sessions::BulkFilter;

/// How many sessions are ended in one transaction: few enough for others not to wait for long.
const BATCH: i64 = 500;

/// What was found and done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Revoked {
    /// How many live sessions matched when this began.
    pub matched: u64,
    /// How many were ended now: fewer when some ended otherwise meanwhile, more when some had just expired.
    pub revoked: u64,
    /// From when on the tokens of all of them are refused by APIs, too, that verify them without asking.
    pub effective_by: Timestamp,
}

/// Counts the live sessions that the filter matches, and ends them unless it is a dry run. What has been ended stays
/// so when this is interrupted; the same call ends the rest.
pub async fn revoke_sessions(
    auth: &Auth,
    actor: Actor<'_>,
    filter: BulkFilter,
    dry_run: bool,
    client: &Client,
) -> Result<Revoked, Failure> {
    let now = auth.now();
    let described = describe(&filter);
    // Another instance's clock may be ahead: what began there before this must not be left out. Nor must what seems to
    // have expired here alone.
    let filter = BulkFilter { begun_by: Some(now.after(CLOCK_TOLERANCE)), live_at: None, ..filter };
    let matched = {
        let filter = BulkFilter { live_at: Some(now), ..filter.clone() };
        auth.read(move |connection| sessions::count(connection, &filter)).await?
    };
    let revoked = if dry_run {
        0
    } else {
        // Put down with the first batch: no session ends without it, and however many batches there are, it is one.
        let note =
            Note { by: actor.by(), about: filter.user_id, detail: json!({ "filter": described, "matched": matched }) };
        end_all_matching(auth, &filter, EndReason::EndedByAdmin, Some(note), client).await?
    };
    Ok(Revoked {
        matched: u64::try_from(matched).unwrap_or_default(),
        revoked,
        effective_by: auth.access_tokens_end_by(),
    })
}

/// Ends the live sessions that the filter matches, those that a list of them shows; says how many. Not
/// all of them are counted first, where they are many.
pub async fn end_matching(auth: &Auth, actor: Actor<'_>, filter: BulkFilter, client: &Client) -> Result<u64, Failure> {
    let now = auth.now();
    // What seems to have expired here alone is ended, too, and so is what another instance's clock has begun.
    let (live_at, begun_by) = (now.before(CLOCK_TOLERANCE), now.after(CLOCK_TOLERANCE));
    let tally = count_sessions(auth, filter.clone(), StateFilter::Live).await?;
    let matched = if tally.is_exact { "matched" } else { "matchedAtLeast" };
    let detail = json!({ "filter": describe(&filter), matched: tally.found });
    let note = Note { by: actor.by(), about: filter.user_id, detail };
    let filter = BulkFilter { begun_by: Some(begun_by), live_at: Some(live_at), ..filter };
    end_all_matching(auth, &filter, EndReason::EndedByAdmin, Some(note), client).await
}

/// What is put down of a bulk revocation.
pub(super) struct Note {
    by: By,
    about: Option<UserId>,
    detail: Value,
}

/// The parts of a filter that are given, as the API names them.
fn describe(filter: &BulkFilter) -> Value {
    let mut parts = Map::new();
    let mut part = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            parts.insert(name.to_owned(), value);
        }
    };
    let time = |time: Option<Timestamp>| time.map(|time| json!(time.to_string()));
    part("userId", filter.user_id.map(|user| json!(user.get())));
    part("role", filter.role.map(|role| json!(role.as_str())));
    part("ip", filter.network.map(|network| json!(network.to_string())));
    let shortened = |text: &String| json!(text.chars().take(Client::USER_AGENT_MAX).collect::<String>());
    part("userAgent", filter.user_agent.as_ref().map(shortened));
    part("kind", filter.kind.map(|kind| json!(kind.as_str())));
    part("lastUsedBefore", time(filter.last_used_before));
    part("lastUsedSince", time(filter.last_used_since));
    part("createdBefore", time(filter.created_before));
    part("createdSince", time(filter.created_since));
    Value::Object(parts)
}

/// Ends the sessions that the filter matches, a batch at a time; says how many.
pub(super) async fn end_all_matching(
    auth: &Auth,
    filter: &BulkFilter,
    reason: EndReason,
    note: Option<Note>,
    client: &Client,
) -> Result<u64, Failure> {
    let now = auth.now();
    let by = note.as_ref().and_then(|note| note.by.user_id());
    let mut note = note;
    let mut revoked = 0;
    let mut after = None;
    loop {
        let (filter, client, note) = (filter.clone(), client.clone(), note.take());
        let (ended, more) = auth
            .write_end(move |connection| {
                if let Some(Note { by, about, detail }) = &note {
                    let event = Event::new(Kind::SessionsRevoked, now, *by, &client).about(*about);
                    audit_events::record(connection, &event.with(detail.clone()))?;
                }
                let end = sessions::End { at: now, reason, by, client: &client };
                sessions::end_batch(connection, &filter, after, BATCH, &end)
            })
            .await?;
        revoked += u64::try_from(ended).unwrap_or_default();
        match more {
            Some(last) => after = Some(last),
            None => return Ok(revoked),
        }
    }
}
