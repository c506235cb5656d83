//! Charts of what happened by the hour: bars in SVG, drawn by the server. Colours are the stylesheet's.

use std::collections::BTreeMap;

use super::moment::Zone;
use crate::domain::timestamp::Timestamp;

/// How many units of the picture an hour is wide, and the picture is high.
const WIDTH: u64 = 10;
const HEIGHT: u64 = 100;

/// What is counted in one chart: its name, its colour, and how often it happened in each hour.
pub struct Series {
    /// What the legend calls it.
    pub name: &'static str,
    /// `good`, `bad`, `warn`, or empty for the ordinary colour.
    pub tone: &'static str,
    /// By the hour's beginning; hours in which nothing happened may be missing.
    pub counts: BTreeMap<Timestamp, u64>,
}

impl Series {
    /// How often in all.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }
}

/// A chart, ready for a page.
pub struct Chart {
    /// Its heading.
    pub title: &'static str,
    /// The heading's `id`.
    pub id: &'static str,
    /// What the bars stand for, from the bottom up.
    pub series: Vec<Series>,
    /// The bars.
    pub bars: Vec<Bar>,
    /// The picture's width.
    pub width: u64,
    /// The most in one hour.
    pub highest: u64,
}

/// One bar: how often one thing happened in one hour.
pub struct Bar {
    /// From the left.
    pub x: u64,
    /// From the top.
    pub y: u64,
    /// Its width.
    pub width: u64,
    /// Its height.
    pub height: u64,
    /// Its colour.
    pub tone: &'static str,
    /// What it says when it is pointed at.
    pub text: String,
}

impl Chart {
    /// Draws a chart of these hours. Series stand on top of each other.
    pub fn draw(id: &'static str, title: &'static str, hours: &[Timestamp], series: Vec<Series>, zone: &Zone) -> Self {
        let count = |one: &Series, hour: &Timestamp| one.counts.get(hour).copied().unwrap_or(0);
        let highest =
            hours.iter().map(|hour| series.iter().map(|one| count(one, hour)).sum::<u64>()).max().unwrap_or(0);
        // Few bars stand apart; of many, the gaps would be all there is to see.
        let width = if hours.len() > 48 { WIDTH } else { WIDTH - 2 };
        let mut bars = Vec::new();
        let mut x = 0;
        for hour in hours {
            let mut top = HEIGHT;
            for one in &series {
                let number = count(one, hour);
                if number > 0 {
                    // Once is little and yet not nothing.
                    let height = (number.saturating_mul(HEIGHT) / highest.max(1)).max(2).min(top);
                    top -= height;
                    let text = format!("{}: {number} {}", zone.hour(*hour), one.name);
                    bars.push(Bar { x, y: top, width, height, tone: one.tone, text });
                }
            }
            x += WIDTH;
        }
        Self { title, id, series, bars, width: x, highest }
    }

    /// The chart in a sentence, for whoever does not see it.
    pub fn summary(&self) -> String {
        let totals: Vec<_> = self.series.iter().map(|one| format!("{} {}", one.total(), one.name)).collect();
        format!("{}, and at most {} in an hour", totals.join(", "), self.highest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    fn hour(number: i64) -> Timestamp {
        Timestamp::from_micros(number * HOUR)
    }

    fn series(name: &'static str, counts: &[(i64, u64)]) -> Series {
        let counts = counts.iter().map(|(number, count)| (hour(*number), *count)).collect();
        Series { name, tone: "", counts }
    }

    #[test]
    fn bars_stand_on_top_of_each_other_and_the_highest_fill_the_picture() {
        let hours: Vec<_> = (0..24).map(hour).collect();
        let logins = vec![series("succeeded", &[(0, 6), (2, 20)]), series("failed", &[(0, 4), (2, 20)])];
        let chart = Chart::draw("x", "X", &hours, logins, &Zone::named("UTC"));
        let bars: Vec<_> = chart.bars.iter().map(|bar| (bar.x, bar.y, bar.height)).collect();
        assert_eq!(bars, [(0, 85, 15), (0, 75, 10), (20, 50, 50), (20, 0, 50)]);
        assert_eq!((chart.width, chart.highest), (240, 40));
        assert_eq!(chart.bars[1].text, "1970-01-01 00:00: 4 failed");
        assert_eq!(chart.summary(), "26 succeeded, 24 failed, and at most 40 in an hour");
    }

    #[test]
    fn what_is_rare_is_seen_and_no_bar_leaves_the_picture() {
        let hours: Vec<_> = (0..3).map(hour).collect();
        let rare = vec![series("a", &[(0, u64::MAX / 200), (1, 1)]), series("b", &[(0, 1), (1, 1)])];
        let chart = Chart::draw("x", "X", &hours, rare, &Zone::named("UTC"));
        assert!(chart.bars.iter().all(|bar| bar.y + bar.height <= HEIGHT));
        assert_eq!(chart.bars.iter().filter(|bar| bar.height >= 2).count(), 3, "none is left for the one on top");
        let nothing = Chart::draw("x", "X", &hours, vec![series("a", &[])], &Zone::named("UTC"));
        assert!(nothing.bars.is_empty());
        assert_eq!(nothing.summary(), "0 a, and at most 0 in an hour");
    }
}
