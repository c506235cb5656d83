//! Registered clients: resource servers that ask about tokens, and service accounts that act on their own.
//!
//! A client proves who it is with a secret of 256 bits, of which it has two at most, so that one can take the other's
//! place. Its access tokens are worth something only as long as that secret, the client and what it may do stay.

mod authenticate;
mod look;
mod manage;
mod secrets;
mod token;

pub use authenticate::{AuthenticatedClient, ClientAuthError, ClientPrincipal, authenticate_client};
pub(in crate::auth) use authenticate::{ClientAuthority, recognise};
pub use look::{find_client, list_clients};
pub use manage::{ClientChanges, ManageError, NewClient, create_client, delete_client, update_client};
pub use secrets::{NewSecret, SECRETS_MAX, add_secret, revoke_secret};
pub use token::{ClientGrantError, issue_client_token};

pub use crate::store::clients::WithSecrets;
