//! From what a verb refused to what the client is told: the one place where errors become answers.

use std::time::Duration;

use super::{Code, FieldProblem, Problem};
use crate::auth::authenticate::AuthenticateError;
use crate::auth::bulk_revocation::BulkError;
use crate::auth::change_password::ChangePasswordError;
use crate::auth::clients::ManageError;
use crate::auth::end_session::EndError;
use crate::auth::failure::Failure;
use crate::auth::login::LoginError;
use crate::auth::readiness::NotReady;
use crate::auth::refresh::{RefreshError, Refusal};
use crate::auth::register::{RegisterError, Unacceptable};
use crate::auth::rotate_keys::{RetireError, RotateError};
use crate::auth::update_user::UpdateError;
use crate::auth::users::ListError;

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        if let Failure::TooManyAttempts { retry_after } = failure {
            return Self::retry_after(Code::TooManyAttempts, retry_after);
        }
        if failure.is_storage_full() {
            return Self::retry_after(Code::StorageFull, Duration::from_secs(5));
        }
        Self::failure(&failure, failure.is_passing())
    }
}

impl From<AuthenticateError> for Problem {
    fn from(error: AuthenticateError) -> Self {
        match error {
            AuthenticateError::Invalid | AuthenticateError::Ended(_) => Self::new(Code::InvalidToken),
            AuthenticateError::Expired => Self::with_detail(
                Code::InvalidToken,
                "The access token has expired. Get a new one with the refresh token.",
            ),
            AuthenticateError::Failed(failure) => failure.into(),
        }
    }
}

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::InvalidCredentials => Self::new(Code::InvalidCredentials),
            LoginError::Password(error) => {
                Self::fields(Code::ValidationFailed, vec![FieldProblem::member("password", error)])
            }
            LoginError::Failed(failure) => failure.into(),
        }
    }
}

impl From<RefreshError> for Problem {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Refused(Refusal::Invalid) => Self::new(Code::RefreshTokenInvalid),
            RefreshError::Refused(Refusal::Expired) => Self::new(Code::RefreshTokenExpired),
            RefreshError::Refused(Refusal::Reused) => Self::new(Code::RefreshTokenReused),
            RefreshError::Refused(Refusal::SessionRevoked) => Self::new(Code::SessionRevoked),
            RefreshError::Refused(Refusal::AccountDisabled) => Self::new(Code::AccountDisabled),
            RefreshError::Refused(Refusal::TooFrequent { retry_after }) => {
                Self::retry_after(Code::TooManyRefreshes, retry_after)
            }
            RefreshError::OutcomeUnknown(failure) => Self::with_cause(Code::OutcomeUnknown, failure),
            RefreshError::Failed(failure) => failure.into(),
        }
    }
}

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Self {
        let members = |list: Vec<(&str, Option<String>)>| {
            list.into_iter().filter_map(|(name, wrong)| wrong.map(|wrong| FieldProblem::member(name, wrong))).collect()
        };
        match error {
            RegisterError::Invalid(Unacceptable { username, email, password }) => Self::fields(
                Code::ValidationFailed,
                members(vec![
                    ("username", username.map(|error| error.to_string())),
                    ("email", email.map(|error| error.to_string())),
                    ("password", password.map(|error| error.to_string())),
                ]),
            ),
            RegisterError::Taken(taken) => Self::fields(
                Code::AlreadyTaken,
                members(vec![
                    ("username", taken.username.then(|| "is taken".to_owned())),
                    ("email", taken.email.then(|| "is taken".to_owned())),
                ]),
            ),
            RegisterError::Closed => Self::new(Code::RegistrationClosed),
            RegisterError::NoLongerPermitted => Self::new(Code::InvalidToken),
            RegisterError::RoleNotPermitted => Self::new(Code::RoleNotPermitted),
            RegisterError::Failed(failure) => failure.into(),
        }
    }
}

impl From<ChangePasswordError> for Problem {
    fn from(error: ChangePasswordError) -> Self {
        match error {
            ChangePasswordError::WrongPassword => Self::new(Code::WrongPassword),
            ChangePasswordError::Unacceptable(error) => {
                Self::fields(Code::ValidationFailed, vec![FieldProblem::member("newPassword", error)])
            }
            ChangePasswordError::NotFound => Self::new(Code::NotFound),
            ChangePasswordError::AccountChanged => Self::new(Code::AccountChanged),
            ChangePasswordError::TooManyWrong => Self::new(Code::InvalidToken),
            ChangePasswordError::Failed(failure) => failure.into(),
        }
    }
}

impl From<RotateError> for Problem {
    fn from(error: RotateError) -> Self {
        match error {
            RotateError::SharedKey => Self::with_detail(Code::InvalidRequest, error.to_string()),
            RotateError::NoLongerPermitted => Self::new(Code::InvalidToken),
            RotateError::Failed(failure) => failure.into(),
        }
    }
}

impl From<RetireError> for Problem {
    fn from(error: RetireError) -> Self {
        match error {
            RetireError::NotFound => Self::new(Code::NotFound),
            RetireError::NoLongerPermitted => Self::new(Code::InvalidToken),
            RetireError::Failed(failure) => failure.into(),
            RetireError::Signs | RetireError::Scheduled(_) | RetireError::StillAccepted(_) | RetireError::Already => {
                Self::with_detail(Code::InvalidRequest, error.to_string())
            }
        }
    }
}

impl From<UpdateError> for Problem {
    fn from(error: UpdateError) -> Self {
        match error {
            UpdateError::NotFound => Self::new(Code::NotFound),
            UpdateError::Email(error) => {
                Self::fields(Code::ValidationFailed, vec![FieldProblem::member("email", error)])
            }
            UpdateError::EmailTaken => {
                Self::fields(Code::AlreadyTaken, vec![FieldProblem::member("email", "is taken")])
            }
            UpdateError::NoLongerPermitted => Self::new(Code::InvalidToken),
            UpdateError::LastAdmin => Self::new(Code::LastAdmin),
            UpdateError::RoleChanged => Self::new(Code::AccountChanged),
            UpdateError::Failed(failure) => failure.into(),
        }
    }
}

impl From<EndError> for Problem {
    fn from(error: EndError) -> Self {
        match error {
            EndError::NotFound => Self::new(Code::NotFound),
            EndError::NoLongerPermitted => Self::new(Code::InvalidToken),
            EndError::Failed(failure) => failure.into(),
        }
    }
}

impl From<ManageError> for Problem {
    fn from(error: ManageError) -> Self {
        let field =
            |name, error: &ManageError| Self::fields(Code::ValidationFailed, vec![FieldProblem::member(name, error)]);
        match error {
            ManageError::NotFound => Self::new(Code::NotFound),
            ManageError::NoScope => field("scopes", &error),
            ManageError::ExpiryInThePast => field("expiresAt", &error),
            ManageError::TooManySecrets => Self::new(Code::TooManySecrets),
            ManageError::NoLongerPermitted => Self::new(Code::InvalidToken),
            ManageError::Failed(failure) => failure.into(),
        }
    }
}

impl From<BulkError> for Problem {
    fn from(error: BulkError) -> Self {
        match error {
            BulkError::NoLongerPermitted => Self::new(Code::InvalidToken),
            BulkError::Failed(failure) => failure.into(),
        }
    }
}

impl From<ListError> for Problem {
    fn from(error: ListError) -> Self {
        match error {
            ListError::BadCursor(error) => {
                Self::fields(Code::ValidationFailed, vec![FieldProblem::parameter("cursor", format!("is {error}"))])
            }
            ListError::Failed(failure) => failure.into(),
        }
    }
}

impl From<NotReady> for Problem {
    fn from(error: NotReady) -> Self {
        Self::failure(error, true)
    }
}
