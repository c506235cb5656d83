//! The console on a full disk: what takes something away is done, and what was done is not said to have failed.

use std::time::Duration;

use crate::harness::{Answer, Browser, Database, PASSWORD, TestApp, execute};

/// Makes the database say that its disk is full when a statement of this kind is run.
async fn fill_for(app: &TestApp, statement: &str, table: &str) {
    let sql = if app.database.is_postgres() {
        format!(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device'; END $$;
             CREATE TRIGGER full_disk BEFORE {statement} ON {table} FOR EACH ROW EXECUTE FUNCTION full_disk();"
        )
    } else {
        format!(
            "CREATE TRIGGER full_disk BEFORE {statement} ON {table}
             BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END;"
        )
    };
    execute(&app.database, &sql).await;
}

#[tokio::test]
async fn a_revocation_whose_message_cannot_be_kept_is_done_and_says_so() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let (saif, mara) = (app.user("saif").await, app.user("mara").await);
    let asked = async |id: &str| {
        let path = format!("/admin/sessions/{id}");
        let page = browser.get(&path).await.expect_status(200);
        let asked = browser.submit(&page.form(&format!("{path}/revoke"))).await.expect_status(200);
        asked.form(&format!("{path}/revoke"))
    };
    let (first, second) = (asked(&saif.session_id).await, asked(&mara.session_id).await);
    // A message waits for the next page.
    browser.submit(&first).await.expect_status(303);
    fill_for(&app, "UPDATE OF state", "console_sessions").await;
    browser.submit(&second).await.expect_redirect(&format!("/admin/sessions/{}", mara.session_id));
    mara.profile().await.expect_problem(401, "invalid_token");
    // It cannot be taken away, and is shown all the same.
    for _ in 0..2 {
        let page = browser.get("/admin/users").await.expect_status(200);
        assert_eq!(page.texts(".flash"), ["✓ The session was revoked."]);
    }
}

#[tokio::test]
async fn everybodys_sessions_can_be_revoked_by_an_admin_who_has_to_sign_in_first() {
    let app = TestApp::with(&[("BALLAST_MB", "1")]).await;
    let Database::Sqlite(folder) = &*app.database else {
        // Postgres has no room that is kept for some.
        return;
    };
    let old = app.console("root").await;
    let saif = app.user("saif").await;
    let ballast = folder.path().join("relatch.db.ballast");
    assert!(ballast.is_file());
    fill_for(&app, "INSERT", "users").await;
    app.register("mara").await.expect_problem(503, "storage_full");
    // There is no room to make it again.
    std::fs::create_dir(&ballast).unwrap();
    std::fs::write(ballast.join("in the way"), "").unwrap();
    app.login("saif", PASSWORD).await.expect_problem(503, "storage_full");
    let refused = Browser::new(&app).sign_in("saif").await;
    assert_eq!(refused.status, 503, "{refused:?}");
    // A program of the admin's that goes on trying must not keep them out of the console, where they are needed.
    for _ in 0..6 {
        app.login("root", PASSWORD).await.expect_problem(503, "storage_full");
    }

    let browser = Browser::new(&app);
    browser.sign_in("root").await.expect_redirect("/admin");
    for browser in [&browser, &old] {
        browser.get("/admin").await.expect_status(200);
    }
    app.advance(Duration::from_secs(301));
    let action = "/admin/sessions/revoke-all";
    let page = browser.get("/admin/sessions").await.expect_status(200);
    let asked: Answer = browser.submit(&page.form(action)).await.expect_status(200);
    assert_eq!(asked.heading(), "Give your password again");
    let asked = browser.submit(&asked.form(action).with("confirm_password", PASSWORD)).await.expect_status(200);
    assert_eq!(asked.heading(), "Revoke everybody's sessions?");
    browser.submit(&asked.form(action).with("phrase", "REVOKE ALL")).await.expect_status(303);
    saif.profile().await.expect_problem(401, "invalid_token");
    old.get("/admin").await.expect_redirect("/admin/sign-in");
}
