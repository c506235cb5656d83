//! How an access token is presented, and how its absence is answered (RFC 6750).

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, Person, TestApp, exchange};

const CHALLENGE: &str = "Bearer realm=\"relatch\"";
const INVALID: &str = "Bearer realm=\"relatch\", error=\"invalid_token\"";

/// Every route that only somebody signed in may ask, and whether an admin's token is needed.
const GUARDED: &[(&str, &str, bool)] = &[
    ("POST", "/api/auth/logout", false),
    ("POST", "/api/auth/logout-all", false),
    ("GET", "/api/users/profile", false),
    ("HEAD", "/api/users/profile", false),
    ("POST", "/api/users/profile", false),
    ("POST", "/api/users/password", false),
    ("GET", "/api/users/me/sessions", false),
    ("DELETE", "/api/users/me/sessions/{sid}", false),
    ("GET", "/api/users", true),
    ("HEAD", "/api/users", true),
    ("GET", "/api/users/{id}", true),
    ("PATCH", "/api/users/{id}", true),
    ("DELETE", "/api/users/{id}", true),
    ("GET", "/api/users/{id}/sessions", true),
    ("DELETE", "/api/users/{id}/sessions", true),
    ("GET", "/api/sessions", true),
    ("GET", "/api/sessions/{sid}", true),
    ("DELETE", "/api/sessions/{sid}", true),
    ("POST", "/api/sessions/revoke", true),
    ("GET", "/api/audit-events", true),
    ("GET", "/api/clients", true),
    ("POST", "/api/clients", true),
    ("GET", "/api/clients/{id}", true),
    ("PATCH", "/api/clients/{id}", true),
    ("DELETE", "/api/clients/{id}", true),
    ("POST", "/api/clients/{id}/secrets", true),
    ("DELETE", "/api/clients/{id}/secrets/{sid}", true),
];

/// The routes of `/api` that anybody may ask.
const OPEN: &[&str] = &["/api/auth/login", "/api/auth/refresh-token", "/api/auth/revoke-token", "/api/users/register"];

fn method(name: &str) -> Method {
    name.parse().unwrap()
}

/// A path with ids of things that exist.
fn filled(path: &str, person: &Person) -> String {
    path.replace("{id}", &person.id.to_string()).replace("{sid}", &person.session_id)
}

/// A request with a body that every guarded route takes, and this `Authorization`.
async fn ask(app: &TestApp, method: Method, path: &str, authorization: &str) -> Answer {
    let body = json!({ "currentPassword": "x", "newPassword": "y" });
    let request = app.request(method, path).json(&body);
    let request = if authorization.is_empty() { request } else { request.header("authorization", authorization) };
    app.send(request).await
}

async fn profile(app: &TestApp, authorization: &str) -> Answer {
    app.send(app.request(Method::GET, "/api/users/profile").header("authorization", authorization)).await
}

#[tokio::test]
async fn e1_without_a_token_the_challenge_names_no_error() {
    let app = TestApp::start().await;
    let answer = app.get("/api/users/profile").await.expect_problem(401, "authentication_required");
    assert_eq!(answer.header("www-authenticate"), CHALLENGE);
    assert_eq!(answer.json().get("retryable"), None, "no token was refused: {answer:?}");
}

#[tokio::test]
async fn e2_a_token_that_is_garbled_expired_or_revoked_is_an_invalid_token() {
    let app = TestApp::start().await;
    let (expired, revoked) = (app.user("early").await, app.user("gone").await);
    expired.profile().await.expect_status(200);
    app.advance(std::time::Duration::from_secs(16 * 60));
    let revoked = Person::of_pair(&app, &app.refresh(&revoked.refresh_token).await.expect_status(200));
    revoked.profile().await.expect_status(200);
    revoked.post_nothing("/api/auth/logout").await.expect_status(204);
    for token in ["garbage", &expired.access_token, &revoked.access_token, &revoked.refresh_token] {
        let answer = profile(&app, &format!("Bearer {token}")).await.expect_problem(401, "invalid_token");
        assert_eq!(answer.header("www-authenticate"), INVALID);
        assert_eq!(answer.json()["retryable"], false, "{answer:?}");
    }
}

#[tokio::test]
async fn e3_a_users_token_does_not_suffice_where_an_admins_is_needed() {
    let app = TestApp::start().await;
    let (admin, person) = (app.admin("root").await, app.user("saif").await);
    for (name, path, _) in GUARDED.iter().filter(|(_, _, needs_admin)| *needs_admin) {
        let path = filled(path, &person);
        let answer = ask(&app, method(name), &path, &format!("Bearer {}", person.access_token)).await;
        assert_eq!(answer.status, 403, "{name} {path}: {answer:?}");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"relatch\", error=\"insufficient_scope\"");
        if *name != "HEAD" {
            answer.expect_problem(403, "insufficient_role");
        }
    }
    let unharmed = admin.get(&format!("/api/sessions/{}", person.session_id)).await.expect_status(200);
    assert_eq!(unharmed.text_at("state"), "live");
}

#[tokio::test]
async fn e4_the_scheme_is_of_any_case_and_followed_by_one_or_more_spaces() {
    let app = TestApp::start().await;
    let token = app.user("saif").await.access_token;
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        for spaces in [" ", "  ", "      "] {
            profile(&app, &format!("{scheme}{spaces}{token}")).await.expect_status(200);
        }
    }
    for other in [format!("Bearer{token}"), format!("Bearer:{token}"), format!("Bearer\t{token}"), token.clone()] {
        let answer = profile(&app, &other).await;
        assert_eq!(answer.status, 401, "{other}: {answer:?}");
    }
}

#[tokio::test]
async fn e5_a_token_in_the_address_or_in_a_form_is_ignored() {
    let app = TestApp::start().await;
    let (person, admin) = (app.user("saif").await, app.admin("root").await);
    for name in ["access_token", "token", "jwt", "authorization", "jwtToken"] {
        let path = format!("/api/users/profile?{name}={}", person.access_token);
        app.get(&path).await.expect_problem(401, "authentication_required");
        app.get(&format!("/api/users?{name}={}", admin.access_token))
            .await
            .expect_problem(401, "authentication_required");
    }
    let form = app.request(Method::POST, "/api/users/profile");
    let form = form.header("content-type", "application/x-www-form-urlencoded");
    let form = form.body(format!("access_token={}", person.access_token));
    app.send(form).await.expect_problem(401, "authentication_required");
    let cookie = app
        .request(Method::GET, "/api/users/profile")
        .header("cookie", format!("relatch={0}; access_token={0}", person.access_token));
    app.send(cookie).await.expect_problem(401, "authentication_required");
    // With a header of one's own it is that header that counts.
    let path = format!("/api/users/profile?access_token={}", admin.access_token);
    assert_eq!(person.get(&path).await.expect_status(200).text_at("username"), "saif");
}

#[tokio::test]
async fn e6_two_authorization_headers_are_an_invalid_request() {
    let app = TestApp::start().await;
    let (person, admin) = (app.user("saif").await, app.admin("root").await);
    let good = format!("Bearer {}", person.access_token);
    let better = format!("Bearer {}", admin.access_token);
    profile(&app, &good).await.expect_status(200);
    let pairs = [
        (good.as_str(), good.as_str()),
        (&good, &better),
        (&better, &good),
        (&good, "Basic eDp5"),
        ("Basic eDp5", &good),
        (&good, ""),
        ("", &good),
        (&good, "Bearer garbage"),
    ];
    for (first, second) in pairs {
        for (name, path) in [("GET", "/api/users/profile"), ("GET", "/api/users"), ("POST", "/api/auth/logout")] {
            let request = app.request(method(name), path);
            let request = request.header("authorization", first).header("authorization", second);
            app.send(request).await.expect_problem(400, "invalid_request");
        }
    }
    let body = json!({ "username": "new", "email": "new@example.com", "password": crate::harness::PASSWORD });
    let request = app.request(Method::POST, "/api/users/register").json(&body);
    let request = request.header("authorization", &good).header("authorization", &better);
    app.send(request).await.expect_problem(400, "invalid_request");
    // One header of two tokens is one token that is garbled.
    profile(&app, &format!("{good}, {better}")).await.expect_problem(401, "invalid_token");
    person.profile().await.expect_status(200);
}

#[tokio::test]
async fn e7_another_scheme_gets_the_challenge_without_an_error() {
    let app = TestApp::start().await;
    let token = app.user("saif").await.access_token;
    let others = ["Basic eDp5", "Digest username=\"x\"", "DPoP x", "Negotiate", &format!("Token {token}"), "x", ""];
    for authorization in others {
        let answer = profile(&app, authorization).await.expect_problem(401, "authentication_required");
        assert_eq!(answer.header("www-authenticate"), CHALLENGE, "{authorization}");
    }
    // Registration takes an anonymous client, but not one that tried to be somebody.
    let body = json!({ "username": "new", "email": "new@example.com", "password": crate::harness::PASSWORD });
    let request = app.request(Method::POST, "/api/users/register").header("authorization", "Basic eDp5").json(&body);
    app.send(request).await.expect_problem(401, "authentication_required");
}

#[tokio::test]
async fn e8_what_is_no_token_at_all_is_refused_and_never_a_failure_of_ours() {
    let app = TestApp::start().await;
    let token = app.user("saif").await.access_token;
    let kilobytes = "a".repeat(100 * 1024);
    let credentials = [
        "Bearer",
        "Bearer ",
        "Bearer  ",
        "Bearer a b",
        "Bearer a,b",
        "Bearer \"a\"",
        "Bearer =",
        "Bearer a=b",
        "Bearer é",
        "Bearer \u{fffd}",
        "Bearer\t",
        "Bearer \t",
        &format!("Bearer {token}\tx"),
        &format!("Bearer {token} x"),
        &format!("Bearer x {token}"),
        &format!("Bearer Bearer {token}"),
        &format!("Bearer {kilobytes}"),
    ];
    for credentials in credentials {
        let request = format!(
            "GET /api/users/profile HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {credentials}\r\n\r\n"
        );
        let answer = exchange(app.address, request.as_bytes());
        let shown: String = credentials.chars().take(60).collect();
        assert!(matches!(answer.status(), Some(400 | 401)), "{shown}: {answer:?}");
        assert!(answer.body().contains("\"invalid_token\""), "{shown}: {answer:?}");
    }
    for bytes in [b"\xff\xfe".as_slice(), b"a\x80b", b"\xc3\x28", b"a\x7f"] {
        let head = b"GET /api/users/profile HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ";
        let answer = exchange(app.address, &[head, bytes, b"\r\n\r\n"].concat());
        assert!(matches!(answer.status(), Some(400 | 401)), "{bytes:?}: {answer:?}");
    }
}

#[tokio::test]
async fn e9_every_guarded_route_challenges_and_repeats_no_token() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    let signed_out = app.sign_in("saif").await;
    signed_out.post_nothing("/api/auth/logout").await.expect_status(204);
    for (name, path, _) in GUARDED {
        let path = filled(path, &person);
        let cases = [
            (String::new(), CHALLENGE, "authentication_required"),
            ("Basic eDp5".to_owned(), CHALLENGE, "authentication_required"),
            ("Bearer garbage".to_owned(), INVALID, "invalid_token"),
            (format!("Bearer {}", signed_out.access_token), INVALID, "invalid_token"),
        ];
        for (authorization, challenge, code) in cases {
            let answer = ask(&app, method(name), &path, &authorization).await;
            assert_eq!(answer.status, 401, "{name} {path} with {authorization:?}: {answer:?}");
            assert_eq!(answer.header("www-authenticate"), challenge, "{name} {path}");
            assert!(!answer.text.contains("garbage") && !answer.text.contains(&signed_out.access_token), "{answer:?}");
            if *name != "HEAD" {
                answer.expect_problem(401, code);
            }
        }
    }
    person.profile().await.expect_status(200);
}

#[test]
fn e9_no_route_of_the_api_is_missing_from_the_lists_above() {
    let source = include_str!("../../src/web/mod.rs");
    let (_, api) = source.split_once("scope(\"/api\")").unwrap();
    let (api, _) = api.split_once("scope(\"/oauth\")").unwrap();
    let paths: Vec<String> =
        api.split("resource(\"").skip(1).map(|rest| format!("/api{}", rest.split_once('"').unwrap().0)).collect();
    assert!(paths.len() >= 15, "{paths:?}");
    for path in &paths {
        let is_listed = OPEN.contains(&path.as_str()) || GUARDED.iter().any(|(_, guarded, _)| guarded == path);
        assert!(is_listed, "{path} is in no list: say who may ask it");
    }
    for known in GUARDED.iter().map(|(_, path, _)| *path).chain(OPEN.iter().copied()) {
        assert!(paths.iter().any(|path| path == known), "{known} is no route");
    }
}

#[tokio::test]
async fn e9_what_is_not_there_is_not_found_whoever_asks() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    for path in ["/api", "/api/", "/api/nothing", "/api/users/profile/x", "/api/users/profile/", "/nothing", "/"] {
        let anonymous = app.get(path).await.expect_problem(404, "not_found");
        let known = person.get(path).await.expect_problem(404, "not_found");
        assert_eq!(anonymous.json()["detail"], known.json()["detail"], "{path}");
    }
}

#[tokio::test]
async fn b13_a_token_of_one_kind_is_none_of_the_other() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    for path in ["/api/auth/refresh-token", "/api/auth/revoke-token"] {
        let answer = app.post(path, &json!(person.access_token)).await;
        let expected = if path.ends_with("revoke-token") { 204 } else { 401 };
        assert_eq!(answer.status, expected, "{path}: {answer:?}");
        if expected == 401 {
            answer.expect_problem(401, "refresh_token_invalid");
        }
    }
    profile(&app, &format!("Bearer {}", person.refresh_token)).await.expect_problem(401, "invalid_token");
    person.profile().await.expect_status(200);
    app.refresh(&person.refresh_token).await.expect_status(200);
}

#[tokio::test]
async fn b11_a_near_miss_of_a_refresh_token_is_refused_and_harms_nobody() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    let token = &person.refresh_token;
    let flipped: String = token
        .chars()
        .map(
            |letter| {
                if letter.is_ascii_lowercase() { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
            },
        )
        .collect();
    let misses = [
        token[..token.len() - 1].to_owned(),
        format!("{token}A"),
        format!("{token}="),
        format!("{token}=="),
        format!(" {token}"),
        format!("{token} "),
        format!("{token}\n"),
        format!("{token}\0"),
        flipped,
        token.to_uppercase(),
        token.replacen("rlr_", "", 1),
        token.replacen("rlr_", "rlr_rlr_", 1),
        token.replacen('_', "%5F", 1),
        token.replacen('_', "%255F", 1),
        format!("\"{token}\""),
        String::new(),
    ];
    for miss in &misses {
        app.refresh(miss).await.expect_problem(401, "refresh_token_invalid");
        app.post("/api/auth/revoke-token", &json!(miss)).await.expect_status(204);
    }
    person.profile().await.expect_status(200);
    app.refresh(token).await.expect_status(200);
}
