//! Throttling of guesses: section K of the requirements.

mod answers;
mod blocks;
mod clients;
mod counters;
mod networks;
mod unwaited;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::harness::{Answer, Browser, PASSWORD, Person, TestApp};

/// Where the tests' own proxy is.
const PROXY: (&str, &str) = ("TRUSTED_PROXIES", "127.0.0.1");
/// An address that nobody has signed in from.
const ELSEWHERE: &str = "198.51.100.7";
const WRONG: &str = "a wrong password";

/// A request that comes from an address, by way of the proxy.
fn from(request: RequestBuilder, address: &str) -> RequestBuilder {
    request.header("x-forwarded-for", address)
}

async fn login_from(app: &TestApp, address: &str, name: &str, password: &str) -> Answer {
    let body = json!({ "username": name, "password": password });
    app.send(from(app.request(Method::POST, "/api/auth/login"), address).json(&body)).await
}

async fn change_password_from(app: &TestApp, address: &str, person: &Person, current: &str) -> Answer {
    let body = json!({ "currentPassword": current, "newPassword": "another good sentence" });
    app.send(from(person.request(Method::POST, "/api/users/password"), address).json(&body)).await
}

async fn console_from(browser: &Browser, address: &str, name: &str, password: &str) -> Answer {
    let form = browser.get("/admin/sign-in").await.expect_status(200).form("/admin/sign-in");
    let form = form.with("identifier", name).with("password", password);
    browser.send(from(browser.submission(&form), address)).await
}

/// Wrong passwords at one name from one network, of which none is delayed.
async fn guess(app: &TestApp, address: &str, name: &str, times: usize) {
    for _ in 0..times {
        login_from(app, address, name, WRONG).await.expect_problem(401, "invalid_credentials");
    }
}

/// A hundred of them, from twenty networks.
async fn exhaust(app: &TestApp, name: &str) {
    for network in 0..20 {
        guess(app, &format!("198.51.{network}.7"), name, 5).await;
    }
}

/// An answer without what differs between any two: the order of headers is drawn anew for each.
fn comparable(answer: &Answer) -> (u16, Vec<(String, String)>, Value) {
    let mut body: Value = answer.json();
    if body.get("requestId").is_some() {
        body["requestId"] = json!("");
    }
    let text = |value: &reqwest::header::HeaderValue| value.to_str().unwrap().to_owned();
    let headers = answer.headers.iter().filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()));
    let mut headers: Vec<_> = headers.map(|(name, value)| (name.to_string(), text(value))).collect();
    headers.sort();
    (answer.status, headers, body)
}

/// How many events of a kind there are.
async fn events(admin: &Person, query: &str) -> Vec<Value> {
    let answer = admin.get(&format!("/api/audit-events?limit=200&{query}")).await.expect_status(200);
    answer.json().as_array().unwrap().clone()
}

/// The right password, which is let in.
async fn let_in(app: &TestApp, address: &str, name: &str) {
    login_from(app, address, name, PASSWORD).await.expect_status(200);
}
