//! `POST /oauth/token` with `grant_type=client_credentials`, and what such a token is worth.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::{Registered, TOKEN, form, post};
use crate::harness::{Answer, TestApp};
use crate::jwt::forge::{Forge, part, variables};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

async fn get(app: &TestApp, token: &str, path: &str) -> Answer {
    app.send(app.request(reqwest::Method::GET, path).bearer_auth(token)).await
}

#[tokio::test]
async fn a1_a2_a3_a_client_gets_a_token_of_its_own_and_no_refresh_token() {
    let app = TestApp::start().await;
    let client = Registered::with(&app.admin("root").await, &["users:read", "introspect", "audit:read"]).await;
    let answer = client.post(&app, TOKEN, &[GRANT]).await.expect_status(200);
    assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"));
    let body = answer.json();
    let members: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["access_token", "expires_in", "scope", "token_type"]);
    assert_eq!((body["token_type"].as_str(), body["expires_in"].as_u64()), (Some("Bearer"), Some(900)));
    assert_eq!(body["scope"], "introspect users:read audit:read");
    let token = answer.text_at("access_token");
    let (header, claims) = (part(&token, 0), part(&token, 1));
    assert_eq!(header["typ"], "at+jwt");
    assert_eq!((claims["sub"].as_str(), claims["client_id"].as_str()), (Some(&*client.id), Some(&*client.id)));
    let names: Vec<_> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["aud", "client_id", "exp", "iat", "iss", "jti", "nbf", "scope", "secret_id", "sub", "ver"];
    assert_eq!(names, expected, "no session, no role, no person");
    // Less can be asked for, in any order.
    let less = client.post(&app, TOKEN, &[GRANT, ("scope", "audit:read users:read")]).await.expect_status(200);
    assert_eq!(less.text_at("scope"), "users:read audit:read");
    get(&app, &less.text_at("access_token"), "/api/audit-events").await.expect_status(200);
    let answer = client.introspect(&app, &less.text_at("access_token")).await;
    assert_eq!(answer["scope"], "users:read audit:read");
}

#[tokio::test]
async fn a13_no_scope_is_had_that_was_not_given() {
    let app = TestApp::start().await;
    let client = Registered::with(&app.admin("root").await, &["users:read"]).await;
    for scope in ["introspect", "users:read introspect", "admin", "USERS:READ", "users:*", "é", "openid", " "] {
        client.post(&app, TOKEN, &[GRANT, ("scope", scope)]).await.expect_oauth_error(400, "invalid_scope");
    }
}

#[tokio::test]
async fn a10_who_does_not_prove_to_be_the_client_is_asked_to() {
    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    let admin = app.admin("root").await;
    let client = Registered::with(&admin, &["users:read"]).await;
    let other = Registered::with(&admin, &["users:read"]).await;
    let with_body = |id: &str, secret: &str| form(&app, TOKEN, &[GRANT, ("client_id", id), ("client_secret", secret)]);
    let with_header = |id: &str, secret: &str| form(&app, TOKEN, &[GRANT]).basic_auth(id, Some(secret));
    let wrong = [
        (client.id.as_str(), "rls_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        (client.id.as_str(), other.secret.as_str()),
        (client.id.as_str(), "x"),
        ("rlc_AAAAAAAAAAAAAAAA", client.secret.as_str()),
        ("somebody", client.secret.as_str()),
    ];
    let mut answers = Vec::new();
    for (id, secret) in wrong {
        answers.push(app.send(with_header(id, secret)).await);
        answers.push(app.send(with_body(id, secret)).await);
    }
    answers.push(post(&app, TOKEN, &[GRANT]).await);
    answers.push(post(&app, TOKEN, &[GRANT, ("client_id", &client.id)]).await);
    answers.push(post(&app, TOKEN, &[GRANT, ("client_id", "relatch")]).await);
    answers.push(app.send(form(&app, TOKEN, &[GRANT]).bearer_auth(&admin.access_token)).await);
    answers.push(app.send(form(&app, TOKEN, &[GRANT]).header("authorization", "Basic !!!")).await);
    for answer in &answers {
        let answer = answer.clone().expect_oauth_error(401, "invalid_client");
        assert_eq!(answer.header("www-authenticate"), "Basic realm=\"relatch\"");
        assert_eq!(answer.text, answers[0].text, "an unknown client looks like a wrong secret");
    }
    app.send(with_header(&client.id, &client.secret)).await.expect_status(200);
    app.send(with_body(&client.id, &client.secret)).await.expect_status(200);
}

/// Everybody who may take a client's rights away, and what that does to the tokens that it holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f18_what_is_taken_away_from_a_client_is_gone_on_every_instance_at_once() {
    let here = TestApp::start().await;
    let there = TestApp::on_at(Arc::clone(&here.database), &[], Arc::clone(&here.clock)).await;
    let admin = here.admin("root").await;
    let path = |client: &Registered| format!("/api/clients/{}", client.id);
    for how in ["disabled", "deleted", "less scopes", "another audience", "secret revoked", "secret expired"] {
        let client = Registered::with(&admin, &["users:read", "audit:read"]).await;
        let mut secret = admin.get(&path(&client)).await.json()["secrets"][0]["id"].as_str().unwrap().to_owned();
        let mut client = client;
        if how == "secret expired" {
            let at = here.now().after(Duration::from_mins(2)).to_string();
            let added = admin.post(&format!("{}/secrets", path(&client)), &json!({ "expiresAt": at })).await;
            let added = added.expect_status(201);
            client.secret = added.text_at("clientSecret");
            secret = added.text_at("id");
        }
        let token = client.token(&here).await;
        for app in [&here, &there] {
            get(app, &token, "/api/users").await.expect_status(200);
        }
        match how {
            "disabled" => admin.patch(&path(&client), &json!({ "disabled": true })).await.expect_status(200),
            "deleted" => admin.delete(&path(&client)).await.expect_status(204),
            "less scopes" => admin.patch(&path(&client), &json!({ "scopes": ["users:read"] })).await.expect_status(200),
            "another audience" => admin.patch(&path(&client), &json!({ "audience": "x" })).await.expect_status(200),
            "secret revoked" => admin.delete(&format!("{}/secrets/{secret}", path(&client))).await.expect_status(204),
            _ => {
                here.advance(Duration::from_mins(2));
                admin.profile().await
            }
        };
        for app in [&there, &here] {
            get(app, &token, "/api/users").await.expect_problem(401, "invalid_token");
        }
        let answer = client.post(&there, TOKEN, &[GRANT]).await;
        if ["less scopes", "another audience"].contains(&how) {
            get(&there, &answer.expect_status(200).text_at("access_token"), "/api/users").await.expect_status(200);
        } else {
            answer.expect_oauth_error(401, "invalid_client");
        }
    }
}

#[tokio::test]
async fn a_secret_takes_the_others_place_and_no_token_is_lost_on_the_way() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let old = Registered::with(&admin, &["users:read"]).await;
    let path = format!("/api/clients/{}", old.id);
    let first = admin.get(&path).await.json()["secrets"][0]["id"].as_str().unwrap().to_owned();
    let added = admin.post(&format!("{path}/secrets"), &json!({})).await.expect_status(201);
    let new = Registered { id: old.id.clone(), secret: added.text_at("clientSecret") };
    let (token, next) = (old.token(&app).await, new.token(&app).await);
    for token in [&token, &next] {
        get(&app, token, "/api/users").await.expect_status(200);
    }
    admin.delete(&format!("{path}/secrets/{first}")).await.expect_status(204);
    get(&app, &token, "/api/users").await.expect_problem(401, "invalid_token");
    get(&app, &next, "/api/users").await.expect_status(200);
    old.post(&app, TOKEN, &[GRANT]).await.expect_oauth_error(401, "invalid_client");
    new.token(&app).await;
}

#[tokio::test]
async fn a_clients_token_lives_no_longer_than_its_secret() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let ends = app.now().after(Duration::from_mins(5)).to_string();
    let body = json!({ "name": "Short", "scopes": ["users:read"], "secretExpiresAt": ends });
    let made = admin.post("/api/clients", &body).await.expect_status(201);
    let client = Registered { id: made.text_at("id"), secret: made.text_at("clientSecret") };
    let answer = client.post(&app, TOKEN, &[GRANT]).await.expect_status(200);
    let expires_in = answer.json()["expires_in"].as_u64().unwrap();
    assert!((299..=301).contains(&expires_in), "{expires_in}");
}

#[tokio::test]
async fn f17_a_clients_claims_are_checked_one_by_one() {
    for algorithm in ["ES256", "HS256"] {
        let app = TestApp::with(&variables(algorithm)).await;
        let admin = app.admin("root").await;
        let client = Registered::with(&admin, &["users:read"]).await;
        let other = Registered::with(&admin, &["users:read"]).await;
        let token = client.token(&app).await;
        let holder = admin.with_access_token(&token);
        let forge = Forge::on(app, holder).await;
        let ask = async |token: &str| forge.present_at("/api/users", token).await;
        ask(&forge.unchanged()).await.expect_status(200);
        for (claim, value) in [
            ("sub", json!(other.id)),
            ("sub", json!("1")),
            ("sub", json!(1)),
            ("client_id", json!(other.id)),
            ("client_id", json!("relatch")),
            ("ver", json!(2)),
            ("ver", json!(0)),
            ("ver", json!("1")),
            ("scope", json!("admin")),
            ("scope", json!(["users:read"])),
            ("scope", json!("users:read admin")),
            ("secret_id", json!("x")),
            ("secret_id", json!("00000000-0000-4000-8000-000000000000")),
            ("iss", json!("http://other.example")),
            ("aud", json!("other")),
            ("exp", json!(forge.number("iat") - 1)),
            ("exp", json!(forge.number("exp") + 1)),
            ("nbf", json!(forge.number("exp"))),
        ] {
            let answer = ask(&forge.with_claim(claim, value.clone())).await;
            assert_eq!(answer.status, 401, "{claim} {value}: {answer:?}");
        }
        for claim in ["iss", "aud", "sub", "iat", "nbf", "exp", "jti", "ver", "client_id", "scope", "secret_id"] {
            ask(&forge.without_claim(claim)).await.expect_problem(401, "invalid_token");
        }
        // A scope that the client does not have is worth nothing, whatever its token says.
        let wider = forge.with_claim("scope", json!("users:read audit:read"));
        ask(&wider).await.expect_status(200);
        forge.present_at("/api/audit-events", &wider).await.expect_problem(403, "insufficient_scope");
        // With a session and a role it would be a user's, and no user has such an id.
        let mut claims = forge.claims.clone();
        claims["sid"] = json!(admin.session_id);
        claims["role"] = json!("Admin");
        ask(&forge.saying(claims.to_string())).await.expect_problem(401, "invalid_token");
        ask(&forge.unchanged()).await.expect_status(200);
    }
}

#[tokio::test]
async fn everything_that_was_given_out_before_a_restore_is_worth_nothing() {
    let app = TestApp::with(&variables("HS256")).await;
    let client = Registered::with(&app.admin("root").await, &["users:read"]).await;
    let token = client.token(&app).await;
    get(&app, &token, "/api/users").await.expect_status(200);
    relatch::auth::end_everything::end_everything(app.app.auth()).await.unwrap();
    get(&app, &token, "/api/users").await.expect_problem(401, "invalid_token");
    get(&app, &client.token(&app).await, "/api/users").await.expect_status(200);
}
