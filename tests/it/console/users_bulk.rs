//! What is done with several users at once.

use relatch::auth::Actor;
use relatch::auth::user_batches::{BatchAction, BatchError, Reach, change_users};
use relatch::domain::client::Client;
use relatch::domain::user::UserId;

use crate::harness::{Answer, Browser, PASSWORD, PageForm, TestApp, execute};

/// Ticks users of the list and presses a button.
async fn tick(browser: &Browser, ids: &[i64], action: &str) -> Answer {
    let mut form = browser.get("/admin/users").await.form("/admin/users/bulk").with("action", action);
    form.fields.extend(ids.iter().map(|id| ("id".to_owned(), id.to_string())));
    browser.submit(&form).await
}

async fn tick_and_confirm(browser: &Browser, ids: &[i64], action: &str) -> Vec<String> {
    let asked = tick(browser, ids, action).await.expect_status(200);
    browser.submit(&asked.form("/admin/users/bulk")).await.expect_redirect("/admin/users");
    browser.get("/admin/users").await.texts(".flash")
}

#[tokio::test]
async fn ticked_users_are_signed_out_disabled_and_enabled_and_nobody_else() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let (saif, mara, sami) = (app.user("saif").await, app.user("mara").await, app.user("sami").await);
    let asked = tick(&browser, &[saif.id, mara.id], "revoke").await.expect_status(200);
    assert_eq!(asked.heading(), "Revoke all sessions of 2 users?");
    assert!(asked.text.contains("saif (saif@example.com)") && asked.text.contains("mara (mara@example.com)"));
    assert!(asked.text.contains("APIs that verify access tokens without asking"), "{asked:?}");
    saif.profile().await.expect_status(200);
    let said = tick_and_confirm(&browser, &[saif.id, mara.id], "revoke").await;
    assert_eq!(said, ["✓ 2 users were signed out; sessions ended: 2."]);
    for person in [&saif, &mara] {
        person.profile().await.expect_problem(401, "invalid_token");
        app.refresh(&person.refresh_token).await.expect_problem(401, "session_revoked");
    }
    sami.profile().await.expect_status(200);
    let again = app.sign_in("saif").await;
    let said = tick_and_confirm(&browser, &[saif.id, mara.id, 999], "disable").await;
    assert_eq!(said, ["✓ 2 users were disabled; sessions ended: 1.",]);
    again.profile().await.expect_problem(401, "invalid_token");
    let said = tick_and_confirm(&browser, &[saif.id, sami.id], "disable").await;
    assert_eq!(said, ["✓ One user was disabled; sessions ended: 1.", "! One user was disabled already."]);
    sami.profile().await.expect_problem(401, "invalid_token");
    let said = tick_and_confirm(&browser, &[saif.id, mara.id, sami.id], "enable").await;
    assert_eq!(said, ["✓ 3 users were enabled."]);
    let events = app.sign_in("root").await.get(&format!("/api/audit-events?subject={}&limit=5", sami.id)).await;
    let events = events.expect_status(200).json();
    let kinds: Vec<_> = events.as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds[..2], ["user.enabled", "user.disabled"]);
    assert_eq!(events[1]["detail"]["sessionsEnded"], 1);
    app.sign_in("sami").await.profile().await.expect_status(200);
}

#[tokio::test]
async fn m5_of_all_admins_one_stays_and_it_is_said_who() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let (other, saif) = (app.admin("other").await, app.user("saif").await);
    let root = app.sign_in("root").await;
    let said = tick_and_confirm(&browser, &[root.id, other.id, saif.id], "disable").await;
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("✓ 2 users were disabled"), "{said:?}");
    assert!(said[1].contains("root was left out"), "{said:?}");
    root.profile().await.expect_status(200);
    other.profile().await.expect_problem(401, "invalid_token");
    saif.profile().await.expect_problem(401, "invalid_token");
    let said = tick_and_confirm(&browser, &[root.id], "disable").await;
    assert!(said[0].starts_with("! 0 users were disabled") && said[1].contains("root was left out"), "{said:?}");
}

#[tokio::test]
async fn m6_who_is_among_the_ticked_is_told_so_and_signed_out() {
    let app = TestApp::start().await;
    let (browser, other) = (app.console("root").await, app.admin("other").await);
    let root = app.sign_in("root").await;
    let asked = tick(&browser, &[root.id], "disable").await.expect_status(200);
    assert!(asked.text.contains("You are among them"), "{asked:?}");
    browser.submit(&asked.form("/admin/users/bulk")).await.expect_redirect("/admin/sign-in");
    browser.get("/admin").await.expect_redirect("/admin/sign-in");
    root.profile().await.expect_problem(401, "invalid_token");
    other.profile().await.expect_status(200);
}

#[tokio::test]
async fn m10_admins_are_disabled_and_enabled_together_by_whoever_gives_the_password() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let (other, saif) = (app.admin("other").await, app.user("saif").await);
    for (action, said) in [("disable", "2 users were disabled"), ("enable", "2 users were enabled")] {
        app.advance(std::time::Duration::from_mins(5));
        let asked = tick(&browser, &[other.id, saif.id], action).await.expect_status(200);
        let asked = browser.submit(&asked.form("/admin/users/bulk")).await.expect_status(200);
        assert_eq!(asked.heading(), "Give your password again");
        let status = browser.get(&format!("/admin/users/{}", saif.id)).await.texts("dd")[4].clone();
        assert!(status.starts_with(if action == "disable" { "● Active" } else { "■ Disabled" }), "{status}");
        let given = asked.form("/admin/users/bulk").with("confirm_password", PASSWORD);
        browser.submit(&given).await.expect_redirect("/admin/users");
        assert!(browser.get("/admin/users").await.texts(".flash")[0].contains(said), "{action}");
    }
    app.advance(std::time::Duration::from_mins(5));
    tick_and_confirm(&browser, &[other.id, saif.id], "revoke").await;
    tick_and_confirm(&browser, &[saif.id], "disable").await;
    // Whoever is an admin by then is not disabled without it.
    let (auth, root) = (app.app.auth(), Client::default());
    let ids = [UserId::new(other.id).unwrap(), UserId::new(saif.id).unwrap()];
    let refused = change_users(auth, Actor::Operator, BatchAction::Enable, Reach::AllButAdmins, &ids, &root).await;
    assert!(matches!(refused, Err(BatchError::RoleChanged)), "{refused:?}");
    app.login("saif", PASSWORD).await.expect_status(401);
}

#[tokio::test]
async fn nothing_ticked_and_what_cannot_be_done_change_nothing() {
    let app = TestApp::start().await;
    let (browser, saif) = (app.console("root").await, app.user("saif").await);
    tick(&browser, &[], "disable").await.expect_redirect("/admin/users");
    assert!(browser.get("/admin/users").await.texts(".flash")[0].contains("No user is ticked"));
    tick(&browser, &[saif.id], "delete-everything").await.expect_status(400);
    let form = browser.get("/admin/users").await.form("/admin/users/bulk");
    let form = PageForm { fields: form.fields, ..form };
    browser.submit(&form.with("action", "disable").with("id", "1 OR 1=1")).await.expect_redirect("/admin/users");
    saif.profile().await.expect_status(200);
}

#[tokio::test]
async fn two_hundred_users_are_one_batch() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let mut people = Vec::new();
    for number in 0..30 {
        people.push(app.user(&format!("user{number}")).await);
    }
    let ids: Vec<i64> = people.iter().map(|person| person.id).collect();
    let said = tick_and_confirm(&browser, &ids, "revoke").await;
    assert_eq!(said, ["✓ 30 users were signed out; sessions ended: 30."]);
    for person in &people {
        person.profile().await.expect_problem(401, "invalid_token");
    }
    browser.get("/admin").await.expect_status(200);
    // More than a page has are not taken.
    execute(&app.database, "UPDATE users SET last_login_at = NULL").await;
    let many: Vec<i64> = (1..=300).collect();
    let asked = tick(&browser, &many, "enable").await.expect_status(200);
    assert_eq!(asked.heading(), "Enable 31 users?");
}

#[tokio::test]
async fn what_expired_long_ago_is_not_counted() {
    let app = TestApp::start().await;
    app.admin("root").await;
    let saif = app.user("saif").await;
    app.advance(std::time::Duration::from_hours(8 * 24));
    app.sign_in("saif").await;
    let browser = Browser::new(&app);
    browser.sign_in("root").await.expect_redirect("/admin");
    let said = tick_and_confirm(&browser, &[saif.id], "revoke").await;
    assert_eq!(said, ["✓ One user was signed out; sessions ended: 1."]);
}
