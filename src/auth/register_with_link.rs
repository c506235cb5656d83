//! Making an account whose user chooses the password, with the one-time link that an admin hands on.

use super::failure::Failure;
use super::register::{RegisterError, Unacceptable, insert, permit, refuse_taken};
use super::setup_link::draw_token;
use super::{Actor, Auth, entropy};
use crate::domain::client::Client;
use crate::domain::email::Email;
use crate::domain::password::Password;
use crate::domain::role::Role;
use crate::domain::user::User;
use crate::domain::username::Username;
use crate::secret::Secret;
use crate::store::audit_events::Kind;
use crate::store::users::NewUser;

/// Makes an account with a password that nobody knows, and the token of a link with which its user chooses another, in one
/// transaction: there is no account without a way into it.
pub async fn register_with_link(
    auth: &Auth,
    actor: Actor<'_>,
    username: &str,
    email: &str,
    role: Role,
    client: &Client,
) -> Result<(User, Secret<String>), RegisterError> {
    permit(auth, actor, role)?;
    let (username, email) = match (Username::parse(username), Email::parse(email)) {
        (Ok(username), Ok(email)) => (username, email),
        (username, email) => {
            let (username, email) = (username.err(), email.err());
            return Err(RegisterError::Invalid(Unacceptable { username, email, password: None }));
        }
    };
    let place = auth.passwords.admit(client).map_err(Failure::from)?;
    refuse_taken(auth, &username, &email).await?;
    // Nobody chooses it, so that the rules for passwords that are chosen say nothing about it.
    let unknown = entropy::secret_text().map_err(Failure::from)?;
    let unknown = Password::from_login(unknown.expose())
        .map_err(|error| RegisterError::Invalid(Unacceptable { password: Some(error), ..Unacceptable::default() }))?;
    let password_hash = Secret::new(place.hash(unknown).await.map_err(Failure::from)?);
    let (token, digest) = draw_token().map_err(Failure::from)?;
    let new = NewUser { username, email, role, password_hash, created_at: auth.now() };
    let user = insert(auth, actor, new, Kind::UserCreated, Some(digest), client).await?;
    Ok((user, token))
}
