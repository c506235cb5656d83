//! Pages of other origins: nobody's may call the API but those that are named, and none can use cookies.

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;

use crate::harness::{Answer, PASSWORD, TestApp};

const APP: &str = "https://app.example.com";

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pairs = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    pairs.collect()
}

fn preflight(origin: &'static str) -> HeaderMap {
    let asked = [("access-control-request-method", "POST"), ("access-control-request-headers", "authorization")];
    headers(&[&asked[..], &[("origin", origin)]].concat())
}

fn allows_nobody(answer: &Answer) {
    for name in ["access-control-allow-origin", "access-control-allow-credentials", "access-control-allow-methods"] {
        assert!(!answer.headers.contains_key(name), "{answer:?}");
    }
}

#[tokio::test]
async fn o7_no_page_of_another_origin_may_read_an_answer_unless_it_is_named() {
    let by_default = TestApp::start().await;
    let with_origins = TestApp::with(&[("CORS_ORIGINS", APP)]).await;
    for app in [&by_default, &with_origins] {
        for origin in ["https://evil.example", "null", "https://app.example.com.evil.example", "http://app.example.com"]
        {
            let answer = app.send(app.request(Method::OPTIONS, "/api/auth/login").headers(preflight(origin))).await;
            assert_eq!(answer.status, 405, "{answer:?}");
            allows_nobody(&answer);
            let answer =
                app.send(app.request(Method::GET, "/api/users/profile").headers(headers(&[("origin", origin)]))).await;
            assert_eq!(answer.status, 401);
            allows_nobody(&answer);
        }
    }
    let answer = by_default.send(by_default.request(Method::OPTIONS, "/api/auth/login").headers(preflight(APP))).await;
    assert_eq!(answer.status, 405);
    allows_nobody(&answer);
}

#[tokio::test]
async fn a_named_origins_pages_sign_in_and_read_what_goes_wrong() {
    let app = TestApp::with(&[("CORS_ORIGINS", APP)]).await;
    app.register("saif").await.expect_status(201);
    let answer = app.send(app.request(Method::OPTIONS, "/api/auth/login").headers(preflight(APP))).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), APP);
    assert!(answer.header("access-control-allow-methods").contains("POST"));
    assert!(answer.header("access-control-allow-headers").contains("authorization"));
    assert!(!answer.headers.contains_key("access-control-allow-credentials"));
    assert_eq!(answer.header("vary"), "origin");

    let from_app = headers(&[("origin", APP)]);
    for (password, status) in [(PASSWORD, 200), ("wrong password", 401)] {
        let body = json!({ "username": "saif", "password": password });
        let answer = app.send(app.request(Method::POST, "/api/auth/login").headers(from_app.clone()).json(&body)).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), APP);
        assert!(answer.header("access-control-expose-headers").contains("x-request-id"));
    }
}

#[tokio::test]
async fn o7_the_console_is_for_its_own_pages_whoever_is_named() {
    let app = TestApp::with(&[("CORS_ORIGINS", APP)]).await;
    for path in ["/admin", "/admin/sign-in", "/health/live", "/reset"] {
        allows_nobody(&app.send(app.request(Method::OPTIONS, path).headers(preflight(APP))).await);
        allows_nobody(&app.send(app.request(Method::GET, path).headers(headers(&[("origin", APP)]))).await);
    }
}
