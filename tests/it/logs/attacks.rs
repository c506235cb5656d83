//! What the process writes to standard error, whatever it is sent.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::harness::{Binary, Database, PASSWORD, raw};

/// Begins a line, clears a screen, ends an object, goes back: what somebody sends who would like to write the log.
const HOSTILE: [&str; 6] = [
    "x\r\n2001-01-01T00:00:00.000000Z  INFO relatch: FORGED",
    "x\n{\"timestamp\":\"2001-01-01T00:00:00Z\",\"level\":\"INFO\",\"message\":\"FORGED\"}",
    "\",\"level\":\"ERROR\",\"FORGED\":\"",
    "\u{1b}[2J\u{1b}[1;1HFORGED\u{8}\u{7f}\0",
    "a\u{2028}FORGED\u{2029}b\u{85}c\u{202e}d",
    "FORGED\rFORGED",
];

#[tokio::test]
async fn s2_nobody_writes_or_breaks_a_line_of_the_log() {
    for format in ["text", "json"] {
        let server =
            Binary::on(Arc::new(Database::create())).set("LOG_FORMAT", format).set("LOG_LEVEL", "trace").serve();
        let address: SocketAddr = server.base.strip_prefix("http://").unwrap().parse().unwrap();
        for text in HOSTILE {
            server.post("/api/auth/login", &json!({ "username": text, "password": text })).await;
            let account = json!({ "username": text, "email": text, "password": PASSWORD });
            server.post("/api/users/register", &account).await;
            server.post("/api/auth/refresh-token", &json!(text)).await;
            let escaped: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            for head in [
                format!("GET /FORGED/{escaped}?{escaped} HTTP/1.1\r\n"),
                format!("GET /FORGED/{} HTTP/1.1\r\n", text.replace(['\r', '\n', ' '], "")),
                format!("{escaped} /FORGED HTTP/1.1\r\n"),
                format!("GET /FORGED/{} HTTP/1.1\r\n", "x".repeat(20_000)),
                format!("POST /admin/sign-in HTTP/1.1\r\nOrigin: {}\r\n", text.replace(['\r', '\n', '\0'], "\t")),
                format!("GET /api/users HTTP/1.1\r\nAuthorization: Bearer {}\r\n", text.replace(['\r', '\n'], "\t")),
            ] {
                raw(address, format!("{head}Host: localhost\r\nConnection: close\r\n\r\n").as_bytes());
            }
        }
        let (_, log) = server.terminate();
        assert!(log.contains("FORGED"), "nothing of it is in the log:\n{log}");
        for line in log.lines() {
            assert!(line.len() < 2_000, "{line}");
            assert!(line.chars().all(|c| !c.is_control() && !"\u{2028}\u{2029}\u{202e}".contains(c)), "{line:?}");
            match format {
                "json" => {
                    let entry: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
                    assert!(entry["timestamp"].as_str().is_some_and(|time| !time.starts_with("2001")), "{line}");
                    assert!(entry["level"].is_string() && entry["target"].is_string(), "{line}");
                    assert!(entry.get("FORGED").is_none(), "{line}");
                }
                _ => {
                    let (time, rest) = line.split_once(' ').unwrap_or_default();
                    assert!(time.starts_with("20") && !time.starts_with("2001"), "{line}");
                    let level = rest.split_whitespace().next().unwrap_or_default();
                    assert!(["TRACE", "DEBUG", "INFO", "WARN", "ERROR"].contains(&level), "{line}");
                }
            }
        }
    }
}
