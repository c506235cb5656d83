//! A store such as years of use leave behind: users, sessions and audit events, with a believable spread of everything
//! that the console filters by. Made by the database itself, from numbers that look random and are the same each time.

use std::fmt::Write as _;
use std::time::Instant;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;
use relatch::auth::passwords::Passwords;
use relatch::clock::{Clock as _, SystemClock};
use relatch::domain::password::Password;
use relatch::store::Store;
use relatch::store::connection::AnyConnection;
use serde_json::json;

use crate::Failed;
use crate::console_words::{AGENTS, DOMAINS, ENDS, FAMILY, GIVEN, KINDS};
use crate::database::Database;
use crate::fill::PASSWORD;
use crate::outcome::print;

/// Rows of a statement.
const CHUNK: u64 = 250_000;
const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
/// Sessions began in these days, the events happened in those.
const DAYS_OF_SESSIONS: i64 = 60;
const DAYS_OF_EVENTS: i64 = 365;

/// The first user is the admin `root`; all have the same password. The store must be new. The seals of the events are
/// placeholders, which `relatch audit verify` finds out.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// As the server's DATABASE_URL
    #[arg(long)]
    database_url: String,
    /// How many users
    #[arg(long, default_value_t = 1_000_000)]
    users: u64,
    /// Five for each user, unless told otherwise
    #[arg(long)]
    sessions: Option<u64>,
    /// Ten for each user, unless told otherwise
    #[arg(long)]
    events: Option<u64>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failed> {
    let began = Instant::now();
    let users = arguments.users;
    let (sessions, events) = (arguments.sessions.unwrap_or(5 * users), arguments.events.unwrap_or(10 * users));
    if users < 2 || sessions < 1 || events < 1 {
        return Err("at least two users, a session and an event are needed".into());
    }
    let database = Database::without_secret(&arguments.database_url);
    // The migrations.
    drop(Store::open(&database.url(), crate::database::LIMITS)?);
    let mut connection = database.connect()?;
    let fixture = Fixture { sqlite: database.is_sqlite(), now: SystemClock.now().as_micros(), users, sessions, events };
    connection.batch_execute(if fixture.sqlite {
        "PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000;"
    } else {
        // Nothing of this is needed after a crash, and the foreign keys are right.
        "SET synchronous_commit = off; SET session_replication_role = replica; SET maintenance_work_mem = '512MB'"
    })?;
    let indexes = indexes(&mut connection, fixture.sqlite)?;
    for (name, _) in &indexes {
        connection.batch_execute(&format!("DROP INDEX {name}"))?;
    }
    connection.batch_execute(&lists(&hash()?)?)?;
    let mut said = Instant::now();
    let mut say = |what: &str| {
        eprintln!("{what}: {:.1} s", said.elapsed().as_secs_f64());
        said = Instant::now();
    };
    fixture.in_chunks(&mut connection, users, |ids| Ok(vec![fixture.insert_users(ids)]))?;
    say("users");
    fixture.in_chunks(&mut connection, sessions, |ids| Ok(fixture.insert_sessions(ids)))?;
    say("sessions");
    fixture.in_chunks(&mut connection, events, |ids| Ok(vec![fixture.insert_events(ids)]))?;
    say("events");
    for (_, definition) in &indexes {
        connection.batch_execute(definition)?;
    }
    say("indexes");
    connection.batch_execute(&fixture.finish())?;
    connection.batch_execute(if fixture.sqlite { "PRAGMA wal_checkpoint(TRUNCATE)" } else { "VACUUM ANALYZE" })?;
    print(&json!({
        "users": users, "sessions": sessions, "events": events, "seconds": began.elapsed().as_secs(),
        "admin": "root", "password": PASSWORD,
    }));
    Ok(())
}

fn hash() -> Result<String, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // The cheapest there is: nobody but the admin signs in here.
    runtime.block_on(async { Passwords::start(10)?.hash(Password::from_login(PASSWORD)?).await.map_err(Failed::from) })
}

#[derive(QueryableByName)]
struct Index {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    definition: String,
}

/// The indexes of the big tables that no constraint needs: made at the end, all at once, they cost a fraction.
fn indexes(connection: &mut AnyConnection, sqlite: bool) -> Result<Vec<(String, String)>, Failed> {
    const TABLES: &str = "('users', 'sessions', 'refresh_tokens', 'audit_events')";
    let sql = if sqlite {
        format!(
            "SELECT name, sql AS definition FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN {TABLES}"
        )
    } else {
        format!(
            "SELECT indexname::text AS name, indexdef AS definition FROM pg_indexes
             WHERE schemaname = 'public' AND tablename IN {TABLES}
             AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = indexname)"
        )
    };
    let found: Vec<Index> = diesel::sql_query(sql).load(connection)?;
    Ok(found.into_iter().map(|index| (index.name, index.definition)).collect())
}

/// What rows choose from, as temporary tables, and the one password hash.
fn lists(hash: &str) -> Result<String, Failed> {
    let mut sql = String::new();
    for (table, words) in [("given", &GIVEN[..]), ("family", &FAMILY), ("domains", &DOMAINS), ("agents", &AGENTS)] {
        write!(sql, "CREATE TEMPORARY TABLE {table} (n BIGINT PRIMARY KEY, word TEXT);")?;
        for (number, word) in words.iter().enumerate() {
            write!(sql, "INSERT INTO {table} VALUES ({number}, '{word}');")?;
        }
    }
    write!(sql, "CREATE TEMPORARY TABLE hash (word TEXT); INSERT INTO hash VALUES ('{hash}');")?;
    write!(sql, "CREATE TEMPORARY TABLE ends (n BIGINT PRIMARY KEY, word TEXT);")?;
    let ends = ENDS.iter().flat_map(|(word, times)| (0..*times).map(move |_| word));
    for (number, word) in ends.enumerate() {
        write!(sql, "INSERT INTO ends VALUES ({number}, '{word}');")?;
    }
    write!(
        sql,
        "CREATE TEMPORARY TABLE kinds (n BIGINT PRIMARY KEY, kind TEXT, severity TEXT, result TEXT, actor TEXT);"
    )?;
    let kinds = KINDS.iter().flat_map(|kind| (0..kind.4).map(move |_| kind));
    for (number, (kind, severity, result, actor, _)) in kinds.enumerate() {
        write!(sql, "INSERT INTO kinds VALUES ({number}, '{kind}', '{severity}', '{result}', '{actor}');")?;
    }
    Ok(sql)
}

/// What looks random about `number`: from 0 up to but not including 2³¹−1, and different for each `salt`.
fn random(number: &str, salt: u64) -> String {
    format!("((({number} + {salt}) * 48271 % 2147483647) * 69621 % 2147483647 * 16807 % 2147483647)")
}

struct Fixture {
    sqlite: bool,
    now: i64,
    users: u64,
    sessions: u64,
    events: u64,
}

impl Fixture {
    fn in_chunks(
        &self,
        connection: &mut AnyConnection,
        count: u64,
        statements: impl Fn(&str) -> Result<Vec<String>, Failed>,
    ) -> Result<(), Failed> {
        for first in (1..=count).step_by(usize::try_from(CHUNK)?) {
            let last = (first + CHUNK - 1).min(count);
            let numbers = if self.sqlite {
                format!(
                    "(WITH RECURSIVE n (i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last})
                     SELECT i FROM n) AS numbers"
                )
            } else {
                format!("(SELECT generate_series({first}::bigint, {last}::bigint) AS i) AS numbers")
            };
            let sql = statements(&numbers)?.join(";");
            connection.batch_execute(&format!("BEGIN; {sql}; COMMIT"))?;
        }
        Ok(())
    }

    fn hex(&self, number: &str, digits: u8) -> String {
        if self.sqlite {
            format!("printf('%0{digits}x', {number})")
        } else {
            format!("lpad(to_hex(({number})::bigint), {digits}, '0')")
        }
    }

    fn bytes(&self, hex: &str) -> String {
        if self.sqlite { format!("unhex({hex})") } else { format!("decode({hex}, 'hex')") }
    }

    /// One of some hundred thousand addresses.
    fn address(&self, number: &str, salt: u64) -> String {
        // From 100.64.0.1 on, IPv4 as the store has it.
        let number = format!("1681915905 + {} % 200000", random(number, salt));
        self.bytes(&format!("'00000000000000000000ffff' || {}", self.hex(&number, 8)))
    }

    /// When a session began: the higher its number, the later.
    fn began(&self, number: &str) -> String {
        let step = DAYS_OF_SESSIONS * DAY / i64::try_from(self.sessions).unwrap_or(i64::MAX);
        format!("({} - ({} - {number}) * {} - 60000000)", self.now, self.sessions, step.max(1))
    }

    /// A session's id, a UUID of version 7 of the time when it began.
    fn session(&self, number: &str) -> String {
        let millis = format!("{} / 1000", self.began(number));
        let tail = format!("{number} * 2654435761 % 281474976710656");
        self.bytes(&format!(
            "{} || '7' || {} || {} || {}",
            self.hex(&millis, 12),
            self.hex(&format!("{} % 4096", random(number, 21)), 3),
            self.hex(&format!("32768 + {} % 16384", random(number, 22)), 4),
            self.hex(&tail, 12)
        ))
    }

    /// Two users have many sessions; everybody else a few.
    fn user_of(&self, number: &str) -> String {
        format!(
            "(CASE WHEN {number} % 50000 < 2 THEN 2 + {number} % 50000 % 2 ELSE 1 + {} % {} END)",
            random(number, 23),
            self.users
        )
    }

    fn insert_users(&self, numbers: &str) -> String {
        let Self { now, users, .. } = self;
        let year = 365 * DAY;
        let later = format!("{} % 86400 * {}", random("i", 31), DAY / 86_400 * 200);
        format!(
            "INSERT INTO users (id, username, username_key, email, email_key, role, password_hash, security_version,
             created_at, updated_at, password_changed_at, last_login_at, disabled_at, deleted_at)
             SELECT i, name, name, name || '@' || domain, name || '@' || domain,
               CASE WHEN i = 1 OR i % 9973 = 0 THEN 'Admin' ELSE 'User' END, hash.word, 1, born, born, born,
               CASE WHEN i = 1 OR {} % 10 > 0 THEN least_of END,
               CASE WHEN i > 1 AND {} % 200 = 0 THEN {now} - {later} END,
               CASE WHEN i > 1 AND {} % 1000 = 0 THEN {now} - {later} / 10 END
             FROM (SELECT i, {now} - ({users} - i) * ({year} / {users}) - {DAY} AS born, {now} - {} % {DAYS_OF_SESSIONS} * {DAY} -
                     {} % 86400 * {SECOND} AS least_of,
                     CASE WHEN i = 1 THEN 'root' WHEN i > 1024 THEN given.word || '.' || family.word || (i / 1024)
                     ELSE given.word || '.' || family.word END AS name, domains.word AS domain
                   FROM {numbers} JOIN given ON given.n = i % 32 JOIN family ON family.n = i / 32 % 32
                   JOIN domains ON domains.n = {} % 8) AS people, hash",
            random("i", 32),
            random("i", 33),
            random("i", 34),
            random("i", 35),
            random("i", 36),
            random("i", 37),
        )
    }

    /// The sessions, and the history of their rotations. Of a hundred, forty are live, as many ended, the others expired.
    fn insert_sessions(&self, numbers: &str) -> Vec<String> {
        let now = self.now;
        let fate = format!("{} % 100", random("i", 41));
        let used = format!("{} % 86400 * {SECOND}", random("i", 42));
        let rows = format!(
            "(SELECT i, {began} AS began, {fate} AS fate,
                CASE WHEN {fate} < 40 THEN CASE WHEN {began} > {now} - 6 * {DAY} THEN {began} ELSE {now} - 6 * {DAY} + {used} END
                ELSE CASE WHEN {began} + {used} < {now} THEN {began} + {used} ELSE {began} END END AS used,
                CASE WHEN i % 100 = 7 THEN 2 + {random} % 40 ELSE 1 END AS generation
              FROM {numbers}) AS rows",
            began = self.began("i"),
            random = random("i", 43),
        );
        let ends = format!("{} % 40", random("i", 44));
        let sessions = format!(
            "INSERT INTO sessions (id, user_id, nonce_digest, generation, created_at, created_ip, rotated_at, rotated_ip,
             user_agent, idle_expires_at, expires_at, window_started_at, window_generation, ended_at, ended_ip, ended_by,
             end_reason, kind)
             SELECT {id}, {user}, {digest}, generation, began, {created_ip}, used, {used_ip}, agents.word,
               used + 7 * {DAY}, began + 90 * {DAY}, used, generation,
               CASE WHEN fate >= 40 AND fate < 80 THEN used END, CASE WHEN fate >= 40 AND fate < 80 THEN {used_ip} END,
               CASE WHEN fate >= 40 AND fate < 80 THEN CASE WHEN ends.word = 'ended_by_admin' THEN 1
                    WHEN ends.word IN ('reuse', 'too_many_sessions', 'token_revoked') THEN NULL ELSE {user} END END,
               CASE WHEN fate >= 40 AND fate < 80 THEN ends.word END,
               CASE WHEN i % 500 = 3 THEN 'console' ELSE 'api' END
             FROM {rows} JOIN agents ON agents.n = {agent} % 8 JOIN ends ON ends.n = {ends}",
            id = self.session("i"),
            user = self.user_of("i"),
            digest = self.bytes(&format!("{0} || {0} || {0} || {0}", self.hex(&random("i", 45), 16))),
            created_ip = self.address("i", 46),
            used_ip = self.address("i", 47),
            agent = random("i", 48),
        );
        // What a rotation was at, evenly between the first and the last.
        let at = "began + (used - began) / generation * g";
        let generations = if self.sqlite {
            "(WITH RECURSIVE n (g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM n WHERE g < 41) SELECT g FROM n) AS generations"
        } else {
            "(SELECT generate_series(1::bigint, 41) AS g) AS generations"
        };
        let history = format!(
            "INSERT INTO refresh_tokens (session_id, generation, created_at, created_ip, user_agent, expires_at)
             SELECT {id}, g, {at}, {ip}, agents.word, {at} + 7 * {DAY}
             FROM {rows} JOIN {generations} ON g <= generation JOIN agents ON agents.n = {agent} % 8",
            id = self.session("i"),
            ip = self.address("i", 46),
            agent = random("i", 48),
        );
        vec![sessions, history]
    }

    fn insert_events(&self, numbers: &str) -> String {
        let step = (DAYS_OF_EVENTS * DAY / i64::try_from(self.events).unwrap_or(i64::MAX)).max(1);
        let session = format!("(1 + {} % {})", random("i", 51), self.sessions);
        let request = format!(
            "{} || '-' || {} || '-4' || {} || '-8' || {} || '-' || {}",
            self.hex(&random("i", 52), 8),
            self.hex(&format!("{} % 65536", random("i", 53)), 4),
            self.hex(&format!("{} % 4096", random("i", 54)), 3),
            self.hex(&format!("{} % 4096", random("i", 55)), 3),
            self.hex("i", 12)
        );
        let (identity, digest) = if self.sqlite {
            ("", "zeroblob(32)")
        } else {
            ("OVERRIDING SYSTEM VALUE", "decode(repeat('00', 32), 'hex')")
        };
        format!(
            "INSERT INTO audit_events (id, occurred_at, kind, severity, actor_user_id, subject_user_id, session_id, ip,
             user_agent, request_id, detail, actor_kind, result, seal_number, seal_digest) {identity}
             SELECT i, {now} - ({events} - i) * {step} - {SECOND}, kind, severity,
               CASE WHEN actor = 'user' THEN CASE WHEN kind LIKE 'user.%' THEN 1 ELSE {user} END END,
               CASE WHEN kind = 'login.failed' AND i % 3 = 0 THEN NULL ELSE {user} END,
               CASE WHEN kind LIKE 'session.%' OR kind = 'login.succeeded' THEN {id} END,
               CASE WHEN actor <> 'operator' THEN {ip} END,
               CASE WHEN actor <> 'operator' THEN agents.word END,
               CASE WHEN actor <> 'operator' THEN {request} END,
               CASE WHEN kind = 'session.reuse_detected' THEN '{{\"current\":9,\"presented\":4}}' ELSE '{{}}' END,
               actor, result, i, {digest}
             FROM {numbers} JOIN kinds ON kinds.n = {kind} % 1000 JOIN agents ON agents.n = {agent} % 8",
            now = self.now,
            events = self.events,
            user = self.user_of(&session),
            id = self.session(&session),
            ip = self.address("i", 56),
            kind = random("i", 57),
            agent = random("i", 58),
        )
    }

    /// The counters, the end of the chain, and what happened in each hour of the last thirty days.
    fn finish(&self) -> String {
        let Self { now, users, events, sqlite, .. } = self;
        let (digest, since) =
            (if *sqlite { "zeroblob(32)" } else { "decode(repeat('00', 32), 'hex')" }, now - 30 * DAY);
        let (hour, day, refreshes) = (3_600 * SECOND, now / DAY, random("hour", 61));
        format!(
            "UPDATE counters SET value = {users} WHERE name = 'user_id';
             UPDATE audit_heads SET number = {events}, day = {day} WHERE name = 'head';
             INSERT INTO audit_days (day, first_number, head_before)
               SELECT occurred_at / {DAY}, min(id), {digest} FROM audit_events GROUP BY occurred_at / {DAY};
             INSERT INTO rollups (hour, name, total)
               SELECT occurred_at / {hour}, kind, count(*) FROM audit_events WHERE occurred_at >= {since}
               GROUP BY occurred_at / {hour}, kind;
             INSERT INTO rollups (hour, name, total)
               SELECT hour, 'session.refreshed', sum(total) * 12 + {refreshes} % 17 FROM rollups WHERE name = 'login.succeeded'
               GROUP BY hour;{}",
            if *sqlite {
                String::new()
            } else {
                format!("SELECT setval(pg_get_serial_sequence('audit_events', 'id'), {events})")
            }
        )
    }
}
