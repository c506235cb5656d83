//! What a run came to.

use std::time::Duration;

use serde_json::{Value, json};

use crate::histogram::Histogram;

/// Prints what a run came to.
pub(crate) struct Outcome<'a> {
    pub(crate) name: &'a str,
    pub(crate) elapsed: Duration,
    pub(crate) errors: u64,
    pub(crate) latencies: &'a Histogram,
    /// More members, in an object.
    pub(crate) more: Value,
}

impl Outcome<'_> {
    pub(crate) fn print(&self) {
        #[expect(clippy::cast_precision_loss, reason = "counts of requests are small")]
        let per_second = self.latencies.total() as f64 / self.elapsed.as_secs_f64().max(1e-9);
        let quantile = |share| millis(self.latencies.quantile(share));
        let mut object = json!({
            "name": self.name,
            "per_second": round(per_second),
            "count": self.latencies.total(),
            "errors": self.errors,
            "seconds": round(self.elapsed.as_secs_f64()),
            "p50_ms": quantile(0.5),
            "p99_ms": quantile(0.99),
            "p999_ms": quantile(0.999),
            "max_ms": millis(self.latencies.max()),
        });
        if let (Some(object), Some(more)) = (object.as_object_mut(), self.more.as_object()) {
            object.extend(more.clone());
        }
        eprintln!(
            "{}: {per_second:.0}/s, p50 {} ms, p99 {} ms, p99.9 {} ms, {} errors {}",
            self.name,
            quantile(0.5),
            quantile(0.99),
            quantile(0.999),
            self.errors,
            self.more,
        );
        print(&object);
    }
}

/// Writes one object to standard output.
pub(crate) fn print(object: &Value) {
    use std::io::Write as _;
    // Whoever closed the pipe does not want it.
    let _ = writeln!(std::io::stdout(), "{object}");
}

pub(crate) fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

pub(crate) fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

/// Microseconds for each of so many.
pub(crate) fn each(time: Duration, count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of requests are small")]
    let count = count.max(1) as f64;
    round(time.as_secs_f64() * 1e6 / count)
}
