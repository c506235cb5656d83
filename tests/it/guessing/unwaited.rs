//! Guesses of those who hang up once theirs is counted: each is looked at to its end.

use std::future::{Future as _, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use actix_web::test::{TestRequest, init_service, try_call_service};
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::WRONG;
use crate::harness::{Browser, PASSWORD, Person, TestApp, count_in};
use crate::oauth::{Registered, TOKEN, form};

const CHOSEN: &str = "another good sentence";

/// Has a request answered in this thread, and drops it as soon as its guess is counted, as the server does when a
/// connection ends or the deadline has come.
async fn hang_up(app: &TestApp, request: RequestBuilder) {
    let request = request.build().unwrap();
    let there: SocketAddr = "127.0.0.1:4711".parse().unwrap();
    let method = actix_web::http::Method::POST;
    let mut sent = TestRequest::with_uri(request.url().path()).method(method).peer_addr(there);
    for (name, value) in request.headers() {
        sent = sent.insert_header((name.as_str(), value.as_bytes()));
    }
    let body = request.body().and_then(reqwest::Body::as_bytes).unwrap().to_vec();
    let service = init_service(actix_web::App::new().configure(|config| app.app.configure(config))).await;
    let store = app.database.store();
    let before = count_in(&store, "guess_counters").await;
    let mut answer = pin!(try_call_service(&service, sent.set_payload(body).to_request()));
    // Nothing that is part of the request goes on while nobody asks for it.
    while count_in(&store, "guess_counters").await == before {
        if poll_fn(|context| Poll::Ready(answer.as_mut().poll(context).is_ready())).await {
            return;
        }
    }
}

/// Waits until there are so many rows, which is bound to come about.
async fn until(app: &TestApp, rows: &str, number: i64) {
    let (store, began) = (app.database.store(), Instant::now());
    while count_in(&store, rows).await != number {
        assert!(began.elapsed() < Duration::from_secs(20), "there never were {number} of {rows}");
    }
}

/// Waits until it shows that a password was right.
async fn until_nothing_is_counted(app: &TestApp) {
    until(app, "guess_counters", 0).await;
}

fn sign_in(app: &TestApp, password: &str) -> RequestBuilder {
    app.request(Method::POST, "/api/auth/login").json(&json!({ "username": "saif", "password": password }))
}

fn change(person: &Person, current: &str, new: &str) -> RequestBuilder {
    let body = json!({ "currentPassword": current, "newPassword": new });
    person.request(Method::POST, "/api/users/password").json(&body)
}

#[actix_web::test]
async fn k6_a_right_password_is_not_taken_for_a_wrong_one_when_its_client_hangs_up() {
    let app = TestApp::start().await;
    let mut person = app.user("saif").await;
    for (current, new) in [(PASSWORD, CHOSEN), (CHOSEN, PASSWORD)] {
        hang_up(&app, sign_in(&app, current)).await;
        until_nothing_is_counted(&app).await;
        hang_up(&app, change(&person, current, new)).await;
        until_nothing_is_counted(&app).await;
        person = Person::of_pair(&app, &app.login("saif", new).await.expect_status(200));
    }
}

#[actix_web::test]
async fn k6_a_right_password_of_the_console_is_not_taken_for_a_wrong_one_when_its_browser_hangs_up() {
    let app = TestApp::start().await;
    app.admin("saif").await;
    let browser = Browser::new(&app);
    let page = browser.get("/admin/sign-in").await.expect_status(200).form("/admin/sign-in");
    hang_up(&app, browser.submission(&page.with("identifier", "saif").with("password", PASSWORD))).await;
    until_nothing_is_counted(&app).await;
    browser.sign_in("saif").await.expect_redirect("/admin");
    app.advance(Duration::from_mins(6));
    let asked = browser.get("/admin/me").await.expect_status(200).form("/admin/me/sessions/end-others");
    hang_up(&app, browser.submission(&asked.with("confirm_password", PASSWORD))).await;
    until_nothing_is_counted(&app).await;
    browser.sign_in("saif").await.expect_redirect("/admin");
    let page = browser.get("/admin/me").await.expect_status(200).form("/admin/me/password");
    let filled = page.with("current_password", PASSWORD).with("new_password", CHOSEN);
    hang_up(&app, browser.submission(&filled)).await;
    until_nothing_is_counted(&app).await;
    app.login("saif", CHOSEN).await.expect_status(200);
}

#[actix_web::test]
async fn k3_a_wrong_guess_is_counted_and_told_of_when_its_client_hangs_up() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let client = Registered::with(&admin, &["introspect"]).await;
    app.user("saif").await;
    hang_up(&app, sign_in(&app, WRONG)).await;
    until(&app, "audit_events WHERE kind = 'login.failed'", 1).await;
    let grant = [("grant_type", "client_credentials")];
    hang_up(&app, form(&app, TOKEN, &grant).basic_auth(&client.id, Some("rls_wrong"))).await;
    until(&app, "audit_events WHERE kind = 'client.authentication_failed'", 1).await;
    for _ in 1..5 {
        app.login("saif", WRONG).await.expect_problem(401, "invalid_credentials");
    }
    app.login("saif", PASSWORD).await.expect_problem(429, "too_many_attempts");
}
