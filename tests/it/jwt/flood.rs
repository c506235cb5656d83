//! Very long tokens and very many malformed ones.

use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::json;

use super::forge::{Forge, every_algorithm, part};
use crate::harness::exchange;

/// How long anything here may take; quadratic work on a megabyte would take minutes.
const PROMPT: Duration = Duration::from_secs(10);

#[tokio::test]
async fn f20_a_token_of_many_kilobytes_is_refused_promptly() {
    every_algorithm(async |forge| {
        let dots = |number: usize| ".".repeat(number);
        let long = json!("a".repeat(20 * 1024));
        let tokens = [
            ("60 KB of one letter", "a".repeat(60 * 1024)),
            ("60 KB of dots", dots(60 * 1024)),
            ("a payload of 60 KB", format!("a.{}.a", "e".repeat(60 * 1024))),
            ("60 KB behind a genuine token", forge.unchanged() + &"A".repeat(60 * 1024)),
            ("a long claim, signed", forge.with_claim("note", long.clone())),
            ("a long header member, signed", forge.with_header("kid", long)),
            ("deep nesting, signed", forge.saying("[".repeat(5_000))),
            (
                "deep nesting in a claim, signed",
                forge.saying(
                    super::forge::with_another(
                        &forge.claims,
                        "note",
                        &serde_json::from_str(&format!("{}{}", "[".repeat(100), "]".repeat(100))).unwrap(),
                    )
                    .replacen("[[", &"[".repeat(2_000), 1),
                ),
            ),
            ("a number of many digits, signed", forge.saying(format!("{{\"exp\":{}}}", "9".repeat(5_000)))),
        ];
        forge.refuses(tokens.map(|(what, token)| (what.to_owned(), token))).await;
    })
    .await;
}

#[tokio::test]
async fn f20_a_token_that_is_larger_than_any_header_is_refused_promptly_and_the_server_lives_on() {
    let forge = Forge::of("ES256").await;
    let fillings = ["a".repeat(200 * 1024), ".".repeat(200 * 1024), ".".repeat(1_000_000), "a.".repeat(500_000)];
    for token in fillings {
        let began = Instant::now();
        let request = format!("GET /api/users/profile HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
        let answer = exchange(forge.app.address, request.as_bytes());
        assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
        assert!(answer.closed, "{answer:?}");
        // Whoever still sends when the server closes may not get to see the answer.
        let status = answer.status();
        assert!(matches!(status, None | Some(400 | 401 | 431)), "{answer:?}");
        forge.accepts("afterwards", &forge.unchanged()).await;
    }
}

#[tokio::test]
async fn f22_no_malformed_string_is_ever_accepted_as_a_token_of_either_kind_at_any_door() {
    let forge = Forge::of("ES256").await;
    let (access, refresh) = (&forge.person.access_token, &forge.person.refresh_token);
    let mut corpus = mangled(access, 7);
    corpus.extend(mangled(refresh, 1));
    corpus.extend(strange());
    assert!(corpus.len() > 649, "{}", corpus.len());
    forge.accepts("before", access).await;
    for text in &corpus {
        assert!(text != access && text != refresh);
        if is_header(text) {
            let answer = forge.present(text).await;
            assert_eq!(answer.status, 401, "as a bearer token, {text:?}: {answer:?}");
        }
        let answer = forge.app.post("/api/auth/refresh-token", &json!(text)).await;
        assert_eq!(answer.status, 401, "as a refresh token, {text:?}: {answer:?}");
        let answer = forge.app.post("/api/auth/revoke-token", &json!({ "refreshToken": text })).await;
        assert_eq!((answer.status, answer.text.as_str()), (204, ""), "to be revoked, {text:?}: {answer:?}");
        if !text.is_empty() {
            forge.is_worth_nothing_at_oauth(text, text).await;
        }
    }
    forge.accepts("afterwards", access).await;
    let pair = forge.app.refresh(refresh).await.expect_status(200);
    assert_eq!(pair.text_at("sessionId"), forge.person.session_id, "the session is as it was");
}

#[tokio::test]
async fn f22_malformed_strings_are_no_tokens_where_one_is_optional_either() {
    let forge = Forge::of("ES256").await;
    let body = json!({ "username": "new", "email": "new@example.com", "password": crate::harness::PASSWORD });
    for text in mangled(&forge.person.access_token, 40).iter().filter(|text| is_header(text)) {
        let request = forge.app.request(Method::POST, "/api/users/register").bearer_auth(text).json(&body);
        forge.app.send(request).await.expect_problem(401, "invalid_token");
    }
    let request = forge.app.request(Method::POST, "/api/users/register").bearer_auth(forge.unchanged()).json(&body);
    let answer = forge.app.send(request).await.expect_status(201);
    assert_eq!(answer.text_at("username"), "new");
    assert_eq!(part(&forge.unchanged(), 1), forge.claims);
}

/// Whether a client can send it as a bearer token at all, and not as none.
fn is_header(text: &str) -> bool {
    HeaderValue::from_str(text).is_ok() && !text.trim().is_empty()
}

/// What a token becomes by small faults, at every `step`th place.
fn mangled(token: &str, step: usize) -> Vec<String> {
    let mut all = Vec::new();
    for at in (0..token.len()).step_by(step) {
        let (before, here, after) = (&token[..at], token.as_bytes()[at], &token[at + 1..]);
        let other = if here == b'A' { 'B' } else { 'A' };
        let next = char::from(if here == b'z' { b'a' } else { here + 1 });
        let case = char::from(here ^ 0x20);
        all.push(before.to_owned());
        all.push(format!("{before}{after}"));
        all.push(format!("{before}{other}{after}"));
        all.push(format!("{before}{next}{after}"));
        if here.is_ascii_alphabetic() {
            all.push(format!("{before}{case}{after}"));
        }
        all.push(format!("{before}{other}{}{after}", char::from(here)));
    }
    for around in ["=", "==", " ", "\t", "\n", "\r\n", "\0", ".", "A", "\u{feff}", "\u{200b}", "\"", "%20", "é"] {
        all.push(format!("{token}{around}"));
        all.push(format!("{around}{token}"));
    }
    all.extend([format!("{token}{token}"), format!("{token} {token}"), format!("{token},{token}")]);
    all.extend([token.replace('.', "%2E").replace('_', "%5F") + "%", token.chars().rev().collect::<String>()]);
    // A blank in front is no part of a bearer token, and is asked about elsewhere.
    all.retain(|text| text.trim_start_matches(' ') != token && text.trim_end_matches([' ', '\t']) != token);
    all
}

/// Strings that have nothing to do with a token.
fn strange() -> Vec<String> {
    let strange = [
        "null",
        "undefined",
        "true",
        "0",
        "-1",
        "NaN",
        "Bearer",
        "Bearer Bearer",
        "[object Object]",
        "{}",
        "[]",
        "\"\"",
        "..",
        "...",
        ".a.",
        "a..b",
        "e30.e30.",
        "e30.e30.e30",
        "bnVsbA.bnVsbA.bnVsbA",
        "eyJhbGciOiJub25lIn0.e30.",
        "rlr_",
        "rlr__",
        "rlr",
        "RLR_AAAA",
        "../../etc/passwd",
        "' OR '1'='1",
        "<script>alert(1)</script>",
        "${jndi:x}",
        "%00",
        "%0d%0aSet-Cookie:x",
        "ß.ß.ß",
        "\u{202e}abc",
        "😀.😀.😀",
        "\u{0}",
        "\u{7f}",
        "￿",
    ];
    let mut all: Vec<String> = strange.iter().map(|text| (*text).to_owned()).collect();
    all.push(format!("rlr_{}", "A".repeat(71)));
    all.push(format!("rlr_{}", "_".repeat(71)));
    all.push(format!("rlr_{}", "A".repeat(8_000)));
    all.push("A".repeat(8_000));
    all
}
