//! Every variable of the configuration, in one table: name, default, meaning, and whether its value is secret.
//!
//! The table is what `.env.example`, `relatch config check` and the search for misspelt names go by. How a value is
//! read is not told here.

/// One variable.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name in the environment and in `.env`.
    pub name: &'static str,
    /// Its default while every other variable is unset too; `None` where there is none.
    pub default: Option<&'static str>,
    /// What it means, in one line.
    pub meaning: &'static str,
    /// Its value is never shown, only whether there is one.
    pub secret: bool,
}

const fn variable(name: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable { name, default: Some(default), meaning, secret: false }
}

const fn optional(name: &'static str, meaning: &'static str) -> Variable {
    Variable { name, default: None, meaning, secret: false }
}

const fn secret(name: &'static str, meaning: &'static str) -> Variable {
    Variable { name, default: None, meaning, secret: true }
}

/// All variables, in the order in which they are documented and shown.
pub const VARIABLES: &[Variable] = &[
    variable("DATABASE_URL", "sqlite://data/relatch.db", "where the data is: sqlite://path or postgres://…"),
    variable("DATABASE_CONNECTIONS", "16", "connections to the database, 1 to 500"),
    variable("DATABASE_WAIT_SECONDS", "2", "how long a request waits for one of them, 1 to 30 seconds"),
    variable("BALLAST_MB", "16", "room that is kept for revocations on the disk of an SQLite store, 0 to 1024 MiB"),
    variable("LISTEN_ADDR", "127.0.0.1:8080", "address and port to serve on"),
    variable("MAX_CONNECTIONS", "10000", "connections of clients, of one address a quarter of them, 64 to 1000000"),
    variable("PUBLIC_URL", "http://127.0.0.1:8080", "what users see; http:// and LISTEN_ADDR by default"),
    secret("SECRET_KEY", "base64 of at least 32 random bytes; this or SECRET_KEY_FILE"),
    variable("SECRET_KEY_FILE", "data/secret.key", "file of that key; beside the SQLite file by default"),
    secret("SECRET_KEYS_ACCEPTED", "up to 8 more keys that are accepted while SECRET_KEY is being exchanged"),
    variable("JWT_ALGORITHM", "ES256", "ES256, EdDSA, RS256 or HS256; HS256 by default when JWT_KEY is set"),
    secret("JWT_KEY", "the shared key of HS256, at least 32 bytes"),
    variable("JWT_ISSUER", "http://127.0.0.1:8080", "iss of access tokens; PUBLIC_URL by default"),
    variable("JWT_AUDIENCE", "relatch", "aud of access tokens"),
    variable("JWT_TOKEN_EXPIRATION_MINUTES", "15", "life of an access token, 1 to 60 minutes"),
    variable("JWT_REFRESH_TOKEN_EXPIRATION_DAYS", "7", "idle life of a session, 1 to 365 days"),
    variable("SESSION_MAX_DAYS", "90", "absolute life of a session, 1 to 3650 days"),
    variable("REFRESH_GRACE_SECONDS", "30", "how long a retried refresh gets the same answer, 0 to 300 seconds"),
    variable("STATUS_TTL", "15", "how soon others see a revocation in the status lists, 5 to 3600 seconds"),
    variable("HISTORY_DAYS", "30", "how long ended sessions and old rotations are kept, 1 to 3650 days"),
    variable("AUDIT_DAYS", "400", "how long audit events are kept, 1 to 3650 days"),
    variable("MAINTENANCE", "on", "off leaves the deletion of old rows to other instances"),
    variable("BCRYPT_COST", "12", "work factor of password hashes, 10 to 16"),
    variable("PASSWORD_MIN_LENGTH", "8", "characters of a password, at least 8 to 64"),
    variable("MAX_SESSIONS_PER_USER", "100", "live sessions of a user, 1 to 10000; the least recently used ends"),
    variable("KEY_ROTATION_DAYS", "90", "after how many days another signing key takes its turn, 0 (never) to 3650"),
    variable("JWKS_MAX_AGE", "600", "how long verifiers may keep the published keys, 60 to 86400 seconds"),
    variable("JWT_PROFILE_CLAIMS", "on", "off leaves unique_name and email out of access tokens"),
    variable("INSECURE_DEVELOPMENT", "off", "on lifts safety limits, on a loopback PUBLIC_URL only"),
    variable("REGISTRATION", "open", "open to anyone, or closed: only an admin registers"),
    variable("RATE_LIMITS", "on", "throttling of guesses, registrations and refreshes; off for load tests alone"),
    optional("TRUSTED_PROXIES", "addresses and CIDRs whose Forwarded and X-Forwarded-For are believed"),
    optional("CORS_ORIGINS", "origins whose pages may call the API, such as https://app.example.com"),
    variable("FAULTS", "off", "on lets a header ask for lost and late answers, in insecure development only"),
    optional("METRICS_ADDR", "address and port of a separate listener for /metrics"),
    variable("LOG_LEVEL", "info", "error, warn, info, debug or trace"),
    variable("LOG_FORMAT", "text", "text or json"),
];

/// The variable of exactly this name.
pub(super) fn find(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|variable| variable.name == name)
}

/// The name of a variable that resembles `name` most, with or without the prefix `RELATCH_`.
pub(super) fn nearest(name: &str) -> &'static str {
    let name = name.to_uppercase();
    let bare = name.strip_prefix(PREFIX).unwrap_or(&name);
    let distance = |known: &str| strsim::osa_distance(&name, known).min(strsim::osa_distance(bare, known));
    VARIABLES.iter().map(|variable| variable.name).min_by_key(|known| distance(known)).unwrap_or_default()
}

/// Whether an unknown name claims to be Relatch's own.
pub(super) fn has_prefix(name: &str) -> bool {
    name.to_uppercase().starts_with(PREFIX)
}

/// The variable that an unknown name of `.env` was meant to be, if it comes close to one.
///
/// `.env` may serve other programs too, so a name must be within two edits of a known one or be a plain variant of it.
pub(super) fn misspelt(name: &str) -> Option<&'static str> {
    let name = name.to_uppercase();
    let known = nearest(&name);
    if strsim::osa_distance(&name, known) <= 2 {
        return Some(known);
    }
    VARIABLES.iter().map(|variable| variable.name).find(|known| is_variant(&name, known))
}

const PREFIX: &str = "RELATCH_";
/// Shorter names resemble each other by chance.
const LONG: usize = 12;

/// Whether a long name differs by a prefix, by separators, or by its last word alone, such as the unit of time.
fn is_variant(name: &str, known: &str) -> bool {
    let squash = |text: &str| text.replace(['_', '.'], "");
    let stem = known.rsplit_once('_').map_or(known, |(stem, _)| stem);
    let longer_word = name.strip_prefix(known).is_some_and(|rest| !rest.contains(['_', '.']));
    let shorter = name.len() >= LONG && (known.starts_with(name) || known.ends_with(name));
    // DATABASE_URL belongs to everybody: TEST_DATABASE_URL is a fine name for another program's variable.
    let prefixed = known.len() > LONG && name.strip_suffix(known).is_some_and(|prefix| prefix.ends_with(['_', '.']));
    let same_stem = stem.len() >= LONG && name.strip_prefix(stem).is_some_and(|rest| rest.starts_with(['_', '.']));
    let respaced = name.len() >= LONG && squash(name) == squash(known);
    longer_word || shorter || prefixed || same_stem || respaced
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const EXAMPLE: &str = include_str!("../../.env.example");

    /// The commented-out assignments of `.env.example`; an empty value stands for no default.
    fn example() -> Vec<(&'static str, Option<&'static str>)> {
        EXAMPLE
            .lines()
            .filter_map(|line| line.strip_prefix("# ")?.split_once('='))
            .filter(|(name, _)| name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_'))
            .map(|(name, value)| (name, Some(value).filter(|value| !value.is_empty())))
            .collect()
    }

    #[test]
    fn the_example_file_names_every_variable_once_with_its_default_and_no_other() {
        let table: Vec<_> = VARIABLES.iter().map(|variable| (variable.name, variable.default)).collect();
        assert_eq!(example(), table);
        assert_eq!(table.iter().copied().collect::<BTreeMap<_, _>>().len(), table.len());
    }

    #[test]
    fn t1_no_secret_has_a_default_nor_a_value_in_the_example_file() {
        for name in ["SECRET_KEY", "SECRET_KEYS_ACCEPTED", "JWT_KEY"] {
            assert!(find(name).is_some_and(|variable| variable.secret && variable.default.is_none()), "{name}");
            assert!(example().contains(&(name, None)), "{name}");
        }
        let secrets = VARIABLES.iter().filter(|variable| variable.secret);
        assert_eq!(secrets.filter(|variable| variable.default.is_none()).count(), 3);
    }

    #[test]
    fn the_example_file_sets_nothing_and_comments_each_variable() {
        assert!(EXAMPLE.lines().all(|line| line.is_empty() || line.starts_with('#')));
        for paragraph in EXAMPLE.split("\n\n").filter(|paragraph| paragraph.contains('=')) {
            let first = paragraph.lines().next().unwrap_or_default();
            assert!(first.starts_with("# ") && !first.contains('='), "no comment above:\n{paragraph}");
        }
    }

    #[test]
    fn the_example_file_is_accepted_with_every_default_uncommented() {
        let text: String = example()
            .iter()
            .filter_map(|(name, default)| default.map(|default| format!("{name}={default}\n")))
            .collect();
        let read = super::super::dotenv::parse(&text);
        assert!(read.problems.is_empty());
        let loaded = super::super::from_sources([], read.assignments);
        assert!(loaded.is_ok_and(|loaded| loaded.warnings.is_empty()));
    }

    #[test]
    fn a_slip_of_the_pen_is_taken_for_the_variable_it_resembles() {
        for (name, meant) in [
            ("JWT_KYE", "JWT_KEY"),
            ("DATABSE_URL", "DATABASE_URL"),
            ("database_url", "DATABASE_URL"),
            ("LISTEN_ADDRESS", "LISTEN_ADDR"),
            ("RELATCH_JWT_ISSUER", "JWT_ISSUER"),
            ("APP_MAX_SESSIONS_PER_USER", "MAX_SESSIONS_PER_USER"),
            ("JWT.REFRESH.TOKEN.EXPIRATION.DAYS", "JWT_REFRESH_TOKEN_EXPIRATION_DAYS"),
            ("REFRESHGRACESECONDS", "REFRESH_GRACE_SECONDS"),
            ("REFRESH_GRACE_MINUTES", "REFRESH_GRACE_SECONDS"),
            ("JWT_TOKEN_EXPIRATION_HOURS", "JWT_TOKEN_EXPIRATION_MINUTES"),
            ("JWT_TOKEN_EXPIRATION", "JWT_TOKEN_EXPIRATION_MINUTES"),
            ("REFRESH_TOKEN_EXPIRATION_DAYS", "JWT_REFRESH_TOKEN_EXPIRATION_DAYS"),
        ] {
            assert_eq!(misspelt(name).or_else(|| has_prefix(name).then(|| nearest(name))), Some(meant), "{name}");
        }
    }

    #[test]
    fn another_programs_variable_is_not_taken_for_a_slip() {
        for name in ["TEST_DATABASE_URL", "DATABASE_URL_TEST", "POSTGRES_PASSWORD", "PORT", "HOST", "RUST_LOG", "TZ"] {
            assert_eq!(misspelt(name), None, "{name}");
        }
    }
}
