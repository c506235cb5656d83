//! What handlers and extractors share.

use std::time::Duration;

use actix_web::{HttpRequest, web};
use ipnet::IpNet;

use super::metrics::Metrics;
use super::problem::Problem;
use crate::auth::Auth;
use crate::config::PublicUrl;

/// One for the whole server.
pub struct State {
    /// The verbs.
    pub auth: Auth,
    /// What users see. Absolute URLs are made of it, never of a request's `Host`.
    pub public_url: PublicUrl,
    /// Whose word on client addresses is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// How long a request waits for a connection to the database.
    pub database_wait: Duration,
    /// What is counted.
    pub metrics: Metrics,
}

impl State {
    /// The state that a request is served with.
    pub(super) fn of(request: &HttpRequest) -> Result<web::Data<Self>, Problem> {
        request.app_data::<web::Data<Self>>().cloned().ok_or_else(|| Problem::failure("the server has no state", false))
    }
}
