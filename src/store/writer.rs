//! The one SQLite writer: a thread with its own connection that takes all waiting jobs into one commit.
//!
//! A commit costs a wait for the disk, whatever is in it; so whoever comes while one is being waited for shares the
//! next one (group commit). Each job runs in a savepoint of its own, so that its failure or panic undoes its own
//! changes alone, and nobody gets an answer before the commit that holds their change is durable.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use diesel::connection::TransactionManager as _;
use tokio::sync::oneshot;

use super::connection::{AnyConnection, Connector};
use super::error::StoreError;
use super::{Manager, QueryResult, dialect, guarded};

/// How many writes may wait: about a third of a second of work.
const QUEUE: usize = 2_000;
/// How many jobs share a commit at most, so that the first of them does not wait long for the last.
const GROUP: usize = 128;

/// A write that waits, and afterwards whoever waits for it.
pub(super) trait Job: Send {
    /// Does the work, inside of a savepoint, and keeps the result; says whether the changes shall stay.
    fn run(&mut self, connection: &mut AnyConnection) -> bool;

    /// Gives the result to whoever waits for it, or the reason why nothing was committed.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

/// The job of one [`super::Store::write`].
pub(super) struct Write<T, F> {
    pub(super) work: F,
    pub(super) result: Option<Result<T, StoreError>>,
    pub(super) answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, F: FnMut(&mut AnyConnection) -> QueryResult<T> + Send> Job for Write<T, F> {
    fn run(&mut self, connection: &mut AnyConnection) -> bool {
        let result = guarded(|| (self.work)(connection).map_err(StoreError::from));
        let stays = result.is_ok();
        self.result = Some(result);
        stays
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let result = match (self.result, committed) {
            // What the job itself found stays true; nothing of it was to be committed.
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(StoreError::Panicked),
        };
        // The caller may have gone away; the change stands all the same.
        drop(self.answer.send(result));
    }
}

#[derive(Clone)]
pub(super) struct Writer {
    jobs: SyncSender<Box<dyn Job>>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Writer {
    /// Starts the thread. It ends when the last clone of the writer is dropped.
    pub(super) fn start(connector: Connector) -> std::io::Result<Self> {
        let (jobs, waiting) = sync_channel(QUEUE);
        let thread =
            std::thread::Builder::new().name("sqlite-writer".to_owned()).spawn(move || run(&connector, &waiting))?;
        Ok(Self { jobs, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    /// Ends the thread when this is the last clone, and waits for it.
    pub(super) fn close(self) {
        let Self { jobs, thread } = self;
        drop(jobs);
        let Some(thread) = Arc::into_inner(thread) else { return };
        let thread = thread.into_inner().unwrap_or_else(PoisonError::into_inner);
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the writer panicked");
        }
    }

    pub(super) fn submit(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        self.jobs.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => StoreError::Busy("the write queue is full"),
            TrySendError::Disconnected(_) => StoreError::Unreachable("the writer has stopped".to_owned()),
        })
    }
}

fn run(connector: &Connector, waiting: &Receiver<Box<dyn Job>>) {
    let mut connection = None;
    while let Ok(first) = waiting.recv() {
        let mut done = Vec::new();
        let committed = match open(connector, &mut connection) {
            Ok(opened) => commit_group(opened, first, waiting, &mut done),
            Err(error) => {
                first.answer(Err(error));
                continue;
            }
        };
        if committed.is_err() {
            // Closing it rolls back what is left; the next group gets a fresh one.
            connection = None;
        }
        for job in done {
            job.answer(committed.clone());
        }
    }
}

fn open<'a>(
    connector: &Connector,
    connection: &'a mut Option<AnyConnection>,
) -> Result<&'a mut AnyConnection, StoreError> {
    match connection {
        Some(opened) => Ok(opened),
        None => Ok(connection.insert(connector.open().map_err(|error| StoreError::Unreachable(error.to_string()))?)),
    }
}

/// Runs the first job and those that wait, and commits them together. Every job that was taken is in `done`. After an
/// error nothing is committed, or not knowingly, and the connection is not to be used again.
fn commit_group(
    connection: &mut AnyConnection,
    first: Box<dyn Job>,
    waiting: &Receiver<Box<dyn Job>>,
    done: &mut Vec<Box<dyn Job>>,
) -> Result<(), StoreError> {
    #[cfg(feature = "failpoints")]
    super::failpoints::hit("before_begin");
    if let Err(error) = dialect::begin_write(connection) {
        done.push(first);
        return Err(error.into());
    }
    let mut next = Some(first);
    while let Some(mut job) = next {
        let kept = run_in_savepoint(connection, job.as_mut());
        done.push(job);
        kept?;
        next = if done.len() < GROUP { waiting.try_recv().ok() } else { None };
    }
    #[cfg(feature = "failpoints")]
    if super::failpoints::bug("ack_before_commit") {
        done.drain(..).for_each(|job| job.answer(Ok(())));
        // So that the answers are on their way.
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    #[cfg(feature = "failpoints")]
    super::failpoints::hit("before_commit");
    Manager::commit_transaction(connection).map_err(StoreError::of_commit)?;
    #[cfg(feature = "failpoints")]
    super::failpoints::hit("after_commit");
    Ok(())
}

/// An error means that the savepoint is gone: SQLite has rolled back the whole transaction by itself, as it does when
/// the disk is full or fails, so that no job of the group can be kept.
fn run_in_savepoint(connection: &mut AnyConnection, job: &mut dyn Job) -> QueryResult<()> {
    Manager::begin_transaction(connection)?;
    if job.run(connection) {
        Manager::commit_transaction(connection)
    } else {
        Manager::rollback_transaction(connection)
    }
}
