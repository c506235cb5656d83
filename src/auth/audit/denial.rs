//! Noting that somebody asked for what they may not do, or named a client that they are not.
//!
//! It costs them nothing, so that it is noted once a minute for each session or client: the table must not be theirs to
//! fill.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;

use crate::auth::Auth;
use crate::auth::authenticate::Principal;
use crate::auth::clients::ClientPrincipal;
use crate::domain::audit::{By, Kind};
use crate::domain::client::Client;
use crate::domain::registered_client::ClientId;
use crate::domain::session::SessionId;
use crate::domain::timestamp::Timestamp;
use crate::store::audit_events::{self, Event};

const EVERY: Duration = Duration::from_mins(1);
/// How many are remembered; when there are more, all are forgotten.
const REMEMBERED: usize = 10_000;

/// What is noted once a minute.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Noted {
    /// A session was denied something.
    Session(SessionId),
    /// A client was denied something.
    Client(ClientId),
    /// Somebody was not this client.
    Authentication(ClientId),
}

/// What was noted last, and when.
#[derive(Debug, Default)]
pub(in crate::auth) struct Denials(Mutex<HashMap<Noted, Timestamp>>);

impl Denials {
    fn is_due(&self, what: Noted, now: Timestamp) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.get(&what).is_some_and(|at| *at <= now && now.since(*at) < EVERY) {
            return false;
        }
        if noted.len() >= REMEMBERED {
            noted.clear();
        }
        noted.insert(what, now);
        true
    }
}

/// Records that a user was denied something, unless a denial of the same session was recorded within the last minute.
/// `asked` is what our own route table calls it.
pub async fn note_denied(auth: &Auth, principal: &Principal, asked: &str, client: &Client) {
    let (user, session, detail) = (principal.user.id, principal.session_id, json!({ "asked": asked }));
    note(auth, Noted::Session(session), client, move |now, client| {
        let event = Event::new(Kind::AccessDenied, now, By::User(user), client);
        event.about(user).of_session(session).with(detail.clone())
    })
    .await;
}

/// The same of a registered client.
pub async fn note_client_denied(auth: &Auth, principal: &ClientPrincipal, asked: &str, client: &Client) {
    let (id, detail) = (principal.client.id, json!({ "asked": asked }));
    note(auth, Noted::Client(id), client, move |now, client| {
        Event::new(Kind::AccessDenied, now, By::Client(id), client).with(detail.clone())
    })
    .await;
}

/// Records that somebody could not prove to be this client. Of ids that nobody has there is no event: they cost nothing.
pub(in crate::auth) async fn note_failed_authentication(auth: &Auth, id: ClientId, client: &Client) {
    note(auth, Noted::Authentication(id), client, move |now, client| {
        Event::new(Kind::ClientAuthenticationFailed, now, By::Anonymous, client).of_client(id)
    })
    .await;
}

/// Whoever is refused something is refused it whether or not that can be written down.
async fn note(
    auth: &Auth,
    what: Noted,
    client: &Client,
    event: impl for<'a> Fn(Timestamp, &'a Client) -> Event<'a> + Send + 'static,
) {
    let (now, client) = (auth.now(), client.clone());
    if !auth.denials.is_due(what, now) {
        return;
    }
    let noted = auth.write(move |connection| audit_events::record(connection, &event(now, &client)));
    if let Err(failure) = noted.await {
        tracing::warn!(%failure, "a denial could not be recorded");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_noted_once_a_minute_and_no_number_of_them_fills_the_memory() {
        let denials = Denials::default();
        let session = |number: u128| Noted::Session(SessionId::from_bytes(number.to_be_bytes()));
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
