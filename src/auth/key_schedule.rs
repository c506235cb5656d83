//! The changes that can be made to the schedule of the signing keys, each in a transaction of its caller's.
//!
//! There is always one key that signs and one that waits, which verifiers know already when it is its turn.

use std::time::Duration;

use serde_json::json;

use crate::domain::client::Client;
use crate::domain::key_schedule::{self, KeyRole, KeySchedule};
use crate::domain::timestamp::Timestamp;
use crate::store::audit_events::{self, By, Event, Kind};
use crate::store::connection::AnyConnection;
use crate::store::dialect::{self, Lock};
use crate::store::error::impossible_row;
use crate::store::signing_keys::{self, StoredKey};
use crate::store::{QueryResult, changes};

/// What a change goes by, and the keys that it may need: nothing is drawn within a transaction.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    /// The configured one; `None` for HS256, whose key is not stored.
    pub(super) algorithm: Option<&'static str>,
    pub(super) token_life: Duration,
    pub(super) jwks_max_age: Duration,
    pub(super) now: Timestamp,
    pub(super) by: By,
    pub(super) client: Client,
    pub(super) spares: Vec<StoredKey>,
}

/// Which key signs from when on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Appointed {
    pub(super) kid: String,
    pub(super) signs_from: Timestamp,
    /// Whether that was so before.
    pub(super) was_appointed: bool,
    /// Those that verify nothing any more.
    pub(super) retired: Vec<String>,
}

/// What became of a key that was to be retired.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Retirement {
    Done,
    Unknown,
    Signs,
    Appointed(Timestamp),
    StillAccepted(Timestamp),
    Already,
}

/// Whether there is nothing for [`Turn::ensure`] to do.
pub(super) fn is_in_order(keys: &[StoredKey], algorithm: Option<&str>, now: Timestamp) -> bool {
    let last = last(keys).map(|key| key.algorithm.as_str());
    let waiting: Vec<_> = keys.iter().filter(|key| key.schedule().is_waiting()).collect();
    match algorithm {
        Some(_) => last == algorithm && waiting.iter().any(|key| Some(key.algorithm.as_str()) == algorithm),
        None => last.is_none() && waiting.is_empty() && !keys.iter().any(|key| signs_after(&key.schedule(), now)),
    }
}

impl Turn {
    /// Sees to it that a key of the configured algorithm signs, or will as soon as verifiers can know it, and that
    /// there is one after it.
    pub(super) fn ensure(&self, connection: &mut AnyConnection) -> QueryResult<()> {
        dialect::lock(connection, Lock::Setup)?;
        let keys = signing_keys::all(connection)?;
        if is_in_order(&keys, self.algorithm, self.now) {
            return Ok(());
        }
        changes::note_keys(connection, self.now)?;
        let Some(algorithm) = self.algorithm else { return self.leave_to_shared_key(connection, &keys) };
        match last(&keys) {
            Some(last) if last.algorithm == algorithm => {}
            Some(last) => {
                self.appoint(connection, &keys, Some(last))?;
            }
            None => {
                let next = self.waiting(connection, &keys)?;
                signing_keys::begin(connection, &next.kid, self.now)?;
            }
        }
        self.ensure_waiting(connection)
    }

    /// Lets the key that waits take the place of the one that signs. While that lies ahead, nothing changes.
    pub(super) fn rotate(&self, connection: &mut AnyConnection) -> QueryResult<Appointed> {
        dialect::lock(connection, Lock::Setup)?;
        let keys = signing_keys::all(connection)?;
        let last = last(&keys);
        if let Some((last, signs_from)) = last.and_then(|key| Some((key, key.schedule().signs_from?)))
            && signs_from > self.now
        {
            return Ok(Appointed { kid: last.kid.clone(), signs_from, was_appointed: true, retired: Vec::new() });
        }
        changes::note_keys(connection, self.now)?;
        let appointed = self.appoint(connection, &keys, last)?;
        self.ensure_waiting(connection)?;
        Ok(appointed)
    }

    /// The same at once, and no token of any other key is accepted any more. A key that verifiers know by now is taken
    /// where there is one.
    pub(super) fn replace(&self, connection: &mut AnyConnection) -> QueryResult<Appointed> {
        dialect::lock(connection, Lock::Setup)?;
        let keys = signing_keys::all(connection)?;
        let signs = self.signing(&keys).map(|key| key.kid.clone());
        let may_begin = |key: &&StoredKey| {
            Some(key.algorithm.as_str()) == self.algorithm
                && Some(&key.kid) != signs.as_ref()
                && self.role(key, false) == KeyRole::Next
        };
        // The one whose turn it would have been, or else the one that has waited longest.
        let turn = |key: &&StoredKey| (key.schedule().is_waiting(), key.schedule().created_at);
        let next = match keys.iter().filter(may_begin).min_by_key(turn) {
            Some(key) => key.clone(),
            None => self.make(connection)?,
        };
        signing_keys::begin(connection, &next.kid, self.now)?;
        let detail = json!({ "kid": next.kid, "from": signs, "signsFrom": self.now.to_string(), "emergency": true });
        self.record(connection, Kind::SigningKeyRotated, detail)?;
        let mut retired = Vec::new();
        for key in keys.iter().filter(|key| key.kid != next.kid && !key.schedule().is_waiting()) {
            if key.schedule().is_accepted(self.now, self.token_life) {
                signing_keys::retire(connection, &key.kid, self.now)?;
                self.record(connection, Kind::SigningKeyRetired, json!({ "kid": key.kid }))?;
                retired.push(key.kid.clone());
            }
        }
        self.ensure_waiting(connection)?;
        changes::note(connection, None, self.now)?;
        Ok(Appointed { kid: next.kid, signs_from: self.now, was_appointed: false, retired })
    }

    /// Takes a key out of use that does not sign; one whose tokens may still be about only by `force`.
    pub(super) fn retire(&self, connection: &mut AnyConnection, kid: &str, force: Force) -> QueryResult<Retirement> {
        dialect::lock(connection, Lock::Setup)?;
        let keys = signing_keys::all(connection)?;
        let signs = self.signing(&keys).is_some_and(|key| key.kid == kid);
        let Some(key) = keys.iter().find(|key| key.kid == kid) else { return Ok(Retirement::Unknown) };
        let schedule = key.schedule();
        match (self.role(key, signs), schedule.signs_from, schedule.accepted_until(self.token_life)) {
            (KeyRole::Current, _, _) => return Ok(Retirement::Signs),
            (KeyRole::Retired, _, _) => return Ok(Retirement::Already),
            (KeyRole::Next, Some(at), _) => return Ok(Retirement::Appointed(at)),
            (KeyRole::Previous, _, Some(until)) if force == Force::No => {
                return Ok(Retirement::StillAccepted(until));
            }
            _ => {}
        }
        signing_keys::retire(connection, kid, self.now)?;
        self.record(connection, Kind::SigningKeyRetired, json!({ "kid": kid }))?;
        if self.algorithm.is_some() {
            self.ensure_waiting(connection)?;
        }
        changes::note(connection, None, self.now)?;
        Ok(Retirement::Done)
    }

    /// After a store went back in time: no key that was there before is worth anything.
    pub(super) fn begin_anew(&self, connection: &mut AnyConnection) -> QueryResult<()> {
        dialect::lock(connection, Lock::Setup)?;
        for key in signing_keys::all(connection)?.iter().filter(|key| key.schedule().retired_at.is_none()) {
            signing_keys::retire(connection, &key.kid, self.now)?;
        }
        self.record(connection, Kind::SigningKeyRetired, json!({}))?;
        if self.algorithm.is_some() {
            let key = self.make(connection)?;
            signing_keys::begin(connection, &key.kid, self.now)?;
            self.ensure_waiting(connection)?;
        }
        changes::note(connection, None, self.now)
    }

    /// HS256 is configured: stored keys sign no more, and none waits.
    fn leave_to_shared_key(&self, connection: &mut AnyConnection, keys: &[StoredKey]) -> QueryResult<()> {
        for key in keys.iter().filter(|key| key.schedule().retired_at.is_none()) {
            let schedule = key.schedule();
            if !schedule.has_begun(self.now) {
                signing_keys::delete(connection, &key.kid)?;
            } else if signs_after(&schedule, self.now) {
                signing_keys::supersede(connection, &key.kid, self.now)?;
            }
        }
        Ok(())
    }

    /// Gives the key that waits its time, and the last one before it its end.
    fn appoint(
        &self,
        connection: &mut AnyConnection,
        keys: &[StoredKey],
        last: Option<&StoredKey>,
    ) -> QueryResult<Appointed> {
        let next = self.waiting(connection, keys)?;
        let earliest = next.schedule().earliest_start(self.jwks_max_age, self.now);
        let begun = last.and_then(|last| last.schedule().signs_from);
        let signs_from = begun.map_or(self.now, |begun| earliest.max(begun));
        for last in keys.iter().filter(|key| key.schedule().is_last()) {
            signing_keys::supersede(connection, &last.kid, signs_from)?;
        }
        signing_keys::begin(connection, &next.kid, signs_from)?;
        let from = last.map(|last| &last.kid);
        let detail = json!({ "kid": next.kid, "from": from, "signsFrom": signs_from.to_string() });
        self.record(connection, Kind::SigningKeyRotated, detail)?;
        Ok(Appointed { kid: next.kid, signs_from, was_appointed: false, retired: Vec::new() })
    }

    /// The key of the configured algorithm that has waited longest, or a new one.
    fn waiting(&self, connection: &mut AnyConnection, keys: &[StoredKey]) -> QueryResult<StoredKey> {
        let waits = |key: &&StoredKey| key.schedule().is_waiting() && Some(key.algorithm.as_str()) == self.algorithm;
        match keys.iter().rev().find(waits) {
            Some(key) => Ok(key.clone()),
            None => self.make(connection),
        }
    }

    /// Sees to it that one key waits, and none of another algorithm.
    fn ensure_waiting(&self, connection: &mut AnyConnection) -> QueryResult<()> {
        let keys = signing_keys::all(connection)?;
        let (fitting, others): (Vec<_>, Vec<_>) = keys
            .iter()
            .filter(|key| key.schedule().is_waiting())
            .partition(|key| Some(key.algorithm.as_str()) == self.algorithm);
        for other in others {
            signing_keys::delete(connection, &other.kid)?;
        }
        if fitting.is_empty() {
            self.make(connection)?;
        }
        Ok(())
    }

    /// Stores a key that was made before the transaction.
    fn make(&self, connection: &mut AnyConnection) -> QueryResult<StoredKey> {
        let stored = signing_keys::all(connection)?;
        let spare = self.spares.iter().find(|spare| stored.iter().all(|key| key.kid != spare.kid));
        let spare = spare.ok_or_else(|| impossible_row("signing_keys", "(new)", "too few keys were made"))?;
        signing_keys::insert(connection, spare)?;
        let detail = json!({ "kid": spare.kid, "algorithm": spare.algorithm });
        self.record(connection, Kind::SigningKeyCreated, detail)?;
        Ok(spare.clone())
    }

    fn signing<'a>(&self, keys: &'a [StoredKey]) -> Option<&'a StoredKey> {
        let schedules: Vec<_> = keys.iter().map(StoredKey::schedule).collect();
        self.algorithm?;
        keys.get(key_schedule::signing(schedules.iter(), self.now)?)
    }

    fn role(&self, key: &StoredKey, signs: bool) -> KeyRole {
        key.schedule().role(signs, self.now, self.token_life)
    }

    fn record(&self, connection: &mut AnyConnection, kind: Kind, detail: serde_json::Value) -> QueryResult<()> {
        audit_events::record(connection, &Event::new(kind, self.now, self.by, &self.client).with(detail))
    }
}

/// Whether a key is retired whose tokens may still be about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Force {
    /// It is not.
    No,
    /// It is: those tokens are refused.
    Yes,
}

/// The end of the schedule: the key that signs with nothing to take its place, perhaps not yet.
fn last(keys: &[StoredKey]) -> Option<&StoredKey> {
    keys.iter().filter(|key| key.schedule().is_last()).max_by_key(|key| key.schedule().signs_from)
}

/// Whether a key signs at `now` or later.
fn signs_after(schedule: &KeySchedule, now: Timestamp) -> bool {
    schedule.retired_at.is_none() && schedule.signs_from.is_some() && schedule.superseded_at.is_none_or(|at| at > now)
}
