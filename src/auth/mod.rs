//! The verbs: what can be done with accounts, sessions and tokens, one per file, whoever asks.
//!
//! The JSON API and the command line call the same functions. No HTTP here and no SQL: a verb parses what it is given,
//! hashes outside of transactions, and decides inside one.

pub mod access_tokens;
pub mod audit;
pub mod authenticate;
mod authority;
pub mod backup;
pub mod bulk_revocation;
pub mod change_password;
pub mod clients;
pub mod condition;
pub mod console;
pub mod cursor;
pub mod end_everything;
pub mod end_session;
pub mod ended;
pub mod entropy;
pub mod failure;
pub mod follow;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
pub mod guessing;
pub mod import_user;
pub mod integrity;
pub mod introspect;
pub mod key_schedule;
pub mod keys;
pub mod login;
pub mod maintenance;
mod memory;
pub mod overview;
pub mod pair;
pub mod passwords;
pub mod readiness;
pub mod refresh;
pub mod refresh_tokens;
pub mod register;
pub mod register_with_link;
pub mod reset_link;
pub mod revoke_token;
pub mod rotate_keys;
pub mod secret_key;
pub mod session_search;
pub mod sessions;
pub mod setup_link;
mod signing_keys;
pub mod start;
pub mod status_lists;
pub mod update_user;
pub mod user_batches;
pub mod user_list;
pub mod users;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::config::Registration;
use crate::domain::rotation::RotationRules;
use crate::domain::timestamp::Timestamp;
use crate::keyring::Keyring;
use crate::store::QueryResult;
use crate::store::Store;
use crate::store::changes::Position;
use crate::store::connection::AnyConnection;
use access_tokens::AccessTokens;
use audit::activity::Counters;
use audit::denial::Denials;
pub use authority::Actor;
use failure::Failure;
use guessing::Guessing;
use memory::Memory;
use passwords::Passwords;
use signing_keys::KeySource;
use status_lists::StatusLists;

/// What every verb works with. Made once, by [`start::start`].
pub struct Auth {
    store: Store,
    clock: Arc<dyn Clock>,
    keyring: Keyring,
    access_tokens: AccessTokens,
    passwords: Passwords,
    policy: Policy,
    key_source: KeySource,
    memory: Memory,
    status_lists: StatusLists,
    integrity: integrity::Integrity,
    counters: Counters,
    denials: Denials,
    /// `None` while rate limits are off.
    guessing: Option<Guessing>,
    /// How far the changes in the store have been read.
    position: tokio::sync::Mutex<Option<Position>>,
}

/// The configured limits that verbs go by.
#[derive(Clone, Debug)]
pub struct Policy {
    /// How refresh tokens are spent.
    pub rotation: RotationRules,
    /// How long a session lives however much it is used.
    pub session_max_life: Duration,
    /// How many live sessions a user may have.
    pub max_sessions_per_user: u32,
    /// The least number of characters in a password that is chosen.
    pub password_min_length: usize,
    /// Who may register.
    pub registration: Registration,
    /// How long ended sessions and old rotations are kept for people to see.
    pub history_life: Duration,
    /// How long audit events are kept.
    pub audit_life: Duration,
    /// After how long another signing key takes its turn; `None` for never.
    pub key_rotation: Option<Duration>,
}

impl Auth {
    /// The time now, as the service goes by it.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether a refresh token that was spent without the client's knowing may be presented again.
    pub fn retries_are_harmless(&self) -> bool {
        !self.policy.rotation.grace.is_zero()
    }

    /// The least number of characters in a password that is chosen.
    pub fn password_min_length(&self) -> usize {
        self.policy.password_min_length
    }

    /// Closes the store; returns when its files are closed.
    pub fn close(self) {
        self.store.close();
    }

    /// When every access token that has been issued until now will have expired, for APIs that verify them without asking.
    pub fn access_tokens_end_by(&self) -> Timestamp {
        self.now().after(self.access_tokens.life())
    }

    async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut AnyConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, Failure> {
        self.store.read(job).await.map_err(Failure::Store)
    }

    async fn write<T: Send + 'static>(
        &self,
        job: impl FnMut(&mut AnyConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, Failure> {
        self.store.write(job).await.map_err(Failure::Store)
    }

    /// A write that ends sessions or changes a user: this instance has forgotten what it remembered of them when this
    /// returns. A change that is committed stays so even when that cannot be read back; then nothing is trusted.
    async fn write_change<T: Send + 'static>(
        &self,
        job: impl FnMut(&mut AnyConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let written = self.store.write(job).await.map_err(Failure::Store);
        self.forget().await;
        written
    }

    /// The same for a write that only takes something away: it must be possible when the disk is full, too.
    async fn write_end<T: Send + 'static>(
        &self,
        job: impl FnMut(&mut AnyConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let written = self.store.write_urgent(job).await.map_err(Failure::Store);
        self.forget().await;
        written
    }

    async fn forget(&self) {
        if let Err(failure) = follow::catch_up(self).await {
            tracing::warn!(%failure, "a change was not read back");
        }
    }
}
