//! Refreshing: a refresh token is spent for its successor and a fresh access token.

use std::time::Duration;

use serde_json::json;

use super::Auth;
use super::ended;
use super::failure::Failure;
use super::pair::Pair;
use super::refresh_tokens::{self, Genuine};
use super::status_lists;
use crate::domain::client::Client;
use crate::domain::rotation::{self, Verdict};
use crate::domain::security_event;
use crate::domain::session::{EndReason, Session};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::User;
use crate::keyring;
use crate::store::QueryResult;
use crate::store::audit_events::{self, By, Event, Kind};
use crate::store::connection::AnyConnection;
use crate::store::error::StoreError;
#[cfg(feature = "failpoints")]
use crate::store::failpoints;
use crate::store::refresh_tokens as history;
use crate::store::sessions::{self, Rotation};

/// Why there is no new pair.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The token is not accepted.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nobody knows whether the token was spent, and without a grace window a second try would be taken for theft.
    #[error("nobody knows whether the token was spent")]
    OutcomeUnknown(#[source] Failure),
    /// No answer could be found.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Why a refresh token is not accepted. Only holders of a token with a genuine tag and nonce learn more than `Invalid`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// It is not, or not verifiably, a token of this server.
    #[error("not a refresh token of this server")]
    Invalid,
    /// Its session has been ended.
    #[error("the session has ended")]
    SessionRevoked,
    /// Its user may not sign in.
    #[error("the account is disabled")]
    AccountDisabled,
    /// Its session was not used in time, or has reached its absolute life.
    #[error("the refresh token has expired")]
    Expired,
    /// It had been replaced; the session was ended because of this.
    #[error("the refresh token was used before")]
    Reused,
    /// The session is refreshed too often; the token can be used again after this time.
    #[error("the session is refreshed too often")]
    TooFrequent {
        /// How long to wait.
        retry_after: Duration,
    },
}

/// Spends a refresh token (RFC 6749 §6, RFC 9700 §4.14.2).
///
/// Within the grace window a repeated call gives the same successor again, which is why a commit of unknown outcome
/// can be retried here; without one, the caller is told that the outcome is unknown.
pub async fn refresh(auth: &Auth, token: &str, client: &Client) -> Result<Pair, RefreshError> {
    let Some(genuine) = refresh_tokens::recognise(&auth.keyring, token) else {
        auth.spend_wrong_token(client)?;
        return Err(Refusal::Invalid.into());
    };
    #[cfg(feature = "failpoints")]
    if failpoints::bug("always_deny") {
        return Err(Refusal::SessionRevoked.into());
    }
    let now = auth.now();
    let outcome = match spend(auth, &genuine, client, now).await {
        Err(failure @ Failure::Store(StoreError::OutcomeUnknown(_))) => {
            if auth.policy.rotation.grace.is_zero() {
                return Err(RefreshError::OutcomeUnknown(failure));
            }
            spend(auth, &genuine, client, now).await
        }
        outcome => outcome,
    };
    let (session, user, token) = match outcome? {
        Outcome::Refused(refusal) => {
            if matches!(refusal, Refusal::SessionRevoked | Refusal::Expired | Refusal::AccountDisabled) {
                ended::log_use_of_ended(genuine.session_id(), client, &refusal.to_string());
            }
            return Err(refusal.into());
        }
        Outcome::Rotated(session, user) => {
            auth.counters.count_refresh();
            tracing::debug!(
                target: "relatch::security",
                event = security_event::SESSION_RENEWED,
                result = "succeeded",
                by = "user",
                user = user.id.get(),
                session = session.id.log_name(),
                source = client.address().map(|address| address.to_string()),
                request_id = client.request_id().map(|id| id.to_string()),
                "security event"
            );
            let token = genuine.successor(&auth.keyring, session.generation);
            (session, user, token)
        }
        Outcome::Repeated(session, user) => {
            let token = genuine.repeated_successor(session.generation);
            (session, user, token)
        }
    };
    // The token is spent. Without a grace window nobody may be told to present it again.
    let after_spending = |failure| {
        if auth.retries_are_harmless() { RefreshError::Failed(failure) } else { RefreshError::OutcomeUnknown(failure) }
    };
    // A change of the user's role has revoked the session's place, or it is older than the status lists.
    let renewed = status_lists::renew(auth, session, user).await.map_err(after_spending)?;
    let (session, user) = renewed.ok_or(Refusal::SessionRevoked)?;
    let place = status_lists::place_of(auth, &session).await.map_err(after_spending)?;
    Pair::issue(auth, user, &session, place, token, now).map_err(after_spending)
}

/// What the transaction came to. A refusal commits, since it may have ended the session.
enum Outcome {
    Rotated(Session, User),
    Repeated(Session, User),
    Refused(Refusal),
}

/// How often a token is presented again that was current both times and yet could not be spent.
const ATTEMPTS: u32 = 3;

/// The conditional update comes first: it alone decides who spends the token. Only when it changes nothing is the
/// session read, to find out why.
async fn spend(auth: &Auth, token: &Genuine<'_>, client: &Client, now: Timestamp) -> Result<Outcome, Failure> {
    let presented = Rotation {
        session_id: token.session_id(),
        generation: token.generation(),
        nonce_digest: token.nonce_digest(),
        rules: auth.policy.rotation,
        client: client.clone(),
        now,
    };
    for _ in 0..ATTEMPTS {
        if let Some((session, user)) = auth.store.rotate(presented.clone()).await.map_err(Failure::Store)? {
            return Ok(Outcome::Rotated(session, user));
        }
        // Most refusals change nothing, and so does a token that can be spent by now.
        let id = presented.session_id;
        let found = auth.read(move |connection| sessions::find_with_user(connection, id)).await?;
        match judge(found.as_ref(), &presented) {
            Judgement::Spend => {}
            Judgement::Refuse(refusal) => return Ok(Outcome::Refused(refusal)),
            Judgement::Repeat | Judgement::End(_) => {
                if let Some(outcome) = settle(auth, presented.clone()).await? {
                    return Ok(outcome);
                }
            }
        }
    }
    // The update and the rule are two writings of one condition; when they differ, nothing may be given out.
    Err(Failure::Store(StoreError::ImpossibleRow {
        table: "sessions",
        row: presented.session_id.log_name(),
        problem: "its current token cannot be spent",
    }))
}

/// What is to be done about a token that could not be spent.
enum Judgement {
    /// It can be spent after all: the session or its user changed between the two.
    Spend,
    Refuse(Refusal),
    Repeat,
    End(EndReason),
}

fn judge(found: Option<&(Session, User)>, presented: &Rotation) -> Judgement {
    let is_its_own = |session: &Session| keyring::equal(&session.nonce_digest, &presented.nonce_digest);
    let Some((session, user)) = found.filter(|(session, _)| is_its_own(session)) else {
        return Judgement::Refuse(Refusal::Invalid);
    };
    let verdict = rotation::judge(session, user, presented.generation, presented.now, &presented.rules);
    #[cfg(feature = "failpoints")]
    let verdict = match verdict {
        Verdict::Reused if failpoints::bug("no_child_check") => Verdict::RepeatSuccessor,
        verdict => verdict,
    };
    match verdict {
        Verdict::Rotate => Judgement::Spend,
        Verdict::RepeatSuccessor => Judgement::Repeat,
        Verdict::SessionRevoked => Judgement::Refuse(Refusal::SessionRevoked),
        Verdict::AccountDisabled => Judgement::Refuse(Refusal::AccountDisabled),
        Verdict::Expired => Judgement::Refuse(Refusal::Expired),
        Verdict::TooFrequent { retry_after } => Judgement::Refuse(Refusal::TooFrequent { retry_after }),
        Verdict::Reused => Judgement::End(EndReason::Reuse),
        Verdict::FromTheFuture => Judgement::End(EndReason::StoreRolledBack),
        Verdict::UsedUp => Judgement::End(EndReason::GenerationsUsedUp),
    }
}

/// Judges again in a transaction that does what the judgement asks for; `None` when the token can be spent after all.
async fn settle(auth: &Auth, presented: Rotation) -> Result<Option<Outcome>, Failure> {
    let settled = auth.store.write_urgent({
        let presented = presented.clone();
        move |connection| {
            let found = sessions::find_with_user(connection, presented.session_id)?;
            let judgement = judge(found.as_ref(), &presented);
            let Some((session, user)) = found else { return Ok((Some(Outcome::Refused(Refusal::Invalid)), false)) };
            let reason = match judgement {
                Judgement::Spend => return Ok((None, false)),
                Judgement::Refuse(refusal) => return Ok((Some(Outcome::Refused(refusal)), false)),
                Judgement::Repeat => {
                    let (generation, client) = (session.generation, &presented.client);
                    history::repeat(connection, session.id, generation, client, presented.now)?;
                    return Ok((Some(Outcome::Repeated(session, user)), false));
                }
                Judgement::End(reason) => reason,
            };
            let ended = end(connection, &session, &presented, reason)?;
            // Somebody who came at the same time may have found it first.
            let refusal = if ended && reason == EndReason::Reuse { Refusal::Reused } else { Refusal::SessionRevoked };
            Ok((Some(Outcome::Refused(refusal)), ended))
        }
    });
    let settled = settled.await.map_err(Failure::Store);
    if !matches!(settled, Ok((_, false))) {
        auth.forget().await;
    }
    settled.map(|(outcome, _)| outcome)
}

/// Which event the end of a session for this reason is, besides the end.
const fn alarm(reason: EndReason) -> Option<Kind> {
    match reason {
        EndReason::Reuse => Some(Kind::ReuseDetected),
        EndReason::StoreRolledBack => Some(Kind::StoreRolledBack),
        _ => None,
    }
}

/// Ends the session, unless that was done before; says which.
fn end(
    connection: &mut AnyConnection,
    session: &Session,
    presented: &Rotation,
    reason: EndReason,
) -> QueryResult<bool> {
    let end = sessions::End { at: presented.now, reason, by: None, client: &presented.client };
    let ended = sessions::end(connection, session.id, &end)?;
    // Whoever ends the session writes the event, so that there is exactly one.
    if let Some(kind) = alarm(reason).filter(|_| ended) {
        let event = Event::new(kind, presented.now, By::Anonymous, &presented.client).about(session.user_id);
        let detail = json!({ "presented": presented.generation.get(), "current": session.generation.get() });
        audit_events::record(connection, &event.of_session(session.id).with(detail))?;
    }
    Ok(ended)
}
