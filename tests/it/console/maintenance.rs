//! The maintenance page: the store's condition, and what can be done about it by hand.

use std::time::Duration;

use relatch::auth::audit::seal::Sealer;
use relatch::auth::backup::back_up;
use serde_json::Value;

use crate::harness::{Answer, SECRET_KEY, TestApp, execute};

/// The facts by their names.
fn fact(page: &Answer, name: &str) -> String {
    let (names, values) = (page.texts(".facts dt"), page.texts(".facts dd"));
    let at = names.iter().position(|other| other == name).unwrap_or_else(|| panic!("no {name}: {names:?}"));
    values[at].clone()
}

#[tokio::test]
async fn old_rows_are_deleted_by_hand_and_the_result_is_shown() {
    let app = TestApp::start().await;
    app.user("saif").await.post_nothing("/api/auth/logout").await.expect_status(204);
    app.advance(Duration::from_secs(31 * 86_400));
    let browser = app.console("root").await;
    let page = browser.get("/admin/maintenance").await.expect_status(200);
    assert!(fact(&page, "Last time").starts_with("never"), "{page:?}");
    assert_eq!(fact(&page, "Under way"), "no");
    browser.submit(&page.form("/admin/maintenance/prune")).await.expect_redirect("/admin/maintenance");
    let page = browser.get("/admin/maintenance").await.expect_status(200);
    assert_eq!(page.texts(".flash"), ["✓ Deleted: 1 session."]);
    assert_eq!(fact(&page, "Deleted then"), "1 sessions, 0 rotations, 0 users, 0 audit events");
    assert_eq!(page.attributes(".facts time", "datetime")[0], app.now().to_string());
    // While somebody else is at it, nothing is done twice.
    let until = app.now().after(Duration::from_secs(60));
    let holder = if app.database.is_postgres() { "'\\x07'" } else { "x'07'" };
    let sql =
        format!("INSERT INTO leases (name, holder, expires_at) VALUES ('pruning', {holder}, {})", until.as_micros());
    execute(&app.database, &sql).await;
    browser.submit(&page.form("/admin/maintenance/prune")).await.expect_redirect("/admin/maintenance");
    let page = browser.get("/admin/maintenance").await.expect_status(200);
    assert!(page.texts(".flash")[0].contains("already"), "{page:?}");
    assert!(fact(&page, "Under way").starts_with("by "), "{page:?}");
    app.advance(Duration::from_secs(31 * 60));
    let browser = crate::harness::Browser::new(&app);
    browser.sign_in("root").await.expect_redirect("/admin");
    let page = browser.get("/admin/maintenance").await.expect_status(200);
    assert!(fact(&page, "Last time").ends_with("late") && fact(&page, "Under way") == "no", "{page:?}");
}

#[tokio::test]
async fn the_store_tells_its_condition() {
    let app = TestApp::with(&[("BALLAST_MB", "1"), ("DATABASE_CONNECTIONS", "7")]).await;
    let browser = app.console("root").await;
    let page = browser.get("/admin/maintenance").await.expect_status(200);
    let migrations = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite")).unwrap().count();
    assert!(fact(&page, "Migrations").starts_with(&format!("{migrations} applied, the newest is 20")), "{page:?}");
    assert!(fact(&page, "Connections").ends_with(" open, 7 at most"), "{page:?}");
    if app.database.is_postgres() {
        assert!(fact(&page, "Database").starts_with("PostgreSQL "), "{page:?}");
        assert!(fact(&page, "Clock").ends_with(" ms off the database's"), "{page:?}");
    } else {
        assert!(fact(&page, "Database").starts_with("SQLite 3."), "{page:?}");
        assert_eq!(fact(&page, "Ballast"), "1.0 MiB, kept free for revocations");
        assert!(fact(&page, "Disk").ends_with(" are left"), "{page:?}");
    }
    let unsealed: usize = fact(&page, "Not yet sealed").parse().unwrap();
    assert!(unsealed >= 3, "{page:?}");
    Sealer::draw().unwrap().seal(app.app.auth()).await.unwrap().unwrap();
    let page = browser.get("/admin/maintenance").await.expect_status(200);
    assert_eq!(fact(&page, "Not yet sealed"), "0");
    let sealed = fact(&page, "Sealed");
    assert!(sealed.starts_with(&format!("{unsealed} events, the newest of ")), "{sealed}");
}

#[tokio::test]
async fn the_store_is_looked_through_for_damage() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let page = browser.get("/admin/maintenance").await.expect_status(200);
    assert!(page.texts("section p").iter().any(|text| text.contains("not looked since its start")), "{page:?}");
    browser.submit(&page.form("/admin/maintenance/check")).await.expect_redirect("/admin/maintenance");
    let page = browser.get("/admin/maintenance").await.expect_status(200);
    assert_eq!(page.texts(".flash"), ["✓ No damage was found."]);
    assert_eq!(page.texts("#integrity ~ p .badge.good"), ["✓ no damage found"]);
    if app.database.is_postgres() {
        return;
    }
    // Two tables on the same pages.
    let damage = "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'audit_days') \
        WHERE name = 'rollups'";
    execute(&app.database, &format!("PRAGMA writable_schema = ON; {damage}; PRAGMA writable_schema = OFF")).await;
    let app = app.restart(&[]).await;
    let browser = crate::harness::Browser::new(&app);
    browser.sign_in("root").await.expect_redirect("/admin");
    let page = browser.get("/admin/maintenance").await.expect_status(200);
    browser.submit(&page.form("/admin/maintenance/check")).await.expect_redirect("/admin/maintenance");
    let page = browser.get("/admin/maintenance").await.expect_status(200);
    assert!(page.texts(".flash.bad")[0].contains("The store is damaged."), "{page:?}");
    assert!(!page.texts("#integrity ~ ul li").is_empty(), "{page:?}");
}

#[tokio::test]
async fn the_store_remembers_its_last_backup_and_one_that_failed() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    if app.database.is_postgres() {
        let page = browser.get("/admin/maintenance").await.expect_status(200);
        assert!(fact(&page, "Backup").contains("tools of Postgres"), "{page:?}");
        return;
    }
    let page = browser.get("/admin/maintenance").await.expect_status(200);
    assert!(fact(&page, "Backup").starts_with("none"), "{page:?}");
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("copy.db");
    let bytes = back_up(&app.config, &target, &*app.clock).unwrap();
    assert_eq!(bytes, std::fs::metadata(&target).unwrap().len());
    let made = app.now().to_string();
    let page = browser.get("/admin/maintenance").await.expect_status(200);
    assert!(page.attributes("#store ~ dl time", "datetime").contains(&made), "{page:?}");
    assert!(!page.texts(".facts dt").contains(&"Failed backup".to_owned()), "{page:?}");
    app.advance(Duration::from_secs(60));
    back_up(&app.config, &target, &*app.clock).unwrap_err();
    let page = browser.get("/admin/maintenance").await.expect_status(200);
    assert!(fact(&page, "Failed backup").contains("there is a file already"), "{page:?}");
    assert!(page.attributes("#store ~ dl time", "datetime").contains(&made), "{page:?}");
    app.advance(Duration::from_secs(60));
    back_up(&app.config, &folder.path().join("next.db"), &*app.clock).unwrap();
    let page = browser.get("/admin/maintenance").await.expect_status(200);
    assert!(!page.texts(".facts dt").contains(&"Failed backup".to_owned()), "{page:?}");
    // A week later it is an old one.
    app.advance(Duration::from_secs(8 * 86_400));
    let browser = crate::harness::Browser::new(&app);
    browser.sign_in("root").await.expect_redirect("/admin");
    let texts = browser.get("/admin").await.texts(".attention bdi");
    assert!(texts.contains(&"The last backup is 8 days old.".to_owned()), "{texts:?}");
}

#[tokio::test]
async fn diagnostics_are_a_file_with_everything_but_secrets() {
    let app = TestApp::start().await;
    let browser = app.console("root").await;
    let file = browser.get("/admin/maintenance/diagnostics").await.expect_status(200);
    assert_eq!(file.header("content-type"), "application/json");
    assert!(file.header("content-disposition").starts_with("attachment; filename=\"relatch-"), "{file:?}");
    assert_eq!((file.header("cache-control"), file.header("x-content-type-options")), ("no-store", "nosniff"));
    let value: Value = serde_json::from_str(&file.text).unwrap();
    assert_eq!(value["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(value["settings"].as_array().unwrap().len(), relatch::config::VARIABLES.len());
    assert_eq!(value["pruning"], Value::Null);
    assert!(!file.text.contains(SECRET_KEY));
}
