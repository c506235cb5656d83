//! Making the first admin with the one-time link.

use std::time::Duration;

use relatch::auth::setup_link::make_setup_token;
use relatch::domain::role::Role;
use relatch::store::users::{self, UserFilter};

use crate::harness::{Browser, PASSWORD, PageForm, TestApp};

async fn link(app: &TestApp) -> String {
    let token = make_setup_token(app.app.auth()).await.unwrap().expect("no admin yet");
    format!("/admin/setup?t={}", token.expose())
}

async fn form(browser: &Browser, link: &str, username: &str) -> PageForm {
    let page = browser.get(link).await.expect_status(200);
    let form = page.form("/admin/setup").with("username", username).with("password", PASSWORD);
    form.with("email", &format!("{username}@example.com"))
}

#[tokio::test]
async fn j15_the_link_makes_the_first_admin_once_and_signs_them_in() {
    let app = TestApp::start().await;
    let (link, browser) = (link(&app).await, Browser::new(&app));
    let page = browser.get(&link).await.expect_status(200);
    assert_eq!(page.texts("label"), ["Username", "E-mail", "Password"]);
    let wrong = page.form("/admin/setup").with("username", "a b").with("email", "x").with("password", "short");
    let again = browser.submit(&wrong).await.expect_status(400);
    assert_eq!(again.attributes(".errors a", "href"), ["#username", "#email", "#password"]);
    assert_eq!(again.attributes("#email", "value"), ["x"]);
    browser.submit(&form(&browser, &link, "root").await).await.expect_redirect("/admin");
    assert!(browser.get("/admin").await.expect_status(200).text.contains("root"));
    let other = Browser::new(&app);
    other.get(&link).await.expect_status(404);
    let token = other.get("/admin/sign-in").await.form("/admin/sign-in").value("token").to_owned();
    let late = wrong.with("token", &token).with("username", "second").with("email", "second@example.com");
    other.submit(&late.with("password", PASSWORD)).await.expect_status(404);
    app.login("second", PASSWORD).await.expect_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn a_wrong_old_or_replaced_link_says_how_to_print_a_new_one() {
    let app = TestApp::start().await;
    let browser = Browser::new(&app);
    let (first, second) = (link(&app).await, link(&app).await);
    let opened = form(&browser, &second, "root").await;
    for path in ["/admin/setup", "/admin/setup?t=", "/admin/setup?t=AAAA", first.as_str()] {
        let page = browser.get(path).await.expect_status(403);
        assert!(page.text.contains("relatch setup-url"), "{path}: {page:?}");
    }
    app.advance(Duration::from_secs(30 * 60));
    assert!(browser.get(&second).await.expect_status(403).text.contains("relatch setup-url"));
    assert!(browser.submit(&opened).await.expect_status(403).text.contains("relatch setup-url"));
    app.login("root", PASSWORD).await.expect_problem(401, "invalid_credentials");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l3_of_two_who_use_one_link_at_once_one_becomes_admin() {
    let app = TestApp::start().await;
    let link = link(&app).await;
    let (one, other) = (Browser::new(&app), Browser::new(&app));
    let forms = (form(&one, &link, "one").await, form(&other, &link, "other").await);
    let answers = tokio::join!(one.submit(&forms.0), other.submit(&forms.1));
    let mut statuses = [answers.0.status, answers.1.status];
    statuses.sort_unstable();
    assert!(statuses[0] == 303 && [403, 404].contains(&statuses[1]), "{statuses:?}");
    let filter = UserFilter { role: Some(Role::Admin), ..UserFilter::default() };
    let admins = app.database.store().read(move |connection| users::list(connection, &filter, None, 10)).await.unwrap();
    assert_eq!(admins.len(), 1);
}

#[tokio::test]
async fn a_name_that_is_taken_does_not_spend_the_link() {
    let app = TestApp::start().await;
    app.user("saif").await;
    let (link, browser) = (link(&app).await, Browser::new(&app));
    let taken = browser.submit(&form(&browser, &link, "Saif").await).await.expect_status(400);
    assert_eq!(taken.texts(".errors a"), ["The username is taken.", "The e-mail address is taken."]);
    browser.submit(&form(&browser, &link, "root").await).await.expect_redirect("/admin");
}
