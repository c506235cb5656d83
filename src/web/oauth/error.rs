//! Errors as OAuth libraries read them: JSON with `error` and fixed words, never what was sent (RFC 6749 §5.2).

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::clients::{ClientAuthError, ClientGrantError};
use crate::auth::failure::Failure;
use crate::auth::refresh::{RefreshError, Refusal};
use crate::auth::revoke_token::RevokeError;
use crate::web::answer::OwnPage;
use crate::web::problem::{Code, Problem};

/// Why a request is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The request is not what it has to be; this says what is.
    InvalidRequest(&'static str),
    /// The body has a content coding, such as gzip (RFC 9110 §15.5.16).
    EncodedBody,
    /// The client is none, or has not proved to be it.
    InvalidClient,
    /// The refresh token is worth nothing, whyever.
    InvalidGrant,
    /// No such scope, or more than may be had.
    InvalidScope,
    /// The client may not ask this.
    InsufficientScope,
    /// There is no such grant here.
    UnsupportedGrantType,
    /// A token of this sort cannot be revoked.
    UnsupportedTokenType,
}

impl Refused {
    const fn status(self) -> StatusCode {
        match self {
            Self::InvalidClient => StatusCode::UNAUTHORIZED,
            Self::InsufficientScope => StatusCode::FORBIDDEN,
            Self::EncodedBody => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    const fn error(self) -> &'static str {
        match self {
            Self::InvalidRequest(_) | Self::EncodedBody => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::InvalidScope => "invalid_scope",
            Self::InsufficientScope => "insufficient_scope",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedTokenType => "unsupported_token_type",
        }
    }

    const fn description(self) -> &'static str {
        match self {
            Self::InvalidRequest(what) => what,
            Self::EncodedBody => "Send the form as it is, without a Content-Encoding.",
            Self::InvalidClient => "The client must prove who it is, with its id and one of its secrets.",
            Self::InvalidGrant => "The token is not accepted.",
            Self::InvalidScope => "The scope is unknown, or the client may not have it.",
            Self::InsufficientScope => "Only clients with the scope introspect and admins may ask this.",
            Self::UnsupportedGrantType => "The grants here are refresh_token and client_credentials.",
            Self::UnsupportedTokenType => {
                "An access token that a client got for itself ends with its secret, or expires."
            }
        }
    }

    /// How to prove who one is (RFC 6749 §5.2, RFC 6750 §3).
    const fn challenge(self) -> Option<&'static str> {
        match self {
            Self::InvalidClient => Some("Basic realm=\"relatch\""),
            Self::InsufficientScope => {
                Some("Bearer realm=\"relatch\", error=\"insufficient_scope\", scope=\"introspect\"")
            }
            _ => None,
        }
    }

    fn render(self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status());
        if let Some(challenge) = self.challenge() {
            answer.insert_header((header::WWW_AUTHENTICATE, challenge));
        }
        write(answer, self.error(), self.description())
    }
}

/// An error as it is written.
#[derive(Serialize, ToSchema)]
#[schema(as = OauthError)]
pub struct ErrorJson {
    error: &'static str,
    error_description: &'static str,
}

/// An error on its way to the client.
#[derive(Clone, Debug)]
pub enum OauthError {
    /// The request is refused.
    Refused(Refused),
    /// Anything else; the log may get its cause.
    Problem(Problem),
}

impl fmt::Display for OauthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => f.write_str(refused.error()),
            Self::Problem(problem) => problem.fmt(f),
        }
    }
}

impl ResponseError for OauthError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Refused(refused) => refused.status(),
            Self::Problem(problem) => problem.status_code(),
        }
    }

    /// A refusal is written here; a problem is a draft that `answer` finds, logs and has written by `of_problem`.
    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Refused(refused) => {
                let mut answer = refused.render();
                answer.extensions_mut().insert(OwnPage);
                answer
            }
            Self::Problem(problem) => problem.error_response(),
        }
    }
}

/// What went wrong around a handler or on our side, for OAuth libraries.
pub(in crate::web) fn of_problem(problem: &Problem) -> HttpResponse {
    let code = problem.code();
    let status = match code {
        Code::UnsupportedMediaType => StatusCode::BAD_REQUEST,
        code => code.status(),
    };
    let (error, description) = match code {
        Code::UnsupportedMediaType => ("invalid_request", "Send a form, as application/x-www-form-urlencoded."),
        Code::PayloadTooLarge => ("invalid_request", "Send at most 16 KiB."),
        Code::MethodNotAllowed => ("invalid_request", "Send a POST request."),
        Code::RequestTimeout => ("invalid_request", "Send the whole body without delay."),
        Code::NotFound => ("invalid_request", "There is no such endpoint."),
        Code::TooManyRefreshes => ("slow_down", "The token was used too often. It stays valid: wait for Retry-After."),
        Code::TooManyAttempts => ("slow_down", "There were too many wrong secrets or tokens. Wait for Retry-After."),
        Code::AuthenticationRequired | Code::InvalidToken => {
            ("invalid_token", "The access token is not accepted, or there is none.")
        }
        Code::InsufficientRole | Code::InsufficientScope => {
            let refused = Refused::InsufficientScope;
            (refused.error(), refused.description())
        }
        Code::OutcomeUnknown => {
            ("server_error", "Nobody knows whether this was done. Do not use the token again: sign in again.")
        }
        Code::StorageFull | Code::ServiceUnavailable => {
            ("temporarily_unavailable", "Send the same request again after the time in Retry-After.")
        }
        code if code.status().is_server_error() => {
            ("server_error", "Something went wrong here; the log has the cause.")
        }
        _ => ("invalid_request", "The request cannot be understood."),
    };
    let mut answer = problem.begin_answer();
    answer.status(status);
    if let Some(challenge) = code.challenge() {
        answer.insert_header((header::WWW_AUTHENTICATE, challenge));
    }
    write(answer, error, description)
}

fn write(mut answer: HttpResponseBuilder, error: &'static str, error_description: &'static str) -> HttpResponse {
    answer
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::PRAGMA, HeaderValue::from_static("no-cache")))
        .json(ErrorJson { error, error_description })
}

impl From<Refused> for OauthError {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Problem> for OauthError {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Failure> for OauthError {
    fn from(failure: Failure) -> Self {
        Self::Problem(failure.into())
    }
}

impl From<ClientAuthError> for OauthError {
    fn from(error: ClientAuthError) -> Self {
        match error {
            ClientAuthError::Invalid => Refused::InvalidClient.into(),
            ClientAuthError::Failed(failure) => failure.into(),
        }
    }
}

impl From<ClientGrantError> for OauthError {
    fn from(error: ClientGrantError) -> Self {
        match error {
            ClientGrantError::Scope => Refused::InvalidScope.into(),
            ClientGrantError::NoLongerPermitted => Refused::InvalidClient.into(),
            ClientGrantError::Failed(failure) => failure.into(),
        }
    }
}

impl From<RefreshError> for OauthError {
    /// Whyever a token is worth nothing, the answer is the same, so that it tells nothing of what is a token.
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Refused(Refusal::TooFrequent { .. })
            | RefreshError::OutcomeUnknown(_)
            | RefreshError::Failed(_) => Self::Problem(error.into()),
            RefreshError::Refused(_) => Refused::InvalidGrant.into(),
        }
    }
}

impl From<RevokeError> for OauthError {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::OfAnotherClient => Refused::InvalidGrant.into(),
            RevokeError::Unsupported => Refused::UnsupportedTokenType.into(),
            RevokeError::Failed(failure) => failure.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;

    use super::*;

    #[actix_web::test]
    async fn a12_every_word_of_every_error_is_of_the_letters_that_oauth_allows() {
        let refused = [
            Refused::InvalidRequest("Send a token."),
            Refused::InvalidClient,
            Refused::InvalidGrant,
            Refused::InvalidScope,
            Refused::InsufficientScope,
            Refused::UnsupportedGrantType,
            Refused::UnsupportedTokenType,
        ];
        let problems = Code::ALL.iter().map(|code| of_problem(&Problem::new(*code)));
        let mut seen = 0;
        for answer in refused.into_iter().map(Refused::render).chain(problems) {
            assert_eq!(answer.headers().get(header::CONTENT_TYPE).unwrap(), "application/json");
            assert_eq!(answer.headers().get(header::CACHE_CONTROL).unwrap(), "no-store");
            assert_eq!(answer.headers().get(header::PRAGMA).unwrap(), "no-cache");
            let body: serde_json::Value = serde_json::from_slice(&to_bytes(answer.into_body()).await.unwrap()).unwrap();
            assert_eq!(body.as_object().unwrap().len(), 2);
            for text in [&body["error"], &body["error_description"]] {
                let text = text.as_str().unwrap();
                let is_allowed = |byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
                assert!(!text.is_empty() && text.bytes().all(is_allowed), "{text}");
            }
            seen += 1;
        }
        assert_eq!(seen, refused.len() + Code::ALL.len());
    }
}
