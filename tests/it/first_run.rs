//! The first start in an empty folder, and starts that must be refused.

use std::fs;
use std::io::BufRead as _;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use serde_json::json;

use crate::harness::{Binary, Database, PASSWORD, Served, TestApp, configuration, dump};

fn links(server: &mut Served) -> Vec<String> {
    // The lines behind the first are printed at once; the last of them names the command.
    let mut found = Vec::new();
    let mut line = String::new();
    while server.stdout.read_line(&mut line).unwrap() > 0 {
        if let Some((_, token)) = line.trim().split_once("/admin/setup?t=") {
            found.push(token.to_owned());
        }
        if line.contains("relatch user create") {
            break;
        }
        line.clear();
    }
    found
}

#[tokio::test]
async fn t1_j15_a_first_run_makes_what_is_missing_and_prints_one_link_until_there_is_an_admin() {
    let database = Arc::new(Database::create());
    let binary = if database.is_postgres() { Binary::on(Arc::clone(&database)) } else { Binary::unconfigured() };
    let mut server = binary.serve();
    let found = links(&mut server);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].len(), 43, "256 bits");
    if !database.is_postgres() {
        for (name, mode) in [("data", 0o700), ("data/secret.key", 0o600), ("data/relatch.db", 0o600)] {
            let found = fs::metadata(binary.path(name)).unwrap().permissions().mode() & 0o777;
            assert_eq!(found, mode, "{name}");
        }
        let store = fs::read(binary.path("data/relatch.db")).unwrap();
        let wal = fs::read(binary.path("data/relatch.db-wal")).unwrap();
        assert!(!String::from_utf8_lossy(&[store, wal].concat()).contains(&found[0]));
    } else {
        assert!(!dump(&database).await.contains(&found[0]));
    }
    let (code, log) = server.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains(&found[0]), "the link is in the log");

    let again = links(&mut binary.serve());
    assert!(again.len() == 1 && again != found, "each start makes a new link");
    let create = ["user", "create", "--username", "root", "--email", "root@example.com", "--role", "admin"];
    let output = binary.run_with_input(&[&create[..], &["--password-stdin"]].concat(), PASSWORD);
    assert_eq!(output.code, 0, "{output:?}");
    let refused = binary.run(&["setup-url"]);
    assert!(refused.code == 1 && refused.stderr.contains("there is an admin already"), "{refused:?}");
    let server = binary.serve();
    let login = server.post("/api/auth/login", &json!({ "username": "root", "password": PASSWORD })).await;
    let token = login.expect_status(200).text_at("jwtToken");
    server.get_as(&token, "/api/users").await.expect_status(200);
}

#[tokio::test]
async fn t1_a_store_does_not_start_with_another_secret() {
    let app = TestApp::start().await;
    let other = configuration(&app.database, &[("SECRET_KEY", "b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldC1vdGhlcnM=")]);
    let error = relatch::app::App::start(&other, Arc::clone(&app.clock) as Arc<_>).await.map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("SECRET_KEY holds"), "{error}");
}

#[tokio::test]
async fn t1_every_new_store_gets_a_secret_and_signing_keys_of_its_own() {
    let stores = [Binary::unconfigured(), Binary::unconfigured()];
    let [one, other] = stores.each_ref().map(Binary::serve);
    let [secret, other_secret] = stores.each_ref().map(|binary| fs::read(binary.path("data/secret.key")).unwrap());
    assert_ne!(secret, other_secret);
    let keys = async |server: &Served| server.get("/.well-known/jwks.json").await.expect_status(200).json();
    let (keys, other_keys) = (keys(&one).await, keys(&other).await);
    assert!(keys["keys"][0]["x"].is_string(), "{keys}");
    assert_ne!(keys["keys"][0]["x"], other_keys["keys"][0]["x"]);
}

#[test]
fn t1_a_lost_secret_file_is_named_and_nothing_is_made_in_its_place() {
    let binary = Binary::unconfigured();
    drop(binary.serve());
    fs::rename(binary.path("data/secret.key"), binary.path("kept")).unwrap();
    for command in [&["serve"][..], &["user", "list"]] {
        let refused = binary.run(command);
        assert_eq!(refused.code, 1, "{command:?}: {refused:?}");
        assert!(refused.stderr.contains("data/secret.key is missing"), "{command:?}: {refused:?}");
    }
    assert!(!binary.path("data/secret.key").exists());
    fs::rename(binary.path("kept"), binary.path("data/secret.key")).unwrap();
    assert_eq!(binary.run(&["user", "list"]).code, 0);
}

#[test]
fn a_command_in_the_wrong_folder_makes_no_store_and_does_not_claim_to_have_done_something() {
    let binary = Binary::unconfigured();
    for command in [&["session", "revoke", "--all"][..], &["user", "list"], &["setup-url"], &["backup", "copy.db"]] {
        let refused = binary.run(command);
        assert_eq!(refused.code, 1, "{command:?}: {refused:?}");
        assert!(refused.stderr.contains("data/relatch.db"), "{command:?}: {refused:?}");
    }
    assert_eq!(fs::read_dir(binary.folder()).unwrap().count(), 0, "something was made");
}

#[tokio::test]
async fn a_command_changes_neither_signing_keys_nor_secrets_of_a_running_server() {
    let database = Arc::new(Database::create());
    let binary = Binary::on(Arc::clone(&database));
    let server = binary.serve();
    let keys = async || {
        let keys = database.store().read(relatch::store::signing_keys::all).await.unwrap();
        keys.into_iter().map(|key| (key.kid.clone(), key.sealed_with.clone(), key.schedule())).collect::<Vec<_>>()
    };
    let before = keys().await;
    let binary = binary.set("JWT_ALGORITHM", "EdDSA");
    assert_eq!(binary.run(&["user", "list"]).code, 0);
    assert_eq!(keys().await, before);
    drop(server);
}

#[test]
fn a_server_without_its_settings_says_all_that_is_wrong_at_once() {
    let binary = Binary::new().set("JWT_KEY", "ThisIsTheArticlesSecret").set("SECRET_KEY", "c2hvcnQ=");
    let refused = binary.set("DATABASE_URL", "mysql://root:hunter2@db/x").run(&[]);
    assert_eq!(refused.code, 1);
    for variable in ["DATABASE_URL: ", "JWT_KEY: ", "SECRET_KEY: "] {
        assert!(refused.stderr.contains(variable), "{refused:?}");
    }
    assert!(!refused.stderr.contains("hunter2") && !refused.stderr.contains("Articles"), "{refused:?}");
}

#[tokio::test]
async fn all_instances_on_a_store_have_one_issuer_and_changing_it_is_a_deliberate_act() {
    let database = Arc::new(Database::create());
    let binary = Binary::on(Arc::clone(&database));
    drop(binary.serve());
    assert_eq!(binary.run(&["user", "list"]).code, 0);
    let binary = binary.set("JWT_ISSUER", "https://auth.example.com");
    let refused = binary.run(&["user", "list"]);
    assert!(refused.code == 1 && refused.stderr.contains("relatch config adopt-issuer"), "{refused:?}");
    let adopted = binary.run(&["config", "adopt-issuer"]);
    assert!(adopted.code == 0 && adopted.stdout.contains("https://auth.example.com"), "{adopted:?}");
    assert_eq!(binary.run(&["user", "list"]).code, 0);
}

#[tokio::test]
async fn postgres_is_spoken_to_over_tls_when_the_url_asks_for_it() {
    // On SQLite there is no network; the same test runs again on Postgres.
    let database = Database::create();
    let Some(ca) = crate::harness::postgres_ca() else {
        assert!(!database.is_postgres(), "TEST_POSTGRES_CA must name the server's certificate");
        return;
    };
    let url = |mode: &str, ca: &str| format!("{}?sslmode={mode}&sslrootcert={ca}", database.url());
    let binary = Binary::on(Arc::new(Database::create()));
    let verified = binary.set("DATABASE_URL", &url("verify-full", &ca));
    let output = verified.run(&["user", "list"]);
    assert_eq!(output.code, 0, "{output:?}");
    let encrypted = crate::harness::tls_connections(&url("verify-full", &ca)).await;
    assert!(encrypted, "the connection is not encrypted");
    fs::write(verified.path("other.crt"), "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n").unwrap();
    let wrong = verified.path("other.crt").display().to_string();
    let refused = verified.set("DATABASE_URL", &url("verify-full", &wrong)).run(&["user", "list"]);
    assert_eq!(refused.code, 1, "{refused:?}");
}
