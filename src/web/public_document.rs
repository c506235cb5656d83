//! Answers that are the same for everybody, which browsers of any origin may read and any cache may keep.

use std::time::Duration;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The document, or 304 for whoever has it already. `etag` is a strong entity tag in its quotation marks.
pub fn answer(
    request: &HttpRequest,
    bytes: Bytes,
    content_type: &'static str,
    etag: &str,
    max_age: Duration,
) -> HttpResponse {
    let is_known = is_known(request, etag);
    let mut answer = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer
        .insert_header((header::ETAG, etag))
        .insert_header((header::CACHE_CONTROL, format!("public, max-age={}", max_age.as_secs())))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")))
        .insert_header((CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("cross-origin")));
    if is_known {
        return answer.finish();
    }
    answer.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(content_type))).body(bytes)
}

/// Whether `If-None-Match` names the tag; weak tags count as well (RFC 9110 §13.1.2).
fn is_known(request: &HttpRequest, etag: &str) -> bool {
    let lists = request.headers().get_all(header::IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
    let mut tags = lists.flat_map(|list| list.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn status(tags: &[&str]) -> u16 {
        let request = tags
            .iter()
            .fold(TestRequest::get(), |request, tag| request.append_header((header::IF_NONE_MATCH, (*tag).to_owned())));
        let answer =
            answer(&request.to_http_request(), Bytes::from("{}"), "text/plain", "\"a\"", Duration::from_secs(9));
        assert_eq!(answer.headers().get(header::ETAG).unwrap(), "\"a\"");
        assert_eq!(answer.headers().get(header::CACHE_CONTROL).unwrap(), "public, max-age=9");
        assert_eq!(answer.headers().contains_key(header::CONTENT_TYPE), answer.status() == 200);
        answer.status().as_u16()
    }

    #[test]
    fn whoever_has_the_document_gets_it_no_second_time() {
        for unknown in [&[][..], &["\"b\""], &["a"], &["\"a"], &["w/\"a\""], &[""]] {
            assert_eq!(status(unknown), 200, "{unknown:?}");
        }
        for known in [&["\"a\""][..], &["W/\"a\""], &["\"b\", \"a\""], &["\"b\"", "\"a\""], &["*"], &["\"b\",W/\"a\""]]
        {
            assert_eq!(status(known), 304, "{known:?}");
        }
    }
}
