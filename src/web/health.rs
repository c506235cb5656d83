//! Health, for whatever watches or balances. It tells nothing that is not meant for everybody.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::problem::Problem;
use super::state::State;
use crate::auth::readiness;

/// `GET /health/live`: the process answers.
pub async fn show_liveness() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "live" }))
}

/// `GET /health/ready`: the database answers too, and its clock agrees with ours.
pub async fn show_readiness(state: web::Data<State>) -> Result<HttpResponse, Problem> {
    readiness::check(&state.auth).await?;
    Ok(HttpResponse::Ok().json(json!({ "status": "ready" })))
}
