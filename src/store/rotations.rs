//! Rotations on Postgres. Those that wait at the same time share a statement: the group commit of [`super::writer`], for
//! a database that takes several writers.
//!
//! A rotation that finds fewer leaders at work than there may be makes one: it takes a connection and does whatever waits
//! for a while, then stands in line for a connection again. At low load each is alone in its statement and waits for
//! nobody.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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
pub(super) const LEADERS: usize = 3;
/// How long a leader keeps a connection before others get a chance of it.
const TERM: Duration = Duration::from_millis(50);
/// How many rotations of one session may wait. Only one of them can be first, and the others are soon told so.
const OF_A_SESSION: usize = 64;

/// What became of a rotation.
type Outcome = Result<Option<Rotated>, StoreError>;

#[derive(Clone, Default)]
pub(super) struct Rotations {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// How many of `waiting` each session has.
    of_sessions: HashMap<SessionId, usize>,
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
        if !self.at_work {
            return;
        }
        // Its task was ended, as when a worker stops. Whoever waits would wait for nobody.
        let mut state = self.rotations.state();
        state.leaders -= 1;
        if state.leaders == 0 {
            state.refuse_all(&StoreError::Busy("whoever would have seen to it has stopped"));
        }
    }
}

/// Spends a token in a statement that others may share. `None` when it could not be spent, or when somebody else holds
/// the session: then only a statement of its own tells.
pub(super) async fn rotate_together(store: &Store, rotations: &Rotations, rotation: Rotation) -> Outcome {
    let (answer, mut answered) = oneshot::channel();
    let (ticket, leader) = rotations.add(rotation, answer, store.max_leaders())?;
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
        if let Err(error @ StoreError::Unreachable(_)) = done {
            // No connection was to be had. Another leader may have one; and whoever waits for a free one has patience.
            leader.rotations.refuse_all_if_alone(&error);
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
    fn add(
        &self,
        rotation: Rotation,
        answer: oneshot::Sender<Outcome>,
        max_leaders: usize,
    ) -> Result<(u64, Option<Leader>), StoreError> {
        let mut state = self.state();
        if state.waiting.len() >= QUEUE {
            return Err(StoreError::Busy("too many rotations wait"));
        }
        let of_session = state.of_sessions.entry(rotation.session_id).or_default();
        if *of_session >= OF_A_SESSION {
            return Err(StoreError::Busy("too many rotations of one session wait"));
        }
        *of_session += 1;
        state.last_ticket += 1;
        let ticket = state.last_ticket;
        state.waiting.push_back(Waiting { ticket, rotation, answer });
        let leads = state.leaders < max_leaders;
        state.leaders += usize::from(leads);
        drop(state);
        Ok((ticket, leads.then(|| Leader { rotations: self.clone(), at_work: true })))
    }

    /// Takes a rotation back; says whether it was still waiting.
    fn withdraw(&self, ticket: u64) -> bool {
        let mut state = self.state();
        let Some(place) = state.waiting.iter().position(|waiting| waiting.ticket == ticket) else { return false };
        let Some(waiting) = state.waiting.remove(place) else { return false };
        state.forget(waiting.rotation.session_id);
        true
    }

    fn refuse_all_if_alone(&self, error: &StoreError) {
        let mut state = self.state();
        if state.leaders == 1 {
            state.refuse_all(error);
        }
    }

    /// The first that wait, each session once: of two with one token only one can be first.
    fn take_group(&self) -> Vec<Waiting> {
        let mut state = self.state();
        let (mut group, mut sessions) = (Vec::new(), HashSet::new());
        let mut passed_over = Vec::new();
        while group.len() < GROUP {
            let Some(waiting) = state.waiting.pop_front() else { break };
            let session = waiting.rotation.session_id;
            if waiting.answer.is_closed() {
                // Whoever asked has gone away before anything was done.
                state.forget(session);
            } else if sessions.insert(session) {
                state.forget(session);
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

    /// Does what waits, until nothing does or the term is over. An error is one of the connection.
    fn work(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        let began = Instant::now();
        while began.elapsed() < TERM {
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
        Ok(())
    }
}

impl State {
    /// One rotation less of this session waits.
    fn forget(&mut self, session: SessionId) {
        if let Some(of_session) = self.of_sessions.get_mut(&session) {
            *of_session -= 1;
            if *of_session == 0 {
                self.of_sessions.remove(&session);
            }
        }
    }

    fn refuse_all(&mut self, error: &StoreError) {
        self.of_sessions.clear();
        for waiting in self.waiting.drain(..) {
            drop(waiting.answer.send(Err(error.clone())));
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
