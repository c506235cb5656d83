//! Rotation, the grace window, theft and expiry, as the holder of a refresh token sees them.

use std::sync::Arc;
use std::time::Duration;

use relatch::auth::refresh_tokens;
use relatch::domain::session::SessionId;
use relatch::domain::timestamp::Timestamp;
use relatch::store::audit_events::{self, Kind};
use serde_json::json;

use crate::harness::{PASSWORD, Person, TestApp};

const DAY: Duration = Duration::from_hours(24);

/// A person, and the tokens of the first `count` generations of their session, spent in turn.
async fn rotated(app: &TestApp, count: usize) -> (Person, Vec<String>) {
    let person = app.user("saif").await;
    let mut tokens = vec![person.refresh_token.clone()];
    while tokens.len() < count {
        let pair = app.refresh(tokens.last().unwrap()).await.expect_status(200);
        tokens.push(pair.text_at("refreshToken"));
    }
    (person, tokens)
}

async fn events(app: &TestApp, kind: Kind, session: &str) -> i64 {
    let session = SessionId::parse(session).unwrap();
    app.database.store().read(move |connection| audit_events::count(connection, kind, session)).await.unwrap()
}

#[tokio::test]
async fn a1_a_pair_says_all_that_a_client_needs() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    for answer in [app.login("saif", PASSWORD).await, app.refresh(&person.refresh_token).await] {
        let answer = answer.expect_status(200);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("content-type"), "application/json");
        let body = answer.json();
        let mut members: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
        members.sort_unstable();
        let expected = "email,expiresIn,id,jwtToken,refreshAfter,refreshToken,refreshTokenExpiresAt,role,sessionId,\
                        tokenType,username";
        assert_eq!(members.join(","), expected);
        assert_eq!((body["tokenType"].as_str(), body["expiresIn"].as_u64()), (Some("Bearer"), Some(900)));
        let refresh_after = body["refreshAfter"].as_u64().unwrap();
        assert!((630..=810).contains(&refresh_after), "{refresh_after}");
        assert_eq!(body["refreshTokenExpiresAt"], app.now().after(DAY * 7).to_string());
        assert_eq!((body["role"].as_str(), body["id"].as_i64()), (Some("User"), Some(person.id)));
    }
}

#[tokio::test]
async fn b1_b2_a_spent_token_is_refused_and_takes_its_whole_session_with_it_and_no_other() {
    let app = TestApp::start().await;
    let (person, tokens) = rotated(&app, 3).await;
    let other = app.sign_in("saif").await;
    app.refresh(&tokens[0]).await.expect_problem(401, "refresh_token_reused");
    for token in &tokens {
        app.refresh(token).await.expect_problem(401, "session_revoked");
    }
    person.profile().await.expect_problem(401, "invalid_token");
    other.profile().await.expect_status(200);
    app.refresh(&other.refresh_token).await.expect_status(200);
    assert_eq!(events(&app, Kind::ReuseDetected, &person.session_id).await, 1);
    assert_eq!(events(&app, Kind::ReuseDetected, &other.session_id).await, 0);
}

#[tokio::test]
async fn b16_within_the_grace_window_a_retry_gets_the_same_successor_and_renews_nothing() {
    let app = TestApp::start().await;
    let (_, tokens) = rotated(&app, 2).await;
    let expires_at = app.now().after(DAY * 7).to_string();
    for _ in 0..3 {
        app.advance(Duration::from_millis(9_999));
        let pair = app.refresh(&tokens[0]).await.expect_status(200);
        assert_eq!(pair.text_at("refreshToken"), tokens[1]);
        assert_eq!(pair.text_at("refreshTokenExpiresAt"), expires_at);
    }
    // 29.997 s have passed. The retries did not lengthen the window.
    app.advance(Duration::from_millis(3));
    app.refresh(&tokens[0]).await.expect_problem(401, "refresh_token_reused");
    app.refresh(&tokens[1]).await.expect_problem(401, "session_revoked");
}

#[tokio::test]
async fn b16_a_parent_whose_successor_was_used_is_theft_even_within_the_window() {
    let app = TestApp::start().await;
    let (_, tokens) = rotated(&app, 3).await;
    app.refresh(&tokens[0]).await.expect_problem(401, "refresh_token_reused");
}

#[tokio::test]
async fn b1_without_a_grace_window_every_second_use_is_theft() {
    let app = TestApp::with(&[("REFRESH_GRACE_SECONDS", "0")]).await;
    let (_, tokens) = rotated(&app, 2).await;
    app.refresh(&tokens[0]).await.expect_problem(401, "refresh_token_reused");
    app.refresh(&tokens[1]).await.expect_problem(401, "session_revoked");
}

#[tokio::test]
async fn b5_three_generations_within_one_instant_are_told_apart() {
    let app = TestApp::start().await;
    let (_, tokens) = rotated(&app, 3).await;
    assert_eq!(app.refresh(&tokens[1]).await.expect_status(200).text_at("refreshToken"), tokens[2]);
    app.refresh(&tokens[0]).await.expect_problem(401, "refresh_token_reused");
}

#[tokio::test]
async fn b6_reuse_is_found_after_a_restart() {
    let app = TestApp::start().await;
    let (_, tokens) = rotated(&app, 3).await;
    let app = app.restart(&[]).await;
    app.refresh(&tokens[0]).await.expect_problem(401, "refresh_token_reused");
    app.refresh(&tokens[2]).await.expect_problem(401, "session_revoked");
}

#[tokio::test]
async fn b8_a_session_ends_at_its_absolute_life_however_much_it_is_used() {
    let app = TestApp::with(&[("SESSION_MAX_DAYS", "10")]).await;
    let person = app.user("saif").await;
    let end = app.now().after(DAY * 10);
    let mut token = person.refresh_token;
    for day in 1..10 {
        app.advance(DAY);
        let pair = app.refresh(&token).await.expect_status(200);
        let expected: Timestamp = app.now().after(DAY * 7).min(end);
        assert_eq!(pair.text_at("refreshTokenExpiresAt"), expected.to_string(), "day {day}");
        token = pair.text_at("refreshToken");
    }
    app.advance(DAY - Duration::from_secs(60));
    let pair = app.refresh(&token).await.expect_status(200);
    // The access token does not outlive the session either.
    assert_eq!(pair.json()["expiresIn"], 60);
    app.advance(Duration::from_secs(60));
    app.refresh(&pair.text_at("refreshToken")).await.expect_problem(401, "refresh_token_expired");
}

#[tokio::test]
async fn b9_a_token_that_is_not_used_in_time_expires_to_the_microsecond() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    app.advance(DAY * 7 - Duration::from_micros(1));
    let pair = app.refresh(&person.refresh_token).await.expect_status(200);
    app.advance(DAY * 7);
    app.refresh(&pair.text_at("refreshToken")).await.expect_problem(401, "refresh_token_expired");
    // Expiry is no theft: an older token of the expired session is just expired, too.
    app.refresh(&person.refresh_token).await.expect_problem(401, "refresh_token_expired");
    assert_eq!(events(&app, Kind::ReuseDetected, &person.session_id).await, 0);
}

#[tokio::test]
async fn b11_near_misses_are_refused_and_end_nothing() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    let token = person.refresh_token.as_str();
    let cut = &token[..token.len() - 1];
    let flipped: String = token
        .chars()
        .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect();
    let misses = [
        cut.to_owned(),
        format!("{token}A"),
        format!("{token}="),
        format!(" {token}"),
        format!("{token} "),
        format!("{token}\u{0}"),
        flipped,
        token.replace("rlr_", "rlr%5F"),
        token.replace("rlr_", ""),
        token.repeat(2),
        String::new(),
    ];
    for miss in misses {
        app.refresh(&miss).await.expect_problem(401, "refresh_token_invalid");
    }
    app.refresh(token).await.expect_status(200);
}

#[tokio::test]
async fn b13_no_token_passes_for_one_of_the_other_kind() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    app.refresh(&person.access_token).await.expect_problem(401, "refresh_token_invalid");
    let swapped = person.with_access_token(&person.refresh_token);
    swapped.profile().await.expect_problem(401, "invalid_token");
    person.profile().await.expect_status(200);
}

#[tokio::test]
async fn b10_neither_tokens_nor_passwords_nor_keys_are_in_the_database() {
    let app = TestApp::start().await;
    let (person, tokens) = rotated(&app, 2).await;
    let dump = crate::harness::dump(&app.database).await;
    assert!(dump.contains("saif@example.com"), "the dump is empty");
    for secret in tokens.iter().chain([&person.access_token]) {
        // What follows the public part, in every cut of 20 characters.
        let secret_part = &secret[36..];
        for start in 0..=secret_part.len() - 20 {
            assert!(!dump.contains(&secret_part[start..start + 20]), "{start}");
        }
    }
    assert!(!dump.contains(PASSWORD) && !dump.contains("PRIVATE KEY"));
}

#[tokio::test]
async fn b15_one_session_more_than_allowed_ends_the_least_recently_used() {
    let app = TestApp::with(&[("MAX_SESSIONS_PER_USER", "3")]).await;
    let first = app.user("saif").await;
    let mut later = Vec::new();
    for _ in 0..2 {
        app.advance(Duration::from_secs(1));
        later.push(app.sign_in("saif").await);
    }
    app.advance(Duration::from_secs(1));
    app.refresh(&first.refresh_token).await.expect_status(200);
    app.advance(Duration::from_secs(1));
    let newest = app.sign_in("saif").await;
    app.refresh(&later[0].refresh_token).await.expect_problem(401, "session_revoked");
    for live in [&first.access_token, &later[1].access_token, &newest.access_token] {
        first.with_access_token(live).profile().await.expect_status(200);
    }
}

#[tokio::test]
async fn b15_a_new_session_is_not_the_one_that_ends_even_when_other_clocks_are_ahead() {
    let app = TestApp::with(&[("MAX_SESSIONS_PER_USER", "1")]).await;
    app.advance(Duration::from_secs(10));
    let ahead = app.user("saif").await;
    app.clock.set(app.now().before(Duration::from_secs(5)));
    let person = app.sign_in("saif").await;
    person.profile().await.expect_status(200);
    ahead.profile().await.expect_problem(401, "invalid_token");
}

#[tokio::test]
async fn a_token_newer_than_the_store_ends_the_session_with_a_critical_event() {
    let app = TestApp::start().await;
    let (person, tokens) = rotated(&app, 2).await;
    // As in a store that was restored from before the rotation.
    let session = SessionId::parse(&person.session_id).unwrap();
    crate::harness::execute(&app.database, "UPDATE sessions SET generation = 1").await;
    app.refresh(&tokens[1]).await.expect_problem(401, "session_revoked");
    app.refresh(&tokens[0]).await.expect_problem(401, "session_revoked");
    assert_eq!(events(&app, Kind::StoreRolledBack, &session.to_string()).await, 1);
}

#[tokio::test]
async fn a_session_ends_at_its_last_generation() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    let last = 1_u32 << 31;
    crate::harness::execute(&app.database, &format!("UPDATE sessions SET generation = {last}")).await;
    let keyring = crate::harness::keyring();
    let genuine = refresh_tokens::recognise(&keyring, &person.refresh_token).unwrap();
    let token = genuine.successor(&keyring, relatch::domain::session::Generation::new(last).unwrap());
    app.refresh(token.expose()).await.expect_problem(401, "session_revoked");
    person.profile().await.expect_problem(401, "invalid_token");
}

#[tokio::test]
async fn a_session_that_rotates_too_often_is_told_to_wait_and_lives_on() {
    let app = TestApp::start().await;
    let (_, tokens) = rotated(&app, 61).await;
    app.advance(Duration::from_secs(20));
    let answer = app.refresh(&tokens[60]).await.expect_problem(429, "too_many_refreshes");
    assert_eq!((answer.header("retry-after"), answer.json()["retryable"].as_bool()), ("40", Some(true)));
    app.advance(Duration::from_secs(40));
    app.refresh(&tokens[60]).await.expect_status(200);

    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    rotated(&app, 70).await;
}

#[tokio::test]
async fn a_disabled_users_tokens_say_so_and_stay_dead_when_the_user_is_enabled_again() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let person = app.user("saif").await;
    let path = format!("/api/users/{}", person.id);
    admin.patch(&path, &json!({ "disabled": true })).await.expect_status(200);
    let refused = app.refresh(&person.refresh_token).await.expect_problem(401, "account_disabled");
    assert_eq!(refused.json()["retryable"], false);
    person.profile().await.expect_problem(401, "invalid_token");
    app.login("saif", PASSWORD).await.expect_problem(401, "invalid_credentials");
    admin.patch(&path, &json!({ "disabled": false })).await.expect_status(200);
    app.refresh(&person.refresh_token).await.expect_problem(401, "session_revoked");
    person.profile().await.expect_problem(401, "invalid_token");
    app.sign_in("saif").await.profile().await.expect_status(200);
}

#[tokio::test]
async fn the_secret_is_exchanged_without_a_lost_session() {
    let old = "b2xkLXNlY3JldC1vbGQtc2VjcmV0LW9sZC1zZWNyZXQ=";
    let new = "bmV3LXNlY3JldC1uZXctc2VjcmV0LW5ldy1zZWNyZXQ=";
    let app = TestApp::with(&[("SECRET_KEY", old)]).await;
    let person = app.user("saif").await;
    let second = app.refresh(&person.refresh_token).await.expect_status(200).text_at("refreshToken");
    let app = app.restart(&[("SECRET_KEY", old), ("SECRET_KEYS_ACCEPTED", new)]).await;
    let app = app.restart(&[("SECRET_KEY", new), ("SECRET_KEYS_ACCEPTED", old)]).await;
    // A retry from before the exchange still gets the same successor, and the session moves on to the new secret.
    assert_eq!(app.refresh(&person.refresh_token).await.expect_status(200).text_at("refreshToken"), second);
    let third = app.refresh(&second).await.expect_status(200).text_at("refreshToken");
    let app = app.restart(&[("SECRET_KEY", new)]).await;
    let pair = app.refresh(&third).await.expect_status(200);
    Person::of_pair(&app, &pair).profile().await.expect_status(200);
    app.refresh(&second).await.expect_problem(401, "refresh_token_invalid");

    let config = crate::harness::configuration(&app.database, &[("SECRET_KEY", old)]);
    let refused = relatch::app::App::start(&config, Arc::clone(&app.clock) as Arc<_>).await.map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("SECRET_KEYS_ACCEPTED"), "{refused}");
}
