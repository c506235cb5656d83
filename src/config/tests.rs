//! The rules of the configuration, from assignments to what becomes of them.

use std::ffi::OsString;
use std::path::Path;

use super::*;

type Pairs<'a> = &'a [(&'a str, &'a str)];

/// 32 bytes, in URL-safe base64 with padding; it holds `-` and `_`.
const KEY: &str = "-_8BAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4=";
const JWT_KEY: &str = "q2V7hX0c9T4nZbR1mK8sLw5yUe3gJd6f";
const POSTGRES: &str = "postgres://relatch:hunter2@db.example/relatch";

fn both(environment: Pairs<'_>, dotenv: Pairs<'_>) -> Result<Loaded, ConfigProblems> {
    let owned = |pairs: Pairs<'_>| -> Vec<_> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    from_sources(owned(environment), owned(dotenv))
}

fn loaded(environment: Pairs<'_>) -> Loaded {
    both(environment, &[]).unwrap_or_else(|problems| panic!("{environment:?}: {problems}"))
}

fn config(environment: Pairs<'_>) -> Config {
    loaded(environment).config
}

/// The problems, which must be as many as the variables named.
fn refused(environment: Pairs<'_>, variables: &[&str]) -> String {
    let problems = both(environment, &[]).map(|_| ()).expect_err(&format!("{environment:?} was accepted"));
    assert_eq!(problems.iter().map(|problem| problem.variable.as_str()).collect::<Vec<_>>(), variables, "{problems}");
    for problem in problems.iter() {
        assert!(problem.message.contains("; ") || problem.message.contains("write"), "what to write? {problem}");
    }
    problems.to_string()
}

fn setting(loaded: &Loaded, name: &str) -> (String, Source) {
    let found = loaded.config.settings.iter().find(|setting| setting.name == name).unwrap();
    (found.value.clone(), found.source)
}

#[test]
fn everything_has_the_default_of_the_table() {
    let loaded = loaded(&[]);
    for (setting, variable) in loaded.config.settings.iter().zip(VARIABLES) {
        assert_eq!(setting.name, variable.name);
        assert_eq!(setting.value, variable.default.unwrap_or("unset"), "{}", variable.name);
        assert_eq!(setting.source, Source::Default);
    }
    assert_eq!(loaded.config.settings.len(), VARIABLES.len());
    assert!(loaded.warnings.is_empty());
    let config = loaded.config;
    assert_eq!(config.jwt.access_token_life, Duration::from_mins(15));
    assert_eq!(config.refresh_idle_life, Duration::from_hours(7 * 24));
    assert_eq!(config.session_max_life, Duration::from_hours(90 * 24));
    assert_eq!(config.refresh_grace, Duration::from_secs(30));
    assert!(
        matches!(&config.secret_key, SecretKeySource::File { path, explicit: false } if path == Path::new("data/secret.key"))
    );
}

#[test]
fn every_variable_is_read_and_shown() {
    let values: Pairs<'_> = &[
        ("DATABASE_URL", "sqlite:///var/lib/relatch/r.db"),
        ("DATABASE_CONNECTIONS", "8"),
        ("DATABASE_WAIT_SECONDS", "5"),
        ("BALLAST_MB", "32"),
        ("LISTEN_ADDR", "[::]:9000"),
        ("MAX_CONNECTIONS", "20000"),
        ("PUBLIC_URL", "https://auth.example.com"),
        ("SECRET_KEY_FILE", "/run/secrets/key"),
        ("SECRET_KEYS_ACCEPTED", KEY),
        ("JWT_ALGORITHM", "HS256"),
        ("JWT_KEY", JWT_KEY),
        ("JWT_ISSUER", "urn:example:issuer"),
        ("JWT_AUDIENCE", "api"),
        ("JWT_TOKEN_EXPIRATION_MINUTES", "5"),
        ("JWT_REFRESH_TOKEN_EXPIRATION_DAYS", "14"),
        ("SESSION_MAX_DAYS", "30"),
        ("REFRESH_GRACE_SECONDS", "0"),
        ("STATUS_TTL", "60"),
        ("HISTORY_DAYS", "60"),
        ("AUDIT_DAYS", "90"),
        ("MAINTENANCE", "off"),
        ("BCRYPT_COST", "13"),
        ("PASSWORD_MIN_LENGTH", "15"),
        ("MAX_SESSIONS_PER_USER", "5"),
        ("KEY_ROTATION_DAYS", "0"),
        ("JWKS_MAX_AGE", "3600"),
        ("JWT_PROFILE_CLAIMS", "off"),
        ("REGISTRATION", "closed"),
        ("RATE_LIMITS", "off"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,::1/128"),
        ("CORS_ORIGINS", "https://app.example.com"),
        ("METRICS_ADDR", "127.0.0.1:9090"),
        ("LOG_LEVEL", "debug"),
        ("LOG_FORMAT", "json"),
    ];
    let result = loaded(values);
    for (name, value) in values {
        let secret = variables::find(name).unwrap().secret;
        let expected = if secret { "set" } else { value };
        assert_eq!(setting(&result, name), (expected.to_owned(), Source::Environment), "{name}");
    }
    let left = ["SECRET_KEY", "INSECURE_DEVELOPMENT", "FAULTS"];
    assert_eq!(values.len() + left.len(), VARIABLES.len());
    let other = loaded(&[("SECRET_KEY", KEY), ("INSECURE_DEVELOPMENT", "on"), ("FAULTS", "on")]);
    assert_eq!(setting(&other, "SECRET_KEY"), ("set".to_owned(), Source::Environment));
    assert_eq!(setting(&other, "SECRET_KEY_FILE"), ("unset".to_owned(), Source::Default));
    for name in ["INSECURE_DEVELOPMENT", "FAULTS"] {
        assert_eq!(setting(&other, name), ("on".to_owned(), Source::Environment));
    }
}

#[test]
fn all_problems_are_reported_at_once_one_a_line() {
    let text = refused(
        &[
            ("RELATCH_LOG_LEVEL", "info"),
            ("DATABASE_URL", "mysql://u:hunter2@db/r"),
            ("LISTEN_ADDR", "localhost:8080"),
            ("BCRYPT_COST", "9"),
            ("LOG_FORMAT", "xml"),
        ],
        &["RELATCH_LOG_LEVEL", "DATABASE_URL", "LISTEN_ADDR", "BCRYPT_COST", "LOG_FORMAT"],
    );
    assert_eq!(text.lines().count(), 5);
    assert!(text.contains("BCRYPT_COST: \"9\" is not allowed; write a whole number from 10 to 16"), "{text}");
}

#[test]
fn an_empty_value_counts_as_unset() {
    let loaded = both(&[("LOG_LEVEL", ""), ("JWT_KEY", ""), ("RELATCH_X", "")], &[("LOG_LEVEL", "warn")]).unwrap();
    assert_eq!(loaded.config.log_level, LogLevel::Warn);
    assert_eq!(loaded.config.jwt.algorithm, JwtAlgorithm::Es256);
}

#[test]
fn the_environment_wins_over_dotenv() {
    let loaded = both(&[("LOG_LEVEL", "error")], &[("LOG_LEVEL", "nonsense"), ("LOG_FORMAT", "json")]).unwrap();
    assert_eq!(setting(&loaded, "LOG_LEVEL"), ("error".to_owned(), Source::Environment));
    assert_eq!(setting(&loaded, "LOG_FORMAT"), ("json".to_owned(), Source::DotEnv));
    assert_eq!(setting(&loaded, "REGISTRATION"), ("open".to_owned(), Source::Default));
}

#[test]
fn unknown_names_are_refused_where_they_are_meant_for_relatch() {
    let text = refused(&[("RELATCH_DATABASE_ULR", "x"), ("UNRELATED", "y")], &["RELATCH_DATABASE_ULR"]);
    assert!(text.contains("have no prefix; write DATABASE_URL"), "{text}");
    let problems = both(&[], &[("DATABSE_URL", "x"), ("relatch_port", "y"), ("OTHER", "z")]).unwrap_err().to_string();
    assert_eq!(problems.lines().count(), 2, "{problems}");
    assert!(problems.starts_with("DATABSE_URL: is not a variable of Relatch; write DATABASE_URL"), "{problems}");
    // A slip in the environment may be another program's variable.
    assert!(both(&[("DATABSE_URL", "x")], &[]).is_ok());
}

#[test]
fn a_name_with_a_line_break_cannot_forge_a_problem() {
    assert_eq!(refused(&[("RELATCH_\nX", "y")], &["RELATCH_\\nX"]).lines().count(), 1);
}

#[test]
fn a_variable_that_dotenv_sets_twice_is_refused() {
    let problems = both(&[], &[("LOG_LEVEL", "info"), ("LOG_LEVEL", "warn")]).unwrap_err();
    assert_eq!(problems.to_string(), "LOG_LEVEL: is set more than once in .env; keep one of the lines");
}

#[test]
fn database_urls_are_sqlite_files_and_postgres_servers() {
    for (url, expected) in
        [("sqlite://r.db", "r.db"), ("sqlite://a b/r.db", "a b/r.db"), ("sqlite:///var/r.db", "/var/r.db")]
    {
        let parsed = config(&[("DATABASE_URL", url)]).database_url;
        assert!(matches!(parsed, DatabaseUrl::Sqlite(path) if path == Path::new(expected)), "{url}");
    }
    let mistakable =
        ["postgres://u:%25%40%2F@[::1]:5432,db:/r?host=/run&user=a%40b", "postgres://u@db?sslmode=disable"];
    for url in mistakable.into_iter().chain([
        POSTGRES,
        "postgresql://one,two/r?sslmode=verify-full",
        "postgres:///r?host=/run/postgresql",
    ]) {
        let parsed = config(&[("DATABASE_URL", url), ("SECRET_KEY", KEY)]).database_url;
        assert!(matches!(parsed, DatabaseUrl::Postgres(kept) if kept.expose() == url), "{url}");
    }
}

#[test]
fn t1_other_database_urls_are_refused_and_not_repeated() {
    for url in [
        "mysql://u:hunter2@db/r",
        "postgres:typo",
        "postgres:/db/r",
        "postgres://",
        "postgres://db/r r",
        "POSTGRES://db/r",
        "postgres://u:hunter2%pu@db/r",
        "postgres://u:hunter2%@db/r",
        "postgres://u:hunter2%4@db/r",
        "postgres://u:hunter2%00@db/r",
        "postgres://u:hunter2%é@db/r",
        "postgres://u:@hunter2@db/r",
        "postgres://u:/hunter2@db/r",
        "postgres://u:hunter2/x@db/r",
        "postgres://u:?hunter2@db/r",
        "postgres://u:hunter2",
        "postgres://u:hunter2/r",
        "postgres://db/r?password",
        "postgres://db/r?password=hunter2=",
        "postgres://db/r?password=x@hunter2",
        "data/relatch.db",
        "sqlite:data/relatch.db",
        "sqlite::memory:",
        "sqlite://",
        "sqlite://:memory:",
        "sqlite://file:x.db",
        "sqlite://data/",
        "sqlite://x.db?mode=rwc",
        "sqlite://~/x.db",
        " ",
    ] {
        let text = refused(&[("DATABASE_URL", url)], &["DATABASE_URL"]);
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn the_public_url_follows_the_address_unless_that_is_every_address() {
    assert_eq!(config(&[("LISTEN_ADDR", "[::1]:9000")]).public_url.as_str(), "http://[::1]:9000");
    for address in ["0.0.0.0:8080", "[::]:8080"] {
        refused(&[("LISTEN_ADDR", address)], &["PUBLIC_URL"]);
        let config = config(&[("LISTEN_ADDR", address), ("PUBLIC_URL", "https://a.example/")]);
        assert_eq!(
            (config.public_url.as_str(), config.jwt.issuer.as_str()),
            ("https://a.example", "https://a.example")
        );
    }
    refused(&[("PUBLIC_URL", "https://a.example/auth")], &["PUBLIC_URL"]);
}

#[test]
fn settings_that_deserve_a_look_give_a_warning() {
    for (environment, expected) in [
        (&[("PUBLIC_URL", "http://auth.example.com")] as Pairs<'_>, "PUBLIC_URL is plain http"),
        (&[("INSECURE_DEVELOPMENT", "on")], "INSECURE_DEVELOPMENT is on"),
        (&[("PUBLIC_URL", "https://a.example"), ("RATE_LIMITS", "off")], "RATE_LIMITS is off"),
        (&[("PUBLIC_URL", "https://a.example")], "TRUSTED_PROXIES is empty although PUBLIC_URL is https"),
        (&[("TRUSTED_PROXIES", "::/0")], "TRUSTED_PROXIES holds every address"),
        (&[("JWT_KEY", "q2V7hX0c9T4nZbR1mK8sLw5yUe3gJd6f\n")], "JWT_KEY begins or ends with white space"),
        (&[("JWT_ISSUER", "relatch")], "JWT_ISSUER is no http or https URL"),
        (&[("JWT_ISSUER", "urn:example:issuer")], "JWT_ISSUER is no http or https URL"),
        (&[("JWT_ISSUER", "https://auth.example.com/?tenant=1")], "JWT_ISSUER is no http or https URL"),
    ] {
        let warnings = loaded(environment).warnings;
        assert!(warnings.len() == 1 && warnings[0].starts_with(expected), "{warnings:?}");
    }
    assert!(loaded(&[("PUBLIC_URL", "http://localhost:1"), ("RATE_LIMITS", "off")]).warnings.is_empty());
    assert!(loaded(&[("JWT_ISSUER", "https://auth.example.com/tenant")]).warnings.is_empty());
    assert!(loaded(&[("PUBLIC_URL", "https://a.example"), ("TRUSTED_PROXIES", "127.0.0.1")]).warnings.is_empty());
}

#[test]
fn a_secret_key_is_base64_of_either_kind_with_or_without_padding() {
    let standard = KEY.replace('-', "+").replace('_', "/");
    for text in [KEY, &standard, KEY.trim_end_matches('='), standard.trim_end_matches('='), &format!(" {KEY}\n")] {
        let source = config(&[("SECRET_KEY", text)]).secret_key;
        assert!(
            matches!(source, SecretKeySource::Inline(key) if key.expose().starts_with(&[0xfb, 0xff]) && key.expose().len() == 32)
        );
    }
}

#[test]
fn a_short_or_garbled_or_constant_secret_key_is_refused_and_not_shown() {
    for key in ["hunter2hunter2!", "c2hvcnQ=", &"A".repeat(64), &KEY[4..], " "] {
        let text = refused(&[("SECRET_KEY", key)], &["SECRET_KEY"]);
        assert!(key == " " || !text.contains(key), "{text}");
    }
}

#[test]
fn the_secret_key_is_in_one_place() {
    refused(&[("SECRET_KEY", KEY), ("SECRET_KEY_FILE", "key")], &["SECRET_KEY_FILE"]);
    assert!(both(&[("SECRET_KEY", KEY)], &[("SECRET_KEY_FILE", "key")]).is_err());
    refused(&[("SECRET_KEY_FILE", "keys/")], &["SECRET_KEY_FILE"]);
    let file = |environment| match config(environment).secret_key {
        SecretKeySource::File { path, explicit } => (path, explicit),
        SecretKeySource::Inline(_) => (PathBuf::new(), false),
    };
    assert_eq!(file(&[("DATABASE_URL", "sqlite:///srv/r.db")]), ("/srv/secret.key".into(), false));
    assert_eq!(file(&[("DATABASE_URL", "sqlite://r.db")]), ("secret.key".into(), false));
    assert_eq!(file(&[("SECRET_KEY_FILE", "key")]), ("key".into(), true));
}

#[test]
fn t1_postgres_needs_a_secret_key() {
    refused(&[("DATABASE_URL", POSTGRES)], &["SECRET_KEY"]);
    for key in [("SECRET_KEY", KEY), ("SECRET_KEY_FILE", "/run/key")] {
        assert!(both(&[("DATABASE_URL", POSTGRES), key], &[]).is_ok());
    }
}

#[test]
fn up_to_eight_other_secret_keys_are_accepted() {
    let keys = |count| vec![KEY; count].join(", ");
    assert_eq!(config(&[("SECRET_KEYS_ACCEPTED", &keys(8))]).accepted_secret_keys.len(), 8);
    assert_eq!(config(&[("SECRET_KEYS_ACCEPTED", &format!("{KEY} {KEY}"))]).accepted_secret_keys.len(), 2);
    refused(&[("SECRET_KEYS_ACCEPTED", &keys(9))], &["SECRET_KEYS_ACCEPTED"]);
    let text = refused(&[("SECRET_KEYS_ACCEPTED", &format!("{KEY},hunter2"))], &["SECRET_KEYS_ACCEPTED"]);
    assert!(text.contains("key 2 is") && !text.contains("hunter2"), "{text}");
}

#[test]
fn a_jwt_key_and_hs256_come_together() {
    assert_eq!(config(&[("JWT_KEY", JWT_KEY)]).jwt.algorithm, JwtAlgorithm::Hs256);
    let jwt = config(&[("JWT_KEY", JWT_KEY), ("JWT_ALGORITHM", "hs256")]).jwt;
    assert_eq!(jwt.shared_key.unwrap().expose(), JWT_KEY.as_bytes());
    for (name, algorithm) in
        [("EdDSA", JwtAlgorithm::EdDsa), ("RS256", JwtAlgorithm::Rs256), ("ES256", JwtAlgorithm::Es256)]
    {
        assert_eq!(config(&[("JWT_ALGORITHM", name)]).jwt.algorithm, algorithm);
        refused(&[("JWT_ALGORITHM", name), ("JWT_KEY", JWT_KEY)], &["JWT_ALGORITHM"]);
    }
    refused(&[("JWT_ALGORITHM", "HS256")], &["JWT_KEY"]);
    refused(&[("JWT_ALGORITHM", "none")], &["JWT_ALGORITHM"]);
}

#[test]
fn f21_a_short_or_well_known_jwt_key_is_refused_and_not_shown() {
    for key in ["hunter2", &JWT_KEY[1..], "A-String-Secret-At-Least-256-Bits-Long", &"abcdefg".repeat(9)] {
        let text = refused(&[("JWT_KEY", key)], &["JWT_KEY"]);
        assert!(!text.contains(key), "{text}");
    }
    // Bytes count, not characters, and nothing is decoded.
    assert!(both(&[("JWT_KEY", "äöüßéèêñçåøæœžšđ")], &[]).is_ok());
}

#[test]
fn issuer_and_audience_are_names_or_uris() {
    for name in ["JWT_ISSUER", "JWT_AUDIENCE"] {
        for value in ["relatch", "https://issuer.example/tenant", "urn:a:b"] {
            assert_eq!(setting(&loaded(&[(name, value)]), name).0, value);
        }
        for value in [" ", "a\nb", "not a uri: no"] {
            refused(&[(name, value)], &[name]);
        }
    }
}

#[test]
fn numbers_stay_within_their_bounds() {
    for (name, least, most) in [
        ("JWT_TOKEN_EXPIRATION_MINUTES", 1, 60),
        ("JWT_REFRESH_TOKEN_EXPIRATION_DAYS", 1, 365),
        ("SESSION_MAX_DAYS", 1, 3_650),
        ("REFRESH_GRACE_SECONDS", 0, 300),
        ("KEY_ROTATION_DAYS", 0, 3_650),
        ("JWKS_MAX_AGE", 60, 86_400),
        ("STATUS_TTL", 5, 3_600),
        ("BCRYPT_COST", 10, 16),
        ("PASSWORD_MIN_LENGTH", 8, 64),
        ("MAX_SESSIONS_PER_USER", 1, 10_000),
    ] {
        let with = |value: &str| {
            let lives = [("JWT_REFRESH_TOKEN_EXPIRATION_DAYS", "1"), ("SESSION_MAX_DAYS", "3650")];
            let others = lives.into_iter().filter(|(other, _)| *other != name);
            let pairs: Vec<_> = others.chain([(name, value)]).collect();
            both(&pairs, &[]).map_err(|problems| problems.to_string())
        };
        for value in [least, most] {
            assert_eq!(setting(&with(&value.to_string()).unwrap(), name).0, value.to_string());
        }
        for value in [(least - 1).to_string(), (most + 1).to_string(), "ten".into(), "1.5".into(), "9".repeat(80)] {
            let problem = with(&value).unwrap_err();
            assert!(problem.starts_with(name) && problem.contains(&format!("from {least} to {most}")), "{problem}");
            assert!(problem.len() < 200, "{problem}");
        }
    }
}

#[test]
fn insecure_development_lifts_limits_on_this_machine_only() {
    let lifted: Pairs<'_> = &[
        ("INSECURE_DEVELOPMENT", "on"),
        ("BCRYPT_COST", "4"),
        ("JWT_TOKEN_EXPIRATION_MINUTES", "1440"),
        ("JWKS_MAX_AGE", "1"),
        ("STATUS_TTL", "2"),
        ("PUBLIC_URL", "http://localhost:8080"),
    ];
    assert!(config(lifted).insecure_development);
    refused(&lifted[1..], &["JWT_TOKEN_EXPIRATION_MINUTES", "JWKS_MAX_AGE", "STATUS_TTL", "BCRYPT_COST"]);
    for url in ["https://auth.example.com", "http://0.0.0.0:8080"] {
        refused(
            &[("INSECURE_DEVELOPMENT", "on"), ("BCRYPT_COST", "4"), ("PUBLIC_URL", url)],
            &["INSECURE_DEVELOPMENT"],
        );
    }
    refused(&[("INSECURE_DEVELOPMENT", "on"), ("BCRYPT_COST", "3")], &["BCRYPT_COST"]);
    refused(&[("INSECURE_DEVELOPMENT", "yes")], &["INSECURE_DEVELOPMENT"]);
}

#[test]
fn the_lives_of_tokens_and_sessions_fit_into_each_other() {
    let day: Pairs<'_> = &[
        ("INSECURE_DEVELOPMENT", "on"),
        ("JWT_TOKEN_EXPIRATION_MINUTES", "1440"),
        ("JWT_REFRESH_TOKEN_EXPIRATION_DAYS", "1"),
    ];
    refused(day, &["JWT_TOKEN_EXPIRATION_MINUTES"]);
    let text = refused(&[("JWT_REFRESH_TOKEN_EXPIRATION_DAYS", "91")], &["SESSION_MAX_DAYS"]);
    assert!(text.contains("write at least 91"), "{text}");
    assert!(both(&[("JWT_REFRESH_TOKEN_EXPIRATION_DAYS", "90")], &[]).is_ok());
}

#[test]
fn choices_are_taken_in_any_case_and_nothing_else_is() {
    let config = config(&[("REGISTRATION", "Closed"), ("LOG_LEVEL", " WARN "), ("RATE_LIMITS", "OFF")]);
    assert_eq!(
        (config.registration, config.log_level, config.rate_limits),
        (Registration::Closed, LogLevel::Warn, false)
    );
    for name in ["REGISTRATION", "LOG_LEVEL", "LOG_FORMAT", "RATE_LIMITS", "JWT_PROFILE_CLAIMS", "JWT_ALGORITHM"] {
        assert!(refused(&[(name, "maybe")], &[name]).contains("write one of: "));
    }
}

#[test]
fn trusted_proxies_are_addresses_and_networks() {
    let proxies = config(&[("TRUSTED_PROXIES", "10.1.2.3/8, 192.0.2.1,2001:db8::/32, ::1")]).trusted_proxies;
    let shown: Vec<_> = proxies.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32", "::1/128"]);
    for value in ["10.0.0.0/33", "proxy.example", "127.0.0.1:80"] {
        refused(&[("TRUSTED_PROXIES", value)], &["TRUSTED_PROXIES"]);
    }
}

#[test]
fn o7_origins_are_named_one_by_one() {
    let origins = config(&[("CORS_ORIGINS", "https://App.example.com:443/, http://localhost:5173")]).cors_origins;
    assert_eq!(origins, ["https://app.example.com", "http://localhost:5173"]);
    for value in ["*", "null", "app.example.com", "https://*.example.com/a", "https://a@example.com", "file:///x"] {
        assert!(refused(&[("CORS_ORIGINS", value)], &["CORS_ORIGINS"]).contains("name each one"));
    }
}

#[test]
fn faults_are_for_insecure_development_alone() {
    refused(&[("FAULTS", "on")], &["FAULTS"]);
    let config = config(&[("FAULTS", "on"), ("INSECURE_DEVELOPMENT", "on")]);
    assert_eq!(config.lifted_limits(), ["INSECURE_DEVELOPMENT=on", "FAULTS=on"]);
    let elsewhere = [("FAULTS", "on"), ("INSECURE_DEVELOPMENT", "on"), ("PUBLIC_URL", "https://auth.example.com")];
    refused(&elsewhere, &["INSECURE_DEVELOPMENT"]);
}

#[test]
fn t4_metrics_have_an_address_of_their_own() {
    refused(&[("METRICS_ADDR", "9090")], &["METRICS_ADDR"]);
    refused(&[("METRICS_ADDR", "127.0.0.1:8080")], &["METRICS_ADDR"]);
    assert!(both(&[("METRICS_ADDR", "127.0.0.1:0"), ("LISTEN_ADDR", "127.0.0.1:0")], &[]).is_ok());
}

#[test]
fn t6_no_secret_shows_in_debug_or_in_the_table() {
    let loaded = loaded(&[
        ("DATABASE_URL", POSTGRES),
        ("SECRET_KEY", KEY),
        ("SECRET_KEYS_ACCEPTED", KEY),
        ("JWT_KEY", JWT_KEY),
        ("TRUSTED_PROXIES", "10.0.0.0/8"),
    ]);
    let shown = format!("{loaded:?}\n{loaded:#?}\n{}", loaded.table());
    for secret in ["hunter2", JWT_KEY, &KEY[2..20], "251, 255", "113, 50"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert!(shown.contains("postgres://relatch:[redacted]@db.example/relatch"), "{shown}");
}

#[test]
fn the_table_is_aligned() {
    let table = both(&[("LOG_LEVEL", "warn")], &[("LOG_FORMAT", "json")]).unwrap().table();
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), VARIABLES.len() + 1);
    let column = |heading| lines[0].find(heading).unwrap();
    for line in &lines[1..] {
        assert!(!line[column("VALUE")..].starts_with(' ') && line[..column("VALUE")].ends_with("  "), "{line}");
        let source = &line[column("SOURCE")..];
        assert!(["default", "environment", ".env"].contains(&source), "{line}");
    }
}

#[test]
fn secrets_in_dotenv_are_noticed() {
    for (name, expected) in [("JWT_KEY", true), ("DATABASE_URL", true), ("LOG_LEVEL", false)] {
        let values = Values::gather([], [(name.to_owned(), "x".to_owned())], &mut Vec::new());
        assert_eq!(values.secret_in_dotenv(), expected);
    }
}

#[cfg(unix)]
#[test]
fn only_relatchs_own_variables_must_be_utf8() {
    use std::os::unix::ffi::OsStringExt as _;
    let pair = |name: &str, value: &[u8]| (OsString::from(name), OsString::from_vec(value.to_vec()));
    let broken = (OsString::from_vec(vec![0xff]), OsString::new());
    let environment = [broken, pair("OTHER", b"\xff"), pair("JWT_KEY", b"hunter2\xff"), pair("LOG_LEVEL", b"warn")];
    let (assignments, problems) = values::utf8(environment.into_iter());
    assert_eq!(assignments, [("LOG_LEVEL".to_owned(), "warn".to_owned())]);
    assert_eq!(problems, [Problem::new("JWT_KEY", "is not UTF-8; write it in UTF-8".to_owned())]);
}
