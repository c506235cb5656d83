//! What can go wrong on our side, in any verb. The client learns only whether trying again is worth it.

use std::time::Duration;

use super::access_tokens::KeyError;
use super::entropy::NoEntropy;
use super::passwords::HashingError;
use crate::store::error::StoreError;

/// Why a verb could not come to an answer. Its text is for the log.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The database gave no answer.
    #[error(transparent)]
    Store(StoreError),
    /// No password could be hashed.
    #[error(transparent)]
    Hashing(#[from] HashingError),
    /// No token could be signed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Too much was tried already: by somebody's network, at an account, or altogether.
    #[error("too many attempts")]
    TooManyAttempts {
        /// How long to wait before the next one.
        retry_after: Duration,
    },
    /// No randomness could be drawn.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

impl Failure {
    /// Whether there is no room for what was to be written.
    pub const fn is_storage_full(&self) -> bool {
        matches!(self, Self::Store(StoreError::StorageFull))
    }

    /// Whether a write may have been made nonetheless.
    pub const fn is_of_unknown_outcome(&self) -> bool {
        matches!(self, Self::Store(StoreError::OutcomeUnknown(_)))
    }

    /// Whether the same request may succeed a little later.
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Store(error) => error.is_passing(),
            Self::Hashing(error) => matches!(error, HashingError::Busy),
            Self::TooManyAttempts { .. } => true,
            Self::Key(_) | Self::NoEntropy(_) => false,
        }
    }
}
