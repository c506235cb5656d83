//! The command line, alone and beside a running server.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Binary, PASSWORD};

fn create(binary: &Binary, name: &str, role: &str) -> i64 {
    let email = format!("{name}@example.com");
    let arguments =
        ["user", "create", "--username", name, "--email", &email, "--role", role, "--password-stdin", "--json"];
    let output = binary.run_with_input(&arguments, &format!("{PASSWORD}\n"));
    assert_eq!(output.code, 0, "{output:?}");
    serde_json::from_str::<Value>(&output.stdout).unwrap()["id"].as_i64().unwrap()
}

#[test]
fn help_names_every_command_and_wrong_usage_is_exit_code_2() {
    let binary = Binary::new();
    let help = binary.run(&["--help"]);
    assert_eq!(help.code, 0);
    for command in ["serve", "user", "session", "config", "setup-url", "Exit codes"] {
        assert!(help.stdout.contains(command), "{help:?}");
    }
    for wrong in [&["frob"][..], &["user"], &["user", "create"], &["session", "revoke"], &["user", "show"]] {
        assert_eq!(binary.run(wrong).code, 2, "{wrong:?}");
    }
    let on_argv = ["user", "create", "--username", "u", "--email", "u@example.com", "--password", "hunter2hunter2"];
    assert_eq!(binary.run(&on_argv).code, 2, "a password on the command line is no option");
    assert!(binary.run(&["--version"]).stdout.starts_with("relatch "));
}

#[test]
fn users_are_made_listed_changed_and_deleted() {
    let binary = Binary::new();
    assert_eq!(create(&binary, "root", "admin"), 1);
    assert_eq!(create(&binary, "saif", "user"), 2);
    let list = binary.run(&["user", "list"]);
    assert!(list.stdout.contains("saif@example.com") && list.stdout.starts_with("ID"), "{list:?}");
    let admins = binary.run(&["user", "list", "--role", "admin", "--json"]);
    assert_eq!(admins.stdout.lines().count(), 1);
    assert_eq!(serde_json::from_str::<Value>(&admins.stdout).unwrap()["username"], "root");

    for (arguments, code) in [
        (&["user", "set-role", "saif", "admin"][..], 0),
        (&["user", "set-role", "2", "user"], 0),
        (&["user", "disable", "saif@example.com"], 0),
        (&["user", "enable", "saif"], 0),
        (&["user", "delete", "saif"], 0),
        (&["user", "delete", "saif"], 1),
        (&["user", "restore", "saif"], 0),
        (&["user", "restore", "saif"], 1),
        (&["user", "show", "saif"], 0),
        (&["user", "show", "nobody"], 1),
        (&["user", "disable", "root"], 1),
        (&["user", "delete", "root"], 1),
        (&["user", "set-role", "root", "user"], 1),
    ] {
        let output = binary.run(arguments);
        assert_eq!(output.code, code, "{arguments:?}: {output:?}");
        assert_eq!(output.stderr.is_empty(), code == 0, "{arguments:?}: {output:?}");
    }
    let refused = binary.run(&["user", "disable", "root"]);
    assert!(refused.stderr.contains("last admin"), "{refused:?}");
}

#[test]
fn an_account_that_cannot_be_is_refused_with_every_reason() {
    let binary = Binary::new();
    let arguments = ["user", "create", "--username", "a@b", "--email", "nowhere", "--password-stdin"];
    let refused = binary.run_with_input(&arguments, &"x".repeat(2_000));
    assert_eq!(refused.code, 1);
    for part in ["the username ", "the e-mail address ", "the password "] {
        assert!(refused.stderr.contains(part), "{refused:?}");
    }
    assert_eq!(create(&binary, "saif", "user"), 1);
    let arguments = ["user", "create", "--username", "SAIF", "--email", "o@example.com", "--password-stdin"];
    let refused = binary.run_with_input(&arguments, PASSWORD);
    assert!(refused.code == 1 && refused.stderr.contains("the username is taken"), "{refused:?}");
    let arguments = ["user", "create", "--username", "other", "--email", "o@example.com"];
    let refused = binary.run_with_input(&arguments, PASSWORD);
    assert!(refused.code == 1 && refused.stderr.contains("--password-stdin"), "{refused:?}");
}

#[tokio::test]
async fn commands_beside_a_running_server_take_effect_within_a_second() {
    let binary = Binary::new();
    let server = binary.serve();
    create(&binary, "saif", "user");
    let login = json!({ "username": "saif", "password": PASSWORD });
    let sign_in = async || server.post("/api/auth/login", &login).await.expect_status(200);
    let pair = sign_in().await;
    let token = pair.text_at("jwtToken");
    server.get_as(&token, "/api/users/profile").await.expect_status(200);

    let listed = binary.run(&["session", "list", "--user", "saif", "--json"]);
    let session: Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(session["id"], pair.text_at("sessionId"));
    let revoked = binary.run(&["session", "revoke", &pair.text_at("sessionId")]);
    assert!(revoked.code == 0 && revoked.stdout.contains("1 session ended"), "{revoked:?}");
    server.expect_refused_within_a_second(&token).await;
    let refused = server.post("/api/auth/refresh-token", &json!(pair.text_at("refreshToken"))).await;
    refused.expect_problem(401, "session_revoked");
    let again = binary.run(&["session", "revoke", &pair.text_at("sessionId")]);
    assert!(again.code == 0 && again.stdout.contains("0 sessions ended"), "it had ended already: {again:?}");

    let tokens = [sign_in().await.text_at("jwtToken"), sign_in().await.text_at("jwtToken")];
    let revoked = binary.run(&["session", "revoke", "--user", "saif", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&revoked.stdout).unwrap(), json!({ "revoked": 2 }));
    for token in &tokens {
        server.expect_refused_within_a_second(token).await;
    }
    let token = sign_in().await.text_at("jwtToken");
    assert_eq!(binary.run(&["session", "revoke", "--all"]).code, 0);
    server.expect_refused_within_a_second(&token).await;

    let token = sign_in().await.text_at("jwtToken");
    assert_eq!(
        binary.run_with_input(&["user", "reset-password", "saif", "--password-stdin"], "a new fine one").code,
        0
    );
    server.expect_refused_within_a_second(&token).await;
    server.post("/api/auth/login", &login).await.expect_problem(401, "invalid_credentials");
    let login = json!({ "username": "saif", "password": "a new fine one" });
    let token = server.post("/api/auth/login", &login).await.expect_status(200).text_at("jwtToken");
    let link = binary.run(&["user", "reset-password", "saif", "--link", "--json"]);
    let link: Value = serde_json::from_str(&link.stdout).unwrap();
    let (_, secret) = link["resetUrl"].as_str().unwrap().split_once("/reset?t=").unwrap();
    assert!(server.get_as("none", &format!("/reset?t={secret}")).await.expect_status(200).text.contains("saif"));
    assert_eq!(binary.run(&["user", "disable", "saif"]).code, 0);
    assert_eq!(binary.run(&["user", "reset-password", "saif", "--link"]).code, 1);
    server.expect_refused_within_a_second(&token).await;
    for wrong in ["not-an-id", "01a20f4d-8d8f-74c8-953f-810e39059711"] {
        assert_eq!(binary.run(&["session", "revoke", wrong]).code, 1);
    }
}

#[tokio::test]
async fn accounts_are_imported_with_their_hashes_and_an_import_can_be_run_again() {
    let binary = Binary::new();
    // The password "U*U", from crypt_blowfish's own test vectors.
    let hash = "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    let line = |name: &str, hash: &str| {
        json!({ "username": name, "email": format!("{name}@example.com"), "passwordHash": hash }).to_string()
    };
    let good = format!("{}\n\n{}\n", line("one", hash), line("two", hash));
    fs::write(binary.path("good"), &good).unwrap();
    let done = binary.run(&["user", "import", "good"]);
    assert!(done.code == 0 && done.stdout.contains("2 imported, 0 were there already, 0 refused"), "{done:?}");
    // A name of digits looks like an id.
    fs::write(binary.path("digits"), line("1001", hash)).unwrap();
    for expected in ["1 imported, 0 were", "0 imported, 1 were"] {
        let done = binary.run(&["user", "import", "digits"]);
        assert!(done.code == 0 && done.stdout.contains(expected), "{done:?}");
    }
    let bad = format!("{good}{}\n{}\nnonsense\n", line("three", "$1$md5$hash"), line("four", hash));
    let done = binary.run_with_input(&["user", "import", "-"], &bad);
    assert_eq!(done.code, 1);
    assert!(done.stdout.contains("1 imported, 2 were there already, 2 refused"), "{done:?}");
    assert!(done.stderr.contains("line 4: ") && done.stderr.contains("line 6: "), "{done:?}");
    assert!(!done.stderr.contains("$1$md5"), "{done:?}");
    let server = binary.serve();
    let login = json!({ "username": "four", "password": "U*U" });
    server.post("/api/auth/login", &login).await.expect_status(200);
    server.post("/api/auth/login", &json!({ "username": "four", "password": "U*V" })).await.expect_status(401);
}

#[test]
fn the_configuration_is_shown_with_sources_and_without_secrets() {
    let binary = Binary::new().set("JWT_KEY", "q2V7hX0c9T4nZbR1mK8sLw5yUe3gJd6f");
    fs::write(binary.path(".env"), "SESSION_MAX_DAYS=30\n").unwrap();
    let shown = binary.run(&["config", "check"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    let line = |name: &str| shown.stdout.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    assert!(line("JWT_KEY").contains("set") && !shown.stdout.contains("q2V7hX0c"), "{shown:?}");
    assert!(line("SESSION_MAX_DAYS").ends_with(".env") && line("SESSION_MAX_DAYS").contains("30"), "{shown:?}");
    assert!(line("JWT_ALGORITHM").contains("HS256"), "{shown:?}");
    let misspelt = binary.set("RELATCH_BCRYPT_COST", "12").run(&["config", "check"]);
    assert!(misspelt.code == 1 && misspelt.stderr.contains("BCRYPT_COST"), "{misspelt:?}");
}
