//! What a server's process costs: time to start, memory, processor time.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Failed;
use crate::outcome::{millis, print, round};

/// The server is configured by the environment, LISTEN_ADDR included.
#[derive(clap::Args)]
pub(crate) struct StartArguments {
    /// The server
    #[arg(long)]
    binary: PathBuf,
    /// Its LISTEN_ADDR
    #[arg(long)]
    address: String,
    /// How often
    #[arg(long, default_value_t = 5)]
    times: u32,
    /// What to call this in the report
    #[arg(long, default_value = "start")]
    name: String,
}

/// A running server.
#[derive(clap::Args)]
pub(crate) struct MemoryArguments {
    /// Its process
    #[arg(long)]
    pid: u32,
    /// What to call this in the report
    #[arg(long)]
    name: String,
}

pub(crate) fn start_time(arguments: &StartArguments) -> Result<(), Failed> {
    let mut times = Vec::new();
    let mut resident = Vec::new();
    for _ in 0..arguments.times {
        let began = Instant::now();
        let mut command = Command::new(&arguments.binary);
        let mut server = Running(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
        while !is_ready(&arguments.address) {
            if began.elapsed() > Duration::from_secs(60) || server.0.try_wait()?.is_some() {
                return Err("the server did not start".into());
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        times.push(millis(began.elapsed()));
        std::thread::sleep(Duration::from_millis(300));
        resident.push(megabytes(server.0.id(), "VmRSS:")?);
    }
    let (ready, rss) = (median(&mut times), median(&mut resident));
    eprintln!("{}: ready after {ready} ms, {rss} MB", arguments.name);
    print(&json!({ "name": arguments.name, "ready_ms": ready, "times_ms": times, "rss_mb": rss }));
    Ok(())
}

pub(crate) fn memory(arguments: &MemoryArguments) -> Result<(), Failed> {
    let (rss, peak) = (megabytes(arguments.pid, "VmRSS:")?, megabytes(arguments.pid, "VmHWM:")?);
    eprintln!("{}: {rss} MB, at most {peak} MB", arguments.name);
    print(&json!({ "name": arguments.name, "rss_mb": rss, "peak_mb": peak }));
    Ok(())
}

/// The processor time that a process has used so far.
pub(crate) fn processor_time(pid: u32) -> Result<Duration, Failed> {
    /// The kernel counts in these, whatever its own clock is.
    const TICK: Duration = Duration::from_millis(10);
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in brackets, may hold anything.
    let (_, fields) = text.rsplit_once(") ").ok_or("no process statistics")?;
    let ticks: u32 = fields.split(' ').skip(11).take(2).map(str::parse::<u32>).sum::<Result<_, _>>()?;
    Ok(TICK * ticks)
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_ready(address: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let request = b"GET /health/ready HTTP/1.1\r\nHost: load\r\nConnection: close\r\n\r\n";
    let mut answer = Vec::new();
    stream.write_all(request).is_ok() && stream.read_to_end(&mut answer).is_ok() && answer.starts_with(b"HTTP/1.1 200")
}

/// A size of a process, as the kernel calls it.
pub(crate) fn megabytes(pid: u32, field: &str) -> Result<f64, Failed> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).ok_or("no such field in the status")?;
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(round(kibibytes * 1024.0 / 1e6))
}

fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}
