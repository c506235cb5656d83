//! Opening the database that a server under test uses.

use relatch::config::{DatabaseUrl, parse_secret_key};
use relatch::keyring::Keyring;
use relatch::secret::Secret;
use relatch::store::Limits;
use relatch::store::connection::AnyConnection;

use crate::Failed;

/// What a store is opened with here.
pub(crate) const LIMITS: Limits =
    Limits { connections: 16, patience: std::time::Duration::from_secs(5), ballast: None };

/// Which database, and the secret of its server.
#[derive(clap::Args)]
pub(crate) struct Database {
    /// As the server's DATABASE_URL
    #[arg(long)]
    database_url: String,
    /// As the server's SECRET_KEY
    #[arg(long)]
    secret_key: String,
}

impl Database {
    /// One of which nothing is asked that needs the secret.
    pub(crate) fn without_secret(url: &str) -> Self {
        Self { database_url: url.to_owned(), secret_key: String::new() }
    }

    pub(crate) fn url(&self) -> DatabaseUrl {
        match self.database_url.strip_prefix("sqlite://") {
            Some(path) => DatabaseUrl::Sqlite(path.into()),
            None => DatabaseUrl::Postgres(Secret::new(self.database_url.clone())),
        }
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self.url(), DatabaseUrl::Sqlite(_))
    }

    pub(crate) fn keyring(&self) -> Result<Keyring, Failed> {
        let secret = parse_secret_key(&self.secret_key)?;
        Ok(Keyring::new(&secret, &[])?)
    }

    /// A connection with the server's settings and without its pool, queue and threads.
    #[expect(clippy::disallowed_methods, reason = "what is compared with the store does without it")]
    pub(crate) fn connect(&self) -> Result<AnyConnection, Failed> {
        use diesel::connection::SimpleConnection as _;
        use diesel::{Connection as _, PgConnection, SqliteConnection};
        Ok(match self.url() {
            DatabaseUrl::Postgres(url) => AnyConnection::Postgres(PgConnection::establish(url.expose())?),
            DatabaseUrl::Sqlite(path) => {
                let mut connection = SqliteConnection::establish(path.to_str().ok_or("the path is not UTF-8")?)?;
                connection.batch_execute(
                    "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                     PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -24000;",
                )?;
                AnyConnection::Sqlite(connection)
            }
        })
    }
}
