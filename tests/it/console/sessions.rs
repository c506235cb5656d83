//! Sessions of the console are sessions like any other, with ends of their own.

use std::time::Duration;

use relatch::domain::session::SessionId;
use relatch::domain::timestamp::Timestamp;
use relatch::store::sessions;
use serde_json::json;

use super::COOKIE;
use crate::harness::{Browser, PASSWORD, TestApp, dump};
use crate::jwt::{Signer, part};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn n5_a_session_ends_thirty_minutes_after_its_last_use_by_the_servers_clock() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    for _ in 0..3 {
        app.advance(29 * MINUTE);
        browser.get("/admin").await.expect_status(200);
    }
    app.advance(30 * MINUTE);
    browser.get("/admin").await.expect_redirect("/admin/sign-in");
    browser.sign_in("root").await.expect_redirect("/admin");
    browser.get("/admin").await.expect_status(200);
}

#[tokio::test]
async fn n5_a_session_ends_twelve_hours_after_the_sign_in_however_much_it_is_used() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    for _ in 0..(12 * 60 / 20 - 1) {
        app.advance(20 * MINUTE);
        browser.get("/admin").await.expect_status(200);
    }
    app.advance(20 * MINUTE - Duration::from_secs(1));
    browser.get("/admin").await.expect_status(200);
    app.advance(Duration::from_secs(1));
    browser.get("/admin").await.expect_redirect("/admin/sign-in");
}

#[tokio::test]
async fn every_page_says_when_the_session_ends() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let (began, last) = (app.now(), app.now().after(12 * 60 * MINUTE));
    let ends = async |seconds: &str, times: &[Timestamp]| {
        let page = browser.get("/admin/keys").await.expect_status(200);
        assert_eq!(page.attributes("footer [data-ends-in]", "data-ends-in"), [seconds]);
        let times: Vec<_> = times.iter().map(ToString::to_string).collect();
        assert_eq!(page.attributes("footer time", "datetime"), times);
        assert_eq!(page.attributes("footer [data-renew]", "data-renew").len(), times.len() - 1);
        page
    };
    let page = ends("1800", &[began.after(30 * MINUTE), last]).await;
    let clock = page.texts("footer time");
    assert_eq!(clock[0], began.after(30 * MINUTE).to_string()[11..16]);
    let said = format!(
        "You are signed out at {} unless you ask for a page before, and at {} in any case.",
        clock[0], clock[1]
    );
    assert_eq!(page.texts("footer [data-ends-in]"), [said]);
    // A use is noted once a minute, and what is not noted does not count.
    app.advance(Duration::from_secs(59));
    ends("1741", &[began.after(30 * MINUTE), last]).await;
    app.advance(Duration::from_secs(1));
    ends("1800", &[began.after(31 * MINUTE), last]).await;
    while app.now().after(30 * MINUTE) < last {
        app.advance(20 * MINUTE);
        browser.get("/admin").await.expect_status(200);
    }
    let seconds = last.since(app.now()).as_secs().to_string();
    let page = ends(&seconds, &[last]).await;
    assert_eq!(page.texts("footer [data-ends-in]"), [format!("You are signed out at {}.", &last.to_string()[11..16])]);
    // Nobody is signed in here, or nobody who could stay so.
    let visitor = Browser::new(&app).get("/admin/sign-in").await;
    assert!(visitor.attributes("[data-ends-in]", "data-ends-in").is_empty());
}

#[tokio::test]
async fn uses_are_noted_once_a_minute() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let root = app.sign_in("root").await;
    let began = app.now();
    let used = async || {
        let list = root.get("/api/users/me/sessions").await.json();
        let all = list.as_array().unwrap().clone();
        let console = all.iter().find(|session| session["kind"] == "console").expect("the console's").clone();
        console["lastUsedAt"].as_str().unwrap().to_owned()
    };
    app.advance(Duration::from_secs(59));
    browser.get("/admin").await.expect_status(200);
    assert_eq!(used().await, began.to_string());
    app.advance(Duration::from_secs(1));
    browser.get("/admin").await.expect_status(200);
    assert_eq!(used().await, app.now().to_string());
}

#[tokio::test]
async fn n6_the_key_is_of_256_bits_and_only_its_digest_is_stored() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let cookie = browser.cookie(COOKIE).unwrap();
    // actix puts a signature of 44 characters in front; base64 may be escaped in a cookie.
    let plain = cookie.replace("%3D", "=").replace("%2B", "+").replace("%2F", "/");
    let key = &plain[44..];
    assert_eq!(key.len(), 43, "{plain}");
    assert!(!dump(&app.database).await.contains(key));
}

#[tokio::test]
async fn m7_whoever_is_demoted_disabled_or_deleted_is_out_at_the_next_request() {
    let app = TestApp::start().await;
    let root = app.admin("root").await;
    for (name, change) in
        [("demoted", json!({ "role": "User" })), ("disabled", json!({ "disabled": true })), ("deleted", json!(null))]
    {
        let browser = app.console(name).await;
        let path = format!("/api/users/{}", app.sign_in(name).await.id);
        browser.get("/admin").await.expect_status(200);
        if change.is_null() {
            root.delete(&path).await.expect_status(204);
        } else {
            root.patch(&path, &change).await.expect_status(200);
        }
        browser.get("/admin").await.expect_redirect("/admin/sign-in");
        let form = crate::harness::PageForm { action: "/admin/me/sessions/end-others".to_owned(), fields: vec![] };
        browser.submit(&form).await.expect_redirect("/admin/sign-in");
    }
    // A role that is given takes a new sign-in, too.
    let user = app.user("promoted").await;
    let browser = Browser::new(&app);
    browser.sign_in("promoted").await.expect_redirect("/admin");
    browser.get("/admin").await.expect_status(403);
    root.patch(&format!("/api/users/{}", user.id), &json!({ "role": "Admin" })).await.expect_status(200);
    browser.get("/admin").await.expect_redirect("/admin/sign-in");
}

#[tokio::test]
async fn a_signed_in_user_who_is_no_admin_can_do_nothing_but_sign_out() {
    let app = TestApp::start().await;
    app.user("saif").await;
    let browser = Browser::new(&app);
    browser.sign_in("saif").await.expect_redirect("/admin");
    let page = browser.get("/admin").await.expect_status(403);
    assert!(page.texts("nav").is_empty() && page.texts("button") == ["Sign out"], "{page:?}");
    browser.submit(&page.form("/admin/sign-out")).await.expect_redirect("/admin/sign-in");
    browser.get("/admin").await.expect_redirect("/admin/sign-in");
}

#[tokio::test]
async fn n8_two_sign_ins_are_two_sessions_that_can_be_seen_and_ended() {
    let app = TestApp::start().await;
    let (one, other) = (app.console("root").await, Browser::new(&app));
    other.sign_in("root").await.expect_redirect("/admin");
    let root = app.sign_in("root").await;
    let list = root.get("/api/users/me/sessions").await.json();
    let kinds: Vec<_> = list.as_array().unwrap().iter().map(|session| session["kind"].clone()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "console").count(), 2, "{list}");
    root.post_nothing("/api/auth/logout-all").await.expect_status(204);
    for browser in [one, other] {
        browser.get("/admin").await.expect_redirect("/admin/sign-in");
    }
}

#[tokio::test]
async fn the_limit_of_sessions_holds_for_the_console_too() {
    let app = TestApp::with(&[("MAX_SESSIONS_PER_USER", "1")]).await;
    let first = app.console("root").await;
    app.advance(MINUTE);
    let second = Browser::new(&app);
    second.sign_in("root").await.expect_redirect("/admin");
    first.get("/admin").await.expect_redirect("/admin/sign-in");
    second.get("/admin").await.expect_status(200);
}

#[tokio::test]
async fn ending_every_session_ends_those_of_the_console() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    relatch::auth::end_everything::end_everything(app.app.auth()).await.unwrap();
    browser.get("/admin").await.expect_redirect("/admin/sign-in");
}

#[tokio::test]
async fn no_access_token_of_a_console_session_is_accepted() {
    let key = "Zx4-shared-by-every-resource-server-7Qm";
    let app = TestApp::with(&[("JWT_KEY", key)]).await;
    app.console("root").await;
    let root = app.sign_in("root").await;
    let list = root.get("/api/users/me/sessions").await.json();
    let console = list.as_array().unwrap().iter().find(|session| session["kind"] == "console").unwrap().clone();
    let id = SessionId::parse(console["id"].as_str().unwrap()).unwrap();
    // Under a shared key anybody who has it can name any session.
    let (header, mut payload) = (part(&root.access_token, 0), part(&root.access_token, 1));
    let signer = Signer::of_shared(key.as_bytes());
    let unchanged = signer.sign(header.to_string(), payload.to_string());
    root.with_access_token(&unchanged).profile().await.expect_status(200);
    payload["sid"] = json!(id.to_string());
    let forged = signer.sign(header.to_string(), payload.to_string());
    let stored = app.database.store().read(move |connection| sessions::find(connection, id)).await.unwrap();
    assert!(stored.expect("the session").is_live(app.now()));
    root.with_access_token(&forged).profile().await.expect_problem(401, "invalid_token");
    app.login("root", PASSWORD).await.expect_status(200);
}
