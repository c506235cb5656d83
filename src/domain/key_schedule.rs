//! When a signing key signs and until when its tokens are accepted: a schedule that time alone carries out.
//!
//! No instance has to do anything for one key to take another's place, so that all of them do it at the same moment.

use std::time::Duration;

use crate::domain::timestamp::Timestamp;

/// Another instance may have signed a little longer with a key that was superseded.
const SLACK: Duration = Duration::from_secs(60);
/// How much longer than verifiers may keep the published keys a key waits before it signs: two instances' clocks differ by
/// ten seconds at most, they read of a new key within one, and it is made a little before it is published.
const LEAD: Duration = Duration::from_secs(15);

/// The schedule of one key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeySchedule {
    /// When it was made, and published.
    pub created_at: Timestamp,
    /// From when on it signs, which may lie ahead; `None` while nobody knows yet.
    pub signs_from: Option<Timestamp>,
    /// When another takes its place, which may lie ahead; never before it signs.
    pub superseded_at: Option<Timestamp>,
    /// When it was taken out of use before its last token had expired. That holds at once, whatever the clock says.
    pub retired_at: Option<Timestamp>,
}

/// What a key is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum KeyRole {
    /// It signs.
    Current,
    /// It is published, so that verifiers know it when it signs.
    Next,
    /// It signed; its tokens are accepted until the last one has expired.
    Previous,
    /// None of its tokens is accepted any more.
    Retired,
}

impl KeyRole {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Next => "next",
            Self::Previous => "previous",
            Self::Retired => "retired",
        }
    }
}

impl KeySchedule {
    /// A key that is published from now on and waits for its turn.
    pub const fn waiting(created_at: Timestamp) -> Self {
        Self { created_at, signs_from: None, superseded_at: None, retired_at: None }
    }

    /// When it may sign at the earliest: when whoever has fetched the keys before it was among them fetches them again.
    pub fn earliest_start(&self, jwks_max_age: Duration, now: Timestamp) -> Timestamp {
        self.created_at.after(jwks_max_age).after(LEAD.min(jwks_max_age)).max(now)
    }

    /// Until when its tokens are accepted; `None` while nothing takes its place.
    pub fn accepted_until(&self, token_life: Duration) -> Option<Timestamp> {
        self.retired_at.or_else(|| self.superseded_at.map(|at| at.after(token_life).after(SLACK)))
    }

    /// Whether tokens of it are accepted. Those of a key that is still to sign are, too: clocks differ.
    pub fn is_accepted(&self, now: Timestamp, token_life: Duration) -> bool {
        self.retired_at.is_none() && self.accepted_until(token_life).is_none_or(|until| until > now)
    }

    /// Whether it may have signed something by now.
    pub fn has_begun(&self, now: Timestamp) -> bool {
        self.signs_from.is_some_and(|from| from <= now)
    }

    /// Whether it is scheduled and nothing takes its place: the end of the schedule of all keys.
    pub fn is_last(&self) -> bool {
        self.retired_at.is_none() && self.signs_from.is_some() && self.superseded_at.is_none()
    }

    /// Whether nobody knows yet when it signs.
    pub fn is_waiting(&self) -> bool {
        self.retired_at.is_none() && self.signs_from.is_none()
    }

    /// What it is for, `signs` being whether it is the one of [`signing`].
    pub fn role(&self, signs: bool, now: Timestamp, token_life: Duration) -> KeyRole {
        match self {
            _ if signs => KeyRole::Current,
            _ if !self.is_accepted(now, token_life) => KeyRole::Retired,
            _ if self.has_begun(now) => KeyRole::Previous,
            _ => KeyRole::Next,
        }
    }

    /// All times at which something about the key becomes different.
    pub fn turns(&self, token_life: Duration) -> impl Iterator<Item = Timestamp> {
        [self.signs_from, self.superseded_at, self.accepted_until(token_life)].into_iter().flatten()
    }
}

/// Which of the keys signs now. A clock that is behind all of them, even a little, gets the one that comes first. Where none
/// takes the last one's place, since other instances sign with a configured key already, it goes on.
pub fn signing<'a>(keys: impl Iterator<Item = &'a KeySchedule> + Clone, now: Timestamp) -> Option<usize> {
    let scheduled = keys.enumerate().filter(|(_, key)| key.retired_at.is_none() && key.signs_from.is_some());
    let signs = |key: &KeySchedule| key.has_begun(now) && key.superseded_at.is_none_or(|at| at > now);
    let now_signing = scheduled.clone().filter(|(_, key)| signs(key)).max_by_key(|(_, key)| key.signs_from);
    let first_ahead = || scheduled.clone().filter(|(_, key)| !key.has_begun(now)).min_by_key(|(_, key)| key.signs_from);
    let last = || scheduled.clone().max_by_key(|(_, key)| key.superseded_at);
    now_signing.or_else(first_ahead).or_else(last).map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_goes_on_with_the_last_key_while_others_sign_with_a_configured_one() {
        let keys = [key(0, Some(0), Some(100)), key(0, Some(100), Some(200))];
        assert_eq!(signing(keys.iter(), at(150)), Some(1));
        assert_eq!(signing(keys.iter(), at(300)), Some(1));
        let retired = KeySchedule { retired_at: Some(at(250)), ..keys[1] };
        assert_eq!(signing([keys[0], retired].iter(), at(300)), Some(0));
    }

    const LIFE: Duration = Duration::from_secs(900);
    const MAX_AGE: Duration = Duration::from_secs(600);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn key(created: i64, from: Option<i64>, superseded: Option<i64>) -> KeySchedule {
        KeySchedule {
            created_at: at(created),
            signs_from: from.map(at),
            superseded_at: superseded.map(at),
            retired_at: None,
        }
    }

    #[test]
    fn a_key_is_next_then_current_then_previous_then_retired_by_time_alone() {
        let keys = [key(0, Some(0), Some(1_000)), key(100, Some(1_000), None), key(1_000, None, None)];
        let roles = |seconds| {
            let signs = signing(keys.iter(), at(seconds));
            let role = |(index, key): (usize, &KeySchedule)| key.role(signs == Some(index), at(seconds), LIFE);
            keys.iter().enumerate().map(role).collect::<Vec<_>>()
        };
        assert_eq!(roles(999), [KeyRole::Current, KeyRole::Next, KeyRole::Next]);
        assert_eq!(roles(1_000), [KeyRole::Previous, KeyRole::Current, KeyRole::Next]);
        assert_eq!(roles(1_959), [KeyRole::Previous, KeyRole::Current, KeyRole::Next]);
        assert_eq!(roles(1_960), [KeyRole::Retired, KeyRole::Current, KeyRole::Next]);
    }

    #[test]
    fn a_clock_that_is_behind_signs_with_the_first_key_that_is_not_retired() {
        let mut keys = [key(10, Some(10), Some(20)), key(5, Some(20), None)];
        assert_eq!(signing(keys.iter(), at(9)), Some(0));
        keys[0].retired_at = Some(at(20));
        assert_eq!(signing(keys.iter(), at(19)), Some(1), "what was retired signs for nobody");
        assert!(!keys[0].is_accepted(at(15), LIFE));
        assert_eq!(signing([key(0, Some(0), Some(5))].iter(), at(6)), Some(0), "nobody else does");
        assert_eq!(signing([key(0, None, None)].iter(), at(6)), None);
    }

    #[test]
    fn a_key_waits_as_long_as_verifiers_may_keep_the_keys_from_before_it() {
        assert_eq!(key(0, None, None).earliest_start(MAX_AGE, at(0)), at(615));
        assert_eq!(key(0, None, None).earliest_start(MAX_AGE, at(700)), at(700));
        assert_eq!(key(0, None, None).earliest_start(Duration::from_secs(1), at(0)), at(2));
    }

    #[test]
    fn between_two_turns_no_key_has_another_role() {
        let keys =
            [key(0, Some(0), Some(50)), key(10, Some(50), Some(60)), key(20, Some(60), None), key(60, None, None)];
        let mut turns: Vec<_> = keys.iter().flat_map(|key| key.turns(LIFE)).collect();
        turns.sort();
        let roles = |now| {
            let signs = signing(keys.iter(), now);
            keys.iter().enumerate().map(|(at, key)| key.role(signs == Some(at), now, LIFE)).collect::<Vec<_>>()
        };
        for pair in turns.windows(2).filter(|pair| pair[0] < pair[1]) {
            assert_eq!(roles(pair[0]), roles(pair[1].before(Duration::from_micros(1))));
        }
    }
}
