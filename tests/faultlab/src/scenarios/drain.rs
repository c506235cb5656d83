//! SIGTERM under load: what was accepted is answered, and the process ends by itself.
//!
//! Requirements: Q12.

use std::time::Duration;

use super::{Lab, Run, spread};
use crate::history::{Op, Outcome, now};
use crate::load::Plan;

/// How long the process may take to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// What was sent so shortly before the signal may still have been on its way to the process.
const ON_ITS_WAY: u64 = 50_000;

/// One server, ended and started again under load whose sign-ins take long enough to be under way.
pub(super) fn single(lab: &Lab, database: &str) -> Result<bool, String> {
    let rounds = lab.rounds.unwrap_or(10);
    let plan = Plan { one_shot: true, session_ops: (3, 10), hostile: false, ..Plan::STANDARD };
    let mut run = Run::prepare(lab, "sigterm", database, &plan, 30)?;
    run.launch = run.launch.with("BCRYPT_COST", "11");
    let mut server = run.launch.start()?;
    run.load.targets.set(&[server.address()]);
    run.start_load()?;
    let (mut signals, mut took, mut refused) = (Vec::new(), Vec::new(), 0);
    for _ in 0..rounds {
        run.run_for(400, 1_200);
        signals.push(now());
        let (code, time) = server.terminate(PATIENCE);
        took.push(time);
        refused += u32::from(code != Some(0));
        run.load.targets.set(&[]);
        run.settle()?;
        server = run.launch.start()?;
        run.load.targets.set(&[server.address()]);
    }
    let (under_way, cut) = cut_off(&run.load.history.ops(), &signals);
    let extra =
        format!("sigterms={rounds} exit={} not_zero={refused} under_way={under_way} cut_off={cut}", spread(&mut took));
    run.finish(server, vec![extra], refused == 0 && cut == 0 && under_way > 0)
}

/// How many requests were under way at a signal, and how many of them got no answer.
fn cut_off(ops: &[Op], signals: &[u64]) -> (usize, usize) {
    let under_way: Vec<&Op> = ops
        .iter()
        .filter(|op| signals.iter().any(|signal| op.t_inv + ON_ITS_WAY < *signal && *signal < op.t_ret))
        .collect();
    let cut = under_way.iter().filter(|op| op.outcome == Outcome::Info && op.status == 0).count();
    (under_way.len(), cut)
}

/// Two servers on one database, ended in turn: a client that tries again at the other one loses nothing.
pub(super) fn rolling(lab: &Lab, database: &str) -> Result<bool, String> {
    if database == "sqlite" {
        return Err("two servers need Postgres".to_owned());
    }
    let rounds = lab.rounds.unwrap_or(10);
    let mut run = Run::prepare(lab, "rolling", database, &Plan { one_shot: true, ..Plan::STANDARD }, 30)?;
    run.reach = 1_000_000;
    let mut servers = [run.launch.start()?, run.launch.start()?];
    run.load.targets.set(&servers.each_ref().map(crate::server::Server::address));
    run.start_load()?;
    let (mut took, mut refused) = (Vec::new(), 0);
    for round in 0..rounds {
        run.run_for(300, 900);
        let [first, second] = servers;
        let (going, staying) = if round % 2 == 0 { (first, second) } else { (second, first) };
        // The balancer learns of the end a little late: until then, clients are refused and turn to the other one.
        let (code, time) = going.terminate(PATIENCE);
        run.load.targets.set(&[staying.address()]);
        took.push(time);
        refused += u32::from(code != Some(0));
        let coming = run.launch.start()?;
        servers = if round % 2 == 0 { [coming, staying] } else { [staying, coming] };
        run.load.targets.set(&servers.each_ref().map(crate::server::Server::address));
    }
    run.stop_load()?;
    let [first, second] = servers;
    let (code, time) = second.terminate(PATIENCE);
    took.push(time);
    refused += u32::from(code != Some(0));
    let extra = format!("sigterms={} exit={} not_zero={refused}", rounds + 1, spread(&mut took));
    run.finish(first, vec![extra], refused == 0)
}
