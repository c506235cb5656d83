//! Sealing: every event gets its place in a chain of digests within a second of its commit, and is counted by the hour.
//!
//! This is done beside the requests and not in them, since a chain would make one commit wait for the other. One instance
//! does it at a time; a seal is given only together with the move of the chain's end, so that nobody can fork it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::activity;
use super::chain::{day_of, digest};
use crate::auth::failure::Failure;
use crate::auth::{Auth, entropy};
use crate::domain::timestamp::Timestamp;
use crate::store::audit_events::{self, Day};
use crate::store::connection::AnyConnection;
use crate::store::error::{StoreError, impossible_row};
use crate::store::{QueryResult, leases, rollups};

/// How often it is looked whether there is something to seal.
const EVERY: Duration = Duration::from_millis(500);
/// How often what is counted in the process is added to the store.
const COUNT_EVERY: Duration = Duration::from_secs(10);
/// How many events are sealed in one transaction: few enough for others not to wait for long.
const BATCH: usize = 200;
/// Instances that come at the same time are in each other's way for less long than this.
const HELD_UP: Duration = Duration::from_secs(5);
/// How long a lease lasts unless it is renewed; as long as others wait for an instance that is gone.
const LEASE: Duration = Duration::from_secs(2);

/// One that seals.
#[derive(Clone, Copy, Debug)]
pub struct Sealer {
    holder: [u8; 16],
}

impl Sealer {
    /// Draws the name that it holds its lease under.
    pub fn draw() -> Result<Self, Failure> {
        Ok(Self { holder: entropy::bytes()? })
    }

    /// Seals what there is, a batch in a transaction; gives how many. `None` when another instance is at it.
    pub async fn seal(&self, auth: &Auth) -> Result<Option<usize>, Failure> {
        self.attempt(auth).await.map(|attempt| match attempt {
            Attempt::Sealed(number) => Some(number),
            Attempt::Elsewhere | Attempt::Taken => None,
        })
    }

    async fn attempt(&self, auth: &Auth) -> Result<Attempt, Failure> {
        let mut sealed = 0;
        loop {
            if auth.read(|connection| audit_events::unsealed(connection, 1)).await?.is_empty() {
                return Ok(Attempt::Sealed(sealed));
            }
            let (holder, now) = (self.holder, auth.now());
            let batch = auth.write(move |connection| {
                if leases::take(connection, "sealing", &holder, now, now.after(LEASE))? {
                    seal_batch(connection).map(Some)
                } else {
                    Ok(None)
                }
            });
            let batch = batch.await;
            if let Ok(Some(Batch::Sealed(number))) = &batch {
                auth.counters.count_sealed(*number);
            }
            match batch {
                Ok(Some(Batch::Sealed(number))) if number < BATCH => return Ok(Attempt::Sealed(sealed + number)),
                Ok(Some(Batch::Sealed(number))) => sealed += number,
                Ok(Some(Batch::Overtaken) | None) => return Ok(Attempt::Elsewhere),
                // Somebody else took the lease, the place in the chain or the row of an hour at the same time.
                Err(Failure::Store(StoreError::Taken)) => return Ok(Attempt::Taken),
                Err(failure) => return Err(failure),
            }
        }
    }
}

/// Seals, and adds up what is counted, for as long as `auth` gives the verbs to work with.
pub async fn keep_sealing<A: AsRef<Auth>>(auth: impl Fn() -> Option<A>) {
    let sealer = match Sealer::draw() {
        Ok(sealer) => sealer,
        Err(failure) => return tracing::error!(%failure, "audit events are not sealed by this instance"),
    };
    let mut counted_at = Instant::now();
    let (mut was_lost, mut held_up) = (false, HeldUp::default());
    while let Some(auth) = auth() {
        let attempt = sealer.attempt(auth.as_ref()).await;
        if held_up.is_news(matches!(attempt, Ok(Attempt::Taken)), Instant::now()) {
            tracing::error!(
                "audit events are not sealed: the place of the next seal is taken, again and again; \
                 `relatch audit verify` tells what is wrong with the chain"
            );
        }
        let mut done = attempt.map(|_| ());
        if counted_at.elapsed() >= COUNT_EVERY {
            counted_at = Instant::now();
            done = done.and(activity::add_up(auth.as_ref()).await);
        }
        drop(auth);
        match &done {
            Ok(()) if was_lost => tracing::info!("audit events are sealed again"),
            Err(failure) if !was_lost => {
                tracing::warn!(%failure, "audit events cannot be sealed; that is tried again");
            }
            _ => {}
        }
        was_lost = done.is_err();
        tokio::time::sleep(EVERY).await;
    }
}

/// What a try to seal came to.
enum Attempt {
    Sealed(usize),
    /// Another instance is at it.
    Elsewhere,
    /// What was to be written is there already: by another instance at the same moment, or for good.
    Taken,
}

/// Notices when sealing never comes to anything, which is no failure the first time.
#[derive(Default)]
struct HeldUp {
    since: Option<Instant>,
    was_said: bool,
}

impl HeldUp {
    /// Whether it is to be said now that this is no coincidence any more.
    fn is_news(&mut self, is_taken: bool, now: Instant) -> bool {
        if !is_taken {
            *self = Self::default();
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let is_news = !self.was_said && now.duration_since(since) >= HELD_UP;
        self.was_said |= is_news;
        is_news
    }
}

enum Batch {
    Sealed(usize),
    Overtaken,
}

/// The end of the chain is moved before any seal is given: who finds it moved by somebody else gives none.
fn seal_batch(connection: &mut AnyConnection) -> QueryResult<Batch> {
    let seen = audit_events::head(connection)?;
    let events = audit_events::unsealed(connection, i64::try_from(BATCH).unwrap_or(i64::MAX))?;
    let mut head = seen;
    let (mut seals, mut days, mut counts) = (Vec::new(), Vec::new(), BTreeMap::<_, i64>::new());
    for event in &events {
        let day = day_of(event, head.day);
        if day != head.day {
            days.push(Day { day, first_number: head.number + 1, head_before: head.digest });
        }
        head.number += 1;
        head.digest = digest(&head.digest, head.number, event);
        head.day = day;
        seals.push((event.id, head.number, head.digest));
        let hour = rollups::hour_of(Timestamp::from_micros(event.occurred_at));
        *counts.entry((hour, event.kind.as_str())).or_default() += 1;
    }
    if !audit_events::move_head(connection, &seen, &head)? {
        return Ok(Batch::Overtaken);
    }
    for (id, number, digest) in &seals {
        if !audit_events::give_seal(connection, *id, *number, digest)? {
            return Err(impossible_row("audit_events", id, "it was sealed, but the end of the chain did not move"));
        }
    }
    for day in &days {
        audit_events::begin_day(connection, day)?;
    }
    for ((hour, kind), number) in counts {
        rollups::add(connection, hour, kind, number)?;
    }
    Ok(Batch::Sealed(seals.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_held_up_for_long_says_so_once() {
        let (mut held_up, begin) = (HeldUp::default(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert!(!held_up.is_news(true, at(0)));
        assert!(!held_up.is_news(true, at(4)));
        assert!(held_up.is_news(true, at(5)));
        assert!(!held_up.is_news(true, at(60)));
        // It begins anew once something was sealed, or somebody else is at it.
        assert!(!held_up.is_news(false, at(61)));
        assert!(!held_up.is_news(true, at(62)));
        assert!(!held_up.is_news(true, at(66)));
        assert!(held_up.is_news(true, at(67)));
    }
}
