//! Few guesses at one account from one network are checked at a time: whoever signs in several times at once with the
//! right password is not taken for somebody who guesses.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::network::Network;

/// How many are checked at a time. It must be less than the number of guesses that are free.
const AT_ONCE: u32 = 4;
/// How many may wait for their turn besides.
const WAITING: usize = 60;

type Key = ([u8; 32], Network);

/// Who is being checked, or waits for it. It remembers nobody else.
#[derive(Clone, Default)]
pub(super) struct Gate(Arc<Mutex<HashMap<Key, Entry>>>);

struct Entry {
    turns: Arc<Semaphore>,
    present: usize,
}

/// Somebody's turn. Fields are dropped in their order: the turn is free before its entry goes.
pub(super) struct Turn {
    permit: Option<OwnedSemaphorePermit>,
    turns: Arc<Semaphore>,
    _presence: Presence,
}

struct Presence {
    gate: Gate,
    key: Key,
}

impl Gate {
    /// Waits for a turn; `None` when too many do.
    pub(super) async fn enter(&self, subject: [u8; 32], network: Network) -> Option<Turn> {
        let key = (subject, network);
        let turns = {
            let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let turns = || Arc::new(Semaphore::new(usize::try_from(AT_ONCE).unwrap_or(1)));
            let entry = entries.entry(key).or_insert_with(|| Entry { turns: turns(), present: 0 });
            if entry.present >= WAITING + usize::try_from(AT_ONCE).unwrap_or(1) {
                return None;
            }
            entry.present += 1;
            Arc::clone(&entry.turns)
        };
        let presence = Presence { gate: self.clone(), key };
        let permit = Arc::clone(&turns).acquire_owned().await.ok()?;
        Some(Turn { permit: Some(permit), turns, _presence: presence })
    }
}

impl Turn {
    /// Whether nobody else has a turn.
    pub(super) fn is_alone(&self) -> bool {
        self.turns.available_permits() + 1 >= usize::try_from(AT_ONCE).unwrap_or(1)
    }

    /// Gives the turn back and waits until nobody else has one.
    pub(super) async fn alone(mut self) -> Option<Self> {
        self.permit = None;
        self.permit = Some(Arc::clone(&self.turns).acquire_many_owned(AT_ONCE).await.ok()?);
        Some(self)
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut entries = self.gate.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get_mut(&self.key) {
            entry.present -= 1;
            if entry.present == 0 {
                entries.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn few_are_checked_at_a_time_and_nobody_is_remembered() {
        let gate = Gate::default();
        let (alice, here) = ([1; 32], Network::V4([127, 0, 0]));
        let mut turns = Vec::new();
        for _ in 0..AT_ONCE {
            turns.push(gate.enter(alice, here).await.unwrap());
        }
        let waits: Vec<_> = (0..WAITING)
            .map(|_| {
                let gate = gate.clone();
                tokio::spawn(async move { gate.enter(alice, here).await.is_some() })
            })
            .collect();
        while gate.0.lock().unwrap()[&(alice, here)].present < WAITING + turns.len() {
            tokio::task::yield_now().await;
        }
        assert!(gate.enter(alice, here).await.is_none(), "there are too many");
        assert!(gate.enter([2; 32], here).await.is_some() && gate.enter(alice, Network::Unknown).await.is_some());
        assert!(waits.iter().all(|wait| !wait.is_finished()));
        turns.clear();
        for wait in waits {
            assert!(wait.await.unwrap());
        }
        let one = gate.enter(alice, here).await.unwrap();
        assert!(one.is_alone());
        let other = gate.enter(alice, here).await.unwrap();
        assert!(!one.is_alone() && !other.is_alone());
        drop(other);
        let one = one.alone().await.unwrap();
        assert_eq!(one.turns.available_permits(), 0);
        drop(one);
        assert!(gate.0.lock().unwrap().is_empty());
    }
}
