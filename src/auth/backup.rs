//! Copies of an SQLite store, and going back to one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::condition::{FailedBackup, LastBackup};
use super::end_everything::end_everything;
use super::failure::Failure;
use super::start::{Purpose, StartError, start};
use crate::clock::Clock;
use crate::config::{Config, DatabaseUrl};
use crate::store::files::{self, FileError};
use crate::store::meta::Fact;

/// Why there is no copy, or why the store is what it was.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Postgres has tools of its own for this.
    #[error("on Postgres, use {0}")]
    Postgres(&'static str),
    /// A file could not be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The copy is not a store that this server can use.
    #[error("the backup cannot be used: {0}")]
    Unusable(#[from] StartError),
    /// Sessions could not be ended.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// What a restore did.
#[derive(Debug)]
pub struct Restored {
    /// How many sessions the backup had that were ended.
    pub sessions_ended: u64,
    /// Where the store that was replaced is now.
    pub replaced: Option<PathBuf>,
}

/// Writes a copy of the store, also while it is served; gives its size in bytes. The store remembers when that was, and
/// also that it was tried in vain. Blocks.
pub fn back_up(config: &Config, target: &Path, clock: &dyn Clock) -> Result<u64, BackupError> {
    let store = match &config.database_url {
        DatabaseUrl::Postgres(_) => return Err(BackupError::Postgres("pg_dump")),
        DatabaseUrl::Sqlite(store) => store,
    };
    let copied = files::back_up(store, target);
    let at = clock.now();
    let (fact, text) = match &copied {
        Ok(bytes) => (Fact::LastBackup, LastBackup { at, bytes: *bytes }.to_text()),
        Err(error) => (Fact::LastFailedBackup, FailedBackup { at, problem: error.to_string() }.to_text()),
    };
    if let Err(error) = files::remember(store, fact, &text) {
        tracing::warn!(%error, "the store does not remember this backup");
    }
    Ok(copied?)
}

/// Puts a copy in the place of the store, once every session in it has been ended: whatever was revoked since the copy
/// was made stays so. The store that was there is kept beside it.
pub async fn restore(config: &Config, backup: &Path, clock: Arc<dyn Clock>) -> Result<Restored, BackupError> {
    let DatabaseUrl::Sqlite(store) = &config.database_url else {
        return Err(BackupError::Postgres("pg_restore, and before serving again: relatch session revoke --all"));
    };
    let _alone = files::use_alone(store)?;
    let draft = files::copy_for_restore(backup, store)?;
    let now = clock.now();
    let draft_config = Config { database_url: DatabaseUrl::Sqlite(draft.clone()), ..config.clone() };
    let auth = start(&draft_config, clock, Purpose::Command).await?;
    let sessions_ended = end_everything(&auth).await?;
    auth.close();
    let replaced = files::put_in_place(&draft, store, &now.as_seconds().to_string())?;
    Ok(Restored { sessions_ended, replaced })
}
