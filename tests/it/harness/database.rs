//! A database for one test: an SQLite file in a folder of its own, or a new database on the Postgres server.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection, RunQueryDsl as _};
use relatch::config::DatabaseUrl;
use relatch::store::error::StoreError;
use relatch::store::{Limits, Store};
use tempfile::TempDir;

/// A database that nobody else uses.
pub enum Database {
    Sqlite(TempDir),
    Postgres(String),
}

impl Database {
    pub fn create() -> Self {
        match server() {
            None => Self::Sqlite(tempfile::tempdir().unwrap()),
            Some(server) => Self::Postgres(create_on(&server)),
        }
    }

    /// As `DATABASE_URL` has it.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite://{}", folder.path().join("relatch.db").display()),
            Self::Postgres(url) => url.clone(),
        }
    }

    pub fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// A door to the store beside the server's own.
    pub fn store(&self) -> Store {
        open(&super::configuration(self, &[]).database_url).expect("the store opens")
    }
}

fn open(url: &DatabaseUrl) -> Result<Store, StoreError> {
    Store::open(url, Limits { connections: 2, patience: Duration::from_secs(5), ballast: None })
}

/// The Postgres server that the tests run on, if they do.
#[expect(clippy::disallowed_methods, reason = "tests are configured by this one variable")]
fn server() -> Option<String> {
    std::env::var("TEST_DATABASE_URL").ok()
}

/// The file with the certificate of the Postgres server that the tests run on.
#[expect(clippy::disallowed_methods, reason = "tests are configured by two variables")]
pub fn postgres_ca() -> Option<String> {
    std::env::var("TEST_POSTGRES_CA").ok()
}

/// Whether a store opened with this URL speaks TLS.
pub async fn tls_connections(url: &str) -> bool {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Bool)]
        ssl: bool,
    }
    let url = DatabaseUrl::Postgres(relatch::secret::Secret::new(url.to_owned()));
    let store = open(&url).expect("the store opens");
    let row: Row = store
        .read(|connection| {
            diesel::sql_query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").get_result(connection)
        })
        .await
        .unwrap();
    row.ssl
}

#[expect(clippy::disallowed_methods, reason = "a database is made by a plain connection")]
fn create_on(server: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    let name = format!("relatch_test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    // As the server does before its first connection.
    openssl_sys::init();
    let mut connection = PgConnection::establish(server).expect("the Postgres server answers");
    connection.batch_execute(&format!("CREATE DATABASE {name}")).expect("a database");
    let (base, _) = server.rsplit_once('/').expect("a URL with a database");
    format!("{base}/{name}")
}

/// Runs SQL beside the server, as a fault would change the store.
pub async fn execute(database: &Database, sql: &str) {
    let sql = sql.to_owned();
    database.store().write(move |connection| connection.batch_execute(&sql)).await.expect("the SQL runs");
}

/// Everything in the database as text: every byte of the SQLite files, or every row of every Postgres table.
pub async fn dump(database: &Database) -> String {
    match database {
        Database::Sqlite(folder) => {
            let files = std::fs::read_dir(folder.path()).unwrap();
            let bytes: Vec<u8> = files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        }
        Database::Postgres(_) => {
            let mut text = String::new();
            for table in [
                "meta",
                "counters",
                "users",
                "sessions",
                "refresh_tokens",
                "signing_keys",
                "audit_events",
                "console_sessions",
                "reset_links",
                "clients",
                "client_secrets",
                "guess_counters",
                "known_networks",
            ] {
                let sql = format!("SELECT coalesce(string_agg(t::text, '\n'), '') AS rows FROM {table} t");
                let rows: Vec<Rows> =
                    database.store().read(move |connection| diesel::sql_query(sql).load(connection)).await.unwrap();
                text.extend(rows.into_iter().map(|rows| rows.rows));
            }
            text
        }
    }
}

/// How many rows a table has.
pub async fn count(database: &Database, table: &str) -> i64 {
    count_in(&database.store(), table).await
}

/// The same in a store that is open, for who asks again and again.
pub async fn count_in(store: &Store, table: &str) -> i64 {
    let sql = format!("SELECT count(*) AS number FROM {table}");
    let read = move |connection: &mut _| diesel::sql_query(sql).get_result::<Count>(connection);
    store.read(read).await.expect("a count").number
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
}

#[derive(diesel::QueryableByName)]
struct Rows {
    #[diesel(sql_type = diesel::sql_types::Text)]
    rows: String,
}
