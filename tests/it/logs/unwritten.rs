//! A log that nobody reads, or that cannot be written, stops nothing.

use std::fs::OpenOptions;
use std::process::Stdio;

use serde_json::json;

use crate::harness::{Binary, PASSWORD, Served};

/// What must go on, whatever becomes of the log.
async fn use_it(server: &Served) {
    let account = json!({ "username": "saif", "email": "saif@example.com", "password": PASSWORD });
    server.post("/api/users/register", &account).await.expect_status(201);
    let wrong = json!({ "username": "saif", "password": "not this one" });
    server.post("/api/auth/login", &wrong).await.expect_status(401);
    let login = json!({ "username": "saif", "password": PASSWORD });
    let pair = server.post("/api/auth/login", &login).await.expect_status(200);
    let next = server.post("/api/auth/refresh-token", &json!(pair.text_at("refreshToken"))).await.expect_status(200);
    let (token, access) = (next.text_at("refreshToken"), next.text_at("jwtToken"));
    server.post("/api/auth/revoke-token", &json!(token)).await.expect_status(204);
    server.post("/api/auth/refresh-token", &json!(token)).await.expect_status(401);
    assert_eq!(server.get_as(&access, "/api/users/profile").await.status, 401);
}

#[tokio::test]
async fn s3_a_log_that_cannot_be_written_stops_nothing() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let server = Binary::new().set("LOG_LEVEL", "trace").serve_with_log(full.into());
    use_it(&server).await;
    assert_eq!(server.terminate().0, Some(0));
}

#[tokio::test]
async fn s3_a_log_that_nobody_reads_stops_nothing() {
    let server = Binary::new().set("LOG_LEVEL", "trace").serve_with_log(Stdio::piped());
    // A pipe takes 64 KiB.
    let path = format!("/{}", "x".repeat(190));
    for _ in 0..400 {
        assert_eq!(server.get_as("none", &path).await.status, 404);
    }
    use_it(&server).await;
    let (code, log) = server.terminate();
    assert_eq!(code, Some(0));
    // What was in the pipe is there; the process has not waited for ever to write the rest.
    let requests = log.matches("relatch::access").count();
    assert!(log.contains("sys_startup") && (50..400).contains(&requests), "{requests} requests:\n{log}");
}
