//! The page of signing keys.

use std::time::Duration;

use crate::harness::TestApp;

#[tokio::test]
async fn the_key_that_signs_comes_first_and_those_before_it_go_out_of_use() {
    let app = TestApp::start().await;
    let page = app.console("root").await.get("/admin/keys").await.expect_status(200);
    let made = app.now().to_string();
    assert_eq!(page.texts("tbody tr").len(), 1);
    assert_eq!(page.texts("td[data-label=Role]"), ["● current"]);
    let old = page.texts("code.id");
    app.advance(Duration::from_secs(60));
    let superseded = app.now();
    let app = app.restart(&[("JWT_ALGORITHM", "EdDSA")]).await;
    let browser = crate::harness::Browser::new(&app);
    browser.sign_in("root").await.expect_redirect("/admin");
    let page = browser.get("/admin/keys").await.expect_status(200);
    assert_eq!(page.texts("td[data-label=Role]"), ["● current", "◐ previous"]);
    assert_eq!(page.texts("td[data-label=Algorithm]"), ["EdDSA", "ES256"]);
    assert_eq!(page.texts("code.id")[1..], old);
    let last = superseded.after(Duration::from_secs(16 * 60));
    assert_eq!(page.attributes("tr:nth-child(2) time", "datetime"), [made, superseded.to_string(), last.to_string()]);
    app.advance(Duration::from_secs(16 * 60));
    let page = browser.get("/admin/keys").await.expect_status(200);
    assert_eq!(page.texts("td[data-label=Role]"), ["● current", "○ retired"]);
    assert_eq!(page.texts("form"), page.texts(".who form"), "there is nothing to do here");
}

#[tokio::test]
async fn a_configured_key_is_listed_without_times() {
    let app = TestApp::with(&[("JWT_ALGORITHM", "HS256"), ("JWT_KEY", "a-key-of-thirty-two-bytes-or-more")]).await;
    let page = app.console("root").await.get("/admin/keys").await.expect_status(200);
    assert_eq!(page.texts("td[data-label=Role]"), ["● current"]);
    assert_eq!(page.texts("td[data-label=Made]"), ["from JWT_KEY"]);
    assert!(page.attributes("tbody time", "datetime").is_empty());
}
