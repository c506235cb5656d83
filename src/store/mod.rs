//! Everything that talks to a database. [`Store::read`] and [`Store::write`] are the only doors.
//!
//! Queries are free functions over `&mut AnyConnection` in a module per table; the caller owns the transaction. No
//! HTTP here, no hashing, no token: a job must be short, since on SQLite all writes queue behind it.

mod address;
pub mod audit_events;
mod ballast;
pub mod changes;
pub mod clients;
pub mod condition;
pub mod connection;
pub mod console_preferences;
pub mod console_sessions;
pub mod dialect;
pub mod error;
#[cfg(feature = "failpoints")]
pub(crate) mod failpoints;
pub mod files;
pub mod guess_counters;
mod journal;
pub mod known_networks;
pub mod leases;
pub mod meta;
mod migrations;
pub mod pruning;
pub mod refresh_tokens;
pub mod reset_links;
pub mod rollups;
mod rotations;
pub mod schema;
pub mod sessions;
pub mod setup_links;
pub mod signing_keys;
mod statements;
pub mod status_lists;
#[cfg(test)]
mod tests;
pub mod user_batches;
pub mod user_lists;
pub mod users;
mod writer;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

pub use diesel::QueryResult;
use diesel::connection::TransactionManager;
use diesel::prelude::*;
use tokio::sync::{Semaphore, oneshot};

use crate::config::DatabaseUrl;
use crate::domain::timestamp::Timestamp;
use ballast::Ballast;
use connection::{Access, AnyConnection, Connector};
use error::StoreError;
use rotations::Rotations;
use sessions::{Rotated, Rotation};
use writer::{Urgency, Write, Writer};

type Manager = <AnyConnection as Connection>::TransactionManager;

/// How much of the database an instance takes, and how long it waits for it.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections that readers share, and on Postgres writers too.
    pub connections: u32,
    /// How long a request waits for one of them before it is refused.
    pub patience: Duration,
    /// How much room is kept on the disk of an SQLite store for revocations, in bytes; `None` leaves that to others.
    pub ballast: Option<u64>,
}

/// How often a transaction is run again that Postgres gave up in favour of another.
const ATTEMPTS: u32 = 10;

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: r2d2::Pool<Connector>,
    permits: Arc<Semaphore>,
    patience: Duration,
    writes: Writes,
    connections: u32,
    in_use: Option<Arc<files::InUse>>,
}

/// How many connections there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PoolState {
    /// Those that work at this moment.
    pub in_use: usize,
    /// Those that are open.
    pub open: u32,
    /// As many as there may be.
    pub at_most: u32,
}

#[derive(Clone)]
enum Writes {
    /// Through the pool: Postgres orders them itself.
    Pooled(Rotations),
    /// Through the one SQLite writer.
    Queued(Writer),
}

impl Store {
    /// Opens the database and brings its schema up to date. An SQLite file is created if missing, readable by its
    /// owner alone. Blocks: call it before serving.
    pub fn open(url: &DatabaseUrl, limits: Limits) -> Result<Self, StoreError> {
        let in_use = match url {
            DatabaseUrl::Postgres(_) => None,
            DatabaseUrl::Sqlite(path) => {
                let unreachable = |error: &dyn std::fmt::Display| StoreError::Unreachable(error.to_string());
                files::create_private(path).map_err(|error| unreachable(&format!("{}: {error}", path.display())))?;
                if files::is_world_readable(path) {
                    tracing::warn!(
                        file = %path.display(),
                        "every account on this machine may read the store; run chmod 600 on the file"
                    );
                }
                Some(Arc::new(files::use_store(path).map_err(|error| unreachable(&error))?))
            }
        };
        let writer = Connector::new(url, Access::Write);
        let mut connection = writer.open().map_err(|error| StoreError::Unreachable(error.to_string()))?;
        in_transaction(&mut connection, &mut |connection| {
            dialect::lock(connection, dialect::Lock::Setup)?;
            migrations::apply(connection)
        })?;
        let pool = r2d2::Pool::builder()
            .max_size(limits.connections.max(1))
            .min_idle(Some(1))
            .test_on_check_out(false)
            .connection_timeout(limits.patience)
            .error_handler(Box::new(LogConnectErrors))
            .build_unchecked(Connector::new(url, Access::Read));
        let writes = match url {
            DatabaseUrl::Postgres(_) => Writes::Pooled(Rotations::default()),
            DatabaseUrl::Sqlite(path) => {
                let ballast = Ballast::new(path, limits.ballast);
                let started = Writer::start(writer, ballast);
                Writes::Queued(started.map_err(|error| StoreError::Unreachable(error.to_string()))?)
            }
        };
        let permits = Arc::new(Semaphore::new(usize::try_from(limits.connections.max(1)).unwrap_or(1)));
        let connections = limits.connections.max(1);
        Ok(Self { pool, permits, patience: limits.patience, writes, connections, in_use })
    }

    /// Runs `job` on a connection of the pool, off the async threads. Each statement sees what was committed before it.
    pub async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut AnyConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.pooled(move |connection| job(connection).map_err(StoreError::from)).await
    }

    /// Runs `job` in a transaction and answers after its durable commit. An `Err` rolls back; a refusal that must
    /// leave a trace is therefore an `Ok` value. `job` may run again when Postgres gives it up for another: it must
    /// draw nothing and keep nothing between runs.
    pub async fn write<T: Send + 'static>(
        &self,
        job: impl FnMut(&mut AnyConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_with(job, Urgency::Ordinary).await
    }

    /// The same for a job that takes something away, such as ending a session: on SQLite it is also done when the disk
    /// is full, for which room is kept.
    pub async fn write_urgent<T: Send + 'static>(
        &self,
        job: impl FnMut(&mut AnyConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_with(job, Urgency::Urgent).await
    }

    async fn write_with<T: Send + 'static>(
        &self,
        mut job: impl FnMut(&mut AnyConnection) -> QueryResult<T> + Send + 'static,
        urgency: Urgency,
    ) -> Result<T, StoreError> {
        match &self.writes {
            Writes::Pooled(_) => self.pooled(move |connection| in_transaction(connection, &mut job)).await,
            Writes::Queued(writer) => {
                let (answer, answered) = oneshot::channel();
                writer.submit(Box::new(Write::new(job, answer, urgency)))?;
                answered.await.map_err(|_| StoreError::Panicked)?
            }
        }
    }

    /// Spends a refresh token, if [`sessions::rotate`] finds that it can be spent, and answers after the durable commit.
    /// On Postgres rotations that wait at the same time share a statement.
    pub async fn rotate(&self, rotation: Rotation) -> Result<Option<Rotated>, StoreError> {
        let rotations = match &self.writes {
            Writes::Queued(_) => return self.write(move |connection| sessions::rotate(connection, &rotation)).await,
            Writes::Pooled(rotations) => rotations,
        };
        let together = rotations::rotate_together(self, rotations, rotation.clone()).await?;
        if together.is_some() {
            return Ok(together);
        }
        self.pooled(move |connection| {
            again_when_lost(|| attempt_statement(connection, &mut |connection| sessions::rotate(connection, &rotation)))
        })
        .await
    }

    /// How many rotations may be led at once, so that others still get connections.
    fn max_leaders(&self) -> usize {
        let others = usize::try_from(self.pool.max_size()).unwrap_or(1).saturating_sub(1);
        rotations::LEADERS.min(others).max(1)
    }

    /// How far this machine's clock, which shows `now`, is from the database's. Also shows that the database answers.
    pub async fn clock_offset(&self, now: impl Fn() -> Timestamp + Send + 'static) -> Result<Duration, StoreError> {
        self.read(move |connection| {
            diesel::select(1.into_sql::<diesel::sql_types::Integer>()).execute(connection)?;
            let Some(theirs) = dialect::database_time(connection)? else { return Ok(Duration::ZERO) };
            let ours = now();
            Ok(ours.since(theirs).max(theirs.since(ours)))
        })
        .await
    }

    /// How the pool is doing.
    pub fn pool_state(&self) -> PoolState {
        let all = usize::try_from(self.connections).unwrap_or(usize::MAX);
        let in_use = all.saturating_sub(self.permits.available_permits());
        PoolState { in_use, open: self.pool.state().connections, at_most: self.connections }
    }

    /// The sizes of an SQLite store's files, and of the disk that they are on.
    pub fn file_sizes(&self) -> Option<files::Sizes> {
        self.in_use.as_ref().map(|in_use| files::sizes(in_use.store()))
    }

    /// Closes this door and, when it is the last one, waits until the files are closed.
    pub fn close(self) {
        let Self { pool, writes, in_use, .. } = self;
        drop(pool);
        if let Writes::Queued(writer) = writes {
            writer.close();
        }
        drop(in_use);
    }

    /// Takes the schema back and applies it again: nothing is left. For tests of the migrations.
    pub async fn rebuild(&self) -> Result<(), StoreError> {
        self.write(|connection| {
            migrations::revert(connection)?;
            migrations::apply(connection)
        })
        .await
    }

    /// The permit comes first, so that no more threads wait for connections than there are connections.
    async fn pooled<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut AnyConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = tokio::time::timeout(self.patience, Arc::clone(&self.permits).acquire_owned())
            .await
            .map_err(|_| StoreError::Busy("all connections are in use"))?
            .map_err(|_| StoreError::Busy("the store is closing"))?;
        let pool = self.pool.clone();
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let mut connection = pool.get().map_err(|error| StoreError::Unreachable(error.to_string()))?;
            let result = guarded(|| work(&mut connection.inner));
            connection.lost = result.as_ref().is_err_and(StoreError::leaves_connection_unusable);
            result
        })
        .await
        .map_err(|_| StoreError::Panicked)?
    }
}

/// Runs a job in a write transaction of its own.
fn in_transaction<T>(
    connection: &mut AnyConnection,
    job: &mut dyn FnMut(&mut AnyConnection) -> QueryResult<T>,
) -> Result<T, StoreError> {
    again_when_lost(|| attempt_transaction(connection, job))
}

/// Runs a transaction again that Postgres gave up in favour of another.
fn again_when_lost<T>(mut attempt: impl FnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
    for _ in 1..ATTEMPTS {
        match attempt() {
            Err(StoreError::GivenUp) => {}
            result => return result,
        }
    }
    attempt()
}

fn attempt_statement<T>(
    connection: &mut AnyConnection,
    job: &mut dyn FnMut(&mut AnyConnection) -> QueryResult<T>,
) -> Result<T, StoreError> {
    #[cfg(feature = "failpoints")]
    failpoints::hit("before_begin");
    let value = job(connection).map_err(StoreError::of_statement)?;
    #[cfg(feature = "failpoints")]
    failpoints::hit("after_commit");
    Ok(value)
}

fn attempt_transaction<T>(
    connection: &mut AnyConnection,
    job: &mut dyn FnMut(&mut AnyConnection) -> QueryResult<T>,
) -> Result<T, StoreError> {
    #[cfg(feature = "failpoints")]
    failpoints::hit("before_begin");
    dialect::begin_write(connection)?;
    let (done, lines) = journal::listening(|| guarded(|| job(connection).map_err(StoreError::from)));
    match done {
        Ok(value) => {
            #[cfg(feature = "failpoints")]
            failpoints::hit("before_commit");
            Manager::commit_transaction(connection).map_err(StoreError::of_commit)?;
            #[cfg(feature = "failpoints")]
            failpoints::hit("after_commit");
            lines.write();
            Ok(value)
        }
        Err(error) => {
            // What made the job fail says more than a failing rollback, which leaves a broken connection behind.
            if let Err(rollback) = Manager::rollback_transaction(connection) {
                tracing::warn!(error = %rollback, "a rollback failed");
            }
            Err(error)
        }
    }
}

/// One job's panic is that job's failure.
fn guarded<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(StoreError::Panicked))
}

#[derive(Debug)]
struct LogConnectErrors;

impl r2d2::HandleError<connection::ConnectError> for LogConnectErrors {
    fn handle_error(&self, error: connection::ConnectError) {
        tracing::warn!(%error, "cannot connect to the database");
    }
}
