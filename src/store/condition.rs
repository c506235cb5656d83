//! The condition of the database itself, for operators: its version and size, what is under way, and whether it is whole.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};

use super::connection::AnyConnection;
use crate::domain::timestamp::Timestamp;

/// More events without a seal than this are not counted.
pub const UNSEALED_COUNTED: i64 = 10_000;

/// What the store's own tables say.
#[derive(Clone, Debug, QueryableByName)]
pub struct Progress {
    /// How many migrations were applied.
    #[diesel(sql_type = BigInt)]
    pub migrations: i64,
    /// The newest of them.
    #[diesel(sql_type = Nullable<Text>)]
    pub newest_migration: Option<String>,
    /// Who deletes old rows, or did so last.
    #[diesel(sql_type = Nullable<Binary>)]
    pub pruning_holder: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pruning_until: Option<i64>,
    /// How many events have a seal.
    #[diesel(sql_type = BigInt)]
    pub sealed: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    last_sealed: Option<i64>,
    /// How many events wait for a seal; one more than is counted when there are more.
    #[diesel(sql_type = BigInt)]
    pub unsealed: i64,
}

impl Progress {
    /// Until when nobody else may delete old rows.
    pub fn pruning_until(&self) -> Option<Timestamp> {
        self.pruning_until.map(Timestamp::from_micros)
    }

    /// When the newest event happened that has a seal.
    pub fn last_sealed(&self) -> Option<Timestamp> {
        self.last_sealed.map(Timestamp::from_micros)
    }
}

/// What the database says about itself.
#[derive(Clone, Debug, QueryableByName)]
pub struct Database {
    /// Its kind and version.
    #[diesel(sql_type = Text)]
    pub version: String,
    /// Its size in bytes.
    #[diesel(sql_type = BigInt)]
    pub size: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    now: Option<i64>,
}

impl Database {
    /// What its own clock shows, if it has one.
    pub fn now(&self) -> Option<Timestamp> {
        self.now.map(Timestamp::from_micros)
    }
}

/// What was looked at, and what is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Integrity {
    /// What was looked at, in a sentence.
    pub checked: String,
    /// What is wrong; nothing when all is well.
    pub problems: Vec<String>,
}

/// Reads what is under way, in one statement.
pub fn progress(connection: &mut AnyConnection) -> QueryResult<Progress> {
    let head = "(SELECT number FROM audit_heads WHERE name = 'head')";
    let unsealed = UNSEALED_COUNTED + 1;
    diesel::sql_query(format!(
        "SELECT (SELECT count(*) FROM __diesel_schema_migrations) AS migrations, \
         (SELECT max(version) FROM __diesel_schema_migrations) AS newest_migration, \
         (SELECT holder FROM leases WHERE name = 'pruning') AS pruning_holder, \
         (SELECT expires_at FROM leases WHERE name = 'pruning') AS pruning_until, \
         {head} AS sealed, \
         (SELECT occurred_at FROM audit_events WHERE seal_number = {head}) AS last_sealed, \
         (SELECT count(*) FROM (SELECT 1 FROM audit_events WHERE seal_number IS NULL LIMIT {unsealed}) AS waiting) AS unsealed"
    ))
    .get_result(connection)
}

/// Asks the database about itself, in one statement.
pub fn database(connection: &mut AnyConnection) -> QueryResult<Database> {
    match connection {
        AnyConnection::Postgres(connection) => diesel::sql_query(
            "SELECT 'PostgreSQL ' || current_setting('server_version') AS version, \
             pg_database_size(current_database()) AS size, \
             (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now",
        )
        .get_result(connection),
        AnyConnection::Sqlite(connection) => diesel::sql_query(
            "SELECT 'SQLite ' || sqlite_version() AS version, \
             (SELECT page_count FROM pragma_page_count()) * (SELECT page_size FROM pragma_page_size()) AS size, \
             CAST(NULL AS INTEGER) AS now",
        )
        .get_result(connection),
    }
}

/// Looks for damage without changing anything. On SQLite that reads the whole file.
pub fn check(connection: &mut AnyConnection) -> QueryResult<Integrity> {
    match connection {
        AnyConnection::Sqlite(connection) => {
            let found: Vec<QuickCheck> = diesel::sql_query("PRAGMA quick_check(20)").load(connection)?;
            let problems = found.into_iter().map(|found| found.quick_check).filter(|found| found != "ok").collect();
            let checked =
                "SQLite read every page of the store and looked whether each row is in its place (quick_check).";
            Ok(Integrity { checked: checked.to_owned(), problems })
        }
        AnyConnection::Postgres(connection) => {
            let checksums: Checksums = diesel::sql_query(
                "SELECT current_setting('data_checksums') AS switched, \
                 coalesce((SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()), 0) \
                 AS failures",
            )
            .get_result(connection)?;
            let checked = if checksums.switched == "on" {
                "Postgres checks the checksum of every page that it reads; its count of failures was read. To read all \
                 pages, run pg_amcheck."
            } else {
                "Postgres keeps no checksums of its pages here (data_checksums is off), so that there is nothing to read. \
                 To look for damage, run pg_amcheck."
            };
            let problems = (checksums.failures > 0)
                .then(|| format!("{} pages had a wrong checksum when they were read", checksums.failures))
                .into_iter()
                .collect();
            Ok(Integrity { checked: checked.to_owned(), problems })
        }
    }
}

#[derive(QueryableByName)]
struct QuickCheck {
    #[diesel(sql_type = Text)]
    quick_check: String,
}

#[derive(QueryableByName)]
struct Checksums {
    #[diesel(sql_type = Text)]
    switched: String,
    #[diesel(sql_type = BigInt)]
    failures: i64,
}
