//! `FAULTS=on`: a client developer loses answers on purpose, and what was done stays done.

use reqwest::Method;
use std::time::{Duration, Instant};

use crate::harness::{TestApp, configuration};

const ON: &[(&str, &str)] = &[("FAULTS", "on"), ("INSECURE_DEVELOPMENT", "on")];

fn refresh(app: &TestApp, token: &str, fault: &str) -> reqwest::RequestBuilder {
    app.request(Method::POST, "/api/auth/refresh-token").header("relatch-fault", fault).json(token)
}

#[tokio::test]
async fn a_lost_answer_was_a_refresh_all_the_same_and_the_retry_gets_its_successor() {
    let app = TestApp::with(ON).await;
    let saif = app.user("saif").await;
    for _ in 0..3 {
        let lost = refresh(&app, &saif.refresh_token, "drop-answer").send().await;
        assert!(lost.is_err(), "{lost:?}");
    }
    let first = app.refresh(&saif.refresh_token).await.expect_status(200);
    let second = app.refresh(&saif.refresh_token).await.expect_status(200);
    assert_eq!(first.text_at("refreshToken"), second.text_at("refreshToken"));
    // It was spent by the first of the lost ones: its successor is what counts now.
    let next = app.refresh(&first.text_at("refreshToken")).await.expect_status(200);
    app.refresh(&saif.refresh_token).await.expect_problem(401, "refresh_token_reused");
    app.refresh(&next.text_at("refreshToken")).await.expect_problem(401, "session_revoked");
}

#[tokio::test]
async fn a_delayed_answer_comes_late_and_is_right() {
    let app = TestApp::with(ON).await;
    let saif = app.user("saif").await;
    let began = Instant::now();
    app.send(refresh(&app, &saif.refresh_token, "delay=300")).await.expect_status(200);
    assert!(began.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn an_unknown_fault_does_nothing_and_says_what_there_is() {
    let app = TestApp::with(ON).await;
    let saif = app.user("saif").await;
    for fault in ["", "explode", "delay", "delay=", "delay=-1", "delay=60001", "drop-answer=1"] {
        let answer = app.send(refresh(&app, &saif.refresh_token, fault)).await.expect_problem(400, "invalid_request");
        assert!(answer.text_at("detail").contains("drop-answer"));
    }
    let session = app.refresh(&saif.refresh_token).await.expect_status(200);
    app.refresh(&session.text_at("refreshToken")).await.expect_status(200);
}

#[tokio::test]
async fn nobody_can_ask_for_a_fault_unless_it_is_switched_on() {
    let app = TestApp::start().await;
    assert!(!configuration(&app.database, &[]).faults);
    let saif = app.user("saif").await;
    app.send(refresh(&app, &saif.refresh_token, "drop-answer")).await.expect_status(200);
}
