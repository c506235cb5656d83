//! Checks access tokens of Relatch: signature, issuer, audience, type, times, and whether the session still lives.
//!
//! Nothing here asks Relatch per request: keys and status lists are fetched now and then, and kept.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use crate::status_list::StatusList;

/// How long keys are kept, and how soon an unknown one makes them be fetched again.
const KEYS_KEPT: Duration = Duration::from_secs(300);
const KEYS_COOLDOWN: Duration = Duration::from_secs(5);
/// How long Relatch may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What this API wants to know of a token.
#[derive(Deserialize)]
pub struct Claims {
    /// The user's id.
    pub sub: String,
    /// `Admin` or `User`.
    pub role: Option<String>,
    nbf: Option<f64>,
    status: Option<Status>,
}

#[derive(Deserialize)]
struct Status {
    status_list: Reference,
}

#[derive(Deserialize)]
struct Reference {
    idx: usize,
    uri: String,
}

/// Why a token is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It is no good: answer 401.
    #[error("the token is refused: {0}")]
    Token(String),
    /// Nobody can tell now: answer 503.
    #[error(transparent)]
    Unknown(#[from] anyhow::Error),
}

/// Verifies tokens with what it fetched from Relatch.
pub struct Verifier {
    origin: url::Origin,
    issuer: String,
    audience: String,
    keys: Keys,
    lists: Mutex<HashMap<String, Arc<StatusList>>>,
}

impl Verifier {
    /// Reads where things are from Relatch's metadata.
    pub async fn discover(issuer: &str, audience: &str) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Metadata {
            issuer: String,
            jwks_uri: String,
        }
        ensure!(
            cfg!(feature = "https") || issuer.starts_with("http://"),
            "this was built without TLS; start it with: cargo run --features https"
        );
        let http = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build()?;
        // An issuer with a path has it behind the well-known one (RFC 8414).
        let mut url = reqwest::Url::parse(issuer)?;
        url.set_path(&format!("/.well-known/oauth-authorization-server{}", url.path().trim_end_matches('/')));
        let metadata: Metadata =
            http.get(url.clone()).send().await?.error_for_status()?.json().await.context(url.to_string())?;
        ensure!(metadata.issuer == issuer, "the issuer is {}, not {issuer}", metadata.issuer);
        let origin = reqwest::Url::parse(&metadata.jwks_uri)?.origin();
        let keys = Keys { http, uri: metadata.jwks_uri, kept: Mutex::default() };
        Ok(Self { origin, issuer: issuer.to_owned(), audience: audience.to_owned(), keys, lists: Mutex::default() })
    }

    /// The claims of a token that is accepted now.
    pub async fn verify(&self, token: &str) -> Result<Claims, Refusal> {
        let mut rules = Validation::new(Algorithm::ES256);
        rules.set_issuer(&[&self.issuer]);
        rules.set_audience(&[&self.audience]);
        rules.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        rules.validate_nbf = true;
        let claims: Claims = self.keys.decode(token, "at+jwt", rules).await?;
        if claims.nbf.is_none() {
            return Err(Refusal::Token("there is no nbf".to_owned()));
        }
        // Tokens of service accounts have no status: an API that takes those too lets them pass here.
        let Some(Status { status_list: Reference { idx, uri } }) = &claims.status else {
            return Err(Refusal::Token("nobody can tell whether its session still lives".to_owned()));
        };
        if self.list(uri).await?.is_revoked(*idx, &self.keys).await? {
            return Err(Refusal::Token("the session has ended".to_owned()));
        }
        Ok(claims)
    }

    async fn list(&self, uri: &str) -> Result<Arc<StatusList>, Refusal> {
        let is_ours = reqwest::Url::parse(uri).is_ok_and(|uri| uri.origin() == self.origin);
        if !is_ours {
            return Err(Refusal::Token("the status list is somebody else's".to_owned()));
        }
        let mut lists = self.lists.lock().await;
        Ok(Arc::clone(lists.entry(uri.to_owned()).or_insert_with(|| Arc::new(StatusList::new(uri)))))
    }
}

/// Relatch's public keys.
pub struct Keys {
    /// What fetches keys and lists.
    pub http: reqwest::Client,
    uri: String,
    kept: Mutex<Option<(Arc<JwkSet>, Instant)>>,
}

impl Keys {
    /// The claims of a genuine JWT of this type. The library looks at everything but the type and the header's `crit`.
    pub async fn decode<T: DeserializeOwned>(
        &self,
        token: &str,
        kind: &str,
        mut rules: Validation,
    ) -> Result<T, Refusal> {
        let refused = |error: jsonwebtoken::errors::Error| Refusal::Token(error.to_string());
        let header = jsonwebtoken::decode_header(token).map_err(refused)?;
        let typ = header.typ.as_deref().unwrap_or_default().to_ascii_lowercase();
        if typ.strip_prefix("application/").unwrap_or(&typ) != kind || header.crit.is_some() {
            return Err(Refusal::Token(format!("not of the type {kind}")));
        }
        let kid = header.kid.ok_or_else(|| Refusal::Token("no key is named".to_owned()))?;
        let keys = self.with(&kid).await?;
        let jwk = keys.find(&kid).ok_or_else(|| Refusal::Token("the key is unknown".to_owned()))?;
        // The key says which algorithm it is for; what the token says must be the same.
        let algorithm = match jwk.common.key_algorithm.map(|algorithm| algorithm.to_string()).as_deref() {
            Some("ES256") => Algorithm::ES256,
            Some("EdDSA") => Algorithm::EdDSA,
            Some("RS256") => Algorithm::RS256,
            _ => return Err(Refusal::Token("the key is for another algorithm".to_owned())),
        };
        rules.algorithms = vec![algorithm];
        rules.leeway = 0;
        let key = DecodingKey::from_jwk(jwk).map_err(refused)?;
        Ok(jsonwebtoken::decode(token, &key, &rules).map_err(refused)?.claims)
    }

    async fn with(&self, kid: &str) -> anyhow::Result<Arc<JwkSet>> {
        let mut kept = self.kept.lock().await;
        if let Some((keys, fetched)) = kept.as_ref() {
            let age = fetched.elapsed();
            if age < KEYS_COOLDOWN || (age < KEYS_KEPT && keys.find(kid).is_some()) {
                return Ok(Arc::clone(keys));
            }
        }
        let fetched = async { self.http.get(&self.uri).send().await?.error_for_status()?.json::<JwkSet>().await };
        match (fetched.await, kept.as_ref()) {
            (Ok(keys), _) => {
                let keys = Arc::new(keys);
                *kept = Some((Arc::clone(&keys), Instant::now()));
                Ok(keys)
            }
            // Keys that were fetched a while ago are still Relatch's.
            (Err(_), Some((keys, _))) => Ok(Arc::clone(keys)),
            (Err(error), None) => Err(anyhow!(error).context("the keys cannot be read")),
        }
    }
}
