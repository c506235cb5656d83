//! The one SQLite writer: a thread with its own connection that takes waiting jobs in turn.
//!
//! A bounded queue in front of one writer replaces contention for the file's write lock: nobody polls a busy
//! database, and what is over the bound is refused at once.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use super::connection::{AnyConnection, Connector};
use super::error::StoreError;

/// How many writes may wait: about a second of work.
const QUEUE: usize = 2_000;

/// A job gets the connection, or the reason why there is none.
pub(super) type Job = Box<dyn FnOnce(Result<&mut AnyConnection, StoreError>) + Send>;

#[derive(Clone)]
pub(super) struct Writer {
    jobs: SyncSender<Job>,
}

impl Writer {
    /// Starts the thread. It ends when the last clone of the writer is dropped.
    pub(super) fn start(connector: Connector) -> std::io::Result<Self> {
        let (jobs, waiting) = sync_channel(QUEUE);
        std::thread::Builder::new().name("sqlite-writer".to_owned()).spawn(move || run(&connector, &waiting))?;
        Ok(Self { jobs })
    }

    pub(super) fn submit(&self, job: Job) -> Result<(), StoreError> {
        self.jobs.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => StoreError::Busy("the write queue is full"),
            TrySendError::Disconnected(_) => StoreError::Unreachable("the writer has stopped".to_owned()),
        })
    }
}

fn run(connector: &Connector, waiting: &Receiver<Job>) {
    let mut connection = None;
    while let Ok(job) = waiting.recv() {
        if connection.is_none() {
            match connector.open() {
                Ok(opened) => connection = Some(opened),
                Err(error) => {
                    job(Err(StoreError::Unreachable(error.to_string())));
                    continue;
                }
            }
        }
        if let Some(opened) = &mut connection {
            job(Ok(opened));
            // A connection whose transaction could not be closed is not used again.
            if diesel::r2d2::R2D2Connection::is_broken(opened) {
                connection = None;
            }
        }
    }
}
