//! Access tokens: JWTs with the profile of RFC 9068. This folder alone says jsonwebtoken.
//!
//! The library checks signatures; every claim and header member is checked here, since it looks at none of `typ`,
//! `crit`, a future `iat` or an `iss` that is an array, and reads the machine's clock instead of ours.

mod claims;
#[cfg(any(test, feature = "fuzzing"))]
pub(in crate::auth) mod fuzzing;
mod jwks;
mod keys;
mod signer;
mod status_list;

pub use claims::Audience;
pub use jwks::Jwks;
pub use keys::{KeyError, KeySet, new_stored_key};
pub(in crate::auth) use keys::{SHARED_KEY_ID, stored_key};
pub(in crate::auth) use status_list::StatusListToken;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::Validation;

use super::status_lists::Place;
use crate::domain::registered_client::{ClientId, RegisteredClient, SecretId};
use crate::domain::scope::Scopes;
use crate::domain::session::{Session, SessionId};
use crate::domain::timestamp::{CLOCK_TOLERANCE, Timestamp};
use crate::domain::user::{SecurityVersion, User, UserId};
use crate::secret::Secret;
use claims::{AnyClaims, Claims, ClientClaims, NumericDate, TokenHeader};
use keys::Found;
use status_list::{Status, StatusReference};

/// The client of sign-ins at Relatch itself.
pub const FIRST_PARTY_CLIENT: &str = "relatch";
/// The media type of an access token (RFC 9068 §2.1).
const TYPE: &str = "at+jwt";
/// How much longer than anything we issue a token may be before it is not even read.
const LENGTH_MAX: usize = 8 * 1024;

/// What is written into tokens and demanded of them.
#[derive(Clone, Debug)]
pub struct AccessTokenPolicy {
    /// The `iss` claim.
    pub issuer: String,
    /// The `aud` claim.
    pub audience: String,
    /// How long a token is valid.
    pub life: Duration,
    /// Whether `unique_name` and `email` are in the token.
    pub with_profile: bool,
}

/// An access token as it is handed out.
#[derive(Debug)]
pub struct IssuedAccessToken {
    /// The JWT.
    pub token: Secret<String>,
    /// How long it is valid from now on.
    pub expires_in: Duration,
}

/// What a verified access token says. Whether those whom it names still allow it, the store decides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum VerifiedAccessToken {
    /// A user's.
    User(UserToken),
    /// One that a registered client got for itself.
    Client(ClientToken),
}

/// A user's token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserToken {
    /// The user.
    pub user_id: UserId,
    /// The session.
    pub session_id: SessionId,
    /// The user's security version when it was issued.
    pub security_version: SecurityVersion,
    /// From when on it is accepted.
    pub usable_from: Timestamp,
    /// When it expires.
    pub expires_at: Timestamp,
    /// What is the same for every token.
    pub registered: RegisteredClaims,
}

/// A token that a registered client got for itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientToken {
    /// The client.
    pub client_id: ClientId,
    /// With which secret it got the token.
    pub secret_id: SecretId,
    /// The client's security version when it was issued.
    pub security_version: SecurityVersion,
    /// What it may do.
    pub scopes: Scopes,
    /// What is the same for every token.
    pub registered: RegisteredClaims,
}

/// The claims of RFC 7519 §4.1 that tell about a token itself, for those who ask about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegisteredClaims {
    /// For whom it is.
    pub audience: Audience,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// From when on it holds.
    pub not_before: Timestamp,
    /// When it expires.
    pub expires_at: Timestamp,
    /// Its own id.
    pub jti: String,
}

/// Why an access token is not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AccessTokenError {
    /// Its signature, form or claims are not those of a token of ours.
    #[error("not an access token of this server")]
    Invalid,
    /// It names a key that is not known here, perhaps not yet.
    #[error("the token names an unknown key")]
    UnknownKey,
    /// It was genuine, and its time is over.
    #[error("the access token has expired")]
    Expired,
}

/// Issues and verifies access tokens.
pub struct AccessTokens {
    policy: AccessTokenPolicy,
    keys: RwLock<Arc<KeySet>>,
}

impl AccessTokens {
    /// Works with `keys` until they are replaced.
    pub fn new(policy: AccessTokenPolicy, keys: KeySet) -> Self {
        Self { policy, keys: RwLock::new(Arc::new(keys)) }
    }

    /// How long a token is valid.
    pub fn life(&self) -> Duration {
        self.policy.life
    }

    /// What is written into tokens.
    pub fn policy(&self) -> &AccessTokenPolicy {
        &self.policy
    }

    /// Since when the key that signs now does so; `None` for a configured key.
    pub(in crate::auth) fn current_since(&self, now: Timestamp) -> Option<Timestamp> {
        self.keys().current_since(now)
    }

    /// What verifiers get to know of the keys.
    pub fn jwks(&self, now: Timestamp) -> Result<Arc<Jwks>, KeyError> {
        self.keys().jwks(now, self.policy.life)
    }

    /// Works with `keys` from now on.
    pub fn replace_keys(&self, keys: KeySet) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// The keys that are worked with.
    pub(in crate::auth) fn keys(&self) -> Arc<KeySet> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Issues a token for `session` of `user`, which is looked up at `place`. It never outlives the session.
    pub(in crate::auth) fn issue(
        &self,
        user: &User,
        session: &Session,
        place: Option<Place>,
        jti: uuid::Uuid,
        now: Timestamp,
    ) -> Result<IssuedAccessToken, KeyError> {
        let keys = self.keys();
        let issued_at = now.as_seconds();
        let life = i64::try_from(self.policy.life.as_secs()).unwrap_or(i64::MAX);
        let expires_at = issued_at.saturating_add(life).min(session.expires_at.as_seconds());
        let claims = Claims {
            iss: self.policy.issuer.clone(),
            aud: Audience::one(&self.policy.audience),
            sub: user.id.to_string(),
            iat: NumericDate::from_seconds(issued_at),
            nbf: NumericDate::from_seconds(issued_at - i64::try_from(CLOCK_TOLERANCE.as_secs()).unwrap_or_default()),
            exp: NumericDate::from_seconds(expires_at),
            jti: jti.to_string(),
            sid: session.id.to_string(),
            ver: user.security_version.get(),
            client_id: FIRST_PARTY_CLIENT.to_owned(),
            role: user.role.as_str().to_owned(),
            unique_name: self.policy.with_profile.then(|| user.username.as_str().to_owned()),
            email: self.policy.with_profile.then(|| user.email.as_str().to_owned()),
            status: place
                .map(|Place { index, uri }| Status { status_list: StatusReference { idx: index.place(), uri } }),
        };
        let key = keys.current(now)?;
        let token = signer::sign(key, &claims)?;
        Ok(IssuedAccessToken {
            token: Secret::new(token),
            expires_in: Duration::from_secs(expires_at.saturating_sub(issued_at).max(0).unsigned_abs()),
        })
    }

    /// Issues a token for a registered client itself (RFC 6749 §4.4). It does not outlive the client's secret.
    pub fn issue_for_client(
        &self,
        client: &RegisteredClient,
        scopes: Scopes,
        (secret, secret_expires_at): (SecretId, Option<Timestamp>),
        jti: uuid::Uuid,
        now: Timestamp,
    ) -> Result<IssuedAccessToken, KeyError> {
        let keys = self.keys();
        let issued_at = now.as_seconds();
        let life = i64::try_from(self.policy.life.as_secs()).unwrap_or(i64::MAX);
        let latest = secret_expires_at.map_or(i64::MAX, Timestamp::as_seconds);
        let expires_at = issued_at.saturating_add(life).min(latest);
        let claims = ClientClaims {
            iss: self.policy.issuer.clone(),
            aud: Audience::one(&self.policy.audience),
            sub: client.id.to_string(),
            iat: NumericDate::from_seconds(issued_at),
            nbf: NumericDate::from_seconds(issued_at - i64::try_from(CLOCK_TOLERANCE.as_secs()).unwrap_or_default()),
            exp: NumericDate::from_seconds(expires_at),
            jti: jti.to_string(),
            ver: client.security_version.get(),
            client_id: client.id.to_string(),
            scope: scopes.to_string(),
            secret_id: secret.to_string(),
        };
        let token = signer::sign(keys.current(now)?, &claims)?;
        Ok(IssuedAccessToken {
            token: Secret::new(token),
            expires_in: Duration::from_secs(expires_at.saturating_sub(issued_at).max(0).unsigned_abs()),
        })
    }

    /// Verifies everything about a token that needs no database (RFC 8725, RFC 9068 §4).
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<VerifiedAccessToken, AccessTokenError> {
        let header = read_header(token).ok_or(AccessTokenError::Invalid)?;
        let keys = self.keys();
        let key = match keys.accepted(&header.kid, now, self.policy.life) {
            Found::Accepted(key) => key,
            Found::Retired => return Err(AccessTokenError::Invalid),
            Found::Unknown => return Err(AccessTokenError::UnknownKey),
        };
        // Each key has one algorithm, so that no header can choose how its own signature is checked (RFC 8725 §3.1).
        if header.alg != key.algorithm_name() || !is_access_token_type(&header.typ) {
            return Err(AccessTokenError::Invalid);
        }
        let mut signature_only = Validation::new(key.algorithm());
        signature_only.required_spec_claims.clear();
        signature_only.validate_exp = false;
        signature_only.validate_nbf = false;
        signature_only.validate_aud = false;
        let claims = jsonwebtoken::decode::<AnyClaims>(token, key.decoding(), &signature_only)
            .map_err(|_| AccessTokenError::Invalid)?
            .claims;
        match claims {
            AnyClaims::User(claims) => self.check_user(claims, now).map(VerifiedAccessToken::User),
            AnyClaims::Client(claims) => self.check_client(claims, now).map(VerifiedAccessToken::Client),
        }
    }

    fn check_user(&self, claims: Claims, now: Timestamp) -> Result<UserToken, AccessTokenError> {
        let parsed = UserId::parse(&claims.sub).zip(SessionId::parse(&claims.sid));
        let (user_id, session_id) = parsed.ok_or(AccessTokenError::Invalid)?;
        let dates = (claims.iat, claims.nbf, claims.exp);
        let (registered, usable_from) = self.check(&claims.iss, claims.aud, dates, claims.jti, now)?;
        let (security_version, expires_at) = (SecurityVersion::new(claims.ver), registered.expires_at);
        Ok(UserToken { user_id, session_id, security_version, usable_from, expires_at, registered })
    }

    fn check_client(&self, claims: ClientClaims, now: Timestamp) -> Result<ClientToken, AccessTokenError> {
        let client_id = ClientId::parse(&claims.client_id).filter(|_| claims.sub == claims.client_id);
        let parsed = client_id.zip(SecretId::parse(&claims.secret_id)).zip(Scopes::parse(&claims.scope));
        let ((client_id, secret_id), scopes) = parsed.ok_or(AccessTokenError::Invalid)?;
        let dates = (claims.iat, claims.nbf, claims.exp);
        let (registered, _) = self.check(&claims.iss, claims.aud, dates, claims.jti, now)?;
        let security_version = SecurityVersion::new(claims.ver);
        Ok(ClientToken { client_id, secret_id, security_version, scopes, registered })
    }

    /// Checks what goes for every token; gives that, and from when on it is accepted.
    fn check(
        &self,
        issuer: &str,
        audience: Audience,
        (issued_at, not_before, expires_at): (NumericDate, NumericDate, NumericDate),
        jti: String,
        now: Timestamp,
    ) -> Result<(RegisteredClaims, Timestamp), AccessTokenError> {
        let (issued_at, not_before, expires_at) =
            (issued_at.timestamp(), not_before.timestamp(), expires_at.timestamp());
        let usable_from = not_before.max(issued_at.before(CLOCK_TOLERANCE));
        let is_ours = issuer == self.policy.issuer
            && audience.contains(&self.policy.audience)
            && usable_from <= now
            && expires_at.since(issued_at) <= self.policy.life;
        if !is_ours {
            return Err(AccessTokenError::Invalid);
        }
        // No leeway: a token is invalid from the very second of its `exp` on (RFC 7519 §4.1.4).
        if expires_at <= now {
            return Err(AccessTokenError::Expired);
        }
        Ok((RegisteredClaims { audience, issued_at, not_before, expires_at, jti }, usable_from))
    }
}

/// Reads the header of what has the form of a compact JWS: three parts of base64url, and nothing too long. The header
/// may have the members that ours have and no other, so that `crit`, `jwk`, `jku`, `x5u`, `b64` or `zip` are refused
/// whatever they say (RFC 7515 §4.1.11).
fn read_header(token: &str) -> Option<TokenHeader> {
    use base64::Engine as _;
    let well_formed = token.len() <= LENGTH_MAX
        && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && token.bytes().filter(|byte| *byte == b'.').count() == 2;
    if !well_formed {
        return None;
    }
    let (header, _) = token.split_once('.')?;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// `at+jwt`, in any case and with or without `application/` (RFC 7515 §4.1.9).
fn is_access_token_type(typ: &str) -> bool {
    let prefix = "application/";
    let subtype = match typ.get(..prefix.len()) {
        Some(start) if start.eq_ignore_ascii_case(prefix) => typ.get(prefix.len()..).unwrap_or_default(),
        _ => typ,
    };
    subtype.eq_ignore_ascii_case(TYPE)
}
