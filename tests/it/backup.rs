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
    fs::write(binary.path("damaged.db"), [fs::read(binary.path("copy.db")).unwrap(), vec![7; 4096]].concat()).unwrap();
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
    assert!(binary.path("data/relatch.db.before-restore").exists());

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
