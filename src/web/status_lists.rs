//! `/status-lists`: for whoever verifies access tokens without asking, which of them were revoked
//! (draft-ietf-oauth-status-list §8).

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{self, AcceptEncoding, Encoding, Header as _, HeaderValue};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::problem::{Code, Problem};
use super::public_document;
use super::state::State;
use crate::auth::status_lists::{self, Published};
use crate::keyring;

/// `GET /status-lists/{name}`: a list, as a signed JWT. Its own `ttl` says how long it may be kept; caches on the way must
/// not add to that.
pub async fn show_status_list(
    state: Data<State>,
    request: HttpRequest,
    name: Path<String>,
) -> Result<HttpResponse, Problem> {
    // Who asks for the past must not get the present (§8.4).
    if url::form_urlencoded::parse(request.query_string().as_bytes()).any(|(name, _)| name == "time") {
        return Err(Problem::new(Code::HistoryUnsupported));
    }
    let list = status_lists::show(&state.auth, &name).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    let (bytes, etag, is_gzip) = if accepts_gzip(&request) {
        (Bytes::from_owner(Gzip(Arc::clone(&list))), format!("\"{}-gzip\"", list.etag), true)
    } else {
        (Bytes::from_owner(Token(Arc::clone(&list))), format!("\"{}\"", list.etag), false)
    };
    let mut answer = public_document::answer(&request, bytes, "application/statuslist+jwt", &etag, Duration::ZERO);
    let headers = answer.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if is_gzip && headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(answer)
}

fn accepts_gzip(request: &HttpRequest) -> bool {
    let accepted = AcceptEncoding::parse(request).ok();
    accepted.is_some_and(|accepted| accepted.negotiate([Encoding::gzip()].iter()) == Some(Encoding::gzip()))
}

/// The bytes of a list, which many are sent.
struct Token(Arc<Published>);

impl AsRef<[u8]> for Token {
    fn as_ref(&self) -> &[u8] {
        self.0.token.as_bytes()
    }
}

/// Its compressed bytes.
struct Gzip(Arc<Published>);

impl AsRef<[u8]> for Gzip {
    fn as_ref(&self) -> &[u8] {
        &self.0.gzip
    }
}

/// `GET /status-lists`: where all lists are (§9).
pub async fn list_status_lists(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let uris = status_lists::list_uris(&state.auth).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    let body = json!({ "status_lists": uris }).to_string();
    let digest = keyring::sha256(body.as_bytes());
    let name: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let etag = format!("\"{name}\"");
    Ok(public_document::answer(&request, body.into(), "application/json", &etag, Duration::ZERO))
}
