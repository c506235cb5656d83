//! Which sessions get which places, and for how long lists are kept.

use std::sync::Arc;
use std::time::Duration;

use relatch::auth::maintenance;
use relatch::clock::ManualClock;

use super::verifier::{place_of, unverified};
use super::{expect_revoked, list_of, says};
use crate::harness::{Database, TestApp, execute};

#[tokio::test]
async fn a_session_from_before_the_lists_gets_a_place_when_it_is_refreshed() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    execute(&app.database, "UPDATE sessions SET status_index = NULL").await;
    let first = app.refresh(&person.refresh_token).await.expect_status(200);
    let second = app.refresh(&first.text_at("refreshToken")).await.expect_status(200);
    let places = [&first, &second].map(|answer| place_of(&unverified(&answer.text_at("jwtToken"))));
    assert!(places[0].is_some() && places[0] == places[1]);
    assert_ne!(places[0], place_of(&unverified(&person.access_token)));
    app.post("/api/auth/revoke-token", &second.json()["refreshToken"]).await.expect_status(204);
    expect_revoked(&app, &first.text_at("jwtToken")).await;
}

#[tokio::test]
async fn a_session_of_the_console_has_no_place() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    browser.get("/admin/me").await.expect_status(200);
    let kinds =
        |connection: &mut _| {
            use diesel::prelude::*;
            use relatch::store::schema::sessions;
            sessions::table
                .select((sessions::kind, sessions::status_index.is_not_null()))
                .order(sessions::kind)
                .load::<(String, bool)>(connection)
        };
    let kinds = app.database.store().read(kinds).await.unwrap();
    assert_eq!(kinds, [("api".to_owned(), true), ("console".to_owned(), false)]);
}

#[tokio::test]
async fn a_list_is_dropped_when_no_session_of_it_can_be_left_and_the_newest_never() {
    let app = TestApp::with(&[("SESSION_MAX_DAYS", "30")]).await;
    let oldest = app.user("saif").await;
    execute(&app.database, "UPDATE status_lists SET next_serial = 1048576").await;
    let app = app.restart(&[("SESSION_MAX_DAYS", "30")]).await;
    let newest = app.sign_in("saif").await;
    assert_ne!(list_in(&oldest.access_token), list_in(&newest.access_token));
    app.advance(Duration::from_hours(24 * 29));
    maintenance::prune(app.app.auth()).await.unwrap();
    assert_eq!(says(&app, &oldest.access_token).await, 0);
    app.advance(Duration::from_hours(24 * 10));
    maintenance::prune(app.app.auth()).await.unwrap();
    super::expect_new_lists().await;
    list_of(&app, &oldest.access_token).await.expect_problem(404, "not_found");
    list_of(&app, &newest.access_token).await.expect_status(200);
    let sessions = app.get("/status-lists").await.json();
    assert_eq!(sessions["status_lists"], serde_json::json!([list_in(&newest.access_token)]));
}

#[tokio::test]
async fn with_as_many_lists_as_there_may_be_sessions_begin_all_the_same() {
    let app = TestApp::start().await;
    app.user("saif").await;
    // The list whose turn it is to go is still there, and the newest is full.
    execute(&app.database, "UPDATE status_lists SET next_serial = 1048576").await;
    execute(
        &app.database,
        "INSERT INTO status_lists (number, name, permutation_key, next_serial, created_at, in_use_until) \
         SELECT number + 2047, 'another', permutation_key, next_serial, created_at, in_use_until FROM status_lists",
    )
    .await;
    let app = app.restart(&[]).await;
    let person = app.sign_in("saif").await;
    assert!(place_of(&unverified(&person.access_token)).is_none());
    app.refresh(&person.refresh_token).await.expect_status(200);
}

#[tokio::test]
async fn a_block_of_places_is_not_used_for_longer_than_its_list_is_kept_for() {
    let database = Arc::new(Database::create());
    let app = TestApp::on(Arc::clone(&database), &[]).await;
    let first = app.user("saif").await;
    let serials = async || {
        let read = |connection: &mut _| {
            use diesel::prelude::*;
            use relatch::store::schema::status_lists;
            status_lists::table.select(status_lists::next_serial).first::<i64>(connection)
        };
        database.store().read(read).await.unwrap()
    };
    assert_eq!(serials().await, 256);
    app.advance(Duration::from_mins(59));
    app.sign_in("saif").await;
    assert_eq!(serials().await, 256);
    app.advance(Duration::from_mins(2));
    let third = app.sign_in("saif").await;
    assert_eq!(serials().await, 512);
    // Nor by an instance whose clock went back.
    let clock: &ManualClock = &app.clock;
    clock.set(app.now().before(Duration::from_secs(30)));
    let fourth = app.sign_in("saif").await;
    assert_eq!(serials().await, 768);
    let places = [first, third, fourth].map(|person| place_of(&unverified(&person.access_token)).unwrap());
    assert!(places[0] != places[1] && places[1] != places[2] && places[0] != places[2]);
}

fn list_in(token: &str) -> String {
    place_of(&unverified(token)).unwrap().0
}
