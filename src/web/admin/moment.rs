//! Times as people read them, in their own time zone. The one module that says jiff.

use jiff::ToSpan as _;
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

    /// The hour and minute of a time, where the day stands elsewhere.
    pub fn clock(&self, at: Timestamp) -> String {
        self.format(at, "%H:%M")
    }

    /// The day of a time, without its year.
    pub fn short_day(&self, at: Timestamp) -> String {
        self.format(at, "%-d %b")
    }

    fn format(&self, at: Timestamp, format: &str) -> String {
        jiff::Timestamp::from_microsecond(at.as_micros())
            .map(|time| time.to_zoned_datetime(self.0.clone()).strftime(format).to_string())
            .unwrap_or_default()
    }

    /// When a day begins in this zone, and when the next one does. `day` is written as `2026-11-25`.
    pub fn day(&self, day: &str) -> Option<(Timestamp, Timestamp)> {
        let is_day = day.len() == 10 && day.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let day: jiff::civil::Date = is_day.then(|| day.parse().ok()).flatten()?;
        Some((self.beginning_of(day)?, self.beginning_of(day.tomorrow().ok()?)?))
    }

    /// Where a clock is put forward at midnight, the day begins with what comes after it.
    fn beginning_of(&self, day: jiff::civil::Date) -> Option<Timestamp> {
        let began = day.to_zoned_datetime(self.0.clone()).ok()?;
        let micros = began.timestamp().as_microsecond();
        // Times of ours begin with 1970.
        (micros >= 0).then(|| Timestamp::from_micros(micros))
    }
}

/// The day so many days before another.
pub fn days_before(day: &str, days: i64) -> Option<String> {
    let date: jiff::civil::Date = day.parse().ok()?;
    Some(date.checked_sub(days.days()).ok()?.strftime("%Y-%m-%d").to_string())
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
    fn a_day_is_as_long_as_it_is_in_its_zone() {
        let hours = |zone: &str, day: &str| {
            let (from, to) = Zone::parse(zone).unwrap().day(day).unwrap();
            to.since(from).as_secs() / 3_600
        };
        assert_eq!(hours("Europe/Berlin", "2026-03-29"), 23);
        assert_eq!(hours("Europe/Berlin", "2026-10-25"), 25);
        // Here the clock is put forward at midnight, so that there is none.
        assert_eq!(hours("America/Asuncion", "2023-10-01"), 23);
        for wrong in ["", "2026-02-30", "2026-1-1", "20260101", "2026-01-01T00:00", "-026-01-01", "1969-12-31"] {
            assert!(Zone::named("UTC").day(wrong).is_none(), "{wrong:?}");
        }
        assert_eq!(days_before("2026-03-01", 6).as_deref(), Some("2026-02-23"));
    }

    proptest::proptest! {
        #[test]
        fn every_time_is_within_the_day_that_it_is_shown_with(micros in 86_400_000_000i64..4_102_444_800_000_000, zone in 0usize..6) {
            let names = ["UTC", "Europe/Berlin", "Asia/Kathmandu", "Pacific/Apia", "America/St_Johns", "Africa/Cairo"];
            let zone = Zone::parse(names[zone]).unwrap();
            let time = Timestamp::from_micros(micros);
            let day = zone.moment(time).local[..10].to_owned();
            let (from, to) = zone.day(&day).unwrap();
            proptest::prop_assert!(from <= time && time < to, "{} {:?}", day, zone);
            // Its first moment belongs to it, and the last one before it does not.
            proptest::prop_assert_eq!(&zone.moment(from).local[..10], day.as_str());
            proptest::prop_assert_ne!(&zone.moment(Timestamp::from_micros(from.as_micros() - 1)).local[..10], day.as_str());
            proptest::prop_assert_ne!(&zone.moment(to).local[..10], day.as_str());
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
