//! The database restarts, and the network between client, server and database fails.
//!
//! Requirements: Q8.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{Lab, Run, spread};
use crate::history::{Op, Outcome, now};
use crate::http::{Client, Request, Sent};
use crate::load::Plan;
use crate::proxy::{Mode, Proxy};

/// How soon after a fault everything must work again.
const HEALED: Duration = Duration::from_secs(5);
/// A token is never late in these scenarios: what the network swallowed may come out again much later.
const GRACE: u32 = 120;

/// Postgres is restarted under load, by turns orderly and as in a crash.
pub(super) fn database_restarts(lab: &Lab, database: &str) -> Result<bool, String> {
    let rounds = lab.rounds.unwrap_or(4);
    let mut run = Run::prepare(lab, "postgres-restart", database, &Plan::STANDARD, GRACE)?;
    let cluster = lab.cluster.as_ref().ok_or("this needs --postgres")?;
    let server = run.launch.start()?;
    run.load.targets.set(&[server.address()]);
    run.start_load()?;
    let mut back = Vec::new();
    for round in 0..rounds {
        run.run_for(800, 2_000);
        cluster.restart(if round % 2 == 0 { "immediate" } else { "fast" })?;
        back.push(now());
        std::thread::sleep(HEALED);
    }
    let mut healing = times_to_heal(&run.load.history.ops(), &back);
    let held = healing.iter().all(|time| *time < HEALED);
    let extra = vec![format!("restarts={rounds} healed={}", spread(&mut healing))];
    run.finish(server, extra, held)
}

/// For each end of a fault: how long after it a request began that was not answered, or with a 5xx.
fn times_to_heal(ops: &[Op], ends: &[u64]) -> Vec<Duration> {
    let window = u64::try_from(HEALED.as_micros()).unwrap_or(u64::MAX);
    ends.iter()
        .map(|end| {
            let failed = ops.iter().filter(|op| op.outcome == Outcome::Info && op.user != u32::MAX);
            let last = failed.map(|op| op.t_inv).filter(|at| *at > *end && *at <= end + window).max();
            Duration::from_micros(last.map_or(0, |last| last - end))
        })
        .collect()
}

/// The network between server and Postgres fails in every way that the proxy knows.
pub(super) fn between_server_and_database(lab: &Lab, database: &str) -> Result<bool, String> {
    if database == "sqlite" {
        return Err("there is no network in front of SQLite".to_owned());
    }
    let rounds = lab.rounds.unwrap_or(6);
    let mut run = Run::prepare(lab, "partition", database, &Plan::STANDARD, GRACE)?;
    let cluster = lab.cluster.as_ref().ok_or("this needs --postgres")?;
    let proxy = Proxy::start(cluster.address()?).map_err(|error| error.to_string())?;
    run.launch = run.through(&proxy)?;
    let server = run.launch.start()?;
    run.load.targets.set(&[server.address()]);
    run.start_load()?;
    let faults = [
        (Mode::Reset, 1_500),
        (Mode::Blackhole, 8_000),
        (Mode::Slice, 2_000),
        (Mode::HalfClose, 2_000),
        (Mode::Latency(Duration::from_millis(100)), 3_000),
        (Mode::Blackhole, 2_000),
    ];
    let mut ends = Vec::new();
    for round in 0..rounds {
        let (mode, time) = faults[round as usize % faults.len()];
        run.run_for(300, 1_000);
        proxy.set(mode);
        std::thread::sleep(Duration::from_millis(time));
        proxy.set(Mode::Pass);
        ends.push(now());
        std::thread::sleep(HEALED);
    }
    let mut healing = times_to_heal(&run.load.history.ops(), &ends);
    let held = healing.iter().all(|time| *time < HEALED);
    let extra = vec![format!("faults={rounds} healed={}", spread(&mut healing))];
    run.finish(server, extra, held)
}

/// The network between clients and server fails; answers get lost, and the clients ask again.
pub(super) fn between_client_and_server(lab: &Lab, database: &str) -> Result<bool, String> {
    let rounds = lab.rounds.unwrap_or(10);
    let mut run = Run::prepare(lab, "lost-answers", database, &Plan::STANDARD, GRACE)?;
    let server = run.launch.start()?;
    let proxy = Proxy::start(server.address()).map_err(|error| error.to_string())?;
    run.load.targets.set(&[proxy.address()]);
    run.start_load()?;
    let faults = [
        Mode::Reset,
        Mode::Latency(Duration::from_millis(30)),
        Mode::HalfClose,
        Mode::Slice,
        Mode::Reset,
        Mode::Blackhole,
    ];
    for round in 0..rounds {
        run.run_for(100, 400);
        proxy.set(faults[round as usize % faults.len()]);
        run.run_for(50, 500);
        proxy.set(Mode::Pass);
    }
    run.finish(server, vec![format!("faults={rounds}")], true)
}

/// Postgres answers so late that every connection is in use: requests are sent away in time, and what needs no
/// database is answered at once.
pub(super) fn exhaustion(lab: &Lab, database: &str) -> Result<bool, String> {
    let rounds = lab.rounds.unwrap_or(1);
    let plan = Plan { workers: 64, slots: 128, ..Plan::STANDARD };
    let mut run = Run::prepare(lab, "exhaustion", database, &plan, GRACE)?;
    let cluster = lab.cluster.as_ref().ok_or("this needs --postgres")?;
    let proxy = Proxy::start(cluster.address()?).map_err(|error| error.to_string())?;
    run.launch = run.through(&proxy)?;
    let server = run.launch.start()?;
    run.load.targets.set(&[server.address()]);
    run.start_load()?;
    let (mut ends, mut live) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        run.run_for(500, 1_000);
        proxy.set(Mode::Latency(Duration::from_secs(2)));
        let done = Arc::new(AtomicBool::new(false));
        let probing = probe_liveness(server.address(), Arc::clone(&done));
        std::thread::sleep(Duration::from_secs(8));
        proxy.set(Mode::Pass);
        ends.push(now());
        done.store(true, Ordering::Relaxed);
        live.extend(probing.join().map_err(|_| "the liveness probe panicked")??);
        std::thread::sleep(HEALED);
    }
    let ops = run.load.history.ops();
    let mut healing = times_to_heal(&ops, &ends);
    let put_off = ops.iter().filter(|op| op.status == 503).count();
    let held = healing.iter().all(|time| *time < HEALED)
        && live.iter().all(|time| *time < Duration::from_secs(1))
        && put_off > 0;
    let extra =
        format!("rounds={rounds} put_off={put_off} healed={} liveness={}", spread(&mut healing), spread(&mut live));
    run.finish(server, vec![extra], held)
}

type Probing = std::thread::JoinHandle<Result<Vec<Duration>, String>>;

fn probe_liveness(server: std::net::SocketAddr, done: Arc<AtomicBool>) -> Probing {
    std::thread::spawn(move || {
        let mut client = Client::new(false);
        let mut times = Vec::new();
        while !done.load(Ordering::Relaxed) {
            let began = Instant::now();
            let request = Request { method: "GET", path: "/health/live", bearer: None, body: None };
            match client.send(server, &request) {
                Sent::Answered(answer) if answer.status == 200 => times.push(began.elapsed()),
                _ => return Err("/health/live does not answer".to_owned()),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(times)
    })
}
