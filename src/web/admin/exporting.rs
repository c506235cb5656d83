//! What exports have in common: few at a time, each with its event, and none that outlives the rights of its admin.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::guard::Console;
use crate::auth::audit::exported::{ExportError, Exported, note_export};
use crate::auth::console;
use crate::auth::failure::Failure;
use crate::domain::client::Client;
use crate::domain::role::Role;
use crate::domain::session::SessionId;
use crate::web::problem::{Code, Problem};
use crate::web::state::State;

/// How many exports an instance writes at a time: each takes a connection again and again, and they can be long.
const AT_ONCE: usize = 2;
/// When to ask again.
const LATER: Duration = Duration::from_secs(10);

/// Those that may begin.
#[derive(Clone, Debug)]
pub struct Exports(Arc<Semaphore>);

impl Default for Exports {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

/// An export under way. Its place is free again when this is dropped.
pub(super) struct Exporting {
    session: SessionId,
    client: Client,
    _place: OwnedSemaphorePermit,
}

/// Why an export breaks off, so that nobody takes the file for all there is.
#[derive(Debug, thiserror::Error)]
pub(super) enum BrokenOff {
    #[error("whoever wanted this may no longer do it")]
    NoLongerPermitted,
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl Exporting {
    /// Takes a place and puts the export down in the audit trail.
    pub(super) async fn begin(
        state: &State,
        console: &Console,
        client: Client,
        what: Exported,
        format: &'static str,
    ) -> Result<Self, Problem> {
        let place = Arc::clone(&state.exports.0).try_acquire_owned();
        let place = place.map_err(|_| Problem::retry_after(Code::ServiceUnavailable, LATER))?;
        match note_export(&state.auth, console.actor(), what, format, &client).await {
            Ok(()) => Ok(Self { session: console.principal().session_id, client, _place: place }),
            Err(ExportError::NoLongerPermitted) => Err(Problem::new(Code::InvalidToken)),
            Err(ExportError::Failed(failure)) => Err(failure.into()),
        }
    }

    /// Whether the next part may be written.
    pub(super) async fn go_on(&self, state: &State) -> Result<(), BrokenOff> {
        let user = console::look_up(&state.auth, self.session, &self.client).await?;
        match user {
            Some(user) if user.principal.user.role == Role::Admin => Ok(()),
            _ => Err(BrokenOff::NoLongerPermitted),
        }
    }
}

/// Tells the log that a file is not whole; the connection breaks off.
pub(super) fn log(broken: &BrokenOff) {
    tracing::warn!(%broken, "an export broke off");
}
