//! Errors as clients see them: problem details (RFC 9457), each with a stable code.
//!
//! A handler returns a [`Problem`]; the middleware of `answer` writes the body, since only it knows the request's id.

mod codes;
mod of_verbs;

pub use codes::Code;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

/// An error on its way to the client.
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: Cow<'static, str>,
    errors: Vec<FieldProblem>,
    retry_after: Option<Duration>,
    /// For the log alone.
    cause: Option<String>,
}

/// What is wrong with one part of the request (RFC 9457 §3).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct FieldProblem {
    /// Where in the body, as the fragment form of a JSON pointer (RFC 6901 §6), or which parameter of the query.
    pub pointer: String,
    /// What is wrong. It never repeats what was sent.
    pub detail: String,
}

impl FieldProblem {
    /// About a member of the body.
    pub fn member(name: &str, detail: impl fmt::Display) -> Self {
        Self { pointer: format!("#/{name}"), detail: detail.to_string() }
    }

    /// About a parameter of the query.
    pub fn parameter(name: &str, detail: impl fmt::Display) -> Self {
        Self { pointer: format!("?{name}"), detail: detail.to_string() }
    }
}

impl Problem {
    /// A problem with the usual words for its code.
    pub fn new(code: Code) -> Self {
        Self { code, detail: Cow::Borrowed(code.advice()), errors: Vec::new(), retry_after: None, cause: None }
    }

    /// A problem with these words.
    pub fn with_detail(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { detail: detail.into(), ..Self::new(code) }
    }

    /// Parts of the request are not acceptable.
    pub fn fields(code: Code, errors: Vec<FieldProblem>) -> Self {
        Self { errors, ..Self::new(code) }
    }

    /// Later it may succeed.
    pub fn retry_after(code: Code, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..Self::new(code) }
    }

    /// Our side failed; the log gets the cause.
    pub fn failure(cause: impl fmt::Display, is_passing: bool) -> Self {
        let problem = if is_passing {
            Self::retry_after(Code::ServiceUnavailable, Duration::from_secs(1))
        } else {
            Self::new(Code::InternalError)
        };
        Self { cause: Some(cause.to_string()), ..problem }
    }

    /// A problem whose cause the log gets.
    pub fn with_cause(code: Code, cause: impl fmt::Display) -> Self {
        Self { cause: Some(cause.to_string()), ..Self::new(code) }
    }

    /// What a bare status of the framework means.
    pub fn of_status(status: StatusCode) -> Self {
        Self::new(Code::of_status(status))
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What the log should say besides.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// What the client can do.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Which parts of the request it is about.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn pointers(&self) -> impl Iterator<Item = &str> {
        self.errors.iter().map(|error| error.pointer.as_str())
    }

    /// The whole answer, for programs.
    pub fn render(&self, request_id: &str) -> HttpResponse {
        let status = self.code.status();
        let mut answer = self.begin_answer();
        if let Some(challenge) = self.code.challenge() {
            answer.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        answer.content_type(HeaderValue::from_static("application/problem+json")).json(ProblemBody {
            r#type: self.code.uri(),
            title: self.code.title(),
            status: status.as_u16(),
            detail: &self.detail,
            code: self.code.as_str(),
            request_id,
            retryable: self.code.retryable(),
            errors: &self.errors,
        })
    }

    /// The status and headers of the answer, whatever its body.
    pub(in crate::web) fn begin_answer(&self) -> HttpResponseBuilder {
        let mut answer = HttpResponse::build(self.code.status());
        if let Some(wait) = self.retry_after {
            answer.insert_header((header::RETRY_AFTER, whole_seconds(wait)));
        }
        if self.code.ends_connection() {
            answer.force_close();
        }
        answer
    }
}

/// At least one second, rounded up: whoever waits this long does not come too early.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// Problem details (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProblemBody<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retryable: Option<bool>,
    #[serde(skip_serializing_if = "<[FieldProblem]>::is_empty")]
    errors: &'a [FieldProblem],
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.as_str())
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    /// A draft: `answer` finds the problem in it and renders that.
    fn error_response(&self) -> HttpResponse {
        let mut draft = HttpResponse::new(self.code.status());
        draft.extensions_mut().insert(self.clone());
        draft
    }
}

/// `GET /problems/{code}`: what the `type` of a problem leads to.
pub async fn show_problem(path: actix_web::web::Path<String>) -> Result<HttpResponse, Problem> {
    let code = Code::find(&path).ok_or_else(|| Problem::new(Code::NotFound))?;
    let text = format!("{}\n\nstatus: {}\ncode: {}\n\n{}\n", code.title(), code.status(), code.as_str(), code.advice());
    Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(text))
}

/// Whether a method is one that RFC 9110 §9 or RFC 5789 defines; others are not put into statistics under their name.
pub fn is_usual(method: &Method) -> bool {
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"].contains(&method.as_str())
}
