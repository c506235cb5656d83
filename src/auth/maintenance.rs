//! Keeping the store small: what is old enough is deleted, in steps so small that nobody waits for long. On the way, a
//! signing key that has signed for long enough is replaced.
//!
//! One instance does it at a time, which a lease in the store sees to. Reuse detection loses nothing by it: a session's
//! row stays until long after the session ended or expired, and an unknown session is refused anyway.

use std::time::{Duration, Instant};

use super::audit::prune;
use super::condition::{self, LastPruning};
use super::failure::Failure;
use super::{Auth, entropy, rotate_keys, status_lists};
use crate::domain::client::Client;
use crate::domain::guessing::KNOWN_FOR;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::UserId;
use crate::store::audit_events::{self, By, Event, Kind};
use crate::store::connection::AnyConnection;
use crate::store::error::StoreError;
use crate::store::meta::{self, Fact};
use crate::store::pruning::{self, Candidate};
use crate::store::{QueryResult, changes, guess_counters, known_networks, leases, reset_links};

/// How often it is looked whether there is something to do.
pub const EVERY: Duration = Duration::from_mins(10);
/// What the lease is called.
const NAME: &str = "pruning";
/// How long it lasts unless it is renewed.
const LEASE: Duration = Duration::from_mins(2);
/// How many sessions are looked at in one read.
const PART: i64 = 1_000;
/// A step that took longer than this is followed by a smaller one.
const STEP_TARGET: Duration = Duration::from_millis(15);
/// How many rows a step deletes at first and at most, but for a session whose history is longer than that.
const STEP_FIRST: usize = 50;
const STEP_MAX: usize = 2_000;
/// How many counted guesses, or known networks, are deleted at once.
const GUESSES_STEP: usize = 200;
/// How long instances have to read a change.
const CHANGES_KEPT: Duration = Duration::from_hours(1);
/// How long a deleted user can be restored.
pub const USERS_KEPT: Duration = Duration::from_hours(30 * 24);

/// What was deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pruned {
    /// Sessions that had ended or expired.
    pub sessions: usize,
    /// Rotations of sessions that live on.
    pub rotations: usize,
    /// Users who had been deleted.
    pub users: usize,
    /// Audit events.
    pub events: usize,
    /// The longest step: how long a writer may have waited for this.
    pub longest_step: Duration,
    /// In how many steps sessions and rotations were deleted.
    pub steps: usize,
    /// How many rows the largest of them had.
    pub largest_step: usize,
}

/// Prunes once; `None` when another instance is at it.
pub async fn prune(auth: &Auth) -> Result<Option<Pruned>, Failure> {
    let began = Instant::now();
    let mut work =
        Work { auth, holder: entropy::bytes()?, step: STEP_FIRST, live_sessions: 0, done: Pruned::default() };
    if !work.keep_lease().await? {
        return Ok(None);
    }
    let done = work.prune_all(began).await;
    // Whoever has failed holds up nobody else, nor themselves. When that fails, too, the lease ends by itself.
    let released = work.release_lease().await;
    done.and(released)?;
    Ok(Some(work.done))
}

/// Prunes again and again for as long as `auth` gives the verbs to work with.
pub async fn keep_pruning<A: AsRef<Auth>>(auth: impl Fn() -> Option<A>) {
    // A store in which nothing was counted yet does not wait for its first numbers.
    let mut is_due = match auth() {
        Some(auth) => condition::last_pruning(auth.as_ref()).await.is_ok_and(|last| last.is_none()),
        None => return,
    };
    loop {
        if !std::mem::take(&mut is_due) {
            tokio::time::sleep(EVERY).await;
        }
        let Some(auth) = auth() else { return };
        match prune(auth.as_ref()).await {
            Ok(Some(Pruned { sessions, rotations, users, events, longest_step, .. })) => {
                let ms = longest_step.as_millis();
                tracing::info!(sessions, rotations, users, events, longest_step_ms = ms, "old rows were deleted");
            }
            Ok(None) => tracing::debug!("another instance deletes old rows"),
            Err(failure) => tracing::warn!(%failure, "old rows could not be deleted; that is tried again later"),
        }
    }
}

struct Work<'a> {
    auth: &'a Auth,
    holder: [u8; 16],
    step: usize,
    live_sessions: usize,
    done: Pruned,
}

impl Work<'_> {
    async fn keep_lease(&self) -> Result<bool, Failure> {
        let (holder, now) = (self.holder, self.auth.now());
        let taken = self.auth.write(move |connection| leases::take(connection, NAME, &holder, now, now.after(LEASE)));
        match taken.await {
            Err(Failure::Store(StoreError::Taken)) => Ok(false),
            result => result,
        }
    }

    async fn release_lease(&self) -> Result<(), Failure> {
        let holder = self.holder;
        self.auth.write(move |connection| leases::release(connection, NAME, &holder)).await
    }

    /// Everything in its order, until another instance takes over.
    async fn prune_all(&mut self, began: Instant) -> Result<(), Failure> {
        // Keys are due whatever becomes of the rows.
        if let Err(error) = rotate_keys::rotate_when_due(self.auth).await {
            tracing::warn!(%error, "signing keys could not be rotated; that is tried again later");
        }
        let now = self.auth.now();
        let cutoff = now.before(self.auth.policy.history_life);
        if !self.prune_sessions(cutoff).await? {
            return Ok(());
        }
        self.purge_users(now.before(USERS_KEPT)).await?;
        self.prune_changes(now.before(CHANGES_KEPT)).await?;
        self.prune_guesses(now).await?;
        rotate_keys::delete_old_keys(self.auth, cutoff).await?;
        status_lists::prune(self.auth, now).await?;
        if !self.prune_events().await? {
            return Ok(());
        }
        let deleting = self.auth.write(move |connection| {
            pruning::delete_setup_links(connection, now)?;
            reset_links::delete_expired(connection, now)
        });
        deleting.await?;
        self.remember(began.elapsed()).await
    }

    /// `false` when the lease was lost on the way.
    async fn prune_sessions(&mut self, cutoff: Timestamp) -> Result<bool, Failure> {
        let (mut after, now) = (None, self.auth.now());
        loop {
            let part = self.auth.read(move |connection| pruning::look(connection, after, cutoff, now, PART)).await?;
            self.live_sessions += part.live;
            self.done.sessions += self.in_steps(part.sessions, pruning::delete_sessions).await?;
            self.done.rotations += self
                .in_steps(part.histories, move |connection, ids| pruning::delete_history(connection, ids, cutoff))
                .await?;
            after = part.last;
            if !self.keep_lease().await? {
                return Ok(false);
            }
            if after.is_none() {
                return Ok(true);
            }
        }
    }

    async fn purge_users(&mut self, cutoff: Timestamp) -> Result<(), Failure> {
        let users = self.auth.read(move |connection| pruning::users_to_purge(connection, cutoff)).await?;
        for user in users {
            // Sessions first: a user with many would take them all along at once.
            let sessions = self.auth.read(move |connection| pruning::sessions_of(connection, user)).await?;
            self.done.sessions += self.in_steps(sessions, pruning::delete_sessions).await?;
            let began = Instant::now();
            let now = self.auth.now();
            let purged = self.auth.write(move |connection| {
                let purged = pruning::purge_user(connection, user, cutoff)?;
                if purged > 0 {
                    let nobody = Client::default();
                    let event = Event::new(Kind::UserPurged, now, By::System, &nobody);
                    audit_events::record(connection, &event.about(UserId::new(user)))?;
                }
                Ok(purged)
            });
            self.done.users += purged.await?;
            self.done.longest_step = self.done.longest_step.max(began.elapsed());
        }
        Ok(())
    }

    async fn prune_changes(&mut self, until: Timestamp) -> Result<(), Failure> {
        let limit = i64::try_from(STEP_MAX).unwrap_or(i64::MAX);
        while self.auth.write(move |connection| changes::prune(connection, until, limit)).await? == STEP_MAX {}
        Ok(())
    }

    async fn prune_guesses(&mut self, now: Timestamp) -> Result<(), Failure> {
        let limit = i64::try_from(GUESSES_STEP).unwrap_or(i64::MAX);
        let known_until = now.before(KNOWN_FOR);
        while self.auth.write(move |connection| guess_counters::prune(connection, now, limit)).await? == GUESSES_STEP {}
        while self.auth.write(move |connection| known_networks::prune(connection, known_until, limit)).await?
            == GUESSES_STEP
        {}
        Ok(())
    }

    /// `false` when the lease was lost on the way.
    async fn prune_events(&mut self) -> Result<bool, Failure> {
        let Some(kept_from) = prune::begin(self.auth).await? else { return Ok(true) };
        loop {
            let began = Instant::now();
            let step = prune::delete_step(self.auth, kept_from).await?;
            self.done.events += step;
            self.done.longest_step = self.done.longest_step.max(began.elapsed());
            if step < prune::STEP {
                return Ok(true);
            }
            if !self.keep_lease().await? {
                return Ok(false);
            }
        }
    }

    /// Keeps what was done and counted, for people to see.
    async fn remember(&self, took: Duration) -> Result<(), Failure> {
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let accounts = self.auth.read(pruning::count_accounts).await?;
        let Pruned { sessions, rotations, users, events, longest_step, .. } = self.done;
        let last = LastPruning {
            at: self.auth.now(),
            took,
            longest_step,
            sessions: number(sessions),
            rotations: number(rotations),
            users: number(users),
            events: number(events),
            live_sessions: number(self.live_sessions),
            accounts: u64::try_from(accounts).unwrap_or_default(),
        };
        let text = last.to_text();
        self.auth.write(move |connection| meta::set(connection, Fact::LastPruning, &text)).await
    }

    /// Deletes the rows in transactions that adapt to how long the last one took.
    async fn in_steps(
        &mut self,
        candidates: Vec<Candidate>,
        delete: impl Fn(&mut AnyConnection, &[Vec<u8>]) -> QueryResult<usize> + Clone + Send + 'static,
    ) -> Result<usize, Failure> {
        let mut deleted = 0;
        let mut candidates = candidates.into_iter().peekable();
        while let Some(first) = candidates.next() {
            let mut rows = first.rows;
            let mut ids = vec![first.id];
            while let Some(next) = candidates.next_if(|next| rows + next.rows <= self.step) {
                rows += next.rows;
                ids.push(next.id);
            }
            let delete = delete.clone();
            let began = Instant::now();
            deleted += self.auth.write(move |connection| delete(connection, &ids)).await?;
            let took = began.elapsed();
            self.done.longest_step = self.done.longest_step.max(took);
            self.done.steps += 1;
            self.done.largest_step = self.done.largest_step.max(rows);
            self.step = if took > STEP_TARGET { self.step / 2 } else { self.step * 2 }.clamp(1, STEP_MAX);
        }
        Ok(deleted)
    }
}
