//! Backup and restore: nothing that was revoked comes back with an older store.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::harness::{Binary, Database, PASSWORD, Served};

async fn register(server: &Served, name: &str) -> i64 {
    let body = json!({ "username": name, "email": format!("{name}@example.com"), "password": PASSWORD });
    server.post("/api/users/register", &body).await.expect_status(201).json()["id"].as_i64().unwrap()
}

async fn login(server: &Served, name: &str) -> (String, String) {
    let pair = server.post("/api/auth/login", &json!({ "username": name, "password": PASSWORD })).await;
    let pair = pair.expect_status(200);
    (pair.text_at("jwtToken"), pair.text_at("refreshToken"))
}

fn key_of(token: &str) -> String {
    token.split('.').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_restored_store_revives_no_session_token_key_or_id() {
    if Database::create().is_postgres() {
        let binary = Binary::new();
        let refused = binary.run(&["backup", "copy.db"]);
        assert!(refused.code == 1 && refused.stderr.contains("pg_dump"), "{refused:?}");
        let refused = binary.run(&["restore", "copy.db"]);
        assert!(refused.code == 1 && refused.stderr.contains("relatch session revoke --all"), "{refused:?}");
        return;
    }
    let binary = Binary::unconfigured().set("INSECURE_DEVELOPMENT", "on").set("BCRYPT_COST", "4");
    let server = binary.serve();
    register(&server, "saif").await;
    let (revoked_access, revoked) = login(&server, "saif").await;
    let (_, kept) = login(&server, "saif").await;

    let done = binary.run(&["backup", "copy.db"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(fs::metadata(binary.path("copy.db")).unwrap().permissions().mode() & 0o777, 0o600);
    let again = binary.run(&["backup", "copy.db"]);
    assert!(again.code == 1 && again.stderr.contains("there is a file already"), "{again:?}");

    server.post("/api/auth/revoke-token", &json!(revoked)).await.expect_status(204);
    let newer = register(&server, "newer").await;
    let (newer_access, newer_refresh) = login(&server, "newer").await;

    let refused = binary.run(&["restore", "copy.db"]);
    assert!(refused.code == 1 && refused.stderr.contains("is in use"), "{refused:?}");
    server.terminate();
    let mut bytes = fs::read(binary.path("copy.db")).unwrap();
    let middle = bytes.len() / 2;
    bytes[4096..middle].fill(7);
    fs::write(binary.path("damaged.db"), bytes).unwrap();
    let refused = binary.run(&["restore", "damaged.db"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert_eq!(binary.run(&["user", "show", "newer"]).code, 0, "the store is what it was");

    let restored = binary.run(&["restore", "copy.db", "--json"]);
    assert_eq!(restored.code, 0, "{restored:?}");
    assert!(restored.stdout.contains("\"sessionsEnded\":2"), "{restored:?}");
    assert_eq!(kept_stores(&binary).len(), 1);

    let server = binary.serve();
    for token in [&revoked, &kept] {
        let refused = server.post("/api/auth/refresh-token", &json!(token)).await;
        refused.expect_problem(401, "session_revoked");
    }
    let refused = server.post("/api/auth/refresh-token", &json!(newer_refresh)).await;
    refused.expect_problem(401, "refresh_token_invalid");
    for token in [&revoked_access, &newer_access] {
        server.get_as(token, "/api/users/profile").await.expect_problem(401, "invalid_token");
    }
    let (access, _) = login(&server, "saif").await;
    assert_ne!(key_of(&access), key_of(&revoked_access), "the signing key is another one");
    server.get_as(&access, "/api/users/profile").await.expect_status(200);
    assert!(register(&server, "newest").await > newer + 900_000, "ids given out since the backup stay unused");
}

/// The stores that were replaced by a restore.
fn kept_stores(binary: &Binary) -> Vec<String> {
    let names = fs::read_dir(binary.path("data")).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    names.filter(|name| name.contains("before-restore") && !name.ends_with("-wal") && !name.ends_with("-shm")).collect()
}

#[tokio::test]
async fn a_restore_takes_the_write_ahead_log_along_and_only_a_whole_store() {
    if Database::create().is_postgres() {
        return; // Postgres is backed up by its own tools.
    }
    let binary = Binary::unconfigured().set("INSECURE_DEVELOPMENT", "on").set("BCRYPT_COST", "4");
    let server = binary.serve();
    register(&server, "saif").await;
    // A killed server leaves everything in the log.
    server.kill();
    fs::create_dir(binary.path("copied")).unwrap();
    for suffix in ["", "-wal"] {
        let name = format!("relatch.db{suffix}");
        fs::copy(binary.path("data").join(&name), binary.path("copied").join(&name)).unwrap();
    }
    assert!(fs::metadata(binary.path("copied/relatch.db-wal")).unwrap().len() > 0);

    fs::write(binary.path("empty.db"), "").unwrap();
    fs::write(binary.path("text.db"), "this is not a database, and long enough not to be taken for one").unwrap();
    for wrong in ["empty.db", "text.db", "missing.db", "data"] {
        let refused = binary.run(&["restore", wrong]);
        assert_eq!(refused.code, 1, "{wrong}: {refused:?}");
        assert_eq!(binary.run(&["user", "show", "saif"]).code, 0, "{wrong}: the store is what it was");
        assert!(!binary.path(wrong).exists() || wrong != "missing.db");
    }
    let restored = binary.run(&["restore", "copied/relatch.db"]);
    assert_eq!(restored.code, 0, "{restored:?}");
    assert_eq!(binary.run(&["user", "show", "saif"]).code, 0);
    let leftovers = fs::read_dir(binary.path("data")).unwrap().map(|entry| entry.unwrap().file_name());
    let leftovers: Vec<_> = leftovers.filter(|name| name.to_string_lossy().contains("restoring")).collect();
    assert!(leftovers.is_empty(), "{leftovers:?}");
    // What a restore replaced can be restored as well, and nothing is lost on the way.
    let kept = kept_stores(&binary);
    let undone = binary.run(&["restore", &format!("data/{}", kept[0])]);
    // Within the same second the name would be the same: then it is refused, and nothing is lost either.
    assert!(undone.code == 0 || undone.stderr.contains("before-restore"), "{undone:?}");
    assert!(binary.path("data").join(&kept[0]).exists());
    assert_eq!(binary.run(&["user", "show", "saif"]).code, 0);
}

#[tokio::test]
async fn revoking_everything_replaces_the_signing_keys_of_running_servers_too() {
    let binary = Binary::new();
    let server = binary.serve();
    register(&server, "saif").await;
    let (access, refresh) = login(&server, "saif").await;
    server.get_as(&access, "/api/users/profile").await.expect_status(200);
    let done = binary.run(&["session", "revoke", "--all"]);
    assert!(done.code == 0 && done.stdout.contains("1 session ended"), "{done:?}");
    server.expect_refused_within_a_second(&access).await;
    let refused = server.post("/api/auth/refresh-token", &json!(refresh)).await;
    refused.expect_problem(401, "session_revoked");
    let (new, _) = login(&server, "saif").await;
    assert_ne!(key_of(&new), key_of(&access));
    server.get_as(&new, "/api/users/profile").await.expect_status(200);
}
