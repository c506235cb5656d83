//! Making an account whose user chooses the password, with the one-time link that an admin hands on.

use super::failure::Failure;
use super::register::{NewAccount, RegisterError, register};
use super::reset_link::{ResetLinkError, make_reset_token};
use super::{Actor, Auth, entropy};
use crate::domain::client::Client;
use crate::domain::role::Role;
use crate::domain::user::User;
use crate::secret::Secret;

/// Makes an account with a password that nobody knows, and the token of a link with which its user chooses another.
pub async fn register_with_link(
    auth: &Auth,
    actor: Actor<'_>,
    username: &str,
    email: &str,
    role: Role,
    client: &Client,
) -> Result<(User, Secret<String>), RegisterError> {
    let unknown = entropy::secret_text().map_err(Failure::from)?;
    let user = register(auth, actor, NewAccount { username, email, password: unknown.expose(), role }, client).await?;
    match make_reset_token(auth, actor, user.id, client).await {
        Ok(token) => Ok((user, token)),
        Err(ResetLinkError::Failed(failure)) => Err(failure.into()),
        Err(ResetLinkError::NotFound | ResetLinkError::Disabled | ResetLinkError::NoLongerPermitted) => {
            Err(RegisterError::NoLongerPermitted)
        }
    }
}
