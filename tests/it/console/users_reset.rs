//! One-time links with which users choose another password.

use std::time::Duration;

use reqwest::Method;

use crate::harness::{Browser, PASSWORD, PageForm, TestApp, dump};

const NEW: &str = "another good password";

/// Makes a link for a user and gives its path.
async fn make_link(app: &TestApp, browser: &Browser, id: i64) -> String {
    let page = browser.get(&format!("/admin/users/{id}")).await;
    let shown = browser.submit(&page.form(&format!("/admin/users/{id}/reset-link"))).await.expect_status(200);
    let link = shown.attributes(".secret code", "data-copy").remove(0);
    link.strip_prefix(app.config.public_url.as_str()).unwrap().to_owned()
}

async fn form_of(visitor: &Browser, link: &str) -> PageForm {
    visitor.get(link).await.expect_status(200).form("/reset").with("password", NEW)
}

#[tokio::test]
async fn a_link_changes_the_password_once_and_ends_all_sessions() {
    let app = TestApp::start().await;
    let (browser, saif) = (app.console("root").await, app.user("saif").await);
    let link = make_link(&app, &browser, saif.id).await;
    let token = link.split_once("?t=").unwrap().1.to_owned();
    assert_eq!(token.len(), 43, "256 bits");
    assert!(!dump(&app.database).await.contains(&token), "it is stored hashed");
    let visitor = Browser::new(&app);
    let page = visitor.get(&link).await.expect_status(200);
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("referrer-policy"), "strict-origin", "no address has the link's secret in it");
    assert!(page.text.contains("saif"));
    // A password that is not acceptable does not spend the link.
    let form = page.form("/reset");
    let again = visitor.submit(&form.clone().with("password", "password")).await.expect_status(400);
    assert!(again.texts(".errors a")[0].starts_with("The new password"), "{again:?}");
    saif.profile().await.expect_status(200);
    visitor.submit(&again.form("/reset").with("password", NEW)).await.expect_redirect("/reset?done=1");
    assert_eq!(visitor.get("/reset?done=1").await.expect_status(200).heading(), "Your password was changed");
    saif.profile().await.expect_problem(401, "invalid_token");
    assert_eq!(app.refresh(&saif.refresh_token).await.status, 401);
    app.login("saif", PASSWORD).await.expect_problem(401, "invalid_credentials");
    app.login("saif", NEW).await.expect_status(200);
    // Once.
    visitor.get(&link).await.expect_status(404);
    let again = visitor.submit(&form.with("password", PASSWORD)).await.expect_status(404);
    assert_eq!(again.heading(), "This reset link does not work");
    app.login("saif", NEW).await.expect_status(200);
}

#[tokio::test]
async fn only_the_latest_link_works_and_only_for_an_hour() {
    let app = TestApp::start().await;
    let (browser, saif) = (app.console("root").await, app.user("saif").await);
    let (first, second) = (make_link(&app, &browser, saif.id).await, make_link(&app, &browser, saif.id).await);
    let visitor = Browser::new(&app);
    let form = form_of(&visitor, &second).await;
    visitor.get(&first).await.expect_status(404);
    let with_first = form.clone().with("t", first.split_once("?t=").unwrap().1);
    visitor.submit(&with_first).await.expect_status(404);
    app.advance(Duration::from_secs(3_599));
    visitor.get(&second).await.expect_status(200);
    app.advance(Duration::from_secs(1));
    visitor.get(&second).await.expect_status(404);
    visitor.submit(&form).await.expect_status(404);
    for link in ["/reset", "/reset?t=", "/reset?t=AAAA", "/reset?t=%00", "/reset?t=%22%3E%3Cscript%3E"] {
        visitor.get(link).await.expect_status(404);
    }
    app.login("saif", PASSWORD).await.expect_status(200);
}

#[tokio::test]
async fn a_link_is_worth_nothing_once_the_account_has_changed() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    for action in ["disable", "delete", "role"] {
        let user = app.user(action).await;
        let link = make_link(&app, &browser, user.id).await;
        let visitor = Browser::new(&app);
        let form = form_of(&visitor, &link).await;
        let path = format!("/admin/users/{}", user.id);
        let press = browser.get(&path).await.form(&format!("{path}/{action}"));
        browser.submit(&press.with("confirmed", "yes")).await.expect_redirect(&path);
        visitor.get(&link).await.expect_status(404);
        visitor.submit(&form).await.expect_status(404);
        // Nor is one made for who could not sign in with it; and being back is not enough.
        let back = match action {
            "disable" => "enable",
            "delete" => "restore",
            _ => "role",
        };
        let page = browser.get(&path).await;
        if action != "role" {
            let make = PageForm { action: format!("{path}/reset-link"), ..page.form(&format!("{path}/{back}")) };
            browser.submit(&make).await.expect_status(409);
        }
        let undo = page.form(&format!("{path}/{back}")).with("confirmed", "yes");
        browser.submit(&undo).await.expect_redirect(&path);
        visitor.submit(&form).await.expect_status(404);
        app.login(action, PASSWORD).await.expect_status(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_at_once_one_changes_the_password() {
    let app = TestApp::start().await;
    let (browser, saif) = (app.console("root").await, app.user("saif").await);
    for round in 0..5 {
        let link = make_link(&app, &browser, saif.id).await;
        let (one, other) = (Browser::new(&app), Browser::new(&app));
        let (a, b) = (format!("first password {round}"), format!("second password {round}"));
        let forms =
            (form_of(&one, &link).await.with("password", &a), form_of(&other, &link).await.with("password", &b));
        let (first, second) = tokio::join!(one.submit(&forms.0), other.submit(&forms.1));
        let mut statuses = [first.status, second.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [303, 404]);
        let (winner, loser) = if first.status == 303 { (a, b) } else { (b, a) };
        app.login("saif", &winner).await.expect_status(200);
        app.login("saif", &loser).await.expect_problem(401, "invalid_credentials");
    }
}

#[tokio::test]
async fn m10_a_link_for_an_admin_needs_the_password_for_oneself_too() {
    let app = TestApp::start().await;
    let (browser, other) = (app.console("root").await, app.admin("other").await);
    let root = app.sign_in("root").await;
    for (id, name) in [(other.id, "other"), (root.id, "root")] {
        app.advance(Duration::from_secs(300));
        let path = format!("/admin/users/{id}");
        let asked = browser.submit(&browser.get(&path).await.form(&format!("{path}/reset-link"))).await;
        assert_eq!(asked.heading(), "Give your password again");
        let form = asked.form(&format!("{path}/reset-link")).with("confirm_password", PASSWORD);
        assert_eq!(browser.submit(&form).await.expect_status(200).heading(), format!("Reset link for {name}"));
    }
}

#[tokio::test]
async fn o3_the_form_is_sent_by_its_own_page_alone() {
    let app = TestApp::start().await;
    let (browser, saif) = (app.console("root").await, app.user("saif").await);
    let link = make_link(&app, &browser, saif.id).await;
    let (visitor, other) = (Browser::new(&app), Browser::new(&app));
    let form = form_of(&visitor, &link).await;
    other.submit(&form).await.expect_status(403);
    visitor.submit(&form.clone().without("token")).await.expect_status(403);
    for (name, value) in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")] {
        visitor.send(visitor.submission(&form).header(name, value)).await.expect_status(403);
    }
    visitor.send(visitor.request(Method::PUT, "/reset")).await.expect_status(405);
    app.login("saif", PASSWORD).await.expect_status(200);
    visitor.submit(&form).await.expect_redirect("/reset?done=1");
}
