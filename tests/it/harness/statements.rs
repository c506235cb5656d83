//! What a server says to its database: every statement, for tests that count them.

use std::sync::{Mutex, Once};

use diesel::connection::{Instrumentation, InstrumentationEvent, set_default_instrumentation};

use super::Database;

static SAID: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

/// One connection's ear.
#[derive(Default)]
struct Ear {
    url: String,
}

impl Instrumentation for Ear {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartEstablishConnection { url, .. } => url.clone_into(&mut self.url),
            InstrumentationEvent::StartQuery { query, .. } => {
                SAID.lock().unwrap().push((self.url.clone(), query.to_string()));
            }
            _ => {}
        }
    }
}

/// Listens to every connection that is opened from now on: call it before the server starts.
pub fn listen() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| set_default_instrumentation(|| Some(Box::new(Ear::default()))).unwrap());
}

/// What has been said to this database since this was last asked, but for what instances say all the time in the
/// background.
pub fn said(database: &Database) -> Vec<String> {
    let name = database.url().trim_start_matches("sqlite://").to_owned();
    let mut said = SAID.lock().unwrap();
    let (own, others): (Vec<_>, Vec<_>) = said.drain(..).partition(|(url, _)| url.starts_with(&name));
    *said = others;
    let in_background = ["changes", "leases", "pg_snapshot", "set_config", "PRAGMA", "BEGIN", "COMMIT", "seal", "SET "];
    let is_asked = |text: &String| !in_background.iter().any(|word| text.contains(word));
    own.into_iter().map(|(_, text)| text).filter(is_asked).collect()
}
