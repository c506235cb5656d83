//! Old rows are deleted, and nothing that still decides is.

use std::cell::Cell;
use std::time::Duration;

use relatch::auth::maintenance::prune;
use relatch::store::leases;

use crate::harness::{PASSWORD, TestApp, execute};

const DAY: Duration = Duration::from_hours(24);

#[tokio::test]
async fn b7_pruning_takes_what_is_old_and_leaves_reuse_detection_as_it_was() {
    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    let ended = app.user("ended").await;
    ended.post_nothing("/api/auth/logout").await.expect_status(204);
    let expired = app.user("expired").await;
    let living = app.user("living").await;
    let first = living.refresh_token.clone();
    let mut current = first.clone();
    for _ in 0..3 {
        current = app.refresh(&current).await.expect_status(200).text_at("refreshToken");
    }
    for _ in 0..10 {
        app.advance(DAY * 4);
        current = app.refresh(&current).await.expect_status(200).text_at("refreshToken");
    }
    // 40 days on: the first session ended 40 days ago, the second expired 33 days ago, the third lives.
    let admin = app.admin("root").await;
    let rotations = async || {
        let shown = admin.get(&format!("/api/sessions/{}", living.session_id)).await.expect_status(200);
        shown.json()["rotations"].as_array().unwrap().len()
    };
    assert_eq!(rotations().await, 14);
    let pruned = prune(app.app.auth()).await.unwrap().unwrap();
    // Of the 14 tokens, four are 40 days old, and those of the 36th and 32nd day before today are too old as well.
    assert_eq!((pruned.sessions, pruned.rotations, pruned.users), (2, 6, 0));
    assert_eq!(rotations().await, 8);
    for gone in [&ended, &expired] {
        admin.get(&format!("/api/sessions/{}", gone.session_id)).await.expect_problem(404, "not_found");
        app.refresh(&gone.refresh_token).await.expect_problem(401, "refresh_token_invalid");
    }
    app.refresh(&first).await.expect_problem(401, "refresh_token_reused");
    app.refresh(&current).await.expect_problem(401, "session_revoked");
    let nothing = prune(app.app.auth()).await.unwrap().unwrap();
    assert_eq!((nothing.sessions, nothing.rotations, nothing.users), (0, 0, 0));
}

#[tokio::test]
async fn l17_deleted_users_are_purged_after_thirty_days_and_their_ids_stay_theirs() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let user = app.user("saif").await;
    let path = format!("/api/users/{}", user.id);
    admin.delete(&path).await.expect_status(204);
    app.advance(DAY * 30);
    assert_eq!(prune(app.app.auth()).await.unwrap().unwrap().users, 0);
    app.register("saif").await.expect_problem(409, "already_taken");
    app.advance(Duration::from_secs(1));
    assert_eq!(prune(app.app.auth()).await.unwrap().unwrap().users, 1);
    let again = app.register("saif").await.expect_status(201);
    assert!(again.json()["id"].as_i64().unwrap() > user.id);
    app.refresh(&user.refresh_token).await.expect_problem(401, "refresh_token_invalid");
    user.profile().await.expect_problem(401, "invalid_token");
    let admin = app.sign_in("root").await;
    admin.get(&path).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn one_instance_prunes_at_a_time_and_another_takes_over_when_it_is_gone() {
    let app = TestApp::start().await;
    let until = app.now().after(Duration::from_secs(60));
    let now = app.now();
    let store = app.database.store();
    let took = store.write(move |connection| leases::take(connection, "pruning", &[7; 16], now, until));
    assert!(took.await.unwrap());
    assert!(prune(app.app.auth()).await.unwrap().is_none());
    app.advance(Duration::from_secs(60));
    assert!(prune(app.app.auth()).await.unwrap().is_some());
    // It is given back when the work is done.
    assert!(prune(app.app.auth()).await.unwrap().is_some());
}

#[tokio::test]
async fn q11_pruning_many_sessions_holds_nobody_up_for_long() {
    let app = TestApp::start().await;
    let user = app.user("saif").await;
    crate::bulk::copy_session(&app, &user, 5_000).await;
    app.advance(DAY * 40);
    let (is_done, signed_in) = (Cell::new(false), Cell::new(0));
    let pruning = async {
        let pruned = prune(app.app.auth()).await.unwrap().unwrap();
        is_done.set(true);
        pruned
    };
    let signing_in = async {
        while !is_done.get() {
            app.login("saif", PASSWORD).await.expect_status(200);
            // Who is answered when all is over may have been held up by it.
            signed_in.set(signed_in.get() + u32::from(!is_done.get()));
        }
    };
    let (pruned, ()) = tokio::join!(pruning, signing_in);
    assert_eq!(pruned.sessions, 5_001);
    assert!(signed_in.get() > 0, "nobody else got through");
    // Two rows for each session. The first steps are small, however quickly they are done.
    assert!(pruned.steps > 10 && pruned.largest_step <= 2_000, "{pruned:?}");
}

#[tokio::test]
async fn an_instance_that_failed_to_prune_holds_up_nobody() {
    let app = TestApp::start().await;
    // What was counted cannot be kept.
    let sql = match app.database.is_postgres() {
        true => {
            "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$;
             CREATE TRIGGER broken BEFORE INSERT ON meta FOR EACH ROW EXECUTE FUNCTION broken();"
        }
        false => "CREATE TRIGGER broken BEFORE INSERT ON meta BEGIN SELECT RAISE(ABORT, 'broken'); END;",
    };
    execute(&app.database, sql).await;
    assert!(prune(app.app.auth()).await.is_err());
    let on = if app.database.is_postgres() { " ON meta" } else { "" };
    execute(&app.database, &format!("DROP TRIGGER broken{on}")).await;
    assert!(prune(app.app.auth()).await.unwrap().is_some());
}
