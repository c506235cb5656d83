//! How a database fails, in the terms its callers act on.

use diesel::result::{DatabaseErrorKind, Error};

/// Why a read or a write gave no result. Nothing was changed unless it is [`StoreError::OutcomeUnknown`].
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Too much waits already; try again later.
    #[error("the store is busy: {0}")]
    Busy(&'static str),
    /// The database cannot be reached.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// The connection was lost while committing: the change may have happened or not.
    #[error("the connection was lost during a commit: {0}")]
    OutcomeUnknown(String),
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
    Failed(#[source] Error),
    /// A job panicked; its transaction was rolled back.
    #[error("a database job panicked")]
    Panicked,
}

impl StoreError {
    /// Whether the same request may succeed a little later.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Busy(_) | Self::Unreachable(_) | Self::OutcomeUnknown(_))
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
                Err(inner) => Self::Failed(Error::DeserializationError(inner)),
            },
            error if is_connection_lost(&error) => Self::Unreachable(error.to_string()),
            error if is_locked(&error) => Self::Busy("another process holds the write lock"),
            error => Self::Failed(error),
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
pub(crate) fn is_serialization_failure(error: &Error) -> bool {
    match error {
        Error::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => true,
        Error::DatabaseError(_, info) => info.message().contains("deadlock detected"),
        _ => false,
    }
}

/// Whether SQLite waited in vain for another process.
fn is_locked(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(_, info) if info.message().contains("database is locked"))
}
