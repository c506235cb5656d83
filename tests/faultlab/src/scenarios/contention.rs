//! Many clients refresh one session at the same moment, while others go about their business.

use std::time::Duration;

use super::{Lab, Run, spread};
use crate::history::{Kind, Op, Outcome};
use crate::load::Plan;

const RACERS: u32 = 64;

pub(super) fn one_session(lab: &Lab, database: &str) -> Result<bool, String> {
    let generations = lab.rounds.unwrap_or(150);
    let plan = Plan { workers: 4, ..Plan::STANDARD };
    let mut run = Run::prepare(lab, "contention", database, &plan, 30)?;
    let server = run.launch.start()?;
    run.load.targets.set(&[server.address()]);
    run.start_load()?;
    let session = run.load.race(RACERS, generations)?;
    let ops = run.load.history.ops();
    let times = |of_racers: bool| -> Vec<Duration> {
        let is_wanted = |op: &&Op| op.op == Kind::Refresh && (op.session == session) == of_racers;
        ops.iter().filter(is_wanted).map(|op| Duration::from_micros(op.t_ret - op.t_inv)).collect()
    };
    let raced = ops.iter().filter(|op| op.op == Kind::Refresh && op.session == session);
    let failed = raced.filter(|op| op.outcome != Outcome::Ok).count();
    let (mut racers, mut others) = (times(true), times(false));
    let extra = format!(
        "racers={RACERS} generations={generations} refreshes={} not_ok={failed} latency={} others={}",
        racers.len(),
        spread(&mut racers),
        spread(&mut others)
    );
    run.finish(server, vec![extra], failed == 0)
}
