//! The process dies: at random moments, and at named points of a write.
//!
//! Requirements: B14, Q12.

use std::time::Duration;

use super::{Lab, Run, spread};
use crate::load::Plan;
use crate::server::ABORTED;

/// `kill -9` at random moments under load.
pub(super) fn at_random(lab: &Lab, database: &str) -> Result<bool, String> {
    let rounds = lab.rounds.unwrap_or(20);
    let mut run = Run::prepare(lab, "kill", database, &Plan::STANDARD, 10)?;
    let mut server = run.launch.start()?;
    run.load.targets.set(&[server.address()]);
    run.start_load()?;
    let mut ready = Vec::new();
    for _ in 0..rounds {
        run.run_for(100, 700);
        server.kill();
        run.load.targets.set(&[]);
        run.settle()?;
        server = run.launch.start()?;
        ready.push(server.ready_after);
        run.load.targets.set(&[server.address()]);
    }
    let extra = vec![format!("kills={rounds} ready={}", spread(&mut ready))];
    run.finish(server, extra, true)
}

/// The points of a write at which a build with failpoints can be made to die.
const POINTS: [&str; 3] = ["before_begin", "before_commit", "after_commit"];

/// The process aborts at each named point in turn.
pub(super) fn at_failpoints(lab: &Lab, database: &str) -> Result<bool, String> {
    let program = lab.failpoint_program.as_ref().ok_or("this needs --failpoint-binary")?;
    let rounds = lab.rounds.unwrap_or(9);
    let mut run = Run::prepare(lab, "failpoints", database, &Plan::STANDARD, 10)?;
    run.launch.program.clone_from(program);
    let mut started = false;
    let (mut missed, mut at_start) = (0, 0);
    for round in 0..rounds {
        let point = POINTS[round as usize % POINTS.len()];
        // Registering the lab's users takes a write each.
        let hit = run.rng.between(1, 200) + if started { 0 } else { 20 };
        let mut server = match run.launch.with("FAILPOINT", &format!("{point}:{hit}")).start() {
            // A starting server writes, too.
            Err(wrong) if wrong == ABORTED => {
                at_start += 1;
                run.settle()?;
                continue;
            }
            started => started?,
        };
        run.load.targets.set(&[server.address()]);
        if !started {
            run.start_load()?;
            started = true;
        }
        if !server.wait_for_abort(Duration::from_secs(30)) {
            missed += 1;
        }
        server.kill();
        run.load.targets.set(&[]);
        run.settle()?;
    }
    let server = run.launch.start()?;
    run.load.targets.set(&[server.address()]);
    let extra = vec![format!("aborts={} at_start={at_start} missed={missed}", rounds - missed)];
    run.finish(server, extra, missed == 0)
}
