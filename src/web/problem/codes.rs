//! The codes of problems: stable names that clients may decide by. docs/api.md lists them too, and a test holds it.

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderValue;

macro_rules! codes {
    ($($variant:ident $name:literal $status:ident $title:literal $advice:literal)*) => {
        /// A kind of problem.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[expect(missing_docs, reason = "titles and advice say it")]
        pub enum Code { $($variant),* }

        impl Code {
            /// Every code, in the order in which they are documented.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The stable name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The status that the answer has.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),* }
            }

            /// What happened, the same words for every occurrence (RFC 9457 §3.1.3).
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),* }
            }

            /// What the client can do.
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice),* }
            }
        }
    };
}

codes! {
    InvalidJson "invalid_json" BAD_REQUEST "The body is not valid JSON"
        "Send one JSON value in UTF-8, without a member twice and with nothing behind it."
    ValidationFailed "validation_failed" BAD_REQUEST "The request is not acceptable as it is"
        "Correct what errors points to and send it again."
    InvalidRequest "invalid_request" BAD_REQUEST "The request cannot be understood"
        "Send a well-formed request with at most one Authorization header."
    AuthenticationRequired "authentication_required" UNAUTHORIZED "An access token is needed"
        "Send the access token as: Authorization: Bearer <token>."
    InvalidToken "invalid_token" UNAUTHORIZED "The access token is not accepted"
        "Get a new access token with the refresh token, or sign in again when that is refused too."
    InvalidCredentials "invalid_credentials" UNAUTHORIZED "The sign-in failed"
        "The username or the password is wrong, or this account cannot be used."
    RefreshTokenInvalid "refresh_token_invalid" UNAUTHORIZED "This is not a refresh token"
        "The token is not one of this server. Sign in again."
    RefreshTokenExpired "refresh_token_expired" UNAUTHORIZED "The refresh token has expired"
        "The session was not used in time or has reached its longest life. Sign in again."
    RefreshTokenReused "refresh_token_reused" UNAUTHORIZED "The refresh token had been used before"
        "An older token of the session was presented, which looks like theft, so the session was ended. Sign in again."
    SessionRevoked "session_revoked" UNAUTHORIZED "The session has ended"
        "The session was signed out or revoked. Sign in again."
    AccountDisabled "account_disabled" UNAUTHORIZED "The account is disabled"
        "An administrator has disabled the account. Ask an administrator."
    WrongPassword "wrong_password" FORBIDDEN "The current password is wrong"
        "Send the current password of the account in currentPassword."
    InsufficientRole "insufficient_role" FORBIDDEN "This needs another role"
        "Only administrators may do this."
    InsufficientScope "insufficient_scope" FORBIDDEN "The client may not do this"
        "This access token is a client's own. The client needs a scope for this, or only users may do it."
    RoleNotPermitted "role_not_permitted" FORBIDDEN "This role may not be given"
        "Only an administrator may register administrators. Leave the role out, or send 1 or \"User\"."
    RegistrationClosed "registration_closed" FORBIDDEN "Registration is closed"
        "Only an administrator registers users here. Ask an administrator."
    FormRefused "form_refused" FORBIDDEN "The form was not accepted"
        "Nothing was changed. Go back, reload the page and send the form again, in one browser that accepts cookies."
    NotFound "not_found" NOT_FOUND "There is nothing here"
        "Check the path and the id in it."
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED "The method is not allowed here"
        "Use one of the methods in the Allow header."
    RequestTimeout "request_timeout" REQUEST_TIMEOUT "The request took too long to arrive"
        "Send the whole body without delay."
    AlreadyTaken "already_taken" CONFLICT "Somebody has this already"
        "Choose another value for what errors points to."
    LastAdmin "last_admin" CONFLICT "This is the last administrator"
        "Make another user an administrator first."
    AccountChanged "account_changed" CONFLICT "The account was changed meanwhile"
        "Read the account again and repeat what is still needed."
    TooManySecrets "too_many_secrets" CONFLICT "The client has two secrets already"
        "Revoke one of them first."
    PayloadTooLarge "payload_too_large" PAYLOAD_TOO_LARGE "The body is too large"
        "Send at most 16 KiB."
    UriTooLong "uri_too_long" URI_TOO_LONG "The address is too long"
        "Send a shorter path and query."
    UnsupportedMediaType "unsupported_media_type" UNSUPPORTED_MEDIA_TYPE "The body is not of a supported type"
        "Send Content-Type: application/json in UTF-8, without a Content-Encoding."
    TooManyRefreshes "too_many_refreshes" TOO_MANY_REQUESTS "The session is refreshed too often"
        "Wait as long as Retry-After says; the refresh token stays valid. Refresh when refreshAfter has passed."
    TooManyAttempts "too_many_attempts" TOO_MANY_REQUESTS "There were too many attempts"
        "Wait as long as Retry-After says. From a network that the account was used from before it may work at once, and an administrator can lift the block."
    InternalError "internal_error" INTERNAL_SERVER_ERROR "Something went wrong here"
        "Report the requestId to whoever runs this server; its log has the cause under it."
    HistoryUnsupported "history_unsupported" NOT_IMPLEMENTED "Only the present is known"
        "Leave the parameter time out: there is no status list of an earlier or later time."
    OutcomeUnknown "outcome_unknown" SERVICE_UNAVAILABLE "Nobody knows whether this was done"
        "The database was lost while the refresh token was being spent. Using it again may end the session: sign in again."
    StorageFull "storage_full" SERVICE_UNAVAILABLE "The server's disk is full"
        "Nothing was changed. Tell whoever runs this server; revocations are still possible."
    ServiceUnavailable "service_unavailable" SERVICE_UNAVAILABLE "The server cannot answer now"
        "Send the same request again after the time in Retry-After."
}

impl Code {
    /// The code of this name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == name)
    }

    /// The `type` of the problem: a path on this server (RFC 9457 §3.1.1).
    pub fn uri(self) -> String {
        format!("/problems/{}", self.as_str())
    }

    /// For refusals of a token and of a whole request: whether the same request may succeed later.
    pub const fn retryable(self) -> Option<bool> {
        match self {
            Self::InvalidToken
            | Self::RefreshTokenInvalid
            | Self::RefreshTokenExpired
            | Self::RefreshTokenReused
            | Self::SessionRevoked
            | Self::AccountDisabled
            | Self::OutcomeUnknown => Some(false),
            Self::RequestTimeout
            | Self::TooManyRefreshes
            | Self::TooManyAttempts
            | Self::StorageFull
            | Self::ServiceUnavailable => Some(true),
            _ => None,
        }
    }

    /// The `WWW-Authenticate` that goes with it (RFC 6750 §3). Without a token there is no `error` in it.
    pub(in crate::web) fn challenge(self) -> Option<HeaderValue> {
        let challenge = match self {
            Self::InvalidToken => "Bearer realm=\"relatch\", error=\"invalid_token\"",
            Self::InsufficientRole | Self::InsufficientScope => {
                "Bearer realm=\"relatch\", error=\"insufficient_scope\""
            }
            _ if self.status() == StatusCode::UNAUTHORIZED => "Bearer realm=\"relatch\"",
            _ => return None,
        };
        Some(HeaderValue::from_static(challenge))
    }

    /// Whether there may be more of the request on the connection that nobody wants to read.
    pub(super) const fn ends_connection(self) -> bool {
        matches!(self, Self::PayloadTooLarge | Self::RequestTimeout)
    }

    /// The code for what the framework answers by itself.
    pub(super) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::AuthenticationRequired,
            StatusCode::FORBIDDEN => Self::InsufficientRole,
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::REQUEST_TIMEOUT => Self::RequestTimeout,
            StatusCode::PAYLOAD_TOO_LARGE => Self::PayloadTooLarge,
            StatusCode::URI_TOO_LONG => Self::UriTooLong,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType,
            StatusCode::SERVICE_UNAVAILABLE => Self::ServiceUnavailable,
            status if status.is_client_error() => Self::InvalidRequest,
            _ => Self::InternalError,
        }
    }
}
