//! The configuration: its types, and how it is loaded from the environment and the working directory's `.env`.
//!
//! A leaf: besides `secret` it uses no module of the crate. Everything is parsed once, at start, and all problems are
//! reported together. The process environment is read here and nowhere else.

mod dotenv;
mod parse;
mod problems;
mod public_url;
mod report;
mod rules;
mod sample_keys;
#[cfg(test)]
mod tests;
mod values;
mod variables;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::dotenv::DotEnv;
pub use self::parse::secret_key as parse_secret_key;
pub use self::problems::{ConfigProblems, Problem};
pub use self::public_url::PublicUrl;
pub use self::report::{Setting, Source};
use self::values::Values;
pub use self::variables::{VARIABLES, Variable};
use crate::secret::Secret;

/// Everything that can be configured, checked and ready for use.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the data is.
    pub database_url: DatabaseUrl,
    /// How many connections to the database are held at most, 1 to 500.
    pub database_connections: u32,
    /// How long a request waits for one of them, 1 to 30 seconds.
    pub database_wait: Duration,
    /// How much room is kept for revocations on the disk of an SQLite store, in bytes: 0 to 1 GiB.
    pub ballast: u64,
    /// Where the server listens.
    pub listen_addr: SocketAddr,
    /// How many connections of clients may be open, 64 to 1000000.
    pub max_connections: u32,
    /// What users see.
    pub public_url: PublicUrl,
    /// Where the server's secret comes from.
    pub secret_key: SecretKeySource,
    /// Secrets that are accepted besides, while one is being exchanged for another; at least 32 bytes each.
    pub accepted_secret_keys: Vec<Secret<Vec<u8>>>,
    /// How access tokens are made.
    pub jwt: JwtConfig,
    /// How long a session lives without a rotation, 1 to 365 days.
    pub refresh_idle_life: Duration,
    /// How long a session lives at most, 1 to 3650 days, and never less than the idle life.
    pub session_max_life: Duration,
    /// How long ended sessions and old rotations are kept, 1 to 3650 days.
    pub history_life: Duration,
    /// How long audit events are kept, 1 to 3650 days.
    pub audit_life: Duration,
    /// After how long another signing key takes its turn, 1 to 3650 days; `None` for never.
    pub key_rotation: Option<Duration>,
    /// Whether this instance deletes old rows.
    pub maintenance: bool,
    /// How soon a revocation is known to whoever verifies tokens by the status lists: 5 seconds to an hour; from 2 seconds
    /// in insecure development.
    pub status_ttl: Duration,
    /// How long a repeated rotation gets the same successor, 0 to 300 seconds.
    pub refresh_grace: Duration,
    /// The base-2 logarithm of bcrypt's rounds, 10 to 16; from 4 in insecure development.
    pub bcrypt_cost: u32,
    /// The least number of characters in a password, 8 to 64 (NIST SP 800-63B-4 §3.1.1.2).
    pub password_min_length: usize,
    /// How many live sessions a user may have, 1 to 10000.
    pub max_sessions_per_user: u32,
    /// Safety limits are lifted; only ever true when the public URL is loopback.
    pub insecure_development: bool,
    /// Who may register.
    pub registration: Registration,
    /// Requests are limited in rate; false for load tests.
    pub rate_limits: bool,
    /// The proxies whose `Forwarded` and `X-Forwarded-For` are believed.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// The origins whose pages may call the API, as browsers write them.
    pub cors_origins: Vec<String>,
    /// Requests may ask for faults; only ever true in insecure development.
    pub faults: bool,
    /// Where `/metrics` is served, if anywhere.
    pub metrics_addr: Option<SocketAddr>,
    /// The least important messages that are logged.
    pub log_level: LogLevel,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Every variable with its effective value, in the table's order. No secret is among the values.
    pub settings: Vec<Setting>,
}

impl Config {
    /// The variables that switch safety limits off, as they are set.
    pub fn lifted_limits(&self) -> Vec<&'static str> {
        let lifted = [
            ("RATE_LIMITS=off", !self.rate_limits),
            ("INSECURE_DEVELOPMENT=on", self.insecure_development),
            ("FAULTS=on", self.faults),
        ];
        lifted.into_iter().filter(|(_, is_lifted)| *is_lifted).map(|(variable, _)| variable).collect()
    }
}

/// Where the data is.
#[derive(Clone, Debug)]
pub enum DatabaseUrl {
    /// An SQLite file, relative to the working directory or absolute.
    Sqlite(PathBuf),
    /// A libpq connection URI as it was written. It may hold a password.
    Postgres(Secret<String>),
}

/// Where the server's secret comes from.
#[derive(Clone, Debug)]
pub enum SecretKeySource {
    /// The decoded `SECRET_KEY`, at least 32 bytes.
    Inline(Secret<Vec<u8>>),
    /// A file that holds the secret.
    File {
        /// The file, relative to the working directory or absolute.
        path: PathBuf,
        /// `SECRET_KEY_FILE` names it; otherwise it is the one beside the SQLite file.
        explicit: bool,
    },
}

impl std::fmt::Display for SecretKeySource {
    /// Names the place, never the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("SECRET_KEY"),
            Self::File { path, .. } => path.display().fmt(f),
        }
    }
}

/// How access tokens are made and checked.
#[derive(Clone, Debug)]
pub struct JwtConfig {
    /// What signs them.
    pub algorithm: JwtAlgorithm,
    /// The key of HS256, at least 32 bytes (RFC 7518 §3.2); there is one exactly when the algorithm is HS256.
    pub shared_key: Option<Secret<Vec<u8>>>,
    /// `iss`, a StringOrURI (RFC 7519 §2).
    pub issuer: String,
    /// `aud`, a StringOrURI (RFC 7519 §2).
    pub audience: String,
    /// How long they are valid: 1 to 60 minutes, up to 1440 in insecure development; shorter than the idle life.
    pub access_token_life: Duration,
    /// Whether they say who the user is.
    pub profile_claims: ProfileClaims,
    /// How long verifiers may keep the published keys, 1 minute to 1 day; from 1 second in insecure development.
    pub jwks_max_age: Duration,
}

/// A signature algorithm of access tokens (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JwtAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// HMAC with SHA-256, under a key that every resource server shares.
    Hs256,
}

impl JwtAlgorithm {
    /// The name in a token's `alg`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
            Self::Hs256 => "HS256",
        }
    }
}

/// Whether access tokens carry `unique_name` and `email`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileClaims {
    /// They do.
    Included,
    /// They do not.
    Omitted,
}

/// Who may register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Anyone, for themselves.
    Open,
    /// Nobody: an admin registers users.
    Closed,
}

/// The least important messages that are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    /// The name, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A configuration, and what there is to say about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is allowed and yet deserves a look.
    pub warnings: Vec<String>,
}

/// Loads the configuration from the process environment and from `.env` in the working directory, if there is one.
///
/// The environment wins, and it is not changed. Errors: everything that is wrong, at once.
pub fn load() -> Result<Loaded, ConfigProblems> {
    let (environment, mut problems) = values::utf8(std::env::vars_os());
    let DotEnv { assignments, problems: more, world_readable } = dotenv::read(Path::new(".env"));
    problems.extend(more);
    let values = Values::gather(environment, assignments, &mut problems);
    let mut loaded = evaluate(&values, problems)?;
    if world_readable && values.secret_in_dotenv() {
        loaded
            .warnings
            .push(".env holds secrets and every account on this machine may read it; run chmod 600 .env".into());
    }
    Ok(loaded)
}

/// Makes a configuration of these assignments alone; `environment` wins over `dotenv`.
///
/// Errors: everything that is wrong, at once.
pub fn from_sources(
    environment: impl IntoIterator<Item = (String, String)>,
    dotenv: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded, ConfigProblems> {
    let mut problems = Vec::new();
    let values = Values::gather(environment, dotenv, &mut problems);
    evaluate(&values, problems)
}

fn evaluate(values: &Values, problems: Vec<Problem>) -> Result<Loaded, ConfigProblems> {
    let mut reader = rules::Reader { values, problems, warnings: Vec::new() };
    match rules::config(&mut reader) {
        Some(config) if reader.problems.is_empty() => {
            let settings = report::settings(&config, values);
            Ok(Loaded { config: Config { settings, ..config }, warnings: reader.warnings })
        }
        _ => Err(ConfigProblems::new(reader.problems)),
    }
}
