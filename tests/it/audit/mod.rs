//! The audit trail: what is written, by whom it is read, and what its seal shows.

mod chain;
mod commands;
mod events;
pub mod list;
mod plans;

use relatch::store::audit_events::{self, Direction, EventFilter, StoredEvent};

use crate::harness::{Database, TestApp};

/// All events, the oldest first.
pub async fn all(app: &TestApp) -> Vec<StoredEvent> {
    of(&app.database).await
}

async fn of(database: &Database) -> Vec<StoredEvent> {
    let found = database
        .store()
        .read(|connection| audit_events::list(connection, &EventFilter::default(), Direction::Newer, None, 100_000))
        .await
        .unwrap();
    let mut events: Vec<_> = found.events.into_iter().map(|listed| listed.event).collect();
    events.sort_by_key(|event| event.id);
    events
}

/// How many events there are of a kind.
fn count(events: &[StoredEvent], kind: &str) -> usize {
    events.iter().filter(|event| event.kind == kind).count()
}
