//! Whether the time of a refused sign-in tells who has an account: kinds of names, tried in turn, at a server that counts
//! guesses. It must believe X-Forwarded-For from here, since each try comes from a network of its own.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Failed;
use crate::client::{self, Connection};
use crate::fill::{PASSWORD, username};
use crate::outcome::{millis, print, round};

/// Compares the times of refusals. A share of 0.5 says that a guess from one time is worth nothing, 1 that it is certain.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The server of what `fill` wrote, with TRUSTED_PROXIES=127.0.0.1; what hashing costs there should be most of the time
    #[arg(long)]
    address: String,
    /// How often each kind is tried
    #[arg(long, default_value_t = 600)]
    rounds: usize,
    /// What to call this in the report
    #[arg(long, default_value = "timing")]
    name: String,
}

const WRONG: &str = "another horse battery staple";
/// After so many rounds come other names: of an account, strangers have a hundred guesses, and some rounds are repeated.
const ROUNDS_OF_A_NAME: usize = 45;
/// From one network, the next guess at a name is delayed after so many.
const FREE: usize = 5;
/// After so many there is no further one.
const CEILING: usize = 100;
/// How long it takes at most until one more stranger may try to sign in, whichever number of cores there is.
const AGAIN: Duration = Duration::from_millis(200);
/// How often in a row that is waited for, in all and as a whole.
const PATIENCE: usize = 100;

/// One kind of try; there are 13.
#[derive(Clone)]
struct Kind {
    called: &'static str,
    /// The kind that it must not be told from; its own name for those that others are compared with.
    like: &'static str,
    identifier: String,
    password: &'static str,
    /// Where it always comes from; each try from somewhere else without.
    from: Option<Ipv4Addr>,
    /// How it is refused.
    status: u16,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(compare(arguments))
}

async fn compare(arguments: &Arguments) -> Result<(), Failed> {
    let mut guesser = Guesser { connection: Connection::open(&arguments.address).await?, networks: 0 };
    let mut groups = Vec::new();
    let accounts = guesser.accounts(arguments).await?;
    let blocked = guesser.blocked().await?;
    for (number, accounts) in accounts.iter().enumerate() {
        groups.push([tried(number, accounts), blocked.clone()].concat());
    }
    let kinds = groups.first().cloned().ok_or("nothing is to be tried")?;
    let mut times = vec![Vec::with_capacity(arguments.rounds); kinds.len()];
    for number in 0..arguments.rounds {
        let Some(group) = groups.get(number / ROUNDS_OF_A_NAME) else { break };
        for (times, took) in times.iter_mut().zip(guesser.whole_round(group, number).await?) {
            times.push(took);
        }
    }
    report(arguments, &kinds, &times);
    Ok(())
}

/// Names that nobody else has taken.
fn unique(name: &str, number: usize) -> String {
    format!("{name}{}x{number}", std::process::id())
}

/// What is refused after a hash was computed.
fn tried(number: usize, [known, other, disabled, also_disabled]: &[String; 4]) -> Vec<Kind> {
    let nobody = unique("nobody", number);
    [
        ("known", known.clone(), WRONG),
        ("known, another", other.clone(), WRONG),
        ("unknown", nobody.clone(), WRONG),
        ("unknown address", format!("{nobody}@example.com"), WRONG),
        ("disabled", disabled.clone(), WRONG),
        ("disabled, right password", also_disabled.clone(), PASSWORD),
        ("2,000 letters", format!("{nobody}{}", "a".repeat(2_000)), WRONG),
        ("with a NUL", format!("{known}\0"), WRONG),
    ]
    .map(|(called, identifier, password)| Kind { called, like: "known", identifier, password, from: None, status: 401 })
    .to_vec()
}

struct Guesser {
    connection: Connection,
    networks: u32,
}

impl Guesser {
    /// A network that nobody has come from yet.
    fn elsewhere(&mut self) -> Ipv4Addr {
        self.networks += 1;
        Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 1).to_bits() + (self.networks << 8))
    }

    /// Four accounts for each group of rounds, the last two disabled. Their hashes cost what the server's do now.
    async fn accounts(&mut self, arguments: &Arguments) -> Result<Vec<[String; 4]>, Failed> {
        let body = json!({ "username": username(1), "password": PASSWORD }).to_string();
        let request = client::post_from(self.elsewhere(), "/api/auth/login", &body);
        let signed_in = self.expect(200, &request).await?;
        let admin = client::text_member(&signed_in, "jwtToken").ok_or("no admin")?;
        let mut groups = Vec::new();
        for number in 0..arguments.rounds.div_ceil(ROUNDS_OF_A_NAME) {
            let names = ["timing", "other", "disabled", "off"].map(|name| unique(name, number));
            for name in &names {
                let id = self.register(name).await?;
                if name.starts_with("disabled") || name.starts_with("off") {
                    let path = format!("/api/users/{id}");
                    self.expect(200, &client::patch_as(admin, &path, "{\"disabled\":true}")).await?;
                }
            }
            groups.push(names);
        }
        Ok(groups)
    }

    async fn register(&mut self, name: &str) -> Result<serde_json::Value, Failed> {
        let body = json!({ "username": name, "email": format!("{name}@example.com"), "password": PASSWORD });
        let request = client::post_from(self.elsewhere(), "/api/users/register", &body.to_string());
        let user: serde_json::Value = serde_json::from_slice(&self.expect(201, &request).await?)?;
        Ok(user.get("id").ok_or("a user without an id")?.clone())
    }

    async fn expect(&mut self, status: u16, request: &[u8]) -> Result<Vec<u8>, Failed> {
        let answer = self.connection.call(request).await?;
        if answer.status != status {
            return Err(format!("{} {}", answer.status, String::from_utf8_lossy(answer.body)).into());
        }
        Ok(answer.body.to_vec())
    }

    /// What is refused before anybody looks at the password: names whose next guess is delayed, or that have none left.
    async fn blocked(&mut self) -> Result<Vec<Kind>, Failed> {
        let known = ["delayed", "detained", "blocked"].map(|name| unique(name, 0));
        for name in &known {
            self.register(name).await?;
        }
        let [delayed, detained, exhausted] = known;
        let (delaying, from) = (Some(self.elsewhere()), Some(self.elsewhere()));
        let kinds = [
            ("delayed", "delayed", delayed, delaying),
            ("delayed, another", "delayed", detained, delaying),
            ("delayed, unknown", "delayed", unique("delaying", 0), delaying),
            ("no guess left", "no guess left", exhausted, from),
            ("no guess left, unknown", "no guess left", unique("nobodys", 0), from),
        ]
        .map(|(called, like, identifier, from)| Kind {
            called,
            like,
            identifier,
            password: WRONG,
            from,
            status: 429,
        });
        for kind in &kinds {
            self.block(kind).await?;
        }
        Ok(kinds.to_vec())
    }

    async fn block(&mut self, kind: &Kind) -> Result<(), Failed> {
        let (from, guesses) = if kind.like == "delayed" { (kind.from, FREE) } else { (None, CEILING) };
        let guess = Kind { from, status: 401, ..kind.clone() };
        for _ in 0..guesses {
            self.whole_round(std::slice::from_ref(&guess), 0).await?;
        }
        self.refusal(kind).await?.map(drop).ok_or_else(|| "guesses are not counted; are RATE_LIMITS off?".into())
    }

    /// Each kind once, with how long it took; again from the beginning when strangers' budget was spent on the way.
    async fn whole_round(&mut self, kinds: &[Kind], number: usize) -> Result<Vec<Duration>, Failed> {
        for _ in 0..PATIENCE {
            if let Some(took) = self.round(kinds, number).await? {
                return Ok(took);
            }
            tokio::time::sleep(AGAIN * u32::try_from(kinds.len())?).await;
        }
        Err("the server refuses too often; does it believe X-Forwarded-For (TRUSTED_PROXIES)?".into())
    }

    async fn round(&mut self, kinds: &[Kind], number: usize) -> Result<Option<Vec<Duration>>, Failed> {
        let mut all = vec![Duration::ZERO; kinds.len()];
        // Their number is prime, so that each comes at each place of a round and behind each other one equally often: what is
        // tried right after a hash was computed takes longer.
        let strides = kinds.len().saturating_sub(1).max(1);
        for place in 0..kinds.len() {
            let at = (number / strides + place * (1 + number % strides)) % kinds.len();
            let (Some(kind), Some(took)) = (kinds.get(at), all.get_mut(at)) else { continue };
            match self.refusal(kind).await? {
                Some(time) => *took = time,
                None => return Ok(None),
            }
        }
        Ok(Some(all))
    }

    /// How long a refusal took; `None` when there was another one.
    async fn refusal(&mut self, kind: &Kind) -> Result<Option<Duration>, Failed> {
        let body = json!({ "username": kind.identifier, "password": kind.password }).to_string();
        loop {
            let from = kind.from.unwrap_or_else(|| self.elsewhere());
            let request = client::post_from(from, "/api/auth/login", &body);
            let began = Instant::now();
            let answer = self.connection.call(&request).await?;
            let took = began.elapsed();
            match answer.status {
                status if status == kind.status => return Ok(Some(took)),
                429 => return Ok(None),
                // A delay was over. The next one is twice as long.
                401 if kind.like == "delayed" => {}
                status => return Err(format!("{status} {}", String::from_utf8_lossy(answer.body)).into()),
            }
        }
    }
}

fn report(arguments: &Arguments, kinds: &[Kind], times: &[Vec<Duration>]) {
    let mut worst = 0.0_f64;
    let mut shares = serde_json::Map::new();
    for (kind, its_own) in kinds.iter().zip(times) {
        let base = kinds.iter().zip(times).find(|(other, _)| other.called == kind.like);
        let share = base.map_or(1.0, |(_, base)| later(base, its_own));
        worst = worst.max((share - 0.5).abs());
        let mut sorted = its_own.clone();
        sorted.sort_unstable();
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        eprintln!("{}: {}: {share:.3}, median {} ms", arguments.name, kind.called, millis(median));
        let told = json!({ "auc": (share * 1e3).round() / 1e3, "median_ms": millis(median) });
        shares.insert(kind.called.to_owned(), told);
    }
    print(&json!({ "name": arguments.name, "rounds": arguments.rounds, "off": round(worst), "kinds": shares }));
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
