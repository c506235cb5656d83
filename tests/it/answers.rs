//! What answers hold and how they are labelled: pairs of tokens, plain answers, and revocation by refresh token.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::HOST;
use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, Person, TestApp, raw};
use crate::jwt::part;

/// Whether these are two of base64url's parts, or more.
fn is_base64url(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn is_a_pair(answer: &Answer) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("pragma"), "no-cache");
    let body = answer.json();
    let mut names: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    let expected = [
        "email",
        "expiresIn",
        "id",
        "jwtToken",
        "refreshAfter",
        "refreshToken",
        "refreshTokenExpiresAt",
        "role",
        "sessionId",
        "tokenType",
        "username",
    ];
    assert_eq!(names, expected);
    assert!(body["tokenType"] == "Bearer" && body["id"].is_i64(), "{answer:?}");
    let expires_in = body["expiresIn"].as_u64().unwrap();
    let claims = part(body["jwtToken"].as_str().unwrap(), 1);
    assert_eq!(expires_in, claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap());
    let share = body["refreshAfter"].as_f64().unwrap() / expires_in as f64;
    assert!((0.69..=0.9).contains(&share), "{answer:?}");
    assert!(body["refreshTokenExpiresAt"].as_str().unwrap().ends_with('Z'), "{answer:?}");
}

#[tokio::test]
async fn a1_every_answer_with_a_pair_is_json_that_nobody_stores() {
    let app = TestApp::start().await;
    app.register("saif").await.expect_status(201);
    let login = app.login("saif", PASSWORD).await;
    is_a_pair(&login);
    let refreshed = app.refresh(&login.text_at("refreshToken")).await;
    is_a_pair(&refreshed);
    let object = json!({ "refreshToken": refreshed.text_at("refreshToken") });
    let again = app.post("/api/auth/refresh-token", &object).await;
    is_a_pair(&again);
    let body = json!({ "currentPassword": PASSWORD, "newPassword": "another P@ssword 123" });
    is_a_pair(&Person::of_pair(&app, &again).post("/api/users/password", &body).await);
}

#[tokio::test]
async fn a1_refusals_of_credentials_and_tokens_are_not_stored_either() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    let refusals = [
        app.login("saif", "wrong password").await.expect_problem(401, "invalid_credentials"),
        app.login("nobody", PASSWORD).await.expect_problem(401, "invalid_credentials"),
        app.refresh("rlr_x").await.expect_problem(401, "refresh_token_invalid"),
        app.post("/api/auth/revoke-token", &json!("rlr_x")).await.expect_status(204),
        app.get("/api/users/profile").await.expect_problem(401, "authentication_required"),
        person.get("/api/users").await.expect_problem(403, "insufficient_role"),
        person.profile().await.expect_status(200),
    ];
    for answer in refusals {
        assert_eq!(answer.header("cache-control"), "no-store", "{answer:?}");
    }
}

#[tokio::test]
async fn a15_every_body_says_what_it_is_and_what_has_no_body_says_nothing() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let person = app.user("saif").await;
    let json_answers = [
        app.register("lina").await.expect_status(201),
        person.profile().await,
        person.get("/api/users/me/sessions").await,
        admin.get("/api/users").await,
        admin.get(&format!("/api/users/{}", person.id)).await,
        admin.get("/api/sessions").await,
        admin.get(&format!("/api/sessions/{}", person.session_id)).await,
        admin.patch(&format!("/api/users/{}", person.id), &json!({ "email": "new@example.com" })).await,
        app.get("/health/live").await,
        app.get("/health/ready").await,
    ];
    for answer in json_answers {
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
        assert_eq!(answer.header("content-type"), "application/json", "{answer:?}");
        answer.json();
    }
    let text = app.get("/problems/invalid_token").await.expect_status(200);
    assert_eq!(text.header("content-type"), "text/plain; charset=utf-8");
    let empty = person.post_nothing("/api/auth/logout").await.expect_status(204);
    assert_eq!((empty.header("content-type"), empty.header("content-length"), empty.text.as_str()), ("", "", ""));
}

#[tokio::test]
async fn a16_tokens_have_the_shape_that_is_promised() {
    let app = TestApp::start().await;
    app.register("saif").await.expect_status(201);
    let mut seen = Vec::new();
    for _ in 0..8 {
        let person = app.sign_in("saif").await;
        let body = person.refresh_token.strip_prefix("rlr_").unwrap();
        assert!(body.len() == 71 && is_base64url(body), "{body}");
        let parts: Vec<&str> = person.access_token.split('.').collect();
        assert!(parts.len() == 3 && parts.iter().all(|part| is_base64url(part)), "{}", person.access_token);
        // What the session id, the version and the generation do not give away: the nonce and the tag.
        seen.push(body[28..].to_owned());
        let successor = app.refresh(&person.refresh_token).await.expect_status(200).text_at("refreshToken");
        assert_ne!(successor, person.refresh_token);
        assert_ne!(successor[successor.len() - 21..], person.refresh_token[person.refresh_token.len() - 21..]);
    }
    seen.sort_unstable();
    let number = seen.len();
    seen.dedup();
    assert_eq!(seen.len(), number, "two sessions share their secret part");
}

#[tokio::test]
async fn a17_no_token_is_in_anything_but_the_answer_that_issues_it() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let person = app.user("saif").await;
    let pair = app.refresh(&person.refresh_token).await.expect_status(200);
    let person = Person::of_pair(&app, &pair);
    let answers = [
        app.register("lina").await,
        person.profile().await,
        person.get("/api/users/me/sessions").await,
        admin.get("/api/users?limit=1").await,
        admin.get(&format!("/api/users/{}", person.id)).await,
        admin.get("/api/sessions?limit=1").await,
        admin.get(&format!("/api/users/{}/sessions", person.id)).await,
        admin.get(&format!("/api/sessions/{}", person.session_id)).await,
        app.refresh(&format!("{}x", person.refresh_token)).await,
        app.login("saif", "wrong password").await,
        person.get("/api/users").await,
        person.post_nothing("/api/auth/logout").await,
        person.profile().await,
        app.refresh(&person.refresh_token).await,
    ];
    for answer in answers {
        let whole = format!("{:?}{}", answer.headers, answer.text);
        for token in [&person.access_token, &person.refresh_token, &admin.access_token, &admin.refresh_token] {
            assert!(!whole.contains(&token[token.len() - 24..]), "{answer:?}");
        }
        assert!(!whole.contains("rlr_") && !whole.contains("eyJ"), "{answer:?}");
        assert!(!whole.to_lowercase().contains("hash") && !whole.contains("nonce"), "{answer:?}");
    }
    // Only pairs and problems; nobody is sent anywhere.
    assert_eq!(pair.header("location"), "");
}

#[tokio::test]
async fn g12_addresses_and_issuers_come_from_the_configuration_and_not_from_the_request() {
    let safe = [("INSECURE_DEVELOPMENT", ""), ("BCRYPT_COST", "10")];
    let app = TestApp::with(&[&safe[..], &[("PUBLIC_URL", "https://tokens.example.org")]].concat()).await;
    let admin = app.admin("root").await;
    app.register("saif").await.expect_status(201);
    let hostile = |request: reqwest::RequestBuilder| {
        request
            .header(HOST, "evil.example")
            .header("x-forwarded-host", "evil.example")
            .header("x-forwarded-proto", "http")
            .header("x-original-url", "http://evil.example/")
            .header("forwarded", "host=evil.example;proto=http;for=198.51.100.1")
    };
    let list = app.send(hostile(admin.request(Method::GET, "/api/users?limit=1"))).await.expect_status(200);
    let link = list.header("link");
    assert!(link.starts_with("<https://tokens.example.org/api/users?limit=1&cursor="), "{link}");
    assert!(link.ends_with(">; rel=\"next\""), "{link}");
    let body = json!({ "username": "saif", "password": PASSWORD });
    let pair = app.send(hostile(app.request(Method::POST, "/api/auth/login").json(&body))).await.expect_status(200);
    assert_eq!(part(&pair.text_at("jwtToken"), 1)["iss"], "https://tokens.example.org");
    let body = json!({ "username": "lina", "email": "lina@example.com", "password": PASSWORD });
    let made = app.send(hostile(app.request(Method::POST, "/api/users/register").json(&body))).await;
    let made = made.expect_status(201);
    assert_eq!(made.header("location"), format!("/api/users/{}", made.json()["id"]));
    for answer in [&list, &pair, &made] {
        assert!(!format!("{answer:?}").contains("evil"), "{answer:?}");
    }
    // The address in the request line counts no more than the header.
    let request = format!(
        "GET http://evil.example/api/users?limit=1 HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\
         Authorization: Bearer {}\r\n\r\n",
        admin.access_token
    );
    let answer = raw(app.address, request.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.contains("evil"), "{answer}");
    let trusted = TestApp::with(&[("TRUSTED_PROXIES", "127.0.0.1/32")]).await;
    let person = trusted.user("saif").await;
    let answer = trusted.send(hostile(person.request(Method::POST, "/api/users/profile"))).await.expect_status(200);
    assert!(!format!("{answer:?}").contains("evil"), "not even a trusted proxy names the host: {answer:?}");
}

async fn revoke(app: &TestApp, token: &str) -> Answer {
    app.post("/api/auth/revoke-token", &json!(token)).await
}

async fn end_of(admin: &Person, session: &str) -> Value {
    admin.get(&format!("/api/sessions/{session}")).await.expect_status(200).json()
}

#[tokio::test]
async fn c2_revoking_what_is_no_token_is_204_and_changes_nothing() {
    let app = TestApp::start().await;
    let (admin, person) = (app.admin("root").await, app.user("saif").await);
    let before = end_of(&admin, &person.session_id).await;
    let garbage = ["", "x", "rlr_", &format!("rlr_{}", "A".repeat(71)), &person.access_token, &person.session_id];
    for token in garbage {
        let answer = revoke(&app, token).await.expect_status(204);
        assert_eq!(answer.text, "");
    }
    let answer = app.post("/api/auth/revoke-token", &json!({ "refreshToken": "x", "token_type_hint": "y" })).await;
    answer.expect_status(204);
    assert_eq!(end_of(&admin, &person.session_id).await, before);
    person.profile().await.expect_status(200);
    app.refresh(&person.refresh_token).await.expect_status(200);
}

#[tokio::test]
async fn c1_revoking_a_refresh_token_ends_its_session_at_once_and_no_other() {
    let app = TestApp::start().await;
    let (admin, person) = (app.admin("root").await, app.user("saif").await);
    let elsewhere = app.sign_in("saif").await;
    revoke(&app, &person.refresh_token).await.expect_status(204);
    app.refresh(&person.refresh_token).await.expect_problem(401, "session_revoked");
    person.profile().await.expect_problem(401, "invalid_token");
    assert_eq!(end_of(&admin, &person.session_id).await["endReason"], "token_revoked");
    elsewhere.profile().await.expect_status(200);
    app.refresh(&elsewhere.refresh_token).await.expect_status(200);
    // Once more is the same answer, and the first end stands.
    let ended = end_of(&admin, &person.session_id).await;
    app.advance(Duration::from_secs(1));
    revoke(&app, &person.refresh_token).await.expect_status(204);
    assert_eq!(end_of(&admin, &person.session_id).await, ended);
}

#[tokio::test]
async fn c10_a_token_of_any_generation_ends_the_session_when_it_is_revoked() {
    let app = TestApp::start().await;
    for age in 0..4 {
        let mut person = app.user(&format!("saif{age}")).await;
        let first = person.refresh_token.clone();
        for _ in 0..age {
            app.advance(Duration::from_secs(60));
            person = Person::of_pair(&app, &app.refresh(&person.refresh_token).await.expect_status(200));
        }
        person.profile().await.expect_status(200);
        let object = json!({ "refreshToken": first });
        app.post("/api/auth/revoke-token", &object).await.expect_status(204);
        person.profile().await.expect_problem(401, "invalid_token");
        app.refresh(&person.refresh_token).await.expect_problem(401, "session_revoked");
    }
}

#[tokio::test]
async fn c2_a_token_that_has_expired_still_ends_its_session() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    app.advance(Duration::from_secs(8 * 24 * 3600));
    app.refresh(&person.refresh_token).await.expect_problem(401, "refresh_token_expired");
    revoke(&app, &person.refresh_token).await.expect_status(204);
    app.refresh(&person.refresh_token).await.expect_problem(401, "session_revoked");
    let admin = app.admin("root").await;
    assert_eq!(end_of(&admin, &person.session_id).await["endReason"], "token_revoked");
}
