//! Servers that do next to nothing: what the HTTP and JWT libraries alone can do.

use std::net::TcpListener;
use std::num::NonZeroUsize;

use actix_web::http::header;
use actix_web::web::{self, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, Route};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use relatch::auth::entropy;
use relatch::clock::{Clock as _, SystemClock};
use relatch::config::JwtAlgorithm;
use serde::{Deserialize, Serialize};

use crate::Failed;
use crate::outcome::print;

/// Serves `GET /` until it is killed. Prints its address, and a token when one is needed.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Address and port; port 0 is any
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
}

/// As long as a profile is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    id: i64,
    username: &'static str,
    email: &'static str,
    role: &'static str,
    status: &'static str,
    created_at: &'static str,
    last_login_at: Option<&'static str>,
}

/// As an access token of Relatch has them.
#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: String,
    sid: String,
    ver: i64,
    client_id: String,
    role: String,
    unique_name: String,
    email: String,
}

pub(crate) fn serve_route(arguments: &Arguments) -> Result<(), Failed> {
    serve(arguments, None, || web::get().to(|| async { answer() }))
}

pub(crate) fn serve_verified(arguments: &Arguments) -> Result<(), Failed> {
    let pkcs8 = entropy::signing_key(JwtAlgorithm::Es256)?.ok_or("ES256 has a key pair")?;
    let signing = EncodingKey::from_ec_der(pkcs8.expose());
    let verifying = DecodingKey::from_jwk(&Jwk::from_encoding_key(&signing, Algorithm::ES256)?)?;
    let now = SystemClock.now().as_seconds();
    let claims = Claims {
        iss: "http://127.0.0.1:8080".to_owned(),
        aud: "relatch".to_owned(),
        sub: "1000".to_owned(),
        iat: now,
        nbf: now - 5,
        exp: now + 24 * 60 * 60,
        jti: entropy::uuid()?.to_string(),
        sid: entropy::uuid()?.to_string(),
        ver: 1,
        client_id: "relatch".to_owned(),
        role: "User".to_owned(),
        unique_name: "user00001000".to_owned(),
        email: "user00001000@example.com".to_owned(),
    };
    let token = jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &signing)?;
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&["relatch"]);
    serve(arguments, Some((verifying, validation, token)), || web::get().to(verified))
}

type Keys = (DecodingKey, Validation);

async fn verified(request: HttpRequest, keys: Data<Keys>) -> HttpResponse {
    let token = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let is_valid = |token| jsonwebtoken::decode::<Claims>(token, &keys.0, &keys.1).is_ok();
    if token.is_some_and(is_valid) { answer() } else { HttpResponse::Unauthorized().finish() }
}

fn answer() -> HttpResponse {
    HttpResponse::Ok().json(Answer {
        id: 1000,
        username: "user00001000",
        email: "user00001000@example.com",
        role: "User",
        status: "active",
        created_at: "2026-01-01T00:00:00.000001Z",
        last_login_at: None,
    })
}

fn serve(
    arguments: &Arguments,
    keys: Option<(DecodingKey, Validation, String)>,
    route: fn() -> Route,
) -> Result<(), Failed> {
    let listener = TcpListener::bind(&arguments.listen)?;
    let address = listener.local_addr()?.to_string();
    let token = keys.as_ref().map(|(_, _, token)| token.clone());
    let keys = keys.map(|(key, validation, _)| Data::new((key, validation)));
    let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    actix_web::rt::System::new().block_on(async move {
        let server = HttpServer::new(move || {
            let keys = keys.clone();
            let app = App::new().route("/", route());
            match keys {
                Some(keys) => app.app_data(keys),
                None => app,
            }
        });
        let server = server.workers(workers).listen(listener)?.run();
        print(&serde_json::json!({ "address": address, "token": token }));
        server.await
    })?;
    Ok(())
}
