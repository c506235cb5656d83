//! How long an answer may take. Whoever waits longer is told to ask again, whatever the database is doing.
//!
//! Only our own work counts, not the time that a client takes to send a body.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use actix_web::dev::ServiceRequest;
use actix_web::{HttpMessage as _, HttpRequest};
use tokio::time::{Instant, timeout_at};

/// How long the work for an answer may take besides the wait for a connection to the database.
const WORK: Duration = Duration::from_secs(2);
/// How often it is looked whether the deadline has moved.
const TICK: Duration = Duration::from_secs(1);

/// When a request has to be answered.
#[derive(Clone)]
pub(super) struct Deadline(Rc<Cell<Instant>>);

impl Deadline {
    /// The deadline of a request that has just come.
    pub(super) fn of_new(request: &ServiceRequest, database_wait: Duration) -> Self {
        let deadline = Self(Rc::new(Cell::new(Instant::now() + database_wait + WORK)));
        request.extensions_mut().insert(deadline.clone());
        deadline
    }

    /// Waits until there is an answer; `None` when the time is over. What is given up then may still take place, as
    /// when an answer is lost on its way.
    pub(super) async fn wait_for<T>(&self, answer: impl Future<Output = T>) -> Option<T> {
        let mut answer = pin!(answer);
        loop {
            let next_look = self.0.get().min(Instant::now() + TICK);
            if let Ok(answer) = timeout_at(next_look, &mut answer).await {
                return Some(answer);
            }
            if self.0.get() <= Instant::now() {
                return None;
            }
        }
    }

    /// Stops the clock of a request for a while that is not our own, but for `at_most` this long.
    pub(super) fn pause(request: &HttpRequest, at_most: Duration) -> Option<Pause> {
        let deadline = request.extensions().get::<Self>()?.clone();
        let resumes_at = Instant::now() + at_most;
        deadline.0.set(deadline.0.get() + at_most);
        Some(Pause { deadline, resumes_at })
    }

    /// Lets a request take its time that is known to be much work.
    pub(super) fn lift(request: &HttpRequest) {
        const LONG: Duration = Duration::from_secs(60 * 60);
        if let Some(deadline) = request.extensions().get::<Self>() {
            deadline.0.set(deadline.0.get() + LONG);
        }
    }
}

/// The clock goes on when this is dropped.
pub(super) struct Pause {
    deadline: Deadline,
    resumes_at: Instant,
}

impl Drop for Pause {
    fn drop(&mut self) {
        let unused = self.resumes_at.saturating_duration_since(Instant::now());
        self.deadline.0.set(self.deadline.0.get() - unused);
    }
}

#[cfg(test)]
mod tests {
    use actix_web::middleware::from_fn;
    use actix_web::{App, HttpResponse, test, web};

    use super::super::answer::finish;
    use super::*;

    async fn never() -> HttpResponse {
        std::future::pending().await
    }

    /// As a body that comes slowly, and work that is quick after it.
    async fn slow_body(request: HttpRequest) -> HttpResponse {
        let pause = Deadline::pause(&request, Duration::from_secs(10));
        tokio::time::sleep(Duration::from_secs(8)).await;
        drop(pause);
        tokio::time::sleep(Duration::from_secs(1)).await;
        HttpResponse::Ok().finish()
    }

    async fn slow_body_and_slow_work(request: HttpRequest) -> HttpResponse {
        let pause = Deadline::pause(&request, Duration::from_secs(10));
        tokio::time::sleep(Duration::from_secs(8)).await;
        drop(pause);
        std::future::pending().await
    }

    #[actix_web::test]
    async fn an_answer_that_does_not_come_is_a_503_and_slow_clients_are_not_our_work() {
        tokio::time::pause();
        let routes = [("/never", web::get().to(never)), ("/body", web::get().to(slow_body))];
        let app =
            routes.into_iter().fold(App::new().wrap(from_fn(finish)), |app, (path, route)| app.route(path, route));
        let app = app.route("/both", web::get().to(slow_body_and_slow_work));
        let app = test::init_service(app).await;
        for (path, status, seconds) in [("/never", 503, 2..4), ("/body", 200, 9..10), ("/both", 503, 10..12)] {
            let began = Instant::now();
            let request = test::TestRequest::get().uri(path).to_request();
            let answer = match test::try_call_service(&app, request).await {
                Ok(response) => response.status(),
                Err(error) => error.error_response().status(),
            };
            assert_eq!(answer, status, "{path}");
            assert!(seconds.contains(&began.elapsed().as_secs()), "{path} took {:?}", began.elapsed());
        }
    }
}
