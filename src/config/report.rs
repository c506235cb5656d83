//! What `relatch config check` and the console show: every variable with its effective value and where that comes from.
//!
//! Nothing secret leaves this module: neither keys nor a database URL's password.

use std::fmt;
use std::time::Duration;

use url::Url;

use super::values::Values;
use super::variables::{VARIABLES, Variable};
use super::{Config, DatabaseUrl, Loaded, LogFormat, ProfileClaims, Registration, SecretKeySource};

/// A variable's effective value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The variable.
    pub name: &'static str,
    /// Its value; `set` or `unset` for a secret, `unset` for what has none, a database URL without its password.
    pub value: String,
    /// Where the value comes from.
    pub source: Source,
    /// The line of `.env` that makes it so; `None` for what has no value, or one that is not shown as it is.
    pub assignment: Option<String>,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// The process environment.
    Environment,
    /// The file `.env`.
    DotEnv,
}

impl Source {
    /// One word, as shown to people and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Environment => "environment",
            Self::DotEnv => ".env",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl Loaded {
    /// A table for people, one line a variable: its name, value and source. It ends with a line break.
    pub fn table(&self) -> String {
        let heading = ("NAME", "VALUE", "SOURCE");
        let rows =
            self.config.settings.iter().map(|setting| (setting.name, setting.value.as_str(), setting.source.as_str()));
        let rows: Vec<_> = std::iter::once(heading).chain(rows).collect();
        let width = |text: fn(&(&str, &str, &str)) -> usize| rows.iter().map(text).max().unwrap_or_default();
        let (name_width, value_width) = (width(|row| row.0.chars().count()), width(|row| row.1.chars().count()));
        rows.iter()
            .map(|(name, value, source)| format!("{name:name_width$}  {value:value_width$}  {source}\n"))
            .collect()
    }
}

/// The effective value of every variable.
pub(super) fn settings(config: &Config, values: &Values) -> Vec<Setting> {
    let value = |variable: &Variable| match variable {
        Variable { name, secret: true, .. } => values.get(name).map(|_| "set".to_owned()),
        Variable { name, .. } => effective(name, config),
    };
    let setting = |variable: &Variable| {
        let value = value(variable);
        let is_partial = variable.name == "DATABASE_URL" && is_redacted(&config.database_url);
        Setting {
            name: variable.name,
            assignment: value
                .as_ref()
                .filter(|_| !variable.secret && !is_partial)
                .map(|value| assignment(variable.name, value)),
            value: value.unwrap_or_else(|| "unset".to_owned()).escape_debug().to_string(),
            source: values.source(variable.name),
        }
    };
    VARIABLES.iter().map(setting).collect()
}

/// Written so that `.env` reads the value back.
fn assignment(name: &str, value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:,+@%=[]".contains(&byte);
    if value.bytes().all(is_plain) {
        format!("{name}={value}")
    } else if !value.contains('\'') {
        format!("{name}='{value}'")
    } else {
        let escaped = value.chars().flat_map(|c| "\\\"$".contains(c).then_some('\\').into_iter().chain([c]));
        format!("{name}=\"{}\"", escaped.collect::<String>())
    }
}

/// Whether something of the URL is left out when it is shown.
fn is_redacted(url: &DatabaseUrl) -> bool {
    matches!(url, DatabaseUrl::Postgres(whole) if database_url(url) != *whole.expose())
}

/// The value as it would be written; `None` when there is none.
fn effective(name: &str, config: &Config) -> Option<String> {
    let on_off = |on: bool| if on { "on" } else { "off" }.to_owned();
    let days = |life: Duration| (life.as_secs() / 86_400).to_string();
    Some(match name {
        "DATABASE_URL" => database_url(&config.database_url),
        "DATABASE_CONNECTIONS" => config.database_connections.to_string(),
        "DATABASE_WAIT_SECONDS" => config.database_wait.as_secs().to_string(),
        "BALLAST_MB" => (config.ballast >> 20).to_string(),
        "LISTEN_ADDR" => config.listen_addr.to_string(),
        "MAX_CONNECTIONS" => config.max_connections.to_string(),
        "PUBLIC_URL" => config.public_url.to_string(),
        "SECRET_KEY_FILE" => match &config.secret_key {
            SecretKeySource::Inline(_) => return None,
            SecretKeySource::File { path, .. } => path.display().to_string(),
        },
        "JWT_ALGORITHM" => config.jwt.algorithm.as_str().to_owned(),
        "JWT_ISSUER" => config.jwt.issuer.clone(),
        "JWT_AUDIENCE" => config.jwt.audience.clone(),
        "JWT_TOKEN_EXPIRATION_MINUTES" => (config.jwt.access_token_life.as_secs() / 60).to_string(),
        "JWT_REFRESH_TOKEN_EXPIRATION_DAYS" => days(config.refresh_idle_life),
        "SESSION_MAX_DAYS" => days(config.session_max_life),
        "HISTORY_DAYS" => days(config.history_life),
        "AUDIT_DAYS" => days(config.audit_life),
        "MAINTENANCE" => on_off(config.maintenance),
        "REFRESH_GRACE_SECONDS" => config.refresh_grace.as_secs().to_string(),
        "STATUS_TTL" => config.status_ttl.as_secs().to_string(),
        "BCRYPT_COST" => config.bcrypt_cost.to_string(),
        "PASSWORD_MIN_LENGTH" => config.password_min_length.to_string(),
        "MAX_SESSIONS_PER_USER" => config.max_sessions_per_user.to_string(),
        "KEY_ROTATION_DAYS" => config.key_rotation.map_or_else(|| "0".to_owned(), days),
        "JWKS_MAX_AGE" => config.jwt.jwks_max_age.as_secs().to_string(),
        "JWT_PROFILE_CLAIMS" => on_off(config.jwt.profile_claims == ProfileClaims::Included),
        "INSECURE_DEVELOPMENT" => on_off(config.insecure_development),
        "REGISTRATION" => if config.registration == Registration::Open { "open" } else { "closed" }.to_owned(),
        "RATE_LIMITS" => on_off(config.rate_limits),
        "CORS_ORIGINS" if config.cors_origins.is_empty() => return None,
        "CORS_ORIGINS" => config.cors_origins.join(","),
        "FAULTS" => on_off(config.faults),
        "TRUSTED_PROXIES" if config.trusted_proxies.is_empty() => return None,
        "TRUSTED_PROXIES" => config.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        "METRICS_ADDR" => config.metrics_addr?.to_string(),
        "LOG_LEVEL" => config.log_level.as_str().to_owned(),
        "LOG_FORMAT" => if config.log_format == LogFormat::Text { "text" } else { "json" }.to_owned(),
        _ => return None,
    })
}

fn database_url(url: &DatabaseUrl) -> String {
    match url {
        DatabaseUrl::Sqlite(path) => format!("sqlite://{}", path.display()),
        DatabaseUrl::Postgres(url) => {
            redacted_postgres(url.expose()).unwrap_or_else(|| "postgres://[redacted]".to_owned())
        }
    }
}

/// The URL without what may be secret; `None` when it is not clear what that is.
fn redacted_postgres(url: &str) -> Option<String> {
    let parsed = Url::parse(url).ok()?;
    // Readers of URLs disagree on where a password with these characters ends.
    let at_signs = usize::from(!parsed.username().is_empty() || parsed.password().is_some());
    if url.matches('@').count() != at_signs || parsed.path().contains(':') || parsed.fragment().is_some() {
        return None;
    }
    let user = match (parsed.username(), parsed.password()) {
        ("", None) => String::new(),
        (user, None) => format!("{user}@"),
        (user, Some(_)) => format!("{user}:[redacted]@"),
    };
    let port = parsed.port().map(|port| format!(":{port}")).unwrap_or_default();
    let parameters: Vec<_> = parsed.query().into_iter().flat_map(|query| query.split('&')).map(parameter).collect();
    let query = if parameters.is_empty() { String::new() } else { format!("?{}", parameters.join("&")) };
    let host = parsed.host_str().unwrap_or_default();
    Some(format!("{}://{user}{host}{port}{}{query}", parsed.scheme(), parsed.path()))
}

/// libpq takes passwords as parameters too, and percent-encoded names: only values known to be harmless are shown.
fn parameter(parameter: &str) -> String {
    const HARMLESS: &[&str] = &["application_name", "connect_timeout", "dbname", "host", "port", "sslmode", "user"];
    match parameter.split_once('=') {
        Some((name, _)) if HARMLESS.contains(&name) => parameter.to_owned(),
        Some((name, _)) => format!("{name}=[redacted]"),
        None => "[redacted]".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn a_database_url_is_shown_without_its_password() {
        for (url, expected) in [
            ("postgres://relatch@db/relatch", "postgres://relatch@db/relatch"),
            ("postgresql://u:hunter2@db:5433/r?sslmode=require", "postgresql://u:[redacted]@db:5433/r?sslmode=require"),
            ("postgres://db/r?password=hunter2&user=u", "postgres://db/r?password=[redacted]&user=u"),
            ("postgres://db/r?pass%77ord=hunter2", "postgres://db/r?pass%77ord=[redacted]"),
            ("postgres:///r?host=/run/postgresql", "postgres:///r?host=/run/postgresql"),
        ] {
            assert_eq!(database_url(&DatabaseUrl::Postgres(Secret::new(url.to_owned()))), expected);
        }
    }

    #[test]
    fn an_assignment_is_read_back_as_it_was() {
        for value in
            ["sqlite://data/relatch.db", "a b", "it's", "say \"x\"", "$HOME #1", "it's $5 \\ \"x\"", "[::1]:80", "ä"]
        {
            let read = crate::config::dotenv::parse(&format!("{}\n", assignment("JWT_AUDIENCE", value)));
            assert!(read.problems.is_empty(), "{value}");
            assert_eq!(read.assignments, [("JWT_AUDIENCE".to_owned(), value.to_owned())]);
        }
    }

    #[test]
    fn a_database_url_with_a_password_has_no_assignment() {
        let url = |text: &str| DatabaseUrl::Postgres(Secret::new(text.to_owned()));
        assert!(is_redacted(&url("postgres://u:hunter2@db/r")));
        assert!(is_redacted(&url("postgres://u:hunter2@one:1,two:2/r")));
        assert!(!is_redacted(&url("postgres://u@db/r")));
    }

    #[test]
    fn a_database_url_that_can_be_read_in_two_ways_is_not_shown_at_all() {
        for url in [
            "postgres://u:hunter/2@db/r",
            "postgres://u:12/hunter2@db/r",
            "postgres://u:1#hunter2@db/r",
            "postgres://u:hunter?2@db/r",
            "postgres://u:12?hunter2@db/r",
            "postgres://u:hun@ter2@db/r",
            "postgres://u:hunter2@db/r?password=hun@ter2",
            "postgres://u:hunter2@one:1,two:2/r",
            "postgres://u:hunter2",
            "postgres://db/u:hunter2",
        ] {
            assert_eq!(database_url(&DatabaseUrl::Postgres(Secret::new(url.to_owned()))), "postgres://[redacted]");
        }
    }
}
