//! `POST /oauth/introspect`: section D of the requirements.

use std::time::Duration;

use serde_json::{Value, json};

use super::{INTROSPECT, Registered, form, post, refresh};
use crate::harness::{Answer, Person, TestApp};
use crate::jwt::forge::part;

fn nothing() -> Value {
    json!({ "active": false })
}

async fn as_bearer(app: &TestApp, bearer: &str, fields: &[(&str, &str)]) -> Answer {
    app.send(form(app, INTROSPECT, fields).bearer_auth(bearer)).await
}

#[tokio::test]
async fn d_1_nobody_learns_anything_without_credentials() {
    let app = TestApp::start().await;
    let client = Registered::with(&app.admin("root").await, &["introspect"]).await;
    let person = app.user("saif").await;
    let token = ("token", person.access_token.as_str());
    let (id, secret) = (client.id.as_str(), client.secret.as_str());
    let other = if &secret[10..11] == "A" { "B" } else { "A" };
    let near = format!("{}{other}{}", &secret[..10], &secret[11..]);
    let upper = secret.to_uppercase();
    let padded = format!("{secret} ");
    let unknown = "rlc_AAAAAAAAAAAAAAAA";
    for fields in [
        vec![token],
        vec![token, ("client_id", id)],
        vec![token, ("client_id", "relatch")],
        vec![token, ("client_id", id), ("client_secret", &near)],
        vec![token, ("client_id", id), ("client_secret", &upper)],
        vec![token, ("client_id", id), ("client_secret", &padded)],
        vec![token, ("client_id", id), ("client_secret", &secret[..40])],
        vec![token, ("client_id", unknown), ("client_secret", secret)],
        vec![token, ("client_id", "relatch"), ("client_secret", secret)],
        vec![token, ("client_id", secret), ("client_secret", id)],
        vec![],
    ] {
        let answer = post(&app, INTROSPECT, &fields).await.expect_oauth_error(401, "invalid_client");
        assert_eq!(answer.header("www-authenticate"), "Basic realm=\"relatch\"");
    }
    for (id, secret) in [(id, near.as_str()), (unknown, secret), ("relatch", ""), ("", ""), (id, "")] {
        let answer = app.send(form(&app, INTROSPECT, &[token]).basic_auth(id, Some(secret))).await;
        answer.expect_oauth_error(401, "invalid_client");
    }
    for bearer in ["garbage", &person.refresh_token, secret] {
        let answer = as_bearer(&app, bearer, &[token]).await.expect_oauth_error(401, "invalid_token");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"relatch\", error=\"invalid_token\"");
    }
    assert_eq!(client.introspect(&app, &person.access_token).await["active"], true);
}

#[tokio::test]
async fn d_2_whatever_is_worth_nothing_is_answered_with_the_same_one_member() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let client = Registered::with(&admin, &["introspect"]).await;
    let (person, ended, expired) = (app.user("saif").await, app.user("ended").await, app.user("expired").await);
    ended.post_nothing("/api/auth/logout").await.expect_status(204);
    app.advance(Duration::from_mins(16));
    let rotated = person.refresh_token.clone();
    refresh(&app, &rotated).await.expect_status(200);
    let forged = format!("{}AA", &expired.refresh_token[..expired.refresh_token.len() - 2]);
    let signature = format!("{}AA", &expired.access_token[..expired.access_token.len() - 2]);
    let long = "x".repeat(16_000);
    for token in [
        "garbage",
        " ",
        "rlr_",
        "a.b.c",
        "\u{0}",
        "é",
        &long,
        &rotated,
        &forged,
        &signature,
        &expired.access_token,
        &ended.access_token,
        &ended.refresh_token,
        &client.secret,
        &client.id,
    ] {
        let answer = client.post(&app, INTROSPECT, &[("token", token)]).await.expect_status(200);
        assert_eq!(answer.text, r#"{"active":false}"#, "{token}");
        assert_eq!(answer.header("content-type"), "application/json");
    }
    // Asking about a token that was replaced is no theft: its session lives on.
    assert_eq!(client.introspect(&app, &expired.refresh_token).await["active"], true);
    refresh(&app, &rotated).await.expect_status(200);
}

#[tokio::test]
async fn d_3_an_access_token_is_told_as_its_own_claims_tell_it() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let client = Registered::with(&admin, &["introspect"]).await;
    let person = app.user("saif").await;
    let claims = part(&person.access_token, 1);
    for hint in ["access_token", "refresh_token", "foo", ""] {
        let fields = [("token", person.access_token.as_str()), ("token_type_hint", hint)];
        let found = client.post(&app, INTROSPECT, &fields).await.expect_status(200).json();
        let mut expected = json!({ "active": true, "token_type": "Bearer", "username": "saif" });
        for claim in ["iss", "aud", "sub", "client_id", "iat", "exp", "nbf", "jti", "sid", "role"] {
            expected[claim] = claims[claim].clone();
        }
        assert_eq!(found, expected);
        assert!(found["exp"].is_i64() && found["iat"].is_i64() && found["nbf"].is_i64());
    }
    // The caller may be an admin, or a client with a token of its own.
    let own = client.token(&app).await;
    for bearer in [&admin.access_token, &own] {
        let found = as_bearer(&app, bearer, &[("token", &person.access_token)]).await.expect_status(200).json();
        assert_eq!(found["jti"], claims["jti"]);
    }
    let claims = part(&own, 1);
    let found = client.introspect(&app, &own).await;
    let mut expected = json!({ "active": true, "token_type": "Bearer" });
    for claim in ["iss", "aud", "sub", "client_id", "iat", "exp", "nbf", "jti", "scope"] {
        expected[claim] = claims[claim].clone();
    }
    assert_eq!((found["scope"].as_str(), &found), (Some("introspect"), &expected));
}

#[tokio::test]
async fn d_3_a_refresh_token_is_told_as_what_no_api_takes_for_an_access_token() {
    let app = TestApp::with(&[("JWT_PROFILE_CLAIMS", "off")]).await;
    let client = Registered::with(&app.admin("root").await, &["introspect"]).await;
    let person = app.user("saif").await;
    let claims = part(&person.access_token, 1);
    let found = client.introspect(&app, &person.refresh_token).await;
    let week = 7 * 24 * 3600;
    let iat = app.now().as_seconds();
    let expected = json!({
        "active": true, "token_type": "refresh_token", "iss": claims["iss"], "aud": claims["aud"], "sub": claims["sub"],
        "client_id": "relatch", "sid": person.session_id, "role": "User", "iat": iat, "exp": iat + week,
    });
    assert_eq!(found, expected, "without the name, which tokens go without here");
    // Asked about or not, it can be spent once, and then it is worth nothing.
    let next = refresh(&app, &person.refresh_token).await.expect_status(200).text_at("refresh_token");
    assert_eq!(client.introspect(&app, &person.refresh_token).await, nothing());
    assert_eq!(client.introspect(&app, &next).await["active"], true);
    let found = client.introspect(&app, &person.access_token).await;
    assert_eq!((found["active"].as_bool(), found.get("username")), (Some(true), None));
}

#[tokio::test]
async fn d_4_without_one_token_there_is_nothing_to_ask_about() {
    let app = TestApp::start().await;
    let client = Registered::with(&app.admin("root").await, &["introspect"]).await;
    for fields in [vec![], vec![("token", "")], vec![("token", "a"), ("token", "a")], vec![("access_token", "a")]] {
        client.post(&app, INTROSPECT, &fields).await.expect_oauth_error(400, "invalid_request");
    }
    app.get(&format!("{INTROSPECT}?token=a")).await.expect_oauth_error(405, "invalid_request");
}

#[tokio::test]
async fn d_5_what_ends_a_token_is_known_at_once() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let client = Registered::with(&admin, &["introspect"]).await;
    let end = async |how: &str, person: &Person| {
        let user = format!("/api/users/{}", person.id);
        match how {
            "logout" => person.post_nothing("/api/auth/logout").await.expect_status(204),
            "revoked" => post(&app, super::REVOKE, &[("token", &person.refresh_token)]).await.expect_status(200),
            "by an admin" => admin.delete(&format!("/api/sessions/{}", person.session_id)).await.expect_status(204),
            "disabled" => admin.patch(&user, &json!({ "disabled": true })).await.expect_status(200),
            "deleted" => admin.delete(&user).await.expect_status(204),
            "another role" => admin.patch(&user, &json!({ "role": "Admin" })).await.expect_status(200),
            _ => {
                let change = json!({ "currentPassword": crate::harness::PASSWORD, "newPassword": "another sentence" });
                person.post("/api/users/password", &change).await.expect_status(200)
            }
        }
    };
    let ends = ["logout", "revoked", "by an admin", "disabled", "deleted", "another role", "another password"];
    for (number, how) in ends.into_iter().enumerate() {
        let person = app.user(&format!("user{number}")).await;
        person.profile().await.expect_status(200);
        assert_eq!(client.introspect(&app, &person.access_token).await["active"], true, "{how}");
        end(how, &person).await;
        assert_eq!(client.introspect(&app, &person.access_token).await, nothing(), "{how}");
        // Another role leaves the session, and with it the refresh token, whose next access token has the role.
        let refreshed = client.introspect(&app, &person.refresh_token).await;
        assert_eq!(refreshed["active"], how == "another role", "{how}");
    }
}

#[tokio::test]
async fn d_6_a_resource_server_of_another_audience_learns_nothing() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let person = app.user("saif").await;
    let register = async |audience: &str| {
        let body = json!({ "name": "API", "scopes": ["introspect"], "audience": audience });
        let answer = admin.post("/api/clients", &body).await.expect_status(201);
        Registered { id: answer.text_at("id"), secret: answer.text_at("clientSecret") }
    };
    let (ours, theirs) = (register("relatch").await, register("https://other.example").await);
    for token in [&person.access_token, &person.refresh_token] {
        assert_eq!(ours.introspect(&app, token).await["active"], true);
        assert_eq!(theirs.introspect(&app, token).await, nothing());
    }
    // With a token of its own it is the same server.
    let bearer = theirs.token(&app).await;
    let found = as_bearer(&app, &bearer, &[("token", &person.access_token)]).await.expect_status(200);
    assert_eq!(found.json(), nothing());
}

#[tokio::test]
async fn d_7_no_answer_is_kept_by_anybody() {
    let app = TestApp::start().await;
    let client = Registered::with(&app.admin("root").await, &["introspect"]).await;
    let person = app.user("saif").await;
    for token in [person.access_token.as_str(), "garbage"] {
        let answer = client.post(&app, INTROSPECT, &[("token", token)]).await.expect_status(200);
        assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"));
        assert_eq!(answer.header("set-cookie"), "");
    }
}

#[tokio::test]
async fn d_8_ordinary_users_and_clients_without_the_scope_may_not_ask() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let (person, other) = (app.user("saif").await, app.user("other").await);
    let client = Registered::with(&admin, &["users:read", "sessions:revoke"]).await;
    let token = client.token(&app).await;
    let fields = [("token", other.access_token.as_str())];
    for bearer in [&person.access_token, &other.access_token, &token] {
        let answer = as_bearer(&app, bearer, &fields).await.expect_oauth_error(403, "insufficient_scope");
        assert!(answer.header("www-authenticate").contains("error=\"insufficient_scope\""), "{answer:?}");
    }
    let answer = client.post(&app, INTROSPECT, &fields).await;
    answer.expect_oauth_error(403, "insufficient_scope");
    as_bearer(&app, &admin.access_token, &fields).await.expect_status(200);
}
