//! More sign-ins than can be hashed, whatever becomes of them: how many are served, how soon the others are refused, and
//! what it is like for those who refresh.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::spawn_local;

use crate::Failed;
use crate::client::{self, Connection};
use crate::fill::{PASSWORD, username};
use crate::histogram::Histogram;
use crate::load::refresh_request;
use crate::outcome::{millis, print, round};
use crate::tokens::{Held, TokenFile};

/// New clients sign in at a multiple of the capacity, each on a connection of its own; afterwards at half of it.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The server
    #[arg(long)]
    address: String,
    /// The file that `fill` wrote
    #[arg(long)]
    tokens: PathBuf,
    /// How many sign-ins a second the machine can hash, as `bcrypt-loop` found
    #[arg(long)]
    capacity: f64,
    /// How many times that come
    #[arg(long, default_value_t = 5.0)]
    times: f64,
    /// How long they do
    #[arg(long, default_value_t = 15.0)]
    seconds: f64,
    /// What to call this in the report
    #[arg(long, default_value = "flood")]
    name: String,
}

/// How long the flood goes on before it is measured: the queue fills.
const WARM_UP: Duration = Duration::from_secs(3);
/// How long sign-ins go on at half of the capacity afterwards.
const AFTER: Duration = Duration::from_secs(10);
/// Who refreshes meanwhile, and how often each.
const REFRESHERS: u64 = 4;
const PACE: Duration = Duration::from_millis(20);

struct Seen {
    /// What is answered in between counts.
    measured: std::ops::Range<Instant>,
    served: Histogram,
    refused: Histogram,
    refreshes: Histogram,
    health: Histogram,
    /// When the last one was refused who came after the flood.
    last_refusal: Option<Instant>,
    failures: u64,
    first_failure: Option<String>,
}

type Shared = Rc<RefCell<Seen>>;

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, flood(arguments))
}

async fn flood(arguments: &Arguments) -> Result<(), Failed> {
    let file = TokenFile::open(&arguments.tokens)?;
    let users = file.lines;
    let begin = Instant::now();
    let measured = begin + WARM_UP..begin + WARM_UP + Duration::from_secs_f64(arguments.seconds);
    let (flood_ends, end) = (measured.end, measured.end + AFTER);
    let seen: Shared = Rc::new(RefCell::new(Seen {
        measured,
        served: Histogram::new(),
        refused: Histogram::new(),
        refreshes: Histogram::new(),
        health: Histogram::new(),
        last_refusal: None,
        failures: 0,
        first_failure: None,
    }));
    let mut others = Vec::new();
    for held in file.take(0..users, REFRESHERS)? {
        let connection = Connection::open(&arguments.address).await?;
        others.push(spawn_local(keep_refreshing(connection, held, end, Rc::clone(&seen))));
    }
    let (mut due, mut number, mut logins) = (begin, 0_u64, Vec::new());
    while due < end {
        tokio::time::sleep_until(due.into()).await;
        number += 1;
        let user = 1 + number % users.max(1);
        logins.push(spawn_local(sign_in(arguments.address.clone(), user, due, flood_ends, Rc::clone(&seen))));
        let times = if due < flood_ends { arguments.times } else { 0.5 };
        due += Duration::from_secs_f64(1.0 / (arguments.capacity * times));
    }
    for login in logins {
        login.await?;
    }
    for other in others {
        file.give_back(&[other.await?])?;
    }
    report(arguments, &seen.borrow(), flood_ends);
    Ok(())
}

async fn sign_in(address: String, user: u64, due: Instant, flood_ends: Instant, seen: Shared) {
    let body = format!("{{\"username\":\"{}\",\"password\":\"{PASSWORD}\"}}", username(user));
    let began = Instant::now();
    let answered = async {
        let mut connection = Connection::open(&address).await?;
        let answer = connection.call(&client::post("/api/auth/login", &body)).await?;
        Ok::<_, Failed>((answer.status, String::from_utf8_lossy(answer.body).into_owned()))
    };
    let outcome = answered.await;
    let (now, mut seen) = (Instant::now(), seen.borrow_mut());
    let counts = seen.measured.contains(&now);
    match outcome {
        Ok((200, _)) if counts => seen.served.record(now - began),
        Ok((200, _)) => {}
        Ok((429 | 503, _)) => {
            if counts {
                seen.refused.record(now - began);
            }
            if due >= flood_ends {
                seen.last_refusal = Some(now);
            }
        }
        Ok((status, body)) => seen.fail(format!("{status} {body}")),
        Err(error) => seen.fail(error.to_string()),
    }
}

async fn keep_refreshing(mut connection: Connection, mut held: Held, end: Instant, seen: Shared) -> Held {
    while Instant::now() < end {
        let began = Instant::now();
        let answered = connection.call(&refresh_request(&held.token)).await;
        let token = match answered {
            Ok(answer) => {
                client::text_member(answer.body, "refreshToken").map(str::to_owned).ok_or(answer.status.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        let refreshed = began.elapsed();
        let began = Instant::now();
        let health = connection.call(&client::get("/health/live", None)).await.map(|answer| answer.status);
        if let Ok(token) = &token {
            held.token.clone_from(token);
        }
        seen.borrow_mut().note_refresh(
            token.err(),
            health.is_ok_and(|status| status == 200),
            refreshed,
            began.elapsed(),
        );
        tokio::time::sleep(PACE).await;
    }
    held
}

impl Seen {
    fn note_refresh(&mut self, failure: Option<String>, is_healthy: bool, refreshed: Duration, asked: Duration) {
        if let Some(error) = failure {
            self.fail(format!("a refresh: {error}"));
        }
        if !is_healthy {
            self.fail("/health/live does not answer".to_owned());
        }
        if self.measured.contains(&Instant::now()) {
            self.refreshes.record(refreshed);
            self.health.record(asked);
        }
    }

    fn fail(&mut self, what: String) {
        self.failures += 1;
        self.first_failure.get_or_insert(what);
    }
}

fn report(arguments: &Arguments, seen: &Seen, flood_ends: Instant) {
    #[expect(clippy::cast_precision_loss, reason = "counts of requests are small")]
    let rate = |histogram: &Histogram| histogram.total() as f64 / arguments.seconds;
    let quantile = |histogram: &Histogram, share| millis(histogram.quantile(share));
    let goodput = rate(&seen.served);
    let normal = seen.last_refusal.map_or(0.0, |last| last.saturating_duration_since(flood_ends).as_secs_f64());
    if let Some(failure) = &seen.first_failure {
        eprintln!("{}: the first failure was: {failure}", arguments.name);
    }
    eprintln!(
        "{}: {goodput:.2} of {:.2} served a second, {:.0} refused, p99 {} ms; refresh p99 {} ms, normal after {normal:.1} s",
        arguments.name,
        arguments.capacity,
        rate(&seen.refused),
        quantile(&seen.refused, 0.99),
        quantile(&seen.refreshes, 0.99),
    );
    print(&json!({
        "name": arguments.name,
        "per_second": round(goodput),
        "share_of_capacity": round(goodput / arguments.capacity),
        "errors": seen.failures,
        "p50_ms": quantile(&seen.served, 0.5),
        "p99_ms": quantile(&seen.served, 0.99),
        "refused_per_second": round(rate(&seen.refused)),
        "refusal_p50_ms": quantile(&seen.refused, 0.5),
        "refusal_p99_ms": quantile(&seen.refused, 0.99),
        "refresh_p50_ms": quantile(&seen.refreshes, 0.5),
        "refresh_p99_ms": quantile(&seen.refreshes, 0.99),
        "health_p99_ms": quantile(&seen.health, 0.99),
        "normal_after_seconds": round(normal),
    }));
}
