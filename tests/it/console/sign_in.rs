//! Signing in and out.

use std::time::Duration;

use relatch::auth::Actor;
use relatch::auth::reset_link::make_reset_token;
use relatch::auth::setup_link::make_setup_token;
use relatch::domain::client::Client;
use relatch::domain::user::UserId;
use reqwest::Method;

use super::COOKIE;
use crate::harness::{Browser, PASSWORD, TestApp};

#[tokio::test]
async fn the_form_has_the_labels_and_the_button_that_people_and_password_managers_look_for() {
    let app = TestApp::start().await;
    let page = Browser::new(&app).get("/admin/sign-in").await.expect_status(200);
    assert_eq!(page.texts("label"), ["Username or e-mail", "Password"]);
    assert_eq!(page.texts("main button"), ["Sign in"]);
    assert_eq!(page.attributes("input[type=password]", "autocomplete"), ["current-password"]);
    assert_eq!(page.attributes("label", "for"), page.attributes("main .field input", "id"));
    assert_eq!(page.heading(), "Sign in");
}

#[tokio::test]
async fn n1_the_cookie_is_of_this_host_for_http_alone_and_ends_with_the_browser() {
    let app = TestApp::with(&[
        ("PUBLIC_URL", "https://auth.example.com"),
        ("INSECURE_DEVELOPMENT", ""),
        ("BCRYPT_COST", "10"),
    ])
    .await;
    app.admin("root").await;
    let browser = Browser::new(&app);
    let answer = browser.sign_in("root").await.expect_redirect("/admin");
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
    let session = cookies.iter().find(|cookie| cookie.starts_with("__Host-relatch=")).expect("a session cookie");
    for attribute in ["; HttpOnly", "; Secure", "; SameSite=Strict", "; Path=/"] {
        assert!(session.contains(attribute), "{attribute}: {session}");
    }
    for attribute in ["Domain", "Max-Age", "Expires"] {
        assert!(!session.contains(attribute), "{attribute}: {session}");
    }
    assert!(session.len() < 400, "{session}");
    // The one from before the sign-in goes.
    assert!(cookies.iter().any(|cookie| cookie.starts_with("__Host-relatch-pre=;") && cookie.contains("Max-Age=0")));
    browser.get("/admin").await.expect_status(200);
}

#[tokio::test]
async fn n9_visitors_get_no_session_and_only_the_sign_in_has_a_cookie_for_its_form() {
    let app = TestApp::start().await;
    let browser = Browser::new(&app);
    let icon = browser.get("/favicon.ico").await.expect_status(200);
    let redirect = browser.get("/admin").await.expect_redirect("/admin/sign-in");
    assert!(icon.header("set-cookie").is_empty() && redirect.header("set-cookie").is_empty());
    let page = browser.get("/admin/sign-in").await;
    assert!(page.header("set-cookie").starts_with("relatch-pre="), "{page:?}");
    // It is kept, so that two tabs can sign in.
    assert_eq!(browser.get("/admin/sign-in").await.header("set-cookie"), "");
    assert_eq!(browser.cookie(COOKIE), None);
}

#[tokio::test]
async fn a_failed_sign_in_says_one_thing_whatever_is_wrong_and_keeps_what_was_written_but_the_password() {
    let app = TestApp::start().await;
    app.admin("root").await;
    let gone = app.admin("gone").await;
    let other = app.sign_in("root").await;
    other.delete(&format!("/api/users/{}", gone.id)).await.expect_status(204);
    for (identifier, password) in
        [("root", "wrong password"), ("nobody", PASSWORD), ("gone", PASSWORD), ("root", ""), ("", ""), ("a@b@c", "x")]
    {
        let browser = Browser::new(&app);
        let form = browser.get("/admin/sign-in").await.form("/admin/sign-in");
        let answer = browser.submit(&form.with("identifier", identifier).with("password", password)).await;
        let answer = answer.expect_status(400);
        assert_eq!(answer.texts(".errors a"), ["The username or the password is wrong."], "{identifier}");
        assert_eq!(answer.attributes(".errors a", "href"), ["#identifier"]);
        assert_eq!(answer.attributes("#identifier", "value"), [identifier]);
        assert_eq!(answer.attributes("#password", "value"), [""]);
        assert!(answer.texts("title")[0].starts_with("Error: "));
        assert!(answer.header("set-cookie").is_empty() && browser.cookie(COOKIE).is_none());
    }
}

#[tokio::test]
async fn after_the_sign_in_the_last_one_is_named_once_and_the_asked_for_page_is_shown() {
    let app = TestApp::start().await;
    app.admin("root").await;
    app.advance(Duration::from_secs(600));
    let browser = Browser::new(&app);
    let asked = browser.get("/admin/me?x=1").await.expect_redirect("/admin/sign-in?next=%2Fadmin%2Fme%3Fx%3D1");
    let page = browser.get(asked.header("location")).await;
    let form = page.form("/admin/sign-in").with("identifier", "ROOT@example.com").with("password", PASSWORD);
    browser.submit(&form).await.expect_redirect("/admin/me?x=1");
    let first = browser.get("/admin/me").await.expect_status(200);
    assert!(first.texts(".flash")[0].contains("Your last sign-in was at 20"), "{first:?}");
    assert_eq!(first.attributes(".flashes", "aria-live"), ["polite"]);
    assert!(browser.get("/admin/me").await.texts(".flash").is_empty(), "it is shown once");
    // Who is signed in has no use for the form.
    browser.get("/admin/sign-in?next=%2Fadmin%2Fme").await.expect_redirect("/admin/me");
}

#[tokio::test]
async fn o8_nobody_is_sent_elsewhere_after_the_sign_in() {
    let app = TestApp::start().await;
    app.admin("root").await;
    let long = format!("/admin/users?q={}", "a".repeat(10_000));
    for next in [
        "//evil.example",
        "/\\evil.example",
        "/\t/evil",
        "https:evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "/admin\r\nset-cookie: a=b",
        "/..//evil.example",
        "https://evil.example",
        "/admin/sign-in",
        long.as_str(),
    ] {
        let escaped: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
        let browser = Browser::new(&app);
        if next.len() < 5_000 {
            let page = browser.get(&format!("/admin/sign-in?next={escaped}")).await.expect_status(200);
            assert!(page.attributes("input[name=next]", "value").is_empty(), "{next:?}: {page:?}");
        }
        let form = browser.get("/admin/sign-in").await.form("/admin/sign-in").with("next", next);
        let form = form.with("identifier", "root").with("password", PASSWORD);
        browser.submit(&form).await.expect_redirect("/admin");
    }
}

#[tokio::test]
async fn n2_a_sign_in_gives_another_key_and_ends_what_the_old_one_opened() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let thief = browser.copy();
    let first = browser.cookie(COOKIE).unwrap();
    // A sign-in over a session that is there: the form of a visitor beside the cookie of a session.
    let visitor = Browser::new(&app);
    let form = visitor.get("/admin/sign-in").await.form("/admin/sign-in");
    visitor.set_cookie(COOKIE, &first);
    visitor.submit(&form.with("identifier", "root").with("password", PASSWORD)).await.expect_redirect("/admin");
    assert_ne!(visitor.cookie(COOKIE).unwrap(), first);
    visitor.get("/admin").await.expect_status(200);
    thief.get("/admin").await.expect_redirect("/admin/sign-in");
}

#[tokio::test]
async fn n4_a_made_up_key_is_not_adopted() {
    let app = TestApp::start().await;
    app.admin("root").await;
    let browser = Browser::new(&app);
    browser.set_cookie(COOKIE, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    browser.sign_in("root").await.expect_redirect("/admin");
    let key = browser.cookie(COOKIE).unwrap();
    assert!(!key.contains("AAAAAAAAAA"), "{key}");
    browser.get("/admin").await.expect_status(200);
}

#[tokio::test]
async fn n3_n7_a_copied_cookie_is_worth_nothing_after_the_sign_out() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let thief = browser.copy();
    let page = thief.get("/admin").await.expect_status(200);
    assert_eq!(page.header("cache-control"), "no-store");
    let answer = browser.submit(&page.form("/admin/sign-out")).await.expect_redirect("/admin/sign-in");
    assert_eq!(answer.header("clear-site-data"), "\"cache\", \"cookies\", \"storage\"");
    assert_eq!(browser.cookie(COOKIE), None);
    thief.get("/admin").await.expect_redirect("/admin/sign-in");
    thief.submit(&page.form("/admin/sign-out")).await.expect_redirect("/admin/sign-in");
}

#[tokio::test]
async fn n12_many_double_and_garbled_cookies_are_no_session_and_no_error() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let key = browser.cookie(COOKIE).unwrap();
    let many: String = (0..200).map(|number| format!("c{number}=x; ")).collect();
    for (cookie, status) in [
        (format!("{many}{COOKIE}={key}"), 200),
        (format!("{COOKIE}={key}; {COOKIE}=garbage"), 200),
        (format!("{COOKIE}=garbage; {COOKIE}={key}"), 303),
        (format!("{COOKIE}={}", "x".repeat(8_000)), 303),
        (format!("{COOKIE}=%zz%00\u{1}"), 303),
        (COOKIE.to_owned(), 303),
        (format!("{COOKIE}={}x", key), 303),
        (";;;=;=,".to_owned(), 303),
    ] {
        let nobody = Browser::new(&app);
        let value = reqwest::header::HeaderValue::from_bytes(cookie.as_bytes());
        let Ok(value) = value else { continue };
        let answer = nobody.send(nobody.request(Method::GET, "/admin").header("cookie", value)).await;
        assert_eq!(answer.status, status, "{cookie}: {answer:?}");
    }
}

#[tokio::test]
async fn n10_sessions_outlive_a_restart_and_not_another_secret() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let key = browser.cookie(COOKIE).unwrap();
    let app = app.restart(&[]).await;
    let browser = Browser::new(&app);
    browser.set_cookie(COOKIE, &key);
    browser.get("/admin").await.expect_status(200);
    let old = ("SECRET_KEYS_ACCEPTED", crate::harness::SECRET_KEY);
    let app = app.restart(&[("SECRET_KEY", "b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldC1vdGhlcnM="), old]).await;
    let browser = Browser::new(&app);
    browser.set_cookie(COOKIE, &key);
    browser.get("/admin").await.expect_redirect("/admin/sign-in");
    browser.get("/admin/sign-in").await.expect_status(200);
}

#[tokio::test]
async fn n11_over_plain_http_from_elsewhere_there_is_no_form() {
    let app = TestApp::with(&[
        ("PUBLIC_URL", "http://auth.example.com"),
        ("INSECURE_DEVELOPMENT", ""),
        ("BCRYPT_COST", "10"),
    ])
    .await;
    let setup = make_setup_token(app.app.auth()).await.unwrap().expect("no admin yet");
    let setup = format!("/admin/setup?t={}", setup.expose());
    let before = Browser::new(&app).get(&setup).await.expect_status(200);
    let root = app.admin("root").await;
    let link =
        make_reset_token(app.app.auth(), Actor::Operator, UserId::new(root.id).unwrap(), None, &Client::default())
            .await;
    let reset = format!("/reset?t={}", link.unwrap().expose());
    let browser = Browser::new(&app);
    for page in [before, browser.get("/admin/sign-in").await, browser.get(&reset).await.expect_status(200)] {
        assert!(page.texts(".notice")[0].contains("needs https") && page.texts("form").is_empty(), "{page:?}");
    }
    let page = Browser::new(&app).get("/admin/sign-in").await.expect_status(200);
    assert!(page.header("set-cookie").contains("; Secure"), "{page:?}");
}
