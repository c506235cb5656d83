//! The built binary, as an operator runs it: in an empty folder, with nothing in its environment but what is given.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::{Answer, Database, SECRET_KEY};

/// A folder to run commands in, and perhaps a server that runs there.
pub struct Binary {
    folder: Arc<TempDir>,
    variables: Vec<(String, String)>,
    database: Option<Arc<Database>>,
}

/// What a command did.
#[derive(Debug)]
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Binary {
    /// With nothing configured at all: on an SQLite file that is not there yet.
    pub fn unconfigured() -> Self {
        Self { folder: Arc::new(tempfile::tempdir().unwrap()), variables: Vec::new(), database: None }
    }

    /// On a database that others use too.
    pub fn on(database: Arc<Database>) -> Self {
        let variables =
            vec![("DATABASE_URL".to_owned(), database.url()), ("SECRET_KEY".to_owned(), SECRET_KEY.to_owned())];
        Self { folder: Arc::new(tempfile::tempdir().unwrap()), variables, database: Some(database) }.fast()
    }

    /// On a database of its own.
    pub fn new() -> Self {
        Self::on(Arc::new(Database::create()))
    }

    /// The same without hashing for long.
    fn fast(self) -> Self {
        self.set("INSECURE_DEVELOPMENT", "on").set("BCRYPT_COST", "4")
    }

    /// With a variable set; an empty value takes it away.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.variables.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// What is in its environment.
    pub fn variables(&self) -> impl Iterator<Item = (&String, &String)> {
        self.variables.iter().map(|(name, value)| (name, value))
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_relatch"));
        command.args(arguments).current_dir(self.folder.path()).env_clear();
        command.envs(self.variables());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.run_with_input(arguments, "")
    }

    /// Runs a command to its end, with this on its standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that does not read its input has ended before this is written, which is no fault.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts the server on a free port, and waits until it says where it serves.
    pub fn serve(&self) -> Served {
        let mut served = self.serve_with_log(Stdio::piped());
        let mut stderr = served.child.stderr.take().unwrap();
        served.log = Some(std::thread::spawn(move || read(&mut stderr)));
        served
    }

    /// The same with another standard error. Of a pipe nothing is read before the server has ended.
    pub fn serve_with_log(&self, log: Stdio) -> Served {
        let mut child = self
            .command(&[])
            .env("LISTEN_ADDR", "127.0.0.1:0")
            .env("PUBLIC_URL", "http://127.0.0.1:8080")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let Some((_, base)) = line.trim().split_once(" serves on ") else {
            let _ = child.kill();
            panic!(
                "the server did not start: {line:?}, {}",
                child.stderr.map(|mut log| read(&mut log)).unwrap_or_default()
            );
        };
        // The files must outlive the server: a connection that it opens later would make an empty store of a deleted one.
        let files = (Arc::clone(&self.folder), self.database.clone());
        Served { base: base.to_owned(), child, stdout, log: None, client: super::http_client(), _files: files }
    }
}

fn read(log: &mut impl std::io::Read) -> String {
    let mut text = Vec::new();
    let _ = log.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// A server that runs as a process of its own. It is killed when dropped.
pub struct Served {
    pub base: String,
    pub stdout: BufReader<std::process::ChildStdout>,
    child: Child,
    log: Option<std::thread::JoinHandle<String>>,
    client: reqwest::Client,
    _files: (Arc<TempDir>, Option<Arc<Database>>),
}

impl Served {
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.client.post(format!("{}{path}", self.base)).json(body).send().await.unwrap()).await
    }

    pub async fn post_as(&self, token: &str, path: &str) -> Answer {
        Answer::of(self.client.post(format!("{}{path}", self.base)).bearer_auth(token).send().await.unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.client.get(format!("{}{path}", self.base)).send().await.unwrap()).await
    }

    pub async fn get_as(&self, token: &str, path: &str) -> Answer {
        Answer::of(self.client.get(format!("{}{path}", self.base)).bearer_auth(token).send().await.unwrap()).await
    }

    /// Waits until the server, which remembers this access token, has heard from elsewhere that it is worth nothing.
    pub async fn expect_refused_within_a_second(&self, token: &str) {
        let began = std::time::Instant::now();
        while self.get_as(token, "/api/users/profile").await.status != 401 {
            assert!(began.elapsed() < Duration::from_secs(1), "the token is still accepted");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A line of what the system says of the process's memory, such as `VmHWM`, the most that it has had.
    pub fn memory_kb(&self, line: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let found = status.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(':')).unwrap();
        found.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }

    /// Kills the process as a crash would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn log(&mut self) -> String {
        match self.log.take() {
            Some(log) => log.join().unwrap(),
            None => self.child.stderr.as_mut().map(read).unwrap_or_default(),
        }
    }

    /// Asks the process to end as a service manager would, and gives its exit code and log.
    pub fn terminate(mut self) -> (Option<i32>, String) {
        let done = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(done.success());
        let status = self.child.wait().unwrap();
        (status.code(), self.log())
    }

    /// Ends the process in the same way, and gives what it has printed since it was looked at, and its log.
    pub fn end(mut self) -> (String, String) {
        let done = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(done.success() && self.child.wait().unwrap().success());
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (rest, self.log())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
