//! Revocation reaches every instance: at once the one that did it, within a second the others, which remember tokens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use relatch::domain::client::Client;
use relatch::domain::session::{EndReason, SessionId};
use relatch::store::sessions::{self, End};
use serde_json::json;

use crate::harness::{PASSWORD, Person, TestApp};

/// Two instances on one database with one clock.
async fn two_instances() -> (TestApp, TestApp) {
    let first = TestApp::start().await;
    let second = TestApp::on_at(Arc::clone(&first.database), &[], Arc::clone(&first.clock)).await;
    (first, second)
}

/// Waits until the other instance refuses a token that it has accepted before.
async fn refused_within_a_second(app: &TestApp, token: &str) {
    let began = Instant::now();
    loop {
        let request = app.request(reqwest::Method::GET, "/api/users/profile").bearer_auth(token);
        let answer = app.send(request).await;
        if answer.status == 401 {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(1), "still accepted: {answer:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn accepted(app: &TestApp, token: &str) {
    // Twice: the second time from memory.
    for _ in 0..2 {
        let request = app.request(reqwest::Method::GET, "/api/users/profile").bearer_auth(token);
        app.send(request).await.expect_status(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f18_every_kind_of_end_is_known_here_at_once_and_there_within_a_second() {
    let (here, there) = two_instances().await;
    let admin = here.admin("root").await;
    here.register("saif").await.expect_status(201);
    for kind in 0..9 {
        let person = here.sign_in("saif").await;
        let user = format!("/api/users/{}", person.id);
        accepted(&here, &person.access_token).await;
        accepted(&there, &person.access_token).await;
        let answer = match kind {
            0 => person.post_nothing("/api/auth/logout").await,
            1 => person.post_nothing("/api/auth/logout-all").await,
            2 => here.post("/api/auth/revoke-token", &json!(person.refresh_token)).await,
            3 => person.delete(&format!("/api/users/me/sessions/{}", person.session_id)).await,
            4 => admin.delete(&format!("/api/sessions/{}", person.session_id)).await,
            5 => admin.delete(&format!("{user}/sessions")).await,
            6 => admin.patch(&user, &json!({ "role": "Admin" })).await,
            7 => {
                admin.patch(&user, &json!({ "disabled": true })).await.expect_status(200);
                person.profile().await.expect_problem(401, "invalid_token");
                refused_within_a_second(&there, &person.access_token).await;
                admin.patch(&user, &json!({ "disabled": false })).await
            }
            _ => admin.delete(&user).await,
        };
        assert!((200..300).contains(&answer.status), "{kind}: {answer:?}");
        person.profile().await.expect_problem(401, "invalid_token");
        refused_within_a_second(&there, &person.access_token).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn theft_that_one_instance_finds_ends_the_session_on_the_other() {
    let (here, there) = two_instances().await;
    let person = here.user("saif").await;
    let second = here.refresh(&person.refresh_token).await.expect_status(200).text_at("refreshToken");
    let third = here.refresh(&second).await.expect_status(200);
    accepted(&there, &third.text_at("jwtToken")).await;
    here.refresh(&person.refresh_token).await.expect_problem(401, "refresh_token_reused");
    refused_within_a_second(&there, &third.text_at("jwtToken")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_remembered_of_a_user_is_not_older_than_a_second() {
    let (here, there) = two_instances().await;
    let admin = here.admin("root").await;
    let person = here.user("saif").await;
    accepted(&there, &person.access_token).await;
    let change = json!({ "email": "new@example.com" });
    admin.patch(&format!("/api/users/{}", person.id), &change).await.expect_status(200);
    assert_eq!(person.profile().await.text_at("email"), "new@example.com");
    let began = Instant::now();
    loop {
        let request = there.request(reqwest::Method::GET, "/api/users/profile").bearer_auth(&person.access_token);
        if there.send(request).await.expect_status(200).text_at("email") == "new@example.com" {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_slow_commit_is_not_skipped_by_those_that_overtake_it() {
    let (here, there) = two_instances().await;
    if !here.database.is_postgres() {
        // SQLite has one writer: nothing can overtake a transaction there.
        return;
    }
    let slow = here.user("slow").await;
    let session = SessionId::parse(&slow.session_id).unwrap();
    accepted(&there, &slow.access_token).await;

    let (begun_out, begun) = tokio::sync::oneshot::channel();
    let (finish, finish_in) = std::sync::mpsc::channel::<()>();
    let store = here.database.store();
    let now = here.now();
    let mut begun_out = Some(begun_out);
    let transaction = tokio::spawn(async move {
        let finish_in = std::sync::Mutex::new(finish_in);
        store
            .write(move |connection| {
                let client = Client::default();
                let end = End { at: now, reason: EndReason::EndedByAdmin, by: None, client: &client };
                sessions::end(connection, session, &end)?;
                begun_out.take().unwrap().send(()).unwrap();
                finish_in.lock().unwrap().recv().unwrap();
                Ok(())
            })
            .await
            .unwrap();
    });
    begun.await.unwrap();
    let began = Instant::now();
    let mut number = 0;
    // For three seconds others begin later and commit before it, and are followed.
    while began.elapsed() < Duration::from_secs(3) {
        number += 1;
        let fast: Person = here.user(&format!("fast{number}")).await;
        accepted(&there, &fast.access_token).await;
        fast.post_nothing("/api/auth/logout").await.expect_status(204);
        refused_within_a_second(&there, &fast.access_token).await;
        accepted(&there, &slow.access_token).await;
    }
    assert!(number > 2, "nobody overtook it");
    finish.send(()).unwrap();
    transaction.await.unwrap();
    refused_within_a_second(&there, &slow.access_token).await;
    refused_within_a_second(&here, &slow.access_token).await;
    here.login("slow", PASSWORD).await.expect_status(200);
}
