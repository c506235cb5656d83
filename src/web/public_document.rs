//! Documents that are the same for everybody: any page may read them, caches may keep them, and whoever has them need not
//! fetch them again.

use std::time::Duration;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::keyring;

/// Answers with a document, or with 304 when the client has these very bytes (RFC 9110 §13.1.2). Without a `max_age` caches
/// ask each time whether it is still the same.
pub fn answer(
    request: &HttpRequest,
    bytes: Bytes,
    content_type: &'static str,
    etag: &str,
    max_age: Duration,
) -> HttpResponse {
    let cache = match max_age.as_secs() {
        0 => "public, no-cache".to_owned(),
        seconds => format!("public, max-age={seconds}"),
    };
    let is_known = is_known(request, etag);
    let mut answer = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer
        .insert_header((header::CACHE_CONTROL, cache))
        .insert_header((header::ETAG, etag))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"));
    if is_known {
        return answer.finish();
    }
    answer.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(content_type))).body(bytes)
}

/// The strong name of these very bytes.
pub fn etag_of(bytes: &[u8]) -> String {
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(keyring::sha256(bytes)))
}

/// Whether `If-None-Match` names the document. Weak and strong names are one here (RFC 9110 §8.8.3.2).
fn is_known(request: &HttpRequest, etag: &str) -> bool {
    let named = request.headers().get_all(header::IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
    named
        .flat_map(|names| names.split(','))
        .map(str::trim)
        .any(|name| name == "*" || name.strip_prefix("W/").unwrap_or(name) == etag)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_client_that_has_the_document_is_told_so_and_no_other() {
        for (names, status) in [
            (&["\"a\""][..], 304),
            (&["W/\"a\""], 304),
            (&["\"b\", \"a\""], 304),
            (&["\"b\"", "\"a\""], 304),
            (&["*"], 304),
            (&["\"b\""], 200),
            (&["a"], 200),
            (&[""], 200),
            (&[], 200),
        ] {
            let request = names
                .iter()
                .fold(TestRequest::get(), |request, name| request.append_header((header::IF_NONE_MATCH, *name)));
            let request = request.to_http_request();
            let answer = answer(&request, Bytes::from_static(b"x"), "text/plain", "\"a\"", Duration::from_secs(60));
            assert_eq!(answer.status(), status, "{names:?}");
            let header = |name| answer.headers().get(name).map(|value: &HeaderValue| value.to_str().unwrap());
            assert_eq!(header("etag"), Some("\"a\""));
            assert_eq!(header("cache-control"), Some("public, max-age=60"));
            assert_eq!(header("access-control-allow-origin"), Some("*"));
            assert_eq!(header("content-type"), (status == 200).then_some("text/plain"));
        }
    }
}
