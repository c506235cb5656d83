//! Changing one's password in the console. Every earlier session ends, and one of the console begins.

use super::begin::NewConsoleSession;
use super::{ConsoleUser, Guesser, SignedIn};
use crate::auth::Auth;
use crate::auth::change_password::{ChangePasswordError, replace_password};
use crate::domain::client::Client;

/// Replaces the password of whoever is signed in, who must give the current one.
pub async fn change_password(
    auth: &Auth,
    user: &ConsoleUser,
    current: &str,
    new: &str,
    client: &Client,
) -> Result<SignedIn, ChangePasswordError> {
    let session = NewConsoleSession::draw(auth, client, auth.now())?;
    let begun = session.clone();
    let begin = move |connection: &mut _, user: &crate::domain::user::User| {
        begun.begin(connection, user.id, user.security_version).map(|()| begun.id())
    };
    let guesser = Some(Guesser::of(user));
    let user = replace_password(auth, &user.principal.user, guesser, (current, new), client, begin).await?;
    Ok(session.signed_in(user))
}
