//! How much the pages of the console ask of the database.

use std::time::Duration;

use crate::harness::{TestApp, statements};

#[tokio::test]
async fn no_page_takes_more_than_three_statements_besides_the_guards_own() {
    statements::listen();
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let user = app.user("saif").await;
    app.login("saif", "wrong password").await.expect_status(401);
    app.advance(Duration::from_secs(60));
    app.sign_in("saif").await.post_nothing("/api/auth/logout").await.expect_status(204);
    let of_user = format!("/admin/users/{}", user.id);
    let of_session = format!("/admin/sessions/{}", user.session_id);
    for path in [
        "/admin",
        "/admin?range=30d",
        of_user.as_str(),
        "/admin/sessions",
        "/admin/sessions?state=any&order=oldest",
        "/admin/sessions?user=saif",
        "/admin/sessions?user=saif&state=any&ip=127.0.0.1&role=User",
        "/admin/sessions?role=Admin&kind=console&agent=x&ip=10.0.0.0%2F8",
        of_session.as_str(),
        "/admin/audit",
        "/admin/audit?type=login.*",
        "/admin/audit?result=succeeded",
        "/admin/audit?actor=saif",
        "/admin/audit?actor=saif&subject=saif%40example.com&ip=127.0.0.0%2F8&result=succeeded&from=2026-01-01",
        "/admin/audit?actor=nobody&subject=saif",
        "/admin/audit?ip=192.0.2.0%2F24",
        "/admin/blocks",
        "/admin/keys",
        "/admin/settings",
        "/admin/maintenance",
        "/admin/me",
    ] {
        statements::said(&app.database);
        browser.get(path).await.expect_status(200);
        let said = statements::said(&app.database);
        let (guard, own): (Vec<_>, Vec<_>) = said.into_iter().partition(|text| text.contains("console_sessions"));
        assert!((1..=2).contains(&guard.len()), "{path}: {guard:#?}");
        assert!(own.len() <= 3, "{path}: {} {own:#?}", own.len());
    }
}
