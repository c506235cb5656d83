//! Many users with a session each, written straight into the database.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use relatch::auth::passwords::Passwords;
use relatch::auth::{entropy, refresh_tokens};
use relatch::clock::{Clock as _, SystemClock};
use relatch::domain::password::Password;
use relatch::domain::status_list::SIZE;
use relatch::domain::timestamp::Timestamp;
use relatch::keyring::Keyring;
use relatch::store::Store;
use serde_json::json;

use crate::Failed;
use crate::database::Database;
use crate::outcome::print;
use crate::tokens::TokenFile;

/// Every user's password.
pub(crate) const PASSWORD: &str = "correct horse battery staple";
/// Rows of a statement.
const CHUNK: u64 = 2_000;
const IDLE_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const MAX_LIFE: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// The first user is an admin; all have the same password.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    database: Database,
    /// How many users, with a session each
    #[arg(long)]
    count: u64,
    /// Where to write the refresh tokens, a line for each user
    #[arg(long)]
    tokens: PathBuf,
    /// Work factor of the password hashes
    #[arg(long, default_value_t = 12)]
    bcrypt_cost: u32,
    /// What to call this in the report
    #[arg(long, default_value = "fill")]
    name: String,
}

/// The name of the user with this id.
pub(crate) fn username(id: u64) -> String {
    format!("user{id:08}")
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let store = Store::open(&arguments.database.url(), crate::database::LIMITS)?;
    let keyring = arguments.database.keyring()?;
    runtime.block_on(fill(arguments, &store, &keyring))
}

async fn fill(arguments: &Arguments, store: &Store, keyring: &Keyring) -> Result<(), Failed> {
    let sqlite = arguments.database.is_sqlite();
    let (count, began) = (arguments.count, Instant::now());
    let password = Password::from_login(PASSWORD)?;
    let hash = Passwords::start(arguments.bcrypt_cost)?.hash(password).await?;
    let now = SystemClock.now();
    let empty = size(store, sqlite).await?;
    for first in (1..=count).step_by(usize::try_from(CHUNK)?) {
        let sql = users(first..(first + CHUNK).min(count + 1), &hash, now)?;
        store.write(move |connection| connection.batch_execute(&sql)).await?;
    }
    store
        .write(move |connection| {
            connection.batch_execute(&format!("UPDATE counters SET value = {count} WHERE name = 'user_id'"))
        })
        .await?;
    let lists = status_lists(now, count, sqlite)?;
    store.write(move |connection| connection.batch_execute(&lists)).await?;
    let with_users = size(store, sqlite).await?;
    let mut file = TokenFile::create(&arguments.tokens)?;
    for first in (1..=count).step_by(usize::try_from(CHUNK)?) {
        let ids = first..(first + CHUNK).min(count + 1);
        let sql = sessions(ids, now, count, sqlite, keyring, &mut |token| TokenFile::append(&mut file, token))?;
        store.write(move |connection| connection.batch_execute(&sql)).await?;
    }
    std::io::Write::flush(&mut file)?;
    let with_sessions = size(store, sqlite).await?;
    if !sqlite {
        // As the autovacuum would do, some time later.
        store.write(|connection| connection.batch_execute("ANALYZE")).await?;
    }
    #[expect(clippy::cast_precision_loss, reason = "sizes of databases are small")]
    let per_session = (with_sessions - with_users) as f64 / count as f64;
    eprintln!("{}: {count} users and sessions in {:.1} s", arguments.name, began.elapsed().as_secs_f64());
    print(&json!({
        "name": arguments.name,
        "users": count,
        "bytes_of_users": with_users - empty,
        "bytes_of_sessions": with_sessions - with_users,
        "bytes_per_session": per_session.round(),
    }));
    Ok(())
}

async fn size(store: &Store, sqlite: bool) -> Result<i64, Failed> {
    #[derive(QueryableByName)]
    struct Size {
        #[diesel(sql_type = BigInt)]
        bytes: i64,
    }
    let sql = if sqlite {
        "SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size"
    } else {
        "SELECT pg_database_size(current_database()) AS bytes"
    };
    let size: Size = store.read(move |connection| diesel::sql_query(sql).get_result(connection)).await?;
    Ok(size.bytes)
}

fn users(ids: std::ops::Range<u64>, hash: &str, now: Timestamp) -> Result<String, Failed> {
    let mut sql = "INSERT INTO users (id, username, username_key, email, email_key, role, password_hash, \
                   security_version, created_at, updated_at, password_changed_at) VALUES "
        .to_owned();
    let now = now.as_micros();
    let first = ids.start;
    for id in ids {
        let separator = if id == first { "" } else { "," };
        let (role, name) = (if id == 1 { "Admin" } else { "User" }, username(id));
        write!(
            sql,
            "{separator}({id},'{name}','{name}','{name}@example.com','{name}@example.com','{role}','{hash}',1,\
             {now},{now},{now})"
        )?;
    }
    Ok(sql)
}

/// Lists in which each session's place has the number of its user. They are full.
fn status_lists(now: Timestamp, count: u64, sqlite: bool) -> Result<String, Failed> {
    let key = "00".repeat(32);
    let (key, now) = (if sqlite { format!("x'{key}'") } else { format!("'\\x{key}'") }, now.as_micros());
    let in_use_until = i64::MAX;
    let mut sql = "INSERT INTO status_lists (number, name, permutation_key, next_serial, created_at, in_use_until) \
                   VALUES "
        .to_owned();
    for number in 0..=count / u64::from(SIZE) {
        let separator = if number == 0 { "" } else { "," };
        write!(sql, "{separator}({number},'filled{number}',{key},{SIZE},{now},{in_use_until})")?;
    }
    Ok(sql)
}

/// Two statements, for sessions and their first history rows. The sessions began one after the other, a millisecond
/// apart, up to now.
fn sessions(
    ids: std::ops::Range<u64>,
    now: Timestamp,
    count: u64,
    sqlite: bool,
    keyring: &Keyring,
    keep: &mut dyn FnMut(&str) -> Result<(), Failed>,
) -> Result<String, Failed> {
    // 127.0.0.1, as the store has it.
    const IP: &str = "00000000000000000000ffff7f000001";
    const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    let (open, close) = if sqlite { ("x'", "'") } else { ("'\\x", "'") };
    let mut sessions = "INSERT INTO sessions (id, user_id, nonce_digest, generation, created_at, created_ip, \
                        rotated_at, rotated_ip, user_agent, idle_expires_at, expires_at, window_started_at, \
                        window_generation, status_index) VALUES "
        .to_owned();
    let mut history = "INSERT INTO refresh_tokens (session_id, generation, created_at, created_ip, user_agent, \
                       expires_at) VALUES "
        .to_owned();
    let first = ids.start;
    for user in ids {
        let began = now.before(Duration::from_millis(count - user));
        let (id, nonce) = (entropy::session_id(began)?, entropy::session_nonce()?);
        keep(refresh_tokens::first(keyring, id, &nonce).expose())?;
        let (id, digest) = (hex(id.as_bytes()), hex(&refresh_tokens::nonce_digest(&nonce)));
        let (at, idle, end) =
            (began.as_micros(), began.after(IDLE_LIFE).as_micros(), began.after(MAX_LIFE).as_micros());
        let separator = if user == first { "" } else { "," };
        write!(
            sessions,
            "{separator}({open}{id}{close},{user},{open}{digest}{close},1,{at},{open}{IP}{close},{at},{open}{IP}{close},\
             '{AGENT}',{idle},{end},{at},1,{user})"
        )?;
        write!(history, "{separator}({open}{id}{close},1,{at},{open}{IP}{close},'{AGENT}',{idle})")?;
    }
    Ok(format!("{sessions};\n{history}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
