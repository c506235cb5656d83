//! Signing in to the console, with the checks of every sign-in.

use serde_json::json;

use super::SignedIn;
use super::begin::NewConsoleSession;
use crate::auth::Auth;
use crate::auth::guessing::Door;
use crate::auth::login::{ATTEMPTS, Checked, LoginError, Name, check, refuse};
use crate::domain::client::Client;
use crate::domain::password::Password;
use crate::domain::role::Role;
use crate::store::audit_events::{self, By, Event, Kind};
use crate::store::connection::AnyConnection;
use crate::store::users;

/// Begins a session of the console for whoever a username or an e-mail address names. Everybody with an account may
/// sign in; what they get to see is decided by their role, at each request.
pub async fn sign_in(auth: &Auth, identifier: &str, password: &str, client: &Client) -> Result<SignedIn, LoginError> {
    let password = Password::from_login(password)?;
    let name = Name::of(identifier);
    let mut account = None;
    for _ in 0..ATTEMPTS {
        let Checked { user, rehashed, attempt } = check(auth, &name, &password, client, Door::Console).await?;
        account = Some(user.id);
        let now = auth.now();
        let (attempt, new) = attempt.done(auth, NewConsoleSession::draw(auth, client, now)).await?;
        let begun = {
            let (new, id, version, client) = (new.clone(), user.id, user.security_version, client.clone());
            let right = attempt.right();
            move |connection: &mut AnyConnection| {
                let unchanged = users::record_login(connection, id, version, rehashed.as_deref(), now)?;
                if unchanged {
                    new.begin(connection, id, version)?;
                    let event = Event::new(Kind::LoginSucceeded, now, By::User(id), &client).about(id);
                    let event = event.of_session(new.id()).with(json!({ "console": true }));
                    audit_events::record(connection, &event)?;
                    right.forgive(connection, now)?;
                }
                Ok(unchanged)
            }
        };
        // On a full disk, too, somebody must be able to end sessions. They are few, and their passwords were right.
        let begun = match user.role {
            Role::Admin => auth.write_end(begun).await,
            Role::User => auth.write_change(begun).await,
        };
        let (attempt, begun) = attempt.done(auth, begun).await?;
        if begun {
            attempt.refund(auth);
            return Ok(new.signed_in(user));
        }
        attempt.give_back(auth).await;
    }
    refuse(auth, Kind::LoginDenied, account, None, client).await
}
