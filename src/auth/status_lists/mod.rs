//! Status lists (draft-ietf-oauth-status-list): whoever verifies access tokens without asking us learns here which of
//! them were revoked.
//!
//! Each session has one place in a list, which all of its access tokens name: they live and die together. What is revoked
//! is in the sessions' rows; an instance keeps the bits in memory, where they are only ever set, and signs a list when
//! somebody asks for it. With HS256 there are no lists: nobody who may only verify could check their signature.

mod encoding;
mod places;
mod publish;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(in crate::auth) use places::{Place, give_place, place_of, renew};
pub use publish::{Published, list_uris, show};

use super::Auth;
use super::failure::Failure;
use crate::config::{Config, JwtAlgorithm};
use crate::domain::status_list::{Slot, StatusBits};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::UserId;
use crate::store::changes::Change;
use crate::store::status_lists::{self as store, List};

/// The path behind which the lists have their names.
const PATH: &str = "/status-lists";
/// What follows a revocation and is no part of the `ttl`: until the other instances know it, and until a list that was
/// signed just before is signed again.
const DELAY: Duration = Duration::from_secs(2);
/// Of more users than this, everything is read again.
const USERS_READ_SINGLY: usize = 100;
/// Whoever has not followed the changes for this long may have missed some.
const LOST_AFTER: Duration = Duration::from_mins(10);
/// The longest life that access tokens can have been configured to; they may be older than the configuration.
const LONGEST_TOKEN_LIFE: Duration = Duration::from_hours(1);
/// How far instances' clocks may differ, and more.
const SLACK: Duration = Duration::from_mins(5);

/// The lists as this instance knows them.
pub(super) struct StatusLists {
    /// `None` when there are none.
    terms: Option<Terms>,
    state: Mutex<State>,
    /// Held by whoever reads what changed and signs; the others wait and take what comes of it.
    flight: tokio::sync::Mutex<()>,
    /// The places that are ours to give.
    block: tokio::sync::Mutex<Option<places::Taken>>,
}

struct Terms {
    /// What the names of lists are put behind.
    base: String,
    /// How long a verifier may take a list for current.
    ttl: Duration,
    /// How long a verifier may take it for true that cannot get another one.
    life: Duration,
    /// How long ago something can have been revoked that a token still names.
    memory: Duration,
}

#[derive(Default)]
struct State {
    lists: BTreeMap<Slot, Kept>,
    unread: Unread,
    /// Somebody is reading what was unread until then: it is not known yet.
    is_being_read: bool,
    followed_at: Option<Instant>,
    /// When it was last looked which lists there are, for one that was asked for and is not known.
    looked_at: Option<Instant>,
}

/// A list in memory.
struct Kept {
    list: List,
    bits: StatusBits,
    /// Something was revoked that the published one does not say.
    is_behind: bool,
    published: Option<Arc<Published>>,
}

/// What changed and was not read yet.
#[derive(Default)]
enum Unread {
    #[default]
    Everything,
    Of(HashSet<UserId>),
}

impl Unread {
    fn is_empty(&self) -> bool {
        matches!(self, Self::Of(users) if users.is_empty())
    }

    fn add(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::Everything, _) => {}
            (_, Self::Everything) => *self = Self::Everything,
            (Self::Of(users), Self::Of(more)) => {
                users.extend(more);
                if users.len() > USERS_READ_SINGLY {
                    *self = Self::Everything;
                }
            }
        }
    }
}

impl StatusLists {
    pub(super) fn new(config: &Config) -> Self {
        let ttl = config.status_ttl.saturating_sub(DELAY).max(Duration::from_secs(1));
        let terms = Terms {
            base: format!("{}{PATH}/", config.public_url),
            ttl,
            life: (config.status_ttl * 10).max(Duration::from_mins(5)),
            memory: config.jwt.access_token_life.max(LONGEST_TOKEN_LIFE) + SLACK,
        };
        Self {
            terms: (config.jwt.algorithm != JwtAlgorithm::Hs256).then_some(terms),
            state: Mutex::default(),
            flight: tokio::sync::Mutex::default(),
            block: tokio::sync::Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes whose sessions have to be read before a list is signed again. The changes are all that happened until
    /// `asked_at`.
    pub(super) fn follow(&self, changes: &[Change], asked_at: Instant) {
        if self.terms.is_none() {
            return;
        }
        let mut state = self.state();
        if state.followed_at.is_some_and(|at| at.elapsed() > LOST_AFTER) {
            state.unread = Unread::Everything;
        }
        state.followed_at = Some(asked_at);
        for change in changes {
            state.unread.add(match change {
                Change::User(user) => Unread::Of(HashSet::from([*user])),
                Change::Everybody => Unread::Everything,
                Change::Keys => continue,
            });
        }
    }

    /// Nothing was heard for an unknown time: everything has to be read again, once that is possible.
    pub(super) fn distrust(&self) {
        let mut state = self.state();
        state.unread = Unread::Everything;
        state.followed_at = None;
    }
}

impl State {
    /// Makes sure that a list is known. One that was not may have bits that nobody looked for.
    fn add(&mut self, list: &List) {
        if self.lists.get(&list.slot).is_none_or(|kept| kept.list != *list) {
            self.lists.insert(list.slot, Kept::new(list.clone()));
            self.unread = Unread::Everything;
        }
    }

    /// Makes these the lists that there are; those that stay keep their bits.
    fn keep_only(&mut self, lists: Vec<List>) {
        let mut before = std::mem::take(&mut self.lists);
        for list in lists {
            let known = before.remove(&list.slot).filter(|kept| kept.list == list);
            self.lists.insert(list.slot, known.unwrap_or_else(|| Kept::new(list)));
        }
    }

    /// Whether all that is known to have changed was read.
    fn is_settled(&self) -> bool {
        self.unread.is_empty() && !self.is_being_read
    }

    fn find(&self, name: &str) -> Option<&Kept> {
        self.lists.values().find(|kept| kept.list.name == name)
    }
}

impl Kept {
    fn new(list: List) -> Self {
        Self { list, bits: StatusBits::default(), is_behind: true, published: None }
    }
}

/// Drops lists that no token can name any more.
pub(super) async fn prune(auth: &Auth, now: Timestamp) -> Result<(), Failure> {
    let Some(terms) = &auth.status_lists.terms else { return Ok(()) };
    let cutoff = now.before(terms.memory);
    let dropped = auth.write(move |connection| store::prune(connection, cutoff, now)).await?;
    if dropped > 0 {
        tracing::info!(lists = dropped, "status lists that no token names were dropped");
    }
    Ok(())
}
