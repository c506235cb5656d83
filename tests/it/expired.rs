//! Sessions that have expired: they are not ended once more, whoever ends what, and nobody counts them.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Person, TestApp};

/// What the API says of a session.
async fn shown(admin: &Person, session: &str) -> Value {
    admin.get(&format!("/api/sessions/{session}")).await.expect_status(200).json()
}

/// How many sessions the newest event with such a number says were ended.
async fn told(admin: &Person) -> Value {
    let events = admin.get("/api/audit-events?limit=20").await.expect_status(200).json();
    let numbers = events.as_array().unwrap().iter().map(|event| event["detail"]["sessionsEnded"].clone());
    numbers.into_iter().find(|number| !number.is_null()).unwrap_or_default()
}

#[tokio::test]
async fn what_expired_long_ago_is_not_ended_once_more_nor_counted() {
    let app = TestApp::start().await;
    app.admin("root").await;
    for way in 0..5 {
        let name = format!("saif{way}");
        let old = app.user(&name).await;
        app.advance(Duration::from_hours(8 * 24));
        let live = app.sign_in(&name).await;
        let admin = app.sign_in("root").await;
        let path = format!("/api/users/{}", old.id);
        let done: Answer = match way {
            0 => admin.delete(&format!("{path}/sessions")).await,
            1 => admin.post("/api/sessions/revoke", &json!({ "filter": { "userId": old.id } })).await,
            2 => admin.patch(&path, &json!({ "disabled": true })).await,
            3 => admin.delete(&path).await,
            _ => app.send(live.request(Method::POST, "/api/auth/logout-all")).await,
        };
        assert!(done.status < 300, "{done:?}");
        assert_eq!(told(&admin).await, 1, "way {way}");
        assert_eq!(shown(&admin, &live.session_id).await["state"], "ended", "way {way}");
        let shown = shown(&admin, &old.session_id).await;
        assert_eq!((&shown["state"], &shown["endedAt"]), (&json!("expired"), &Value::Null), "way {way}");
    }
}

#[tokio::test]
async fn one_expired_session_stays_as_it_is_and_one_that_just_expired_is_ended() {
    let app = TestApp::start().await;
    app.admin("root").await;
    // By another instance's clock it may still be live.
    for (late, state, events) in [(0, "ended", 1), (4, "ended", 1), (5, "expired", 0), (86_400, "expired", 0)] {
        let person = app.user(&format!("saif{late}")).await;
        app.advance(Duration::from_hours(7 * 24) + Duration::from_secs(late));
        let admin = app.sign_in("root").await;
        admin.delete(&format!("/api/sessions/{}", person.session_id)).await.expect_status(204);
        assert_eq!(shown(&admin, &person.session_id).await["state"], state, "{late}");
        let path = format!("/api/audit-events?kind=session.revoked&subject={}", person.id);
        let found = admin.get(&path).await.expect_status(200).json();
        assert_eq!(found.as_array().unwrap().len(), events, "{late}");
    }
}
