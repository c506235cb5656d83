//! What everybody together, and each network, may try in this instance. It is kept in memory, which it cannot fill: where
//! too many networks come at once, those that are not known yet share a number of budgets.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

use crate::clock::Clock;
use crate::domain::network::Network;

/// How many networks are remembered in each budget.
const NETWORKS: usize = 50_000;
/// How many budgets the others share.
const SHARED: usize = 1_024;
/// How often it is looked which networks may be forgotten.
const SWEEP: Duration = Duration::from_secs(1);

/// How much may be tried at once, and after which time once more.
#[derive(Clone, Copy)]
struct Allowance {
    burst: u32,
    again: Duration,
}

const SIGN_INS: Allowance = Allowance { burst: 100, again: Duration::from_secs(1) };
/// For each hashing thread: about as many as it manages. More would bound nothing, and less would be spent before it is busy.
const SIGN_INS_OF_STRANGERS: Allowance = Allowance { burst: 300, again: Duration::from_millis(200) };
const WRONG_SECRETS: Allowance = SIGN_INS;
/// They cost no hash, but each is counted in the store.
const ALL_WRONG_SECRETS: Allowance = Allowance { burst: 300, again: Duration::from_millis(200) };
const REGISTRATIONS: Allowance = Allowance { burst: 30, again: Duration::from_secs(30) };
const ALL_REGISTRATIONS: Allowance = Allowance { burst: 300, again: Duration::from_secs(1) };
const WRONG_TOKENS: Allowance = Allowance { burst: 600, again: Duration::from_millis(50) };

/// The budgets. Each question spends one of what it asks for, or says how long to wait.
pub(super) struct Budgets {
    sign_ins: Budget,
    sign_ins_of_strangers: Budget,
    registrations: Budget,
    all_registrations: Budget,
    wrong_secrets: Budget,
    all_wrong_secrets: Budget,
    wrong_tokens: Budget,
}

/// The budgets of one sort. What all have together is kept as the budget of one network.
struct Budget {
    limiter: RateLimiter<Network, Networks, Elapsed, NoOpMiddleware<Duration>>,
    networks: Networks,
    again: Duration,
}

const ALL: Network = Network::Unknown;

impl Budgets {
    pub(super) fn new(clock: &Arc<dyn Clock>, threads: usize) -> Self {
        let budget = |allowance: Allowance| Budget::new(allowance, Elapsed(Arc::clone(clock)));
        Self {
            sign_ins: budget(SIGN_INS),
            sign_ins_of_strangers: budget(SIGN_INS_OF_STRANGERS.times(threads)),
            registrations: budget(REGISTRATIONS),
            all_registrations: budget(ALL_REGISTRATIONS),
            wrong_secrets: budget(WRONG_SECRETS),
            all_wrong_secrets: budget(ALL_WRONG_SECRETS),
            wrong_tokens: budget(WRONG_TOKENS),
        }
    }

    /// A sign-in from this network, which the account is not known to be used from.
    pub(super) fn sign_in_of_stranger(&self, network: Network) -> Result<(), Duration> {
        spend_both(&self.sign_ins, &self.sign_ins_of_strangers, network)
    }

    /// Such a sign-in was right, or nobody looked at it.
    pub(super) fn refund_sign_in(&self, network: Network) {
        self.sign_ins.refund(network.widened());
        self.sign_ins_of_strangers.refund(ALL);
    }

    /// A registration by somebody from this network who is no admin.
    pub(super) fn registration(&self, network: Network) -> Result<(), Duration> {
        spend_both(&self.registrations, &self.all_registrations, network)
    }

    /// A secret from this network that is none of a client's.
    pub(super) fn wrong_secret(&self, network: Network) -> Result<(), Duration> {
        spend_both(&self.wrong_secrets, &self.all_wrong_secrets, network)
    }

    /// Such a secret was not counted after all.
    pub(super) fn refund_wrong_secret(&self, network: Network) {
        self.wrong_secrets.refund(network.widened());
        self.all_wrong_secrets.refund(ALL);
    }

    /// A token from this network that is none of ours.
    pub(super) fn wrong_token(&self, network: Network) -> Result<(), Duration> {
        self.wrong_tokens.spend(network.widened())
    }
}

/// Spends of what the network has and of what all have together, or of neither.
fn spend_both(own: &Budget, all: &Budget, network: Network) -> Result<(), Duration> {
    own.spend(network.widened())?;
    all.spend(ALL).inspect_err(|_| own.refund(network.widened()))
}

impl Budget {
    fn new(allowance: Allowance, clock: Elapsed) -> Self {
        let networks = Networks::new(clock.clone());
        let limiter = RateLimiter::new(allowance.quota(), networks.clone(), clock);
        Self { limiter, networks, again: allowance.again }
    }

    fn spend(&self, network: Network) -> Result<(), Duration> {
        self.limiter.check_key(&network).map_err(|refused| refused.wait_time_from(self.limiter.clock().now()))
    }

    fn refund(&self, network: Network) {
        self.networks.refund(network, Nanos::from(self.again));
    }
}

impl Allowance {
    /// As much for each of so many.
    fn times(self, number: usize) -> Self {
        let number = u32::try_from(number).unwrap_or(u32::MAX).clamp(1, 1_000);
        Self { burst: self.burst * number, again: self.again / number }
    }

    fn quota(self) -> Quota {
        let burst = NonZeroU32::new(self.burst).unwrap_or(NonZeroU32::MIN);
        Quota::with_period(self.again).unwrap_or(Quota::per_second(NonZeroU32::MIN)).allow_burst(burst)
    }
}

/// Our clock, as governor asks for it: setting the time of day changes no budget.
#[derive(Clone)]
struct Elapsed(Arc<dyn Clock>);

impl governor::clock::Clock for Elapsed {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// What governor keeps for each network: when its budget will be whole again, from the beginning on.
#[derive(Clone)]
struct Networks {
    began: Duration,
    clock: Elapsed,
    hasher: RandomState,
    kept: Arc<Mutex<Kept>>,
}

struct Kept {
    own: HashMap<Network, Nanos>,
    shared: HashMap<u64, Nanos>,
    swept_at: Option<Duration>,
}

impl Networks {
    fn new(clock: Elapsed) -> Self {
        let kept = Kept { own: HashMap::new(), shared: HashMap::new(), swept_at: None };
        Self { began: clock.now(), clock, hasher: RandomState::new(), kept: Arc::new(Mutex::new(kept)) }
    }

    /// Makes a budget whole earlier, by what one costs.
    fn refund(&self, network: Network, one: Nanos) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let whole_at = match kept.own.get_mut(&network) {
            Some(whole_at) => Some(whole_at),
            None => kept.shared.get_mut(&self.shared(network)),
        };
        if let Some(whole_at) = whole_at {
            *whole_at = whole_at.saturating_sub(one);
        }
    }

    fn shared(&self, network: Network) -> u64 {
        self.hasher.hash_one(network) % u64::try_from(SHARED).unwrap_or(1)
    }

    /// Forgets those whose budget is whole.
    fn sweep(&self, kept: &mut Kept) {
        let now = self.clock.now();
        if kept.swept_at.is_some_and(|at| now.saturating_sub(at) < SWEEP) {
            return;
        }
        kept.swept_at = Some(now);
        let elapsed = Nanos::from(now.saturating_sub(self.began));
        kept.own.retain(|_, whole_at| *whole_at > elapsed);
    }
}

impl StateStore for Networks {
    type Key = Network;

    fn measure_and_replace<T, F, E>(&self, network: &Network, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.own.len() >= NETWORKS && !kept.own.contains_key(network) {
            self.sweep(&mut kept);
            if kept.own.len() >= NETWORKS {
                let shared = self.shared(*network);
                let (answer, whole_at) = measure(kept.shared.get(&shared).copied())?;
                kept.shared.insert(shared, whole_at);
                return Ok(answer);
            }
        }
        let (answer, whole_at) = measure(kept.own.get(network).copied())?;
        kept.own.insert(*network, whole_at);
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::domain::timestamp::Timestamp;

    fn budgets() -> (Arc<ManualClock>, Budgets) {
        let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_795_536_000_000_000)));
        let budgets = Budgets::new(&(Arc::clone(&clock) as Arc<dyn Clock>), 2);
        (clock, budgets)
    }

    fn network(number: usize) -> Network {
        let [.., a, b, c] = number.to_be_bytes();
        Network::V4([a, b, c])
    }

    #[test]
    fn k7_a_network_has_a_budget_that_comes_back_with_time_and_another_has_its_own() {
        let (clock, budgets) = budgets();
        let made = (0..1_000).filter(|_| budgets.sign_in_of_stranger(network(1)).is_ok()).count();
        assert_eq!(made, 100);
        assert_eq!(budgets.sign_in_of_stranger(network(1)), Err(Duration::from_secs(1)));
        assert!(budgets.sign_in_of_stranger(network(2)).is_ok());
        clock.advance(Duration::from_secs(3));
        assert_eq!((0..1_000).filter(|_| budgets.sign_in_of_stranger(network(1)).is_ok()).count(), 3);
        clock.set(Timestamp::from_micros(1_000_000));
        assert!(budgets.sign_in_of_stranger(network(1)).is_err());
        clock.advance(Duration::from_secs(2));
        assert_eq!(
            (0..1_000).filter(|_| budgets.sign_in_of_stranger(network(1)).is_ok()).count(),
            2,
            "whatever the time is set to"
        );
    }

    #[test]
    fn k6_what_was_right_is_given_back_and_a_48_of_ipv6_has_one_budget() {
        let (_, budgets) = budgets();
        for _ in 0..2_000 {
            assert!(budgets.sign_in_of_stranger(network(1)).is_ok());
            budgets.refund_sign_in(network(1));
        }
        budgets.refund_sign_in(network(1));
        assert_eq!((0..1_000).filter(|_| budgets.sign_in_of_stranger(network(1)).is_ok()).count(), 100);
        let of_48 = |low: u8| Network::V6([0x20, 1, 0xd, 0xb8, 0, 1, 0, low]);
        assert_eq!((0..=255).filter(|low| budgets.sign_in_of_stranger(of_48(*low)).is_ok()).count(), 100);
        assert!(budgets.sign_in_of_stranger(Network::V6([0x20, 1, 0xd, 0xb8, 0, 2, 0, 1])).is_ok());
        // Two threads' share is 600; whom it refuses loses nothing of their own network's.
        let made = (10..2_000).filter(|number| budgets.sign_in_of_stranger(network(*number)).is_ok()).count();
        assert_eq!(made, 600 - 201);
    }

    #[test]
    fn k12_wrong_secrets_have_a_budget_of_each_network_and_of_all() {
        let (clock, budgets) = budgets();
        assert_eq!((0..1_000).filter(|_| budgets.wrong_secret(network(1)).is_ok()).count(), 100);
        assert_eq!((2..1_000).filter(|number| budgets.wrong_secret(network(*number)).is_ok()).count(), 200);
        for _ in 0..200 {
            assert_eq!(budgets.wrong_secret(network(7_000)), Err(Duration::from_millis(200)));
        }
        clock.advance(Duration::from_secs(30));
        let made = (0..1_000).filter(|_| budgets.wrong_secret(network(7_000)).is_ok()).count();
        assert_eq!(made, 100, "whom the share of all refuses loses nothing of their own network's");
    }

    #[test]
    fn registrations_have_a_budget_of_each_network_and_of_all() {
        let (clock, budgets) = budgets();
        assert_eq!((0..100).filter(|_| budgets.registration(network(1)).is_ok()).count(), 30);
        assert_eq!((0..10_000).filter(|number| budgets.registration(network(*number)).is_ok()).count(), 270);
        clock.advance(Duration::from_secs(60));
        assert_eq!((0..100).filter(|_| budgets.registration(network(1)).is_ok()).count(), 2);
        for number in 10_000..10_058 {
            assert!(budgets.registration(network(number)).is_ok());
        }
        for _ in 0..60 {
            assert_eq!(budgets.registration(network(20_000)), Err(Duration::from_secs(1)));
        }
        clock.advance(Duration::from_secs(30));
        let made = (0..100).filter(|_| budgets.registration(network(20_000)).is_ok()).count();
        assert_eq!(made, 30, "whom the share of all refuses loses nothing of their own network's");
    }

    #[test]
    fn k12_a_million_networks_fill_no_memory_and_have_bounds_nonetheless() {
        let (clock, budgets) = budgets();
        let allowed = (0..1_000_000).filter(|number| budgets.wrong_token(network(*number)).is_ok()).count();
        assert!(allowed <= NETWORKS + SHARED * 600, "{allowed} had a budget");
        let kept = |budgets: Budgets| {
            let kept = budgets.wrong_tokens.networks.kept.lock().unwrap();
            (kept.own.len(), kept.shared.len())
        };
        assert!(budgets.wrong_token(network(7)).is_ok(), "who was there before has a budget of their own");
        clock.advance(Duration::from_mins(10));
        assert!(budgets.wrong_token(Network::Unknown).is_ok());
        let (own, shared) = kept(budgets);
        assert_eq!(own, 1, "whose budget is whole is forgotten");
        assert!(shared <= SHARED);
    }
}
