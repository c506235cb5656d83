//! Noting that somebody who is signed in asked for what only admins may do.
//!
//! It costs them nothing, so that it is noted once a minute for each session: the table must not be theirs to fill.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;

use crate::auth::Auth;
use crate::auth::authenticate::Principal;
use crate::domain::audit::{By, Kind};
use crate::domain::client::Client;
use crate::domain::session::SessionId;
use crate::domain::timestamp::Timestamp;
use crate::store::audit_events::{self, Event};

const EVERY: Duration = Duration::from_mins(1);
/// How many sessions are remembered; when there are more, all are forgotten.
const REMEMBERED: usize = 10_000;

/// Which sessions were noted last, and when.
#[derive(Debug, Default)]
pub(in crate::auth) struct Denials(Mutex<HashMap<SessionId, Timestamp>>);

impl Denials {
    fn is_due(&self, session: SessionId, now: Timestamp) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.get(&session).is_some_and(|at| now.since(*at) < EVERY) {
            return false;
        }
        if noted.len() >= REMEMBERED {
            noted.clear();
        }
        noted.insert(session, now);
        true
    }
}

/// Records the denial, unless one of the same session was recorded within the last minute. `asked` is what our own route
/// table calls it. Whoever is denied something is denied it whether or not that can be written down.
pub async fn note_denied(auth: &Auth, principal: &Principal, asked: &str, client: &Client) {
    let now = auth.now();
    if !auth.denials.is_due(principal.session_id, now) {
        return;
    }
    let (user, session, client, asked) = (principal.user.id, principal.session_id, client.clone(), asked.to_owned());
    let noted = auth.write(move |connection| {
        let event = Event::new(Kind::AccessDenied, now, By::User(user), &client).about(user).of_session(session);
        audit_events::record(connection, &event.with(json!({ "asked": asked })))
    });
    if let Err(failure) = noted.await {
        tracing::warn!(%failure, user = %user, "a denial could not be recorded");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_noted_once_a_minute_and_no_number_of_them_fills_the_memory() {
        let denials = Denials::default();
        let session = |number: u128| SessionId::from_bytes(number.to_be_bytes());
        let now = Timestamp::from_micros(1_795_536_000_000_000);
        assert!(denials.is_due(session(1), now));
        assert!(!denials.is_due(session(1), now.after(EVERY - Duration::from_micros(1))));
        assert!(denials.is_due(session(2), now));
        assert!(denials.is_due(session(1), now.after(EVERY)));
        for number in 0..30_000 {
            denials.is_due(session(number), now);
        }
        assert!(denials.0.lock().unwrap().len() <= REMEMBERED);
    }
}
