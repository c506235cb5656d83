//! What an instance remembers of access tokens that it has accepted, so that it need not verify and read again for
//! every request (RFC 7519 §7.2 asks for the check, not for its repetition).
//!
//! Only successes are remembered, never past the token's or the session's end, and only while the changes in the store
//! are being followed: whatever changed there drops what is remembered of the user.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::authenticate::Principal;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::UserId;
use crate::store::changes::Change;

/// How many tokens are remembered in each of the two halves; 20,000 take about 15 MB.
const HALF: usize = 10_000;
/// How long what is remembered holds after the changes were last read. Beyond it the store is asked, which is slower
/// and never wrong.
const STALE_AFTER: Duration = Duration::from_millis(900);
/// Whoever has not read the changes for this long drops everything: rows may have been deleted meanwhile.
const LOST_AFTER: Duration = Duration::from_mins(10);

/// SHA-256 of an access token.
type Digest = [u8; 32];

#[derive(Default)]
pub(super) struct Memory(Mutex<State>);

#[derive(Default)]
struct State {
    /// What came or was used lately, and what was before that. When the first is full it becomes the second.
    young: Half,
    old: Half,
    /// Rises with each change: what was read before one is not remembered after it.
    version: u64,
    followed_at: Option<Instant>,
}

#[derive(Default)]
struct Half {
    tokens: HashMap<Digest, Remembered>,
    by_user: HashMap<UserId, Vec<Digest>>,
}

#[derive(Clone)]
struct Remembered {
    principal: Arc<Principal>,
    /// A clock that goes back must not bring back what had expired: whoever asks again is judged anew.
    valid: Range<Timestamp>,
}

/// When something was looked up: it is not remembered if anything changed since.
#[derive(Clone, Copy)]
pub(super) struct Version(u64);

impl Memory {
    /// The holder of a token that was accepted before and still would be.
    pub(super) fn recall(&self, token: &Digest, now: Timestamp) -> Option<Arc<Principal>> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.followed_at.is_none_or(|at| at.elapsed() > STALE_AFTER) {
            return None;
        }
        let remembered = match state.young.tokens.get(token) {
            Some(remembered) => remembered.clone(),
            None => {
                let remembered = state.old.tokens.get(token)?.clone();
                state.put(*token, remembered.clone());
                remembered
            }
        };
        remembered.valid.contains(&now).then_some(remembered.principal)
    }

    /// To be asked for before the store is read.
    pub(super) fn version(&self) -> Version {
        Version(self.0.lock().unwrap_or_else(PoisonError::into_inner).version)
    }

    /// Remembers a token that was accepted on the strength of what was read at `version`.
    pub(super) fn remember(&self, token: Digest, principal: Arc<Principal>, valid: Range<Timestamp>, version: Version) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.version == version.0 {
            state.put(token, Remembered { principal, valid });
        }
    }

    /// Drops what the changes concern. They are all that happened until `asked_at`.
    pub(super) fn follow(&self, changes: &[Change], asked_at: Instant) {
        #[cfg(feature = "failpoints")]
        let changes = if crate::store::failpoints::bug("revocation_cached") { &[] } else { changes };
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let missed = state.followed_at.is_some_and(|at| at.elapsed() > LOST_AFTER);
        state.followed_at = Some(asked_at);
        if !changes.is_empty() || missed {
            state.version += 1;
        }
        if missed || changes.contains(&Change::Everybody) {
            state.young = Half::default();
            state.old = Half::default();
        }
        for change in changes {
            if let Change::User(user) = change {
                state.young.forget(*user);
                state.old.forget(*user);
            }
        }
    }

    /// Nothing that is remembered holds until the changes are followed again.
    pub(super) fn distrust(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.version += 1;
        state.young = Half::default();
        state.old = Half::default();
        state.followed_at = None;
    }
}

impl State {
    fn put(&mut self, token: Digest, remembered: Remembered) {
        if self.young.tokens.len() >= HALF {
            self.old = std::mem::take(&mut self.young);
        }
        let user = remembered.principal.user.id;
        if self.young.tokens.insert(token, remembered).is_none() {
            self.young.by_user.entry(user).or_default().push(token);
        }
    }
}

impl Half {
    fn forget(&mut self, user: UserId) {
        for token in self.by_user.remove(&user).unwrap_or_default() {
            self.tokens.remove(&token);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::email::Email;
    use crate::domain::role::Role;
    use crate::domain::session::SessionId;
    use crate::domain::user::{SecurityVersion, User, UserStatus};
    use crate::domain::username::Username;

    const SOON: Timestamp = Timestamp::from_micros(1_000);
    const LATER: Timestamp = Timestamp::from_micros(2_000);

    fn digest(number: u64) -> Digest {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_be_bytes());
        digest
    }

    fn user(id: i64) -> UserId {
        UserId::new(id).unwrap()
    }

    fn principal(id: i64) -> Arc<Principal> {
        Arc::new(Principal {
            user: User {
                id: user(id),
                username: Username::from_stored("u".to_owned(), "u".to_owned()),
                email: Email::from_stored("u@e".to_owned(), "u@e".to_owned()),
                role: Role::User,
                status: UserStatus::Active,
                security_version: SecurityVersion::FIRST,
                created_at: SOON,
                last_login_at: None,
            },
            session_id: SessionId::from_bytes([1; 16]),
        })
    }

    fn knows(memory: &Memory, number: u64) -> bool {
        memory.recall(&digest(number), SOON).is_some()
    }

    #[test]
    fn what_is_remembered_holds_until_its_time_is_over_or_its_user_changes() {
        let memory = Memory::default();
        memory.remember(digest(1), principal(1), SOON..LATER, memory.version());
        assert!(!knows(&memory, 1), "nothing holds before the changes are followed");
        memory.follow(&[], Instant::now());
        memory.remember(digest(2), principal(2), SOON..LATER, memory.version());
        assert!(knows(&memory, 1) && knows(&memory, 2));
        assert!(memory.recall(&digest(1), LATER).is_none());
        assert!(memory.recall(&digest(1), SOON.before(Duration::from_micros(1))).is_none());
        memory.follow(&[Change::User(user(1))], Instant::now());
        assert!(!knows(&memory, 1) && knows(&memory, 2));
        memory.follow(&[Change::Everybody], Instant::now());
        assert!(!knows(&memory, 2));
    }

    #[test]
    fn what_was_read_before_a_change_is_not_remembered_after_it() {
        let memory = Memory::default();
        memory.follow(&[], Instant::now());
        let before = memory.version();
        memory.follow(&[Change::User(user(7))], Instant::now());
        memory.remember(digest(1), principal(1), SOON..LATER, before);
        assert!(!knows(&memory, 1));
        let before = memory.version();
        memory.distrust();
        memory.follow(&[], Instant::now());
        memory.remember(digest(1), principal(1), SOON..LATER, before);
        assert!(!knows(&memory, 1));
    }

    #[test]
    fn nothing_is_trusted_that_was_not_followed_lately() {
        let memory = Memory::default();
        let ago = |ms| Instant::now().checked_sub(Duration::from_millis(ms)).unwrap();
        memory.follow(&[], Instant::now());
        memory.remember(digest(1), principal(1), SOON..LATER, memory.version());
        assert!(knows(&memory, 1));
        memory.follow(&[], ago(500));
        assert!(knows(&memory, 1));
        memory.follow(&[], ago(901));
        assert!(!knows(&memory, 1));
        memory.follow(&[], Instant::now());
        assert!(knows(&memory, 1), "nothing was missed");
        memory.follow(&[], ago(601_000));
        memory.follow(&[], Instant::now());
        assert!(!knows(&memory, 1), "rows may have been deleted meanwhile");
    }

    #[test]
    fn memory_is_bounded_and_what_is_in_use_stays() {
        let memory = Memory::default();
        memory.follow(&[], Instant::now());
        for number in 0..50_000 {
            memory.remember(digest(number), principal(1), SOON..LATER, memory.version());
            if number % 1_000 == 0 {
                assert!(knows(&memory, 0), "{number}");
            }
        }
        let state = memory.0.lock().unwrap();
        assert!(state.young.tokens.len() + state.old.tokens.len() <= 2 * HALF);
        let indexed: usize = state.young.by_user.values().chain(state.old.by_user.values()).map(Vec::len).sum();
        assert!(indexed <= 2 * HALF);
        drop(state);
        memory.follow(&[Change::User(user(1))], Instant::now());
        let state = memory.0.lock().unwrap();
        assert!(state.young.tokens.is_empty() && state.old.tokens.is_empty());
    }
}
