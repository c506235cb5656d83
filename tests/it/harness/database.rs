//! A database for one test: an SQLite file in a folder of its own, or a new database on the Postgres server.

use std::sync::atomic::{AtomicU32, Ordering};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use relatch::store::Store;
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
        Store::open(&super::configuration(self, &[]).database_url).expect("the store opens")
    }
}

/// The Postgres server that the tests run on, if they do.
#[expect(clippy::disallowed_methods, reason = "tests are configured by this one variable")]
fn server() -> Option<String> {
    std::env::var("TEST_DATABASE_URL").ok()
}

#[expect(clippy::disallowed_methods, reason = "a database is made by a plain connection")]
fn create_on(server: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    let name = format!("relatch_test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut connection = PgConnection::establish(server).expect("the Postgres server answers");
    connection.batch_execute(&format!("CREATE DATABASE {name}")).expect("a database");
    let (base, _) = server.rsplit_once('/').expect("a URL with a database");
    format!("{base}/{name}")
}
