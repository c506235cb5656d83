//! Whether the time of a refused sign-in tells who has an account: kinds of names, tried in turn.

use std::time::Instant;

use serde_json::json;

use crate::Failed;
use crate::client::{self, Connection};
use crate::fill::PASSWORD;
use crate::load::access_tokens;
use crate::outcome::{millis, print, round};
use crate::tokens::TokenFile;

/// Compares the times of refusals. A share of 0.5 says that a guess from one time is worth nothing, 1 that it is certain.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The server; what hashing costs there should be most of the time
    #[arg(long)]
    address: String,
    /// The file that `fill` wrote, whose first user is an admin
    #[arg(long)]
    tokens: std::path::PathBuf,
    /// How often each kind is tried
    #[arg(long, default_value_t = 600)]
    rounds: usize,
    /// What to call this in the report
    #[arg(long, default_value = "timing")]
    name: String,
}

const WRONG: &str = "another horse battery staple";

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(compare(arguments))
}

async fn compare(arguments: &Arguments) -> Result<(), Failed> {
    let file = TokenFile::open(&arguments.tokens)?;
    let admin = access_tokens(&arguments.address, &file, 0..1, 1).await?.pop().ok_or("no admin")?;
    let mut connection = Connection::open(&arguments.address).await?;
    // Names that no earlier run has taken. Their hashes cost what the server's do now.
    let suffix = std::process::id();
    let (known, disabled) = (format!("timing{suffix}"), format!("disabled{suffix}"));
    for name in [&known, &disabled] {
        let body = json!({ "username": name, "email": format!("{name}@example.com"), "password": PASSWORD });
        let answer = connection.call(&client::post("/api/users/register", &body.to_string())).await?;
        if answer.status != 201 {
            return Err(String::from_utf8_lossy(answer.body).into_owned().into());
        }
        let user: serde_json::Value = serde_json::from_slice(answer.body)?;
        if name == &disabled {
            let path = format!("/api/users/{}", user.get("id").ok_or("a user without an id")?);
            let answer = connection.call(&client::patch_as(&admin, &path, "{\"disabled\":true}")).await?;
            if answer.status != 200 {
                return Err(String::from_utf8_lossy(answer.body).into_owned().into());
            }
        }
    }
    let kinds = [
        ("known", known.clone(), WRONG),
        ("known once more", known.clone(), WRONG),
        ("unknown", format!("nobody{suffix}"), WRONG),
        ("unknown address", format!("nobody{suffix}@example.com"), WRONG),
        ("disabled", disabled.clone(), WRONG),
        ("disabled, right password", disabled, PASSWORD),
        ("2,000 letters", "a".repeat(2_000), WRONG),
        ("with a NUL", format!("{known}\0"), WRONG),
    ];
    let requests: Vec<_> = kinds
        .iter()
        .map(|(_, name, password)| {
            let body = json!({ "username": name, "password": password });
            client::post("/api/auth/login", &body.to_string())
        })
        .collect();
    let mut times = vec![Vec::with_capacity(arguments.rounds); kinds.len()];
    for round in 0..arguments.rounds {
        // Each kind comes at each place of a round equally often, and behind another one each time.
        for place in 0..kinds.len() {
            let step = if round % 2 == 0 { place } else { kinds.len() - 1 - place };
            let kind = (step + round / 2) % kinds.len();
            let (Some(request), Some(times)) = (requests.get(kind), times.get_mut(kind)) else { continue };
            let began = Instant::now();
            let answer = connection.call(request).await?;
            let took = began.elapsed();
            if answer.status != 401 {
                return Err(format!("{} {}", answer.status, String::from_utf8_lossy(answer.body)).into());
            }
            times.push(took);
        }
    }
    let Some((base, others)) = times.split_first() else { return Err("nothing was tried".into()) };
    let mut worst = 0.0_f64;
    let mut shares = serde_json::Map::new();
    for ((kind, ..), times) in kinds.iter().skip(1).zip(others) {
        let share = later(base, times);
        worst = worst.max((share - 0.5).abs());
        let mut sorted = times.clone();
        sorted.sort_unstable();
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        eprintln!("{}: {kind}: {share:.3}, median {} ms", arguments.name, millis(median));
        shares.insert((*kind).to_owned(), json!({ "auc": (share * 1e3).round() / 1e3, "median_ms": millis(median) }));
    }
    print(&json!({ "name": arguments.name, "rounds": arguments.rounds, "off": round(worst), "kinds": shares }));
    Ok(())
}

/// How often a time of the second list is the longer one, of all pairs (the area under the ROC curve).
fn later<T: Ord>(first: &[T], second: &[T]) -> f64 {
    let mut sorted: Vec<&T> = first.iter().collect();
    sorted.sort_unstable();
    let halves: usize = second
        .iter()
        .map(|time| sorted.partition_point(|other| *other < time) + sorted.partition_point(|other| *other <= time))
        .sum();
    #[expect(clippy::cast_precision_loss, reason = "counts of tries are small")]
    let share = halves as f64 / (2 * first.len().max(1) * second.len().max(1)) as f64;
    share
}
