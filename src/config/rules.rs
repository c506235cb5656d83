//! From the values to the configuration: which function reads which variable, and the rules between variables.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use super::parse::{self, Parsed};
use super::values::Values;
use super::{Config, DatabaseUrl, JwtAlgorithm, JwtConfig, Problem, PublicUrl, SecretKeySource};

/// Reads values and keeps what is to be said about them.
pub(super) struct Reader<'a> {
    pub(super) values: &'a Values,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
}

/// The configuration, unless something is wrong; every variable is looked at first.
pub(super) fn config(reader: &mut Reader<'_>) -> Option<Config> {
    let database_url = reader.required("DATABASE_URL", parse::database_url);
    let database_connections = reader.number("DATABASE_CONNECTIONS", 1..=500, "connections");
    let database_wait = reader.number("DATABASE_WAIT_SECONDS", 1..=30, "seconds");
    let ballast_mb = reader.number("BALLAST_MB", 0..=1_024, "MiB");
    let listen_addr = reader.required("LISTEN_ADDR", parse::socket_address);
    let max_connections = reader.number("MAX_CONNECTIONS", 64..=1_000_000, "connections");
    let public_url = public_url(reader, listen_addr);
    let insecure_development = insecure_development(reader, public_url.as_ref());
    let insecure = insecure_development.unwrap_or_default();
    let secret_key = secret_key(reader, database_url.as_ref());
    let accepted_secret_keys = reader.optional("SECRET_KEYS_ACCEPTED", parse::secret_keys);
    let lives = lives(reader, insecure);
    let jwt = jwt(reader, public_url.as_ref(), lives.as_ref(), insecure);
    let key_rotation_days = reader.number("KEY_ROTATION_DAYS", 0..=3_650, "days; 0 is never");
    let status_ttl = reader.number("STATUS_TTL", if insecure { 2..=3_600 } else { 5..=3_600 }, "seconds");
    let refresh_grace = reader.number("REFRESH_GRACE_SECONDS", 0..=300, "seconds");
    let history_days = reader.number("HISTORY_DAYS", 1..=3_650, "days");
    let audit_days = reader.number("AUDIT_DAYS", 1..=3_650, "days");
    let maintenance = reader.required("MAINTENANCE", parse::on_off);
    let bcrypt_cost =
        reader.number("BCRYPT_COST", if insecure { 4..=16 } else { 10..=16 }, "each step doubles the time");
    let password_min_length = reader.number("PASSWORD_MIN_LENGTH", 8..=64, "characters");
    let max_sessions_per_user = reader.number("MAX_SESSIONS_PER_USER", 1..=10_000, "sessions");
    let registration = reader.required("REGISTRATION", parse::registration);
    let rate_limits = rate_limits(reader, public_url.as_ref());
    let trusted_proxies = trusted_proxies(reader);
    let is_behind_a_proxy = public_url.as_ref().is_some_and(PublicUrl::is_https);
    if is_behind_a_proxy && rate_limits == Some(true) && trusted_proxies.as_ref().is_some_and(Vec::is_empty) {
        reader.warn(
            "TRUSTED_PROXIES is empty although PUBLIC_URL is https: all clients seem to be at the proxy's address, \
             so that what is tried by one is counted against all; name the proxy there",
        );
    }
    let cors_origins = reader.optional("CORS_ORIGINS", parse::origins);
    let faults = faults(reader, insecure_development);
    let metrics_addr = metrics_addr(reader, listen_addr);
    let log_level = reader.required("LOG_LEVEL", parse::log_level);
    let log_format = reader.required("LOG_FORMAT", parse::log_format);
    let lives = lives?;
    Some(Config {
        database_url: database_url?,
        database_connections: database_connections?,
        database_wait: Duration::from_secs(database_wait?.into()),
        ballast: u64::from(ballast_mb?) << 20,
        listen_addr: listen_addr?,
        max_connections: max_connections?,
        public_url: public_url?,
        secret_key: secret_key?,
        accepted_secret_keys: accepted_secret_keys?.unwrap_or_default(),
        jwt: jwt?,
        refresh_idle_life: lives.idle,
        session_max_life: lives.session,
        history_life: Duration::from_hours(24 * u64::from(history_days?)),
        audit_life: Duration::from_hours(24 * u64::from(audit_days?)),
        key_rotation: Some(key_rotation_days?)
            .filter(|days| *days > 0)
            .map(|days| Duration::from_hours(24 * u64::from(days))),
        maintenance: maintenance?,
        status_ttl: Duration::from_secs(status_ttl?.into()),
        refresh_grace: Duration::from_secs(refresh_grace?.into()),
        bcrypt_cost: bcrypt_cost?,
        password_min_length: usize::try_from(password_min_length?).ok()?,
        max_sessions_per_user: max_sessions_per_user?,
        insecure_development: insecure_development?,
        registration: registration?,
        rate_limits: rate_limits?,
        trusted_proxies: trusted_proxies?,
        cors_origins: cors_origins?.unwrap_or_default(),
        faults: faults?,
        metrics_addr: metrics_addr?,
        log_level: log_level?,
        log_format: log_format?,
        // What the report makes of all this comes last.
        settings: Vec::new(),
    })
}

impl Reader<'_> {
    /// The value of a variable that has a default; `None` after a problem.
    fn required<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Parsed<T>) -> Option<T> {
        self.note(name, parse(self.values.get_or_default(name)?))
    }

    /// The value of a variable that may be unset; the outer `None` after a problem.
    fn optional<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Parsed<T>) -> Option<Option<T>> {
        match self.values.get(name) {
            Some(text) => self.note(name, parse(text)).map(Some),
            None => Some(None),
        }
    }

    fn number(&mut self, name: &str, range: RangeInclusive<u32>, unit: &str) -> Option<u32> {
        self.required(name, |text| parse::number(text, range, unit))
    }

    fn note<T>(&mut self, name: &str, parsed: Parsed<T>) -> Option<T> {
        parsed.map_err(|wrong| self.refuse(name, wrong)).ok()
    }

    fn refuse(&mut self, name: &str, what: impl Into<String>) {
        self.problems.push(Problem::new(name, what.into()));
    }

    fn warn(&mut self, what: &str) {
        self.warnings.push(what.to_owned());
    }
}

fn public_url(reader: &mut Reader<'_>, listen_addr: Option<SocketAddr>) -> Option<PublicUrl> {
    let url = match reader.optional("PUBLIC_URL", PublicUrl::parse)? {
        Some(url) => url,
        None if listen_addr?.ip().is_unspecified() => {
            let what = "is needed as LISTEN_ADDR is every address of the machine; \
                        write the URL that users open, for example PUBLIC_URL=https://auth.example.com";
            reader.refuse("PUBLIC_URL", what);
            return None;
        }
        None => reader.note("PUBLIC_URL", PublicUrl::of_address(listen_addr?))?,
    };
    if !url.is_https() && !url.is_loopback() {
        reader.warn(
            "PUBLIC_URL is plain http on a host that is not this machine: passwords and tokens cross the network in \
             the open; put a TLS proxy in front and write PUBLIC_URL=https://…",
        );
    }
    Some(url)
}

fn insecure_development(reader: &mut Reader<'_>, public_url: Option<&PublicUrl>) -> Option<bool> {
    let insecure = reader.required("INSECURE_DEVELOPMENT", parse::on_off)?;
    if insecure && public_url.is_some_and(|url| !url.is_loopback()) {
        let what = "is on while PUBLIC_URL is not on this machine; write INSECURE_DEVELOPMENT=off";
        reader.refuse("INSECURE_DEVELOPMENT", what);
    } else if insecure {
        reader.warn("INSECURE_DEVELOPMENT is on: safety limits are lifted; never serve real users with it");
    }
    Some(insecure)
}

fn secret_key(reader: &mut Reader<'_>, database_url: Option<&DatabaseUrl>) -> Option<SecretKeySource> {
    let inline = reader.optional("SECRET_KEY", parse::secret_key);
    let file = reader.optional("SECRET_KEY_FILE", parse::file);
    if reader.values.get("SECRET_KEY").is_some() && reader.values.get("SECRET_KEY_FILE").is_some() {
        reader.refuse("SECRET_KEY_FILE", "is set together with SECRET_KEY; write only one of them");
        return None;
    }
    match (inline?, file?, database_url?) {
        (Some(key), _, _) => Some(SecretKeySource::Inline(key)),
        (None, Some(path), _) => Some(SecretKeySource::File { path, explicit: true }),
        (None, None, DatabaseUrl::Sqlite(database)) => {
            let folder = database.parent().unwrap_or(Path::new(""));
            Some(SecretKeySource::File { path: folder.join("secret.key"), explicit: false })
        }
        (None, None, DatabaseUrl::Postgres(_)) => {
            let what = "is needed with Postgres; write what `openssl rand -base64 32` prints, \
                        or the path of a file that holds it in SECRET_KEY_FILE";
            reader.refuse("SECRET_KEY", what);
            None
        }
    }
}

/// How long tokens and sessions live.
struct Lives {
    access: Duration,
    idle: Duration,
    session: Duration,
}

fn lives(reader: &mut Reader<'_>, insecure: bool) -> Option<Lives> {
    let minutes = if insecure { 1..=1_440 } else { 1..=60 };
    let access = reader.number("JWT_TOKEN_EXPIRATION_MINUTES", minutes, "minutes");
    let idle = reader.number("JWT_REFRESH_TOKEN_EXPIRATION_DAYS", 1..=365, "days");
    let session = reader.number("SESSION_MAX_DAYS", 1..=3_650, "days");
    let (access, idle, session) = (access?, idle?, session?);
    let lives = Lives {
        access: Duration::from_mins(access.into()),
        idle: Duration::from_hours(24 * u64::from(idle)),
        session: Duration::from_hours(24 * u64::from(session)),
    };
    if lives.access >= lives.idle {
        let what = format!("must be shorter than JWT_REFRESH_TOKEN_EXPIRATION_DAYS={idle}; write fewer minutes");
        reader.refuse("JWT_TOKEN_EXPIRATION_MINUTES", what);
    }
    if lives.session < lives.idle {
        let what = format!("is {session}, less than JWT_REFRESH_TOKEN_EXPIRATION_DAYS; write at least {idle}");
        reader.refuse("SESSION_MAX_DAYS", what);
    }
    Some(lives)
}

fn jwt(
    reader: &mut Reader<'_>,
    public_url: Option<&PublicUrl>,
    lives: Option<&Lives>,
    insecure: bool,
) -> Option<JwtConfig> {
    let key = reader.values.get("JWT_KEY");
    if key.is_some_and(|key| key.trim() != key) {
        reader.warn("JWT_KEY begins or ends with white space, which is part of the key");
    }
    let shared_key = reader.optional("JWT_KEY", parse::jwt_key);
    let algorithm = match reader.optional("JWT_ALGORITHM", parse::jwt_algorithm) {
        Some(None) if key.is_some() => Some(JwtAlgorithm::Hs256),
        Some(None) => Some(JwtAlgorithm::Es256),
        Some(Some(JwtAlgorithm::Hs256)) if key.is_none() => {
            reader.refuse("JWT_KEY", "is needed for JWT_ALGORITHM=HS256; write what `openssl rand -base64 48` prints");
            None
        }
        Some(Some(algorithm)) if algorithm != JwtAlgorithm::Hs256 && key.is_some() => {
            let what =
                format!("is {}, which has no use for JWT_KEY; write HS256, or unset JWT_KEY", algorithm.as_str());
            reader.refuse("JWT_ALGORITHM", what);
            None
        }
        written => written.flatten(),
    };
    let issuer = reader.optional("JWT_ISSUER", parse::string_or_uri);
    if issuer.iter().flatten().any(|issuer| !parse::is_web_address(issuer)) {
        reader.warn(
            "JWT_ISSUER is no http or https URL, or has a query or fragment: libraries that find the keys by their \
             issuer must be told the URL of the keys instead (PUBLIC_URL and /.well-known/jwks.json)",
        );
    }
    let audience = reader.required("JWT_AUDIENCE", parse::string_or_uri);
    let profile_claims = reader.required("JWT_PROFILE_CLAIMS", parse::profile_claims);
    let jwks_max_age = reader.number("JWKS_MAX_AGE", if insecure { 1..=86_400 } else { 60..=86_400 }, "seconds");
    Some(JwtConfig {
        algorithm: algorithm?,
        shared_key: shared_key?,
        issuer: issuer?.or_else(|| public_url.map(|url| url.as_str().to_owned()))?,
        audience: audience?,
        access_token_life: lives?.access,
        profile_claims: profile_claims?,
        jwks_max_age: Duration::from_secs(jwks_max_age?.into()),
    })
}

fn rate_limits(reader: &mut Reader<'_>, public_url: Option<&PublicUrl>) -> Option<bool> {
    let limits = reader.required("RATE_LIMITS", parse::on_off)?;
    if !limits && public_url.is_some_and(|url| !url.is_loopback()) {
        reader.warn("RATE_LIMITS is off: passwords can be guessed, accounts made and sessions refreshed as often as the server manages");
    }
    Some(limits)
}

fn trusted_proxies(reader: &mut Reader<'_>) -> Option<Vec<ipnet::IpNet>> {
    let networks = reader.optional("TRUSTED_PROXIES", parse::networks)?.unwrap_or_default();
    if networks.iter().any(|network| network.prefix_len() == 0) {
        reader.warn("TRUSTED_PROXIES holds every address: any client can claim to be at any other");
    }
    Some(networks)
}

fn faults(reader: &mut Reader<'_>, insecure_development: Option<bool>) -> Option<bool> {
    let faults = reader.required("FAULTS", parse::on_off)?;
    if faults && insecure_development == Some(false) {
        let what = "is for trying out clients on a development server alone; write FAULTS=off, \
                    or INSECURE_DEVELOPMENT=on besides";
        reader.refuse("FAULTS", what);
        return None;
    }
    Some(faults)
}

fn metrics_addr(reader: &mut Reader<'_>, listen_addr: Option<SocketAddr>) -> Option<Option<SocketAddr>> {
    let metrics = reader.optional("METRICS_ADDR", parse::socket_address)?;
    if metrics.is_some_and(|address| address.port() != 0) && metrics == listen_addr {
        reader.refuse("METRICS_ADDR", "is the same as LISTEN_ADDR; write another port");
    }
    Some(metrics)
}
