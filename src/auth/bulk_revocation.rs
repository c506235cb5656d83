//! Ending all sessions that a filter matches, or counting them first.

use serde_json::{Map, Value, json};

use super::authority::Credentials;
use super::failure::Failure;
use super::session_search::{StateFilter, count_sessions};
use super::{Actor, Auth};
use crate::domain::client::Client;
use crate::domain::session::{EndReason, SessionId};
use crate::domain::timestamp::{CLOCK_TOLERANCE, Timestamp};
use crate::domain::user::UserId;
use crate::store::audit_events::{self, By, Event, Kind};
use crate::store::sessions;
pub use crate::store::sessions::BulkFilter;

/// How many sessions are ended in one transaction: few enough for others not to wait for long.
const BATCH: usize = 500;
/// How many are looked at in one read: few enough for the database not to take it for one that hangs.
const LOOK_AT: i64 = 5_000;

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

/// Why not all of them were ended. Those that were stay so.
#[derive(Debug, thiserror::Error)]
pub enum BulkError {
    /// The actor was signed out or changed meanwhile.
    #[error("whoever wanted this may no longer do it")]
    NoLongerPermitted,
    /// No answer could be found.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Counts the live sessions that the filter matches, and ends them unless it is a dry run. What has been ended stays
/// so when this is interrupted; the same call ends the rest.
pub async fn revoke_sessions(
    auth: &Auth,
    actor: Actor<'_>,
    filter: BulkFilter,
    dry_run: bool,
    client: &Client,
) -> Result<Revoked, BulkError> {
    let now = auth.now();
    let described = describe(&filter);
    // Another instance's clock may be ahead: what began there before this must not be left out. Nor must what seems to
    // have expired here alone.
    let (live_at, begun_by) = (now.before(CLOCK_TOLERANCE), now.after(CLOCK_TOLERANCE));
    let filter = BulkFilter { begun_by: Some(begun_by), live_at: Some(live_at), ..filter };
    let matched = {
        let filter = BulkFilter { live_at: Some(now), ..filter.clone() };
        auth.read(move |connection| sessions::count(connection, &filter)).await?
    };
    let revoked = if dry_run {
        0
    } else {
        let note = Note::new(actor, &filter, described, ("matched", u64::try_from(matched).unwrap_or_default()));
        end_all_matching(auth, &filter, EndReason::EndedByAdmin, Some(note), client)
            .await?
            .ok_or(BulkError::NoLongerPermitted)?
    };
    Ok(Revoked {
        matched: u64::try_from(matched).unwrap_or_default(),
        revoked,
        effective_by: auth.access_tokens_end_by(),
    })
}

/// Ends the live sessions that the filter matches, those that a list of them shows; says how many. Not
/// all of them are counted first, where they are many.
pub async fn end_matching(
    auth: &Auth,
    actor: Actor<'_>,
    filter: BulkFilter,
    client: &Client,
) -> Result<u64, BulkError> {
    let now = auth.now();
    // What seems to have expired here alone is ended, too, and so is what another instance's clock has begun.
    let (live_at, begun_by) = (now.before(CLOCK_TOLERANCE), now.after(CLOCK_TOLERANCE));
    let tally = count_sessions(auth, filter.clone(), StateFilter::Live).await?;
    let matched = if tally.is_exact { "matched" } else { "matchedAtLeast" };
    let note = Note::new(actor, &filter, describe(&filter), (matched, tally.found));
    let filter = BulkFilter { begun_by: Some(begun_by), live_at: Some(live_at), ..filter };
    end_all_matching(auth, &filter, EndReason::EndedByAdmin, Some(note), client)
        .await?
        .ok_or(BulkError::NoLongerPermitted)
}

/// What is put down of a bulk revocation, and what it rests on.
#[derive(Clone)]
pub(super) struct Note {
    by: By,
    credentials: Credentials,
    about: Option<UserId>,
    filter: Value,
    matched: (&'static str, u64),
}

impl Note {
    fn new(actor: Actor<'_>, filter: &BulkFilter, described: Value, matched: (&'static str, u64)) -> Self {
        let (by, credentials) = (actor.by(), actor.credentials());
        Self { by, credentials, about: filter.user_id, filter: described, matched }
    }

    /// How many matched is said at the beginning, how many were ended at the end, where there is one.
    fn detail(&self, is_first: bool, ended: Option<u64>) -> Value {
        let mut parts = Map::from_iter([("filter".to_owned(), self.filter.clone())]);
        let (matched, number) = self.matched;
        parts.extend(is_first.then(|| (matched.to_owned(), json!(number))));
        parts.extend(ended.map(|ended| ("sessionsEnded".to_owned(), json!(ended))));
        Value::Object(parts)
    }
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

/// Ends the sessions that the filter matches, a batch at a time; says how many. `None` when whoever wanted it may no longer
/// do it, which nobody needs a note for.
pub(super) async fn end_all_matching(
    auth: &Auth,
    filter: &BulkFilter,
    reason: EndReason,
    note: Option<Note>,
    client: &Client,
) -> Result<Option<u64>, Failure> {
    let now = auth.now();
    let by = note.as_ref().and_then(|note| note.by.user_id());
    let mut walk = Walk::begin(filter.clone(), note.as_ref().and_then(|note| note.credentials.session_id()));
    let (mut revoked, mut is_first) = (0, true);
    loop {
        let Batch { ids, is_last } = walk.next(auth).await?;
        let (filter, client, note, before) = (filter.clone(), client.clone(), note.clone(), revoked);
        let ended = auth
            .write_end(move |connection| {
                if let Some(note) = &note
                    && !note.credentials.still_hold(connection)?
                {
                    return Ok(None);
                }
                let end = sessions::End { at: now, reason, by, client: &client };
                let ended = u64::try_from(sessions::end_part(connection, &filter, &ids, &end)?).unwrap_or_default();
                // No session ends without the first note, and the last one tells how many did.
                if let Some(note) = note.as_ref().filter(|_| is_first || is_last) {
                    let event = Event::new(Kind::SessionsRevoked, now, note.by, &client).about(note.about);
                    let total = is_last.then_some(before + ended);
                    audit_events::record(connection, &event.with(note.detail(is_first, total)))?;
                }
                Ok(Some(ended))
            })
            .await?;
        let Some(ended) = ended else { return Ok(None) };
        revoked += ended;
        if is_last {
            return Ok(Some(revoked));
        }
        is_first = false;
    }
}

/// A way through the sessions that a filter matches.
struct Walk {
    filter: BulkFilter,
    /// Whose authority this is done on ends with their session: that comes last.
    own: Option<SessionId>,
    own_matches: bool,
    behind: Option<SessionId>,
    is_over: bool,
    found: Vec<SessionId>,
}

struct Batch {
    ids: Vec<SessionId>,
    is_last: bool,
}

impl Walk {
    fn begin(filter: BulkFilter, own: Option<SessionId>) -> Self {
        Self { filter, own, own_matches: false, behind: None, is_over: false, found: Vec::new() }
    }

    async fn next(&mut self, auth: &Auth) -> Result<Batch, Failure> {
        while self.found.len() <= BATCH && !self.is_over {
            let (filter, behind) = (self.filter.clone(), self.behind);
            let part = auth.read(move |connection| sessions::find_part(connection, &filter, behind, LOOK_AT)).await?;
            (self.behind, self.is_over) = (part.more, part.more.is_none());
            self.own_matches |= self.own.is_some_and(|own| part.ids.contains(&own));
            self.found.extend(part.ids.into_iter().filter(|id| Some(*id) != self.own));
            if self.is_over {
                self.found.extend(self.own.filter(|_| self.own_matches));
            }
        }
        let ids = self.found.drain(..self.found.len().min(BATCH)).collect();
        Ok(Batch { ids, is_last: self.is_over && self.found.is_empty() })
    }
}
