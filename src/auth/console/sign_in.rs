//! Signing in to the console, with the checks of every sign-in.

use super::SignedIn;
use super::begin::NewConsoleSession;
use crate::auth::Auth;
use crate::auth::login::{ATTEMPTS, LoginError, check, key_of};
use crate::domain::client::Client;
use crate::domain::password::Password;
use crate::store::users;

/// Begins a session of the console for whoever a username or an e-mail address names. Everybody with an account may
/// sign in; what they get to see is decided by their role, at each request.
pub async fn sign_in(auth: &Auth, identifier: &str, password: &str, client: &Client) -> Result<SignedIn, LoginError> {
    let password = Password::from_login(password)?;
    let key = key_of(identifier);
    for _ in 0..ATTEMPTS {
        let (user, rehashed) = check(auth, key.clone(), &password).await?;
        let now = auth.now();
        let new = NewConsoleSession::draw(auth, client, now)?;
        let begun = auth
            .write_change({
                let (new, id, version) = (new.clone(), user.id, user.security_version);
                move |connection| {
                    let unchanged = users::record_login(connection, id, version, rehashed.as_deref(), now)?;
                    if unchanged {
                        new.begin(connection, id, version)?;
                    }
                    Ok(unchanged)
                }
            })
            .await?;
        if begun {
            return Ok(new.signed_in(user));
        }
    }
    Err(LoginError::InvalidCredentials)
}
