//! Which forms are accepted: those that our own pages made for this very session, and no others.

use relatch::auth::users::find_user_by_name;
use reqwest::Method;

use crate::harness::{Binary, Browser, PASSWORD, PageForm, TestApp};

const ACTION: &str = "/admin/me/preferences";

async fn theme(browser: &Browser) -> String {
    browser.get("/admin/me").await.attributes("html", "data-theme").remove(0)
}

#[tokio::test]
async fn o1_o5_a_form_without_the_sessions_own_token_changes_nothing() {
    let app = TestApp::start().await;
    let (browser, other) = (app.console("root").await, app.console("other").await);
    let form = browser.get("/admin/me").await.form(ACTION).with("theme", "dark");
    let others = other.get("/admin/me").await.form(ACTION).value("token").to_owned();
    let own = form.value("token").to_owned();
    let visitor = Browser::new(&app).get("/admin/sign-in").await.form("/admin/sign-in").value("token").to_owned();
    let doubled = {
        let mut form = form.clone();
        form.fields.push(("token".to_owned(), own.clone()));
        form
    };
    let refused = [
        form.clone().without("token"),
        form.clone().with("token", ""),
        form.clone().with("token", "wrong"),
        form.clone().with("token", &own[1..]),
        form.clone().with("token", &others),
        form.clone().with("token", &visitor),
        doubled,
    ];
    for refused in refused {
        let answer = browser.submit(&refused).await.expect_status(403);
        assert_eq!(answer.heading(), "The form was not accepted", "{refused:?}");
        assert!(answer.text.contains("reload the page"), "{answer:?}");
        assert_eq!(theme(&browser).await, "system", "{refused:?}");
    }
    // Not in a place where other sites could put it.
    let moved = PageForm { action: format!("{ACTION}?token={own}"), ..form.clone().without("token") };
    browser.submit(&moved).await.expect_status(403);
    browser.submit(&form).await.expect_redirect("/admin/me");
    assert_eq!(theme(&browser).await, "dark");
    // It changes with the sign-in.
    browser.submit(&browser.get("/admin").await.form("/admin/sign-out")).await.expect_redirect("/admin/sign-in");
    browser.sign_in("root").await.expect_redirect("/admin");
    assert_ne!(browser.get("/admin/me").await.form(ACTION).value("token"), own);
    browser.submit(&form.with("theme", "light")).await.expect_status(403);
}

#[tokio::test]
async fn o1_a_form_that_is_refused_is_in_the_log() {
    let server = Binary::new().serve();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let form = client.post(format!("{}/admin/sign-in", server.base)).body("token=canary-4711");
    let form = form.header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(form.send().await.unwrap().status(), 403);
    let (_, log) = server.terminate();
    let line = log.lines().find(|line| line.contains("malicious_csrf")).expect("a line");
    assert!(line.contains("its token is not this browser's") && line.contains("WARN"), "{line}");
    assert!(!log.contains("canary-4711"), "{log}");
}

#[tokio::test]
async fn o2_a_form_from_another_site_is_refused_whatever_its_token() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let form = browser.get("/admin/me").await.form(ACTION).with("theme", "dark");
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "none"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("referer", "https://evil.example/admin"),
    ] {
        let answer = browser.send(browser.submission(&form).header(name, value)).await;
        assert_eq!(answer.expect_status(403).heading(), "The form was not accepted");
        assert_eq!(theme(&browser).await, "system", "{name}: {value}");
    }
    let opaque = browser.submission(&form).header("sec-fetch-site", "same-origin").header("origin", "null");
    browser.send(opaque).await.expect_status(403);
    assert_eq!(theme(&browser).await, "system");
    // What our own pages make of it, in browsers of today and in those without `Sec-Fetch-Site`.
    let ours = app.config.public_url.as_str();
    let accepted = browser.submission(&form).header("sec-fetch-site", "same-origin").header("origin", ours);
    browser.send(accepted).await.expect_redirect("/admin/me");
    let form = form.with("theme", "light");
    let accepted = browser.submission(&form).header("origin", ours).header("referer", format!("{ours}/admin/me"));
    browser.send(accepted).await.expect_redirect("/admin/me");
    assert_eq!(theme(&browser).await, "light");
}

#[tokio::test]
async fn o3_nobody_is_signed_in_or_out_from_elsewhere() {
    let app = TestApp::start().await;
    app.admin("root").await;
    let (browser, other) = (Browser::new(&app), Browser::new(&app));
    let form = browser.get("/admin/sign-in").await.form("/admin/sign-in");
    let form = form.with("identifier", "root").with("password", PASSWORD);
    // A page of an attacker's own, sent by somebody who has none, or another.
    other.submit(&form).await.expect_status(403);
    other.get("/admin/sign-in").await.expect_status(200);
    other.submit(&form).await.expect_status(403);
    browser.submit(&form.clone().without("token")).await.expect_status(403);
    for (name, value) in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")] {
        browser.send(browser.submission(&form).header(name, value)).await.expect_status(403);
    }
    browser.get("/admin").await.expect_redirect("/admin/sign-in");
    browser.submit(&form).await.expect_redirect("/admin");
    let out = browser.get("/admin").await.form("/admin/sign-out");
    browser.submit(&out.clone().without("token")).await.expect_status(403);
    browser.send(browser.submission(&out).header("origin", "https://evil.example")).await.expect_status(403);
    browser.get("/admin").await.expect_status(200);
    browser.submit(&out).await.expect_redirect("/admin/sign-in");
}

#[tokio::test]
async fn o4_asking_for_a_page_does_nothing() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    for path in ["/admin/sign-out", ACTION, "/admin/me/password", "/admin/me/sessions/end-others"] {
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
            let answer = browser.send(browser.request(method.clone(), path)).await.expect_status(405);
            assert_eq!(answer.header("allow"), "POST", "{method} {path}");
        }
    }
    browser.get("/admin").await.expect_status(200);
}

#[tokio::test]
async fn only_small_forms_in_utf_8_are_read() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let form = browser.get("/admin/me").await.form(ACTION);
    for (content_type, body, status) in [
        ("application/json", "{}".to_owned(), 415),
        ("text/plain", form.body(), 415),
        ("multipart/form-data; boundary=x", form.body(), 415),
        ("application/x-www-form-urlencoded", format!("{}&a=%ff", form.body()), 400),
        ("application/x-www-form-urlencoded", format!("{}&a=%00", form.body()), 400),
        ("application/x-www-form-urlencoded", format!("{}&a={}", form.body(), "x".repeat(17_000)), 413),
        ("application/x-www-form-urlencoded; charset=utf-8", form.body(), 303),
    ] {
        let request = browser.request(Method::POST, ACTION).header("content-type", content_type).body(body);
        let answer = browser.send(request).await;
        assert_eq!(answer.status, status, "{content_type}: {answer:?}");
        if status != 303 {
            assert!(answer.header("content-type").starts_with("text/html"), "{answer:?}");
            assert!(answer.text.contains(answer.header("x-request-id")), "{answer:?}");
        }
    }
    assert!(find_user_by_name(app.app.auth(), "root").await.unwrap().is_some());
}
