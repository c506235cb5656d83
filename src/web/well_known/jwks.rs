//! The public parts of the signing keys (RFC 7517 §5), for whoever verifies access tokens.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use crate::auth::keys::published_keys;
use crate::web::problem::Problem;
use crate::web::public_document;
use crate::web::state::State;

/// Where it is.
pub const PATH: &str = "/.well-known/jwks.json";

/// `GET /.well-known/jwks.json`
pub async fn show_jwks(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let keys = published_keys(&state.auth)?;
    // Every library takes this type; not all of them know application/jwk-set+json.
    let content_type = "application/json";
    Ok(public_document::answer(&request, keys.json.clone(), content_type, &keys.etag, state.jwks_max_age))
}
