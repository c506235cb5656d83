//! What is broken, when and how often; and what every scenario has in common.

mod clock;
mod contention;
mod disk;
mod drain;
mod kill;
mod network;
mod overload;
mod power;
mod restore;
mod seeded;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::history::{History, Op};
use crate::load::{ADMIN, Load, PASSWORD, Plan};
use crate::oracle::{self, Findings, Limits};
use crate::postgres::Cluster;
use crate::proxy::Proxy;
use crate::rng::Rng;
use crate::server::{Launch, Server, settled};

/// What the command line says.
#[derive(Default)]
pub(crate) struct Lab {
    pub(crate) program: PathBuf,
    pub(crate) failpoint_program: Option<PathBuf>,
    pub(crate) artifacts: PathBuf,
    pub(crate) cluster: Option<Cluster>,
    pub(crate) seed: u64,
    pub(crate) rounds: Option<u32>,
}

/// Runs a scenario and prints its line; says whether everything held.
pub(crate) fn run(lab: &Lab, scenario: &str, database: &str) -> Result<bool, String> {
    match scenario {
        "kill" => kill::at_random(lab, database),
        "failpoints" => kill::at_failpoints(lab, database),
        "power-loss" => power::cut(lab, database),
        "seeded-bugs" => seeded::all(lab, database),
        "sigterm" => drain::single(lab, database),
        "rolling" => drain::rolling(lab, database),
        "postgres-restart" => network::database_restarts(lab, database),
        "partition" => network::between_server_and_database(lab, database),
        "lost-answers" => network::between_client_and_server(lab, database),
        "exhaustion" => network::exhaustion(lab, database),
        "contention" => contention::one_session(lab, database),
        "disk-errors" => disk::fails(lab, database),
        "disk-full" => disk::full(lab, database),
        "overload" => overload::sign_ins(lab, database),
        "restore" => restore::older_store(lab, database),
        "clock" => clock::jumps(lab, database),
        _ => Err("there is no such scenario".to_owned()),
    }
}

/// Reads a history that was left and asks the oracle about it.
pub(crate) fn check_again(history: &str, grace: &str) -> Result<bool, String> {
    let grace: u64 = grace.parse().map_err(|_| "the grace window is a number of seconds")?;
    let text = std::fs::read_to_string(history).map_err(|error| error.to_string())?;
    let ops: Result<Vec<Op>, _> = text.lines().map(serde_json::from_str).collect();
    let limits = Limits { grace: grace * 1_000_000, answer: 5_000_000, reach: 0 };
    let findings = oracle::check(&ops.map_err(|error| error.to_string())?, None, &limits);
    println!("{}", findings.line());
    for detail in &findings.details {
        println!("     {detail}");
    }
    Ok(findings.is_clean())
}

/// One scenario under way: a database of its own, a server on it, and load.
pub(crate) struct Run<'a> {
    name: String,
    lab: &'a Lab,
    pub(crate) launch: Launch,
    pub(crate) load: Arc<Load>,
    pub(crate) rng: Rng,
    url: String,
    /// The name of the Postgres database, if it is one.
    database: Option<String>,
    grace: u64,
    /// Set by scenarios with several instances.
    pub(crate) reach: u64,
    workers: Vec<JoinHandle<()>>,
    began: Instant,
}

impl<'a> Run<'a> {
    /// Prepares folder, database and admin. Nothing runs yet.
    pub(crate) fn prepare(
        lab: &'a Lab,
        scenario: &str,
        database: &str,
        plan: &Plan,
        grace: u32,
    ) -> Result<Self, String> {
        Self::prepare_in(lab, scenario, database, plan, grace, None)
    }

    /// The same with an SQLite store in another folder than everything else.
    pub(crate) fn prepare_in(
        lab: &'a Lab,
        scenario: &str,
        database: &str,
        plan: &Plan,
        grace: u32,
        store: Option<&Path>,
    ) -> Result<Self, String> {
        let name = format!("{scenario} {database}");
        let folder = lab.artifacts.join(format!("{scenario}-{database}-{}", lab.seed));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let folder = folder.canonicalize().map_err(|error| error.to_string())?;
        let (url, database) = match database {
            "sqlite" => (format!("sqlite://{}", store.unwrap_or(&folder).join(power::STORE).display()), None),
            "postgres" => {
                let cluster = lab.cluster.as_ref().ok_or("this needs --postgres")?;
                let name = format!("faultlab_{scenario}").replace('-', "_");
                (cluster.create(&name)?, Some(name))
            }
            _ => return Err("the database is sqlite or postgres".to_owned()),
        };
        let launch = Launch::new(&lab.program, &folder, &url).with("REFRESH_GRACE_SECONDS", &grace.to_string());
        launch.create_admin(ADMIN, PASSWORD)?;
        let history = History::create(&folder.join("history.jsonl")).map_err(|error| error.to_string())?;
        Ok(Self {
            name,
            lab,
            launch,
            load: Load::new(plan, lab.seed, history),
            rng: Rng::new(lab.seed).fork(0x5eed),
            url,
            database,
            grace: u64::from(grace) * 1_000_000,
            reach: 0,
            workers: Vec::new(),
            began: Instant::now(),
        })
    }

    /// How a server is started that reaches its Postgres through the proxy.
    pub(crate) fn through(&self, proxy: &Proxy) -> Result<Launch, String> {
        let (start, rest) = self.url.split_once('@').ok_or("the URL names no user")?;
        let (_, name) = rest.split_once('/').ok_or("the URL names no database")?;
        Ok(self.launch.with("DATABASE_URL", &format!("{start}@{}/{name}", proxy.address())))
    }

    /// Starts the workers, once a server is known.
    pub(crate) fn start_load(&mut self) -> Result<(), String> {
        self.load.register()?;
        self.workers = self.load.start();
        Ok(())
    }

    /// Lets the load go on for a random time in milliseconds.
    pub(crate) fn run_for(&mut self, low: u64, high: u64) {
        std::thread::sleep(Duration::from_millis(self.rng.between(low, high)));
    }

    /// After a server's death: waits until the database has done with what it had been sent, and notes that.
    pub(crate) fn settle(&self) -> Result<(), String> {
        if let (Some(cluster), Some(name)) = (&self.lab.cluster, &self.database) {
            cluster.wait_until_unused(name)?;
        }
        settled(&self.load.history);
        Ok(())
    }

    pub(crate) fn stop_load(&mut self) -> Result<(), String> {
        self.load.targets.stop();
        for worker in self.workers.drain(..) {
            worker.join().map_err(|_| "a client panicked")?;
        }
        self.load.targets.resume();
        Ok(())
    }

    /// Probes every session, ends the server, and asks the store and the oracle. Also says whether the server ended well.
    pub(crate) fn judge(&mut self, server: Server) -> Result<(Findings, bool), String> {
        self.stop_load()?;
        self.load.targets.set(&[server.address()]);
        self.load.probe_all()?;
        let (code, _) = server.terminate(Duration::from_secs(15));
        self.settle()?;
        let facts = oracle::store::read(&self.url)?;
        let limits = Limits { grace: self.grace, answer: 5_000_000, reach: self.reach };
        Ok((oracle::check(&self.load.history.ops(), Some(&facts), &limits), code == Some(0)))
    }

    /// The end of a scenario that must have held: prints its line.
    pub(crate) fn finish(mut self, server: Server, extra: Vec<String>, held: bool) -> Result<bool, String> {
        let (findings, ended_well) = self.judge(server)?;
        let held = held && ended_well && findings.is_clean();
        let tally = &self.load.tally;
        println!(
            "{} {}: seed={} {} {} ambiguous={} resolved={} ended={} seconds={}{}",
            if held { "PASS" } else { "FAIL" },
            self.name,
            self.lab.seed,
            extra.join(" "),
            findings.line(),
            tally.ambiguous.load(Ordering::Relaxed),
            tally.resolved.load(Ordering::Relaxed),
            tally.ended.load(Ordering::Relaxed),
            self.began.elapsed().as_secs(),
            if ended_well { "" } else { " the server did not end by itself with 0" }
        );
        for detail in &findings.details {
            println!("     {detail}");
        }
        Ok(held)
    }
}

/// `50th/99th/worst` of a list of durations, in milliseconds.
pub(crate) fn spread(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |share: usize| times.get((times.len() * share / 100).min(times.len().saturating_sub(1)));
    let text = |time: Option<&Duration>| time.map_or(0, Duration::as_millis);
    format!("{}/{}/{}ms", text(at(50)), text(at(99)), text(times.last()))
}
