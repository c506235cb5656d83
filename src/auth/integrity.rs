//! Looking for damage in the store: read-only, one check at a time, and what came of the last one.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Auth;
use super::failure::Failure;
use crate::domain::timestamp::Timestamp;
use crate::store::condition;

/// What came of a check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checked {
    /// When it was over.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What was looked at.
    pub what: String,
    /// What is wrong; nothing when all is well.
    pub problems: Vec<String>,
}

/// Where this instance is with it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum IntegrityState {
    /// Nobody has asked since the start.
    #[default]
    Unchecked,
    /// It is being looked.
    Checking,
    /// It was looked.
    Checked(Checked),
}

#[derive(Debug, Default)]
pub(super) struct Integrity(Mutex<IntegrityState>);

impl Integrity {
    fn set(&self, state: IntegrityState) -> IntegrityState {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), state)
    }
}

/// Where this instance is with its check.
pub fn integrity_state(auth: &Auth) -> IntegrityState {
    auth.integrity.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Looks for damage; `None` when that is being done already. It takes one connection for as long as it takes.
pub async fn check_integrity(auth: &Auth) -> Result<Option<Checked>, Failure> {
    let before = auth.integrity.set(IntegrityState::Checking);
    if before == IntegrityState::Checking {
        return Ok(None);
    }
    let began = Instant::now();
    match auth.read(condition::check).await {
        Ok(found) => {
            let (at, took) = (auth.now(), began.elapsed());
            let checked = Checked { at, took, what: found.checked, problems: found.problems };
            auth.integrity.set(IntegrityState::Checked(checked.clone()));
            Ok(Some(checked))
        }
        Err(failure) => {
            auth.integrity.set(before);
            Err(failure)
        }
    }
}
