//! Revocations and what the lists say of them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::verifier::{Refusal, Verifier, place_of, status, unverified};
use super::{expect_new_lists, expect_revoked, list_of, says};
use crate::harness::{Answer, Binary, Database, PASSWORD, TestApp};

const ROUNDS: usize = 100;

#[tokio::test]
async fn i6_whatever_ends_a_session_is_in_its_list_and_nothing_else_is() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let bystander = app.user("bystander").await;
    for way in 0..7 {
        let name = format!("user{way}");
        let (person, other) = (app.user(&name).await, app.sign_in(&name).await);
        assert_eq!((says(&app, &person.access_token).await, says(&app, &other.access_token).await), (0, 0));
        let path = format!("/api/users/{}", person.id);
        let (done, other_goes_on) = match way {
            0 => (person.post_nothing("/api/auth/logout").await, true),
            1 => (app.post("/api/auth/revoke-token", &json!(person.refresh_token)).await, true),
            2 => (admin.delete(&format!("/api/sessions/{}", person.session_id)).await, true),
            3 => (person.post_nothing("/api/auth/logout-all").await, false),
            4 => (admin.patch(&path, &json!({ "disabled": true })).await, false),
            5 => (admin.delete(&path).await, false),
            _ => {
                let body = json!({ "currentPassword": PASSWORD, "newPassword": "another fine one" });
                (person.post("/api/users/password", &body).await, false)
            }
        };
        assert!((200..300).contains(&done.status), "{way}: {done:?}");
        expect_revoked(&app, &person.access_token).await;
        assert_eq!(says(&app, &other.access_token).await, u8::from(!other_goes_on), "{way}");
        if way == 6 {
            assert_eq!(says(&app, &done.text_at("jwtToken")).await, 0);
        }
    }
    for token in [&bystander.access_token, &admin.access_token] {
        assert_eq!(says(&app, token).await, 0);
    }
}

#[tokio::test]
async fn i6_theft_and_too_many_sessions_are_in_the_list_and_so_is_everybody() {
    let app = TestApp::with(&[("MAX_SESSIONS_PER_USER", "2"), ("REFRESH_GRACE_SECONDS", "0")]).await;
    let admin = app.admin("root").await;
    let stolen = app.user("stolen").await;
    app.refresh(&stolen.refresh_token).await.expect_status(200);
    app.refresh(&stolen.refresh_token).await.expect_problem(401, "refresh_token_reused");
    expect_revoked(&app, &stolen.access_token).await;
    let oldest = app.user("many").await;
    app.advance(Duration::from_secs(1));
    app.sign_in("many").await;
    app.advance(Duration::from_secs(1));
    let newest = app.sign_in("many").await;
    expect_revoked(&app, &oldest.access_token).await;
    assert_eq!(says(&app, &newest.access_token).await, 0);
    let all = json!({ "filter": { "all": true } });
    admin.post("/api/sessions/revoke", &all).await.expect_status(200);
    expect_revoked(&app, &newest.access_token).await;
}

#[tokio::test]
async fn i6_a_token_that_has_expired_is_refused_whatever_the_list_says() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    let list = list_of(&app, &person.access_token).await.text;
    let verifier = Verifier::of(&app).await;
    let exp = unverified(&person.access_token)["exp"].as_i64().unwrap();
    let fetch = async |_: &str| list.clone();
    assert_eq!(verifier.check(&person.access_token, exp, fetch).await, Err(Refusal::Token));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn i6_a_verifier_refuses_what_another_instance_revoked_within_the_time_that_is_promised() {
    let database = Arc::new(Database::create());
    let first = TestApp::on(Arc::clone(&database), &[]).await;
    let second = TestApp::on_at(database, &[], Arc::clone(&first.clock)).await;
    let verifier = Verifier::of(&first).await;
    for round in 0..3 {
        let person = first.user(&format!("user{round}")).await;
        let check = async || {
            let list = list_of(&second, &person.access_token).await.expect_status(200).text;
            verifier.check(&person.access_token, first.now().as_seconds(), async |_: &str| list).await
        };
        assert_eq!(check().await, Ok(()));
        person.post_nothing("/api/auth/logout").await.expect_status(204);
        expect_revoked(&second, &person.access_token).await;
        assert_eq!(check().await, Err(Refusal::Revoked));
    }
}

#[tokio::test]
async fn a_server_that_begins_knows_what_was_revoked_before_and_an_hour_later_nobody_needs_to() {
    let app = TestApp::start().await;
    let (ended, promoted, kept) = (app.user("ended").await, app.user("promoted").await, app.user("kept").await);
    let admin = app.admin("root").await;
    ended.post_nothing("/api/auth/logout").await.expect_status(204);
    let path = format!("/api/users/{}", promoted.id);
    admin.patch(&path, &json!({ "role": "Admin" })).await.expect_status(200);
    let app = app.restart(&[]).await;
    for (token, expected) in [(&ended.access_token, 1), (&promoted.access_token, 1), (&kept.access_token, 0)] {
        assert_eq!(says(&app, token).await, expected);
    }
    // Even where tokens were given a longer life than they have now.
    app.advance(Duration::from_mins(59));
    let app = app.restart(&[("JWT_TOKEN_EXPIRATION_MINUTES", "1")]).await;
    assert_eq!(says(&app, &ended.access_token).await, 1);
    app.advance(Duration::from_mins(10));
    let app = app.restart(&[]).await;
    assert_eq!(says(&app, &ended.access_token).await, 0, "every token of it has expired");
}

#[tokio::test]
async fn a_new_role_revokes_the_tokens_that_say_the_old_one_and_no_session() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let (person, other) = (app.user("saif").await, app.sign_in("saif").await);
    let bystander = app.user("bystander").await;
    let path = format!("/api/users/{}", person.id);
    admin.patch(&path, &json!({ "email": "new@example.com" })).await.expect_status(200);
    expect_new_lists().await;
    assert_eq!(says(&app, &person.access_token).await, 0, "an address is no right");
    admin.patch(&path, &json!({ "role": "Admin" })).await.expect_status(200);
    expect_revoked(&app, &person.access_token).await;
    expect_revoked(&app, &other.access_token).await;
    let first = app.refresh(&person.refresh_token).await.expect_status(200);
    let again = app.refresh(&person.refresh_token).await.expect_status(200);
    let next = app.refresh(&first.text_at("refreshToken")).await.expect_status(200);
    for answer in [&first, &again, &next] {
        let claims = unverified(&answer.text_at("jwtToken"));
        assert_eq!(claims["role"], "Admin");
        assert_eq!(place_of(&claims), place_of(&unverified(&first.text_at("jwtToken"))));
        assert_ne!(place_of(&claims), place_of(&unverified(&person.access_token)));
    }
    // And once more: the place that was new is revoked in its turn.
    admin.patch(&path, &json!({ "role": "User" })).await.expect_status(200);
    expect_revoked(&app, &next.text_at("jwtToken")).await;
    let last = app.refresh(&next.text_at("refreshToken")).await.expect_status(200).text_at("jwtToken");
    expect_new_lists().await;
    assert_eq!((says(&app, &last).await, says(&app, &bystander.access_token).await), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn m12_no_token_with_an_old_role_stays_valid_in_the_lists_however_refreshes_and_the_change_meet() {
    let database = Arc::new(Database::create());
    let variables = [("RATE_LIMITS", "off")];
    let app = Arc::new(TestApp::on(Arc::clone(&database), &variables).await);
    let second = Arc::new(TestApp::on_at(database, &variables, Arc::clone(&app.clock)).await);
    let admin = app.admin("root").await;
    let mut obtained: Vec<Answer> = Vec::new();
    for round in 0..ROUNDS {
        let name = format!("racer{round}");
        let person = app.user(&name).await;
        // One signs in, one refreshes again and again, and one refreshes a session that has lost its place before.
        let starts = [None, Some(person.refresh_token.clone()), Some(app.sign_in(&name).await.refresh_token)];
        let barrier = Arc::new(Barrier::new(starts.len() + 1));
        let mut racers = JoinSet::new();
        for (number, start) in starts.into_iter().enumerate() {
            let (app, barrier, name) =
                (Arc::clone(if number % 2 == 0 { &app } else { &second }), Arc::clone(&barrier), name.clone());
            racers.spawn(async move {
                barrier.wait().await;
                let mut token = start;
                let mut pairs = Vec::new();
                for _ in 0..4 {
                    let answer = match &token {
                        None => app.login(&name, PASSWORD).await,
                        Some(token) => app.refresh(token).await,
                    };
                    // Who signs in while everything changes is asked to do so again.
                    if token.is_none() && answer.status != 200 {
                        continue;
                    }
                    let answer = answer.expect_status(200);
                    token = token.map(|_| answer.text_at("refreshToken"));
                    pairs.push(answer);
                }
                pairs
            });
        }
        let path = format!("/api/users/{}", person.id);
        barrier.wait().await;
        for role in ["Admin", "User", "Admin"] {
            admin.patch(&path, &json!({ "role": role })).await.expect_status(200);
        }
        obtained.extend(racers.join_all().await.into_iter().flatten());
    }
    expect_new_lists().await;
    expect_new_lists().await;
    let list = unverified(&list_of(&app, &admin.access_token).await.expect_status(200).text);
    let (mut old, mut new) = (0, 0);
    for answer in &obtained {
        let claims = unverified(&answer.text_at("jwtToken"));
        let (_, place) = place_of(&claims).expect("a place");
        // Versions are counted from 1, and each change of the role is one more.
        let is_old = claims["ver"].as_i64().unwrap() < 4;
        let says = status(&list["status_list"], place).unwrap();
        assert_eq!(says, u8::from(is_old), "{claims}");
        assert!(is_old || claims["role"] == "Admin", "{claims}");
        *(if is_old { &mut old } else { &mut new }) += 1;
    }
    assert!(old > 0 && new > 0, "{old} before the change and {new} after it are no race");
}

#[tokio::test]
async fn a_store_that_went_back_in_time_gives_no_place_again() {
    if Database::create().is_postgres() {
        let binary = Binary::new();
        let server = binary.serve();
        let before = register_and_sign_in(&server, "saif").await;
        server.terminate();
        assert_eq!(binary.run(&["session", "revoke", "--all"]).code, 0);
        let server = binary.serve();
        let after = sign_in(&server, "saif").await;
        assert_ne!(list_in(&before), list_in(&after));
        return;
    }
    let binary = Binary::unconfigured().set("INSECURE_DEVELOPMENT", "on").set("BCRYPT_COST", "4");
    let server = binary.serve();
    let before = register_and_sign_in(&server, "saif").await;
    assert_eq!(binary.run(&["backup", "copy.db"]).code, 0);
    let lost = sign_in(&server, "saif").await;
    assert_eq!(list_in(&before), list_in(&lost));
    server.terminate();
    assert_eq!(binary.run(&["restore", "copy.db"]).code, 0);
    let server = binary.serve();
    let after = sign_in(&server, "saif").await;
    assert_ne!(list_in(&after), list_in(&before));
    let lists = server.get_as("", "/status-lists").await.expect_status(200);
    assert_eq!(lists.json(), json!({ "status_lists": [list_in(&before), list_in(&after)] }));
}

async fn register_and_sign_in(server: &crate::harness::Served, name: &str) -> String {
    let body = json!({ "username": name, "email": format!("{name}@example.com"), "password": PASSWORD });
    server.post("/api/users/register", &body).await.expect_status(201);
    sign_in(server, name).await
}

async fn sign_in(server: &crate::harness::Served, name: &str) -> String {
    let body = json!({ "username": name, "password": PASSWORD });
    server.post("/api/auth/login", &body).await.expect_status(200).text_at("jwtToken")
}

fn list_in(token: &str) -> String {
    place_of(&unverified(token)).unwrap().0
}
