//! What attackers write is one value in one line.

use reqwest::Method;
use serde_json::json;

use super::lines;
use crate::harness::{Binary, Browser, PASSWORD, raw};

/// A line that looks like ours, and what clears a screen, ends a line elsewhere, or hides.
const FORGED: &str = "x\r\n2026-11-28T10:00:00.000000Z  INFO relatch::security: security event \
    event=\"authn_login_success\" user=1 forged\u{1b}[2J\u{9b}2J\u{2028}\u{2029}\u{85}\u{202e}";

/// Sends hostile text wherever text is taken, and gives the log.
async fn log_of_attack(format: &str) -> String {
    let binary = Binary::new().set("LOG_FORMAT", format).set("LOG_LEVEL", "trace");
    let server = binary.serve();
    let attacker = Browser::at(&server.base);
    let register = |name: &str| json!({ "username": name, "email": "saif@example.com", "password": PASSWORD });
    server.post("/api/users/register", &register(FORGED)).await.expect_status(400);
    server.post("/api/users/register", &register(&FORGED.repeat(5_000))).await.expect_status(413);
    server.post("/api/users/register", &register("saif")).await.expect_status(201);
    for name in [FORGED.to_owned(), format!("{FORGED}@example.com"), "saif".to_owned()] {
        let login = json!({ "username": name, "password": FORGED });
        let request = attacker.request(Method::POST, "/api/auth/login").json(&login);
        // Of what a header can hold.
        let request = request.header("user-agent", "\u{9b}2J forged \"agent\" event=authn_login_success");
        let request = request.header("x-forwarded-for", "203.0.113.1 forged");
        assert_eq!(attacker.send(request).await.status, 401);
    }
    let path = format!("/{}", url::form_urlencoded::byte_serialize(FORGED.as_bytes()).collect::<String>());
    assert_eq!(attacker.send(attacker.request(Method::GET, &path)).await.status, 404);
    let address = server.base.strip_prefix("http://").unwrap().parse().unwrap();
    for line in ["GET /\u{1b}[2J\"forged HTTP/1.1", "GET /a\"event=\"forged HTTP/1.1", "GE\u{1b}T / HTTP/1.1"] {
        raw(address, format!("{line}\r\nhost: localhost\r\nconnection: close\r\n\r\n").as_bytes());
    }
    // The name of a client is an admin's to choose, and stands in the details of its events.
    let create = ["user", "create", "--role", "admin", "--username", "root", "--email", "root@example.com"];
    let made = binary.run_with_input(&[&create[..], &["--password-stdin"]].concat(), PASSWORD);
    assert_eq!(made.code, 0, "{made:?}");
    let admin = server.post("/api/auth/login", &json!({ "username": "root", "password": PASSWORD })).await;
    for (name, status) in [("Bill\u{f6}ing \"event=forged\"", 201), (FORGED, 400)] {
        let request = attacker.request(Method::POST, "/api/clients").bearer_auth(admin.text_at("jwtToken"));
        let answer = attacker.send(request.json(&json!({ "name": name, "scopes": ["introspect"] }))).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    let (_, log) = server.end();
    log
}

#[tokio::test]
async fn s2_hostile_text_is_one_value_in_a_line_of_json() {
    let log = log_of_attack("json").await;
    assert!(log.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{log}");
    let lines = lines(&log);
    assert!(lines.len() > 10, "{log}");
    for line in &lines {
        assert!(line["event"] != "authn_login_success" || line["user"] == 2, "{line}");
        assert!(line.to_string().len() < 10_000, "{line}");
    }
}

#[tokio::test]
async fn s2_hostile_text_is_one_value_in_a_line_of_text() {
    let log = log_of_attack("text").await;
    assert!(log.lines().count() > 10, "{log}");
    for line in log.lines() {
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(relatch::domain::timestamp::Timestamp::parse(time).is_some(), "{line}");
        let level = rest.trim_start().split(' ').next().unwrap();
        assert!(["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&level), "{line}");
        // The admin, who is the second user, has signed in; nobody else has.
        assert!(!line.contains(" event=\"authn_login_success\"") || line.contains(" user=2 "), "{line}");
        assert!(line.len() < 10_000 && !line.chars().any(char::is_control), "{line}");
        for hidden in ['\u{2028}', '\u{2029}', '\u{202e}'] {
            assert!(!line.contains(hidden), "{line}");
        }
    }
}
