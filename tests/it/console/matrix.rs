//! Every route of the console, for everybody there is.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::authorization::registered;
use crate::harness::{Browser, PageForm, TestApp};

/// The statuses for nobody, a user, an admin, a disabled admin, an expired session, and an admin's bearer token alone.
type Expected = [u16; 6];

const ADMINS: Expected = [303, 403, 200, 303, 303, 303];
/// Forms that are not accepted even from an admin, since this sends them without a token.
const ACTIONS: Expected = [303, 403, 403, 303, 303, 303];

/// Pages of what does not exist.
const UNKNOWN: Expected = [303, 403, 404, 303, 303, 303];

/// Every route of the console. One that is not listed fails the test, and so does one that is listed in vain.
const TABLE: [(&str, &str, Expected); 56] = [
    ("GET", "/admin/sign-in", [200, 303, 303, 200, 200, 200]),
    ("POST", "/admin/sign-in", [403; 6]),
    ("POST", "/admin/sign-out", [303, 403, 403, 303, 303, 303]),
    ("GET", "/admin/setup", [404; 6]),
    ("POST", "/admin/setup", [403; 6]),
    ("GET", "/admin", ADMINS),
    ("GET", "/admin/clients", ADMINS),
    ("POST", "/admin/clients", ACTIONS),
    ("GET", "/admin/clients/new", ADMINS),
    ("GET", "/admin/clients/{id}", UNKNOWN),
    ("POST", "/admin/clients/{id}/settings", ACTIONS),
    ("POST", "/admin/clients/{id}/secrets", ACTIONS),
    ("POST", "/admin/clients/{id}/secrets/{sid}/revoke", ACTIONS),
    ("POST", "/admin/clients/{id}/disable", ACTIONS),
    ("POST", "/admin/clients/{id}/enable", ACTIONS),
    ("POST", "/admin/clients/{id}/delete", ACTIONS),
    ("GET", "/admin/keys", ADMINS),
    ("POST", "/admin/keys/rotate", ACTIONS),
    ("POST", "/admin/keys/replace", ACTIONS),
    ("POST", "/admin/keys/{kid}/retire", ACTIONS),
    ("GET", "/admin/settings", ADMINS),
    ("GET", "/admin/audit", ADMINS),
    ("GET", "/admin/blocks", ADMINS),
    ("POST", "/admin/blocks/clear", ACTIONS),
    ("POST", "/admin/users/{id}/clear-blocks", ACTIONS),
    ("GET", "/admin/audit/export", ADMINS),
    ("GET", "/admin/maintenance", ADMINS),
    ("POST", "/admin/maintenance/prune", ACTIONS),
    ("POST", "/admin/maintenance/check", ACTIONS),
    ("GET", "/admin/maintenance/diagnostics", ADMINS),
    ("GET", "/admin/me", ADMINS),
    ("POST", "/admin/me/preferences", ACTIONS),
    ("POST", "/admin/me/password", ACTIONS),
    ("POST", "/admin/me/sessions/end-others", ACTIONS),
    ("POST", "/admin/me/sessions/{sid}/end", ACTIONS),
    ("GET", "/admin/users", ADMINS),
    ("POST", "/admin/users", ACTIONS),
    ("GET", "/admin/users/new", ADMINS),
    // Without a format.
    ("GET", "/admin/users/export", [303, 403, 400, 303, 303, 303]),
    ("POST", "/admin/users/bulk", ACTIONS),
    ("GET", "/admin/users/{id}", ADMINS),
    ("POST", "/admin/users/{id}/disable", ACTIONS),
    ("POST", "/admin/users/{id}/enable", ACTIONS),
    ("POST", "/admin/users/{id}/role", ACTIONS),
    ("POST", "/admin/users/{id}/revoke-sessions", ACTIONS),
    ("POST", "/admin/users/{id}/reset-link", ACTIONS),
    ("POST", "/admin/users/{id}/delete", ACTIONS),
    ("POST", "/admin/users/{id}/restore", ACTIONS),
    ("POST", "/admin/users/{id}/email", ACTIONS),
    ("GET", "/admin/sessions", ADMINS),
    ("POST", "/admin/sessions/revoke", ACTIONS),
    ("POST", "/admin/sessions/revoke-matching", ACTIONS),
    ("POST", "/admin/sessions/revoke-all", ACTIONS),
    ("GET", "/admin/sessions/{sid}", UNKNOWN),
    ("POST", "/admin/sessions/{sid}/revoke", ACTIONS),
    ("GET", "/admin/users/{id}/sessions/{sid}", UNKNOWN),
];

/// Everybody there is, in the order of [`Expected`].
async fn everybody(app: &TestApp) -> Vec<Browser> {
    let expired = app.console("expired").await;
    app.advance(Duration::from_secs(31 * 60));
    let (root, user) = (app.admin("root").await, app.user("user").await);
    let disabled = app.console("disabled").await;
    let id = app.sign_in("disabled").await.id;
    root.patch(&format!("/api/users/{id}"), &json!({ "disabled": true })).await.expect_status(200);
    let users = Browser::new(app);
    users.sign_in(&user.username).await.expect_redirect("/admin");
    vec![Browser::new(app), users, app.console("admin").await, disabled, expired, Browser::new(app)]
}

#[tokio::test]
async fn m1_every_route_of_the_console_answers_everybody_as_documented() {
    let listed: BTreeSet<_> =
        TABLE.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    let routes: BTreeSet<_> = registered().into_iter().filter(|(_, path)| path.starts_with("/admin")).collect();
    assert_eq!(listed, routes);
    let app = TestApp::start().await;
    let everybody = everybody(&app).await;
    let token = app.sign_in("root").await.access_token;
    for (method, path, expected) in TABLE {
        for (who, (browser, status)) in everybody.iter().zip(expected).enumerate() {
            let path = path.replace("{sid}", "0199a1b2-0000-7000-8000-000000000000").replace("{id}", "1");
            let form = PageForm { action: path.clone(), fields: vec![("token".to_owned(), "AAAA".to_owned())] };
            let request =
                if method == "POST" { browser.submission(&form) } else { browser.request(Method::GET, &path) };
            let request = if who == 5 { request.bearer_auth(&token) } else { request };
            let answer = browser.send(request).await;
            let cell = format!("{method} {path} for {who}");
            assert_eq!(answer.status, status, "{cell}: {answer:?}");
            if status == 303 && path != "/admin/sign-in" {
                assert!(answer.header("location").starts_with("/admin/sign-in"), "{cell}: {answer:?}");
            }
            if status == 403 {
                assert!(answer.header("content-type").starts_with("text/html"), "{cell}: {answer:?}");
            }
            // What asks for a form is not done by asking for a page.
            let is_page_too =
                ["/admin/sign-in", "/admin/setup", "/admin/users", "/admin/clients"].contains(&path.as_str());
            if method == "POST" && !is_page_too && who == 2 {
                for method in [Method::GET, Method::HEAD] {
                    let answer = browser.send(browser.request(method.clone(), &path)).await;
                    assert_eq!(answer.status, 405, "{method} {path}: {answer:?}");
                    assert_eq!(answer.header("allow"), "POST", "{method} {path}: {answer:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn m1_p10_what_is_no_page_is_guarded_too_and_a_page_has_no_other_name() {
    let app = TestApp::start().await;
    let (nobody, admin) = (Browser::new(&app), app.console("root").await);
    let person = app.sign_in("root").await;
    let paths = [
        "/admin/nothing",
        "/admin/me/x.css",
        "/admin/me.css",
        "/admin/me/",
        "/admin/",
        "/admin/x.css",
        "/admin/me;x",
        "/admin/me;x.css",
        "/admin/me%2fx.css",
        "/admin/me%3bx.css",
        "/admin/me%00.css",
        "/admin/me%0a.css",
        "/admin/users/x.css",
        "/admin/users/1.css",
        "/admin/users/1/x.css",
        "/admin/users/1%2fx.css",
        "/admin/users/1;x.css",
        "/admin/users/new/x.css",
        "/admin/users.css",
        "/admin/audit/x.css",
    ];
    let sessions = ["", "/", "%2f", ";", "?"].map(|tail| format!("/admin/sessions/{}{tail}x.css", person.session_id));
    for path in paths.into_iter().chain(sessions[..4].iter().map(String::as_str)) {
        let redirect = nobody.get(path).await;
        assert!(redirect.status == 303 && redirect.header("location").starts_with("/admin/sign-in"), "{redirect:?}");
        let answer = admin.get(path).await;
        assert_eq!((answer.status, answer.header("cache-control")), (404, "no-store"), "{path}: {answer:?}");
        assert!(answer.texts("h1") == ["There is nothing here"] && !answer.text.contains("root"), "{answer:?}");
    }
    // The path is what caches go by: a query leaves the page what it is.
    admin.get(&sessions[4]).await.expect_status(200);
    for path in ["/admin/sign-in/x.css", "/admin/sign-in.css", "/reset/x.css", "/reset.css"] {
        let answer = nobody.get(path).await;
        assert!([303, 404].contains(&answer.status) && answer.texts("form").is_empty(), "{path}: {answer:?}");
    }
    let id = person.id;
    for path in ["profile/a.js", "profile.js", "profile;a.js", "profile%2fa.js", "me/sessions.js"]
        .into_iter()
        .map(|path| format!("/api/users/{path}"))
        .chain([format!("/api/users/{id}.js"), format!("/api/users/{id}/a.js"), "/api/users.js".to_owned()])
    {
        let answer = person.get(&path).await;
        assert_eq!((answer.status, answer.header("cache-control")), (404, "no-store"), "{path}: {answer:?}");
    }
    assert_eq!(admin.get("/administrator").await.header("content-type"), "application/problem+json");
}

#[tokio::test]
async fn o9_what_a_form_leads_to_is_asked_for_by_get() {
    let app = TestApp::start().await;
    let user = app.user("saif").await;
    let session = app.sign_in("saif").await.session_id;
    let browser = app.console("root").await;
    let mut led = 0;
    for (method, path, _) in TABLE.iter().rev() {
        if *method != "POST" {
            continue;
        }
        let action = path.replace("{sid}", &session).replace("{id}", &user.id.to_string());
        // Each is pressed on a page of its own, then confirmed, and pressed with nothing filled in.
        let token = browser.get("/admin/me").await.expect_status(200).form("/admin/sign-out").value("token").to_owned();
        let form = PageForm { action, fields: vec![("token".to_owned(), token)] };
        for form in [form.clone(), form.clone().with("confirmed", "yes")] {
            let answer = browser.submit(&form).await;
            assert!([200, 303, 400, 403, 404, 409, 422].contains(&answer.status), "{form:?}: {answer:?}");
            assert_eq!(answer.status == 303, !answer.header("location").is_empty(), "{form:?}: {answer:?}");
            led += usize::from(answer.status == 303);
            if answer.header("location") == "/admin/sign-in" {
                browser.sign_in("root").await.expect_redirect("/admin");
                break;
            }
        }
    }
    assert!(led >= 10, "{led}");
}

#[tokio::test]
async fn m4_a_cookie_is_nothing_to_the_api_and_a_bearer_token_nothing_to_the_console() {
    let app = TestApp::start().await;
    let admin = app.console("root").await;
    for path in ["/api/users", "/api/users/profile", "/api/sessions"] {
        admin.get(path).await.expect_problem(401, "authentication_required");
    }
    let token = app.sign_in("root").await.access_token;
    let browser = Browser::new(&app);
    let answer = browser.send(browser.request(Method::GET, "/admin/me").bearer_auth(&token)).await;
    answer.expect_redirect("/admin/sign-in?next=%2Fadmin%2Fme");
}
