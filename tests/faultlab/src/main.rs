//! Breaks a running relatch in every way it must survive, and checks what its clients saw. Not shipped.
//!
//! `scripts/faultlab` builds what this needs and runs it; docs/reliability.md says what it does.

mod history;
mod http;
mod load;
mod oracle;
mod postgres;
mod power;
mod proxy;
mod rng;
mod scenarios;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;

use scenarios::Lab;

const USAGE: &str = "\
Usage: faultlab --binary RELATCH --artifacts DIR [OPTIONS] SCENARIO sqlite|postgres
       faultlab check HISTORY GRACE_SECONDS     asks the oracle again, without the store

  --binary PATH              the relatch to run
  --failpoint-binary PATH    the same with the feature failpoints, for the scenario failpoints
  --postgres DIR URL         a cluster of scripts/postgres
  --postgres-script PATH     scripts/postgres itself
  --artifacts DIR            where histories, logs and databases are left
  --seed N                   what decides what is broken when (default 1)
  --rounds N                 how often
";

fn main() -> ExitCode {
    if let Some(journal) = std::env::var_os(power::VARIABLE) {
        return power::serve(&journal);
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, history, grace] = arguments.as_slice()
        && command == "check"
    {
        return match scenarios::check_again(history, grace) {
            Ok(clean) => ExitCode::from(u8::from(!clean)),
            Err(wrong) => {
                eprintln!("faultlab: {history}: {wrong}");
                ExitCode::FAILURE
            }
        };
    }
    let (lab, scenario, database) = match parse(arguments.into_iter()) {
        Ok(parsed) => parsed,
        Err(wrong) => {
            eprintln!("faultlab: {wrong}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match scenarios::run(&lab, &scenario, &database) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(wrong) => {
            eprintln!("faultlab: {scenario} on {database}: {wrong}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<(Lab, String, String), String> {
    let mut lab = Lab { seed: 1, ..Lab::default() };
    let mut names = Vec::new();
    let mut cluster = None;
    let mut script = PathBuf::from("scripts/postgres");
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        // Servers run in folders of their own.
        let absolute = |path: String| std::path::absolute(&path).map_err(|error| format!("{path}: {error}"));
        match argument.as_str() {
            "--binary" => lab.program = absolute(value()?)?,
            "--failpoint-binary" => lab.failpoint_program = Some(absolute(value()?)?),
            "--artifacts" => lab.artifacts = value()?.into(),
            "--postgres" => cluster = Some((PathBuf::from(value()?), value()?)),
            "--postgres-script" => script = value()?.into(),
            "--seed" => lab.seed = value()?.parse().map_err(|_| "--seed needs a number")?,
            "--rounds" => lab.rounds = Some(value()?.parse().map_err(|_| "--rounds needs a number")?),
            _ if argument.starts_with('-') => return Err(format!("{argument} is unknown")),
            _ => names.push(argument),
        }
    }
    lab.cluster = cluster.map(|(folder, url)| postgres::Cluster { script, folder, url });
    for (name, path) in [("--binary", &lab.program), ("--artifacts", &lab.artifacts)] {
        if path.as_os_str().is_empty() {
            return Err(format!("{name} is needed"));
        }
    }
    match <[String; 2]>::try_from(names) {
        Ok([scenario, database]) => Ok((lab, scenario, database)),
        Err(_) => Err("name one scenario and one database".to_owned()),
    }
}
