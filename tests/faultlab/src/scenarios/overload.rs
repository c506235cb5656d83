//! More clients than the server can serve, who come back when they are sent away: it goes on serving as many as it can,
//! and all is well again soon after there are fewer.

use std::time::Duration;

use super::{Lab, Run, spread};
use crate::history::{Kind, Op, Outcome, now};
use crate::load::{FIRST, Plan, Surge};

/// How many times more than it can serve.
const FACTORS: [u32; 3] = [5, 2, 10];
/// Below these shares of what it can serve, it has collapsed. A busy machine comes nowhere near them.
const COLLAPSED: f64 = 0.25;
const NOT_RECOVERED: f64 = 0.5;
/// How long things may take to be normal again.
const RECOVERY: Duration = Duration::from_secs(5);
/// How long it is watched after that.
const WATCH: Duration = Duration::from_secs(3);
/// The share of its capacity that is normal.
const NORMAL: f64 = 0.5;
/// Numbers of clients are taken in lots of this size.
const LOT: u32 = 100_000;

/// Sign-ins, whose hashes take all of the processor, while others refresh.
pub(super) fn sign_ins(lab: &Lab, database: &str) -> Result<bool, String> {
    let rounds = lab.rounds.unwrap_or(3);
    let surge_time = Duration::from_secs(if rounds == 1 { 5 } else { 20 });
    let plan = Plan { workers: 2, hostile: false, pause: Duration::from_millis(40), one_shot: true, ..Plan::STANDARD };
    let mut run = Run::prepare(lab, "overload", database, &plan, 120)?;
    run.launch = run.launch.with("BCRYPT_COST", "11");
    let server = run.launch.start()?;
    run.load.targets.set(&[server.address()]);
    run.start_load()?;
    let began = now();
    run.load.saturate(8, Duration::from_secs(4), FIRST);
    let capacity = Window::of(began, now()).goodput(&run.load.history.ops());
    let mut said = vec![format!("capacity={capacity:.1}/s")];
    let mut held = capacity > 0.0;
    for round in 0..rounds {
        let factor = FACTORS[round as usize % FACTORS.len()];
        let first = FIRST + (2 * round + 1) * LOT;
        let began = now();
        let over = began + micros(surge_time);
        let normal = Surge { rate: capacity * NORMAL, time: RECOVERY + WATCH, attempts: 1, first: first + LOT };
        let load = std::sync::Arc::clone(&run.load);
        let afterwards = std::thread::spawn(move || {
            std::thread::sleep(surge_time);
            load.surge(&normal)
        });
        let storm = Surge { rate: capacity * f64::from(factor), time: surge_time, attempts: 3, first };
        let came = run.load.surge(&storm)?;
        afterwards.join().map_err(|_| "the normal load panicked")??;
        let seen = Seen::of(&run.load.history.ops(), began, over, first + LOT);
        let goodput = Window::of(began, over).goodput(&run.load.history.ops()) / capacity;
        held &= goodput >= COLLAPSED && seen.served_later >= NOT_RECOVERED;
        said.push(seen.line(factor, came, goodput));
    }
    run.finish(server, said, held)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

struct Window {
    from: u64,
    to: u64,
}

impl Window {
    const fn of(from: u64, to: u64) -> Self {
        Self { from, to }
    }

    /// Sign-ins a second that were answered in it.
    #[expect(clippy::cast_precision_loss, reason = "there are few")]
    fn goodput(&self, ops: &[Op]) -> f64 {
        let served = ops.iter().filter(|op| op.op == Kind::Login && op.outcome == Outcome::Ok);
        let served = served.filter(|op| op.worker >= FIRST && (self.from..self.to).contains(&op.t_ret)).count();
        served as f64 / (self.to.saturating_sub(self.from) as f64 / 1e6)
    }
}

/// What a surge showed.
struct Seen {
    sent_away: Vec<Duration>,
    others: Vec<Duration>,
    /// When the last of the normal load was sent away.
    normal_after: Duration,
    /// Of the normal load once things must be normal again, the share that was served.
    served_later: f64,
}

impl Seen {
    /// The surge was between these times; the normal load behind it has the numbers from `normal` on.
    #[expect(clippy::cast_precision_loss, reason = "there are few")]
    fn of(ops: &[Op], from: u64, to: u64, normal: u32) -> Self {
        let took = |op: &Op| Duration::from_micros(op.t_ret.saturating_sub(op.t_inv));
        let during = || ops.iter().filter(|op| (from..to).contains(&op.t_inv));
        let logins = || ops.iter().filter(|op| op.op == Kind::Login && (normal..normal + LOT).contains(&op.worker));
        let later: Vec<_> = logins().filter(|op| op.t_inv >= to + micros(RECOVERY)).collect();
        let served = later.iter().filter(|op| op.outcome == Outcome::Ok).count();
        let last = logins().filter(|op| op.outcome != Outcome::Ok).map(|op| op.t_inv).max().unwrap_or(to);
        Self {
            sent_away: during().filter(|op| op.worker >= FIRST && op.status == 503).map(took).collect(),
            others: during().filter(|op| op.worker < FIRST && op.op == Kind::Refresh).map(took).collect(),
            normal_after: Duration::from_micros(last.saturating_sub(to)),
            served_later: if later.is_empty() { 1.0 } else { served as f64 / later.len() as f64 },
        }
    }

    fn line(mut self, factor: u32, came: u32, goodput: f64) -> String {
        format!(
            "{factor}x: came={came} goodput={goodput:.2} sent_away={} after={} refreshes={} normal_after={:.1}s served_later={:.2}",
            self.sent_away.len(),
            spread(&mut self.sent_away),
            spread(&mut self.others),
            self.normal_after.as_secs_f64(),
            self.served_later
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(worker: u32, from: u64, to: u64, outcome: Outcome) -> Op {
        let mut op = Op::begin(from, worker, Kind::Login, "", 0);
        op.t_ret = to;
        op.outcome = outcome;
        op.status = if outcome == Outcome::Ok { 200 } else { 503 };
        op
    }

    #[test]
    fn a_server_that_stays_collapsed_is_told_from_one_that_recovers() {
        let second = 1_000_000;
        let normal = FIRST + LOT;
        let ops = vec![
            login(1, 0, second, Outcome::Ok),
            login(FIRST, 0, second, Outcome::Ok),
            login(FIRST + 1, 0, second, Outcome::Info),
            login(normal, 3 * second, 4 * second, Outcome::Info),
            login(normal + 1, 9 * second, 10 * second, Outcome::Ok),
        ];
        let two_seconds = Window::of(0, 2 * second).goodput(&ops);
        assert!((two_seconds - 0.5).abs() < 1e-9, "{two_seconds}");
        let seen = Seen::of(&ops, 0, 2 * second, normal);
        assert_eq!((seen.sent_away.len(), seen.normal_after.as_secs()), (1, 1));
        assert!(seen.served_later > 0.99);
        let mut collapsed = ops;
        collapsed.push(login(normal + 2, 9 * second, 10 * second, Outcome::Info));
        collapsed.push(login(normal + 3, 9 * second, 10 * second, Outcome::Info));
        assert!(Seen::of(&collapsed, 0, 2 * second, normal).served_later < NOT_RECOVERED);
    }
}
