//! What handlers and extractors share.

use std::time::Duration;

use actix_web::{HttpRequest, web};
use ipnet::IpNet;

use super::admin::exporting::Exports;
use super::connections::Seats;
use super::docs::DescriptionOnce;
use super::metrics::Metrics;
use super::problem::Problem;
use super::security::Excesses;
use super::well_known::metadata::Discovery;
use crate::auth::Auth;
use crate::config::{PublicUrl, Setting};

/// One for the whole server.
pub struct State {
    /// The verbs.
    pub auth: Auth,
    /// What users see. Absolute URLs are made of it, never of a request's `Host`.
    pub public_url: PublicUrl,
    /// Whose word on client addresses is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// The origins whose pages may call the API.
    pub cors_origins: Vec<String>,
    /// Whether requests may ask for faults.
    pub faults: bool,
    /// How long a request waits for a connection to the database.
    pub database_wait: Duration,
    /// Every variable with its effective value; no secret is among the values.
    pub settings: Vec<Setting>,
    /// The safety limits that are switched off.
    pub lifted_limits: Vec<&'static str>,
    /// What libraries look up about this server.
    pub discovery: Discovery,
    /// How long verifiers may keep that, and the published keys.
    pub jwks_max_age: Duration,
    /// What `/openapi.json` says.
    pub description: DescriptionOnce,
    /// The exports under way.
    pub exports: Exports,
    /// What is counted.
    pub metrics: Metrics,
    /// The places for connections.
    pub seats: Seats,
    /// Who was told lately that they come too often.
    pub excesses: Excesses,
}

impl State {
    /// The name of a cookie of ours. With the prefix, browsers take it from this very host over TLS alone.
    pub(super) fn cookie_name(&self, name: &str) -> String {
        if self.public_url.is_https() { format!("__Host-{name}") } else { name.to_owned() }
    }

    /// Whether browsers may send our cookies over TLS alone: everywhere but on this very machine.
    pub(super) fn cookies_are_secure(&self) -> bool {
        self.public_url.is_https() || !self.public_url.is_loopback()
    }

    /// Whether browsers come over plain http from other machines: what they write could be read, and cookies get lost.
    pub(super) fn is_insecure(&self) -> bool {
        !self.public_url.is_https() && !self.public_url.is_loopback()
    }

    /// The state that a request is served with.
    pub(super) fn of(request: &HttpRequest) -> Result<web::Data<Self>, Problem> {
        request.app_data::<web::Data<Self>>().cloned().ok_or_else(|| Problem::failure("the server has no state", false))
    }
}
