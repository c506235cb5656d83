//! Secrets of clients: wrong ones are counted, and a right one always opens.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{PROXY, comparable, events, from};
use crate::harness::{Answer, TestApp, count};
use crate::oauth::{INTROSPECT, REVOKE, Registered, TOKEN, form};

const GRANT: [(&str, &str); 2] = [("grant_type", "client_credentials"), ("token", "x")];

async fn present(app: &TestApp, address: &str, path: &str, id: &str, secret: &str) -> Answer {
    app.send(from(form(app, path, &GRANT), address).basic_auth(id, Some(secret))).await
}

#[tokio::test]
async fn k3_wrong_secrets_are_counted_at_all_endpoints_and_a_right_one_always_passes() {
    let app = TestApp::with(&[PROXY]).await;
    let admin = app.admin("root").await;
    let client = Registered::with(&admin, &["introspect"]).await;
    for path in [TOKEN, REVOKE, INTROSPECT, TOKEN, REVOKE] {
        present(&app, "198.51.100.7", path, &client.id, "rls_wrong").await.expect_oauth_error(401, "invalid_client");
    }
    for path in [TOKEN, REVOKE, INTROSPECT] {
        let refused = present(&app, "198.51.100.7", path, &client.id, "rls_wrong").await;
        assert_eq!(refused.expect_oauth_error(429, "slow_down").header("retry-after"), "1");
        present(&app, "198.51.100.7", path, &client.id, &client.secret).await.expect_status(200);
    }
    // The right one begins no count anew: it needs none.
    app.advance(Duration::from_secs(1));
    present(&app, "198.51.100.7", TOKEN, &client.id, "rls_wrong").await.expect_oauth_error(401, "invalid_client");
    let refused = present(&app, "198.51.100.7", TOKEN, &client.id, "rls_wrong").await;
    assert_eq!(refused.expect_oauth_error(429, "slow_down").header("retry-after"), "2");
    let told = events(&admin, &format!("kind=login.throttled&client={}", client.id)).await;
    assert_eq!(told.len(), 1);
    // Nobody shuts a resource server out, wherever it is.
    for network in 0..20 {
        for _ in 0..5 {
            present(&app, &format!("198.51.{network}.7"), TOKEN, &client.id, "rls_wrong").await;
        }
    }
    present(&app, "203.0.113.7", TOKEN, &client.id, "rls_wrong").await.expect_oauth_error(429, "slow_down");
    present(&app, "203.0.113.7", TOKEN, &client.id, &client.secret).await.expect_status(200);
}

#[tokio::test]
async fn k1_a_client_that_is_not_there_looks_like_one_that_is() {
    let app = TestApp::with(&[PROXY]).await;
    let client = Registered::with(&app.admin("root").await, &["introspect"]).await;
    for attempt in 0..8 {
        let there = present(&app, "198.51.100.7", TOKEN, &client.id, "rls_wrong").await;
        for unknown in ["rlc_AAAAAAAAAAAAAAAA", "what is this"] {
            let unknown = present(&app, "198.51.100.7", TOKEN, unknown, "rls_wrong").await;
            assert_eq!(comparable(&there), comparable(&unknown), "attempt {attempt}");
        }
    }
}

#[tokio::test]
async fn s3_a_wrong_secret_that_is_refused_writes_nothing_and_one_that_is_looked_at_is_told_of() {
    let app = TestApp::with(&[PROXY]).await;
    let admin = app.admin("root").await;
    let client = Registered::with(&admin, &["introspect"]).await;
    let told = async || events(&admin, &format!("kind=client.authentication_failed&client={}", client.id)).await.len();
    let wrong = async || present(&app, "198.51.100.7", TOKEN, &client.id, "rls_wrong").await;
    for _ in 0..5 {
        wrong().await.expect_oauth_error(401, "invalid_client");
    }
    for doubled in 0..7 {
        app.advance(Duration::from_secs(1 << doubled));
        wrong().await.expect_oauth_error(401, "invalid_client");
    }
    let before = told().await;
    app.advance(Duration::from_secs(64));
    wrong().await.expect_oauth_error(429, "slow_down");
    assert_eq!(told().await, before);
    app.advance(Duration::from_secs(64));
    wrong().await.expect_oauth_error(401, "invalid_client");
    assert_eq!(told().await, before + 1);
}

#[tokio::test]
async fn k12_of_wrong_secrets_at_once_those_that_are_counted_spend_and_no_others() {
    let app = Arc::new(TestApp::with(&[PROXY]).await);
    let client = Registered::with(&app.admin("root").await, &["introspect"]).await;
    let mut at_once = JoinSet::new();
    for _ in 0..40 {
        let (app, id) = (Arc::clone(&app), client.id.clone());
        at_once.spawn(async move { present(&app, "198.51.100.7", TOKEN, &id, "rls_wrong").await.status });
    }
    let looked_at = at_once.join_all().await.into_iter().filter(|status| *status == 401).count();
    assert_eq!(looked_at, 5);
    for number in 5..100 {
        let answer = present(&app, "198.51.100.7", TOKEN, &format!("made up {number}"), "rls_wrong").await;
        answer.expect_oauth_error(401, "invalid_client");
    }
    present(&app, "198.51.100.7", TOKEN, "made up", "rls_wrong").await.expect_oauth_error(429, "slow_down");
}

#[tokio::test]
async fn k12_made_up_ids_from_many_networks_are_bounded_altogether_and_a_right_secret_passes() {
    let app = TestApp::with(&[PROXY]).await;
    let client = Registered::with(&app.admin("root").await, &["introspect"]).await;
    let stranger = |number: usize| format!("60.{}.{}.7", number / 250, number % 250);
    // What is refused for one client's sake spends nothing.
    for attempt in 0..30 {
        let status = present(&app, "198.51.100.7", TOKEN, &client.id, "rls_wrong").await.status;
        assert_eq!(status, if attempt < 5 { 401 } else { 429 });
    }
    let before = count(&app.database, "guess_counters").await;
    for number in 0..295 {
        let answer = present(&app, &stranger(number), TOKEN, &format!("made up {number}"), "rls_wrong").await;
        answer.expect_oauth_error(401, "invalid_client");
    }
    for number in 295..305 {
        let refused = present(&app, &stranger(number), TOKEN, &format!("made up {number}"), "rls_wrong").await;
        assert_eq!(refused.expect_oauth_error(429, "slow_down").header("retry-after"), "1");
        present(&app, &stranger(number), TOKEN, &client.id, &client.secret).await.expect_status(200);
    }
    assert_eq!(count(&app.database, "guess_counters").await - before, 2 * 295);
    app.advance(Duration::from_millis(200));
    let answer = present(&app, &stranger(306), TOKEN, "made up", "rls_wrong").await;
    answer.expect_oauth_error(401, "invalid_client");
}
