//! The supervisor: starts the relatch binary, waits until it says that it serves, and ends it by its process id.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::history;

/// How a server is started, again and again.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) variables: Vec<(String, String)>,
}

/// base64 of 32 bytes that are no secret.
const SECRET_KEY: &str = "cmVsYXRjaC10ZXN0LXNlY3JldC1vZi0zMi1ieXRlcyE=";
/// A server that dies before it serves.
pub(crate) const ABORTED: &str = "the server aborted while it was starting";
const START: Duration = Duration::from_secs(60);

impl Launch {
    pub(crate) fn new(program: &Path, folder: &Path, database_url: &str) -> Self {
        let variables = [
            ("DATABASE_URL", database_url),
            ("SECRET_KEY", SECRET_KEY),
            ("LISTEN_ADDR", "127.0.0.1:0"),
            ("PUBLIC_URL", "http://127.0.0.1:8080"),
            ("INSECURE_DEVELOPMENT", "on"),
            ("BCRYPT_COST", "4"),
            ("RATE_LIMITS", "off"),
            ("MAX_SESSIONS_PER_USER", "10000"),
            ("LOG_LEVEL", "warn"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Self { program: program.to_owned(), folder: folder.to_owned(), variables }
    }

    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut launch = self.clone();
        launch.variables.retain(|(known, _)| known != name);
        launch.variables.push((name.to_owned(), value.to_owned()));
        launch
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    fn command(&self) -> Result<Command, String> {
        let log = OpenOptions::new().create(true).append(true).open(self.log()).map_err(|error| error.to_string())?;
        let mut command = Command::new(&self.program);
        command.current_dir(&self.folder).env_clear().stderr(log);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    /// Makes an admin on the command line.
    pub(crate) fn create_admin(&self, username: &str, password: &str) -> Result<(), String> {
        let input = self.folder.join("password");
        std::fs::write(&input, password).map_err(|error| error.to_string())?;
        let email = format!("{username}@example.com");
        let status = self
            .command()?
            .args(["user", "create", "--role", "admin", "--password-stdin", "--username", username, "--email", &email])
            .stdin(File::open(&input).map_err(|error| error.to_string())?)
            .stdout(Stdio::null())
            .status();
        match status {
            Ok(status) if status.success() => Ok(()),
            other => Err(format!("no admin could be made ({other:?}): see {}", self.log().display())),
        }
    }

    /// Runs a command of the program beside a server, or without one.
    pub(crate) fn command_line(&self, arguments: &[&str]) -> Result<(), String> {
        match self.command()?.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).status() {
            Ok(status) if status.success() => Ok(()),
            other => Err(format!("relatch {} failed ({other:?}): see {}", arguments.join(" "), self.log().display())),
        }
    }

    /// Starts it and waits until it serves. `Err` when it ends instead.
    pub(crate) fn start(&self) -> Result<Server, String> {
        let began = Instant::now();
        let mut child = self
            .command()?
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", self.program.display()))?;
        self.note_pid(child.id());
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let mut server = Server { child, address: None, ready_after: Duration::ZERO };
        // The line is read on a thread of its own, since a server that hangs writes none. The thread goes on reading:
        // a full pipe would stall the server.
        let (lines, said) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = lines.send(line);
            }
        });
        while let Ok(line) = said.recv_timeout(START.saturating_sub(began.elapsed())) {
            if let Some((_, address)) = line.split_once(" serves on http://") {
                server.address = address.trim().parse().ok();
                server.ready_after = began.elapsed();
                return Ok(server);
            }
        }
        if began.elapsed() < START && server.wait_for_abort(Duration::from_secs(5)) {
            return Err(ABORTED.to_owned());
        }
        Err(format!("the server has ended or did not come up within {START:?}: see {}", self.log().display()))
    }
}

impl Launch {
    /// For whoever has to clean up when the laboratory itself is killed.
    fn note_pid(&self, pid: u32) {
        if let Some(folder) = self.folder.parent()
            && let Ok(mut file) = OpenOptions::new().create(true).append(true).open(folder.join("pids"))
        {
            let _ = writeln!(file, "{pid}");
        }
    }
}

/// A running server. It is killed when dropped.
pub(crate) struct Server {
    child: Child,
    address: Option<SocketAddr>,
    pub(crate) ready_after: Duration,
}

impl Server {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address.expect("a server that serves says where")
    }

    /// Ends it as a crash would and waits until it is gone.
    pub(crate) fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end as a service manager would; gives its exit code and how long that took.
    pub(crate) fn terminate(mut self, patience: Duration) -> (Option<i32>, Duration) {
        let began = Instant::now();
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        match self.wait(patience) {
            Some(status) => (status.code(), began.elapsed()),
            None => (None, began.elapsed()),
        }
    }

    /// Waits for it to abort by itself; `false` when it has not within `patience`.
    pub(crate) fn wait_for_abort(&mut self, patience: Duration) -> bool {
        self.wait(patience).is_some_and(|status| status.signal() == Some(rustix::process::Signal::ABORT.as_raw()))
    }

    fn wait(&mut self, patience: Duration) -> Option<std::process::ExitStatus> {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where clients find servers now. Clients wait here while there is none.
#[derive(Default)]
pub(crate) struct Targets {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    addresses: Vec<SocketAddr>,
    /// Rises with every change, so that a client can wait for another one than the one that failed it.
    version: u64,
    /// Nothing but what is under way shall be done.
    stopped: bool,
}

impl Targets {
    pub(crate) fn set(&self, addresses: &[SocketAddr]) {
        let mut state = self.state.lock().expect("no client panics");
        state.addresses = addresses.to_vec();
        state.version += 1;
        self.changed.notify_all();
    }

    pub(crate) fn stop(&self) {
        self.state.lock().expect("no client panics").stopped = true;
        self.changed.notify_all();
    }

    /// Lets requests through again after [`Self::stop`].
    pub(crate) fn resume(&self) {
        self.state.lock().expect("no client panics").stopped = false;
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.state.lock().expect("no client panics").stopped
    }

    /// A server, chosen by `turn`; waits for one. `None` when everything stops.
    pub(crate) fn get(&self, turn: usize) -> Option<SocketAddr> {
        let state = self.state.lock().expect("no client panics");
        let state =
            self.changed.wait_while(state, |state| state.addresses.is_empty() && !state.stopped).expect("no panic");
        if state.stopped { None } else { state.addresses.get(turn % state.addresses.len()).copied() }
    }

    /// Waits until the servers are not what they were, or for a short while: whoever refuses a connection may be
    /// starting, or may just be overrun.
    pub(crate) fn wait_for_change(&self, patience: Duration) {
        let state = self.state.lock().expect("no client panics");
        let version = state.version;
        drop(self.changed.wait_timeout_while(state, patience, |state| state.version == version && !state.stopped));
    }
}

/// A point in the history after which nothing that a server was sent before it died can happen any more.
pub(crate) fn settled(history: &history::History) {
    history.append(history::Op::begin(history::now(), u32::MAX, history::Kind::Settled, "", u32::MAX));
}
