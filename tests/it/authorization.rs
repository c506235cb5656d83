//! Who may do what: every route of the table, for everybody there is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use relatch::clock::{Clock as _, ManualClock, SystemClock};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Database, PASSWORD, Person, TestApp, raw};
use crate::registration::account;

/// The statuses for nobody, a user, an admin, a disabled user, an expired token and the token of an ended session.
pub type Expected = [u16; 6];

const fn anyone(status: u16) -> Expected {
    [status; 6]
}

const fn signed_in(status: u16) -> Expected {
    [401, status, status, 401, 401, 401]
}

const fn admins(status: u16) -> Expected {
    [401, 403, status, 401, 401, 401]
}

/// Every route. One that is not listed here fails the test below it, and so does one that is listed in vain.
pub const TABLE: [(&str, &str, Expected); 115] = [
    ("POST", "/api/auth/login", anyone(200)),
    ("POST", "/api/auth/refresh-token", anyone(200)),
    ("POST", "/api/auth/revoke-token", anyone(204)),
    ("POST", "/api/auth/logout", signed_in(204)),
    ("POST", "/api/auth/logout-all", signed_in(204)),
    ("POST", "/api/users/register", [201, 201, 201, 401, 401, 401]),
    ("GET", "/api/users/profile", signed_in(200)),
    ("POST", "/api/users/profile", signed_in(200)),
    ("POST", "/api/users/password", signed_in(200)),
    ("GET", "/api/users/me/sessions", signed_in(200)),
    ("DELETE", "/api/users/me/sessions/{sid}", signed_in(204)),
    ("GET", "/api/users", admins(200)),
    ("GET", "/api/users/{id}", admins(200)),
    ("PATCH", "/api/users/{id}", admins(200)),
    ("DELETE", "/api/users/{id}", admins(204)),
    ("GET", "/api/users/{id}/sessions", admins(200)),
    ("DELETE", "/api/users/{id}/sessions", admins(204)),
    ("GET", "/api/sessions", admins(200)),
    // Without a body; only admins get far enough to be told so.
    ("POST", "/api/sessions/revoke", admins(415)),
    ("GET", "/api/sessions/{sid}", admins(200)),
    ("DELETE", "/api/sessions/{sid}", admins(204)),
    ("GET", "/api/audit-events", admins(200)),
    ("GET", "/api/clients", admins(200)),
    ("POST", "/api/clients", admins(415)),
    // No client has a user's id.
    ("GET", "/api/clients/{id}", admins(404)),
    ("PATCH", "/api/clients/{id}", admins(415)),
    ("DELETE", "/api/clients/{id}", admins(404)),
    ("POST", "/api/clients/{id}/secrets", admins(415)),
    ("DELETE", "/api/clients/{id}/secrets/{sid}", admins(404)),
    // Without a form they ask for one, whoever it is; tests/it/oauth has the rest.
    ("POST", "/oauth/token", anyone(400)),
    ("POST", "/oauth/revoke", anyone(400)),
    ("POST", "/oauth/introspect", anyone(400)),
    // To the console a bearer token is nothing, so that everybody here is a stranger.
    ("GET", "/admin/sign-in", anyone(200)),
    ("POST", "/admin/sign-in", anyone(415)),
    ("POST", "/admin/sign-out", anyone(415)),
    ("GET", "/admin/setup", anyone(404)),
    ("POST", "/admin/setup", anyone(415)),
    ("GET", "/admin", anyone(303)),
    ("GET", "/admin/clients", anyone(303)),
    ("POST", "/admin/clients", anyone(303)),
    ("GET", "/admin/clients/new", anyone(303)),
    ("GET", "/admin/clients/{id}", anyone(303)),
    ("POST", "/admin/clients/{id}/settings", anyone(303)),
    ("POST", "/admin/clients/{id}/secrets", anyone(303)),
    ("POST", "/admin/clients/{id}/secrets/{sid}/revoke", anyone(303)),
    ("POST", "/admin/clients/{id}/disable", anyone(303)),
    ("POST", "/admin/clients/{id}/enable", anyone(303)),
    ("POST", "/admin/clients/{id}/delete", anyone(303)),
    ("GET", "/admin/keys", anyone(303)),
    ("POST", "/admin/keys/rotate", anyone(303)),
    ("POST", "/admin/keys/replace", anyone(303)),
    ("POST", "/admin/keys/{kid}/retire", anyone(303)),
    ("GET", "/admin/settings", anyone(303)),
    ("GET", "/admin/audit", anyone(303)),
    ("GET", "/admin/blocks", anyone(303)),
    ("POST", "/admin/blocks/clear", anyone(303)),
    ("POST", "/admin/users/{id}/clear-blocks", anyone(303)),
    ("GET", "/admin/audit/export", anyone(303)),
    ("GET", "/admin/maintenance", anyone(303)),
    ("POST", "/admin/maintenance/prune", anyone(303)),
    ("POST", "/admin/maintenance/check", anyone(303)),
    ("GET", "/admin/maintenance/diagnostics", anyone(303)),
    ("GET", "/admin/sessions", anyone(303)),
    ("POST", "/admin/sessions/revoke", anyone(303)),
    ("POST", "/admin/sessions/revoke-matching", anyone(303)),
    ("POST", "/admin/sessions/revoke-all", anyone(303)),
    ("GET", "/admin/sessions/{sid}", anyone(303)),
    ("POST", "/admin/sessions/{sid}/revoke", anyone(303)),
    ("GET", "/admin/users/{id}/sessions/{sid}", anyone(303)),
    ("GET", "/admin/me", anyone(303)),
    ("POST", "/admin/me/preferences", anyone(303)),
    ("POST", "/admin/me/password", anyone(303)),
    ("POST", "/admin/me/sessions/end-others", anyone(303)),
    ("POST", "/admin/me/sessions/{sid}/end", anyone(303)),
    ("GET", "/admin/sessions", anyone(303)),
    ("POST", "/admin/sessions/revoke", anyone(303)),
    ("POST", "/admin/sessions/revoke-matching", anyone(303)),
    ("POST", "/admin/sessions/revoke-all", anyone(303)),
    ("GET", "/admin/sessions/{sid}", anyone(303)),
    ("POST", "/admin/sessions/{sid}/revoke", anyone(303)),
    ("GET", "/admin/users/{id}/sessions/{sid}", anyone(303)),
    ("GET", "/admin/users", anyone(303)),
    ("POST", "/admin/users", anyone(303)),
    ("GET", "/admin/users/new", anyone(303)),
    ("GET", "/admin/users/export", anyone(303)),
    ("POST", "/admin/users/bulk", anyone(303)),
    ("GET", "/admin/users/{id}", anyone(303)),
    ("POST", "/admin/users/{id}/disable", anyone(303)),
    ("POST", "/admin/users/{id}/enable", anyone(303)),
    ("POST", "/admin/users/{id}/role", anyone(303)),
    ("POST", "/admin/users/{id}/revoke-sessions", anyone(303)),
    ("POST", "/admin/users/{id}/reset-link", anyone(303)),
    ("POST", "/admin/users/{id}/delete", anyone(303)),
    ("POST", "/admin/users/{id}/restore", anyone(303)),
    ("POST", "/admin/users/{id}/email", anyone(303)),
    ("GET", "/.well-known/jwks.json", anyone(200)),
    ("GET", "/.well-known/oauth-authorization-server", anyone(200)),
    ("GET", "/.well-known/openid-configuration", anyone(200)),
    // For issuers with a path, which this one's has none of.
    ("GET", "/.well-known/oauth-authorization-server/{issuer:.+}", anyone(404)),
    ("GET", "/.well-known/openid-configuration/{issuer:.+}", anyone(404)),
    ("GET", "/{issuer:.+}/.well-known/openid-configuration", anyone(404)),
    ("GET", "/status-lists", anyone(200)),
    ("GET", "/status-lists/{name}", anyone(404)),
    // Whoever has a link; nobody has this one.
    ("GET", "/reset", anyone(404)),
    ("POST", "/reset", anyone(415)),
    ("GET", "/assets/{file}", anyone(404)),
    ("GET", "/favicon.ico", anyone(200)),
    ("GET", "/openapi.json", anyone(200)),
    ("GET", "/docs", anyone(303)),
    ("GET", "/docs/{file:.*}", anyone(404)),
    ("GET", "/problems/{code}", anyone(200)),
    ("GET", "/health/live", anyone(200)),
    ("GET", "/health/ready", anyone(200)),
    // On a listener of its own, which is not this one.
    ("GET", "/metrics", anyone(404)),
    // Whatever is no route at all.
    ("GET", "/api/nothing", anyone(404)),
];

const NO_ROUTE: &str = "/api/nothing";

/// The routes that the source of the route table registers.
pub fn registered() -> BTreeSet<(String, String)> {
    let source = include_str!("../../src/web/mod.rs");
    let code: Vec<&str> = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    assert!(!code.contains(".configure("), "routes registered elsewhere must be read too");
    let mut routes = BTreeSet::new();
    let (mut depth, mut prefixes) = (0_usize, Vec::<(usize, &str)>::new());
    for (at, character) in code.char_indices() {
        let (before, after) = (&code[..at], &code[at + character.len_utf8()..]);
        match character {
            '(' => {
                let name = before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
                match name {
                    "scope" | "resource" => prefixes.push((depth, after.split('"').nth(1).unwrap())),
                    "route" if before.ends_with(".route") => {
                        let method = after.split('(').next().unwrap().to_uppercase();
                        assert!(["GET", "POST", "PATCH", "PUT", "DELETE"].contains(&method.as_str()), "{method}");
                        let path = prefixes.iter().map(|(_, prefix)| *prefix).collect::<String>();
                        assert!(routes.insert((method, path)));
                    }
                    "default_service" | "to_async" => panic!("{name} is not in the table"),
                    _ => {}
                }
                depth += 1;
            }
            ')' => {
                depth -= 1;
                prefixes.retain(|(opened, _)| *opened <= depth);
            }
            _ => {}
        }
    }
    assert_eq!(depth, 0);
    routes
}

#[test]
fn m1_the_matrix_lists_exactly_the_routes_there_are() {
    let route = |(method, path, _): &(&str, &str, Expected)| ((*method).to_owned(), (*path).to_owned());
    let listed: BTreeSet<_> = TABLE.iter().filter(|(_, path, _)| *path != NO_ROUTE).map(route).collect();
    assert_eq!(listed, registered());
}

/// The body that a route wants, about a bystander whom it concerns.
fn body(method: &str, path: &str, bystander: &Person) -> Option<Value> {
    match path {
        _ if method == "GET" || method == "DELETE" => None,
        "/api/auth/login" => Some(json!({ "username": bystander.username, "password": PASSWORD })),
        "/api/auth/refresh-token" | "/api/auth/revoke-token" => Some(json!(bystander.refresh_token)),
        "/api/users/register" => Some(account(&format!("{}-new", bystander.username), &bystander.session_id)),
        "/api/users/password" => Some(json!({ "currentPassword": PASSWORD, "newPassword": "another sentence" })),
        "/api/users/{id}" => Some(json!({ "disabled": true })),
        _ => None,
    }
}

#[tokio::test]
async fn m1_every_route_answers_everybody_as_documented() {
    // The expired token is of an instance whose clock is behind, on the same store.
    let database = Arc::new(Database::create());
    let clock = Arc::new(ManualClock::at(SystemClock.now().before(Duration::from_secs(16 * 60))));
    let expired = TestApp::on_at(database.clone(), &[("RATE_LIMITS", "off")], clock).await.user("expired").await;
    let app = TestApp::on(database, &[("RATE_LIMITS", "off")]).await;
    let (disabled, ended) = (app.user("disabled").await, app.user("ended").await);
    let patch = json!({ "disabled": true });
    app.admin("root").await.patch(&format!("/api/users/{}", disabled.id), &patch).await.expect_status(200);
    ended.post_nothing("/api/auth/logout").await.expect_status(204);
    for (row, (method, path, expected)) in TABLE.iter().enumerate() {
        for (who, status) in expected.iter().enumerate() {
            // An instance is ready only while its clock agrees with the database's.
            app.clock.set(SystemClock.now());
            let bystander = app.user(&format!("bystander{row}.{who}")).await;
            let caller = match who {
                0 => None,
                1 => Some(app.user(&format!("user{row}")).await),
                2 => Some(app.admin(&format!("admin{row}")).await),
                3 => Some(disabled.clone()),
                4 => Some(expired.clone()),
                _ => Some(ended.clone()),
            };
            let own = caller.as_ref().filter(|_| path.contains("/me/")).unwrap_or(&bystander);
            let filled = path.replace("{id}", &bystander.id.to_string()).replace("{sid}", &own.session_id);
            let filled = filled.replace("{code}", "not_found").replace("{file:.*}", "nothing.css");
            let request = |method: &str| {
                let request = app.request(Method::from_bytes(method.as_bytes()).unwrap(), &filled);
                caller.iter().fold(request, |request, caller| request.bearer_auth(&caller.access_token))
            };
            let cell = format!("{method} {path} for caller {who}");
            if *method == "GET" {
                let head = app.send(request("HEAD")).await;
                assert_eq!((head.status, head.text.as_str()), (*status, ""), "{cell}: {head:?}");
            }
            let answer = app.send(match body(method, path, &bystander) {
                Some(body) => request(method).json(&body),
                None => request(method),
            });
            let answer = answer.await;
            assert_eq!(answer.status, *status, "{cell}: {answer:?}");
            check_refusal(&answer, who == 0, &cell);
            // Whoever is refused has changed nothing.
            if [401, 403].contains(status) {
                bystander.profile().await.expect_status(200);
                app.refresh(&bystander.refresh_token).await.expect_status(200);
            }
        }
    }
}

/// A refusal says what was missing, in the body and in the challenge (RFC 6750 §3), and nothing of anybody.
fn check_refusal(answer: &Answer, is_anonymous: bool, cell: &str) {
    let (code, challenge) = match (answer.status, is_anonymous) {
        (401, true) => ("authentication_required", "Bearer realm=\"relatch\""),
        (401, false) => ("invalid_token", "Bearer realm=\"relatch\", error=\"invalid_token\""),
        (403, _) => ("insufficient_role", "Bearer realm=\"relatch\", error=\"insufficient_scope\""),
        _ => return assert_eq!(answer.header("www-authenticate"), "", "{cell}"),
    };
    assert_eq!(answer.header("www-authenticate"), challenge, "{cell}");
    let answer = answer.clone().expect_problem(answer.status, code);
    assert!(!answer.text.contains("example.com"), "{cell}: {answer:?}");
}

#[tokio::test]
async fn m2_no_other_way_of_writing_a_request_gets_a_user_past_the_guard() {
    let app = TestApp::start().await;
    let (admin, user) = (app.admin("root").await, app.user("saif").await);
    let own = app.sign_in("saif").await;
    let targets = [
        "/api/users",
        "//api/users",
        "/api//users",
        "/api/users/",
        "/api/users//",
        "/API/users",
        "/api/Users",
        "/api/USERS",
        "/api/./users",
        "/api/x/../users",
        "/api/users/me/../../users",
        "/%2e/api/users",
        "/api/%2e%2e/api/users",
        "/api%2fusers",
        "/api/users%2f",
        "/api/user%73",
        "/%61pi/users",
        "/api/users;x",
        "/api/users;/x",
        "/api;x/users",
        "/api/users.json",
        "/api/users/profile/../",
        "/api/users/profile/..%2f",
        "/api/users?",
        "/api/users?role=Admin",
        "/api/users#x",
        "/api/users%00",
        "/api/users%20",
        "/api/users%09",
        "/api/users/*",
        "/api/users/1",
        "/api/users/1/",
        "/api/users/1/sessions",
        "/api/users/01",
        "/api/sessions",
        "/api/sessions/",
        "/api/session%73",
        "\\api\\users",
        "/api\\users",
        "http://localhost/api/users",
        "http://evil.example/api/users",
        "/api/users/profile/../1",
        "/..;/api/users",
        "/api/..;/users",
        "/health/live/../../api/users",
        "/api/auth/../users",
        "*",
    ];
    let overrides = [
        "",
        "x-http-method-override: GET",
        "x-http-method: GET",
        "x-method-override: GET",
        "x-original-url: /api/users",
        "x-rewrite-url: /api/users",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-user: root",
        "x-remote-user: root",
        "forwarded: for=127.0.0.1",
        "x-user-role: Admin",
    ];
    for target in targets {
        for method in ["GET", "HEAD", "OPTIONS", "POST", "PUT", "get", "PROPFIND", "TRACE"] {
            check_bypass(&app, &user, method, target, "");
        }
    }
    for header in overrides {
        for (method, target) in [("GET", "/api/users"), ("POST", "/api/users"), ("DELETE", "/api/users/1")] {
            check_bypass(&app, &user, method, target, header);
        }
        check_bypass(&app, &user, "GET", "/api/users/1?_method=DELETE", header);
        check_bypass(&app, &user, "POST", "/api/users/1?_method=PATCH&access_token=x", header);
        // A public route stays what it is.
        let answer = send_raw(&app, &user, "GET", "/api/users/profile", header);
        assert!(answer.contains("saif") && !answer.contains("root@"), "{header}: {answer}");
    }
    // The other's token in another place, or besides one's own.
    let token = &admin.access_token;
    for header in [
        format!("cookie: relatch={token}; __Host-relatch={token}; access_token={token}"),
        format!("x-access-token: {token}"),
        format!("proxy-authorization: Bearer {token}"),
        format!("authorization: Bearer {token}"),
    ] {
        check_bypass(&app, &user, "GET", "/api/users", &header);
        check_bypass(&app, &user, "GET", &format!("/api/users?access_token={token}"), &header);
    }
    own.profile().await.expect_status(200);
    admin.profile().await.expect_status(200);
    assert_eq!(admin.get("/api/users").await.expect_status(200).json().as_array().unwrap().len(), 2);
}

fn send_raw(app: &TestApp, user: &Person, method: &str, target: &str, header: &str) -> String {
    let header = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
    let head = "host: localhost\r\nconnection: close\r\ncontent-length: 0";
    let token = &user.access_token;
    let request = format!("{method} {target} HTTP/1.1\r\n{head}\r\nauthorization: Bearer {token}\r\n{header}\r\n");
    raw(app.address, request.as_bytes())
}

fn check_bypass(app: &TestApp, user: &Person, method: &str, target: &str, header: &str) {
    let answer = send_raw(app, user, method, target, header);
    let status: u16 = answer.split(' ').nth(1).unwrap_or_default().parse().unwrap_or_default();
    assert!((400..=501).contains(&status) && status != 500, "{method} {target} {header}: {answer}");
    assert!(!answer.contains("root") && !answer.contains("example.com"), "{method} {target} {header}: {answer}");
}
