//! The disk is full, and the disk fails.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Lab, Run, power, spread};
use crate::history::{Kind, Outcome, now};
use crate::load::Plan;
use crate::power::trouble::{ALWAYS, Orders, Trouble};
use crate::power::{BALLAST, ORDERS, VARIABLE, disk, journal};

/// How soon after there is room again refreshes must work.
const HEALED: Duration = Duration::from_secs(5);
/// How many sessions are signed out while the disk is full, each time.
const REVOCATIONS: usize = 20;
/// The lost answers of a full disk are many; none of them may make a token late.
const GRACE: u32 = 120;
const CODE: &str = "storage_full";

/// SQLite on a layer that fails when it is told to: syncs, writes and reads with EIO, growth with ENOSPC. Every second
/// time the power is cut afterwards, and what a failed sync left is lost or not.
pub(super) fn fails(lab: &Lab, database: &str) -> Result<bool, String> {
    if database != "sqlite" {
        return Err("the disk fails under SQLite alone".to_owned());
    }
    let rounds = lab.rounds.unwrap_or(20);
    let mut run = Run::prepare(lab, "disk-errors", database, &Plan::STANDARD, GRACE)?;
    let folder = run.launch.folder.clone();
    let io = |error: std::io::Error| format!("{}: {error}", folder.display());
    let (record, order) = (folder.join("journal"), folder.join("orders"));
    let mut orders = Orders::create(&order).map_err(io)?;
    let plain = run.launch.clone();
    run.launch.program = std::env::current_exe().map_err(|error| error.to_string())?;
    let ballast = folder.join(format!("{}.ballast", power::STORE));
    for (name, value) in [(VARIABLE, &record), (ORDERS, &order), (BALLAST, &ballast)] {
        run.launch = run.launch.with(name, &value.display().to_string());
    }
    let mut rng = run.rng.fork(2);
    let (mut healing, mut full, mut struck, mut failed_syncs, mut unsynced) = (Vec::new(), Full::default(), 0, 0, 0);
    for round in 0..rounds {
        let before = disk::snapshot(&folder, power::STORE).map_err(io)?;
        let server = run.launch.start()?;
        run.load.targets.set(&[server.address()]);
        if round == 0 {
            run.start_load()?;
        }
        run.run_for(100, 400);
        let began = now();
        let few = u32::try_from(run.rng.between(1, 6)).unwrap_or(1);
        match round % 5 {
            0 => orders.give(Trouble::Sync, few).map_err(io)?,
            1 => orders.give(Trouble::Full, ALWAYS).map_err(io)?,
            2 => orders.give(Trouble::Write, few).map_err(io)?,
            3 => orders.give(Trouble::Sync, ALWAYS).map_err(io)?,
            _ => orders.give(Trouble::Read, few).map_err(io)?,
        }
        if round % 5 == 1 {
            full.watch(&run, began, true)?;
        }
        run.run_for(100, 500);
        orders.call_off().map_err(io)?;
        healing.push(time_to_heal(&run, now()));
        run.run_for(50, 200);
        server.kill();
        run.load.targets.set(&[]);
        run.settle()?;
        let changes = journal::read(&std::fs::read(&record).map_err(io)?);
        struck += changes.iter().filter(|(_, change)| *change == journal::Change::Failed).count();
        failed_syncs += changes.iter().filter(|(_, change)| *change == journal::Change::FailedSync).count();
        if round % 2 == 0 {
            unsynced += disk::cut_power(&folder, power::STORE, before, changes, &mut rng).map_err(io)?.pending;
        }
    }
    run.launch = plain;
    let server = run.launch.start()?;
    run.load.targets.set(&[server.address()]);
    let healed = healing.iter().all(|time| *time < HEALED);
    let extra = format!(
        "faults={rounds} failed_syncs={failed_syncs} other_failures={struck} unsynced={unsynced} {} healed={}",
        full.line(),
        spread(&mut healing)
    );
    let done = failed_syncs > 0 && (rounds < 2 || struck > 0);
    run.finish(server, vec![extra], healed && done && full.held(rounds > 1))
}

/// The store is alone on a small filesystem, which is filled up under load and given room again.
pub(super) fn full(lab: &Lab, database: &str) -> Result<bool, String> {
    let rounds = lab.rounds.unwrap_or(3);
    let on_sqlite = database == "sqlite";
    let (mut run, small) = if on_sqlite {
        let small = Small::mount(&lab.artifacts.join(format!("disk-full-{}", lab.seed)), "28m", None)?;
        (Run::prepare_in(lab, "disk-full", database, &Plan::STANDARD, GRACE, Some(&small.folder))?, small)
    } else {
        let cluster = lab.cluster.as_ref().ok_or("this needs --postgres")?;
        let owner = std::fs::metadata(&cluster.folder).map_err(|error| error.to_string())?;
        let small = Small::mount(&cluster.folder.join("small"), "32m", Some((owner.uid(), owner.gid())))?;
        cluster.put_on(&small.folder)?;
        (Run::prepare(lab, "disk-full", database, &Plan::STANDARD, GRACE)?, small)
    };
    run.launch = run.launch.with("BALLAST_MB", "4");
    let server = run.launch.start()?;
    run.load.targets.set(&[server.address()]);
    run.start_load()?;
    let (mut healing, mut full) = (Vec::new(), Full::default());
    for _ in 0..rounds {
        run.run_for(500, 1_000);
        let began = now();
        let filler = small.fill()?;
        full.watch(&run, began, on_sqlite)?;
        run.run_for(500, 2_000);
        std::fs::remove_file(&filler).map_err(|error| format!("{}: {error}", filler.display()))?;
        healing.push(time_to_heal(&run, now()));
    }
    run.run_for(500, 1_000);
    let healed = healing.iter().all(|time| *time < HEALED);
    let extra = format!("fillings={rounds} {} healed={}", full.line(), spread(&mut healing));
    let held = run.finish(server, vec![extra], healed && full.held(on_sqlite));
    if let (false, Some(cluster)) = (on_sqlite, &lab.cluster) {
        cluster.take_off("faultlab_disk_full")?;
    }
    held
}

/// What was seen of full disks.
#[derive(Default)]
struct Full {
    times: u32,
    noticed: u32,
    revoked: usize,
    refused: Vec<String>,
}

impl Full {
    /// Waits until a refresh was refused because of it, and then signs some sessions out.
    fn watch(&mut self, run: &Run<'_>, began: u64, revokes: bool) -> Result<(), String> {
        self.times += 1;
        let told = |op: &&crate::history::Op| op.op == Kind::Refresh && op.t_inv >= began && op.code() == CODE;
        if !wait_until(|| run.load.history.any_since(began, told)) {
            return Ok(());
        }
        self.noticed += 1;
        if revokes {
            let (revoked, refused) = run.load.revoke_some(REVOCATIONS)?;
            self.revoked += revoked;
            self.refused.extend(refused);
        }
        Ok(())
    }

    fn line(&self) -> String {
        let refused = self.refused.first().map_or(String::new(), |answer| format!(" refused_with=\"{answer}\""));
        format!(
            "full={} noticed={} revoked={} revocations_refused={}{refused}",
            self.times,
            self.noticed,
            self.revoked,
            self.refused.len()
        )
    }

    /// Whether every one was noticed, and, where there is a ballast, every revocation was done.
    const fn held(&self, revokes: bool) -> bool {
        self.noticed == self.times && self.refused.is_empty() && (!revokes || self.revoked > 0)
    }
}

/// How long it takes until a refresh works that begins after `from`.
fn time_to_heal(run: &Run<'_>, from: u64) -> Duration {
    let began = Instant::now();
    let works = |op: &&crate::history::Op| op.op == Kind::Refresh && op.t_inv >= from && op.outcome == Outcome::Ok;
    wait_until(|| run.load.history.any_since(from, works));
    began.elapsed()
}

/// Waits twice as long as it may take.
fn wait_until(come: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + 2 * HEALED;
    while Instant::now() < deadline {
        if come() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

/// A filesystem of its own in memory, which is gone when this is dropped.
struct Small {
    folder: PathBuf,
}

impl Small {
    fn mount(folder: &Path, size: &str, owner: Option<(u32, u32)>) -> Result<Self, String> {
        std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let folder = folder.canonicalize().map_err(|error| error.to_string())?;
        let owner = owner.map_or(String::new(), |(user, group)| format!(",uid={user},gid={group}"));
        let options = format!("size={size},mode=700{owner}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "faultlab"]).arg(&folder);
        match mount.stdin(Stdio::null()).status() {
            Ok(status) if status.success() => Ok(Self { folder }),
            other => Err(format!(
                "THE DISK WAS NOT FILLED: no filesystem of its own can be mounted ({other:?}). That takes root, or a \
                 system on which `unshare -rm` works"
            )),
        }
    }

    /// Takes all that is left; gives the file that does.
    fn fill(&self) -> Result<PathBuf, String> {
        let path = self.folder.join("filler");
        let mut file = File::create(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let piece = vec![1; 64 * 1024];
        while file.write_all(&piece).is_ok() {}
        while file.write_all(&[1; 512]).is_ok() {}
        Ok(path)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily, for whoever still has a file open there.
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
    }
}
