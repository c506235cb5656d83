//! How many wrong guesses somebody has, and how long they wait before the next one.
//!
//! Guesses at an account are counted twice: those from each network, and all of them. After five in a row from a network
//! each further one there has to wait, twice as long each time. After 100 in all, those from known ones included, there is
//! no further one from a network that the account's owner has not signed in from lately. Each that they have is bound by
//! 100 of its own alone, so that nobody can keep them out from elsewhere.
//! A right password begins the counts anew, and so does time: without one, a stranger gets 100 guesses and no more than
//! 100 for each further month, in whatever rhythm they are made.

use std::time::Duration;

use crate::domain::timestamp::{CLOCK_TOLERANCE, Timestamp};

/// With this many in a row the delays begin: so many are never delayed (NIST SP 800-63B-4 §3.2.2 asks for a limit alone).
pub const FREE: u32 = 5;
/// After so many in a row there is no further one (NIST SP 800-63B-4 §3.2.2).
pub const CEILING: u32 = 100;
/// How long the longest delay is, and after how long a quiet time delays begin anew.
pub const WINDOW: Duration = Duration::from_mins(15);
/// How long a network counts as its user's own after a sign-in from it.
pub const KNOWN_FOR: Duration = Duration::from_hours(30 * 24);
/// So many are few: made anew each day, they are fewer than the ceiling in a month.
const FEW: u32 = 3;
/// How long a few wrong guesses are remembered, and how long more than that are.
const FEW_KEPT: Duration = Duration::from_hours(24);
const MANY_KEPT: Duration = Duration::from_hours(30 * 24);
/// What is said to somebody who has no guess left: nothing happens that they could wait for.
pub const EXHAUSTED_RETRY: Duration = Duration::from_hours(1);

/// The wrong guesses that were counted in one place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tally {
    /// How many there were since the last right one.
    pub failures: u32,
    /// How many of them came without a quiet time between them.
    pub streak: u32,
    /// When the last one was made.
    pub last_failed_at: Timestamp,
    /// When the next one may be.
    pub free_at: Timestamp,
}

/// Where a tally is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// For one network: its guesses are delayed.
    Network,
    /// For a whole account: its guesses are limited alone.
    Account,
}

/// What the tallies of a guess say about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It may be made.
    Allowed,
    /// Not before this time.
    Wait {
        /// When.
        until: Timestamp,
    },
    /// There were too many.
    Exhausted,
}

/// What a wrong guess has brought about that was not so before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reached {
    /// From now on guesses from the network are delayed.
    Delays,
    /// From now on there are none.
    Ceiling,
}

impl Tally {
    /// The tally after one more guess, which counts as wrong until it is found right.
    pub fn after(before: Option<&Self>, scope: Scope, now: Timestamp) -> Self {
        let before = before.filter(|tally| !tally.is_forgotten(now));
        let failures = before.map_or(1, |tally| tally.failures.saturating_add(1));
        let streak = before.filter(|tally| !tally.is_over(now)).map_or(1, |tally| tally.streak.saturating_add(1));
        Self::of(failures, streak, scope, now)
    }

    /// The tally without one of its guesses, which was not wrong after all; `None` when it was the only one.
    pub fn without_one(&self, scope: Scope) -> Option<Self> {
        let failures = self.failures.checked_sub(1).filter(|failures| *failures > 0)?;
        Some(Self::of(failures, self.streak.saturating_sub(1), scope, self.last_failed_at))
    }

    fn of(failures: u32, streak: u32, scope: Scope, last_failed_at: Timestamp) -> Self {
        let wait = match scope {
            _ if failures >= CEILING => MANY_KEPT,
            Scope::Network => delay(streak),
            Scope::Account => Duration::ZERO,
        };
        Self { failures, streak, last_failed_at, free_at: last_failed_at.after(wait) }
    }

    /// When it is as if there had been none.
    pub fn forgotten_at(&self) -> Timestamp {
        self.last_failed_at.after(if self.failures <= FEW { FEW_KEPT } else { MANY_KEPT })
    }

    /// What this guess has brought about in a tally of this scope.
    pub fn reached(&self, scope: Scope) -> Option<Reached> {
        match scope {
            _ if self.failures == CEILING => Some(Reached::Ceiling),
            Scope::Network if self.streak == FREE => Some(Reached::Delays),
            _ => None,
        }
    }

    fn is_forgotten(&self, now: Timestamp) -> bool {
        now >= self.forgotten_at()
    }

    fn is_exhausted(&self, now: Timestamp) -> bool {
        self.failures >= CEILING && !self.is_forgotten(now)
    }

    /// Whether it has been quiet for so long that delays begin anew.
    fn is_over(&self, now: Timestamp) -> bool {
        now >= self.last_failed_at.max(self.free_at).after(WINDOW)
    }

    fn wait(&self, now: Timestamp) -> Option<Timestamp> {
        // A clock that was set back must not keep anybody out until it has caught up.
        let is_of_the_future = self.last_failed_at > now.after(CLOCK_TOLERANCE);
        (now < self.free_at && !is_of_the_future).then_some(self.free_at)
    }
}

/// Whether one more guess may be made. `is_known` says that the account's owner has signed in from the network lately.
pub fn judge(network: Option<&Tally>, account: Option<&Tally>, is_known: bool, now: Timestamp) -> Verdict {
    if network.is_some_and(|tally| tally.is_exhausted(now))
        || (!is_known && account.is_some_and(|tally| tally.is_exhausted(now)))
    {
        return Verdict::Exhausted;
    }
    match network.and_then(|tally| tally.wait(now)) {
        Some(until) => Verdict::Wait { until },
        None => Verdict::Allowed,
    }
}

/// How long the next guess waits after so many in a row.
fn delay(streak: u32) -> Duration {
    match streak.checked_sub(FREE) {
        None => Duration::ZERO,
        Some(more) => Duration::from_secs(1_u64.checked_shl(more).unwrap_or(u64::MAX)).min(WINDOW),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_795_536_000_000_000);

    /// The tally after guesses that are made as soon as they may be; and how long each had to wait.
    fn after(number: u32, scope: Scope) -> (Tally, Vec<u64>) {
        let (mut now, mut waits) = (NOW, Vec::new());
        let mut tally = Tally::after(None, scope, now);
        for _ in 1..number {
            let until = tally.wait(now).unwrap_or(now);
            waits.push(until.since(now).as_secs());
            now = until;
            tally = Tally::after(Some(&tally), scope, now);
        }
        (tally, waits)
    }

    #[test]
    fn k3_five_guesses_are_free_and_each_further_one_waits_twice_as_long() {
        let (tally, waits) = after(20, Scope::Network);
        assert_eq!(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900, 900]);
        assert_eq!((tally.failures, tally.streak), (20, 20));
        let (account, waits) = after(99, Scope::Account);
        assert!(waits.iter().all(|wait| *wait == 0), "an account is limited, and never delayed");
        assert_eq!(judge(None, Some(&account), false, NOW), Verdict::Allowed);
    }

    #[test]
    fn k3_after_a_hundred_there_is_no_further_one_from_elsewhere() {
        let (account, _) = after(100, Scope::Account);
        let later = account.last_failed_at.after(KNOWN_FOR - Duration::from_secs(1));
        for now in [account.last_failed_at, later] {
            assert_eq!(judge(None, Some(&account), false, now), Verdict::Exhausted);
            assert_eq!(
                judge(None, Some(&account), true, now),
                Verdict::Allowed,
                "k6: the owner's network is their own"
            );
        }
        let (network, _) = after(100, Scope::Network);
        assert_eq!(judge(Some(&network), Some(&account), true, network.last_failed_at), Verdict::Exhausted);
        let forgotten = account.forgotten_at();
        assert_eq!(judge(None, Some(&account), false, forgotten), Verdict::Allowed);
        assert_eq!(Tally::after(Some(&account), Scope::Account, forgotten).failures, 1);
    }

    /// How many guesses from strange networks may be made by the end of each day, of so many a day for a year.
    fn made_by(a_day: u32) -> Vec<(u64, u32)> {
        let (mut account, mut made) = (None, 0);
        let day = |number: u64| {
            let now = NOW.after(DAY * u32::try_from(number).unwrap());
            for _ in 0..a_day {
                if judge(None, account.as_ref(), false, now) == Verdict::Allowed {
                    account = Some(Tally::after(account.as_ref(), Scope::Account, now));
                    made += 1;
                }
            }
            (number, made)
        };
        (0..365).map(day).collect()
    }

    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn k3_who_guesses_a_few_times_a_day_gets_no_further_than_a_hundred_and_a_hundred_a_month() {
        for a_day in 1..=CEILING + 1 {
            for (day, made) in made_by(a_day) {
                assert!(u64::from(made) <= 100 + 100 * day / 30, "{made} by day {day}, {a_day} a day");
            }
        }
        assert_eq!(made_by(3)[29], (29, 90));
        assert_eq!(made_by(4)[29], (29, 100));
    }

    #[test]
    fn a_streak_begins_anew_after_a_quiet_time_and_failures_are_counted_on() {
        let (tally, _) = after(8, Scope::Network);
        let quiet = tally.free_at.after(WINDOW);
        let before = Timestamp::from_micros(quiet.as_micros() - 1);
        assert_eq!(Tally::after(Some(&tally), Scope::Network, before).streak, 9);
        let next = Tally::after(Some(&tally), Scope::Network, quiet);
        assert_eq!((next.streak, next.failures, next.free_at), (1, 9, quiet));
    }

    #[test]
    fn k6_a_guess_that_was_not_wrong_leaves_no_wait_and_no_block_behind() {
        for scope in [Scope::Network, Scope::Account] {
            for number in [2, 5, 8, 100] {
                let (tally, _) = after(number, scope);
                let (less, _) = after(number - 1, scope);
                let without = tally.without_one(scope).unwrap();
                assert_eq!((without.failures, without.streak), (less.failures, less.streak));
                assert_eq!(without.last_failed_at, tally.last_failed_at);
                assert_eq!(without.free_at.since(without.last_failed_at), less.free_at.since(less.last_failed_at));
            }
            assert_eq!(Tally::after(None, scope, NOW).without_one(scope), None);
        }
    }

    #[test]
    fn what_is_reached_is_told_once() {
        let told = |scope| (1..=CEILING).filter_map(|number| after(number, scope).0.reached(scope)).collect::<Vec<_>>();
        assert_eq!(told(Scope::Network), [Reached::Delays, Reached::Ceiling]);
        assert_eq!(told(Scope::Account), [Reached::Ceiling]);
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_nobody_out() {
        let (tally, _) = after(12, Scope::Network);
        let back = tally.last_failed_at.before(Duration::from_hours(1));
        assert_eq!(judge(Some(&tally), None, false, back), Verdict::Allowed);
        let next = Tally::after(Some(&tally), Scope::Network, back);
        assert!(matches!(judge(Some(&next), None, false, back), Verdict::Wait { .. }), "for one guess alone");
        let beside = tally.last_failed_at.before(Duration::from_secs(4));
        assert!(matches!(judge(Some(&tally), None, false, beside), Verdict::Wait { .. }), "instances' clocks differ");
    }

    proptest! {
        #[test]
        fn k3_however_guesses_are_timed_a_hundred_are_made_and_a_hundred_a_month(
            gaps in prop::collection::vec(prop_oneof![0_u64..2_000, 0_u64..4 * 86_400], 1..400),
            networks in prop::collection::vec(0_usize..30, 400),
        ) {
            let mut now = NOW;
            let mut tallies: [Option<Tally>; 30] = [None; 30];
            let (mut account, mut made) = (None, 0);
            for (gap, network) in gaps.iter().zip(networks) {
                now = now.after(Duration::from_secs(*gap));
                let verdict = judge(tallies[network].as_ref(), account.as_ref(), false, now);
                if let Verdict::Wait { until } = verdict {
                    prop_assert!(until > now && until.since(now) <= WINDOW);
                }
                if verdict == Verdict::Allowed {
                    made += 1;
                    tallies[network] = Some(Tally::after(tallies[network].as_ref(), Scope::Network, now));
                    account = Some(Tally::after(account.as_ref(), Scope::Account, now));
                }
            }
            let months = now.since(NOW).as_secs_f64() / MANY_KEPT.as_secs_f64();
            prop_assert!(f64::from(made) <= f64::from(CEILING) * (1.0 + months));
        }

        #[test]
        fn the_first_five_are_never_delayed_and_no_delay_is_longer_than_a_quarter_of_an_hour(
            gaps in prop::collection::vec(0_u64..2_000, 1..120),
        ) {
            let (mut now, mut tally) = (NOW, None);
            for gap in gaps {
                now = now.after(Duration::from_secs(gap));
                let next = Tally::after(tally.as_ref(), Scope::Network, now);
                if next.failures < CEILING {
                    prop_assert!(next.streak >= FREE || next.free_at == now);
                    prop_assert!(next.free_at.since(now) <= WINDOW);
                }
                tally = Some(next);
            }
        }
    }
}
