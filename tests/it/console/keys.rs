//! The page of signing keys.

use std::time::Duration;

use crate::harness::{Answer, PASSWORD, TestApp};

const ROTATE: &str = "/admin/keys/rotate";
const REPLACE: &str = "/admin/keys/replace";

/// The roles of all keys, in the order of the page.
fn roles(page: &Answer) -> Vec<String> {
    page.texts("td[data-label=Role]")
}

/// What the page says about a key.
fn cell(page: &Answer, row: usize, label: &str) -> String {
    page.texts(&format!("tbody tr:nth-child({row}) td[data-label='{label}']")).remove(0)
}

#[tokio::test]
async fn the_key_that_signs_comes_first_and_those_before_it_go_out_of_use() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let page = browser.get("/admin/keys").await.expect_status(200);
    let made = app.now().to_string();
    assert_eq!(roles(&page), ["● current", "◔ next"]);
    let is_first = |text: &String| text.starts_with("There has been one key only.");
    assert!(page.texts("main p").iter().any(is_first), "{page:?}");
    assert!(page.texts("dd code").contains(&"http://127.0.0.1:8080/.well-known/jwks.json".to_owned()), "{page:?}");
    assert!(page.texts("dl.facts dd")[2].starts_with("every 90 days"), "{page:?}");
    let old = page.texts("code.id");
    app.advance(Duration::from_secs(615));
    let superseded = app.now();
    let page = browser.submit(&page.form(ROTATE)).await.expect_status(200);
    let page = match page.heading().as_str() {
        // More than five minutes have passed since the password was given.
        "Give your password again" => {
            browser.submit(&page.form(ROTATE).with("confirm_password", PASSWORD)).await.expect_status(200)
        }
        _ => page,
    };
    assert_eq!(page.heading(), "Rotate the signing keys?");
    browser.submit(&page.form(ROTATE)).await.expect_redirect("/admin/keys");
    let page = browser.get("/admin/keys").await.expect_status(200);
    assert_eq!(page.texts(".flash"), ["✓ The next key signs from now on."]);
    assert_eq!(roles(&page), ["● current", "◔ next", "◐ previous"]);
    assert_eq!((&page.texts("code.id")[0], &page.texts("code.id")[2]), (&old[1], &old[0]));
    let last = superseded.after(Duration::from_secs(16 * 60)).to_string();
    let superseded = superseded.to_string();
    assert!(cell(&page, 1, "Key id").ends_with("ES256"), "{page:?}");
    assert_eq!(page.attributes("tr:nth-child(3) time", "datetime"), [made.clone(), made, superseded, last]);
    app.advance(Duration::from_secs(16 * 60));
    let page = browser.get("/admin/keys").await.expect_status(200);
    assert_eq!(roles(&page), ["● current", "◔ next", "○ retired"]);
    assert_eq!(cell(&page, 3, "Action"), "–");
}

#[tokio::test]
async fn a_switch_that_lies_ahead_is_announced_and_not_arranged_twice() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let page = browser.get("/admin/keys").await.expect_status(200);
    let asked = browser.submit(&page.form(ROTATE)).await.expect_status(200);
    browser.submit(&asked.form(ROTATE)).await.expect_redirect("/admin/keys");
    let page = browser.get("/admin/keys").await.expect_status(200);
    let at = app.now().after(Duration::from_secs(615)).to_string();
    assert!(page.texts(".flash")[0].starts_with("✓ The next key signs from "), "{page:?}");
    assert_eq!(page.attributes("dl.facts time", "datetime"), [at]);
    assert_eq!(roles(&page), ["● current", "◔ next", "◔ next"]);
    let asked = browser.submit(&page.form(ROTATE)).await.expect_status(200);
    browser.submit(&asked.form(ROTATE)).await.expect_redirect("/admin/keys");
    let page = browser.get("/admin/keys").await.expect_status(200);
    assert!(page.texts(".flash")[0].starts_with("✓ Nothing was changed"), "{page:?}");
    assert_eq!(roles(&page).len(), 3);
}

#[tokio::test]
async fn m10_keys_are_changed_only_by_somebody_who_gave_the_password_lately_and_confirms() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let page = browser.get("/admin/keys").await.expect_status(200);
    let waiting = format!("/admin/keys/{}/retire", page.texts("code.id")[1]);
    let before = page.texts("code.id");
    app.advance(Duration::from_secs(300));
    for action in [ROTATE, REPLACE, &waiting] {
        let asked = browser.submit(&page.form(action).with("confirmed", "yes")).await.expect_status(200);
        assert_eq!(asked.heading(), "Give your password again", "{action}");
    }
    let asked = browser.submit(&page.form(&waiting)).await.expect_status(200);
    let confirmation =
        browser.submit(&asked.form(&waiting).with("confirm_password", PASSWORD)).await.expect_status(200);
    assert_eq!(confirmation.heading(), "Retire the key?");
    assert_eq!(browser.get("/admin/keys").await.texts("code.id"), before, "nothing was done yet");
    browser.submit(&confirmation.form(&waiting)).await.expect_redirect("/admin/keys");
    let page = browser.get("/admin/keys").await.expect_status(200);
    assert_eq!(page.texts(".flash"), ["✓ The key is retired."]);
    assert_eq!(roles(&page), ["● current", "◔ next", "○ retired"]);
    let again = browser.submit(&confirmation.form(&waiting)).await.expect_redirect("/admin/keys");
    assert_eq!(again.status, 303);
    assert_eq!(browser.get("/admin/keys").await.texts(".flash.bad"), ["! This key is retired already."]);
    let unknown = confirmation.form(&waiting);
    let unknown = crate::harness::PageForm { action: "/admin/keys/nothing/retire".to_owned(), ..unknown };
    assert_eq!(browser.submit(&unknown).await.status, 404);
}

#[tokio::test]
async fn in_an_emergency_the_page_says_how_many_tokens_break() {
    let app = TestApp::start().await;
    let (one, other) = (app.user("saif").await, app.user("lina").await);
    let browser = app.console("root").await;
    let page = browser.get("/admin/keys").await.expect_status(200);
    let kids = page.texts("code.id");
    let asked = browser.submit(&page.form(REPLACE)).await.expect_status(200);
    // The admin of the harness has a session of the API as well.
    let words = "The access tokens of 3 live sessions break at once";
    assert!(asked.texts("main li").iter().any(|text| text.starts_with(words)), "{asked:?}");
    for person in [&one, &other] {
        person.profile().await.expect_status(200);
    }
    browser.submit(&asked.form(REPLACE)).await.expect_redirect("/admin/keys");
    for person in [&one, &other] {
        person.profile().await.expect_problem(401, "invalid_token");
        app.refresh(&person.refresh_token).await.expect_status(200);
    }
    let page = browser.get("/admin/keys").await.expect_status(200);
    assert_eq!(page.texts(".flash"), ["✓ Another key signs from now on. The one before it is retired."]);
    assert_eq!(roles(&page), ["● current", "◔ next", "○ retired"]);
    assert_eq!((&page.texts("code.id")[0], &page.texts("code.id")[2]), (&kids[1], &kids[0]));
}

#[tokio::test]
async fn a_configured_key_is_listed_without_times() {
    let app = TestApp::with(&[("JWT_ALGORITHM", "HS256"), ("JWT_KEY", "a-key-of-thirty-two-bytes-or-more")]).await;
    let page = app.console("root").await.get("/admin/keys").await.expect_status(200);
    assert_eq!(page.texts("td[data-label=Role]"), ["● current"]);
    assert_eq!(page.texts("td[data-label=Made]"), ["from JWT_KEY"]);
    assert!(page.attributes("tbody time", "datetime").is_empty());
    assert_eq!(page.texts("form"), page.texts(".who form"), "there is nothing to do here");
}
