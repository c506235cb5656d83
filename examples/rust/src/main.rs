//! A small API behind Relatch. GET /orders is for everybody who is signed in, GET /reports for admins.

mod status_list;
mod verifier;

use actix_web::http::{StatusCode, header};
use actix_web::web::{self, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpResponseBuilder, HttpServer};
use serde_json::json;

use verifier::{Claims, Refusal, Verifier};

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let issuer = std::env::var("RELATCH_URL").unwrap_or_else(|_| "http://127.0.0.1:8080".to_owned());
    let audience = std::env::var("AUDIENCE").unwrap_or_else(|_| "relatch".to_owned());
    let port = std::env::var("PORT").map_or(Ok(3003), |port| port.parse())?;
    let verifier = Data::new(Verifier::discover(&issuer, &audience).await?);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(verifier.clone())
            .route("/orders", web::get().to(show_orders))
            .route("/reports", web::get().to(show_report))
    })
    .workers(2)
    .bind(("127.0.0.1", port))?;
    for address in server.addrs() {
        println!("listening on http://{address}");
    }
    Ok(server.run().await?)
}

async fn show_orders(request: HttpRequest, verifier: Data<Verifier>) -> HttpResponse {
    match authorize(&request, &verifier, None).await {
        Ok(claims) => HttpResponse::Ok().json(json!({ "orders": [], "of": claims.sub })),
        Err(refusal) => refusal,
    }
}

async fn show_report(request: HttpRequest, verifier: Data<Verifier>) -> HttpResponse {
    match authorize(&request, &verifier, Some("Admin")).await {
        Ok(claims) => HttpResponse::Ok().json(json!({ "report": "all is well", "for": claims.sub })),
        Err(refusal) => refusal,
    }
}

/// The claims of the request's token, or what to answer instead.
async fn authorize(request: &HttpRequest, verifier: &Verifier, role: Option<&str>) -> Result<Claims, HttpResponse> {
    let credentials = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (scheme, token) = credentials.and_then(|text| text.split_once(' ')).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(refuse(StatusCode::UNAUTHORIZED, "Bearer", "token_needed"));
    }
    match verifier.verify(token.trim_start()).await {
        Ok(claims) if role.is_none() || claims.role.as_deref() == role => Ok(claims),
        Ok(_) => Err(refuse(StatusCode::FORBIDDEN, "Bearer error=\"insufficient_scope\"", "insufficient_scope")),
        Err(Refusal::Token(_)) => {
            Err(refuse(StatusCode::UNAUTHORIZED, "Bearer error=\"invalid_token\"", "invalid_token"))
        }
        Err(Refusal::Unknown(cause)) => {
            eprintln!("{cause:#}");
            let mut answer = HttpResponse::ServiceUnavailable();
            Err(answer.insert_header((header::RETRY_AFTER, "1")).json(json!({ "error": "temporarily_unavailable" })))
        }
    }
}

fn refuse(status: StatusCode, challenge: &str, error: &str) -> HttpResponse {
    HttpResponseBuilder::new(status)
        .insert_header((header::WWW_AUTHENTICATE, challenge))
        .json(json!({ "error": error }))
}
