//! One connection type for both databases, and how a connection is opened.
//!
//! The kind is chosen by the parsed [`DatabaseUrl`], never by what a string looks like.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::r2d2::R2D2Connection;
use diesel::result::Error::DatabaseError;
use diesel::{Connection, ConnectionError, PgConnection, QueryResult, SqliteConnection};

use crate::config::DatabaseUrl;
use crate::secret::Secret;

pub use any::AnyConnection;

mod any {
    #![expect(clippy::disallowed_methods, reason = "the derive implements the trait; only this module calls it")]

    use diesel::{PgConnection, SqliteConnection};

    /// A connection to either database. Queries are written once against it.
    #[derive(diesel::MultiConnection)]
    pub enum AnyConnection {
        /// A Postgres server.
        Postgres(PgConnection),
        /// An SQLite file.
        Sqlite(SqliteConnection),
    }
}

/// How long a new SQLite file may be fought for, and how long whoever was sent away waits before trying again.
const WAL_PATIENCE: Duration = Duration::from_secs(5);
const WAL_PAUSE: Duration = Duration::from_millis(5);

/// Opens connections of one kind to one database; the r2d2 manager.
#[derive(Clone, Debug)]
pub(crate) enum Connector {
    Postgres(Secret<String>),
    Sqlite { path: PathBuf, access: Access },
}

/// What an SQLite connection may do. On Postgres every connection may write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    Read,
    Write,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error(transparent)]
    Refused(#[from] ConnectionError),
    #[error(transparent)]
    Broken(#[from] diesel::result::Error),
}

impl Connector {
    pub(crate) fn new(url: &DatabaseUrl, access: Access) -> Self {
        match url {
            DatabaseUrl::Postgres(url) => Self::Postgres(url.clone()),
            DatabaseUrl::Sqlite(path) => Self::Sqlite { path: path.clone(), access },
        }
    }

    pub(crate) fn open(&self) -> Result<AnyConnection, ConnectError> {
        match self {
            Self::Postgres(url) => open_postgres(url.expose()),
            Self::Sqlite { path, access } => open_sqlite(path, *access),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where connections come from")]
fn open_postgres(url: &str) -> Result<AnyConnection, ConnectError> {
    // libpq's threads may still speak TLS when the process ends: OpenSSL must not be torn down under them, as it would
    // be if libpq were the first to start it.
    openssl_sys::init();
    let mut connection = PgConnection::establish(with_limits(url).expose())?;
    // A 200 is sent only after a durable commit, whatever the server's or the role's default is.
    connection.batch_execute(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
         SET default_transaction_isolation = 'read committed';
         SET client_min_messages = 'warning';
         SET application_name = 'relatch';",
    )?;
    // Some failures are told apart by their words, which must not be translated. Only some may say so; for the others
    // the server's own language stays.
    connection.batch_execute(
        "DO $$ BEGIN PERFORM set_config('lc_messages', 'C', false); EXCEPTION WHEN insufficient_privilege THEN END $$;",
    )?;
    Ok(AnyConnection::Postgres(connection))
}

/// What libpq is told unless the URL says otherwise. The system's own defaults would wait for minutes on a host that
/// swallows packets, and for hours on one that went away while it was being waited for. Of several hosts, the one that
/// can be written to is meant: a standby would say what was so a moment ago.
const UNLESS_WRITTEN: [(&str, &str); 6] = [
    ("connect_timeout", "5"),
    ("tcp_user_timeout", "5000"),
    ("keepalives_idle", "5"),
    ("keepalives_interval", "2"),
    ("keepalives_count", "3"),
    ("target_session_attrs", "read-write"),
];

fn with_limits(url: &str) -> Secret<String> {
    let mut limited = Secret::new(url.to_owned());
    for (name, value) in UNLESS_WRITTEN {
        let known = limited.expose();
        if !known.contains(&format!("{name}=")) {
            let separator = if known.contains('?') { '&' } else { '?' };
            limited = Secret::new(format!("{known}{separator}{name}={value}"));
        }
    }
    limited
}

#[expect(clippy::disallowed_methods, reason = "this is where connections come from")]
fn open_sqlite(path: &Path, access: Access) -> Result<AnyConnection, ConnectError> {
    let path = path.to_str().ok_or_else(|| ConnectionError::BadConnection("the path is not UTF-8".to_owned()))?;
    let mut connection = SqliteConnection::establish(path)?;
    connection.batch_execute("PRAGMA busy_timeout = 5000;")?;
    switch_to_wal(&mut connection)?;
    connection.batch_execute(
        "PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA temp_store = MEMORY;",
    )?;
    #[cfg(feature = "failpoints")]
    if super::failpoints::bug("synchronous_normal") {
        connection.batch_execute("PRAGMA synchronous = NORMAL;")?;
    }
    connection.batch_execute(match access {
        Access::Read => "PRAGMA query_only = ON;",
        // The upper levels of three trees of some ten million rows: each page that is not kept is read for every write.
        Access::Write => "PRAGMA cache_size = -24000;",
    })?;
    Ok(AnyConnection::Sqlite(connection))
}

/// A new file is switched by whoever comes first, which needs a lock for itself alone. Of two who want that at once SQLite
/// sends one away without waiting, since each of them holds up the other.
fn switch_to_wal(connection: &mut SqliteConnection) -> QueryResult<()> {
    let began = Instant::now();
    loop {
        match connection.batch_execute("PRAGMA journal_mode = WAL;") {
            Err(DatabaseError(_, details))
                if details.message().contains("locked") && began.elapsed() < WAL_PATIENCE =>
            {
                std::thread::sleep(WAL_PAUSE);
            }
            switched => return switched,
        }
    }
}

/// Opens an SQLite file that must be there, and changes nothing about it.
#[expect(clippy::disallowed_methods, reason = "this is where connections come from")]
pub(super) fn open_existing(path: &Path) -> Result<SqliteConnection, ConnectError> {
    let path = path.to_str().ok_or_else(|| ConnectionError::BadConnection("the path is not UTF-8".to_owned()))?;
    let escaped = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let open = |mode| SqliteConnection::establish(&format!("file:{escaped}?mode={mode}"));
    // What was not yet moved from the write-ahead log can only be read where something may be written.
    let mut connection = open("rw").or_else(|_| open("ro"))?;
    connection.batch_execute("PRAGMA busy_timeout = 5000;")?;
    Ok(connection)
}

/// A connection of the pool.
pub(crate) struct Pooled {
    pub(crate) inner: AnyConnection,
    /// It failed in a way that another one would not: the pool drops it.
    pub(crate) lost: bool,
}

impl r2d2::ManageConnection for Connector {
    type Connection = Pooled;
    type Error = ConnectError;

    fn connect(&self) -> Result<Pooled, ConnectError> {
        let mut inner = self.open()?;
        if let AnyConnection::Postgres(postgres) = &mut inner {
            // No request is worth waiting for somebody's forgotten transaction. Migrations do not come through here.
            postgres.batch_execute(
                "SET statement_timeout = '5s'; SET lock_timeout = '3s'; SET idle_in_transaction_session_timeout = '15s';",
            )?;
        }
        Ok(Pooled { inner, lost: false })
    }

    fn is_valid(&self, connection: &mut Pooled) -> Result<(), ConnectError> {
        Ok(connection.inner.ping()?)
    }

    fn has_broken(&self, connection: &mut Pooled) -> bool {
        connection.lost || connection.inner.is_broken()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_that_open_a_new_file_at_the_same_moment_all_get_in() {
        for _ in 0..40 {
            let folder = tempfile::tempdir().unwrap();
            let connector = Connector::Sqlite { path: folder.path().join("new.db"), access: Access::Write };
            let barrier = std::sync::Barrier::new(8);
            std::thread::scope(|scope| {
                let openers = [(); 8].map(|()| {
                    scope.spawn(|| {
                        barrier.wait();
                        connector.open().map(drop)
                    })
                });
                openers.into_iter().for_each(|opener| opener.join().unwrap().unwrap());
            });
        }
    }

    #[test]
    fn a_url_says_how_long_to_wait_or_gets_our_limits() {
        let ours = "tcp_user_timeout=5000&keepalives_idle=5&keepalives_interval=2&keepalives_count=3&\
                    target_session_attrs=read-write";
        let plain = with_limits("postgres://a@b/c");
        assert_eq!(*plain.expose(), format!("postgres://a@b/c?connect_timeout=5&{ours}"));
        let given = with_limits("postgres://a@b/c?connect_timeout=60&sslmode=require");
        assert_eq!(*given.expose(), format!("postgres://a@b/c?connect_timeout=60&sslmode=require&{ours}"));
    }
}
