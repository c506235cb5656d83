//! Ending many sessions at once by a filter.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use relatch::domain::client::Client;
use relatch::domain::session::EndReason;
use relatch::store::audit_events::unsealed;
use relatch::store::sessions::{BulkFilter, End, end_part, find_part};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, Person, TestApp, execute};

/// Signs somebody in from an address and with an agent.
async fn sign_in_from(app: &TestApp, username: &str, address: &str, agent: &str) -> Person {
    let request = app
        .request(Method::POST, "/api/auth/login")
        .header("x-forwarded-for", address)
        .header("user-agent", agent)
        .json(&json!({ "username": username, "password": PASSWORD }));
    Person::of_pair(app, &app.send(request).await.expect_status(200))
}

async fn revoke(admin: &Person, filter: &Value, dry_run: bool) -> Answer {
    admin.post("/api/sessions/revoke", &json!({ "filter": filter, "dryRun": dry_run })).await
}

#[tokio::test]
async fn every_part_of_a_filter_ends_what_it_matches_and_nothing_else() {
    let app = TestApp::with(&[("TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    app.admin("root").await;
    for name in ["one", "two", "three"] {
        app.register(name).await.expect_status(201);
    }
    let begin = async || {
        let one = sign_in_from(&app, "one", "198.51.100.7", "Alpha/1.0 (x)").await;
        app.advance(Duration::from_secs(60));
        let two = sign_in_from(&app, "two", "198.51.101.7", "Beta/2.0 100%").await;
        app.advance(Duration::from_secs(60));
        let three = sign_in_from(&app, "three", "2001:db8::7", "Gamma/3.0").await;
        [one, two, three]
    };
    for kind in 0..10 {
        let people = begin().await;
        let admin = app.sign_in("root").await;
        let ago = |seconds| app.now().before(Duration::from_secs(seconds)).to_string();
        let (filter, matches) = match kind {
            0 => (json!({ "userId": people[1].id }), [false, true, false]),
            1 => (json!({ "ip": "198.51.100.0/24" }), [true, false, false]),
            2 => (json!({ "ip": "198.51.100.0/23" }), [true, true, false]),
            3 => (json!({ "ip": "2001:db8::/32" }), [false, false, true]),
            4 => (json!({ "ip": "198.51.101.7" }), [false, true, false]),
            5 => (json!({ "userAgent": "0 100%" }), [false, true, false]),
            6 => (json!({ "userAgent": "gamma" }), [false, false, false]),
            7 => (json!({ "lastUsedBefore": ago(59), "role": "User" }), [true, true, false]),
            8 => (json!({ "createdBefore": ago(61), "role": "User" }), [true, false, false]),
            _ => (json!({ "ip": "198.51.100.0/23", "userAgent": "Alpha", "role": 1 }), [true, false, false]),
        };
        let expected = matches.iter().filter(|matches| **matches).count();
        let dry = revoke(&admin, &filter, true).await.expect_status(200).json();
        assert_eq!((dry["matched"].as_u64(), dry["revoked"].as_u64()), (Some(expected as u64), Some(0)), "{filter}");
        for person in &people {
            person.profile().await.expect_status(200);
        }
        let done = revoke(&admin, &filter, false).await.expect_status(200).json();
        assert_eq!(done["matched"], done["revoked"], "{filter}");
        assert_eq!(done["revoked"].as_u64(), Some(expected as u64), "{filter}");
        let effective_by = app.now().after(Duration::from_mins(15)).to_string();
        assert_eq!(done["effectiveBy"], effective_by);
        for (person, ended) in people.iter().zip(matches) {
            assert_eq!(person.profile().await.status, if ended { 401 } else { 200 }, "{filter}");
            let refreshed = app.refresh(&person.refresh_token).await;
            assert_eq!(refreshed.status, if ended { 401 } else { 200 }, "{filter}");
        }
        revoke(&admin, &json!({ "role": "User" }), false).await.expect_status(200);
    }
    let admin = app.sign_in("root").await;
    let everybody = revoke(&admin, &json!({ "all": true }), false).await.expect_status(200);
    assert_eq!(everybody.json()["revoked"], 12);
    admin.profile().await.expect_problem(401, "invalid_token");
}

#[tokio::test]
async fn a_filter_that_says_nothing_or_something_wrong_ends_nothing() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let user = app.user("saif").await;
    for (filter, pointer) in [
        (json!({}), "#/filter/all"),
        (json!({ "all": false }), "#/filter/all"),
        (json!({ "userAgent": "" }), "#/filter/all"),
        (json!({ "userid": 1 }), "#/filter/userid"),
        (json!({ "<script>/~\"": 1 }), "#/filter"),
        (json!({ ("a".repeat(1_000)): 1 }), "#/filter"),
        (json!({ "userId": "1" }), "#/filter/userId"),
        (json!({ "userId": 0 }), "#/filter/userId"),
        (json!({ "role": "Root" }), "#/filter/role"),
        (json!({ "ip": "198.51.100.0/33" }), "#/filter/ip"),
        (json!({ "lastUsedBefore": "yesterday" }), "#/filter/lastUsedBefore"),
        (json!({ "userAgent": "a\u{0}b" }), "#/filter/userAgent"),
    ] {
        let refused = revoke(&admin, &filter, false).await.expect_problem(400, "validation_failed");
        assert_eq!(refused.pointers(), [pointer], "{filter}");
    }
    admin.post("/api/sessions/revoke", &json!({})).await.expect_problem(400, "validation_failed");
    revoke(&user, &json!({ "all": true }), false).await.expect_problem(403, "insufficient_role");
    user.profile().await.expect_status(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_sessions_end_while_others_refresh() {
    const MANY: usize = 20_000;
    let app = std::sync::Arc::new(TestApp::with(&[("RATE_LIMITS", "off")]).await);
    let admin = app.admin("root").await;
    let user = app.user("saif").await;
    copy_session(&app, &user, MANY).await;
    app.advance(Duration::from_secs(1));

    let revoking = tokio::spawn({
        let (admin, id) = (admin.clone(), user.id);
        async move { revoke(&admin, &json!({ "userId": id }), false).await }
    });
    let mut token = app.sign_in("root").await.refresh_token;
    let mut others = 0;
    while !revoking.is_finished() {
        token = app.refresh(&token).await.expect_status(200).text_at("refreshToken");
        others += 1;
    }
    let done = revoking.await.unwrap().expect_status(200).json();
    assert_eq!(done["revoked"], MANY + 1);
    assert!(others > 0, "nobody else got through");
    user.profile().await.expect_problem(401, "invalid_token");
    let left = admin.get(&format!("/api/users/{}/sessions", user.id)).await.expect_status(200);
    assert_eq!(left.json(), json!([]));
}

#[tokio::test]
async fn what_a_filter_matches_is_looked_for_a_bounded_number_of_sessions_at_a_time() {
    let app = TestApp::with(&[("TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    let user = app.user("saif").await;
    copy_session(&app, &user, 950).await;
    app.register("rare").await.expect_status(201);
    let rare = sign_in_from(&app, "rare", "198.51.100.7", "Rare/1.0").await;
    let filter = BulkFilter { user_agent: Some("Rare".to_owned()), ..BulkFilter::default() };
    let (store, mut behind, mut parts, mut found) = (app.database.store(), None, 0, Vec::new());
    loop {
        let filter = filter.clone();
        let part = store.read(move |connection| find_part(connection, &filter, behind, 100)).await.unwrap();
        parts += 1;
        found.extend(part.ids);
        behind = part.more;
        if behind.is_none() {
            break;
        }
    }
    // Of 952 sessions.
    assert_eq!(parts, 10);
    let ids: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(ids, [rare.session_id.as_str()]);
    // What no longer matches when it is to be ended goes on.
    let now = app.now();
    let end = async |filter: BulkFilter| {
        let found = found.clone();
        let ended = store.write(move |connection| {
            let client = Client::default();
            let end = End { at: now, reason: EndReason::EndedByAdmin, by: None, client: &client };
            end_part(connection, &filter, &found, &end)
        });
        ended.await.unwrap()
    };
    assert_eq!(end(BulkFilter { user_agent: Some("Other".to_owned()), ..filter.clone() }).await, 0);
    rare.profile().await.expect_status(200);
    assert_eq!(end(filter.clone()).await, 1);
    assert_eq!(app.refresh(&rare.refresh_token).await.status, 401);
}

#[tokio::test]
async fn whoever_ends_everything_is_the_last_to_go() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let other = app.sign_in("root").await;
    let user = app.user("saif").await;
    copy_session(&app, &user, 1_500).await;
    let done = revoke(&admin, &json!({ "all": true }), false).await.expect_status(200);
    assert_eq!(done.json()["revoked"], 1_503);
    for person in [&admin, &other, &user] {
        person.profile().await.expect_problem(401, "invalid_token");
    }
}

/// What the trail says of bulk revocations, the oldest first.
async fn told(app: &TestApp) -> Vec<Value> {
    let events = app.database.store().read(|connection| unsealed(connection, i64::MAX)).await.unwrap();
    let bulk = events.iter().filter(|event| event.kind == "sessions.revoked");
    bulk.map(|event| serde_json::from_str(&event.detail).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_bulk_revocation_is_done_to_its_end_when_the_client_hangs_up_and_the_trail_says_so() {
    const MANY: usize = 20_000;
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let user = app.user("saif").await;
    copy_session(&app, &user, MANY).await;
    let body = json!({ "filter": { "userId": user.id } }).to_string();
    let mut stream = TcpStream::connect(app.address).unwrap();
    let request = format!(
        "POST /api/sessions/revoke HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        admin.access_token,
        body.len(),
    );
    stream.write_all(request.as_bytes()).unwrap();
    while told(&app).await.is_empty() {}
    drop(stream);
    let filter = json!({ "userId": user.id });
    assert_eq!(told(&app).await[0], json!({ "filter": filter, "matched": MANY + 1 }));
    let began = Instant::now();
    while told(&app).await.len() < 2 {
        assert!(began.elapsed() < Duration::from_secs(60), "it was given up half-way");
    }
    assert_eq!(told(&app).await[1..], [json!({ "filter": filter, "sessionsEnded": MANY + 1 })]);
    user.profile().await.expect_problem(401, "invalid_token");
}

/// Makes `count` copies of somebody's session.
pub async fn copy_session(app: &TestApp, user: &Person, count: usize) {
    let columns = "user_id, nonce_digest, generation, created_at, rotated_at, idle_expires_at, expires_at, \
                   window_started_at, window_generation";
    let (id, numbers) = if app.database.is_postgres() {
        ("decode(lpad(to_hex(n), 32, '0'), 'hex')", format!("generate_series(1, {count}) AS g(n)"))
    } else {
        let series = format!(
            "(WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < {count}) SELECT n FROM g)"
        );
        ("unhex(printf('%032x', n))", series)
    };
    let sql = format!(
        "INSERT INTO sessions (id, {columns}) SELECT {id}, {columns} FROM sessions, {numbers} WHERE user_id = {}",
        user.id
    );
    execute(&app.database, &sql).await;
}
