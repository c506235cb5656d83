//! No secret is in any log, at any level, however it is written.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use relatch::auth::login::login;
use relatch::auth::refresh_tokens;
use relatch::domain::client::Client;
use relatch::domain::password::Password;
use relatch::domain::refresh_token::SessionNonce;

use super::walk::{self, QUERY, TYPED_AS_NAME, Walked};
use crate::harness::{PASSWORD, SECRET_KEY, TestApp, keyring};

/// How a secret could be written.
fn forms(secret: &[u8]) -> Vec<String> {
    let hex = |upper: bool| {
        let digits = secret.iter().map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") });
        digits.collect::<String>()
    };
    let spaced = |separator: &str| secret.iter().map(u8::to_string).collect::<Vec<_>>().join(separator);
    let mut forms = vec![hex(false), hex(true), spaced(", "), spaced(",")];
    forms.push(secret.iter().map(|byte| format!("%{byte:02X}")).collect());
    forms.push(url::form_urlencoded::byte_serialize(secret).collect());
    // In the middle of something else, base64 begins at one of three places, and its ends depend on what is beside it.
    for skipped in 0..3 {
        let bytes = &secret[skipped..];
        let bytes = &bytes[..bytes.len() / 3 * 3];
        forms.extend([STANDARD_NO_PAD.encode(bytes), URL_SAFE_NO_PAD.encode(bytes)]);
    }
    if let Ok(text) = std::str::from_utf8(secret) {
        forms.extend([text.to_owned(), text.escape_debug().to_string(), text.escape_default().to_string()]);
        forms.extend([serde_json::to_string(text).unwrap().trim_matches('"').to_owned()]);
        forms.push(text.chars().map(|c| if c == ' ' { "%20".to_owned() } else { c.to_string() }).collect());
    }
    forms
}

fn expect_no_secret(walked: &Walked) {
    // The one place where a secret is meant to be.
    assert_eq!(walked.stdout.matches(&walked.setup).count(), 1, "{}", walked.stdout);
    let stdout = walked.stdout.replacen(&walked.setup, "", 1);
    let everything = format!("{stdout}\n{}\n{}", walked.complaints, walked.log);
    assert!(walked.secrets.len() > 30, "the walk has passed few secrets");
    for (what, secret) in &walked.secrets {
        assert!(secret.len() >= 16, "{what} is too short to be recognised");
        for part in [secret.as_slice(), &secret[..16]] {
            for form in forms(part) {
                assert!(!everything.contains(&form), "{what} is there as {form}:\n{everything}");
            }
        }
    }
}

#[tokio::test]
async fn s1_no_secret_is_in_a_log_of_everything_in_text() {
    let walked = walk::take("text").await;
    for told in ["DEBUG relatch::security", "event=\"authn_token_reuse\"", "relatch::access: request", "cause="] {
        assert!(walked.log.contains(told), "{told} is not in the log:\n{}", walked.log);
    }
    expect_no_secret(&walked);
}

#[tokio::test]
async fn s1_no_secret_is_in_a_log_of_everything_in_json() {
    let walked = walk::take("json").await;
    for told in [r#""level":"DEBUG""#, r#""event":"authn_token_reuse""#, "relatch::access", r#""cause":"#] {
        assert!(walked.log.contains(told), "{told} is not in the log:\n{}", walked.log);
    }
    expect_no_secret(&walked);
}

#[test]
fn s1_a_secret_would_be_recognised_however_it_is_written() {
    let secret = "Canary& the user's own söntence";
    for written in [
        format!("password={secret:?}"),
        format!("x{}", STANDARD_NO_PAD.encode(format!("a{secret}b"))),
        format!("{:02x?}", 1).replace("01", &secret.bytes().map(|byte| format!("{byte:02x}")).collect::<String>()),
        url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        format!("{:?}", secret.as_bytes()),
    ] {
        assert!(forms(secret.as_bytes()).iter().any(|form| written.contains(form)), "{written}");
    }
}

#[tokio::test]
async fn s6_s7_neither_queries_nor_names_that_nobody_has_are_in_the_log_but_the_requests_are() {
    let walked = walk::take("json").await;
    let lines = super::lines(&walked.log);
    assert!(!walked.log.contains(QUERY) && !walked.log.contains(TYPED_AS_NAME));
    let access = |id: &str| {
        let found: Vec<_> =
            lines.iter().filter(|line| line["target"] == "relatch::access" && line["request_id"] == id).collect();
        assert_eq!(found.len(), 1, "{id}: {found:?}");
        found[0].clone()
    };
    let asked = access(walked.request("a query"));
    assert_eq!((asked["path"].as_str(), asked["status"].as_u64()), (Some("/api/users/profile"), Some(200)));
    assert_eq!((asked["method"].as_str(), asked["source"].as_str()), (Some("GET"), Some("127.0.0.1")));
    assert_eq!(access(walked.request("a lost query"))["path"], "/nowhere");
    let unknown = walked.request("unknown");
    let failures: Vec<_> =
        super::events(&lines, "authn_login_fail").into_iter().filter(|line| line["request_id"] == unknown).collect();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert!(failures[0].get("about").is_none() && failures[0].get("user").is_none(), "{failures:?}");
}

#[tokio::test]
async fn t6_what_has_secrets_in_it_shows_none_in_debug() {
    let app = TestApp::start().await;
    app.user("saif").await;
    let pair = login(app.app.auth(), "saif", PASSWORD, &Client::default()).await.unwrap();
    let nonce = SessionNonce::new(*b"canary-of-nonces");
    let keys = keyring();
    let token = refresh_tokens::first(&keys, pair.session_id, &nonce);
    let genuine = refresh_tokens::recognise(&keys, token.expose()).unwrap();
    let password = Password::from_login(PASSWORD).unwrap();
    let shown = format!("{pair:?}\n{pair:#?}\n{nonce:?}\n{genuine:?}\n{token:?}\n{password:?}\n{:?}", keys.primary());
    let config = format!("{:?}\n{:#?}", app.config, app.config);
    for (what, secret) in [
        ("the access token", pair.access_token.expose().as_bytes()),
        ("the refresh token", pair.refresh_token.expose().as_bytes()),
        ("another refresh token", token.expose().as_bytes()),
        ("a nonce", nonce.expose()),
        ("a password", PASSWORD.as_bytes()),
        ("the cookies' key", keys.primary().cookie_key().expose()),
        ("the secret key", SECRET_KEY.as_bytes()),
    ] {
        for form in forms(secret) {
            assert!(!shown.contains(&form) && !config.contains(&form), "{what} is there as {form}:\n{shown}\n{config}");
        }
    }
    assert!(shown.contains("[redacted]"), "{shown}");
}
