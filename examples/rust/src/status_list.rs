//! One token status list: fetched anew when its `ttl` is over, by one request however many ask.

use std::io::Read as _;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Validation};
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, ETAG, IF_NONE_MATCH};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::verifier::{Keys, Refusal};

/// A status list has at most 2^20 entries of one bit; what inflates to more is not one of ours.
const BYTES_MAX: u64 = 131_072;

/// Where a list is, and what it said last.
pub struct StatusList {
    uri: String,
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    bits: Vec<u8>,
    etag: Option<String>,
    ttl: Duration,
    fresh_until: Instant,
    expires_at: Duration,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: u64,
    ttl: Option<u64>,
    status_list: Packed,
}

#[derive(Deserialize)]
struct Packed {
    bits: u8,
    lst: String,
}

impl StatusList {
    /// The list of this address, which is fetched when it is first asked.
    pub fn new(uri: &str) -> Self {
        Self { uri: uri.to_owned(), kept: Mutex::default() }
    }

    /// Whether the entry of this number is set.
    pub async fn is_revoked(&self, index: usize, keys: &Keys) -> Result<bool, Refusal> {
        let mut kept = self.kept.lock().await;
        if kept.as_ref().is_none_or(|kept| Instant::now() >= kept.fresh_until)
            && let Err(error) = self.fetch(&mut kept, keys).await
        {
            // An old list is better than none, until it says itself that it is too old.
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            if kept.as_ref().is_none_or(|kept| now >= kept.expires_at) {
                return Err(Refusal::Unknown(error.context("the status list cannot be read")));
            }
        }
        let byte = kept.as_ref().and_then(|kept| kept.bits.get(index / 8));
        let byte = byte.ok_or_else(|| Refusal::Token("the status list has no such entry".to_owned()))?;
        Ok(byte >> (index % 8) & 1 == 1)
    }

    async fn fetch(&self, kept: &mut Option<Kept>, keys: &Keys) -> anyhow::Result<()> {
        let asked = Instant::now();
        let mut request = keys.http.get(&self.uri).header(ACCEPT, "application/statuslist+jwt");
        if let Some(etag) = kept.as_ref().and_then(|kept| kept.etag.as_ref()) {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let answer = request.send().await?.error_for_status()?;
        if let (StatusCode::NOT_MODIFIED, Some(kept)) = (answer.status(), kept.as_mut()) {
            kept.fresh_until = asked + kept.ttl;
            return Ok(());
        }
        let etag = answer.headers().get(ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        let mut rules = Validation::new(Algorithm::ES256);
        rules.validate_aud = false;
        rules.set_required_spec_claims(&["sub", "exp"]);
        let claims: Claims = keys.decode(&answer.text().await?, "statuslist+jwt", rules).await?;
        ensure!(claims.sub == self.uri && claims.status_list.bits == 1, "this is another status list");
        let packed = URL_SAFE_NO_PAD.decode(&claims.status_list.lst).context("the list is not base64url")?;
        let mut bits = Vec::new();
        flate2::read::ZlibDecoder::new(packed.as_slice()).take(BYTES_MAX).read_to_end(&mut bits)?;
        let ttl = Duration::from_secs(claims.ttl.unwrap_or(15).max(1));
        *kept = Some(Kept { bits, etag, ttl, fresh_until: asked + ttl, expires_at: Duration::from_secs(claims.exp) });
        Ok(())
    }
}
