//! `/api/clients` and `relatch client`: how clients are registered, changed and taken away.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{INTROSPECT, Registered, TOKEN, form, post};
use crate::harness::{Binary, TestApp, dump};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

#[tokio::test]
async fn m3_a_client_is_shown_with_all_but_its_secrets() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let body = json!({ "name": " Billing API ", "scopes": ["users:read", "introspect"], "audience": "relatch" });
    let made = admin.post("/api/clients", &body).await.expect_status(201);
    let id = made.text_at("id");
    assert_eq!(made.header("location"), format!("/api/clients/{id}"));
    assert_eq!(made.header("cache-control"), "no-store");
    let secret = made.text_at("clientSecret");
    assert!(id.starts_with("rlc_") && id.len() == 20 && secret.starts_with("rls_") && secret.len() == 47, "{made:?}");
    let now = app.now().to_string();
    let mut expected = json!({
        "id": id, "name": "Billing API", "audience": "relatch", "scopes": ["introspect", "users:read"],
        "status": "active", "createdAt": now, "createdBy": admin.id, "lastUsedAt": null, "lastUsedIp": null,
        "secrets": [{ "id": made.json()["secrets"][0]["id"], "createdAt": now, "expiresAt": null, "lastUsedAt": null }],
    });
    let shown = admin.get(&format!("/api/clients/{id}")).await.expect_status(200).json();
    assert_eq!(shown, expected);
    assert_eq!(admin.get("/api/clients").await.expect_status(200).json(), json!([expected]));
    // Its use is noted to the minute, with the address.
    app.advance(Duration::from_secs(5));
    let client = Registered { id: id.clone(), secret };
    client.token(&app).await;
    let used = app.now().to_string();
    app.advance(Duration::from_secs(59));
    client.token(&app).await;
    expected["lastUsedAt"] = json!(used);
    expected["lastUsedIp"] = json!("127.0.0.1");
    expected["secrets"][0]["lastUsedAt"] = json!(used);
    assert_eq!(admin.get(&format!("/api/clients/{id}")).await.json(), expected);
    app.advance(Duration::from_secs(1));
    client.token(&app).await;
    let shown = admin.get(&format!("/api/clients/{id}")).await.json();
    assert_eq!(shown["lastUsedAt"], app.now().to_string());
    let disabled = admin.patch(&format!("/api/clients/{id}"), &json!({ "disabled": true })).await.json();
    assert_eq!(
        (disabled["status"].as_str(), disabled["disabledAt"].as_str()),
        (Some("disabled"), Some(&*app.now().to_string()))
    );
}

#[tokio::test]
async fn b10_no_secret_is_stored_or_written_down() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let client = Registered::with(&admin, &["introspect", "users:read"]).await;
    let path = format!("/api/clients/{}/secrets", client.id);
    let second = admin.post(&path, &json!({})).await.expect_status(201).text_at("clientSecret");
    let token = client.token(&app).await;
    app.send(form(&app, TOKEN, &[GRANT]).basic_auth(&client.id, Some("rls_canarycanarycanary"))).await;
    app.send(form(&app, TOKEN, &[GRANT]).basic_auth("canary-id", Some(&client.secret))).await;
    let stored = dump(&app.database).await;
    let answers = [
        admin.get("/api/clients").await.text,
        admin.get(&format!("/api/clients/{}", client.id)).await.text,
        admin.get("/api/audit-events").await.text,
    ];
    for secret in [client.secret.as_str(), &second, &token, "canary"] {
        for at in 0..secret.len().saturating_sub(20).min(24) + 1 {
            let part = &secret[at..secret.len().min(at + 20)];
            assert!(!stored.contains(part), "{part}");
            assert!(answers.iter().all(|answer| !answer.contains(part)), "{part}");
        }
    }
}

#[tokio::test]
async fn clients_are_changed_part_by_part_and_only_as_they_may_be() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    for (body, pointer) in [
        (json!({ "scopes": ["introspect"] }), "#/name"),
        (json!({ "name": "", "scopes": ["introspect"] }), "#/name"),
        (json!({ "name": "a\u{0}b", "scopes": ["introspect"] }), "#/name"),
        (json!({ "name": "x".repeat(65), "scopes": ["introspect"] }), "#/name"),
        (json!({ "name": "x" }), "#/scopes"),
        (json!({ "name": "x", "scopes": [] }), "#/scopes"),
        (json!({ "name": "x", "scopes": ["admin"] }), "#/scopes"),
        (json!({ "name": "x", "scopes": ["introspect users:read"] }), "#/scopes"),
        (json!({ "name": "x", "scopes": ["introspect", 1] }), "#/scopes/1"),
        (json!({ "name": "x", "scopes": ["users:write"] }), "#/scopes"),
        (json!({ "name": "x", "scopes": ["introspect"], "audience": "" }), "#/audience"),
        (json!({ "name": "x", "scopes": ["introspect"], "audience": "a b" }), "#/audience"),
        (json!({ "name": "x", "scopes": ["introspect"], "secretExpiresAt": "tomorrow" }), "#/secretExpiresAt"),
        (
            json!({ "name": "x", "scopes": ["introspect"], "secretExpiresAt": "2020-01-01T00:00:00Z" }),
            "#/secretExpiresAt",
        ),
    ] {
        let answer = admin.post("/api/clients", &body).await.expect_problem(400, "validation_failed");
        assert_eq!(answer.pointers(), [pointer], "{body}");
    }
    assert_eq!(admin.get("/api/clients").await.json(), json!([]));
    let client = Registered::with(&admin, &["introspect"]).await;
    let path = format!("/api/clients/{}", client.id);
    let change = async |body: Value| admin.patch(&path, &body).await.expect_status(200).json();
    assert_eq!(change(json!({})).await["name"], "Billing");
    assert_eq!(change(json!({ "name": "Other" })).await["name"], "Other");
    assert_eq!(change(json!({ "audience": "relatch" })).await["audience"], "relatch");
    let both = change(json!({ "scopes": ["audit:read", "users:read"] })).await;
    assert_eq!((&both["scopes"], &both["audience"]), (&json!(["users:read", "audit:read"]), &json!("relatch")));
    assert_eq!(change(json!({ "audience": null })).await["audience"], json!(null));
    for (body, pointer) in [
        (json!({ "scopes": [] }), "#/scopes"),
        (json!({ "name": " " }), "#/name"),
        (json!({ "disabled": 1 }), "#/disabled"),
    ] {
        let answer = admin.patch(&path, &body).await.expect_problem(400, "validation_failed");
        assert_eq!(answer.pointers(), [pointer], "{body}");
    }
    // A new name takes nothing away, and neither does what changes nothing.
    let token = client.token(&app).await;
    change(json!({ "name": "New", "scopes": ["users:read", "audit:read"], "disabled": false })).await;
    let request = app.request(Method::GET, "/api/users").bearer_auth(&token);
    app.send(request).await.expect_status(200);
    admin.delete(&path).await.expect_status(204);
    for answer in [admin.get(&path).await, admin.delete(&path).await, admin.patch(&path, &json!({})).await] {
        answer.expect_problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_client_has_two_secrets_at_most() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let client = Registered::with(&admin, &["introspect"]).await;
    let path = format!("/api/clients/{}/secrets", client.id);
    let soon = json!({ "expiresAt": app.now().after(Duration::from_hours(1)).to_string() });
    let second = admin.post(&path, &soon).await.expect_status(201);
    assert_eq!(second.json()["expiresAt"], soon["expiresAt"]);
    admin.post(&path, &json!({})).await.expect_problem(409, "too_many_secrets");
    // One that has expired makes room.
    app.advance(Duration::from_hours(1));
    let admin = app.sign_in("root").await;
    let third = admin.post(&path, &json!({})).await.expect_status(201).text_at("id");
    admin.post(&path, &json!({})).await.expect_problem(409, "too_many_secrets");
    admin.delete(&format!("{path}/{third}")).await.expect_status(204);
    for missing in [third.as_str(), "x", "00000000-0000-4000-8000-000000000000"] {
        admin.delete(&format!("{path}/{missing}")).await.expect_problem(404, "not_found");
    }
    let other = Registered::with(&admin, &["introspect"]).await;
    let first = admin.get(&format!("/api/clients/{}", client.id)).await.json()["secrets"][0]["id"].clone();
    let elsewhere = format!("/api/clients/{}/secrets/{}", other.id, first.as_str().unwrap());
    admin.delete(&elsewhere).await.expect_problem(404, "not_found");
    client.token(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_secrets_that_are_asked_for_at_once_one_is_made() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    for _ in 0..10 {
        let client = Registered::with(&admin, &["introspect"]).await;
        let path = format!("/api/clients/{}/secrets", client.id);
        let mut tries = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (admin, path) = (admin.clone(), path.clone());
            tries.spawn(async move { admin.post(&path, &json!({})).await.status });
        }
        let mut statuses = tries.join_all().await;
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
    }
}

#[tokio::test]
async fn lists_of_clients_have_pages() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let mut ids = Vec::new();
    for number in 0..7 {
        // Some at the same moment.
        app.advance(Duration::from_micros(number % 2));
        ids.push(Registered::with(&admin, &["introspect"]).await.id);
    }
    let mut seen = Vec::new();
    let mut next = Some("/api/clients?limit=3".to_owned());
    let mut pages = 0;
    while let Some(path) = next {
        let page = admin.get(&path).await.expect_status(200);
        seen.extend(page.json().as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        let link = page.header("link").to_owned();
        next = link
            .strip_prefix('<')
            .and_then(|link| link.split_once('>'))
            .map(|(url, _)| url[url.find("/api/").unwrap()..].to_owned());
        pages += 1;
    }
    assert_eq!((pages, seen.len()), (3, 7));
    ids.sort_unstable();
    seen.sort_unstable();
    assert_eq!(seen, ids);
    admin.get("/api/clients?cursor=x").await.expect_problem(400, "validation_failed");
    admin.get("/api/clients?limit=0").await.expect_problem(400, "validation_failed");
}

#[tokio::test]
async fn failed_proofs_are_written_down_once_a_minute_and_of_known_clients_alone() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let client = Registered::with(&admin, &["introspect"]).await;
    for _ in 0..5 {
        for id in [client.id.as_str(), "rlc_AAAAAAAAAAAAAAAA", "somebody"] {
            app.send(form(&app, INTROSPECT, &[("token", "x")]).basic_auth(id, Some("wrong"))).await.expect_status(401);
        }
    }
    let failed = async || {
        let found = admin.get("/api/audit-events?kind=client.authentication_failed").await.expect_status(200).json();
        found.as_array().unwrap().clone()
    };
    let events = failed().await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((&events[0]["clientId"], &events[0]["actorKind"]), (&json!(client.id), &json!("anonymous")));
    assert_eq!((&events[0]["result"], &events[0]["detail"]), (&json!("failed"), &json!({})));
    app.advance(Duration::from_secs(60));
    app.send(form(&app, INTROSPECT, &[("token", "x")]).basic_auth(&client.id, Some("wrong"))).await.expect_status(401);
    assert_eq!(failed().await.len(), 2);
    // A disabled client's right secret is one, too.
    admin.patch(&format!("/api/clients/{}", client.id), &json!({ "disabled": true })).await.expect_status(200);
    app.advance(Duration::from_secs(60));
    client.post(&app, INTROSPECT, &[("token", "x")]).await.expect_oauth_error(401, "invalid_client");
    assert_eq!(failed().await.len(), 3);
}

#[tokio::test]
async fn s5_what_is_done_to_clients_is_written_down() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let client = Registered::with(&admin, &["introspect"]).await;
    let path = format!("/api/clients/{}", client.id);
    admin.patch(&path, &json!({ "name": "Other", "scopes": ["users:read"] })).await.expect_status(200);
    admin.patch(&path, &json!({ "name": "Other" })).await.expect_status(200);
    admin.patch(&path, &json!({ "disabled": true })).await.expect_status(200);
    admin.patch(&path, &json!({ "disabled": true })).await.expect_status(200);
    admin.patch(&path, &json!({ "disabled": false })).await.expect_status(200);
    let secret = admin.post(&format!("{path}/secrets"), &json!({})).await.expect_status(201).text_at("id");
    admin.post(&format!("{path}/secrets"), &json!({})).await.expect_status(409);
    admin.delete(&format!("{path}/secrets/{secret}")).await.expect_status(204);
    admin.delete(&path).await.expect_status(204);
    let events = admin.get(&format!("/api/audit-events?client={}", client.id)).await.expect_status(200).json();
    let seen: Vec<_> = events
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|event| {
            assert_eq!((event["actor"]["id"].as_i64(), &event["subject"]), (Some(admin.id), &json!(null)));
            (event["kind"].as_str().unwrap(), event["detail"].clone())
        })
        .collect();
    let expected = [
        ("client.created", json!({ "name": "Billing", "scopes": "introspect" })),
        ("client.updated", json!({ "changed": ["name", "scopes"], "name": "Other", "scopes": "users:read" })),
        ("client.disabled", json!({})),
        ("client.enabled", json!({})),
        ("client.secret_added", json!({ "secretId": secret })),
        ("client.secret_revoked", json!({ "secretId": secret })),
        ("client.deleted", json!({ "name": "Other" })),
    ];
    assert_eq!(seen, expected);
    admin.get("/api/audit-events?client=x").await.expect_problem(400, "validation_failed");
}

#[test]
fn operators_register_and_change_clients_by_command() {
    let binary = Binary::new();
    let admin =
        ["user", "create", "--username", "root", "--email", "root@example.com", "--role", "admin", "--password-stdin"];
    assert_eq!(binary.run_with_input(&admin, crate::harness::PASSWORD).code, 0);
    let json = |arguments: &[&str]| -> Value {
        let output = binary.run(&[arguments, &["--json"]].concat());
        assert_eq!(output.code, 0, "{arguments:?}: {output:?}");
        serde_json::from_str(&output.stdout).unwrap()
    };
    let create = ["client", "create", "--name", "Billing API", "--scope", "introspect", "--scope", "users:read"];
    let made = json(&create);
    let id = made["id"].as_str().unwrap();
    assert_eq!((made["scope"].as_str(), made["createdBy"].as_i64()), (Some("introspect users:read"), None));
    assert!(made["clientSecret"].as_str().unwrap().starts_with("rls_"));
    let shown = json(&["client", "show", id]);
    assert_eq!((&shown["secrets"], shown.get("clientSecret")), (&made["secrets"], None));
    assert_eq!(json(&["client", "list"])["id"], id);
    let added = json(&["client", "add-secret", id, "--expires-in-days", "30"]);
    assert_ne!(added["clientSecret"], made["clientSecret"]);
    let third = binary.run(&["client", "add-secret", id]);
    assert!(third.code == 1 && third.stderr.contains("two secrets"), "{third:?}");
    json(&["client", "revoke-secret", id, added["secretId"].as_str().unwrap()]);
    let changed = json(&["client", "update", id, "--name", "Other", "--scope", "audit:read", "--audience", "x"]);
    assert_eq!((changed["name"].as_str(), changed["scope"].as_str()), (Some("Other"), Some("audit:read")));
    assert_eq!(changed["audience"], "x");
    assert_eq!(json(&["client", "update", id, "--audience", ""])["audience"], Value::Null);
    assert_eq!(json(&["client", "disable", id])["status"], "disabled");
    assert_eq!(json(&["client", "enable", id])["status"], "active");
    let table = binary.run(&["client", "list"]);
    assert!(table.stdout.starts_with("ID ") && table.stdout.contains("Other"), "{table:?}");
    let text = binary.run(&["client", "show", id]);
    assert!(text.stdout.contains("secret ") && !text.stdout.contains("rls_"), "{text:?}");
    json(&["client", "delete", id]);
    for (arguments, code) in [
        (vec!["client", "show", id], 1),
        (vec!["client", "delete", id], 1),
        (vec!["client", "show", "x"], 1),
        (vec!["client", "revoke-secret", id, "x"], 1),
        (vec!["client", "create", "--name", "x", "--scope", "admin"], 1),
        (vec!["client", "create", "--name", "x"], 2),
        (vec!["client", "create", "--name", "", "--scope", "introspect"], 1),
        (vec!["client", "add-secret", id, "--expires-in-days", "0"], 2),
    ] {
        let output = binary.run(&arguments);
        assert_eq!(output.code, code, "{arguments:?}: {output:?}");
    }
}

#[tokio::test]
async fn a_public_client_is_no_registered_one() {
    let app = TestApp::start().await;
    app.admin("root").await;
    post(&app, TOKEN, &[GRANT, ("client_id", "relatch")]).await.expect_oauth_error(401, "invalid_client");
}
