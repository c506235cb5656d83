//! How long an answer may take. Whoever waits longer is told to ask again, whatever the database is doing.

use std::time::Duration;

use actix_web::{HttpMessage as _, HttpRequest};
use tokio::time::Instant;

use super::problem::Problem;
use super::state::State;

/// How long the work for an answer may take besides the wait for a connection.
const WORK: Duration = Duration::from_secs(2);

/// When a request has to be answered.
#[derive(Clone, Copy)]
struct Deadline(Instant);

/// Does the work for an answer within the request's time, which begins with the first work for it: not before a body
/// has been read. What is given up may still take place, as when an answer is lost on its way.
pub(super) async fn in_time<T, E: Into<Problem>>(
    request: &HttpRequest,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Problem> {
    let limit = State::of(request)?.database_wait + WORK;
    let known = request.extensions().get::<Deadline>().copied();
    let deadline = known.unwrap_or_else(|| Deadline(Instant::now() + limit));
    request.extensions_mut().insert(deadline);
    match tokio::time::timeout_at(deadline.0, work).await {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err(Problem::failure("the answer would have come too late", true)),
    }
}
