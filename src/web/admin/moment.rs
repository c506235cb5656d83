//! Times as people read them, in their own time zone. The one module that says jiff.

use jiff::tz::TimeZone;

use crate::domain::timestamp::Timestamp;

/// A time zone of the IANA database, which is built in.
#[derive(Clone, Debug)]
pub struct Zone(TimeZone);

/// A point in time, ready for a page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Moment {
    /// In the reader's time zone, to the second, with the zone's abbreviation.
    pub local: String,
    /// RFC 3339 in UTC.
    pub utc: String,
}

impl Zone {
    /// The zone with this IANA name.
    pub fn parse(name: &str) -> Option<Self> {
        // Names are matched in any case; what else the library would take is not a name.
        let is_name = !name.is_empty() && name.len() <= 64 && !name.contains(|c: char| c.is_control() || c == ' ');
        is_name.then(|| jiff::tz::db().get(name).ok()).flatten().map(Self)
    }

    /// The zone with this IANA name; UTC if a newer version knew more names than this one.
    pub fn named(name: &str) -> Self {
        Self::parse(name).unwrap_or(Self(TimeZone::UTC))
    }

    /// The name as the database writes it.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// A time in this zone.
    pub fn moment(&self, at: Timestamp) -> Moment {
        let utc = at.to_string();
        let local = jiff::Timestamp::from_microsecond(at.as_micros())
            .map(|time| time.to_zoned_datetime(self.0.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string())
            .unwrap_or_else(|_| utc.clone());
        Moment { local, utc }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_the_zone_with_its_summer_time_and_in_utc() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        let winter = berlin.moment(Timestamp::parse("2026-01-15T23:30:00Z").unwrap());
        assert_eq!((winter.local.as_str(), winter.utc.as_str()), ("2026-01-16 00:30:00 CET", "2026-01-15T23:30:00Z"));
        let summer = berlin.moment(Timestamp::parse("2026-07-15T12:00:00Z").unwrap());
        assert_eq!(summer.local, "2026-07-15 14:00:00 CEST");
        assert_eq!(Zone::named("UTC").moment(Timestamp::from_micros(0)).local, "1970-01-01 00:00:00 UTC");
    }

    #[test]
    fn only_names_of_the_database_are_zones() {
        assert_eq!(Zone::parse("europe/berlin").unwrap().name(), "Europe/Berlin");
        assert_eq!(Zone::parse("UTC").unwrap().name(), "UTC");
        for name in ["", "Mars/Phobos", "../etc/passwd", "UTC\n", "+02:00", "Europe/Berlin ", &"a".repeat(100)] {
            assert!(Zone::parse(name).is_none(), "{name:?}");
        }
    }
}
