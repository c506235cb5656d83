//! The one SQLite writer: a thread with its own connection that takes all waiting jobs into one commit.
//!
//! A commit costs a wait for the disk, whatever is in it; so whoever comes while one is being waited for shares the
//! next one (group commit). A job's failure or panic undoes its own changes alone: the group runs again, each job in a
//! savepoint of its own. Nobody gets an answer before the commit that holds their change is durable.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use diesel::connection::TransactionManager as _;
use tokio::sync::oneshot;

use super::ballast::Ballast;
use super::connection::{AnyConnection, Connector};
use super::error::StoreError;
use super::journal::{self, Lines};
use super::{Manager, QueryResult, dialect, guarded};

/// How many writes may wait: about a third of a second of work.
const QUEUE: usize = 2_000;
/// How many jobs share a commit at most, so that the first of them does not wait long for the last.
const GROUP: usize = 128;

/// A write that waits, and afterwards whoever waits for it.
pub(super) trait Job: Send {
    /// Does the work, perhaps again after it was undone, and keeps the result; says whether the changes shall stay.
    fn run(&mut self, connection: &mut AnyConnection) -> bool;

    /// Whether it is done on a full disk, too.
    fn urgency(&self) -> Urgency;

    /// Whether it found no room on the disk.
    fn found_no_room(&self) -> bool;

    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool;

    /// Gives the result to whoever waits for it, or the reason why nothing was committed.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

/// Whether a job takes something away, which must be possible on a full disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Urgency {
    Ordinary,
    Urgent,
}

/// The job of one [`super::Store::write`].
pub(super) struct Write<T, F> {
    work: F,
    result: Option<Result<T, StoreError>>,
    /// What the last run has to say when it is committed.
    lines: Lines,
    answer: oneshot::Sender<Result<T, StoreError>>,
    urgency: Urgency,
}

impl<T, F> Write<T, F> {
    pub(super) fn new(work: F, answer: oneshot::Sender<Result<T, StoreError>>, urgency: Urgency) -> Self {
        Self { work, result: None, lines: Lines::default(), answer, urgency }
    }
}

impl<T: Send, F: FnMut(&mut AnyConnection) -> QueryResult<T> + Send> Job for Write<T, F> {
    fn run(&mut self, connection: &mut AnyConnection) -> bool {
        let (result, lines) = journal::listening(|| guarded(|| (self.work)(connection).map_err(StoreError::from)));
        let stays = result.is_ok();
        self.result = Some(result);
        self.lines = lines;
        stays
    }

    fn urgency(&self) -> Urgency {
        self.urgency
    }

    fn found_no_room(&self) -> bool {
        matches!(self.result, Some(Err(StoreError::StorageFull)))
    }

    fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let result = match (self.result, committed) {
            // What the job itself found stays true; nothing of it was to be committed.
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(error),
            (Some(Ok(value)), Ok(())) => {
                self.lines.write();
                Ok(value)
            }
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
    pub(super) fn start(connector: Connector, ballast: Ballast) -> std::io::Result<Self> {
        let (jobs, waiting) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || run(&connector, &ballast, &waiting))?;
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

fn run(connector: &Connector, ballast: &Ballast, waiting: &Receiver<Box<dyn Job>>) {
    let mut connection = None;
    while let Ok(first) = waiting.recv() {
        let mut jobs = vec![first];
        jobs.extend(waiting.try_iter().take(GROUP - 1));
        // Whoever was told in the meantime that this takes too long shall not find it done afterwards. What takes something
        // away is done all the same.
        jobs.retain(|job| job.urgency() == Urgency::Urgent || !job.is_abandoned());
        if !ballast.has_room() {
            jobs = refuse_ordinary(jobs);
        }
        let mut committed = commit_group(connector, &mut connection, &mut jobs);
        if matches!(committed, Err(StoreError::StorageFull)) && ballast.give_up() {
            jobs = refuse_ordinary(jobs);
            committed = commit_group(connector, &mut connection, &mut jobs);
        }
        if let Err(busy @ StoreError::Busy(_)) = &committed {
            // Somebody else has the lock. Those who wait would wait as long again, one group after the other.
            jobs.extend(waiting.try_iter().take(QUEUE));
            tracing::warn!(waiting = jobs.len(), "{busy}");
        }
        for job in jobs {
            job.answer(committed.clone());
        }
    }
}

/// Answers those for whom there is no room; gives the others.
fn refuse_ordinary(jobs: Vec<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
    let (urgent, ordinary): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.urgency() == Urgency::Urgent);
    for job in ordinary {
        job.answer(Err(StoreError::StorageFull));
    }
    urgent
}

/// Runs the jobs and commits them together. After an error nothing is committed, or not knowingly; the connection is
/// closed, which rolls back what is left, and the next group opens another.
fn commit_group(
    connector: &Connector,
    connection: &mut Option<AnyConnection>,
    jobs: &mut [Box<dyn Job>],
) -> Result<(), StoreError> {
    if jobs.is_empty() {
        return Ok(());
    }
    let opened = match connection {
        Some(opened) => opened,
        None => connection.insert(connector.open().map_err(|error| StoreError::Unreachable(error.to_string()))?),
    };
    let committed = run_and_commit(opened, jobs);
    if committed.is_err() {
        *connection = None;
    }
    committed
}

fn run_and_commit(connection: &mut AnyConnection, jobs: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
    #[cfg(feature = "failpoints")]
    let answers_early = super::failpoints::bug("ack_before_commit");
    #[cfg(feature = "failpoints")]
    if answers_early {
        // What was answered after the last group is committed only now, if anything was.
        super::failpoints::hit("before_commit");
        drop(Manager::commit_transaction(connection));
    }
    #[cfg(feature = "failpoints")]
    super::failpoints::hit("before_begin");
    dialect::begin_write(connection)?;
    if !run_all(connection, jobs)? {
        // One failed, which is rare. What it did cannot be told from what the others did: all of it is undone, and each
        // runs again in a savepoint of its own.
        Manager::rollback_transaction(connection).map_err(rolled_back)?;
        dialect::begin_write(connection)?;
        for job in jobs {
            let kept = run_in_savepoint(connection, job.as_mut());
            if job.found_no_room() {
                return Err(StoreError::StorageFull);
            }
            kept.map_err(rolled_back)?;
        }
    }
    #[cfg(feature = "failpoints")]
    if answers_early {
        return Ok(());
    }
    #[cfg(feature = "failpoints")]
    super::failpoints::hit("before_commit");
    Manager::commit_transaction(connection).map_err(StoreError::of_commit)?;
    #[cfg(feature = "failpoints")]
    super::failpoints::hit("after_commit");
    Ok(())
}

/// Runs the jobs without savepoints, as long as their changes shall stay. When SQLite rolls back by itself, it does so with
/// an error of the statement, and a job gives every such error on.
fn run_all(connection: &mut AnyConnection, jobs: &mut [Box<dyn Job>]) -> Result<bool, StoreError> {
    for job in jobs {
        if !job.run(connection) {
            return if job.found_no_room() { Err(StoreError::StorageFull) } else { Ok(false) };
        }
    }
    Ok(true)
}

/// A transaction or savepoint is gone: SQLite has rolled back all of it by itself, as it does when the disk is full or
/// fails, so that no job of the group can be kept.
fn rolled_back(error: diesel::result::Error) -> StoreError {
    StoreError::Unreachable(format!("the database rolled a transaction back: {error}"))
}

fn run_in_savepoint(connection: &mut AnyConnection, job: &mut dyn Job) -> QueryResult<()> {
    Manager::begin_transaction(connection)?;
    if job.run(connection) {
        Manager::commit_transaction(connection)
    } else {
        Manager::rollback_transaction(connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audit::{By, Kind};
    use crate::domain::client::Client;
    use crate::domain::timestamp::Timestamp;
    use crate::store::audit_events::{self, Event};
    use crate::store::connection::Access;
    use crate::store::{Limits, Store};

    #[test]
    fn s3_what_ran_twice_or_was_rolled_back_is_not_logged_twice_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let url = crate::config::DatabaseUrl::Sqlite(folder.path().join("relatch.db"));
        let patience = std::time::Duration::from_secs(5);
        let store = Store::open(&url, Limits { connections: 1, patience, ballast: None }).unwrap();
        let mut connection = Connector::new(&url, Access::Write).open().unwrap();
        let record = |connection: &mut AnyConnection| {
            let client = Client::default();
            let event = Event::new(Kind::LoginFailed, Timestamp::from_micros(1), By::Anonymous, &client);
            audit_events::record(connection, &event)
        };
        let mut job = Write::new(record, oneshot::channel().0, Urgency::Ordinary);
        assert!(job.run(&mut connection) && job.run(&mut connection));
        assert_eq!(job.lines.count(), 1, "the last run counts");

        let mut fails = Write::new(
            |connection: &mut AnyConnection| {
                record(connection)?;
                Err::<(), _>(diesel::result::Error::RollbackTransaction)
            },
            oneshot::channel().0,
            Urgency::Ordinary,
        );
        let logged = logged(|| {
            Box::new(job).answer(Err(StoreError::Panicked));
            assert!(!fails.run(&mut connection));
            Box::new(fails).answer(Ok(()));
        });
        assert_eq!(logged, 0, "nothing was committed");

        let mut job = Write::new(record, oneshot::channel().0, Urgency::Ordinary);
        assert!(job.run(&mut connection));
        assert_eq!(self::logged(|| Box::new(job).answer(Ok(()))), 1);
        store.close();
    }

    /// How many lines this thread logs meanwhile.
    fn logged(job: impl FnOnce()) -> usize {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&lines);
        let subscriber = tracing_subscriber::fmt().with_writer(move || Kept(Arc::clone(&written))).finish();
        tracing::subscriber::with_default(subscriber, job);
        let text = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains("authn_login_fail")).count()
    }

    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
}
