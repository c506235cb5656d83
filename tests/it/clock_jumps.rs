//! The clock is set to another time while the server runs, and the clocks of two servers differ.

use std::sync::Arc;
use std::time::Duration;

use relatch::clock::ManualClock;
use serde_json::json;

use crate::harness::{Person, TestApp};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Goes on with the session, as a client does whose access token is not accepted; gives what it has then.
async fn go_on(app: &TestApp, refresh_token: &str) -> Person {
    Person::of_pair(app, &app.refresh(refresh_token).await.expect_status(200))
}

#[tokio::test]
async fn a_jump_of_the_clock_ends_no_session() {
    for jump in [HOUR, DAY] {
        let app = TestApp::start().await;
        let right = app.now();
        let mut person = app.user("saif").await;
        for time in [right.before(jump), right, right.after(jump), right] {
            app.clock.set(time);
            // What was signed at another time is out of its own; the session is not.
            person.profile().await.expect_problem(401, "invalid_token");
            person = go_on(&app, &person.refresh_token).await;
            person.profile().await.expect_status(200);
        }
    }
}

#[tokio::test]
async fn a_jump_back_within_the_tolerance_is_not_noticed() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    app.clock.set(app.now().before(Duration::from_secs(5)));
    person.profile().await.expect_status(200);
    app.clock.set(app.now().before(Duration::from_secs(2)));
    person.profile().await.expect_problem(401, "invalid_token");
    go_on(&app, &person.refresh_token).await.profile().await.expect_status(200);
}

#[tokio::test]
async fn an_expired_access_token_stays_expired_when_the_clock_goes_back_by_more_than_its_life() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    let issued = app.now();
    // It is remembered as one that was accepted.
    person.profile().await.expect_status(200);
    app.advance(Duration::from_mins(15));
    person.profile().await.expect_problem(401, "invalid_token");
    for time in [issued.before(Duration::from_secs(6)), issued.before(HOUR), issued.before(DAY)] {
        app.clock.set(time);
        person.profile().await.expect_problem(401, "invalid_token");
    }
}

#[tokio::test]
async fn what_was_ended_stays_ended_at_any_time_and_what_began_after_it_lives() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let saif = app.user("saif").await;
    app.post("/api/auth/revoke-token", &json!(saif.refresh_token)).await.expect_status(204);
    let everywhere = app.sign_in("saif").await;
    everywhere.post_nothing("/api/auth/logout-all").await.expect_status(204);
    let kim = app.user("kim").await;
    admin.patch(&format!("/api/users/{}", kim.id), &json!({ "disabled": true })).await.expect_status(200);
    admin.patch(&format!("/api/users/{}", kim.id), &json!({ "disabled": false })).await.expect_status(200);
    let right = app.now();
    for time in [right.before(HOUR), right.before(DAY), right, right.after(DAY)] {
        app.clock.set(time);
        for person in [&saif, &everywhere, &kim] {
            person.profile().await.expect_problem(401, "invalid_token");
            let refused = app.refresh(&person.refresh_token).await.expect_status(401);
            assert!(refused.text_at("code") != "refresh_token_expired", "{}", refused.text_at("code"));
        }
        // By the clock it began before those were ended.
        let later = app.sign_in("saif").await;
        later.profile().await.expect_status(200);
        go_on(&app, &later.refresh_token).await.profile().await.expect_status(200);
    }
}

#[tokio::test]
async fn theft_is_noticed_after_a_jump_back() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    let second = go_on(&app, &person.refresh_token).await;
    app.clock.set(app.now().before(HOUR));
    // No time has passed for the parent, so that it gets the same answer again.
    let again = go_on(&app, &person.refresh_token).await;
    assert_eq!(again.refresh_token, second.refresh_token);
    let third = go_on(&app, &second.refresh_token).await;
    app.refresh(&person.refresh_token).await.expect_problem(401, "refresh_token_reused");
    app.refresh(&third.refresh_token).await.expect_problem(401, "session_revoked");
}

/// A server, and another on the same store whose clock is behind by this much.
async fn two_servers(behind_by: Duration) -> (TestApp, TestApp) {
    let ahead = TestApp::start().await;
    let clock = Arc::new(ManualClock::at(ahead.now().before(behind_by)));
    let behind = TestApp::on_at(Arc::clone(&ahead.database), &[], clock).await;
    (ahead, behind)
}

#[tokio::test]
async fn servers_whose_clocks_differ_by_little_accept_each_others_tokens() {
    let (ahead, behind) = two_servers(Duration::from_secs(5)).await;
    let mut token = ahead.user("saif").await.refresh_token;
    for (here, there) in [(&ahead, &behind), (&behind, &ahead), (&ahead, &behind)] {
        let pair = here.refresh(&token).await.expect_status(200);
        for app in [here, there] {
            Person::of_pair(app, &pair).profile().await.expect_status(200);
        }
        token = pair.text_at("refreshToken");
    }
}

#[tokio::test]
async fn servers_half_a_minute_apart_lose_no_session_and_revive_none() {
    let (ahead, behind) = two_servers(Duration::from_secs(30)).await;
    let mut token = ahead.user("saif").await.refresh_token;
    for _ in 0..3 {
        for app in [&ahead, &behind] {
            let person = go_on(app, &token).await;
            person.profile().await.expect_status(200);
            token = person.refresh_token;
            app.advance(Duration::from_mins(5));
        }
    }
    behind.post("/api/auth/revoke-token", &json!(token)).await.expect_status(204);
    ahead.refresh(&token).await.expect_problem(401, "session_revoked");
    let token = behind.sign_in("saif").await.refresh_token;
    ahead.post("/api/auth/revoke-token", &json!(token)).await.expect_status(204);
    behind.refresh(&token).await.expect_problem(401, "session_revoked");
}
