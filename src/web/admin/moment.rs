//! Times as people read them, in their own time zone. The one module that says jiff.

use jiff::ToSpan as _;
use jiff::civil::Date;
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

    /// An hour's beginning in this zone, short enough for a chart.
    pub fn hour(&self, at: Timestamp) -> String {
        self.format(at, "%Y-%m-%d %H:%M")
    }

    /// The day of a time in this zone, such as `2026-11-24`.
    pub fn day_of(&self, at: Timestamp) -> String {
        self.format(at, "%Y-%m-%d")
    }

    /// When a day such as `2026-11-24` begins in this zone, and when the next one does. That can be an hour more than a
    /// day, or less, where clocks are changed.
    pub fn day(&self, day: &str) -> Option<(Timestamp, Timestamp)> {
        let date = parse_date(day)?;
        Some((self.begin_of(date)?, self.begin_of(date.tomorrow().ok()?)?))
    }

    fn begin_of(&self, date: Date) -> Option<Timestamp> {
        let begin = date.to_zoned_datetime(self.0.clone()).ok()?;
        Some(Timestamp::from_micros(begin.timestamp().as_microsecond()))
    }

    fn format(&self, at: Timestamp, format: &str) -> String {
        jiff::Timestamp::from_microsecond(at.as_micros())
            .map(|time| time.to_zoned_datetime(self.0.clone()).strftime(format).to_string())
            .unwrap_or_default()
    }
}

/// The day so many days before another.
pub fn days_before(day: &str, days: i64) -> Option<String> {
    let date = parse_date(day)?.checked_sub(days.days()).ok()?;
    Some(date.strftime("%Y-%m-%d").to_string())
}

fn parse_date(day: &str) -> Option<Date> {
    // The library would take more than this one form.
    let is_plain = day.len() == "2026-11-24".len() && day.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    is_plain.then(|| day.parse().ok()).flatten()
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
    fn a_day_on_which_clocks_change_is_an_hour_longer_or_shorter() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        let time = |text| Timestamp::parse(text).unwrap();
        let longer = (time("2026-10-24T22:00:00Z"), time("2026-10-25T23:00:00Z"));
        assert_eq!(berlin.day("2026-10-25"), Some(longer));
        let shorter = (time("2026-03-28T23:00:00Z"), time("2026-03-29T22:00:00Z"));
        assert_eq!(berlin.day("2026-03-29"), Some(shorter));
        // Clocks go from midnight to one o'clock.
        let cairo = Zone::parse("Africa/Cairo").unwrap();
        assert_eq!(cairo.day("2026-04-24"), Some((time("2026-04-23T22:00:00Z"), time("2026-04-24T21:00:00Z"))));
        for wrong in ["", "2026-02-30", "24.11.2026", "2026-1-1", "2026-11-24T", "-026-11-24", "20261124--"] {
            assert_eq!(berlin.day(wrong), None, "{wrong}");
        }
        assert_eq!(days_before("2026-03-01", 6).as_deref(), Some("2026-02-23"));
    }

    proptest::proptest! {
        #[test]
        fn a_time_is_in_a_day_exactly_when_the_clock_on_the_wall_shows_that_day(
            zone in proptest::sample::select(vec![
                "UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Africa/Cairo", "Asia/Kathmandu",
                "Australia/Lord_Howe", "Pacific/Apia", "America/Havana", "Asia/Beirut", "Pacific/Chatham",
            ]),
            seconds in 1_000_000_000_i64..2_000_000_000,
            hours_off in -30_i64..30,
        ) {
            let zone = Zone::parse(zone).unwrap();
            let at = Timestamp::from_micros(seconds * 1_000_000);
            let other = Timestamp::from_micros((seconds + hours_off * 3_600) * 1_000_000);
            let (begin, end) = zone.day(&zone.day_of(at)).unwrap();
            proptest::prop_assert!(begin <= at && at < end);
            let is_in_day = begin <= other && other < end;
            proptest::prop_assert_eq!(is_in_day, zone.day_of(other) == zone.day_of(at));
        }
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
