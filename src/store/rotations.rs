//! Rotations on Postgres. Those that wait at the same time share a statement: the group commit of [`super::writer`], for
//! a database that takes several writers.
//!
//! A rotation that finds fewer leaders at work than there may be becomes one: it takes a connection and does whatever
//! waits, its own first, until nothing does. At low load each is alone in its statement and waits for nobody.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::connection::AnyConnection;
use super::error::StoreError;
use super::sessions::{self, Rotated, Rotation};
use super::{QueryResult, Store, again_when_lost, attempt_statement, guarded};
use crate::domain::session::SessionId;

/// How many rotations may wait: about half a second of work.
const QUEUE: usize = 2_000;
/// How many share a statement at most.
const GROUP: usize = 32;
/// How many statements are under way at once. More make smaller groups, fewer leave a core idle.
const LEADERS: usize = 3;

/// What became of a rotation.
type Outcome = Result<Option<Rotated>, StoreError>;

#[derive(Clone, Default)]
pub(super) struct Rotations {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    leaders: usize,
    last_ticket: u64,
}

struct Waiting {
    ticket: u64,
    rotation: Rotation,
    answer: oneshot::Sender<Outcome>,
}

/// The duty of a leader, which is given up whatever becomes of it.
struct Leader {
    rotations: Rotations,
    at_work: bool,
}

impl Leader {
    /// Gives the duty up unless somebody waits; says whether.
    fn resign(&mut self) -> bool {
        let mut state = self.rotations.state();
        if state.waiting.is_empty() {
            // In the same breath as looking, so that whoever comes next sees that a leader is needed.
            state.leaders -= 1;
            self.at_work = false;
        }
        !self.at_work
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if self.at_work {
            self.rotations.state().leaders -= 1;
        }
    }
}

/// Spends a token in a statement that others may share. `None` when it could not be spent, or when somebody else holds
/// the session: then only a statement of its own tells.
pub(super) async fn rotate_together(store: &Store, rotations: &Rotations, rotation: Rotation) -> Outcome {
    let (answer, mut answered) = oneshot::channel();
    let (ticket, leader) = rotations.add(rotation, answer)?;
    if let Some(leader) = leader {
        tokio::spawn(lead(store.clone(), leader));
    }
    let outcome = match tokio::time::timeout(store.patience, &mut answered).await {
        Ok(outcome) => outcome,
        Err(_) if rotations.withdraw(ticket) => return Err(StoreError::Busy("all connections are in use")),
        // It is under way, and the database's own time limits end it.
        Err(_) => answered.await,
    };
    outcome.map_err(|_| StoreError::Panicked)?
}

async fn lead(store: Store, mut leader: Leader) {
    loop {
        let rotations = leader.rotations.clone();
        let done = store.pooled(move |connection| rotations.work(connection)).await;
        if let Err(error @ (StoreError::Busy(_) | StoreError::Unreachable(_))) = done {
            // No connection was to be had.
            leader.rotations.refuse_all(&error);
        }
        if leader.resign() {
            return;
        }
    }
}

impl Rotations {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a rotation wait. Gives its ticket, and a duty if nobody would see to it otherwise.
    fn add(&self, rotation: Rotation, answer: oneshot::Sender<Outcome>) -> Result<(u64, Option<Leader>), StoreError> {
        let mut state = self.state();
        if state.waiting.len() >= QUEUE {
            return Err(StoreError::Busy("too many rotations wait"));
        }
        state.last_ticket += 1;
        let ticket = state.last_ticket;
        state.waiting.push_back(Waiting { ticket, rotation, answer });
        let leads = state.leaders < LEADERS;
        state.leaders += usize::from(leads);
        drop(state);
        Ok((ticket, leads.then(|| Leader { rotations: self.clone(), at_work: true })))
    }

    /// Takes a rotation back; says whether it was still waiting.
    fn withdraw(&self, ticket: u64) -> bool {
        let mut state = self.state();
        let before = state.waiting.len();
        state.waiting.retain(|waiting| waiting.ticket != ticket);
        state.waiting.len() < before
    }

    fn refuse_all(&self, error: &StoreError) {
        let refused = std::mem::take(&mut self.state().waiting);
        for waiting in refused {
            drop(waiting.answer.send(Err(error.clone())));
        }
    }

    /// The first that wait, each session once: of two with one token only one can be first.
    fn take_group(&self) -> Vec<Waiting> {
        let mut state = self.state();
        let (mut group, mut sessions) = (Vec::new(), HashSet::new());
        let mut passed_over = Vec::new();
        while group.len() < GROUP {
            let Some(waiting) = state.waiting.pop_front() else { break };
            if waiting.answer.is_closed() {
                // Whoever asked has gone away before anything was done.
            } else if sessions.insert(waiting.rotation.session_id) {
                group.push(waiting);
            } else {
                passed_over.push(waiting);
            }
        }
        for waiting in passed_over.into_iter().rev() {
            state.waiting.push_front(waiting);
        }
        group
    }

    /// Does what waits until nothing does. An error is one of the connection.
    fn work(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        loop {
            let group = self.take_group();
            if group.is_empty() {
                return Ok(());
            }
            let rotations: Vec<&Rotation> = group.iter().map(|waiting| &waiting.rotation).collect();
            let rotated = guarded(|| {
                again_when_lost(|| {
                    attempt_statement(connection, &mut |connection| sessions::rotate_free(connection, &rotations))
                })
            });
            let lost = rotated.as_ref().err().filter(|error| error.leaves_connection_unusable()).cloned();
            answer(group, rotated);
            if let Some(error) = lost {
                return Err(error);
            }
        }
    }
}

fn answer(group: Vec<Waiting>, rotated: Result<Vec<(SessionId, QueryResult<Rotated>)>, StoreError>) {
    let mut rotated: Result<HashMap<_, _>, _> = match rotated {
        Ok(rotated) => Ok(rotated.into_iter().collect()),
        // What was refused by the database for one session's sake is not the others' fault: each is told to try alone.
        Err(error) if error.undid_everything() => Ok(HashMap::new()),
        Err(error) => Err(error),
    };
    for waiting in group {
        let outcome = match &mut rotated {
            Ok(rotated) => rotated.remove(&waiting.rotation.session_id).transpose().map_err(StoreError::from),
            Err(error) => Err(error.clone()),
        };
        // Whoever asked may have gone away; the change stands all the same.
        drop(waiting.answer.send(outcome));
    }
}
