//! Giving the password again before something dangerous.

use std::time::Duration;

use super::COOKIE;
use crate::harness::{Browser, PASSWORD, PageForm, TestApp};

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
async fn j11_the_fifth_wrong_password_in_a_row_ends_the_session_wherever_it_is_asked_for() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let phone = app.sign_in("root").await;
    app.advance(Duration::from_secs(300));
    let (form, change) = (asked(&browser).await, browser.get("/admin/me").await.form("/admin/me/password"));
    let wrong = form.with("confirm_password", "wrong password");
    let change = change.with("current_password", "wrong password").with("new_password", "another sentence");
    for _ in 0..4 {
        browser.submit(&wrong).await.expect_status(400);
    }
    // A right one begins the count anew.
    browser.submit(&wrong.clone().with("confirm_password", PASSWORD)).await.expect_redirect("/admin/me");
    app.advance(Duration::from_secs(300));
    let thief = browser.copy();
    for form in [&wrong, &change, &change, &wrong] {
        thief.submit(form).await.expect_status(400);
        thief.get("/admin").await.expect_status(200);
    }
    let last = thief.submit(&change).await.expect_status(403);
    assert_eq!(last.heading(), "You are signed out");
    assert!(last.texts("main p")[0].contains("wrong five times in a row"), "{last:?}");
    assert_eq!(last.attributes("main a", "href"), ["/admin/sign-in"]);
    for browser in [&thief, &browser] {
        browser.get("/admin").await.expect_redirect("/admin/sign-in");
        let right = wrong.clone().with("confirm_password", PASSWORD);
        browser.submit(&right).await.expect_redirect("/admin/sign-in");
    }
    // They count at the other doors, too, so that the next one there has to wait.
    app.login("root", PASSWORD).await.expect_problem(429, "too_many_attempts");
    app.advance(Duration::from_secs(1));
    app.login("root", "another sentence").await.expect_problem(401, "invalid_credentials");
    app.advance(Duration::from_secs(2));
    // What ended is this session alone, and the trail says why. The first right password has ended the phone's.
    phone.profile().await.expect_problem(401, "invalid_token");
    let root = app.sign_in("root").await;
    let events = root.get("/api/audit-events?limit=5").await.expect_status(200).json();
    assert_eq!(
        (&events[2]["kind"], &events[2]["detail"]["reason"]),
        (&"session.ended".into(), &"wrong_passwords".into())
    );
    assert_eq!(events[3]["kind"], "password.change_failed");
    assert_eq!(events[4]["kind"], "login.throttled");
    browser.sign_in("root").await.expect_redirect("/admin");
    let list = browser.get("/admin/sessions?state=ended&kind=console").await.expect_status(200);
    assert!(list.texts("td[data-label=State]")[0].ends_with("too many wrong passwords"), "{list:?}");
    root.profile().await.expect_status(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn k9_of_many_wrong_passwords_at_once_no_more_are_answered_than_one_after_the_other() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    app.advance(Duration::from_secs(300));
    let form = asked(&browser).await;
    let guesses = (0..24).map(|number| form.clone().with("confirm_password", &format!("guess number {number}")));
    let guesses: Vec<_> = guesses.collect();
    let answers = futures_util::future::join_all(guesses.iter().map(|guess| browser.submit(guess))).await;
    let number = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    // Who came behind the fifth is sent to the sign-in, or has to wait before that.
    assert_eq!((number(400), number(403), number(303) + number(429)), (4, 1, 19));
    app.advance(Duration::from_secs(1));
    let events = app.sign_in("root").await.get("/api/audit-events?kind=password.confirm_failed").await;
    assert_eq!(events.expect_status(200).json().as_array().unwrap().len(), 5);
}

/// The form that asks for the password.
async fn asked(browser: &Browser) -> PageForm {
    let form = browser.get("/admin/me").await.form(ACTION);
    browser.submit(&form).await.expect_status(200).form(ACTION)
}

#[tokio::test]
async fn a_password_does_not_stand_in_for_a_forms_token() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    app.advance(Duration::from_secs(300));
    let form = browser.get("/admin/me").await.form(ACTION).without("token").with("confirm_password", PASSWORD);
    browser.submit(&form).await.expect_status(403);
}
