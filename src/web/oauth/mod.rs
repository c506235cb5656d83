//! `/oauth/*`: the endpoints that any OAuth library knows. Forms in, JSON out, errors as RFC 6749 §5.2 has them.
//!
//! A handler returns an [`error::OauthError`]. What goes wrong around handlers is a problem, and `answer` writes it as
//! such an error, too.

pub(in crate::web) mod credentials;
pub mod error;
pub(in crate::web) mod form;
pub mod introspect;
pub mod revoke;
pub mod token;

use actix_web::http::header;
use actix_web::{HttpResponse, HttpResponseBuilder};

/// Whether a path is one of these, whose errors are not problems.
pub(super) fn is_path(path: &str) -> bool {
    path == "/oauth" || path.starts_with("/oauth/")
}

/// The beginning of an answer, which nobody may keep (RFC 6749 §5.1).
fn ok() -> HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::CACHE_CONTROL, "no-store")).insert_header((header::PRAGMA, "no-cache"));
    answer
}
