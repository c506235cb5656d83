//! Exports of the console: who took what is written down, few are written at a time, and none goes on for somebody who may
//! no longer see it.

use std::time::{Duration, Instant};

use reqwest::{Method, Response};
use serde_json::json;

use crate::harness::{Browser, TestApp, execute};

const MANY: usize = 20_000;
const PATH: &str = "/admin/audit/export?format=ndjson";

/// More than any socket holds, so that whoever does not read holds the server up.
async fn fill(app: &TestApp) {
    let columns = "occurred_at, kind, severity, result, actor_kind, detail";
    let row = "1000000, 'user.registered', 'info', 'succeeded', 'anonymous'";
    let sql = if app.database.is_postgres() {
        format!(
            "INSERT INTO audit_events ({columns}) SELECT {row}, '{{\"x\":\"' || repeat('x', 1000) || '\"}}' \
             FROM generate_series(1, {MANY})"
        )
    } else {
        format!(
            "INSERT INTO audit_events ({columns}) WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g \
             WHERE n < {MANY}) SELECT {row}, '{{\"x\":\"' || hex(zeroblob(500)) || '\"}}' FROM g"
        )
    };
    execute(&app.database, &sql).await;
}

async fn begin(browser: &Browser) -> Response {
    browser.request(Method::GET, PATH).send().await.unwrap()
}

/// How many whole lines come until the end, or until it breaks off.
async fn read(mut response: Response) -> (usize, bool) {
    let mut lines = 0;
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => lines += chunk.iter().filter(|byte| **byte == b'\n').count(),
            Ok(None) => return (lines, true),
            Err(_) => return (lines, false),
        }
    }
}

#[tokio::test]
async fn every_export_is_an_event() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let root = app.sign_in("root").await;
    for (path, kind, format) in [
        ("/admin/users/export?format=csv", "users.exported", "csv"),
        ("/admin/users/export?format=ndjson&status=disabled", "users.exported", "ndjson"),
        (PATH, "audit.exported", "ndjson"),
        ("/admin/audit/export?format=csv&actor=nobody", "audit.exported", "csv"),
    ] {
        browser.get(path).await.expect_status(200);
        let events = root.get("/api/audit-events?limit=1").await.expect_status(200).json();
        assert_eq!((&events[0]["kind"], &events[0]["detail"]), (&json!(kind), &json!({ "format": format })), "{path}");
        assert_eq!(events[0]["actor"]["username"], "root", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_export_breaks_off_when_its_admin_loses_their_rights() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let other = app.admin("other").await;
    fill(&app).await;
    let (lines, is_whole) = read(begin(&browser).await).await;
    assert!(lines > MANY && is_whole, "{lines}");
    let mut response = begin(&browser).await;
    assert_eq!(response.status(), 200);
    let first = response.chunk().await.unwrap().unwrap();
    assert!(!first.is_empty());
    let root = app.sign_in("root").await;
    other.patch(&format!("/api/users/{}", root.id), &json!({ "role": "User" })).await.expect_status(200);
    let (lines, is_whole) = read(response).await;
    assert!(lines < MANY && !is_whole, "{lines}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_exports_are_written_at_a_time_and_whoever_hangs_up_makes_room() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    fill(&app).await;
    let (one, two) = (begin(&browser).await, begin(&browser).await);
    assert_eq!((one.status(), two.status()), (reqwest::StatusCode::OK, reqwest::StatusCode::OK));
    let refused = browser.get("/admin/users/export?format=csv").await.expect_status(503);
    assert_eq!(refused.header("retry-after"), "10");
    drop(one);
    let began = Instant::now();
    while browser.get("/admin/users/export?format=csv").await.status == 503 {
        assert!(began.elapsed() < Duration::from_secs(30), "the place stays taken");
    }
    drop(two);
}
