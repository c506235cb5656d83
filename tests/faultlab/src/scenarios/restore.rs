//! An older store is put back: nothing that was ended, or given out, before comes to life again.

use std::time::Duration;

use super::{Lab, Run, power};
use crate::history::{Kind, Op, Outcome, now};
use crate::load::Plan;
use crate::power::disk;

/// By turns `relatch backup` and `relatch restore`, and copies of the files that are put back by hand, or of the
/// database on Postgres, with `relatch session revoke --all` before anything is served.
pub(super) fn older_store(lab: &Lab, database: &str) -> Result<bool, String> {
    let rounds = lab.rounds.unwrap_or(4);
    let mut run = Run::prepare(lab, "restore", database, &Plan::STANDARD, 10)?;
    let folder = run.launch.folder.clone();
    let io = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut server = run.launch.start()?;
    run.load.targets.set(&[server.address()]);
    run.start_load()?;
    let (mut by_command, mut by_hand) = (0, 0);
    for round in 0..rounds {
        run.run_for(500, 1_000);
        let foreign = round % 2 == 1 || run.database.is_some();
        let copy = folder.join(format!("copy-{round}.db"));
        let mut files = None;
        if foreign {
            // A file is not copied while it is written to.
            server = pause(&mut run, server, |run| {
                if let (Some(cluster), Some(name)) = (&lab.cluster, &run.database) {
                    cluster.copy(name, &format!("{name}_copy"))
                } else {
                    files = Some(disk::snapshot(&folder, power::STORE).map_err(io)?);
                    Ok(())
                }
            })?;
        } else {
            run.launch.command_line(&["backup", &copy.display().to_string()])?;
        }
        run.run_for(700, 1_200);
        server = pause(&mut run, server, |run| {
            let mut op = Op::begin(now(), u32::MAX, Kind::Restored, "", u32::MAX);
            if let (Some(cluster), Some(name)) = (&lab.cluster, &run.database) {
                cluster.copy(&format!("{name}_copy"), name)?;
            } else if let Some(files) = files.take() {
                disk::cut_power(&folder, power::STORE, files, Vec::new(), &mut run.rng.clone()).map_err(io)?;
            } else {
                run.launch.command_line(&["restore", &copy.display().to_string()])?;
            }
            if foreign {
                run.launch.command_line(&["session", "revoke", "--all"])?;
            }
            op.t_ret = now();
            op.outcome = Outcome::Ok;
            run.load.history.append(op);
            run.load.enable_everybody(&run.launch)
        })?;
        *(if foreign { &mut by_hand } else { &mut by_command }) += 1;
    }
    run.run_for(700, 1_200);
    run.finish(server, vec![format!("restored={by_command} put_back_by_hand={by_hand}")], true)
}

/// Ends the server, does something, and starts another.
fn pause<'a>(
    run: &mut Run<'a>,
    server: crate::server::Server,
    work: impl FnOnce(&mut Run<'a>) -> Result<(), String>,
) -> Result<crate::server::Server, String> {
    let (code, _) = server.terminate(Duration::from_secs(15));
    if code != Some(0) {
        return Err(format!("the server did not end by itself: {code:?}"));
    }
    run.load.targets.set(&[]);
    run.settle()?;
    work(run)?;
    let server = run.launch.start()?;
    run.load.targets.set(&[server.address()]);
    Ok(server)
}
