//! Loops without HTTP: how fast passwords can be verified and refresh tokens spent at most.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bcrypt::{hash_with_result, verify};
use diesel::connection::SimpleConnection as _;
use relatch::auth::refresh_tokens;
use relatch::clock::{Clock as _, SystemClock};
use relatch::domain::client::Client;
use relatch::domain::rotation::RotationRules;
use relatch::domain::session::{Generation, SessionId};
use relatch::keyring::Keyring;
use relatch::store::Store;
use relatch::store::connection::AnyConnection;
use relatch::store::sessions::{self, Rotation};
use serde_json::json;

use crate::Failed;
use crate::database::Database;
use crate::histogram::Histogram;
use crate::outcome::{Outcome, each};
use crate::process::processor_time;
use crate::tokens::{Held, TokenFile};

/// Verifies a password over and over, on a thread for each core.
#[derive(clap::Args)]
pub(crate) struct BcryptArguments {
    /// Work factor
    #[arg(long, default_value_t = 12)]
    cost: u32,
    /// How long
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// What to call this in the report
    #[arg(long, default_value = "bcrypt-loop")]
    name: String,
}

pub(crate) fn bcrypt(arguments: &BcryptArguments) -> Result<(), Failed> {
    // As long as what the server gives to bcrypt.
    let password = [b'x'; 44];
    let hash = hash_with_result(password, arguments.cost)?.to_string();
    let threads = std::thread::available_parallelism()?.get();
    let began = Instant::now();
    let end = began + Duration::from_secs_f64(arguments.seconds);
    let mut latencies = Histogram::new();
    let all: Vec<Histogram> = std::thread::scope(|scope| {
        let verify_until_the_end = || {
            let mut latencies = Histogram::new();
            while Instant::now() < end {
                let began = Instant::now();
                if verify(password, &hash).unwrap_or(false) {
                    latencies.record(began.elapsed());
                }
            }
            latencies
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(verify_until_the_end)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let elapsed = began.elapsed();
    all.iter().for_each(|each| latencies.add(each));
    Outcome { name: &arguments.name, elapsed, errors: 0, latencies: &latencies, more: json!({ "threads": threads }) }
        .print();
    Ok(())
}

/// Spends refresh tokens with the server's own statement.
#[derive(clap::Args)]
pub(crate) struct RotationArguments {
    #[command(flatten)]
    database: Database,
    /// The file that `fill` wrote
    #[arg(long)]
    tokens: PathBuf,
    /// Through the store, with its pool, queue and threads, or on connections of its own
    #[arg(long, value_enum)]
    way: Way,
    /// How many rotations are under way at once; how many share a commit on connections of its own on SQLite
    #[arg(long, default_value_t = 64)]
    at_once: u64,
    /// How many sessions are refreshed; as many as rotations at once unless given
    #[arg(long)]
    sessions: Option<u64>,
    /// How long
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// What to call this in the report
    #[arg(long, default_value = "rotation-loop")]
    name: String,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Way {
    Store,
    Bare,
}

/// Connections of the bare loop on Postgres: as many as the store's pool has.
const CONNECTIONS: u64 = 16;

const RULES: RotationRules = RotationRules {
    idle_life: Duration::from_secs(7 * 24 * 60 * 60),
    grace: Duration::from_secs(30),
    max_rotations_per_window: None,
};

/// A session whose token is spent again and again.
struct Spent {
    line: u64,
    session_id: SessionId,
    generation: Generation,
    nonce_digest: [u8; 32],
    token: String,
}

impl Spent {
    fn rotate(&mut self, connection: &mut AnyConnection, client: &Client) -> Result<(), Failed> {
        let (session, _) = sessions::rotate(connection, &self.rotation(client))?
            .ok_or("a token could not be spent; fill the database again")?;
        self.generation = session.generation;
        Ok(())
    }

    fn rotation(&self, client: &Client) -> Rotation {
        Rotation {
            session_id: self.session_id,
            generation: self.generation,
            nonce_digest: self.nonce_digest,
            rules: RULES,
            client: client.clone(),
            now: SystemClock.now(),
        }
    }

    async fn rotate_in(&mut self, store: &Store, client: &Client) -> Result<(), Failed> {
        let (session, _) =
            store.rotate(self.rotation(client)).await?.ok_or("a token could not be spent; fill the database again")?;
        self.generation = session.generation;
        Ok(())
    }

    /// The token that can be spent next.
    fn held(&self, keyring: &Keyring) -> Result<Held, Failed> {
        let genuine = refresh_tokens::recognise(keyring, &self.token).ok_or("the secret key is another one")?;
        Ok(Held { line: self.line, token: genuine.successor(keyring, self.generation).expose().clone() })
    }
}

pub(crate) fn rotation(arguments: &RotationArguments) -> Result<(), Failed> {
    let keyring = arguments.database.keyring()?;
    let file = TokenFile::open(&arguments.tokens)?;
    // The first thousand are for reading.
    let range = file.lines.min(1_000)..file.lines;
    let held = file.take(range, arguments.sessions.unwrap_or(arguments.at_once).max(arguments.at_once))?;
    let mut sessions = Vec::new();
    for Held { line, token } in held {
        let genuine = refresh_tokens::recognise(&keyring, &token).ok_or("the secret key is another one")?;
        let (session_id, generation, nonce_digest) =
            (genuine.session_id(), genuine.generation(), genuine.nonce_digest());
        sessions.push(Spent { line, session_id, generation, nonce_digest, token });
    }
    let client = Client::new("127.0.0.1".parse().ok(), Some("load"), None);
    let before = processor_time(std::process::id())?;
    let (elapsed, (latencies, sessions)) = match (arguments.way, arguments.database.is_sqlite()) {
        (Way::Store, _) => through_the_store(arguments, sessions, &client)?,
        (Way::Bare, true) => in_batches(arguments, sessions, &client)?,
        (Way::Bare, false) => on_connections(arguments, sessions, &client)?,
    };
    let spent = processor_time(std::process::id())?.saturating_sub(before);
    let held: Vec<Held> = sessions.iter().map(|session| session.held(&keyring)).collect::<Result<_, _>>()?;
    file.give_back(&held)?;
    let more = json!({
        "sessions": held.len(),
        "at_once": arguments.at_once,
        "server_cpu_us": each(spent, latencies.total()),
    });
    Outcome { name: &arguments.name, elapsed, errors: 0, latencies: &latencies, more }.print();
    Ok(())
}

type Done = Result<(Histogram, Vec<Spent>), Failed>;
type Timed = Result<(Duration, (Histogram, Vec<Spent>)), Failed>;

/// From when until when, once everything is open.
fn period(arguments: &RotationArguments) -> (Instant, Instant) {
    let begin = Instant::now();
    (begin, begin + Duration::from_secs_f64(arguments.seconds))
}

/// Deals the sessions out, to `hands` of nearly equal size.
fn deal(sessions: Vec<Spent>, hands: u64) -> Vec<Vec<Spent>> {
    let mut dealt: Vec<Vec<Spent>> = (0..hands).map(|_| Vec::new()).collect();
    let count = dealt.len().max(1);
    for (number, session) in sessions.into_iter().enumerate() {
        if let Some(hand) = dealt.get_mut(number % count) {
            hand.push(session);
        }
    }
    dealt
}

fn gather(done: impl Iterator<Item = Done>) -> Done {
    let (mut latencies, mut sessions) = (Histogram::new(), Vec::new());
    for each in done {
        let (more, spent) = each?;
        latencies.add(&more);
        sessions.extend(spent);
    }
    Ok((latencies, sessions))
}

fn through_the_store(arguments: &RotationArguments, sessions: Vec<Spent>, client: &Client) -> Timed {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let store = Store::open(&arguments.database.url(), crate::database::LIMITS)?;
    let (begin, end) = period(arguments);
    runtime.block_on(async {
        let tasks: Vec<_> = deal(sessions, arguments.at_once)
            .into_iter()
            .map(|mut hand| {
                let (store, client) = (store.clone(), client.clone());
                tokio::spawn(async move {
                    let mut latencies = Histogram::new();
                    while Instant::now() < end {
                        for session in &mut hand {
                            let began = Instant::now();
                            session.rotate_in(&store, &client).await?;
                            latencies.record(began.elapsed());
                            if Instant::now() >= end {
                                break;
                            }
                        }
                    }
                    Ok::<_, Failed>((latencies, hand))
                })
            })
            .collect();
        let mut done = Vec::new();
        for task in tasks {
            done.push(task.await?);
        }
        Ok((begin.elapsed(), gather(done.into_iter())?))
    })
}

/// One connection, and a durable commit for each batch.
fn in_batches(arguments: &RotationArguments, mut sessions: Vec<Spent>, client: &Client) -> Timed {
    let mut connection = arguments.database.connect()?;
    let (begin, end) = period(arguments);
    let mut latencies = Histogram::new();
    let batch = usize::try_from(arguments.at_once)?.max(1);
    while Instant::now() < end {
        for batch in sessions.chunks_mut(batch) {
            let began = Instant::now();
            connection.batch_execute("BEGIN IMMEDIATE")?;
            for session in batch.iter_mut() {
                session.rotate(&mut connection, client)?;
            }
            connection.batch_execute("COMMIT")?;
            let took = began.elapsed();
            batch.iter().for_each(|_| latencies.record(took));
            if Instant::now() >= end {
                break;
            }
        }
    }
    Ok((begin.elapsed(), (latencies, sessions)))
}

/// A thread for each connection, and one statement after the other.
fn on_connections(arguments: &RotationArguments, sessions: Vec<Spent>, client: &Client) -> Timed {
    let mut connections = Vec::new();
    for hand in deal(sessions, CONNECTIONS) {
        connections.push((arguments.database.connect()?, hand));
    }
    let (begin, end) = period(arguments);
    std::thread::scope(|scope| {
        let threads: Vec<_> = connections
            .into_iter()
            .map(|(mut connection, mut hand)| {
                scope.spawn(move || {
                    let mut latencies = Histogram::new();
                    while Instant::now() < end {
                        for session in &mut hand {
                            let began = Instant::now();
                            session.rotate(&mut connection, client)?;
                            latencies.record(began.elapsed());
                            if Instant::now() >= end {
                                break;
                            }
                        }
                    }
                    Ok::<_, Failed>((latencies, hand))
                })
            })
            .collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Done>| {
            thread.join().unwrap_or_else(|_| Err("a thread panicked".into()))
        };
        let done = gather(threads.into_iter().map(join))?;
        Ok((begin.elapsed(), done))
    })
}
