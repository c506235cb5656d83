//! `POST /oauth/revoke`: section C of the requirements.

use std::time::Duration;

use relatch::domain::client::Client;
use relatch::domain::session::{EndReason, SessionId};
use relatch::store::sessions::{self, End};
use serde_json::json;

use super::{REVOKE, Registered, form, post, refresh};
use crate::harness::{TestApp, execute};

#[tokio::test]
async fn c1_c5_a_refresh_token_is_revoked_with_everything_of_its_session_and_nothing_else() {
    let app = TestApp::start().await;
    let client = Registered::with(&app.admin("root").await, &["introspect"]).await;
    let person = app.user("saif").await;
    let other = app.sign_in("saif").await;
    person.profile().await.expect_status(200);
    let answer = post(&app, REVOKE, &[("token", &person.refresh_token)]).await.expect_status(200);
    assert_eq!((answer.text.as_str(), answer.header("cache-control")), ("", "no-store"));
    refresh(&app, &person.refresh_token).await.expect_oauth_error(400, "invalid_grant");
    person.profile().await.expect_problem(401, "invalid_token");
    for token in [&person.access_token, &person.refresh_token] {
        assert_eq!(client.introspect(&app, token).await, json!({ "active": false }));
    }
    other.profile().await.expect_status(200);
    refresh(&app, &other.refresh_token).await.expect_status(200);
}

#[tokio::test]
async fn c2_whatever_is_no_token_any_more_is_revoked_as_well_as_any() {
    let app = TestApp::start().await;
    let (person, expired) = (app.user("saif").await, app.user("expired").await);
    post(&app, REVOKE, &[("token", &person.refresh_token)]).await.expect_status(200);
    app.advance(Duration::from_mins(16));
    let forged = format!("{}AA", &expired.refresh_token[..expired.refresh_token.len() - 2]);
    let cut = &expired.refresh_token[..40];
    let access = person.access_token.as_str();
    let long = "x".repeat(10_000);
    let tokens = [&person.refresh_token, access, &expired.access_token, &forged, cut, "garbage", "rlr_", "é", &long];
    for token in tokens {
        let answer = post(&app, REVOKE, &[("token", token)]).await.expect_status(200);
        assert_eq!(answer.text, "", "{token}");
    }
    // Of all these, none has ended a session that lives.
    refresh(&app, &expired.refresh_token).await.expect_status(200);
    app.advance(Duration::from_hours(8 * 24));
    post(&app, REVOKE, &[("token", &expired.refresh_token)]).await.expect_status(200);
}

#[tokio::test]
async fn c3_without_one_token_there_is_nothing_to_revoke() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    let token = ("token", person.refresh_token.as_str());
    for fields in [vec![], vec![("token", "")], vec![token, token], vec![token, ("token", "x")], vec![("tokens", "x")]]
    {
        post(&app, REVOKE, &fields).await.expect_oauth_error(400, "invalid_request");
    }
    app.get(REVOKE).await.expect_oauth_error(405, "invalid_request");
    refresh(&app, &person.refresh_token).await.expect_status(200);
}

#[tokio::test]
async fn c4_a_wrong_hint_misleads_nobody() {
    let app = TestApp::start().await;
    app.register("saif").await.expect_status(201);
    for hint in ["refresh_token", "access_token", "foo", ""] {
        for is_access in [false, true] {
            let person = app.sign_in("saif").await;
            let token = if is_access { &person.access_token } else { &person.refresh_token };
            post(&app, REVOKE, &[("token", token), ("token_type_hint", hint)]).await.expect_status(200);
            person.profile().await.expect_problem(401, "invalid_token");
            app.refresh(&person.refresh_token).await.expect_problem(401, "session_revoked");
        }
    }
}

#[tokio::test]
async fn c6_an_access_token_ends_its_session_and_a_clients_own_is_refused_honestly() {
    let app = TestApp::start().await;
    let client = Registered::with(&app.admin("root").await, &["introspect", "users:read"]).await;
    let person = app.user("saif").await;
    post(&app, REVOKE, &[("token", &person.access_token)]).await.expect_status(200);
    person.profile().await.expect_problem(401, "invalid_token");
    app.refresh(&person.refresh_token).await.expect_problem(401, "session_revoked");
    let token = client.token(&app).await;
    for answer in
        [post(&app, REVOKE, &[("token", &token)]).await, client.post(&app, REVOKE, &[("token", &token)]).await]
    {
        answer.expect_oauth_error(400, "unsupported_token_type");
    }
    assert_eq!(client.introspect(&app, &token).await["active"], true, "it was not revoked, and nobody was told so");
}

#[tokio::test]
async fn c7_another_client_revokes_nothing_of_somebody_elses() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let client = Registered::with(&admin, &["introspect", "sessions:revoke"]).await;
    let other = Registered::with(&admin, &["introspect"]).await;
    let person = app.user("saif").await;
    let token = client.token(&app).await;
    for (who, token) in [(&client, &person.refresh_token), (&client, &person.access_token), (&other, &token)] {
        who.post(&app, REVOKE, &[("token", token)]).await.expect_oauth_error(400, "invalid_grant");
    }
    // Credentials that are there must be right, and a client with a secret must show it.
    let fields = [("token", person.refresh_token.as_str())];
    let wrong = app.send(form(&app, REVOKE, &fields).basic_auth(&client.id, Some("wrong"))).await;
    let wrong = wrong.expect_oauth_error(401, "invalid_client");
    assert_eq!(wrong.header("www-authenticate"), "Basic realm=\"relatch\"");
    for id in [client.id.as_str(), "somebody"] {
        post(&app, REVOKE, &[fields[0], ("client_id", id)]).await.expect_oauth_error(401, "invalid_client");
    }
    person.profile().await.expect_status(200);
    assert_eq!(client.introspect(&app, &token).await["active"], true);
    post(&app, REVOKE, &[fields[0], ("client_id", "relatch")]).await.expect_status(200);
    person.profile().await.expect_status(401);
}

#[tokio::test]
async fn c8_what_could_not_be_committed_is_never_called_done() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    person.profile().await.expect_status(200);
    execute(&app.database, "ALTER TABLE audit_events RENAME TO elsewhere").await;
    for token in [&person.refresh_token, &person.access_token] {
        post(&app, REVOKE, &[("token", token)]).await.expect_oauth_error(500, "server_error");
    }
    execute(&app.database, "ALTER TABLE elsewhere RENAME TO audit_events").await;
    person.profile().await.expect_status(200);
    app.refresh(&person.refresh_token).await.expect_status(200);
}

#[tokio::test]
async fn c10_an_old_token_of_a_session_ends_it_all_the_same() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    let second = refresh(&app, &person.refresh_token).await.expect_status(200);
    let third = refresh(&app, &second.text_at("refresh_token")).await.expect_status(200);
    for _ in 0..2 {
        post(&app, REVOKE, &[("token", &person.refresh_token)]).await.expect_status(200);
    }
    refresh(&app, &third.text_at("refresh_token")).await.expect_oauth_error(400, "invalid_grant");
    person.with_access_token(&third.text_at("access_token")).profile().await.expect_problem(401, "invalid_token");
    // It was its holder's wish, and no theft.
    app.refresh(&person.refresh_token).await.expect_problem(401, "session_revoked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c8_while_nothing_can_be_committed_the_answer_is_503() {
    let app = TestApp::with(&[("DATABASE_WAIT_SECONDS", "1")]).await;
    let person = app.user("saif").await;
    let session = SessionId::parse(&person.session_id).unwrap();
    let (begun_out, begun) = tokio::sync::oneshot::channel();
    let (finish, finish_in) = std::sync::mpsc::channel::<()>();
    let (store, now) = (app.database.store(), app.now());
    let mut begun_out = Some(begun_out);
    // Somebody holds the session's row, and on SQLite the whole store.
    let holder = tokio::spawn(async move {
        let finish_in = std::sync::Mutex::new(finish_in);
        let held: Result<(), _> = store
            .write(move |connection| {
                let client = Client::default();
                let end = End { at: now, reason: EndReason::EndedByAdmin, by: None, client: &client };
                sessions::end(connection, session, &end)?;
                begun_out.take().unwrap().send(()).unwrap();
                finish_in.lock().unwrap().recv().unwrap();
                Err(diesel::result::Error::RollbackTransaction)
            })
            .await;
        assert!(held.is_err());
    });
    begun.await.unwrap();
    for token in [&person.refresh_token, &person.access_token] {
        let answer = post(&app, REVOKE, &[("token", token)]).await;
        let answer = answer.expect_oauth_error(503, "temporarily_unavailable");
        assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
    }
    finish.send(()).unwrap();
    holder.await.unwrap();
    // The same request again, as the answer says.
    post(&app, REVOKE, &[("token", &person.refresh_token)]).await.expect_status(200);
    person.profile().await.expect_problem(401, "invalid_token");
}
