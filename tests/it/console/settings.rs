//! The settings page: what is in effect, where it comes from, and no secret.

use crate::harness::{SECRET_KEY, TestApp};

#[tokio::test]
async fn settings_show_what_is_in_effect_and_where_it_comes_from() {
    let app = TestApp::with(&[("JWT_AUDIENCE", "it's <b>mine</b>"), ("HISTORY_DAYS", "12")]).await;
    let page = app.console("root").await.get("/admin/settings").await.expect_status(200);
    let row = |name: &str| page.texts(&format!("tr#{name} td"))[1..3].to_vec();
    assert_eq!(row("HISTORY_DAYS"), ["12", "● environment"]);
    assert_eq!(row("SESSION_MAX_DAYS"), ["90", "default"]);
    assert_eq!(row("JWT_AUDIENCE"), ["it\\'s <b>mine</b>", "● environment"]);
    assert_eq!(row("METRICS_ADDR"), ["unset", "default"]);
    assert_eq!(row("JWT_KEY"), ["unset", "default"]);
    assert_eq!(row("SECRET_KEY"), ["set", "● environment"]);
    assert_eq!(page.texts("tbody tr").len(), relatch::config::VARIABLES.len());
    let dotenv = &page.texts("pre")[0];
    for line in ["HISTORY_DAYS=12", "# SESSION_MAX_DAYS=90", "JWT_AUDIENCE=\"it's <b>mine</b>\"", "BCRYPT_COST=4"] {
        assert!(dotenv.lines().any(|other| other == line), "{line}: {dotenv}");
    }
    assert!(dotenv.contains("# SECRET_KEY is set and not shown here"), "{dotenv}");
    assert!(!dotenv.contains("JWT_KEY"), "{dotenv}");
}

#[tokio::test]
async fn t1_settings_hold_no_secret() {
    let canary = "canary-of-thirty-two-bytes-and-more";
    let accepted = "Y2FuYXJ5LW9mLWFuLW9sZC1zZWNyZXQtb2YtMzItYnl0ZXM=";
    let variables = [("JWT_ALGORITHM", "HS256"), ("JWT_KEY", canary), ("SECRET_KEYS_ACCEPTED", accepted)];
    let app = TestApp::with(&variables).await;
    let browser = app.console("root").await;
    for path in ["/admin/settings", "/admin/keys"] {
        let page = browser.get(path).await.expect_status(200);
        for secret in [canary, accepted, SECRET_KEY, "canary-of"] {
            assert!(!page.text.contains(secret), "{path}: {secret}");
        }
    }
}
