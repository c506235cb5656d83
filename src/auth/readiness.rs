//! Whether this instance can serve: its database answers, and their clocks agree.

use std::sync::Arc;
use std::time::Duration;

use super::Auth;
use super::failure::Failure;
use crate::domain::timestamp::CLOCK_TOLERANCE;

/// Why requests should go to another instance.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// This machine's clock and the database's are too far apart for tokens to be judged alike everywhere.
    #[error("this machine's clock is {}.{:03} s off the database's", .0.as_secs(), .0.subsec_millis())]
    Clock(Duration),
    /// The database does not answer.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Checks both.
pub async fn check(auth: &Auth) -> Result<(), NotReady> {
    let clock = Arc::clone(&auth.clock);
    let offset = auth.store.clock_offset(move || clock.now()).await.map_err(Failure::Store)?;
    if offset > CLOCK_TOLERANCE { Err(NotReady::Clock(offset)) } else { Ok(()) }
}
