//! What happened by the hour, for the charts and their table.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::auth::audit::Kind;
use crate::auth::audit::activity::HourCount;
use crate::auth::overview::REFRESHED;
use crate::domain::timestamp::Timestamp;
use crate::web::admin::chart::{Chart, Series};
use crate::web::admin::moment::Zone;

const HOUR: Duration = Duration::from_hours(1);

/// How far back the charts go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Range {
    Day,
    Week,
    Month,
}

impl Range {
    pub(super) const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// What is not known is the shortest.
    pub(super) fn parse(text: Option<&str>) -> Self {
        Self::ALL.into_iter().find(|range| Some(range.name()) == text).unwrap_or(Self::Day)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }

    /// Where the charts of this range are.
    pub(super) fn path(self) -> String {
        format!("/admin?range={}#activity", self.name())
    }

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Day => "24 hours",
            Self::Week => "7 days",
            Self::Month => "30 days",
        }
    }

    const fn count(self) -> u32 {
        match self {
            Self::Day => 24,
            Self::Week => 7 * 24,
            Self::Month => 30 * 24,
        }
    }

    /// Every hour's beginning, the one that is under way last.
    pub(super) fn hours(self, now: Timestamp) -> Vec<Timestamp> {
        (0..self.count()).map(|number| self.begin(now).after(HOUR * number)).collect()
    }

    /// When the first hour begins.
    pub(super) fn begin(self, now: Timestamp) -> Timestamp {
        begin_of_hour(now).before(HOUR * (self.count() - 1))
    }
}

fn begin_of_hour(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.as_micros() - at.as_micros().rem_euclid(3_600_000_000))
}

/// How often something happened, by the hour's beginning.
#[derive(Clone, Default)]
pub(super) struct Counts(BTreeMap<Timestamp, u64>);

impl Counts {
    pub(super) fn at(&self, hour: Timestamp) -> u64 {
        self.0.get(&hour).copied().unwrap_or(0)
    }

    pub(super) fn total(&self, hours: &[Timestamp]) -> u64 {
        hours.iter().map(|hour| self.at(*hour)).sum()
    }

    pub(super) fn any(&self) -> bool {
        !self.0.is_empty()
    }

    fn series(&self, hours: &[Timestamp], name: &'static str, tone: &'static str) -> Series {
        let counts = hours.iter().map(|hour| (*hour, self.at(*hour))).filter(|(_, count)| *count > 0).collect();
        Series { name, tone, counts }
    }
}

/// What the dashboard is about.
#[derive(Default)]
pub(super) struct Activity {
    pub(super) logins: Counts,
    pub(super) failed: Counts,
    pub(super) refreshes: Counts,
    pub(super) alarms: Counts,
}

/// One hour in which something happened.
pub(super) struct HourRow {
    pub(super) hour: String,
    pub(super) counts: [u64; 4],
}

impl Activity {
    pub(super) fn of(hours: &[HourCount]) -> Self {
        let mut all = Self::default();
        for HourCount { hour, name, count } in hours {
            let counts = if name == Kind::LoginSucceeded.as_str() {
                &mut all.logins
            } else if name == REFRESHED {
                &mut all.refreshes
            } else if name == Kind::ReuseDetected.as_str() {
                &mut all.alarms
            } else {
                &mut all.failed
            };
            *counts.0.entry(*hour).or_default() += count;
        }
        all
    }

    pub(super) fn charts(&self, hours: &[Timestamp], zone: &Zone) -> Vec<Chart> {
        let logins = vec![self.logins.series(hours, "succeeded", "good"), self.failed.series(hours, "failed", "bad")];
        vec![
            Chart::draw("logins", "Logins", hours, logins, zone),
            Chart::draw("refreshes", "Refreshes", hours, vec![self.refreshes.series(hours, "refreshes", "")], zone),
            Chart::draw("alarms", "Reuse alarms", hours, vec![self.alarms.series(hours, "alarms", "bad")], zone),
        ]
    }

    /// The same as a table, the newest hour first, without the hours in which nothing happened.
    pub(super) fn rows(&self, hours: &[Timestamp], zone: &Zone) -> Vec<HourRow> {
        let row = |hour: &Timestamp| {
            let all = [&self.logins, &self.failed, &self.refreshes, &self.alarms];
            HourRow { hour: zone.hour(*hour), counts: all.map(|counts| counts.at(*hour)) }
        };
        hours.iter().rev().map(row).filter(|row| row.counts.iter().any(|count| *count > 0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_with_the_hour_that_is_under_way() {
        let now = Timestamp::parse("2026-11-24T16:20:00Z").unwrap();
        for (range, begin) in [
            (Range::Day, "2026-11-23T17:00:00Z"),
            (Range::Week, "2026-11-17T17:00:00Z"),
            (Range::Month, "2026-10-25T17:00:00Z"),
        ] {
            let hours = range.hours(now);
            assert_eq!(hours.first(), Timestamp::parse(begin).as_ref());
            assert_eq!(hours.last(), Timestamp::parse("2026-11-24T16:00:00Z").as_ref());
            assert_eq!(Range::parse(Some(range.name())), range);
        }
        assert_eq!(Range::parse(Some("<b>")), Range::Day);
    }
}
