//! Migrations: down and up again on the database under test, the same names on both, and one winner at start.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use relatch::clock::SystemClock;
use relatch::store::signing_keys;
use serde_json::json;

use crate::harness::{Binary, Database, PASSWORD, TestApp, configuration};

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
