//! What each scope opens, and what no client gets to.

use reqwest::Method;
use serde_json::json;

use super::{Registered, TOKEN};
use crate::authorization::registered;
use crate::harness::{Answer, TestApp};

/// The routes that a client gets to, with the scope that each takes. Every other route refuses its token.
const OPEN: [(&str, &str, &str); 10] = [
    ("GET", "/api/users", "users:read"),
    ("GET", "/api/users/{id}", "users:read"),
    ("GET", "/api/users/{id}/sessions", "users:read"),
    ("GET", "/api/sessions", "sessions:read"),
    ("GET", "/api/sessions/{sid}", "sessions:read"),
    ("DELETE", "/api/sessions/{sid}", "sessions:revoke"),
    ("DELETE", "/api/users/{id}/sessions", "sessions:revoke"),
    ("POST", "/api/sessions/revoke", "sessions:revoke"),
    ("GET", "/api/audit-events", "audit:read"),
    ("POST", "/oauth/introspect", "introspect"),
];

const SCOPES: [&str; 5] = ["introspect", "users:read", "sessions:read", "sessions:revoke", "audit:read"];

#[tokio::test]
async fn m1_every_scope_opens_what_it_names_and_nothing_else() {
    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    let admin = app.admin("root").await;
    let client = Registered::with(&admin, &SCOPES).await;
    let mut tokens = Vec::new();
    for scope in SCOPES {
        let fields = [("grant_type", "client_credentials"), ("scope", scope)];
        tokens.push((scope, client.post(&app, TOKEN, &fields).await.expect_status(200).text_at("access_token")));
    }
    let guarded = registered().into_iter().filter(|(_, path)| {
        path.starts_with("/api/") && !path.starts_with("/api/auth/log") || path == "/oauth/introspect"
    });
    let public = ["/api/auth/refresh-token", "/api/auth/revoke-token"];
    let mut opened = 0;
    for (method, path) in guarded.filter(|(_, path)| !public.contains(&path.as_str())) {
        for (scope, token) in &tokens {
            let bystander = app.user(&format!("user{}", app.app.auth().now().as_micros())).await;
            app.advance(std::time::Duration::from_micros(1));
            let filled = path.replace("{id}", &bystander.id.to_string()).replace("{sid}", &bystander.session_id);
            let request = app.request(Method::from_bytes(method.as_bytes()).unwrap(), &filled).bearer_auth(token);
            let answer = app.send(match path.as_str() {
                "/oauth/introspect" => {
                    request.header("content-type", "application/x-www-form-urlencoded").body("token=x")
                }
                "/api/sessions/revoke" => request.json(&json!({ "filter": { "userId": bystander.id } })),
                _ => request,
            });
            let answer = answer.await;
            let cell = format!("{method} {path} with {scope}");
            if OPEN.contains(&(method.as_str(), path.as_str(), scope)) {
                assert!((200..300).contains(&answer.status), "{cell}: {answer:?}");
                opened += 1;
                continue;
            }
            assert_eq!(answer.status, 403, "{cell}: {answer:?}");
            let challenge = answer.header("www-authenticate").to_owned();
            assert_eq!(challenge, "Bearer realm=\"relatch\", error=\"insufficient_scope\"", "{cell}");
            if path.starts_with("/api") {
                answer.expect_problem(403, "insufficient_scope");
            } else {
                answer.expect_oauth_error(403, "insufficient_scope");
            }
            bystander.profile().await.expect_status(200);
        }
    }
    assert_eq!(opened, OPEN.len());
    // A user's own doors, too.
    for path in ["/api/auth/logout", "/api/auth/logout-all"] {
        let answer = app.send(app.request(Method::POST, path).bearer_auth(&tokens[0].1)).await;
        answer.expect_problem(403, "insufficient_scope");
    }
    // To the console a bearer token is nothing.
    let answer: Answer = app.send(app.request(Method::GET, "/admin/users").bearer_auth(&tokens[1].1)).await;
    assert_eq!(answer.status, 303);
}

#[tokio::test]
async fn s5_what_a_client_does_is_put_down_to_it() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let client = Registered::with(&admin, &["sessions:revoke", "sessions:read"]).await;
    let (one, two, three) = (app.user("one").await, app.user("two").await, app.user("three").await);
    let token = client.token(&app).await;
    let request = |method: Method, path: &str| app.request(method, path).bearer_auth(&token);
    app.send(request(Method::DELETE, &format!("/api/sessions/{}", one.session_id))).await.expect_status(204);
    app.send(request(Method::DELETE, &format!("/api/users/{}/sessions", two.id))).await.expect_status(204);
    let filter = json!({ "filter": { "userId": three.id } });
    app.send(request(Method::POST, "/api/sessions/revoke").json(&filter)).await.expect_status(200);
    app.send(request(Method::GET, "/api/users")).await.expect_problem(403, "insufficient_scope");
    app.send(request(Method::GET, "/api/users/profile")).await.expect_problem(403, "insufficient_scope");
    for person in [&one, &two, &three] {
        person.profile().await.expect_problem(401, "invalid_token");
    }
    let events = admin.get(&format!("/api/audit-events?client={}", client.id)).await.expect_status(200).json();
    let seen: Vec<_> = events
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            assert_eq!(event["clientId"], client.id);
            (event["kind"].as_str().unwrap(), event["actorKind"].as_str().unwrap())
        })
        .collect();
    let expected = [
        ("access.denied", "client"),
        ("sessions.revoked", "client"),
        ("sessions.revoked", "client"),
        ("session.revoked", "client"),
        ("client.token_issued", "client"),
        ("client.created", "user"),
    ];
    assert_eq!(seen, expected, "the newest first, and a denial once a minute");
    assert_eq!(events[0]["detail"], json!({ "asked": "GET /api/users" }));
    let session = admin.get(&format!("/api/sessions/{}", one.session_id)).await.json();
    assert_eq!((session["endReason"].as_str(), session.get("endedBy")), (Some("ended_by_admin"), None));
}
