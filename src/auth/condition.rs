//! The condition of the service, for operators: its store, what was deleted and copied last, and what is under way.

use std::time::Duration;

use serde_json::{Value, json};

use super::Auth;
use super::failure::Failure;
use crate::domain::timestamp::Timestamp;
use crate::store::PoolState;
use crate::store::condition::{self, Database, Progress};
use crate::store::files::Sizes;
use crate::store::meta::{self, Fact};

pub use crate::store::condition::UNSEALED_COUNTED;

/// What the last deletion of old rows came to, and what it counted on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LastPruning {
    /// When it was done.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// The longest step: how long a writer may have waited for it.
    pub longest_step: Duration,
    /// Sessions that were deleted.
    pub sessions: u64,
    /// Rotations that were deleted.
    pub rotations: u64,
    /// Users who were deleted for good.
    pub users: u64,
    /// Audit events that were deleted.
    pub events: u64,
    /// How many sessions were live.
    pub live_sessions: u64,
    /// How many accounts there were, without those that are deleted.
    pub accounts: u64,
}

impl LastPruning {
    pub(super) fn to_text(self) -> String {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        json!({
            "at": self.at.as_micros(),
            "tookMs": ms(self.took),
            "longestStepMs": ms(self.longest_step),
            "sessions": self.sessions,
            "rotations": self.rotations,
            "users": self.users,
            "events": self.events,
            "liveSessions": self.live_sessions,
            "accounts": self.accounts,
        })
        .to_string()
    }

    /// `None` for what an older or a newer version wrote in another way: it is counted again soon.
    pub(super) fn of_text(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let number = |name: &str| value.get(name)?.as_u64();
        Some(Self {
            at: Timestamp::from_micros(value.get("at")?.as_i64()?),
            took: Duration::from_millis(number("tookMs")?),
            longest_step: Duration::from_millis(number("longestStepMs")?),
            sessions: number("sessions")?,
            rotations: number("rotations")?,
            users: number("users")?,
            events: number("events")?,
            live_sessions: number("liveSessions")?,
            accounts: number("accounts")?,
        })
    }
}

/// A copy of the store that `relatch backup` made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LastBackup {
    /// When it was there.
    pub at: Timestamp,
    /// Its size in bytes.
    pub bytes: u64,
}

impl LastBackup {
    pub(super) fn to_text(self) -> String {
        json!({ "at": self.at.as_micros(), "bytes": self.bytes }).to_string()
    }

    pub(super) fn of_text(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        Some(Self { at: Timestamp::from_micros(value.get("at")?.as_i64()?), bytes: value.get("bytes")?.as_u64()? })
    }
}

/// A copy that could not be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FailedBackup {
    /// When that was tried.
    pub at: Timestamp,
    /// Why it could not.
    pub problem: String,
}

impl FailedBackup {
    pub(super) fn to_text(&self) -> String {
        json!({ "at": self.at.as_micros(), "problem": self.problem }).to_string()
    }

    pub(super) fn of_text(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let problem = value.get("problem")?.as_str()?.to_owned();
        Some(Self { at: Timestamp::from_micros(value.get("at")?.as_i64()?), problem })
    }
}

/// Everything at once.
#[derive(Clone, Debug)]
pub struct Condition {
    /// When this was.
    pub at: Timestamp,
    /// What the database says about itself.
    pub database: Database,
    /// What the store's own tables say.
    pub progress: Progress,
    /// The files of an SQLite store.
    pub files: Option<Sizes>,
    /// The connections.
    pub pool: PoolState,
    /// How far this machine's clock is from the database's; `None` where there is but one clock.
    pub clock_offset: Option<Duration>,
    /// The last deletion of old rows.
    pub pruning: Option<LastPruning>,
    /// The last copy.
    pub backup: Option<LastBackup>,
    /// A copy that could not be made, unless one was made later.
    pub failed_backup: Option<FailedBackup>,
}

/// What the last deletion of old rows came to; `None` when there was none yet.
pub async fn last_pruning(auth: &Auth) -> Result<Option<LastPruning>, Failure> {
    let text = auth.read(|connection| meta::get(connection, Fact::LastPruning)).await?;
    Ok(text.as_deref().and_then(LastPruning::of_text))
}

/// Looks, in three statements.
pub async fn condition(auth: &Auth) -> Result<Condition, Failure> {
    let (progress, [pruning, backup, failed]) = auth
        .read(|connection| {
            let facts = [Fact::LastPruning, Fact::LastBackup, Fact::LastFailedBackup];
            Ok((condition::progress(connection)?, meta::get_all(connection, facts)?))
        })
        .await?;
    // By itself, so that nothing comes between the two clocks.
    let database = auth.read(condition::database).await?;
    let at = auth.now();
    let backup = backup.as_deref().and_then(LastBackup::of_text);
    let failed = failed.as_deref().and_then(FailedBackup::of_text);
    Ok(Condition {
        at,
        clock_offset: database.now().map(|theirs| at.since(theirs).max(theirs.since(at))),
        database,
        progress,
        files: auth.store.file_sizes(),
        pool: auth.store.pool_state(),
        pruning: pruning.as_deref().and_then(LastPruning::of_text),
        failed_backup: failed.filter(|failed| backup.is_none_or(|backup| backup.at < failed.at)),
        backup,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_read_back() {
        let at = Timestamp::from_micros(1_795_536_000_250_000);
        let pruning = LastPruning {
            at,
            took: Duration::from_millis(1_234),
            longest_step: Duration::from_millis(12),
            sessions: 1,
            rotations: 2,
            users: 3,
            events: 4,
            live_sessions: 5,
            accounts: 6,
        };
        assert_eq!(LastPruning::of_text(&pruning.to_text()), Some(pruning));
        let backup = LastBackup { at, bytes: 7 };
        assert_eq!(LastBackup::of_text(&backup.to_text()), Some(backup));
        let failed = FailedBackup { at, problem: "\"no\" room".to_owned() };
        assert_eq!(FailedBackup::of_text(&failed.to_text()), Some(failed));
        for text in ["", "{}", "null", "{\"at\":\"yesterday\"}"] {
            assert_eq!(LastPruning::of_text(text), None);
            assert_eq!(LastBackup::of_text(text), None);
            assert_eq!(FailedBackup::of_text(text), None);
        }
    }
}
