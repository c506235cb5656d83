//! What a transaction says to the log: kept while it runs, and written once its commit was acknowledged.
//!
//! A job may run again, and what it did may be rolled back. Jobs run on one thread from beginning to end, so that its
//! lines wait there; whoever runs a job takes them with its result, and drops them with what was undone.

use std::cell::RefCell;

use crate::domain::audit::{By, Severity};
use crate::domain::client::Client;
use crate::domain::registered_client::ClientId;
use crate::domain::session::SessionId;
use crate::domain::user::UserId;

thread_local! {
    static WAITING: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// A security event on its way to the log.
pub(super) struct Line {
    /// Its name in the vocabulary of `domain::security_event`.
    pub(super) event: &'static str,
    /// Its name in the audit trail, if it is there.
    pub(super) kind: Option<&'static str>,
    pub(super) severity: Severity,
    pub(super) result: &'static str,
    pub(super) by: By,
    pub(super) about: Option<UserId>,
    pub(super) session: Option<SessionId>,
    pub(super) of_client: Option<ClientId>,
    pub(super) client: Client,
    /// A JSON object.
    pub(super) detail: Option<String>,
}

/// What one run of a job has said.
#[derive(Default)]
pub(super) struct Lines(Vec<Line>);

/// Says something, if the transaction is committed.
pub(super) fn note(line: Line) {
    WAITING.with_borrow_mut(|waiting| waiting.push(line));
}

/// Runs a job and takes what it has said, and nothing that an earlier one has left.
pub(super) fn listening<T>(job: impl FnOnce() -> T) -> (T, Lines) {
    WAITING.take();
    let result = job();
    (result, Lines(WAITING.take()))
}

impl Lines {
    /// How many there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Writes them: their transaction is committed.
    pub(super) fn write(self) {
        for line in self.0 {
            line.write();
        }
    }
}

impl Line {
    fn write(&self) {
        // The level of a line is a constant of its call.
        macro_rules! write_at {
            ($level:ident) => {
                tracing::$level!(
                    target: "relatch::security",
                    event = self.event,
                    kind = self.kind,
                    result = self.result,
                    by = self.by.kind(),
                    user = self.by.user_id().map(UserId::get),
                    about = self.about.map(UserId::get),
                    session = self.session.map(|session| session.log_name()),
                    client = self.of_client.map(|client| client.to_string()),
                    source = self.client.address().map(|address| address.to_string()),
                    request_id = self.client.request_id().map(|id| id.to_string()),
                    detail = self.detail,
                    "security event"
                )
            };
        }
        match self.severity {
            Severity::Info => write_at!(info),
            Severity::Warning => write_at!(warn),
            Severity::Critical => write_at!(error),
        }
    }
}
