//! What is counted, in the Prometheus text format. It is served on a listener of its own, if at all.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, web};

use super::problem::is_usual;
use super::state::State;
use crate::auth::audit::activity::since_start;

/// Requests by route, method and status. Labels come from the route table, so that nobody can make them up.
#[derive(Default)]
pub struct Metrics(Mutex<BTreeMap<Label, Count>>);

type Label = (String, String, u16);

#[derive(Clone, Copy, Default)]
struct Count {
    requests: u64,
    time: Duration,
}

impl Metrics {
    pub(super) fn count(&self, method: &Method, route: Option<&str>, status: StatusCode, time: Duration) {
        let method = if is_usual(method) { method.as_str() } else { "other" };
        let label = (route.unwrap_or("none").to_owned(), method.to_owned(), status.as_u16());
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(label).or_default();
        count.requests += 1;
        count.time += time;
    }

    fn text(&self) -> String {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut text = String::new();
        let mut family = |name: &str, help: &str, value: &dyn Fn(&Count) -> String| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
            for ((route, method, status), count) in &counts {
                let _ = writeln!(
                    text,
                    "{name}{{route=\"{route}\",method=\"{method}\",status=\"{status}\"}} {}",
                    value(count)
                );
            }
        };
        family("relatch_http_requests_total", "Requests that were answered.", &|count| count.requests.to_string());
        family("relatch_http_request_seconds_total", "Time spent on them, in seconds.", &|count| {
            format!("{:.6}", count.time.as_secs_f64())
        });
        text
    }
}

/// `GET /metrics` of the metrics listener.
pub async fn show_metrics(state: web::Data<State>) -> HttpResponse {
    let mut text = state.metrics.text();
    let (refreshes, sealed) = since_start(&state.auth);
    for (name, help, value) in [
        ("relatch_refreshes_total", "Refresh tokens that were spent.", refreshes),
        ("relatch_audit_events_sealed_total", "Audit events that this instance sealed.", sealed),
    ] {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}");
    }
    let seats = &state.seats;
    let taken = u64::try_from(seats.taken()).unwrap_or(u64::MAX);
    for (name, kind, help, value) in [
        ("relatch_connections", "gauge", "Connections of clients that are open.", taken),
        ("relatch_connections_refused_total", "counter", "Connections beyond an address's share.", seats.refused()),
    ] {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    }
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text)
}
