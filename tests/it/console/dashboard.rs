//! The dashboard: its numbers are those of what happened, and it says what needs attention.

use std::time::Duration;

use relatch::auth::audit::activity::add_up;
use relatch::auth::audit::seal::Sealer;
use relatch::auth::maintenance::prune;
use relatch::domain::timestamp::Timestamp;

use crate::harness::{Answer, TestApp, execute};

/// Moves to a while before the next full hour, so that what a test does is of one hour.
fn settle(app: &TestApp) {
    let hour = 3_600_000_000;
    let begun = app.now().as_micros() / hour * hour;
    app.clock.set(Timestamp::from_micros(begun + hour + 60_000_000));
}

async fn count(app: &TestApp) {
    // Whoever sealed before has the lease for two seconds.
    app.advance(Duration::from_secs(3));
    Sealer::draw().unwrap().seal(app.app.auth()).await.unwrap().unwrap();
    add_up(app.app.auth()).await.unwrap();
}

fn numbers(page: &Answer) -> Vec<String> {
    page.texts(".card .value")
}

fn legends(page: &Answer) -> Vec<String> {
    page.texts(".legend li:not(.hint)")
}

#[tokio::test]
async fn numbers_and_charts_are_those_of_what_happened() {
    let app = TestApp::start().await;
    settle(&app);
    let browser = app.console("root").await;
    let user = app.user("saif").await;
    app.login("saif", "wrong password").await.expect_status(401);
    app.login("nobody", "wrong password").await.expect_status(401);
    let second = app.refresh(&user.refresh_token).await.expect_status(200).text_at("refreshToken");
    app.refresh(&second).await.expect_status(200);
    app.advance(Duration::from_secs(60));
    app.refresh(&user.refresh_token).await.expect_problem(401, "refresh_token_reused");
    count(&app).await;
    prune(app.app.auth()).await.unwrap().unwrap();
    let page = browser.get("/admin").await.expect_status(200);
    // The admin's two sessions; the user's one has ended. The harness signs admins in to the API, too.
    assert_eq!(numbers(&page), ["2", "2", "3 / 2", "1"]);
    assert_eq!(page.attributes(".card time", "datetime")[0], app.now().to_string());
    assert_eq!(legends(&page), ["3 succeeded", "2 failed", "2 refreshes", "1 alarms"]);
    assert_eq!(page.attributes("svg.chart", "viewBox"), ["0 0 240 100"; 3]);
    // All of it is in the hour that is under way: the last one.
    assert_eq!(page.attributes("rect", "x"), ["230"; 4]);
    assert_eq!(page.attributes("rect", "height"), ["60", "40", "100", "100"]);
    let day = app.now().to_string();
    let title = format!("{} {}:00: 2 failed", &day[..10], &day[11..13]);
    assert_eq!(page.texts("rect title")[1], title);
    assert_eq!(page.texts("tbody tr td")[1..], ["3", "2", "2", "1"]);
    for (range, width, x) in
        [("7d", "0 0 1680 100", "1670"), ("30d", "0 0 7200 100", "7190"), ("x", "0 0 240 100", "230")]
    {
        let page = browser.get(&format!("/admin?range={range}")).await.expect_status(200);
        assert_eq!(page.attributes("svg.chart", "viewBox"), [width; 3]);
        assert_eq!(page.attributes("rect", "x"), [x; 4]);
    }
    app.advance(Duration::from_secs(25 * 3_600));
    let browser = crate::harness::Browser::new(&app);
    browser.sign_in("root").await.expect_redirect("/admin");
    let page = browser.get("/admin").await.expect_status(200);
    assert_eq!(numbers(&page)[2..], ["0 / 0", "0"]);
    assert!(page.texts("rect").is_empty());
    let page = browser.get("/admin?range=7d").await.expect_status(200);
    assert_eq!(page.attributes("rect", "x"), ["1420"; 4]);
}

#[tokio::test]
async fn a_new_store_has_a_quick_start_in_place_of_numbers() {
    let app = TestApp::start().await;
    settle(&app);
    let browser = app.console("root").await;
    let page = browser.get("/admin").await.expect_status(200);
    assert_eq!(numbers(&page), ["–", "–", "0 / 0", "0"]);
    assert!(page.texts("#start ~ p")[0].starts_with("No logins yet."), "{page:?}");
    let commands = &page.texts("section pre")[0];
    assert!(commands.starts_with("base='http://127.0.0.1:8080'\n"), "{commands}");
    assert!(commands.contains("<<<\"$pair\""), "{commands}");
    count(&app).await;
    let page = browser.get("/admin").await.expect_status(200);
    assert!(page.texts("#start ~ p")[0].starts_with("No application has refreshed"), "{page:?}");
    let user = app.user("saif").await;
    app.refresh(&user.refresh_token).await.expect_status(200);
    count(&app).await;
    assert!(browser.get("/admin").await.expect_status(200).texts("#start").is_empty());
}

#[tokio::test]
async fn what_needs_attention_is_named_and_linked() {
    let app = TestApp::start().await;
    settle(&app);
    let browser = app.console("root").await;
    let hostile = "\"><img src=x onerror=alert(1)>";
    let user = app.user("saif").await;
    let second = app.refresh(&user.refresh_token).await.expect_status(200).text_at("refreshToken");
    app.refresh(&second).await.expect_status(200);
    app.advance(Duration::from_secs(60));
    app.refresh(&user.refresh_token).await.expect_problem(401, "refresh_token_reused");
    // No name can be like this; a page must not depend on it.
    execute(&app.database, &format!("UPDATE users SET username = '{hostile}' WHERE username = 'saif'")).await;
    let page = browser.get("/admin").await.expect_status(200);
    let texts = page.texts(".attention bdi");
    assert_eq!(texts[0], format!("A refresh token of {hostile} was used twice, and the session was ended."));
    assert!(page.texts(".attention img").is_empty());
    let links = page.attributes(".attention a", "href");
    assert_eq!(links[0], format!("/admin/sessions/{}", user.session_id));
    assert!(texts.contains(&"Old rows were never deleted, and nothing is counted.".to_owned()), "{texts:?}");
    assert!(texts.contains(&"A safety limit is switched off: INSECURE_DEVELOPMENT=on.".to_owned()), "{texts:?}");
    assert!(links.contains(&"/admin/settings#INSECURE_DEVELOPMENT".to_owned()), "{links:?}");
    let has_backups = !app.database.is_postgres();
    assert_eq!(texts.iter().any(|text| text.contains("backup")), has_backups, "{texts:?}");
    prune(app.app.auth()).await.unwrap().unwrap();
    let page = browser.get("/admin").await.expect_status(200);
    assert!(!page.texts(".attention bdi").iter().any(|text| text.contains("Old rows")), "{page:?}");
    // Half an hour without pruning is late; 90 days make a key old.
    for (later, text) in [(31 * 60, "Old rows were not deleted for a while."), (91 * 86_400, "is 91 days old.")] {
        app.advance(Duration::from_secs(later));
        let browser = crate::harness::Browser::new(&app);
        browser.sign_in("root").await.expect_redirect("/admin");
        let texts = browser.get("/admin").await.expect_status(200).texts(".attention bdi");
        assert!(texts.iter().any(|other| other.ends_with(text)), "{text}: {texts:?}");
    }
}

#[tokio::test]
async fn an_event_that_waits_for_its_seal_for_longer_than_a_minute_needs_attention() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let waits = async || {
        let page = browser.get("/admin").await.expect_status(200);
        page.texts(".attention bdi").into_iter().filter(|text| text.contains("waited for its seal")).collect::<Vec<_>>()
    };
    app.advance(Duration::from_secs(60));
    assert_eq!(waits().await, [""; 0]);
    app.advance(Duration::from_secs(60));
    let text = "An audit event has waited for its seal for 2 min; each should have it in a second.";
    assert_eq!(waits().await, [text]);
    count(&app).await;
    assert_eq!(waits().await, [""; 0]);
}
