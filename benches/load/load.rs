//! The load generator: connections that are kept open, each with one request under way at a time.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Failed;
use crate::client::{self, Connection};
use crate::fill::{PASSWORD, username};
use crate::histogram::Histogram;
use crate::outcome::{Outcome, each};
use crate::process::processor_time;
use crate::tokens::{Held, TokenFile};

/// Requests of one kind, one after the other on each connection, or at a fixed rate.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What to ask for
    #[arg(value_enum)]
    operation: Operation,
    /// The server, such as 127.0.0.1:8080
    #[arg(long)]
    address: String,
    /// The file that `fill` wrote; all but `get` need it
    #[arg(long)]
    tokens: Option<PathBuf>,
    /// The access token of `get`
    #[arg(long)]
    token: Option<String>,
    /// The path of `get`
    #[arg(long, default_value = "/")]
    path: String,
    /// How many connections
    #[arg(long, default_value_t = 16)]
    connections: u64,
    /// How many sessions `refresh` goes through, dealt out to the connections; one for each unless given
    #[arg(long)]
    sessions: Option<u64>,
    /// Requests a second, spread evenly; without it each connection asks again as soon as it is answered. Latency then
    /// counts from when a request should have been sent
    #[arg(long)]
    rate: Option<f64>,
    /// How long to measure
    #[arg(long, default_value_t = 5.0, overrides_with = "seconds")]
    seconds: f64,
    /// How long to go on before that without measuring
    #[arg(long, default_value_t = 1.0, overrides_with = "warm_up")]
    warm_up: f64,
    /// The server's process, to see how much processor time a request takes
    #[arg(long)]
    pid: Option<u32>,
    /// What to call this in the report
    #[arg(long, default_value = "load")]
    name: String,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Operation {
    /// Sign in, one user after the other
    Login,
    /// Refresh, each session along its own chain of tokens
    Refresh,
    /// Read the profile, each connection as another user
    Profile,
    /// List fifty users as an admin
    List,
    /// Read the first of the status lists
    StatusList,
    /// Read --path
    Get,
}

/// Lines of the token file that are for reading; `refresh` and `login` use those behind.
const READERS: u64 = 1_000;
/// When somebody who was sent away signs in again.
const SENT_AWAY: Duration = Duration::from_secs(1);

/// What one connection asks for.
enum Requests {
    /// The same each time.
    Fixed(Vec<u8>),
    /// Sign-ins of these users.
    Logins { next: u64, step: u64, count: u64 },
    /// Refreshes of these sessions.
    Refreshes { sessions: Vec<Held>, next: usize },
}

/// When requests are sent.
#[derive(Clone, Copy)]
struct Schedule {
    begin: Instant,
    measured_from: Instant,
    end: Instant,
    /// The first request's delay and the distance to the next, at a fixed rate.
    paced: Option<(Duration, Duration)>,
}

struct Measured {
    latencies: Histogram,
    errors: u64,
    first_error: Option<String>,
    requests: Requests,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failed> {
    // One thread does many times what the server can; more would take the server's cores away.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, generate(arguments))
}

async fn generate(arguments: &Arguments) -> Result<(), Failed> {
    let file = arguments.tokens.as_deref().map(TokenFile::open).transpose()?;
    let mut requests = prepare(arguments, file.as_ref()).await?;
    let mut connections = Vec::new();
    for _ in 0..arguments.connections {
        connections.push(Connection::open(&arguments.address).await?);
    }
    let begin = Instant::now();
    let measured_from = begin + Duration::from_secs_f64(arguments.warm_up);
    let end = measured_from + Duration::from_secs_f64(arguments.seconds);
    let mut tasks = Vec::new();
    for (number, connection) in (0_u32..).zip(connections) {
        let paced = arguments.rate.map(|rate| {
            let each = Duration::from_secs_f64(1.0 / rate);
            (each * number, each * u32::try_from(arguments.connections).unwrap_or(u32::MAX))
        });
        let schedule = Schedule { begin, measured_from, end, paced };
        let requests = requests.pop().ok_or("too few sessions")?;
        let address = arguments.address.clone();
        tasks.push(tokio::task::spawn_local(drive(connection, address, requests, schedule)));
    }
    tokio::time::sleep_until(measured_from.into()).await;
    let (server, own) = used(arguments.pid)?;
    tokio::time::sleep_until(end.into()).await;
    let (server_now, own_now) = used(arguments.pid)?;
    let (mut latencies, mut errors, mut first_error) = (Histogram::new(), 0, None);
    for task in tasks {
        let measured = task.await?;
        latencies.add(&measured.latencies);
        errors += measured.errors;
        first_error = first_error.or(measured.first_error);
        if let (Some(file), Requests::Refreshes { sessions, .. }) = (&file, &measured.requests) {
            file.give_back(sessions)?;
        }
    }
    if let Some(error) = first_error {
        eprintln!("{}: the first error was: {error}", arguments.name);
    }
    let each = |time| each(time, latencies.total());
    let more = json!({
        "connections": arguments.connections,
        "rate": arguments.rate,
        "server_cpu_us": arguments.pid.map(|_| each(server_now.saturating_sub(server))),
        "client_cpu_us": each(own_now.saturating_sub(own)),
    });
    let elapsed = Duration::from_secs_f64(arguments.seconds);
    Outcome { name: &arguments.name, elapsed, errors, latencies: &latencies, more }.print();
    Ok(())
}

fn used(pid: Option<u32>) -> Result<(Duration, Duration), Failed> {
    let server = pid.map_or(Ok(Duration::ZERO), processor_time)?;
    Ok((server, processor_time(std::process::id())?))
}

/// What each connection asks for.
async fn prepare(arguments: &Arguments, file: Option<&TokenFile>) -> Result<Vec<Requests>, Failed> {
    let count = arguments.connections;
    let file = || file.ok_or("this needs --tokens");
    let mut prepared = Vec::new();
    match arguments.operation {
        Operation::Get => {
            for _ in 0..count {
                prepared.push(Requests::Fixed(client::get(&arguments.path, arguments.token.as_deref())));
            }
        }
        Operation::StatusList => {
            let path = first_status_list(&arguments.address).await?;
            for _ in 0..count {
                prepared.push(Requests::Fixed(client::get(&path, None)));
            }
        }
        Operation::Profile => {
            let file = file()?;
            for token in access_tokens(&arguments.address, file, 1..READERS, count).await? {
                prepared.push(Requests::Fixed(client::get("/api/users/profile", Some(&token))));
            }
        }
        Operation::List => {
            let tokens = access_tokens(&arguments.address, file()?, 0..1, 1).await?;
            for _ in 0..count {
                let token = tokens.first().map(String::as_str);
                prepared.push(Requests::Fixed(client::get("/api/users?limit=50", token)));
            }
        }
        Operation::Login => {
            let lines = file()?.lines;
            for number in 0..count {
                let count = lines.saturating_sub(READERS).max(1);
                prepared.push(Requests::Logins { next: number, step: arguments.connections, count });
            }
        }
        Operation::Refresh => {
            let file = file()?;
            let held = file.take(READERS..file.lines, arguments.sessions.unwrap_or(count).max(count))?;
            let hands = usize::try_from(count)?;
            for number in 0..hands {
                let sessions = held.iter().skip(number).step_by(hands).cloned().collect();
                prepared.push(Requests::Refreshes { sessions, next: 0 });
            }
        }
    }
    Ok(prepared)
}

/// The path of the status list that has been there for longest.
async fn first_status_list(address: &str) -> Result<String, Failed> {
    let mut connection = Connection::open(address).await?;
    let answer = connection.call(&client::get("/status-lists", None)).await?;
    let lists: serde_json::Value = serde_json::from_slice(answer.body)?;
    let uri = lists.pointer("/status_lists/0").and_then(serde_json::Value::as_str).ok_or("there is no status list")?;
    let (_, name) = uri.rsplit_once('/').ok_or("the status list has no name")?;
    Ok(format!("/status-lists/{name}"))
}

/// Fresh access tokens of some sessions, which are refreshed for that.
pub(crate) async fn access_tokens(
    address: &str,
    file: &TokenFile,
    lines: std::ops::Range<u64>,
    count: u64,
) -> Result<Vec<String>, Failed> {
    let mut held = file.take(lines, count)?;
    let mut connection = Connection::open(address).await?;
    let mut tokens = Vec::new();
    for session in &mut held {
        let answer = connection.call(&refresh_request(&session.token)).await?;
        let pair = client::text_member(answer.body, "jwtToken").zip(client::text_member(answer.body, "refreshToken"));
        let (access, refresh) = pair.ok_or_else(|| String::from_utf8_lossy(answer.body).into_owned())?;
        tokens.push(access.to_owned());
        refresh.clone_into(&mut session.token);
    }
    file.give_back(&held)?;
    Ok(tokens)
}

pub(crate) fn refresh_request(token: &str) -> Vec<u8> {
    client::post("/api/auth/refresh-token", &format!("\"{token}\""))
}

impl Requests {
    fn next(&self) -> Vec<u8> {
        match self {
            Self::Fixed(request) => request.clone(),
            Self::Logins { next, count, .. } => {
                let id = READERS + 1 + next % count;
                let body = format!("{{\"username\":\"{}\",\"password\":\"{PASSWORD}\"}}", username(id));
                client::post("/api/auth/login", &body)
            }
            Self::Refreshes { sessions, next } => {
                refresh_request(sessions.get(*next).map_or("", |session| session.token.as_str()))
            }
        }
    }

    /// Goes on to the next request. A token whose answer is not known is sent again.
    fn answered(&mut self, status: u16, body: &[u8]) -> Result<(), String> {
        let failed = || format!("{status} {}", String::from_utf8_lossy(body));
        if status != 200 {
            return Err(failed());
        }
        match self {
            Self::Fixed(_) => {}
            Self::Logins { next, step, .. } => *next += *step,
            Self::Refreshes { sessions, next } => {
                let token = client::text_member(body, "refreshToken").ok_or_else(failed)?;
                if let Some(session) = sessions.get_mut(*next) {
                    token.clone_into(&mut session.token);
                }
                *next = (*next + 1) % sessions.len().max(1);
            }
        }
        Ok(())
    }
}

async fn drive(mut connection: Connection, address: String, mut requests: Requests, schedule: Schedule) -> Measured {
    let (mut latencies, mut errors, mut first_error) = (Histogram::new(), 0, None);
    let mut due = schedule.paced.map(|(delay, _)| schedule.begin + delay);
    let mut free_since = schedule.begin;
    loop {
        if let Some(due) = due {
            tokio::time::sleep_until(due.into()).await;
        }
        let request = requests.next();
        let now = Instant::now();
        if now >= schedule.end {
            break;
        }
        // A request that could not be sent in time waited for the server; a late timer is nobody's fault.
        let began = due.filter(|due| free_since > *due).unwrap_or(now);
        let outcome = match connection.call(&request).await {
            Ok(answer) => requests.answered(answer.status, answer.body),
            Err(error) => {
                let reopened = Connection::open(&address).await;
                let text = error.to_string();
                match reopened {
                    Ok(fresh) => connection = fresh,
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
                Err(text)
            }
        };
        free_since = Instant::now();
        due = due.zip(schedule.paced).map(|(due, (_, distance))| due + distance);
        // What is answered within the time counts, whenever it was asked.
        let counts = (schedule.measured_from..schedule.end).contains(&free_since);
        match outcome {
            Ok(()) if counts => latencies.record(free_since.saturating_duration_since(began)),
            Ok(()) => {}
            Err(error) => {
                errors += 1;
                // Whoever has to wait for their turn does, as the answer says: to ask at once would be another load.
                if matches!(requests, Requests::Logins { .. }) && error.starts_with("503") {
                    tokio::time::sleep(SENT_AWAY).await;
                }
                first_error.get_or_insert(error);
            }
        }
    }
    Measured { latencies, errors, first_error, requests }
}
