//! The OpenAPI description for programs, and Swagger UI, which comes with the binary, for people.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use utoipa_swagger_ui::Config;

use super::openapi;
use super::problem::{Code, Problem};
use super::public_document;
use super::state::State;

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| Arc::new(Config::from("/openapi.json")));

/// The page is others' code, though from here alone: it sets styles of its own and draws its icons from data URLs. It is
/// of the console's origin, so it may load and reach nothing but ourselves, and sends no form.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The description, made when it is first asked for.
#[derive(Default)]
pub struct DescriptionOnce(OnceLock<(Bytes, String)>);

/// `GET /openapi.json`
pub async fn show_description(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let (json, etag) = state.description.0.get_or_init(|| {
        let json = serde_json::to_vec(&openapi::document(state.public_url.as_str())).unwrap_or_default();
        let etag = public_document::etag_of(&json);
        (json.into(), etag)
    });
    public_document::answer(&request, json.clone(), "application/json", etag, Duration::ZERO)
}

/// `GET /docs`
pub async fn show_docs() -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, "/docs/index.html")).finish()
}

/// `GET /docs/{file}`
pub async fn show_file(file: Path<String>) -> Result<HttpResponse, Problem> {
    let found = utoipa_swagger_ui::serve(&file, Arc::clone(&CONFIG)).map_err(|error| Problem::failure(error, false))?;
    let found = found.ok_or_else(|| Problem::new(Code::NotFound))?;
    let mut answer = HttpResponse::Ok();
    answer.content_type(found.content_type).insert_header((header::CONTENT_SECURITY_POLICY, POLICY));
    if found.gzpipped {
        answer.insert_header((header::CONTENT_ENCODING, "gzip"));
    }
    Ok(answer.body(match found.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    }))
}
