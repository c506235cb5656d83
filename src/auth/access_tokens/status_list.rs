//! Status list tokens: what says of access tokens that they were revoked (draft-ietf-oauth-status-list §5.1), signed with
//! the same keys.

use std::time::Duration;

use jsonwebtoken::Header;
use serde::{Deserialize, Serialize};

use super::claims::NumericDate;
use super::keys::KeyError;
use super::{AccessTokens, signer};
use crate::domain::timestamp::Timestamp;

/// The media type of a status list token.
const TYPE: &str = "statuslist+jwt";

/// The claim `status` of an access token: where it is said whether it was revoked (§6.1).
#[derive(Serialize, Deserialize)]
pub(super) struct Status {
    pub(super) status_list: StatusReference,
}

/// A place in a list.
#[derive(Serialize, Deserialize)]
pub(super) struct StatusReference {
    pub(super) idx: u32,
    pub(super) uri: String,
}

/// What a list says.
pub(in crate::auth) struct StatusListToken {
    /// Where the list is, and what access tokens call it.
    pub(in crate::auth) uri: String,
    /// Its bits, one for each token, compressed.
    pub(in crate::auth) lst: String,
    /// How long it may be taken for current.
    pub(in crate::auth) ttl: Duration,
    /// How long it may be taken for true.
    pub(in crate::auth) life: Duration,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    iat: NumericDate,
    exp: NumericDate,
    ttl: u64,
    status_list: StatusList<'a>,
}

#[derive(Serialize)]
struct StatusList<'a> {
    bits: u8,
    lst: &'a str,
}

impl AccessTokens {
    /// Which key signs now.
    pub(in crate::auth) fn current_kid(&self, now: Timestamp) -> Result<String, KeyError> {
        Ok(self.keys().current(now)?.kid().to_owned())
    }

    /// Signs a list; gives the key that signed besides.
    pub(in crate::auth) fn issue_status_list(
        &self,
        list: &StatusListToken,
        now: Timestamp,
    ) -> Result<(String, String), KeyError> {
        let keys = self.keys();
        let key = keys.current(now)?;
        let kid = key.kid().to_owned();
        let header = Header { typ: Some(TYPE.to_owned()), kid: Some(kid.clone()), ..Header::new(key.algorithm()) };
        let claims = Claims {
            iss: &self.policy.issuer,
            sub: &list.uri,
            iat: NumericDate::from_seconds(now.as_seconds()),
            exp: NumericDate::from_seconds(now.after(list.life).as_seconds()),
            ttl: list.ttl.as_secs(),
            status_list: StatusList { bits: 1, lst: &list.lst },
        };
        Ok((signer::sign_with(key, &signer::encode_header(&header)?, &claims)?, kid))
    }
}
