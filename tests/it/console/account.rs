//! The admin's own account.

use std::time::Duration;

use super::COOKIE;
use crate::harness::{Browser, PASSWORD, TestApp};

#[tokio::test]
async fn own_sessions_are_listed_and_ended_one_by_one() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let phone = app.sign_in("root").await;
    let page = browser.get("/admin/me").await.expect_status(200);
    let kinds = page.texts("tbody td[data-label=Kind]");
    assert_eq!(kinds.iter().filter(|kind| kind.contains("this one")).count(), 1, "{kinds:?}");
    assert_eq!(kinds.len(), 3);
    let action = format!("/admin/me/sessions/{}/end", phone.session_id);
    browser.submit(&page.form(&action)).await.expect_redirect("/admin/me");
    phone.profile().await.expect_problem(401, "invalid_token");
    let page = browser.get("/admin/me").await;
    assert_eq!((page.texts("tbody tr").len(), page.texts(".flash").len()), (2, 1));
    // Another's is not found.
    let other = app.admin("other").await;
    let form = crate::harness::PageForm {
        action: format!("/admin/me/sessions/{}/end", other.session_id),
        ..page.form("/admin/me/preferences")
    };
    browser.submit(&form).await.expect_status(404);
    other.profile().await.expect_status(200);
}

#[tokio::test]
async fn a_new_password_ends_every_other_session_and_gives_this_one_another_key() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let (thief, before) = (browser.copy(), browser.cookie(COOKIE).unwrap());
    let phone = app.sign_in("root").await;
    let form = browser.get("/admin/me").await.form("/admin/me/password");
    for (current, new, field, text) in [
        ("wrong", "another sentence", "#current_password", "The current password is wrong."),
        (PASSWORD, "short", "#new_password", "The new password "),
    ] {
        let wrong = form.clone().with("current_password", current).with("new_password", new);
        let answer = browser.submit(&wrong).await.expect_status(400);
        assert_eq!(answer.attributes(".errors a", "href"), [field]);
        assert!(answer.texts(".errors a")[0].starts_with(text), "{answer:?}");
        assert!(!answer.text.contains("another sentence"), "{answer:?}");
    }
    phone.profile().await.expect_status(200);
    let right = form.with("current_password", PASSWORD).with("new_password", "another sentence");
    let changed = browser.submit(&right).await.expect_redirect("/admin/me");
    // The browser goes on with another key, which a cleared site would lose (N7).
    assert_eq!(changed.header("clear-site-data"), "");
    assert_ne!(browser.cookie(COOKIE).unwrap(), before);
    let page = browser.get("/admin/me").await.expect_status(200);
    assert!(page.texts(".flash")[0].contains("Your password was changed"), "{page:?}");
    thief.get("/admin").await.expect_redirect("/admin/sign-in");
    phone.profile().await.expect_problem(401, "invalid_token");
    app.login("root", "another sentence").await.expect_status(200);
}

#[tokio::test]
async fn times_and_colours_are_shown_as_the_admin_wants_them_after_the_next_sign_in_too() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let page = browser.get("/admin/me").await;
    assert!(page.texts("tbody time")[0].ends_with(" UTC"), "{page:?}");
    assert_eq!(page.attributes("body", "data-shortcuts"), ["on"]);
    let form = page.form("/admin/me/preferences");
    let wrong = form.clone().with("time_zone", "Mars/\"Phobos\"").with("theme", "pink");
    let answer = browser.submit(&wrong).await.expect_status(400);
    assert_eq!(answer.attributes(".errors a", "href"), ["#theme", "#time_zone"]);
    assert_eq!(answer.attributes("#time_zone", "value"), ["Mars/\"Phobos\""]);
    let right = form.with("time_zone", "asia/kathmandu").with("theme", "dark").without("shortcuts");
    browser.submit(&right).await.expect_redirect("/admin/me");
    app.advance(Duration::from_secs(1));
    let again = Browser::new(&app);
    again.sign_in("root").await.expect_redirect("/admin");
    let page = again.get("/admin/me").await;
    assert!(page.texts(".flash")[0].ends_with(" +0545."), "the last sign-in: {page:?}");
    assert!(page.attributes("footer time", "title").iter().all(|title| title.ends_with('Z')), "{page:?}");
    assert!(page.texts("tbody time")[0].ends_with(" +0545"), "{page:?}");
    assert_eq!(page.attributes("tbody time", "datetime")[0], app.now().to_string());
    assert_eq!(page.attributes("html", "data-theme"), ["dark"]);
    assert_eq!(page.attributes("body", "data-shortcuts"), [""]);
    assert_eq!(page.attributes("#time_zone", "value"), ["Asia/Kathmandu"]);
}
