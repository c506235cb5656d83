//! Where time comes from. Everything else asks the clock it was given.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::domain::timestamp::Timestamp;

/// Tells the time of day.
pub trait Clock: Send + Sync + 'static {
    /// The time now, to the microsecond.
    fn now(&self) -> Timestamp;

    /// How much time has gone by since some moment, whatever the time of day is set to.
    fn elapsed(&self) -> Duration;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the machine's time is read")]
    fn now(&self) -> Timestamp {
        let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
        BEGAN.elapsed()
    }
}

/// A clock that stands still until it is moved, so that tests do not wait.
#[derive(Debug)]
pub struct ManualClock {
    now: AtomicI64,
    /// In microseconds.
    elapsed: AtomicU64,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub const fn at(now: Timestamp) -> Self {
        Self { now: AtomicI64::new(now.as_micros()), elapsed: AtomicU64::new(0) }
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        self.set(self.now().after(by));
    }

    /// Moves the clock to `now`, back or on.
    pub fn set(&self, now: Timestamp) {
        let before = self.now.swap(now.as_micros(), Ordering::SeqCst);
        let on = u64::try_from(now.as_micros() - before).unwrap_or_default();
        self.elapsed.fetch_add(on, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now.load(Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(self.elapsed.load(Ordering::SeqCst))
    }
}
