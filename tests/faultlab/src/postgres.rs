//! The Postgres cluster that `scripts/faultlab` has started for the lab alone.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::{BigInt, Text};
use diesel::{Connection as _, PgConnection, RunQueryDsl as _};

#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    /// `scripts/postgres`
    pub(crate) script: PathBuf,
    pub(crate) folder: PathBuf,
    /// `postgres://user@host:port/postgres`
    pub(crate) url: String,
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

impl Cluster {
    /// Makes a database of this name anew and gives its URL.
    pub(crate) fn create(&self, name: &str) -> Result<String, String> {
        let mut connection = self.connect()?;
        connection
            .batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
            .and_then(|()| connection.batch_execute(&format!("CREATE DATABASE {name}")))
            .map_err(|error| format!("no database could be made: {error}"))?;
        let (base, _) = self.url.rsplit_once('/').ok_or("the URL names no database")?;
        Ok(format!("{base}/{name}"))
    }

    /// Makes `to` a copy of the database `from`, in the place of what it was. Nobody may be using either.
    pub(crate) fn copy(&self, from: &str, to: &str) -> Result<(), String> {
        self.wait_until_unused(from)?;
        let mut connection = self.connect()?;
        connection
            .batch_execute(&format!("DROP DATABASE IF EXISTS {to} WITH (FORCE)"))
            .and_then(|()| connection.batch_execute(&format!("CREATE DATABASE {to} TEMPLATE {from}")))
            .map_err(|error| format!("the database could not be copied: {error}"))
    }

    /// New databases are made in this folder from now on.
    pub(crate) fn put_on(&self, folder: &Path) -> Result<(), String> {
        let mut connection = self.connect()?;
        let place = folder.display();
        connection
            .batch_execute(&format!("CREATE TABLESPACE faultlab LOCATION '{place}'"))
            .and_then(|()| connection.batch_execute("ALTER ROLE CURRENT_USER SET default_tablespace = faultlab"))
            .map_err(|error| format!("no place for databases could be made in {place}: {error}"))
    }

    /// Drops this database and the place that it was in.
    pub(crate) fn take_off(&self, name: &str) -> Result<(), String> {
        let mut connection = self.connect()?;
        connection
            .batch_execute("ALTER ROLE CURRENT_USER RESET default_tablespace")
            .and_then(|()| connection.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")))
            .and_then(|()| connection.batch_execute("DROP TABLESPACE faultlab"))
            .map_err(|error| format!("the place of the database could not be dropped: {error}"))
    }

    /// Where the server listens.
    pub(crate) fn address(&self) -> Result<SocketAddr, String> {
        let after = self.url.split_once('@').map_or("", |(_, rest)| rest);
        let host = after.split('/').next().unwrap_or_default();
        host.parse().map_err(|_| format!("{host} is no address with a port"))
    }

    /// Waits until the server has given up every connection of the application to this database: what a killed
    /// application had sent may still be at work.
    pub(crate) fn wait_until_unused(&self, database: &str) -> Result<(), String> {
        let mut connection = self.connect()?;
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            let count: Count = diesel::sql_query(
                "SELECT count(*) AS count FROM pg_stat_activity WHERE datname = $1 AND application_name = 'relatch'",
            )
            .bind::<Text, _>(database)
            .get_result(&mut connection)
            .map_err(|error| error.to_string())?;
            if count.count == 0 {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Err("the database is still in use by an application that has ended".to_owned())
    }

    /// Restarts the server; `immediate` is a crash with recovery. Waits until it accepts connections.
    pub(crate) fn restart(&self, mode: &str) -> Result<(), String> {
        let done = Command::new(&self.script)
            .arg("restart")
            .arg(&self.folder)
            .arg(mode)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        match done {
            Ok(status) if status.success() => Ok(()),
            other => Err(format!("Postgres could not be restarted: {other:?}")),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the lab looks at the server from outside of the application")]
    fn connect(&self) -> Result<PgConnection, String> {
        PgConnection::establish(&self.url).map_err(|error| format!("Postgres does not answer: {error}"))
    }
}
