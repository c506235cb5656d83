//! What the log gets of refused requests that the audit trail knows nothing of: they cost whoever sends them nothing.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::StatusCode;
use uuid::Uuid;

use super::problem::{Code, Problem};
use super::state::State;
use super::urlencoded;
use crate::domain::security_event;
use crate::domain::session::SessionId;
use crate::domain::timestamp::Timestamp;

const EVERY: Duration = Duration::from_mins(1);
/// How many sources are remembered; when there are more, all are forgotten.
const REMEMBERED: usize = 10_000;
/// How much of a path is written, in bytes.
const PATH_MAX: usize = 200;

/// Who was told last that they come too often, and when.
#[derive(Debug, Default)]
pub struct Excesses(Mutex<HashMap<IpAddr, Timestamp>>);

impl Excesses {
    fn is_due(&self, source: IpAddr, now: Timestamp) -> bool {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let source = network(source);
        if logged.get(&source).is_some_and(|at| *at <= now && now.since(*at) < EVERY) {
            return false;
        }
        if logged.len() >= REMEMBERED {
            logged.clear();
        }
        logged.insert(source, now);
        true
    }
}

/// Whoever has one IPv6 address has 2^64 of them.
fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address @ IpAddr::V4(_) => address,
    }
}

/// Logs what a problem says about whoever has caused it, if it says anything.
pub(super) fn log_problem(problem: &Problem, request_id: &str, source: Option<IpAddr>, state: Option<&State>) {
    let (code, from) = (problem.code(), source.map(|source| source.to_string()));
    // The level of a line is a constant of its call.
    macro_rules! log {
        ($level:ident, $event:expr) => {
            tracing::$level!(
                target: "relatch::security",
                event = $event,
                result = "denied",
                by = "anonymous",
                source = from,
                request_id,
                code = code.as_str(),
                reason = problem.cause(),
                "security event"
            )
        };
    }
    match code {
        Code::FormRefused => log!(warn, security_event::CSRF),
        // Clients of others make mistakes all the time.
        Code::ValidationFailed | Code::InvalidJson => log!(debug, security_event::INPUT_VALIDATION_FAILED),
        code if code.status() == StatusCode::TOO_MANY_REQUESTS => {
            // A flood of requests must not be one of lines.
            let is_due = match (source, state) {
                (Some(source), Some(state)) => state.excesses.is_due(source, state.auth.now()),
                _ => true,
            };
            if is_due {
                log!(warn, security_event::RATE_LIMIT_EXCEEDED);
            }
        }
        _ => {}
    }
}

/// A path for the access log: not all of it when it is long, and with the log's names for sessions, however their ids are
/// written and wherever they stand.
pub(super) fn loggable(path: &str) -> String {
    let mut behind_sessions = false;
    let segments = path.split('/').map(|segment| {
        let plain = urlencoded::decode(segment.as_bytes());
        let plain = plain.as_deref().unwrap_or(segment).trim();
        // Empty segments are none to whoever reads.
        let names_session = behind_sessions && !segment.is_empty();
        behind_sessions = plain.eq_ignore_ascii_case("sessions") || behind_sessions && segment.is_empty();
        let id = Uuid::try_parse(plain).ok().and_then(|id| SessionId::parse(&id.to_string()));
        match id {
            Some(session) => session.log_name(),
            // It may be an id with something around it.
            None if names_session && segment.len() > 16 => "…".to_owned(),
            None => segment.to_owned(),
        }
    });
    let mut path = segments.collect::<Vec<_>>().join("/");
    path.truncate(path.floor_char_boundary(PATH_MAX));
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3_a_source_is_logged_once_a_minute_and_no_number_of_them_fills_the_memory() {
        let excesses = Excesses::default();
        let now = Timestamp::from_micros(1_795_536_000_000_000);
        let is_due = |source: &str, at| excesses.is_due(source.parse().unwrap(), at);
        assert!(is_due("203.0.113.7", now) && !is_due("203.0.113.7", now.after(EVERY - Duration::from_micros(1))));
        assert!(!is_due("::ffff:203.0.113.7", now));
        assert!(is_due("203.0.113.8", now) && is_due("203.0.113.7", now.after(EVERY)));
        assert!(is_due("2001:db8::1", now) && !is_due("2001:db8::2", now) && is_due("2001:db8:0:1::1", now));
        for number in 0..30_000_u32 {
            excesses.is_due(IpAddr::V4(number.into()), now);
        }
        assert!(excesses.0.lock().unwrap().len() <= REMEMBERED);
    }

    #[test]
    fn s4_a_path_in_the_log_names_no_session() {
        let id = "0191e4a2-7c5d-7abc-8def-0123456789ab";
        let name = SessionId::parse(id).unwrap().log_name();
        assert_eq!(name.len(), 16);
        for (path, logged) in [
            (format!("/api/sessions/{id}"), format!("/api/sessions/{name}")),
            (format!("/api/users/me/sessions/{id}"), format!("/api/users/me/sessions/{name}")),
            (format!("/admin/sessions/{id}/revoke"), format!("/admin/sessions/{name}/revoke")),
            (format!("/api/sessions/{}", id.to_uppercase()), format!("/api/sessions/{name}")),
            (format!("/api/sessions/%30{}", &id[1..]), format!("/api/sessions/{name}")),
            (format!("/api/%73essions/{id}"), format!("/api/%73essions/{name}")),
            (format!("/api/sessions//{id}"), format!("/api/sessions//{name}")),
            (format!("/api/sessions/{}", id.replace('-', "")), format!("/api/sessions/{name}")),
            (format!("//{id}/x"), format!("//{name}/x")),
            (format!("/api/sessions/{id}."), "/api/sessions/…".to_owned()),
            (format!("/api/%53essions//{id};"), "/api/%53essions//…".to_owned()),
            (format!("/{}/{id}", "x".repeat(190)), format!("/{}/{}", "x".repeat(190), &name[..8])),
            ("/admin/sessions/revoke-all".to_owned(), "/admin/sessions/revoke-all".to_owned()),
            (format!("/oauth/clients/{id}"), format!("/oauth/clients/{name}")),
            ("/".to_owned(), "/".to_owned()),
        ] {
            assert_eq!(loggable(&path), logged);
        }
        assert_eq!(loggable(&format!("/{}", "ä".repeat(500))).len(), 199);
    }
}
