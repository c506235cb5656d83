//! Taking over accounts from elsewhere, with the bcrypt hashes of their passwords.

use super::passwords::is_importable;
use super::register::{self, RegisterError, Unacceptable};
use super::{Actor, Auth};
use crate::domain::audit::Kind;
use crate::domain::client::Client;
use crate::domain::email::Email;
use crate::domain::role::Role;
use crate::domain::user::User;
use crate::domain::username::Username;
use crate::secret::Secret;
use crate::store::users::NewUser;

/// An account from elsewhere.
#[derive(Clone, Copy)]
pub struct ImportedAccount<'a> {
    /// The username.
    pub username: &'a str,
    /// The e-mail address.
    pub email: &'a str,
    /// A `$2a$`, `$2b$` or `$2y$` hash. It is replaced at the first sign-in.
    pub password_hash: &'a str,
    /// The role.
    pub role: Role,
}

/// Why an account was not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The hash is not one that can be verified here.
    #[error("the password hash is not a bcrypt hash ($2a$, $2b$ or $2y$, cost 4 to 16)")]
    UnknownHash,
    /// As with an account that is made here.
    #[error(transparent)]
    Refused(#[from] RegisterError),
}

/// Makes an account whose password keeps the hash it had.
pub async fn import_user(auth: &Auth, account: ImportedAccount<'_>) -> Result<User, ImportError> {
    if !is_importable(account.password_hash) {
        return Err(ImportError::UnknownHash);
    }
    match (Username::parse(account.username), Email::parse(account.email)) {
        (Ok(username), Ok(email)) => {
            let password_hash = Secret::new(account.password_hash.to_owned());
            let new = NewUser { username, email, role: account.role, password_hash, created_at: auth.now() };
            Ok(register::insert(auth, Actor::Operator, new, Kind::UserImported, None, &Client::default()).await?)
        }
        (username, email) => Err(ImportError::Refused(RegisterError::Invalid(Unacceptable {
            username: username.err(),
            email: email.err(),
            password: None,
        }))),
    }
}
