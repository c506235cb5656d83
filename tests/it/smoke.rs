//! The shortest way through everything.

use crate::harness::{PASSWORD, TestApp};

#[tokio::test]
async fn somebody_registers_signs_in_refreshes_and_signs_out() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    person.profile().await.expect_status(200);
    app.login("saif@example.com", PASSWORD).await.expect_status(200);
    let pair = app.refresh(&person.refresh_token).await.expect_status(200);
    assert_eq!(pair.text_at("sessionId"), person.session_id);
    person.post_nothing("/api/auth/logout").await.expect_status(204);
    person.profile().await.expect_problem(401, "invalid_token");
    app.refresh(&pair.text_at("refreshToken")).await.expect_problem(401, "session_revoked");
}
