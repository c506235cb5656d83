//! Security events: which are in the log, with what, and how often.

use std::collections::BTreeSet;

use relatch::domain::session::SessionId;
use reqwest::Method;
use serde_json::Value;

use super::{events, lines, walk};
use crate::harness::{Binary, Browser, PASSWORD};

#[tokio::test]
async fn s3_security_events_have_time_level_who_where_which_request_and_what_came_of_it() {
    let walked = walk::take("json").await;
    let lines = lines(&walked.log);
    let (user, admin) = (Some(walked.user), Some(walked.admin));
    // What was asked, the event, its name in the trail, its level, what came of it, who did it, and to whom.
    for (asked, event, kind, level, result, by, about) in [
        ("register", "user_created", "user.registered", "INFO", "succeeded", None, user),
        ("login", "authn_login_success", "login.succeeded", "INFO", "succeeded", user, user),
        ("login", "session_created", "", "INFO", "succeeded", user, user),
        ("wrong", "authn_login_fail", "login.failed", "WARN", "failed", None, user),
        ("disabled", "authn_login_fail", "login.denied", "WARN", "denied", None, user),
        ("refresh", "session_renewed", "", "DEBUG", "succeeded", user, None),
        ("reuse", "authn_token_reuse", "session.reuse_detected", "ERROR", "denied", None, user),
        ("revoke", "authn_token_revoked", "session.revoked", "INFO", "succeeded", None, user),
        ("after the end", "session_use_after_expire", "", "INFO", "denied", None, None),
        ("an access token after the end", "session_use_after_expire", "", "INFO", "denied", None, None),
        ("an old cookie", "session_use_after_expire", "", "INFO", "denied", None, None),
        ("wrong change", "authn_password_change_fail", "password.change_failed", "WARN", "failed", user, user),
        ("change", "authn_password_change", "password.changed", "INFO", "succeeded", user, user),
        ("denied", "authz_fail", "access.denied", "WARN", "denied", user, user),
        ("promote", "privilege_permissions_changed", "user.role_changed", "INFO", "succeeded", admin, user),
        ("update", "user_updated", "user.updated", "INFO", "succeeded", admin, user),
        ("disable", "user_updated", "user.disabled", "INFO", "succeeded", admin, user),
        ("delete", "user_deleted", "user.deleted", "INFO", "succeeded", admin, user),
        ("client", "authz_admin", "client.created", "INFO", "succeeded", admin, None),
        ("a forged form", "malicious_csrf", "", "WARN", "denied", None, None),
    ] {
        let id = walked.request(asked);
        let mut found = events(&lines, event);
        found.retain(|line| line["request_id"] == id && line["kind"].as_str().unwrap_or_default() == kind);
        assert_eq!(found.len(), 1, "{asked}, {event}: {found:?}");
        let line = found[0];
        let time = line["timestamp"].as_str().unwrap();
        assert!(time.ends_with('Z') && relatch::domain::timestamp::Timestamp::parse(time).is_some(), "{line}");
        assert_eq!((line["level"].as_str(), line["result"].as_str()), (Some(level), Some(result)), "{line}");
        assert_eq!((line["user"].as_i64(), line["about"].as_i64()), (by, about), "{line}");
        assert_eq!(line["source"].as_str(), Some("127.0.0.1"), "{line}");
    }
    for (event, level) in [
        ("sys_startup", "INFO"),
        ("sys_shutdown", "INFO"),
        ("authn_token_created", "INFO"),
        ("session_expired", "INFO"),
    ] {
        assert!(events(&lines, event).iter().any(|line| line["level"] == level), "{event}");
    }
    for (asked, code) in [("invalid_json", "invalid_json"), ("validation_failed", "validation_failed")] {
        let found = events(&lines, "input_validation_fail");
        assert!(found.iter().any(|line| line["code"] == code && line["level"] == "DEBUG"), "{asked}: {found:?}");
    }
}

#[tokio::test]
async fn s4_sessions_have_another_name_in_the_log_that_operators_can_find() {
    let walked = walk::take("json").await;
    let lines = lines(&walked.log);
    let named: BTreeSet<&str> = lines.iter().filter_map(|line| line["session"].as_str()).collect();
    assert!(!walked.sessions.is_empty());
    for session in &walked.sessions {
        assert!(!walked.log.contains(session.as_str()), "{session}");
        let name = SessionId::parse(session).unwrap().log_name();
        assert!(named.contains(name.as_str()), "{name} of {session} is not among {named:?}");
        // `relatch session list` was the walk's last command.
        let listed = walked.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut listed = listed.filter(|row| row["id"] == session.as_str());
        if let Some(row) = listed.next() {
            assert_eq!(row["logName"], name);
        }
    }
    assert!(walked.stdout.contains("\"logName\""), "{}", walked.stdout);
}

#[tokio::test]
async fn s3_every_answer_has_a_line_and_so_have_those_that_no_handler_gives() {
    let server = Binary::new().set("LOG_FORMAT", "json").set("CORS_ORIGINS", "https://app.example").set("FAULTS", "on");
    let server = server.serve();
    let browser = Browser::at(&server.base);
    let preflight = browser.request(Method::OPTIONS, "/api/users").header("origin", "https://app.example");
    let preflight = browser.send(preflight.header("access-control-request-method", "GET")).await.expect_status(204);
    let fault = browser.request(Method::GET, "/api/users").header("relatch-fault", "nonsense");
    let fault = browser.send(fault).await.expect_status(400);
    let (_, log) = server.end();
    let lines = lines(&log);
    for (answer, method) in [(&preflight, "OPTIONS"), (&fault, "GET")] {
        let id = answer.header("x-request-id");
        let mut found = lines.iter().filter(|line| line["target"] == "relatch::access" && line["request_id"] == id);
        let line = found.next().unwrap_or_else(|| panic!("no line of {answer:?}"));
        assert_eq!((&line["method"], &line["path"]), (&method.into(), &"/api/users".into()), "{line}");
        assert_eq!(line["status"], answer.status, "{line}");
        assert!(found.next().is_none());
    }
}

#[tokio::test]
async fn s3_too_many_refreshes_are_logged_once_a_minute_for_each_source() {
    let server = Binary::new().set("LOG_FORMAT", "json").serve();
    let account = serde_json::json!({ "username": "saif", "email": "saif@example.com", "password": PASSWORD });
    server.post("/api/users/register", &account).await.expect_status(201);
    let login = serde_json::json!({ "username": "saif", "password": PASSWORD });
    let mut token = server.post("/api/auth/login", &login).await.expect_status(200).text_at("refreshToken");
    let mut refused = Vec::new();
    // A session may be refreshed 60 times a minute.
    for _ in 0..66 {
        let answer = server.post("/api/auth/refresh-token", &serde_json::json!(token)).await;
        match answer.status {
            200 => token = answer.text_at("refreshToken"),
            _ => refused.push(answer.expect_status(429).header("x-request-id").to_owned()),
        }
    }
    assert!(refused.len() > 3, "{refused:?}");
    let (_, log) = server.end();
    let lines = lines(&log);
    let logged = events(&lines, "excess_rate_limit_exceeded");
    assert_eq!(logged.len(), 1, "{logged:?}");
    let line = logged[0];
    assert_eq!(
        (line["request_id"].as_str(), line["code"].as_str()),
        (Some(refused[0].as_str()), Some("too_many_refreshes"))
    );
    assert_eq!((line["level"].as_str(), line["source"].as_str()), (Some("WARN"), Some("127.0.0.1")));
}

#[tokio::test]
async fn s3_guesses_in_the_console_that_have_to_wait_are_logged_as_well() {
    let server = Binary::new().set("LOG_FORMAT", "json").serve();
    let account = serde_json::json!({ "username": "saif", "email": "saif@example.com", "password": PASSWORD });
    server.post("/api/users/register", &account).await.expect_status(201);
    let browser = Browser::at(&server.base);
    let mut refused = None;
    for _ in 0..30 {
        let form = browser.get("/admin/sign-in").await.form("/admin/sign-in");
        let page = browser.submit(&form.with("identifier", "saif").with("password", "not this one")).await;
        if page.status == 429 {
            refused = Some(page.header("x-request-id").to_owned());
            break;
        }
    }
    let (_, log) = server.end();
    let lines = lines(&log);
    let logged = events(&lines, "excess_rate_limit_exceeded");
    assert_eq!(logged.len(), 1, "{logged:?}");
    assert_eq!(logged[0]["request_id"].as_str().map(str::to_owned), refused, "{logged:?}");
    assert_eq!((logged[0]["level"].as_str(), logged[0]["source"].as_str()), (Some("WARN"), Some("127.0.0.1")));
}
