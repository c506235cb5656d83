//! Which pages of other origins may call the API and read its answers: those that `CORS_ORIGINS` names.
//!
//! This is done where answers leave, and not around handlers: a page must be able to read a 401 or a 503, too. Cookies
//! are of no use to the API, so no answer allows credentials (ASVS 5.0 §3.4.2).

use actix_web::HttpResponse;
use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};

/// What a page on an allowed origin asked for.
pub(super) struct Cors {
    origin: HeaderValue,
    is_preflight: bool,
}

/// For how long browsers may go by the answer to a preflight, in seconds.
const PREFLIGHT_KEPT: HeaderValue = HeaderValue::from_static("600");
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PATCH, DELETE");
const HEADERS: HeaderValue = HeaderValue::from_static("authorization, content-type");
const HEADERS_WITH_FAULTS: HeaderValue = HeaderValue::from_static("authorization, content-type, relatch-fault");
const EXPOSED: HeaderValue = HeaderValue::from_static("link, location, retry-after, www-authenticate, x-request-id");

impl Cors {
    /// `None` when no page asks, or one that may not.
    pub(super) fn of(request: &ServiceRequest, allowed: &[String]) -> Option<Self> {
        let path = request.path();
        if !path.starts_with("/api/") && !path.starts_with("/oauth/") {
            return None;
        }
        let mut origins = request.headers().get_all(header::ORIGIN);
        let (origin, second) = (origins.next()?, origins.next());
        let is_allowed = allowed.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes());
        let asks = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let is_preflight = request.method() == Method::OPTIONS && asks;
        (second.is_none() && is_allowed).then(|| Self { origin: origin.clone(), is_preflight })
    }

    /// The answer to a preflight, which no handler knows of.
    pub(super) fn preflight(&self, has_faults: bool) -> Option<HttpResponse> {
        let allowed = if has_faults { HEADERS_WITH_FAULTS } else { HEADERS };
        self.is_preflight.then(|| {
            HttpResponse::NoContent()
                .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, METHODS))
                .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, allowed))
                .insert_header((header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_KEPT))
                .finish()
        })
    }

    /// Lets the page read the answer.
    pub(super) fn add_headers(&self, headers: &mut HeaderMap) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, self.origin.clone());
        if !self.is_preflight {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
}
