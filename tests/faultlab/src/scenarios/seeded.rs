//! Servers with a mistake built in: the oracle must notice each. This passes when every run fails as it should.

use std::time::Duration;

use super::{Lab, Run, power};
use crate::load::Plan;
use crate::oracle::{Findings, Rule};
use crate::power::disk;
use crate::server::Server;

const VARIABLE: &str = "SEEDED_BUG";

type Break = for<'a> fn(&'a Lab, &'static str) -> Result<(Run<'a>, Server), String>;

/// The mistake, how it is brought to light, and which promise it breaks.
const BUGS: [(&str, Break, Rule); 6] = [
    ("ack_before_commit", crash_after_the_answer, Rule::Lost),
    ("synchronous_normal", cut_power, Rule::Lost),
    ("revocation_cached", just_load, Rule::Revival),
    ("no_child_check", just_load, Rule::Alarm),
    ("old_backup", put_back_a_copy, Rule::Revival),
    ("always_deny", just_load, Rule::InnocentDeath),
];

pub(super) fn all(lab: &Lab, database: &str) -> Result<bool, String> {
    if database != "sqlite" {
        return Err("the mistakes are made on SQLite".to_owned());
    }
    let mut noticed = Vec::new();
    let mut missed = 0;
    for (bug, break_it, rule) in BUGS {
        let mut count = 0;
        let mut line = String::new();
        // A mistake shows when the moment is right; nobody runs the laboratory for one round.
        for _ in 0..3 {
            let (mut run, server) = break_it(lab, bug)?;
            let (findings, _): (Findings, bool) = run.judge(server)?;
            (count, line) = (findings.count(rule), findings.line());
            if count > 0 {
                break;
            }
        }
        if count == 0 {
            println!("     {bug} was not noticed: {line}");
            missed += 1;
        }
        noticed.push(format!("{bug}:{rule:?}={count}"));
    }
    let verdict = if missed == 0 { "PASS" } else { "FAIL" };
    println!("{verdict} seeded-bugs sqlite: seed={} noticed {}", lab.seed, noticed.join(" "));
    Ok(missed == 0)
}

fn prepare<'a>(lab: &'a Lab, bug: &str) -> Result<Run<'a>, String> {
    let program = lab.failpoint_program.as_ref().ok_or("this needs --failpoint-binary")?;
    let mut run = Run::prepare(lab, &format!("seeded-{bug}"), "sqlite", &Plan::STANDARD, 10)?;
    run.launch.program.clone_from(program);
    run.launch = run.launch.with(VARIABLE, bug);
    Ok(run)
}

fn just_load<'a>(lab: &'a Lab, bug: &'static str) -> Result<(Run<'a>, Server), String> {
    let mut run = prepare(lab, bug)?;
    let server = run.launch.start()?;
    run.load.targets.set(&[server.address()]);
    run.start_load()?;
    run.run_for(2_000, 3_000);
    Ok((run, server))
}

fn crash_after_the_answer<'a>(lab: &'a Lab, bug: &'static str) -> Result<(Run<'a>, Server), String> {
    let mut run = prepare(lab, bug)?;
    let plain = run.launch.clone();
    // What is lost is one group of writes a round, which may well be one of the server's own, such as seals.
    for round in 0..12 {
        let hit = run.rng.between(30, 60);
        let mut server = plain.with("FAILPOINT", &format!("before_commit:{hit}")).start()?;
        run.load.targets.set(&[server.address()]);
        if round == 0 {
            run.start_load()?;
        }
        if !server.wait_for_abort(Duration::from_secs(30)) {
            return Err("the failpoint was not come to".to_owned());
        }
        server.kill();
        run.load.targets.set(&[]);
        run.settle()?;
    }
    let server = plain.start()?;
    run.load.targets.set(&[server.address()]);
    Ok((run, server))
}

fn cut_power<'a>(lab: &'a Lab, bug: &'static str) -> Result<(Run<'a>, Server), String> {
    if !cfg!(feature = "failpoints") {
        return Err("the laboratory itself was built without the feature failpoints".to_owned());
    }
    let (run, server, _) = power::rounds(lab, "seeded-synchronous", "sqlite", 5, &[(VARIABLE, bug)])?;
    Ok((run, server))
}

/// A copy of the files is put back as if nothing had happened, instead of by `relatch restore`.
fn put_back_a_copy<'a>(lab: &'a Lab, bug: &'static str) -> Result<(Run<'a>, Server), String> {
    let mut run = prepare(lab, bug)?;
    let folder = run.launch.folder.clone();
    let io = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut copy = None;
    for round in 0..2 {
        let server = run.launch.start()?;
        run.load.targets.set(&[server.address()]);
        if round == 0 {
            run.start_load()?;
        }
        run.run_for(800, 1_200);
        server.terminate(Duration::from_secs(15));
        run.load.targets.set(&[]);
        run.settle()?;
        copy.get_or_insert(disk::snapshot(&folder, power::STORE).map_err(io)?);
    }
    let mut rng = run.rng.clone();
    disk::cut_power(&folder, power::STORE, copy.unwrap_or_default(), Vec::new(), &mut rng).map_err(io)?;
    let server = run.launch.start()?;
    run.load.targets.set(&[server.address()]);
    Ok((run, server))
}
