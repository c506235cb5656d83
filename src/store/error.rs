//! How a database fails, in the terms its callers act on.

use std::sync::Arc;

use diesel::result::{DatabaseErrorKind, Error};

/// Why a read or a write gave no result. Nothing was changed unless it is [`StoreError::OutcomeUnknown`].
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Too much waits already; try again later.
    #[error("the store is busy: {0}")]
    Busy(&'static str),
    /// The database cannot be reached.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// The commit failed in a way that leaves open whether it took place: a lost connection, a failing disk.
    #[error("nobody knows whether a commit took place: {0}")]
    OutcomeUnknown(String),
    /// Postgres gave up the transaction in favour of another, again and again.
    #[error("the transaction lost against others too often")]
    GivenUp,
    /// The disk of the database is full.
    #[error("the disk of the database is full")]
    StorageFull,
    /// A unique constraint was hit by a writer that came between.
    #[error("a unique value is taken")]
    Taken,
    /// A row that our own writes cannot have made.
    #[error("table {table}, row {row}: {problem}")]
    ImpossibleRow {
        /// The table.
        table: &'static str,
        /// The row's key.
        row: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Anything else: a defect of ours or of the database.
    #[error("the database failed: {0}")]
    Failed(#[source] Arc<Error>),
    /// A job panicked; its transaction was rolled back.
    #[error("a database job panicked")]
    Panicked,
}

impl StoreError {
    /// What a failed statement means that would have been committed by itself.
    pub(super) fn of_statement(error: Error) -> Self {
        match Self::from(error) {
            Self::Unreachable(what) => Self::OutcomeUnknown(what),
            known => known,
        }
    }

    /// What a failed commit means. The database has rolled back when it was too busy or its disk too full to begin;
    /// after anything else a part of the commit may have reached the disk, or all of it.
    pub(super) fn of_commit(error: Error) -> Self {
        match Self::of_statement(error) {
            Self::Failed(error) => Self::OutcomeUnknown(error.to_string()),
            known => known,
        }
    }

    /// Whether the connection may be of no more use.
    pub(super) const fn leaves_connection_unusable(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::OutcomeUnknown(_) | Self::Panicked)
    }

    /// Whether the database refused a statement, so that nothing of it is left.
    pub(super) fn undid_everything(&self) -> bool {
        matches!(self, Self::GivenUp)
            || matches!(self, Self::Failed(error) if matches!(**error, Error::DatabaseError(..)))
    }

    /// Whether the same request may succeed a little later.
    pub const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Busy(_) | Self::Unreachable(_) | Self::OutcomeUnknown(_) | Self::GivenUp | Self::StorageFull
        )
    }
}

/// An impossible row travels through diesel as a deserialization error, so that jobs need only one error type.
#[derive(Debug, thiserror::Error)]
#[error("table {table}, row {row}: {problem}")]
struct Impossible {
    table: &'static str,
    row: String,
    problem: &'static str,
}

/// The error for a row that our own writes cannot have made.
pub(crate) fn impossible_row(table: &'static str, row: impl ToString, problem: &'static str) -> Error {
    Error::DeserializationError(Box::new(Impossible { table, row: row.to_string(), problem }))
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error {
            Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => Self::Taken,
            Error::DeserializationError(inner) => match inner.downcast::<Impossible>() {
                Ok(row) => Self::ImpossibleRow { table: row.table, row: row.row, problem: row.problem },
                Err(inner) => Self::Failed(Arc::new(Error::DeserializationError(inner))),
            },
            error if is_connection_lost(&error) => Self::Unreachable(error.to_string()),
            error if is_serialization_failure(&error) => Self::GivenUp,
            error if is_storage_full(&error) => Self::StorageFull,
            error if is_disk_failing(&error) => Self::Unreachable(error.to_string()),
            error if is_locked(&error) => Self::Busy("another process holds a lock for too long"),
            error => Self::Failed(Arc::new(error)),
        }
    }
}

/// Whether the server or the network went away.
pub(crate) fn is_connection_lost(error: &Error) -> bool {
    match error {
        Error::BrokenTransactionManager => true,
        Error::DatabaseError(DatabaseErrorKind::ClosedConnection, _) => true,
        Error::DatabaseError(DatabaseErrorKind::UnableToSendCommand, _) => true,
        // libpq reports a lost server only in words; these are its own untranslated ones and the server's shutdown.
        Error::DatabaseError(_, info) => [
            "server closed the connection",
            "connection to server",
            "could not receive data from server",
            "could not send data to server",
            "no connection to the server",
            "terminating connection",
            "SSL connection has been closed",
            "the database system is",
        ]
        .iter()
        .any(|words| info.message().contains(words)),
        _ => false,
    }
}

/// Whether Postgres gave up this transaction in favour of another; running it again is right.
fn is_serialization_failure(error: &Error) -> bool {
    match error {
        Error::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => true,
        Error::DatabaseError(_, info) => {
            info.message().contains("deadlock detected") || info.details().is_some_and(tells_of_a_deadlock)
        }
        _ => false,
    }
}

/// Whether these are the details of a deadlock, in whatever language the server speaks: a line for each process, which
/// waits for a lock of the next one, and the last one for a lock of the first. diesel does not tell the error's code,
/// and the names of locks are not translated.
fn tells_of_a_deadlock(details: &str) -> bool {
    let edges: Option<Vec<(&str, &str)>> = details
        .lines()
        .map(|line| {
            let mut numbers = line.split(|letter: char| !letter.is_ascii_digit()).filter(|number| !number.is_empty());
            let (waits, holds) = (numbers.next()?, numbers.next_back()?);
            line.contains("Lock").then_some((waits, holds))
        })
        .collect();
    let Some(edges) = edges.filter(|edges| edges.len() > 1) else { return false };
    let next = edges.iter().cycle().skip(1);
    edges.iter().zip(next).all(|((_, holds), (waits, _))| holds == waits)
}

/// Whether there is no room for the change.
fn is_storage_full(error: &Error) -> bool {
    let full = ["database or disk is full", "No space left on device"];
    matches!(error, Error::DatabaseError(_, info) if full.iter().any(|words| info.message().contains(words)))
}

/// Whether SQLite could not read or write its files: another try, on a connection of its own, may find them well.
fn is_disk_failing(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(_, info) if info.message() == "disk I/O error")
}

/// Whether the database waited in vain for somebody else.
fn is_locked(error: &Error) -> bool {
    let words = ["database is locked", "due to statement timeout", "due to lock timeout"];
    matches!(error, Error::DatabaseError(_, info) if words.iter().any(|words| info.message().contains(words)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_disk_is_no_defect_of_ours_and_a_commit_on_it_is_of_unknown_outcome() {
        let failed = || Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new("disk I/O error".to_owned()));
        assert!(matches!(StoreError::from(failed()), StoreError::Unreachable(_)));
        assert!(StoreError::from(failed()).is_passing());
        assert!(matches!(StoreError::of_commit(failed()), StoreError::OutcomeUnknown(_)));
    }

    #[test]
    fn a_deadlock_is_known_in_every_language_and_nothing_else_is_taken_for_one() {
        for details in [
            "Process 4711 waits for ShareLock on transaction 772; blocked by process 4712.\n\
             Process 4712 waits for ShareLock on transaction 771; blocked by process 4711.",
            "Prozess 12 wartet auf ShareLock-Sperre auf Transaktion 772; blockiert von Prozess 13.\n\
             Prozess 13 wartet auf ExclusiveLock-Sperre auf Tupel (0,5) von Relation 9; blockiert von Prozess 14.\n\
             Prozess 14 wartet auf ShareLock-Sperre auf Transaktion 771; blockiert von Prozess 12.",
            "プロセス 12 は ShareLock を トランザクション 772 で待機していますが、プロセス 13 によってブロックされています。\n\
             プロセス 13 は ShareLock を トランザクション 771 で待機していますが、プロセス 12 によってブロックされています。",
        ] {
            assert!(tells_of_a_deadlock(details), "{details}");
        }
        for details in [
            "",
            "Process 4711 waits for ShareLock on transaction 772; blocked by process 4711.",
            "Process 4711 waits for ShareLock on transaction 772; blocked by process 4712.\n\
             Process 4713 waits for ShareLock on transaction 771; blocked by process 4711.",
            "Key (id)=(1) is still referenced from 1.\nKey (id)=(1) is still referenced from 1.",
        ] {
            assert!(!tells_of_a_deadlock(details), "{details}");
        }
    }
}
