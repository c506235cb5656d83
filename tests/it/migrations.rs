//! Migrations: down and up again on the database under test, the same names on both, and one winner at start.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use relatch::clock::SystemClock;
use relatch::store::signing_keys;
use serde_json::json;

use crate::harness::{Binary, Database, PASSWORD, TestApp, configuration, execute};

fn names(backend: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(backend);
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|path| {
            assert!(path.join("up.sql").is_file() && path.join("down.sql").is_file(), "{path:?}");
            path.file_name().unwrap().to_string_lossy().into_owned()
        })
        .collect()
}

#[test]
fn both_databases_have_migrations_of_the_same_names_each_with_its_way_back() {
    let sqlite = names("sqlite");
    assert!(!sqlite.is_empty());
    assert_eq!(sqlite, names("postgres"));
}

#[tokio::test]
async fn the_schema_goes_up_down_and_up_again_and_works_afterwards() {
    let database = Arc::new(Database::create());
    let before = TestApp::on(Arc::clone(&database), &[]).await;
    before.user("saif").await;
    drop(before);
    database.store().rebuild().await.unwrap();
    let after = TestApp::on(database, &[]).await;
    after.login("saif", PASSWORD).await.expect_problem(401, "invalid_credentials");
    // The counter of user ids is back too: this is an empty store.
    assert_eq!(after.user("saif").await.id, 1);
}

/// The statements of a migration for the database under test.
fn statements(database: &Database, name: &str, direction: &str) -> String {
    let backend = if database.is_postgres() { "postgres" } else { "sqlite" };
    let path = format!("migrations/{backend}/{name}/{direction}.sql");
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[tokio::test]
async fn keys_of_a_store_from_before_they_had_schedules_are_what_they_were() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    let kids = crate::keys::kids(&app).await;
    let database = Arc::clone(&app.database);
    let before = "2026-11-25-000100_key_schedule";
    execute(&database, &statements(&database, before, "down")).await;
    // Besides the key that signs: one that was superseded a minute ago, and one of a store that was put back.
    let copy = |kid: &str, superseded: i64| {
        format!(
            "INSERT INTO signing_keys (kid, algorithm, public_jwk, sealed_private_key, sealed_with, created_at, \
             superseded_at) SELECT '{kid}', algorithm, public_jwk, sealed_private_key, sealed_with, created_at, \
             {superseded} FROM signing_keys WHERE kid = '{}'",
            kids[0]
        )
    };
    let superseded = app.now().after(std::time::Duration::from_secs(60));
    execute(&database, &copy("superseded", superseded.as_micros())).await;
    execute(&database, &copy("retired", 0)).await;
    execute(&database, &statements(&database, before, "up")).await;
    let keys = database.store().read(signing_keys::all).await.unwrap();
    let schedule = |kid: &str| keys.iter().find(|key| key.kid == kid).unwrap().schedule();
    let made = schedule(&kids[0]).created_at;
    assert_eq!((schedule(&kids[0]).signs_from, schedule(&kids[0]).superseded_at), (Some(made), None));
    assert_eq!((schedule("superseded").superseded_at, schedule("superseded").retired_at), (Some(superseded), None));
    assert_eq!(schedule("retired").retired_at, Some(made));
    execute(&database, "DELETE FROM signing_keys WHERE kid IN ('superseded', 'retired')").await;
    let app = app.restart(&[]).await;
    let now = crate::keys::kids(&app).await;
    assert!(now.len() == 2 && now[0] == kids[0] && now[1] != kids[1], "there is a next key again: {now:?}");
    app.send(app.request(reqwest::Method::GET, "/api/users/profile").bearer_auth(&person.access_token))
        .await
        .expect_status(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_instances_that_start_together_make_one_schema_and_one_key() {
    let database = Arc::new(Database::create());
    let config = configuration(&database, &[]);
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let config = config.clone();
        starts.spawn(async move { relatch::app::App::start(&config, Arc::new(SystemClock)).await.map(|_| ()) });
    }
    for started in starts.join_all().await {
        started.unwrap();
    }
    let keys = database.store().read(signing_keys::all).await.unwrap();
    assert_eq!(keys.iter().filter(|key| key.schedule().is_last()).count(), 1, "one that signs");
    assert_eq!(keys.iter().filter(|key| key.schedule().is_waiting()).count(), 1, "one that waits");
    assert_eq!(keys.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_that_start_together_accept_each_others_tokens() {
    let database = Arc::new(Database::create());
    let binaries = [Binary::on(Arc::clone(&database)), Binary::on(database)];
    let servers: Vec<_> = std::thread::scope(|scope| {
        let starts: Vec<_> = binaries.iter().map(|binary| scope.spawn(|| binary.serve())).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    let body = json!({ "username": "saif", "email": "saif@example.com", "password": PASSWORD });
    servers[0].post("/api/users/register", &body).await.expect_status(201);
    let login = json!({ "username": "saif", "password": PASSWORD });
    let token = servers[0].post("/api/auth/login", &login).await.expect_status(200).text_at("jwtToken");
    servers[1].get_as(&token, "/api/users/profile").await.expect_status(200);
    servers[1].post_as(&token, "/api/auth/logout").await.expect_status(204);
    servers[0].expect_refused_within_a_second(&token).await;
}
