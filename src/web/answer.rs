//! What every answer gets on its way out: a request id, security headers, a problem's body; and the access log.
//!
//! A panic in a handler becomes a 500 of that one request.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpResponse};
use futures_util::FutureExt as _;
use uuid::Uuid;

use super::client::address_of;
use super::connections::{Conversation, Turn};
use super::cors::Cors;
use super::deadline::Deadline;
use super::faults::Fault;
use super::problem::{Code, Problem};
use super::state::State;
use super::{admin, oauth, security};
use crate::auth::entropy;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of the request, in the answer's `x-request-id` and in the log.
#[derive(Clone, Copy, Debug)]
pub struct RequestId(pub Uuid);

/// Marks an error's answer that has its own page for a body.
pub(super) struct OwnPage;

/// The outermost middleware.
pub async fn finish<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if !request.method().is_safe() {
        fit(request.headers_mut());
    }
    let turn = begin_turn(&request);
    let id = entropy::uuid().unwrap_or_default();
    request.extensions_mut().insert(RequestId(id));
    let id = id.to_string();
    let began = Instant::now();
    let state = request.app_data::<actix_web::web::Data<State>>().cloned();
    let method = request.method().clone();
    let path = security::loggable(request.path());
    let reader = match request.path() {
        path if admin::is_page(path) => Reader::Person,
        path if oauth::is_path(path) => Reader::Library,
        _ => Reader::Program,
    };
    let trusted = state.as_ref().map_or(&[][..], |state| &state.trusted_proxies);
    let source = address_of(request.peer_addr(), request.headers(), trusted);
    let failing = Failing { id: &id, reader, source, state: state.as_ref().map(actix_web::web::Data::get_ref) };

    let is_encoded = request.headers().contains_key(header::CONTENT_ENCODING);
    let cors = state.as_ref().and_then(|state| Cors::of(&request, &state.cors_origins));
    let has_faults = state.as_ref().is_some_and(|state| state.faults);
    let fault = if has_faults { Fault::of(&request) } else { Ok(None) };
    let https = state.as_ref().is_some_and(|state| state.public_url.is_https());
    let add_headers = |headers: &mut HeaderMap| {
        add_headers(headers, &id, https);
        if let Some(cors) = &cors {
            cors.add_headers(headers);
        }
    };
    let early = cors.as_ref().and_then(|cors| cors.preflight(has_faults));
    let early = early.or_else(|| fault.as_ref().err().map(|problem| failing.log_and_render(problem)));
    let fault = fault.ok().flatten().filter(|_| early.is_none());
    if let (Some(fault), Some(state)) = (&fault, &state) {
        fault.happen_before(&state.auth).await;
    }
    let (result, route) = match early {
        Some(response) => (Ok(request.into_response(response)), None),
        None => failing.call(request, next).await,
    };
    // What tells a body that is compressed from one of another type (RFC 9110 §12.5.3).
    let add_headers = |status, headers: &mut HeaderMap| {
        add_headers(headers);
        if is_encoded && status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
    };
    let (status, result) = match result {
        Ok(mut response) => {
            add_headers(response.status(), response.headers_mut());
            (response.status(), Ok(response.map_body(|_, body| until_taken(turn, body))))
        }
        Err(mut response) => {
            add_headers(response.status(), response.headers_mut());
            (response.status(), Err(InternalError::from_response("", last_part(response, turn)).into()))
        }
    };
    let elapsed = began.elapsed();
    if let Some(state) = state {
        state.metrics.count(&method, route.as_deref(), status, elapsed);
    }
    // Without the query: it may hold what somebody typed.
    tracing::info!(
        target: "relatch::access",
        method = method.as_str(),
        path,
        status = status.as_u16(),
        ms = elapsed.as_millis(),
        source = source.map(|source| source.to_string()),
        request_id = id,
        "request"
    );
    if let Some(fault) = fault {
        fault.happen_after().await;
    }
    result
}

/// All that the listener of metrics has of this: its connections know whose turn it is.
pub async fn keep_turn(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let turn = begin_turn(&request);
    let response = next.call(request).await?;
    Ok(response.map_body(|_, body| until_taken(turn, body.boxed())))
}

/// A server of tests may have no connection.
fn begin_turn(request: &ServiceRequest) -> Option<Turn> {
    request.request().conn_data::<Conversation>().map(Conversation::begin_turn)
}

/// Takes no more room for headers than there are. The library makes room for 28 in every request, which is a third of what
/// a connection takes on which a body is dripped.
fn fit(headers: &mut HeaderMap) {
    let all = std::mem::take(headers);
    headers.reserve(all.len_keys());
    for (name, value) in all {
        headers.append(name, value);
    }
}

/// An answer with whose body the turn ends.
fn last_part(response: HttpResponse, turn: Option<Turn>) -> HttpResponse {
    response.map_body(|_, body| until_taken(turn, body))
}

fn until_taken(turn: Option<Turn>, body: BoxBody) -> BoxBody {
    match turn {
        Some(turn) => turn.until_taken(body),
        None => body,
    }
}

/// Who reads what went wrong.
#[derive(Clone, Copy)]
enum Reader {
    Person,
    Program,
    /// Of OAuth, which knows nothing of problems.
    Library,
}

/// A request, as far as it matters when it fails.
struct Failing<'a> {
    id: &'a str,
    reader: Reader,
    source: Option<IpAddr>,
    state: Option<&'a State>,
}

impl Failing<'_> {
    /// The answer to a request, with the pattern of its route; what failed is an error.
    async fn call<B: MessageBody + 'static>(
        &self,
        request: ServiceRequest,
        next: Next<B>,
    ) -> (Result<ServiceResponse<BoxBody>, HttpResponse>, Option<String>) {
        // A server of tests may have no state; its answers come without a wait for any database.
        let database_wait = self.state.map_or(Duration::ZERO, |state| state.database_wait);
        let deadline = Deadline::of_new(&request, database_wait);
        let answer = AssertUnwindSafe(next.call(request)).catch_unwind();
        match deadline.wait_for(answer).await {
            None => {
                let problem = Problem::failure("the answer would have come too late", true);
                (Err(self.log_and_render(&problem)), None)
            }
            Some(Ok(Ok(response))) => {
                let route = response.request().match_pattern();
                (Ok(self.with_problem_body(response)), route)
            }
            Some(Ok(Err(error))) => (Err(self.render_error(&error)), None),
            Some(Err(_)) => (Err(self.log_and_render(&Problem::failure("a handler panicked", false))), None),
        }
    }

    /// Writes the body of an error, whether a handler or the framework made it.
    fn with_problem_body<B: MessageBody + 'static>(&self, response: ServiceResponse<B>) -> ServiceResponse<BoxBody> {
        let status = response.status();
        let problem = response.response().extensions().get::<Problem>().cloned();
        if response.response().extensions().contains::<OwnPage>() {
            self.log_of_page(problem.as_ref());
            return response.map_into_boxed_body();
        }
        if !status.is_client_error() && !status.is_server_error() {
            return response.map_into_boxed_body();
        }
        let problem = problem.unwrap_or_else(|| Problem::of_status(status));
        let mut rendered = self.log_and_render(&problem);
        for allow in response.headers().get_all(header::ALLOW) {
            rendered.headers_mut().append(header::ALLOW, allow.clone());
        }
        response.into_response(rendered)
    }

    fn render_error(&self, error: &Error) -> HttpResponse {
        let draft = error.error_response();
        let status = draft.status();
        let problem = draft.extensions().get::<Problem>().cloned();
        if draft.extensions().contains::<OwnPage>() {
            self.log_of_page(problem.as_ref());
            return draft;
        }
        if !status.is_client_error() && !status.is_server_error() {
            return draft;
        }
        self.log_and_render(&problem.unwrap_or_else(|| Problem::of_status(status)))
    }

    /// Most pages tell of no problem.
    fn log_of_page(&self, problem: Option<&Problem>) {
        if let Some(problem) = problem {
            self.log(problem);
        }
    }

    fn log_and_render(&self, problem: &Problem) -> HttpResponse {
        self.log(problem);
        match self.reader {
            Reader::Person => admin::error_page::of_problem(problem, self.id),
            Reader::Program => problem.render(self.id),
            Reader::Library => oauth::error::of_problem(problem),
        }
    }

    fn log(&self, problem: &Problem) {
        let (id, cause) = (self.id, problem.cause().unwrap_or("unknown"));
        match problem.code() {
            Code::InternalError => tracing::error!(request_id = id, cause, "a request failed"),
            Code::ServiceUnavailable | Code::OutcomeUnknown => {
                tracing::warn!(request_id = id, cause, "a request was put off");
            }
            _ => security::log_problem(problem, id, self.source, self.state),
        }
    }
}

/// Answers are for programs: no browser may run, frame, sniff, cache or leak them (ASVS 5.0 §3.4).
fn add_headers(headers: &mut HeaderMap, id: &str, https: bool) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(X_REQUEST_ID, id);
    }
    let defaults = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in defaults {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    if https {
        let two_years = HeaderValue::from_static("max-age=63072000; includeSubDomains");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, two_years);
    }
}

#[cfg(test)]
mod tests {
    use actix_web::middleware::from_fn;
    use actix_web::{App, test, web};

    use super::*;

    async fn explode() -> HttpResponse {
        panic!("hunter2")
    }

    #[actix_web::test]
    async fn headers_keep_their_order_and_take_less_room() {
        let mut headers = HeaderMap::with_capacity(16);
        let hop = HeaderName::from_static("x-forwarded-for");
        for value in ["203.0.113.1", "192.0.2.1"] {
            headers.append(hop.clone(), HeaderValue::from_static(value));
        }
        headers.append(header::HOST, HeaderValue::from_static("relatch.example"));
        let capacity = headers.capacity();
        fit(&mut headers);
        assert!(headers.get_all(&hop).eq(["203.0.113.1", "192.0.2.1"]) && headers.len() == 3);
        assert!(headers.capacity() < capacity);
    }

    #[actix_web::test]
    async fn q7_a_panic_is_the_500_of_one_request_and_tells_nothing() {
        let app = App::new().wrap(from_fn(finish)).route("/explode", web::get().to(explode));
        let app = test::init_service(app).await;
        for _ in 0..3 {
            let request = test::TestRequest::get().uri("/explode").to_request();
            let error = test::try_call_service(&app, request).await.unwrap_err();
            let response = error.error_response();
            assert_eq!(response.status(), 500);
            assert_eq!(response.headers().get(header::CONTENT_TYPE).unwrap(), "application/problem+json");
            assert!(response.headers().contains_key(X_REQUEST_ID));
            let body = actix_web::body::to_bytes(response.into_body()).await.unwrap_or_default();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["code"], "internal_error");
            assert!(!body.to_string().contains("hunter2"));
        }
        let request = test::TestRequest::get().uri("/nowhere").to_request();
        assert_eq!(test::call_service(&app, request).await.status(), 404);
    }
}
