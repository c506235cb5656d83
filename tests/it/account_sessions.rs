//! Sessions as lists: what users see and end of their own, and admins of anybody's.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::accounts::{each, next_page};
use crate::harness::{Answer, PASSWORD, Person, TestApp};

const OWN: &str = "/api/users/me/sessions";

async fn sign_in_with(app: &TestApp, username: &str, agent: &str) -> Person {
    let body = json!({ "username": username, "password": PASSWORD });
    let request = app.request(Method::POST, "/api/auth/login").header("user-agent", agent).json(&body);
    Person::of_pair(app, &app.send(request).await.expect_status(200))
}

async fn refresh_with(app: &TestApp, token: &str, agent: &str) -> Answer {
    let request = app.request(Method::POST, "/api/auth/refresh-token").header("user-agent", agent).json(&json!(token));
    app.send(request).await.expect_status(200)
}

fn ids(answer: &Answer) -> Vec<String> {
    each(answer, "id").iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn m9_users_see_their_own_live_sessions_and_nothing_that_a_token_could_be_made_of() {
    let app = TestApp::start().await;
    app.user("other").await;
    app.register("saif").await.expect_status(201);
    let began = app.now();
    let phone = sign_in_with(&app, "saif", "phone").await;
    app.advance(Duration::from_secs(60));
    let laptop = sign_in_with(&app, "saif", "laptop").await;
    app.advance(Duration::from_secs(60));
    let refreshed = refresh_with(&app, &phone.refresh_token, "phone 2").await;
    let answer = laptop.get(OWN).await.expect_status(200);
    let life = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
    let expected = json!([
        {
            "id": laptop.session_id, "userId": laptop.id, "kind": "api", "state": "live", "generation": 1, "current": true,
            "createdAt": began.after(Duration::from_secs(60)).to_string(), "createdIp": "127.0.0.1",
            "lastUsedAt": began.after(Duration::from_secs(60)).to_string(), "lastUsedIp": "127.0.0.1",
            "userAgent": "laptop", "idleExpiresAt": began.after(Duration::from_secs(60) + life(7)).to_string(),
            "expiresAt": began.after(Duration::from_secs(60) + life(90)).to_string(),
        },
        {
            "id": phone.session_id, "userId": phone.id, "kind": "api", "state": "live", "generation": 2, "current": false,
            "createdAt": began.to_string(), "createdIp": "127.0.0.1",
            "lastUsedAt": app.now().to_string(), "lastUsedIp": "127.0.0.1",
            "userAgent": "phone 2", "idleExpiresAt": app.now().after(life(7)).to_string(),
            "expiresAt": began.after(life(90)).to_string(),
        },
    ]);
    assert_eq!(answer.json(), expected);
    for secret in [&phone.refresh_token, &laptop.refresh_token, &refreshed.text_at("refreshToken"), "rlr_"] {
        assert!(!answer.text.contains(secret));
    }
    assert_eq!(ids(&phone.get(OWN).await.expect_status(200)), ids(&answer));
    // What has ended or expired is not listed.
    phone.post_nothing("/api/auth/logout").await.expect_status(204);
    assert_eq!(ids(&laptop.get(OWN).await.expect_status(200)), [laptop.session_id.as_str()]);
    app.advance(life(7));
    let fresh = app.sign_in("saif").await;
    assert_eq!(ids(&fresh.get(OWN).await.expect_status(200)), [fresh.session_id.as_str()]);
}

#[tokio::test]
async fn m9_users_end_their_own_sessions_and_nobody_elses() {
    let app = TestApp::start().await;
    let (other, admin) = (app.user("other").await, app.admin("root").await);
    let first = app.user("saif").await;
    let (second, third) = (app.sign_in("saif").await, app.sign_in("saif").await);
    let path = |person: &Person| format!("{OWN}/{}", person.session_id);
    for theirs in [&other, &admin] {
        first.delete(&path(theirs)).await.expect_problem(404, "not_found");
        theirs.profile().await.expect_status(200);
        app.refresh(&theirs.refresh_token).await.expect_status(200);
    }
    // Not even an admin, here.
    admin.delete(&path(&first)).await.expect_problem(404, "not_found");
    first.delete(&format!("{OWN}/6f9619ff-8b86-d011-b42d-00c04fc964ff")).await.expect_problem(404, "not_found");
    for _ in 0..2 {
        first.delete(&path(&second)).await.expect_status(204);
        second.profile().await.expect_problem(401, "invalid_token");
        app.refresh(&second.refresh_token).await.expect_problem(401, "session_revoked");
        third.profile().await.expect_status(200);
    }
    let ended = admin.get(&format!("/api/sessions/{}", second.session_id)).await.expect_status(200).json();
    assert_eq!((&ended["endReason"], &ended["endedBy"]), (&json!("ended_by_user"), &json!(first.id)));
    // The one that asks, too.
    first.delete(&path(&first)).await.expect_status(204);
    first.profile().await.expect_problem(401, "invalid_token");
    third.profile().await.expect_status(200);
    third.post_nothing("/api/auth/logout-all").await.expect_status(204);
    third.profile().await.expect_problem(401, "invalid_token");
    other.profile().await.expect_status(200);
}

#[tokio::test]
async fn m8_admins_end_one_session_or_all_of_a_user_at_once_and_twice_with_the_same_result() {
    let app = TestApp::start().await;
    let (admin, other) = (app.admin("root").await, app.user("other").await);
    let first = app.user("saif").await;
    let (second, third) = (app.sign_in("saif").await, app.sign_in("saif").await);
    let path = format!("/api/sessions/{}", first.session_id);
    admin.delete(&path).await.expect_status(204);
    first.profile().await.expect_problem(401, "invalid_token");
    app.refresh(&first.refresh_token).await.expect_problem(401, "session_revoked");
    second.profile().await.expect_status(200);
    let ended = admin.get(&path).await.expect_status(200).json();
    assert_eq!((&ended["state"], &ended["endReason"]), (&json!("ended"), &json!("ended_by_admin")));
    assert_eq!((&ended["endedBy"], &ended["endedAt"]), (&json!(admin.id), &json!(app.now().to_string())));
    app.advance(Duration::from_secs(60));
    admin.delete(&path).await.expect_status(204);
    assert_eq!(admin.get(&path).await.expect_status(200).json(), ended, "the first end stands");
    let all = format!("/api/users/{}/sessions", first.id);
    for _ in 0..2 {
        admin.delete(&all).await.expect_status(204);
        for person in [&second, &third] {
            person.profile().await.expect_problem(401, "invalid_token");
            app.refresh(&person.refresh_token).await.expect_problem(401, "session_revoked");
        }
        assert_eq!(admin.get(&all).await.expect_status(200).json(), json!([]));
    }
    assert_eq!(admin.get(&path).await.expect_status(200).json(), ended, "the first end stands");
    other.profile().await.expect_status(200);
    admin.profile().await.expect_status(200);
    // The account itself is as it was.
    app.sign_in("saif").await.profile().await.expect_status(200);
    for path in ["/api/users/4711/sessions", "/api/sessions/6f9619ff-8b86-d011-b42d-00c04fc964ff"] {
        admin.delete(path).await.expect_problem(404, "not_found");
        admin.get(path).await.expect_problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_session_is_shown_with_every_rotation_and_what_became_of_it() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    app.register("saif").await.expect_status(201);
    let began = app.now();
    let person = sign_in_with(&app, "saif", "one").await;
    app.advance(Duration::from_secs(60));
    let second = refresh_with(&app, &person.refresh_token, "two").await;
    app.advance(Duration::from_secs(60));
    // The same successor again is no rotation.
    let again = refresh_with(&app, &second.text_at("refreshToken"), "three").await;
    assert_eq!(
        refresh_with(&app, &second.text_at("refreshToken"), "four").await.text_at("refreshToken"),
        again.text_at("refreshToken")
    );
    let at = |minutes: u64| began.after(Duration::from_secs(minutes * 60)).to_string();
    let expires = |minutes: u64| began.after(Duration::from_secs(minutes * 60 + 7 * 24 * 60 * 60)).to_string();
    let rotation = |generation: u64, agent: &str, replaced: bool| {
        json!({
            "generation": generation, "createdAt": at(generation - 1), "createdIp": "127.0.0.1", "userAgent": agent,
            "expiresAt": expires(generation - 1),
            "revokedAt": if replaced { json!(at(generation)) } else { Value::Null },
            "revokedIp": if replaced { json!("127.0.0.1") } else { Value::Null },
            "replacedBy": if replaced { json!(generation + 1) } else { Value::Null },
        })
    };
    let path = format!("/api/sessions/{}", person.session_id);
    let shown = admin.get(&path).await.expect_status(200);
    let user = admin.get(&format!("/api/users/{}", person.id)).await.expect_status(200).json();
    let mut expected = json!({
        "id": person.session_id, "userId": person.id, "kind": "api", "state": "live", "generation": 3, "current": false,
        "createdAt": at(0), "createdIp": "127.0.0.1", "lastUsedAt": at(2), "lastUsedIp": "127.0.0.1",
        "userAgent": "three", "idleExpiresAt": expires(2),
        "expiresAt": began.after(Duration::from_secs(90 * 24 * 60 * 60)).to_string(),
        "user": user,
        "rotations": [rotation(1, "one", true), rotation(2, "two", true), rotation(3, "three", false)],
    });
    assert_eq!(shown.json(), expected);
    assert!(!shown.text.contains("rlr_"));
    // The end of the session is what revokes the last token; nothing replaces it.
    app.advance(Duration::from_secs(60));
    admin.delete(&path).await.expect_status(204);
    let ended = admin.get(&path).await.expect_status(200).json();
    expected["state"] = json!("ended");
    expected["endedAt"] = json!(at(3));
    expected["endReason"] = json!("ended_by_admin");
    expected["endedBy"] = json!(admin.id);
    expected["rotations"][2]["revokedAt"] = json!(at(3));
    expected["rotations"][2]["revokedIp"] = json!("127.0.0.1");
    assert_eq!(ended, expected);
}

#[tokio::test]
async fn l15_sessions_are_listed_newest_first_in_pages_while_more_begin() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let mut begun = vec![admin.session_id.clone()];
    app.register("saif").await.expect_status(201);
    for _ in 0..7 {
        app.advance(Duration::from_secs(1));
        begun.push(app.sign_in("saif").await.session_id);
    }
    begun.reverse();
    for (list, expected) in [("/api/sessions", begun.as_slice()), ("/api/users/2/sessions", &begun[..7])] {
        assert_eq!(ids(&admin.get(list).await.expect_status(200)), expected);
        let mut seen = Vec::new();
        let mut next = Some(format!("{list}?limit=3&state=all"));
        while let Some(path) = next {
            let page = admin.get(&path).await.expect_status(200);
            seen.extend(ids(&page));
            next = next_page(&app, &page);
            assert!(next.as_ref().is_none_or(|next| next.starts_with(list) && next.contains("state=all")), "{next:?}");
            // What begins meanwhile is before the first page; what ends stays where it is.
            app.advance(Duration::from_secs(1));
            let person = app.sign_in("saif").await;
            person.post_nothing("/api/auth/logout").await.expect_status(204);
        }
        let expected: Vec<String> = expected.to_vec();
        let old: Vec<String> = seen.into_iter().filter(|id| begun.contains(id)).collect();
        assert_eq!(old, expected, "each once, in order");
    }
    // Ended sessions are there only when asked for.
    assert_eq!(ids(&admin.get("/api/sessions?state=live").await.expect_status(200)), begun);
    let all = admin.get("/api/sessions?state=all&limit=200").await.expect_status(200);
    assert!(each(&all, "state").contains(&json!("ended")) && ids(&all).len() > begun.len());
    assert!(begun.iter().all(|id| ids(&all).contains(id)));
    for state in ["", "ended", "LIVE", "%00"] {
        let answer = admin.get(&format!("/api/sessions?state={state}")).await;
        assert_eq!(answer.expect_problem(400, "validation_failed").pointers(), ["?state"]);
    }
    // What has expired is no longer live, and is called so.
    app.advance(Duration::from_secs(8 * 24 * 60 * 60));
    let admin = app.sign_in("root").await;
    assert_eq!(ids(&admin.get("/api/sessions").await.expect_status(200)), [admin.session_id.as_str()]);
    let saif = admin.get("/api/users/2/sessions?state=all&limit=200").await.expect_status(200);
    assert_eq!(each(&saif, "state").iter().filter(|state| **state == "expired").count(), 7);
}
