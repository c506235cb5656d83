//! Following the changes in the store: what any instance or command changes is known to all within a second, and to
//! the one that made the change before it is acknowledged.

use std::time::{Duration, Instant};

use super::failure::Failure;
use super::{Auth, signing_keys};
use crate::store::changes::{self, Change, Position};

/// How often the changes of others are read. Half a second of a slow read still leaves them known within one.
const EVERY: Duration = Duration::from_millis(250);

/// Reads what is new and drops what is remembered of it.
///
/// # Errors
/// When the store cannot be read. Nothing that is remembered is trusted until it can.
pub(super) async fn catch_up(auth: &Auth) -> Result<(), Failure> {
    let mut position = auth.position.lock().await;
    let asked_at = Instant::now();
    match read(auth, position.take()).await {
        Ok((changes, end)) => {
            auth.memory.follow(&changes, asked_at);
            auth.status_lists.follow(&changes, asked_at);
            *position = Some(end);
            Ok(())
        }
        Err(failure) => {
            auth.memory.distrust();
            Err(failure)
        }
    }
}

async fn read(auth: &Auth, position: Option<Position>) -> Result<(Vec<Change>, Position), Failure> {
    let Some(since) = position else {
        let end = auth.read(changes::end).await?;
        // What was read before may be older than the end of the changes, and signing keys may have been replaced meanwhile.
        auth.memory.distrust();
        auth.status_lists.distrust();
        signing_keys::reload_now(auth).await?;
        return Ok((Vec::new(), end));
    };
    let (changes, end) = auth.read(move |connection| changes::since(connection, since)).await?;
    if changes.contains(&Change::Everybody) || changes.contains(&Change::Keys) {
        signing_keys::reload_now(auth).await?;
    }
    Ok((changes, end))
}

/// Reads what is new for as long as `auth` gives the verbs to work with.
pub async fn follow<A: AsRef<Auth>>(auth: impl Fn() -> Option<A>) {
    let mut was_lost = false;
    while let Some(auth) = auth() {
        let caught_up = catch_up(auth.as_ref()).await;
        drop(auth);
        match &caught_up {
            Ok(()) if was_lost => tracing::info!("changes in the store are followed again"),
            Err(failure) if !was_lost => tracing::warn!(%failure, "changes in the store cannot be followed"),
            _ => {}
        }
        was_lost = caught_up.is_err();
        tokio::time::sleep(EVERY).await;
    }
}
