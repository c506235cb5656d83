//! Giving the password again before something dangerous.

use std::time::Duration;

use super::COOKIE;
use crate::harness::{PASSWORD, TestApp};

const ACTION: &str = "/admin/me/sessions/end-others";

#[tokio::test]
async fn m10_within_five_minutes_of_the_password_nothing_more_is_asked_for() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let other = app.sign_in("root").await;
    app.advance(Duration::from_secs(299));
    let form = browser.get("/admin/me").await.form(ACTION);
    browser.submit(&form).await.expect_redirect("/admin/me");
    // The harness signed in once more when it made the admin.
    assert_eq!(browser.get("/admin/me").await.texts(".flash"), ["✓ 2 other sessions were ended."]);
    other.profile().await.expect_problem(401, "invalid_token");
}

#[tokio::test]
async fn m10_n2_after_that_the_password_is_asked_for_and_the_key_changes_with_it() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let other = app.sign_in("root").await;
    app.advance(Duration::from_secs(300));
    let form = browser.get("/admin/me").await.form(ACTION).with("kept", "a \"quoted\" <value>");
    let page = browser.submit(&form).await.expect_status(200);
    assert_eq!(page.heading(), "Give your password again");
    other.profile().await.expect_status(200);
    let asked = page.form(ACTION);
    assert_eq!(asked.value("kept"), "a \"quoted\" <value>");
    let again = browser.submit(&asked.clone().with("confirm_password", "wrong password")).await.expect_status(400);
    assert_eq!(again.texts(".errors a"), ["The password is wrong."]);
    other.profile().await.expect_status(200);

    let (thief, before) = (browser.copy(), browser.cookie(COOKIE).unwrap());
    let done = browser.submit(&again.form(ACTION).with("confirm_password", PASSWORD)).await;
    done.expect_redirect("/admin/me");
    assert_ne!(browser.cookie(COOKIE).unwrap(), before);
    thief.get("/admin").await.expect_redirect("/admin/sign-in");
    other.profile().await.expect_problem(401, "invalid_token");
    let page = browser.get("/admin/me").await.expect_status(200);
    assert_eq!(page.texts(".flash"), ["✓ 2 other sessions were ended."]);
    // It counts from now on.
    browser.submit(&page.form(ACTION)).await.expect_redirect("/admin/me");
}

#[tokio::test]
async fn a_password_does_not_stand_in_for_a_forms_token() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    app.advance(Duration::from_secs(300));
    let form = browser.get("/admin/me").await.form(ACTION).without("token").with("confirm_password", PASSWORD);
    browser.submit(&form).await.expect_status(403);
}
