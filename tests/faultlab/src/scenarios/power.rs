//! Power is cut under a server on SQLite: what was not synced is lost, in part and at random.

use super::{Lab, Run, spread};
use crate::load::Plan;
use crate::power::{self, disk, journal};

pub(super) const STORE: &str = "relatch.db";

pub(super) fn cut(lab: &Lab, database: &str) -> Result<bool, String> {
    let (run, server, extra) = rounds(lab, "power-loss", database, lab.rounds.unwrap_or(15), &[])?;
    run.finish(server, vec![extra], true)
}

/// The rounds alone: for the control, too, which shows that losses would be noticed.
pub(super) fn rounds<'a>(
    lab: &'a Lab,
    scenario: &str,
    database: &str,
    rounds: u32,
    variables: &[(&str, &str)],
) -> Result<(Run<'a>, crate::server::Server, String), String> {
    if database != "sqlite" {
        return Err("power is cut under SQLite alone".to_owned());
    }
    let mut run = Run::prepare(lab, scenario, database, &Plan::STANDARD, 10)?;
    let folder = run.launch.folder.clone();
    let record = folder.join("journal");
    let plain = run.launch.clone();
    run.launch.program = std::env::current_exe().map_err(|error| error.to_string())?;
    run.launch = run.launch.with(power::VARIABLE, &record.display().to_string());
    for (name, value) in variables {
        run.launch = run.launch.with(name, value);
    }
    let mut rng = run.rng.fork(1);
    let (mut ready, mut lost, mut started) = (Vec::new(), disk::Lost::default(), false);
    for _ in 0..rounds {
        let io = |error: std::io::Error| format!("{}: {error}", folder.display());
        let before = disk::snapshot(&folder, STORE).map_err(io)?;
        let server = run.launch.start()?;
        ready.push(server.ready_after);
        run.load.targets.set(&[server.address()]);
        if !started {
            run.start_load()?;
            started = true;
        }
        run.run_for(100, 700);
        server.kill();
        run.load.targets.set(&[]);
        run.settle()?;
        let changes = journal::read(&std::fs::read(&record).map_err(io)?);
        let now = disk::cut_power(&folder, STORE, before, changes, &mut rng).map_err(io)?;
        lost.pending += now.pending;
        lost.dropped += now.dropped;
    }
    run.launch = plain;
    let server = run.launch.start()?;
    run.load.targets.set(&[server.address()]);
    let extra =
        format!("cuts={rounds} unsynced={} dropped={} ready={}", lost.pending, lost.dropped, spread(&mut ready));
    Ok((run, server, extra))
}
