//! The clock of the server is set to another time while it serves, and two servers' clocks differ.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Lab, Run};
use crate::history::{Kind, Op, Outcome, now};
use crate::load::Plan;
use crate::server::Launch;

/// Where Debian's package `faketime` puts its library, which tells a process another time of day. Its monotonic clock
/// is left alone.
const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];
const HOUR: i64 = 60 * 60;
/// How far the second server's clock is behind, in seconds.
const BEHIND: i64 = 30;
/// Where the clock is set to, in seconds from the right time.
const JUMPS: [i64; 8] = [-HOUR, 0, HOUR, 0, -24 * HOUR, 0, 24 * HOUR, 0];

pub(super) fn jumps(lab: &Lab, database: &str) -> Result<bool, String> {
    let library = LIBRARIES.iter().map(Path::new).find(|library| library.exists()).ok_or(
        "THE CLOCK WAS NOT SET: libfaketime is missing (on Debian, as root: apt-get install --no-install-recommends \
         faketime)",
    )?;
    let rounds = lab.rounds.unwrap_or(8);
    let mut run = Run::prepare(lab, "clock", database, &Plan::STANDARD, 120)?;
    let clock = Clock { library, file: run.launch.folder.join("clock") };
    clock.set(0)?;
    let servers = if run.database.is_some() {
        // What is accepted from memory reaches as far as in every scenario of two servers.
        run.reach = 1_000_000;
        let behind = Clock { library, file: run.launch.folder.join("clock-behind") };
        behind.set(-BEHIND)?;
        vec![clock.under(&run.launch).start()?, behind.under(&run.launch).start()?]
    } else {
        vec![clock.under(&run.launch).start()?]
    };
    if servers.len() > 1 {
        set(&run, || Ok(()))?;
    }
    run.load.targets.set(&servers.iter().map(crate::server::Server::address).collect::<Vec<_>>());
    run.start_load()?;
    for round in 0..rounds {
        run.run_for(500, 1_500);
        set(&run, || clock.set(JUMPS[round as usize % JUMPS.len()]))?;
    }
    run.run_for(500, 1_500);
    let ops = run.load.history.ops();
    let stale = ops.iter().filter(|op| op.op == Kind::Profile && op.outcome == Outcome::Fail).count();
    let instances = servers.len();
    let extra = format!("jumps={rounds} instances={instances} access_tokens_refused={stale}");
    let mut servers = servers.into_iter();
    let first = servers.next().ok_or("there is no server")?;
    let mut ended_well = true;
    for other in servers {
        run.stop_load()?;
        ended_well &= other.terminate(Duration::from_secs(15)).0 == Some(0);
    }
    run.finish(first, vec![extra], ended_well)
}

/// Sets a clock, and notes that from now on nobody knows what time it is.
fn set(run: &Run<'_>, work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let mut op = Op::begin(now(), u32::MAX, Kind::ClockSet, "", u32::MAX);
    work()?;
    op.t_ret = now();
    op.outcome = Outcome::Ok;
    run.load.history.append(op);
    Ok(())
}

struct Clock<'a> {
    library: &'a Path,
    file: PathBuf,
}

impl Clock<'_> {
    fn set(&self, offset: i64) -> Result<(), String> {
        // Replaced at once: a half-written time would be one, too.
        let draft = self.file.with_extension("draft");
        std::fs::write(&draft, format!("{offset:+}\n"))
            .and_then(|()| std::fs::rename(&draft, &self.file))
            .map_err(|error| format!("{}: {error}", self.file.display()))
    }

    /// How a server is started that goes by this clock.
    fn under(&self, launch: &Launch) -> Launch {
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
        .into_iter()
        .fold(launch.clone(), |launch, (name, value)| launch.with(name, &value))
    }
}
