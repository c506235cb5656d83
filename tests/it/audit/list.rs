//! `GET /api/audit-events`: its filters, and its pages in both directions.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, Person, TestApp, execute};

const PATH: &str = "/api/audit-events";

async fn rows(admin: &Person, query: &str) -> Vec<Value> {
    let answer = admin.get(&format!("{PATH}?limit=200&{query}")).await.expect_status(200);
    answer.json().as_array().unwrap().clone()
}

async fn kinds(admin: &Person, query: &str) -> Vec<String> {
    rows(admin, query).await.iter().map(|row| row["kind"].as_str().unwrap().to_owned()).collect()
}

/// The path and query of a neighbouring page.
fn link(app: &TestApp, answer: &Answer, relation: &str) -> Option<String> {
    let base = app.config.public_url.as_str().trim_end_matches('/');
    let wanted = format!(">; rel=\"{relation}\"");
    let mut links = answer.headers.get_all("link").iter().map(|link| link.to_str().unwrap());
    let found = links.find_map(|link| link.strip_prefix('<')?.strip_suffix(wanted.as_str()))?;
    Some(found.strip_prefix(base).unwrap().to_owned())
}

fn ids(answer: &Answer) -> Vec<i64> {
    answer.json().as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn every_filter_finds_what_it_says_and_nothing_else() {
    let app = TestApp::with(&[("TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    let (admin, user) = (app.admin("root").await, app.user("saif").await);
    app.advance(Duration::from_secs(60));
    let login = |address: &str, password: &str| {
        let body = json!({ "username": "SAIF", "password": password });
        app.request(Method::POST, "/api/auth/login").header("x-forwarded-for", address).json(&body)
    };
    let from_v4 = app.send(login("198.51.100.7", "wrong password")).await.expect_status(401);
    app.advance(Duration::from_secs(60));
    app.send(login("198.51.101.9", PASSWORD)).await.expect_status(200);
    app.send(login("2001:db8::7", "wrong password")).await.expect_status(401);
    admin.delete(&format!("/api/sessions/{}", user.session_id)).await.expect_status(204);

    let newest = rows(&admin, "").await;
    let event = &newest[0];
    assert_eq!(event["kind"], "session.revoked");
    assert_eq!(
        (&event["result"], &event["severity"], &event["actorKind"]),
        (&json!("succeeded"), &json!("info"), &json!("user"))
    );
    assert_eq!(event["actor"], json!({ "id": admin.id, "username": "root" }));
    assert_eq!(event["subject"], json!({ "id": user.id, "username": "saif" }));
    assert_eq!(event["sessionId"], user.session_id);
    assert_eq!(event["detail"], json!({ "reason": "ended_by_admin" }));
    assert_eq!(event["occurredAt"], app.now().to_string());
    assert_eq!(event["sealNumber"], Value::Null);

    let failed = ["login.failed", "login.failed"];
    for name in ["saif", "Saif", "saif@example.com", &user.id.to_string()] {
        assert_eq!(kinds(&admin, &format!("subject={name}&kind=login.failed")).await, failed, "{name}");
    }
    assert_eq!(kinds(&admin, "actor=root").await, ["session.revoked", "login.succeeded"]);
    assert_eq!(kinds(&admin, "actor=root&subject=saif").await, ["session.revoked"]);
    let of_session = kinds(&admin, &format!("session={}", user.session_id)).await;
    assert_eq!(of_session, ["session.revoked", "login.succeeded"]);
    assert_eq!(kinds(&admin, "kind=login.*").await.len(), 5);
    assert_eq!(kinds(&admin, "result=failed").await, failed);
    assert_eq!(kinds(&admin, "result=failed&kind=login.*&subject=saif").await, failed);
    assert_eq!(kinds(&admin, "address=198.51.100.7").await, ["login.failed"]);
    assert_eq!(kinds(&admin, "address=198.51.100.0/23").await, ["login.succeeded", "login.failed"]);
    assert_eq!(kinds(&admin, "address=198.51.100.0/23&result=failed").await, ["login.failed"]);
    assert_eq!(kinds(&admin, "address=2001:db8::/32").await, ["login.failed"]);
    assert_eq!(kinds(&admin, "address=0.0.0.0/0&kind=login.*").await.len(), 4);
    let request = from_v4.header("x-request-id");
    assert_eq!(kinds(&admin, &format!("requestId={request}")).await, ["login.failed"]);
    let minute_ago = app.now().before(Duration::from_secs(60));
    assert_eq!(kinds(&admin, &format!("from={minute_ago}&kind=login.failed")).await, failed);
    assert_eq!(kinds(&admin, &format!("to={minute_ago}&kind=login.failed")).await, [] as [String; 0]);
    assert_eq!(kinds(&admin, &format!("from={minute_ago}&to={}&kind=login.*", app.now())).await, ["login.failed"]);
    let today = &app.now().to_string()[..10];
    assert_eq!(rows(&admin, &format!("from={today}&to={today}")).await.len(), newest.len());
    assert_eq!(rows(&admin, "from=2001-01-01&to=2001-01-02&timeZone=%2B05:30").await.len(), 0);
    for nothing in [
        "actor=nobody",
        "subject=nobody@example.com",
        "actor=999",
        "subject=%00",
        "kind=login.succeeded&result=failed",
        "address=192.0.2.1",
        "address=192.0.2.0/24",
        "requestId=00000000-0000-0000-0000-000000000000",
        "session=00000000-0000-0000-0000-000000000000",
    ] {
        assert_eq!(rows(&admin, nothing).await.len(), 0, "{nothing}");
    }
    for (wrong, pointer) in [
        ("kind=login", "kind"),
        ("kind=", "kind"),
        ("result=good", "result"),
        ("address=here", "address"),
        ("session=1", "session"),
        ("requestId=x", "requestId"),
        ("from=yesterday", "from"),
        ("to=2026-02-30", "to"),
        ("timeZone=Europe/Berlin", "timeZone"),
        ("cursor=AAAA", "cursor"),
        ("limit=201", "limit"),
    ] {
        let query = if wrong.starts_with("limit") { wrong.to_owned() } else { format!("{wrong}&limit=10") };
        let answer = admin.get(&format!("{PATH}?{query}")).await.expect_problem(400, "validation_failed");
        assert!(answer.text.contains(pointer), "{wrong}: {answer:?}");
    }
}

#[tokio::test]
async fn names_are_those_of_today_and_ids_outlive_their_accounts() {
    let app = TestApp::start().await;
    let (admin, user) = (app.admin("root").await, app.user("saif").await);
    execute(&app.database, &format!("DELETE FROM users WHERE id = {}", user.id)).await;
    let found = rows(&admin, &format!("subject={}", user.id)).await;
    assert_eq!(found.len(), 2);
    assert_eq!(found[0]["subject"], json!({ "id": user.id, "username": null }));
    // What somebody wrote beside the server is shown, whatever it is.
    execute(&app.database, "UPDATE audit_events SET detail = 'no JSON', kind = 'made.up'").await;
    assert_eq!(rows(&admin, "").await[0]["detail"], "no JSON");
}

#[tokio::test]
async fn l15_pages_lead_through_all_events_and_back_over_any_number_at_the_same_time() {
    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    let admin = app.admin("root").await;
    app.user("saif").await;
    for minute in 0..5 {
        for _ in 0..5 {
            app.login("saif", "wrong password").await.expect_status(401);
        }
        if minute % 2 == 0 {
            app.advance(Duration::from_secs(60));
        }
    }
    for filter in ["", "&kind=login.failed", "&kind=login.*", "&subject=saif&result=failed", "&address=127.0.0.0/8"] {
        let whole: Vec<_> =
            rows(&admin, &filter[filter.len().min(1)..]).await.iter().map(|row| row["id"].as_i64().unwrap()).collect();
        assert!(whole.len() >= 25);
        let mut answer = admin.get(&format!("{PATH}?limit=4{filter}")).await.expect_status(200);
        assert_eq!(link(&app, &answer, "prev"), None);
        let mut pages = vec![ids(&answer)];
        while let Some(next) = link(&app, &answer, "next") {
            answer = admin.get(&next).await.expect_status(200);
            pages.push(ids(&answer));
        }
        assert_eq!(pages.concat(), whole, "{filter}");
        let mut back = vec![pages.last().unwrap().clone()];
        while let Some(previous) = link(&app, &answer, "prev") {
            answer = admin.get(&previous).await.expect_status(200);
            back.insert(0, ids(&answer));
        }
        // Going back ends at the newest, with what is left over there.
        assert_eq!(back.concat(), whole, "{filter}");
    }
    // What comes later does not move the pages.
    let first = admin.get(&format!("{PATH}?limit=4")).await;
    let next = link(&app, &first, "next").unwrap();
    let second = ids(&admin.get(&next).await);
    app.login("saif", "wrong password").await.expect_status(401);
    assert_eq!(ids(&admin.get(&next).await), second);
}

/// Events of two kinds by two users, by turns: each part of a filter has many, and yet none has both, but one that is
/// older than the others.
pub async fn fill_by_turns(app: &TestApp, count: i64) {
    let numbers = if app.database.is_postgres() {
        format!("generate_series(1::bigint, {count}) AS g(n)")
    } else {
        format!("(WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < {count}) SELECT n FROM g)")
    };
    let sql = format!(
        "INSERT INTO audit_events (occurred_at, kind, severity, result, actor_kind, actor_user_id, detail)
         SELECT 1600000000000000 + n, CASE WHEN n % 2 = 0 OR n = 1 THEN 'user.updated' ELSE 'user.enabled' END, 'info',
            'succeeded', 'user', CASE WHEN n % 2 = 0 THEN 900 ELSE 901 END, '{{}}' FROM {numbers}"
    );
    execute(&app.database, &sql).await;
}

#[tokio::test]
async fn where_each_part_of_a_filter_has_many_a_page_looks_at_so_many_and_leads_on() {
    use relatch::auth::audit::export::Export;
    use relatch::auth::audit::list::{EventQuery, LOOK_AT, list_events};
    use relatch::domain::audit::Kind;
    let app = TestApp::start().await;
    // Of each of the two nearly three times as many as are looked at.
    fill_by_turns(&app, LOOK_AT * 6 - 10).await;
    let auth = app.app.auth();
    for kinds in [vec![Kind::UserUpdated], vec![Kind::UserUpdated, Kind::UserPurged]] {
        let query = EventQuery { actor: Some("901".to_owned()), kinds: Some(kinds), ..EventQuery::default() };
        let (mut cursor, mut pages) = (None, Vec::new());
        loop {
            let page = list_events(auth, query.clone(), cursor.as_deref(), 10).await.unwrap();
            assert_eq!(page.previous.is_some(), cursor.is_some());
            pages.push((page.events.len(), page.looked_to.is_some()));
            if page.next.is_none() {
                break;
            }
            cursor = page.next;
        }
        assert_eq!(pages, [(0, true), (0, true), (1, false)], "{query:?}");
        // And back, by way of the pages that were empty.
        let mut back = Vec::new();
        let mut page = list_events(auth, query.clone(), cursor.as_deref(), 10).await.unwrap();
        while let Some(previous) = page.previous {
            page = list_events(auth, query.clone(), Some(&previous), 10).await.unwrap();
            back.push((page.events.len(), page.looked_to.is_some()));
        }
        assert_eq!(back.iter().map(|(found, _)| found).sum::<usize>(), 0, "{back:?}");
        assert!(back.len() >= 2 && !back.last().unwrap().1, "{back:?}");
        let mut export = Export::begin(auth, query);
        let exported = export.next(auth).await.unwrap();
        assert_eq!(exported.len(), 1);
        assert!(export.next(auth).await.unwrap().is_empty());
    }
}
