//! A point in time with the precision that both databases and every instance share.

use std::fmt;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How far instances' clocks may differ: a token's `nbf` lies this much before its `iat`, which may lie this much ahead, and
/// what has expired for longer has expired for all.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);

/// Microseconds since 1970-01-01T00:00:00Z (leap seconds are not counted, RFC 7519 §2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The latest time that still has a four-digit year, so that RFC 3339 can write it.
    const LATEST: i64 = 253_402_300_799_999_999;

    /// From microseconds since the epoch; what lies outside the years 1970–9999 is moved to the nearest end.
    pub const fn from_micros(micros: i64) -> Self {
        let micros = if micros < 0 { 0 } else { micros };
        Self(if micros > Self::LATEST { Self::LATEST } else { micros })
    }

    /// Reads a time of RFC 3339, in any time zone. What is finer than a microsecond is cut off.
    pub fn parse(text: &str) -> Option<Self> {
        let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        Some(Self::from_micros(i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000)).ok()?))
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down: a JWT's `NumericDate`.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This time and `life` more.
    pub fn after(self, life: Duration) -> Self {
        Self::from_micros(self.0.saturating_add(micros(life)))
    }

    /// This time and `life` less.
    pub fn before(self, life: Duration) -> Self {
        Self::from_micros(self.0.saturating_sub(micros(life)))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }
}

fn micros(life: Duration) -> i64 {
    i64::try_from(life.as_micros()).unwrap_or(i64::MAX)
}

/// RFC 3339 in UTC with `Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000)
            .map_err(|_| fmt::Error)?
            .format(&Rfc3339)
            .map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_rfc_3339_in_utc() {
        assert_eq!(Timestamp::from_micros(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Timestamp::from_micros(1_795_536_000_250_000).to_string(), "2026-11-24T16:00:00.25Z");
    }

    #[test]
    fn is_read_as_rfc_3339_in_any_zone() {
        let time = Timestamp::from_micros(1_795_536_000_250_000);
        for text in ["2026-11-24T16:00:00.25Z", "2026-11-24T17:00:00.2500009+01:00"] {
            assert_eq!(Timestamp::parse(text), Some(time), "{text}");
        }
        for text in ["", "2026-11-24", "2026-11-24T16:00:00", "tomorrow", "2026-13-01T00:00:00Z"] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn never_leaves_the_years_that_rfc_3339_can_write() {
        let end = Timestamp::from_micros(i64::MAX);
        assert_eq!(end.after(Duration::MAX), end);
        assert!(end.to_string().starts_with("9999-12-31T"));
        assert_eq!(Timestamp::from_micros(5).before(Duration::MAX), Timestamp::from_micros(0));
    }
}
