//! What the database itself says after a run. The server must have ended: this opens the store beside it.

use std::collections::HashMap;
use std::time::Duration;

use diesel::RunQueryDsl as _;
use diesel::sql_types::{BigInt, Nullable, Text};
use relatch::config::DatabaseUrl;
use relatch::secret::Secret;
use relatch::store::{Limits, Store};

/// The rows that the oracle compares with the history.
#[derive(Default)]
pub(crate) struct Facts {
    /// By the session's id, as the API writes it.
    pub(crate) sessions: HashMap<String, SessionFacts>,
    /// What is wrong with the store as such.
    pub(crate) complaints: Vec<String>,
}

/// One session's row, and how many alarms there are about it.
#[derive(Clone, Default)]
pub(crate) struct SessionFacts {
    pub(crate) generation: i64,
    pub(crate) end_reason: Option<String>,
    pub(crate) alarms: i64,
}

#[derive(diesel::QueryableByName)]
struct SessionLine {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = BigInt)]
    generation: i64,
    #[diesel(sql_type = Nullable<Text>)]
    end_reason: Option<String>,
    #[diesel(sql_type = BigInt)]
    alarms: i64,
    /// How many generations its history has, and the first and the last of them.
    #[diesel(sql_type = BigInt)]
    noted: i64,
    #[diesel(sql_type = BigInt)]
    first: i64,
    #[diesel(sql_type = BigInt)]
    last: i64,
}

#[derive(diesel::QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// A long history keeps so many generations at each end.
const KEPT: i64 = 200;

/// Parses a `DATABASE_URL` of the lab.
pub(crate) fn parse(url: &str) -> DatabaseUrl {
    match url.strip_prefix("sqlite://") {
        Some(path) => DatabaseUrl::Sqlite(path.into()),
        None => DatabaseUrl::Postgres(Secret::new(url.to_owned())),
    }
}

/// Reads everything and looks for damage.
pub(crate) fn read(url: &str) -> Result<Facts, String> {
    let database = parse(url);
    let sqlite = matches!(database, DatabaseUrl::Sqlite(_));
    let limits = Limits { connections: 2, patience: Duration::from_secs(10), ballast: None };
    let store = Store::open(&database, limits).map_err(|error| format!("the store does not open: {error}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let hex = if sqlite { "lower(hex(s.id))" } else { "encode(s.id, 'hex')" };
    let sessions = format!(
        "SELECT {hex} AS id, s.generation, s.end_reason, \
         (SELECT count(*) FROM audit_events a WHERE a.session_id = s.id AND a.kind = 'session.reuse_detected') \
         AS alarms, \
         (SELECT count(*) FROM refresh_tokens t WHERE t.session_id = s.id) AS noted, \
         (SELECT coalesce(min(t.generation), 0) FROM refresh_tokens t WHERE t.session_id = s.id) AS first, \
         (SELECT coalesce(max(t.generation), 0) FROM refresh_tokens t WHERE t.session_id = s.id) AS last \
         FROM sessions s"
    );
    let (lines, damage) = runtime
        .block_on(store.read(move |connection| {
            if !sqlite {
                // Requests may not take long; reading everything there is may.
                diesel::sql_query("SET statement_timeout = 0").execute(connection)?;
            }
            let lines: Vec<SessionLine> = diesel::sql_query(sessions).load(connection)?;
            let mut damage = Vec::new();
            if sqlite {
                damage.extend(
                    diesel::sql_query("SELECT integrity_check AS line FROM pragma_integrity_check")
                        .load::<Line>(connection)?,
                );
                damage.extend(
                    diesel::sql_query("SELECT \"table\" || ' has an orphan' AS line FROM pragma_foreign_key_check")
                        .load::<Line>(connection)?,
                );
            } else {
                damage.extend(
                    diesel::sql_query(
                        "SELECT 'refresh_tokens has an orphan' AS line FROM refresh_tokens t \
                         WHERE NOT EXISTS (SELECT 1 FROM sessions s WHERE s.id = t.session_id)",
                    )
                    .load::<Line>(connection)?,
                );
            }
            Ok((lines, damage))
        }))
        .map_err(|error| format!("the store cannot be read: {error}"))?;
    let mut facts = Facts::default();
    facts.complaints.extend(damage.into_iter().map(|line| line.line).filter(|line| line != "ok"));
    for line in lines {
        let expected = line.generation.min(2 * KEPT);
        // A long history is folded one behind the other, so that it may be longer by one.
        let whole = line.first == 1
            && line.last == line.generation
            && (line.noted == expected || (line.generation > 2 * KEPT && line.noted == expected + 1));
        if !whole {
            facts.complaints.push(format!(
                "session {}: generation {}, but its history has {} rows from {} to {}",
                line.id, line.generation, line.noted, line.first, line.last
            ));
        }
        let session = SessionFacts { generation: line.generation, end_reason: line.end_reason, alarms: line.alarms };
        facts.sessions.insert(hyphenated(&line.id), session);
    }
    if !sqlite {
        facts.complaints.extend(check_indexes(&store, &runtime));
    }
    Ok(facts)
}

/// Postgres has no integrity check of its own, but an extension that most servers can load.
fn check_indexes(store: &Store, runtime: &tokio::runtime::Runtime) -> Vec<String> {
    let present = runtime.block_on(store.write(|connection| {
        diesel::sql_query("CREATE EXTENSION IF NOT EXISTS amcheck").execute(connection)?;
        diesel::sql_query("SELECT extversion AS line FROM pg_extension WHERE extname = 'amcheck'")
            .load::<Line>(connection)
    }));
    if !present.is_ok_and(|versions| !versions.is_empty()) {
        return Vec::new();
    }
    let checked = runtime.block_on(store.read(|connection| {
        diesel::sql_query(
            "SELECT bt_index_check(c.oid, true)::text AS line FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am m ON m.oid = c.relam \
             WHERE c.relkind = 'i' AND m.amname = 'btree' AND n.nspname = 'public'",
        )
        .load::<Line>(connection)
    }));
    checked.err().map(|error| format!("an index is damaged: {error}")).into_iter().collect()
}

fn hyphenated(hex: &str) -> String {
    match (hex.get(..8), hex.get(8..12), hex.get(12..16), hex.get(16..20), hex.get(20..)) {
        (Some(a), Some(b), Some(c), Some(d), Some(e)) => format!("{a}-{b}-{c}-{d}-{e}"),
        _ => hex.to_owned(),
    }
}
