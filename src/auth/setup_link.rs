//! The one-time link with which the first admin is made, for as long as there is none.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::Auth;
use super::entropy::{self, NoEntropy};
use super::failure::Failure;
use crate::domain::client::Client;
use crate::keyring;
use crate::secret::Secret;
use crate::store::audit_events::{self, By, Event, Kind};
use crate::store::dialect::{self, Lock};
use crate::store::{setup_links, users};

/// How long a link can be used.
pub const LIFE: Duration = Duration::from_mins(30);

/// Makes a new token for the set-up link, 256 bits, and makes every earlier one invalid; `None` when there is an admin
/// who may sign in. Only the token's SHA-256 is stored.
pub async fn make_setup_token(auth: &Auth) -> Result<Option<Secret<String>>, Failure> {
    let (token, digest) = draw_token()?;
    let now = auth.now();
    let made = auth
        .write(move |connection| {
            dialect::lock(connection, Lock::Setup)?;
            if users::has_admin(connection)? {
                setup_links::clear(connection)?;
                return Ok(false);
            }
            setup_links::replace(connection, &digest, now, now.after(LIFE))?;
            let nobody = Client::default();
            audit_events::record(connection, &Event::new(Kind::SetupLinkCreated, now, By::Operator, &nobody))?;
            Ok(true)
        })
        .await?;
    Ok(made.then_some(token))
}

/// A new token of a one-time link, and what is stored of it.
pub(super) fn draw_token() -> Result<(Secret<String>, [u8; 32]), NoEntropy> {
    let token = entropy::secret_text()?;
    let digest = digest_of(token.expose()).ok_or(NoEntropy)?;
    Ok((token, digest))
}

/// What is stored of the token in a link; `None` when it is no token at all.
pub(super) fn digest_of(token: &str) -> Option<[u8; 32]> {
    let token = Zeroizing::new(URL_SAFE_NO_PAD.decode(token).ok()?);
    (token.len() == 32).then(|| keyring::sha256(&token))
}
