//! What this server is and where its endpoints are (RFC 8414): made of the configuration alone, never of a request.

use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use url::Url;
use utoipa::ToSchema;

use super::jwks;
use crate::config::{Config, JwtAlgorithm};
use crate::domain::scope::Scope;
use crate::web::problem::{Code, Problem};
use crate::web::public_document;
use crate::web::state::State;

const GRANT_TYPES: &[&str] = &["refresh_token", "client_credentials"];
/// First-party applications are public and have no secret.
const ANY_CLIENT: &[&str] = &["none", "client_secret_basic", "client_secret_post"];
const WITH_SECRET: &[&str] = &["client_secret_basic", "client_secret_post"];

/// No member is an empty array (RFC 8414 §3.2). There is no authorization endpoint, and so there are no response types.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct Metadata<'a> {
    issuer: &'a str,
    jwks_uri: String,
    token_endpoint: String,
    token_endpoint_auth_methods_supported: &'a [&'a str],
    grant_types_supported: &'a [&'a str],
    scopes_supported: Vec<&'static str>,
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: &'a [&'a str],
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: &'a [&'a str],
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    status_list_aggregation_endpoint: Option<String>,
}

/// The document, made once.
pub struct Discovery {
    json: Bytes,
    etag: String,
    /// The path of an issuer that has one, without slashes around it.
    issuer_path: String,
}

impl Discovery {
    /// What a configuration comes to.
    pub fn of(config: &Config) -> Self {
        let at = |path: &str| format!("{}{path}", config.public_url);
        // Without a public key nobody could check a status list.
        let has_public_keys = config.jwt.algorithm != JwtAlgorithm::Hs256;
        let metadata = Metadata {
            issuer: &config.jwt.issuer,
            jwks_uri: at(jwks::PATH),
            token_endpoint: at("/oauth/token"),
            token_endpoint_auth_methods_supported: ANY_CLIENT,
            grant_types_supported: GRANT_TYPES,
            scopes_supported: Scope::ALL.map(Scope::as_str).to_vec(),
            revocation_endpoint: at("/oauth/revoke"),
            revocation_endpoint_auth_methods_supported: ANY_CLIENT,
            introspection_endpoint: at("/oauth/introspect"),
            introspection_endpoint_auth_methods_supported: WITH_SECRET,
            status_list_aggregation_endpoint: has_public_keys.then(|| at("/status-lists")),
        };
        let json = serde_json::to_vec(&metadata).unwrap_or_default();
        let issuer = Url::parse(&config.jwt.issuer).ok().filter(|url| ["http", "https"].contains(&url.scheme()));
        Self {
            etag: public_document::etag_of(&json),
            json: json.into(),
            issuer_path: issuer.map(|url| url.path().trim_matches('/').to_owned()).unwrap_or_default(),
        }
    }
}

/// `GET /.well-known/oauth-authorization-server` and `GET /.well-known/openid-configuration`
pub async fn show_metadata(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let Discovery { json, etag, .. } = &state.discovery;
    public_document::answer(&request, json.clone(), "application/json", etag, state.jwks_max_age)
}

/// The same for an issuer with a path, which stands behind the well-known one (RFC 8414 §3.1) or, as `OpenID` Connect
/// has it, before that.
pub async fn show_metadata_of_issuer(
    state: Data<State>,
    path: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let is_issuer = !state.discovery.issuer_path.is_empty() && path.trim_matches('/') == state.discovery.issuer_path;
    if !is_issuer {
        return Err(Problem::new(Code::NotFound));
    }
    Ok(show_metadata(state, request).await)
}
