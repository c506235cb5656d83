//! What secrets are in the source: compared in constant time alone, and shown nowhere.

use std::fmt::{Debug, Display};
use std::marker::PhantomData;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use relatch::auth::access_tokens::IssuedAccessToken;
use relatch::domain::password::Password;
use relatch::domain::refresh_token::{Claims, KeyHint, SessionNonce};
use relatch::domain::session::{Generation, SessionId};
use relatch::domain::timestamp::Timestamp;
use relatch::keyring::{Keyring, Keys};
use relatch::secret::Secret;
use relatch::store::signing_keys::StoredKey;
use serde::Serialize;

use crate::architecture::sources;
use crate::harness::{Binary, SECRET_KEY, TestApp, exchange};

/// What the names of secrets in the clear, and of what proves that one has them, end with.
const SECRET: [&str; 10] =
    ["tag", "mac", "signature", "nonce", "secret", "token", "password", "cookie", "csrf", "expose"];

/// Comparisons that are none with a secret of somebody else.
const HARMLESS: [(&str, &str); 5] = [
    // Of what an operator types at their own terminal, twice.
    ("src/cli/password.rs", "*password != *ask"),
    // Of the configured address of the database with itself, less its password.
    ("src/config/report.rs", "!= *whole.expose()"),
    // Of the ids of secrets.
    ("src/auth/clients/authenticate.rs", "secret.id == self.secret)"),
    ("src/web/admin/clients/secrets.rs", "one.id == secret "),
    // Of the name of a form's field.
    ("src/web/admin/confirm.rs", "name != TOKEN"),
];

/// Whether an operand of `==` is called like a secret: `claims.tag`, `&token`, `secret.expose()`.
fn is_secret(operand: &str) -> bool {
    // A word in quotes is no value of anybody's.
    if operand.contains('"') {
        return false;
    }
    let name: String = operand
        .trim_end_matches(|c: char| !c.is_alphanumeric() && c != '_')
        .chars()
        .rev()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect();
    let name = name.to_lowercase();
    SECRET.iter().any(|secret| name == *secret || name.ends_with(&format!("_{secret}")))
}

fn compares_a_secret(line: &str) -> bool {
    [" == ", " != "].iter().flat_map(|operator| line.match_indices(operator)).any(|(at, operator)| {
        let (before, after) = (&line[..at], &line[at + operator.len()..]);
        let left = before.rsplit([' ', '(']).next().unwrap_or_default();
        // `token.expose()` is cut at its parenthesis, which leaves what it is called.
        let left = if left == ")" { before } else { left };
        let right = after.split([' ', ',', ';', '{', ')']).next().unwrap_or_default();
        is_secret(left) || is_secret(right)
    })
}

#[test]
fn t5_no_secret_is_compared_with_what_ends_at_the_first_difference() {
    for (line, is_one) in [
        ("if tag == expected {", true),
        ("claims.tag != other", true),
        ("x.is_some_and(|sent| sent == *secret.expose())", true),
        ("token.expose() == sent", true),
        ("if *csrf_token == sent {", true),
        ("secret.id == self.id", false),
        ("kind == Kind::TokenReused", false),
    ] {
        assert_eq!(compares_a_secret(line), is_one, "{line}");
    }
    let mut excused = 0;
    // What fuzzing compares is not compared for anybody.
    for source in sources().into_iter().filter(|source| !source.path.ends_with("fuzzing.rs")) {
        if source.path.ends_with("/tests.rs") {
            continue;
        }
        for line in source.code.lines().filter(|line| compares_a_secret(line)) {
            let is_harmless = HARMLESS.iter().any(|(path, part)| source.path == *path && line.contains(part));
            assert!(is_harmless, "{} compares a secret: {}", source.path, line.trim());
            excused += 1;
        }
    }
    assert_eq!(excused, HARMLESS.len(), "an excuse that nothing needs");
}

/// What is called like a secret and is none: a signed list that is published, and a note about a token.
const PUBLIC: [(&str, &str); 2] = [
    ("src/auth/status_lists/publish.rs", "pub token: String,"),
    ("src/store/sessions/mod.rs", "pub token: Option<String>,"),
];

/// Says of a type whether it has a trait, without asking that it has.
struct Probe<T>(PhantomData<T>);

macro_rules! probe {
    ($fallback:ident, $constant:ident, $bound:path) => {
        impl<T: $bound> Probe<T> {
            const $constant: bool = true;
        }
        trait $fallback {
            const $constant: bool = false;
        }
        impl<T> $fallback for Probe<T> {}
    };
}

probe!(NotCompared, IS_COMPARED, PartialEq);
probe!(NotWritten, IS_WRITTEN, Display);
probe!(NotSerialized, IS_SERIALIZED, Serialize);

macro_rules! has_none {
    ($($secret:ty),*) => {
        $(
            assert!(!Probe::<$secret>::IS_COMPARED, "{} has ==", stringify!($secret));
            assert!(!Probe::<$secret>::IS_WRITTEN, "{} can be written", stringify!($secret));
            assert!(!Probe::<$secret>::IS_SERIALIZED, "{} can be serialized", stringify!($secret));
        )*
    };
}

#[test]
fn t5_t6_secrets_can_be_neither_compared_nor_written() {
    let of_text = [Probe::<String>::IS_COMPARED, Probe::<String>::IS_WRITTEN, Probe::<String>::IS_SERIALIZED];
    assert_eq!(of_text, [true; 3]);
    has_none!(
        Secret<String>,
        Secret<Vec<u8>>,
        Password,
        SessionNonce,
        Claims,
        Keys,
        Keyring,
        StoredKey,
        IssuedAccessToken
    );
}

#[test]
fn t6_nothing_that_holds_a_secret_shows_it() {
    const CANARY: &str = "canary-7Qm";
    fn silent(value: &impl Debug) {
        let shown = [format!("{value:?}"), format!("{value:#?}")].concat();
        let bytes = CANARY.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
        assert!(!shown.contains(CANARY) && !shown.contains(&bytes) && !shown.contains("9, 9"), "{shown}");
    }
    silent(&Secret::new(CANARY.to_owned()));
    silent(&Secret::new(CANARY.as_bytes().to_vec()));
    silent(&Password::from_login(CANARY).unwrap());
    let nonce = SessionNonce::new([9; 16]);
    silent(&nonce);
    let (session_id, generation) = (SessionId::from_bytes([1; 16]), Generation::FIRST);
    silent(&Claims { key: KeyHint::new(1), session_id, generation, nonce });
    let token = Secret::new(CANARY.to_owned());
    silent(&IssuedAccessToken { token, expires_in: std::time::Duration::from_secs(1) });
    let sealed = CANARY.as_bytes().to_vec();
    silent(&StoredKey::new("kid".to_owned(), "ES256", "{}".to_owned(), sealed, "x", Timestamp::from_micros(0)));
    let keyring = Keyring::new(&Secret::new(CANARY.as_bytes().to_vec()), &[]).unwrap();
    let shown = format!("{:?}", keyring.primary());
    assert_eq!(shown, format!("Keys {{ fingerprint: {:?}, .. }}", keyring.primary().fingerprint()));
}

#[test]
fn t6_no_struct_that_can_be_printed_has_a_secret_for_a_field_in_the_clear() {
    let words = ["password", "secret", "token", "nonce", "private_key"];
    let mut looked_at = 0;
    for source in sources() {
        // From each derive that says Debug to the end of what it is of.
        for rest in source.code.split("#[derive(").skip(1) {
            let Some((derives, rest)) = rest.split_once(")]") else { continue };
            let body = rest.split("\n}").next().unwrap_or_default();
            if !derives.split(", ").any(|derive| derive == "Debug") || !body.contains("struct ") {
                continue;
            }
            for line in body.lines().map(str::trim) {
                let Some((name, kind)) = line.trim_start_matches("pub ").split_once(": ") else { continue };
                let is_secret = words.iter().any(|word| name == *word || name.ends_with(&format!("_{word}")));
                let is_clear = ["String", "&str", "&'a str", "Vec<u8>", "[u8", "Option<String>"];
                looked_at += 1;
                assert!(
                    PUBLIC.contains(&(source.path.as_str(), line))
                        || !(is_secret && is_clear.iter().any(|clear| kind.starts_with(clear))),
                    "{}: {line} would be printed",
                    source.path
                );
            }
        }
    }
    assert!(looked_at > 100, "no fields were found");
}

#[test]
fn t7_the_compiler_refuses_what_could_break_memory_or_panic() {
    let manifest: toml::Table =
        toml::from_str(include_str!("../../Cargo.toml")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(manifest["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));
    for lint in ["unwrap_used", "expect_used", "indexing_slicing", "panic", "todo", "unimplemented", "dbg_macro"] {
        assert_eq!(manifest["lints"]["clippy"][lint].as_str(), Some("deny"), "{lint}");
    }
    for source in sources() {
        assert!(!source.code.contains("unsafe "), "{} says unsafe", source.path);
        for lint in ["unsafe_code", "unwrap_used", "expect_used", "indexing_slicing", "clippy::panic"] {
            assert!(!source.code.contains(lint), "{} switches {lint} off", source.path);
        }
    }
}

#[tokio::test]
async fn t1_neither_help_nor_a_check_nor_an_answer_to_anybody_shows_a_secret() {
    let (jwt_key, accepted) =
        ("canary-of-thirty-two-bytes-and-more", "Y2FuYXJ5LW9mLWFuLW9sZC1zZWNyZXQtb2YtMzItYnl0ZXM=");
    let variables = [("JWT_ALGORITHM", "HS256"), ("JWT_KEY", jwt_key), ("SECRET_KEYS_ACCEPTED", accepted)];
    let mut shown = Vec::new();
    let binary = variables.iter().fold(Binary::new(), |binary, (name, value)| binary.set(name, value));
    let binary = binary.set("DATABASE_URL", "postgres://relatch:canary-of-a-database@127.0.0.1/relatch");
    for command in [&["--help"][..], &["serve", "--help"], &["config", "check"], &["config", "check", "--json"]] {
        let output = binary.run(command);
        assert_eq!(output.code, 0, "{command:?}: {output:?}");
        shown.push((command.join(" "), output.stdout + &output.stderr));
    }
    let app = TestApp::with(&variables).await;
    for path in ["/health/live", "/health/ready", "/.well-known/jwks.json", "/openapi.json", "/api/users", "/nowhere"] {
        shown.push((path.to_owned(), app.get(path).await.text));
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(app.app.listen_for_metrics(listener).unwrap());
    let ask = move || exchange(address, b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").text;
    let metrics = tokio::task::spawn_blocking(ask).await.unwrap();
    assert!(metrics.contains("relatch_connections "), "{metrics}");
    shown.push(("/metrics".to_owned(), metrics));
    for (what, text) in shown {
        for secret in [SECRET_KEY, "relatch-test-secret", jwt_key, accepted, "canary-of"] {
            assert!(!text.contains(secret), "{what} shows {secret}: {text}");
        }
    }
}

/// The log warns of a file while anybody may read it.
fn warns(binary: &Binary, file: &str, warning: &str) {
    for (mode, is_warned) in [(0o644, true), (0o604, true), (0o640, false), (0o600, false)] {
        std::fs::set_permissions(binary.path(file), std::fs::Permissions::from_mode(mode)).unwrap();
        let (code, log) = binary.serve().terminate();
        assert_eq!((code, log.contains(warning)), (Some(0), is_warned), "{file} {mode:o}: {log}");
    }
}

#[test]
fn t2_a_store_that_anyone_may_read_is_warned_about() {
    let binary = Binary::unconfigured();
    let warning = "every account on this machine may read the store";
    assert!(!binary.serve().terminate().1.contains(warning), "it is made for its owner alone");
    warns(&binary, "data/relatch.db", warning);
}

#[test]
fn t2_a_secret_that_anyone_may_read_is_warned_about() {
    let binary = Binary::unconfigured();
    let warning = "every account on this machine may read it; run chmod 600";
    assert!(!binary.serve().terminate().1.contains(warning), "it is made for its owner alone");
    warns(&binary, "data/secret.key", &format!("secret.key holds the server's secret and {warning}"));
    std::fs::write(binary.path(".env"), "SECRET_KEYS_ACCEPTED=Y2FuYXJ5LW9mLWFuLW9sZC1zZWNyZXQtb2YtMzItYnl0ZXM=")
        .unwrap();
    warns(&binary, ".env", &format!(".env holds secrets and {warning} .env"));
}
