//! What answers hold: exactly the fields that are promised, so that nothing gets out because a struct has grown.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, Person, TestApp};

const PAIR: &str = "email expiresIn id jwtToken refreshAfter refreshToken refreshTokenExpiresAt role sessionId tokenType \
                    username";
const USER: &str = "createdAt email id lastLoginAt role status username";
const SESSION: &str = "createdAt createdIp current expiresAt generation id idleExpiresAt kind lastUsedAt lastUsedIp state \
                       userAgent userId";
const ROTATION: &str = "createdAt createdIp expiresAt generation replacedBy revokedAt revokedIp userAgent";

/// The names of an object's members, in order.
fn fields(value: &Value) -> String {
    let mut names: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names.join(" ")
}

fn and(fields: &str, more: &str) -> String {
    let mut names: Vec<&str> = fields.split_whitespace().chain(more.split_whitespace()).collect();
    names.sort_unstable();
    names.join(" ")
}

#[tokio::test]
async fn m3_every_answer_has_the_fields_that_are_promised_and_no_more() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let made = app.register("saif").await.expect_status(201);
    assert_eq!(fields(&made.json()), "createdAt email id role username");
    let login = app.login("saif", PASSWORD).await.expect_status(200);
    assert_eq!(fields(&login.json()), and(PAIR, ""));
    let refreshed = app.refresh(&login.text_at("refreshToken")).await.expect_status(200);
    assert_eq!(fields(&refreshed.json()), and(PAIR, ""));
    let person = Person::of_pair(&app, &refreshed);
    let change = json!({ "currentPassword": PASSWORD, "newPassword": "another sentence" });
    let changed = person.post("/api/users/password", &change).await.expect_status(200);
    assert_eq!(fields(&changed.json()), and(PAIR, ""));
    let person = Person::of_pair(&app, &changed);
    let path = format!("/api/users/{}", person.id);

    assert_eq!(fields(&person.profile().await.json()), USER);
    assert_eq!(fields(&admin.get(&path).await.json()), USER);
    assert_eq!(fields(&admin.get("/api/users").await.json()[0]), USER);
    assert_eq!(fields(&person.get("/api/users/me/sessions").await.json()[0]), and(SESSION, ""));
    assert_eq!(fields(&admin.get("/api/sessions").await.json()[0]), and(SESSION, ""));
    let all = admin.get(&format!("{path}/sessions?state=all")).await.json();
    for session in all.as_array().unwrap() {
        let more = if session["state"] == "ended" { "endedAt endedBy endReason" } else { "" };
        assert_eq!(fields(session), and(SESSION, more));
    }
    let live = admin.get(&format!("/api/sessions/{}", person.session_id)).await.json();
    assert_eq!(fields(&live), and(SESSION, "rotations user"));
    assert_eq!((fields(&live["user"]), fields(&live["rotations"][0])), (USER.to_owned(), ROTATION.to_owned()));
    assert_eq!(fields(&admin.patch(&path, &json!({})).await.json()), USER);
    let disabled = admin.patch(&path, &json!({ "disabled": true })).await.json();
    assert_eq!(fields(&disabled), and(USER, "disabledAt"));
    admin.delete(&path).await.expect_status(204);
    assert_eq!(fields(&admin.get(&path).await.json()), and(USER, "deletedAt"));

    let problem = "code detail requestId status title type";
    assert_eq!(fields(&app.get("/api/nothing").await.json()), problem);
    assert_eq!(fields(&app.register("saif").await.json()), and(problem, "errors"));
    assert_eq!(fields(&app.register("saif").await.json()["errors"][0]), "detail pointer");
    assert_eq!(fields(&app.login("saif", "wrong password").await.json()), problem);
    assert_eq!(fields(&app.refresh("garbage").await.json()), and(problem, "retryable"));
    assert_eq!(fields(&person.profile().await.json()), and(problem, "retryable"));
    assert_eq!(app.get("/health/live").await.json(), json!({ "status": "live" }));
    assert_eq!(app.get("/health/ready").await.json(), json!({ "status": "ready" }));
}

#[tokio::test]
async fn m3_no_answer_but_the_pair_holds_a_secret() {
    let app = TestApp::start().await;
    let (admin, person) = (app.admin("root").await, app.user("saif").await);
    let refreshed = app.refresh(&person.refresh_token).await.expect_status(200);
    let (refresh_token, access_token) = (refreshed.text_at("refreshToken"), refreshed.text_at("jwtToken"));
    let id = person.id;
    let paths = [
        "/api/users".to_owned(),
        format!("/api/users/{id}"),
        format!("/api/users/{id}/sessions?state=all"),
        "/api/sessions?state=all".to_owned(),
        format!("/api/sessions/{}", person.session_id),
        "/api/users/profile".to_owned(),
        "/api/users/me/sessions".to_owned(),
        "/health/ready".to_owned(),
    ];
    let mut answers: Vec<Answer> = Vec::new();
    for path in &paths {
        answers.push(admin.get(path).await.expect_status(200));
    }
    answers.push(admin.patch(&format!("/api/users/{id}"), &json!({ "role": 0 })).await.expect_status(200));
    answers.push(app.register("saif").await.expect_status(409));
    answers.push(app.login("saif", &format!("{PASSWORD}x")).await.expect_status(401));
    answers.push(app.refresh(&person.refresh_token[..60]).await.expect_status(401));
    answers.push(app.refresh(&format!("{refresh_token}x")).await.expect_status(401));
    let bad = app.request(Method::GET, "/api/users/profile").bearer_auth(format!("{access_token}x"));
    answers.push(app.send(bad).await.expect_status(401));
    for answer in answers {
        for secret in [PASSWORD, "$2b$", "v1:", "rlr_", "eyJ", "hash", "nonce", "digest", "security", "Version"] {
            assert!(!answer.text.contains(secret), "{secret}: {answer:?}");
        }
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}
