//! Thousands of clients that send a byte a second: what they cost the server, and how others fare beside them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::spawn_local;

use crate::Failed;
use crate::client::{self, Connection};
use crate::histogram::Histogram;
use crate::outcome::{millis, print, round};
use crate::process::megabytes;
use crate::tokens::TokenFile;

/// Clients on many loopback addresses that drip bodies and headers, until the server has closed all of them.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The server, an IPv4 address of this machine and a port
    #[arg(long)]
    address: SocketAddr,
    /// The file that `fill` wrote
    #[arg(long)]
    tokens: PathBuf,
    /// The server's process
    #[arg(long)]
    pid: u32,
    /// How many drip a body
    #[arg(long, default_value_t = 2_000)]
    bodies: u32,
    /// How many drip headers
    #[arg(long, default_value_t = 2_000)]
    headers: u32,
    /// What to call this in the report
    #[arg(long, default_value = "drip")]
    name: String,
}

/// How long others are watched once all are there: headers may take five seconds.
const WATCHED: Duration = Duration::from_secs(3);
/// How often others ask.
const PACE: Duration = Duration::from_millis(10);
/// Nobody may be there for longer.
const AT_MOST: Duration = Duration::from_secs(30);

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, watch(arguments))
}

async fn watch(arguments: &Arguments) -> Result<(), Failed> {
    let file = TokenFile::open(&arguments.tokens)?;
    let mut held = file.take(0..file.lines, 1)?;
    let address = arguments.address.to_string();
    let mut connection = Connection::open(&address).await?;
    // Once, so that what the first requests cost is not counted.
    let (mut health, mut refresh) = (Histogram::new(), Histogram::new());
    ask(&mut connection, &mut held, &mut Histogram::new(), &mut Histogram::new()).await?;
    let before = megabytes(arguments.pid, "VmRSS:")?;
    let began = Instant::now();
    let body = "POST /api/auth/login HTTP/1.1\r\nHost: load\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{";
    let headers = "GET /health/live HTTP/1.1\r\nHost: load\r\nX-A: ";
    let mut drippers = Vec::new();
    for (head, count) in [(body, arguments.bodies), (headers, arguments.headers)] {
        for number in 0..count {
            let stream = open(arguments.address, number).await?;
            drippers.push(spawn_local(drip(stream, head)));
        }
    }
    let opened = began.elapsed();
    let (until, mut at_most) = (Instant::now() + WATCHED, before);
    while Instant::now() < until {
        ask(&mut connection, &mut held, &mut health, &mut refresh).await?;
        at_most = at_most.max(megabytes(arguments.pid, "VmRSS:")?);
        tokio::time::sleep(PACE).await;
    }
    file.give_back(&held)?;
    let (mut told, mut longest) = (0_u64, Duration::ZERO);
    let all = drippers.len();
    for dripper in drippers {
        let (was_told, lasted) = dripper.await?.ok_or("a client was let drip for 30 seconds")?;
        told += u64::from(was_told);
        longest = longest.max(lasted);
    }
    let growth = round(at_most - before);
    let p99 = |histogram: &Histogram| millis(histogram.quantile(0.99));
    eprintln!(
        "{}: {all} dripping, {growth} MB more, health p99 {} ms, refresh p99 {} ms, all gone after {:.1} s",
        arguments.name,
        p99(&health),
        p99(&refresh),
        longest.as_secs_f64()
    );
    print(&json!({
        "name": arguments.name,
        "connections": all,
        "opened_ms": millis(opened),
        "growth_mb": growth,
        "p50_ms": millis(health.quantile(0.5)),
        "p99_ms": p99(&health),
        "refresh_p99_ms": p99(&refresh),
        "told": told,
        "gone_after_seconds": round(longest.as_secs_f64()),
    }));
    Ok(())
}

/// What others ask for, once.
async fn ask(
    connection: &mut Connection,
    held: &mut [crate::tokens::Held],
    health: &mut Histogram,
    refresh: &mut Histogram,
) -> Result<(), Failed> {
    let began = Instant::now();
    connection.call(&client::get("/health/live", None)).await?;
    health.record(began.elapsed());
    for session in held {
        let began = Instant::now();
        let answer = connection.call(&crate::load::refresh_request(&session.token)).await?;
        let token = client::text_member(answer.body, "refreshToken");
        let token = token.ok_or_else(|| String::from_utf8_lossy(answer.body).into_owned())?;
        refresh.record(began.elapsed());
        token.clone_into(&mut session.token);
    }
    Ok(())
}

/// From one of 250 addresses, so that no single one has more than its share.
async fn open(server: SocketAddr, number: u32) -> Result<TcpStream, Failed> {
    let source = SocketAddr::from(([127, 0, 1, u8::try_from(number % 250 + 1)?], 0));
    let socket = TcpSocket::new_v4()?;
    socket.bind(source)?;
    Ok(socket.connect(server).await?)
}

/// A byte a second until the server ends it: whether it said so, and how long it took.
async fn drip(mut stream: TcpStream, head: &str) -> Option<(bool, Duration)> {
    let (began, mut told, mut buffer) = (Instant::now(), false, [0; 1024]);
    // A connection that was closed shows when it is read.
    let _ = stream.write_all(head.as_bytes()).await;
    while began.elapsed() < AT_MOST {
        match tokio::time::timeout(Duration::from_secs(1), stream.read(&mut buffer)).await {
            Ok(Ok(read)) if read > 0 => told |= buffer.starts_with(b"HTTP/1.1 408"),
            Ok(_) => return Some((told, began.elapsed())),
            Err(_) => drop(stream.write_all(b" ").await),
        }
    }
    None
}
