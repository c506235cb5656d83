//! Authority that changes: it is gone with the very next request, and there is always an admin left.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::connection::SimpleConnection as _;
use diesel::{QueryableByName, RunQueryDsl as _};
use futures_util::future::join_all;
use relatch::auth::Actor;
use relatch::auth::update_user::{UserChanges, restore_user, update_user};
use relatch::domain::client::Client;
use relatch::domain::role::Role;
use relatch::domain::user::UserId;
use relatch::store::audit_events::{StoredEvent, unsealed};
use relatch::store::dialect::{Lock, lock};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{Answer, PASSWORD, Person, TestApp};
use crate::registration::{REGISTER, account};

fn path_of(person: &Person) -> String {
    format!("/api/users/{}", person.id)
}

/// The three ways to lose the rights of an admin.
async fn strip(admin: &Person, victim: &Person, how: usize) -> Answer {
    match how % 3 {
        0 => admin.patch(&path_of(victim), &json!({ "role": 1 })).await,
        1 => admin.patch(&path_of(victim), &json!({ "disabled": true })).await,
        _ => admin.delete(&path_of(victim)).await,
    }
}

/// Makes an enabled admin of them again, as an operator would.
async fn reinstate(app: &TestApp, person: &Person) {
    let id = UserId::new(person.id).unwrap();
    let _ = restore_user(app.app.auth(), Actor::Operator, id, &Client::default()).await;
    let changes = UserChanges { role: Some(Role::Admin), disabled: Some(false), ..UserChanges::default() };
    update_user(app.app.auth(), Actor::Operator, id, changes, &Client::default()).await.unwrap();
}

async fn active_admins(app: &TestApp) -> i64 {
    app.database.store().read(relatch::store::users::count_active_admins).await.unwrap()
}

#[tokio::test]
async fn m5_the_last_admin_can_be_neither_demoted_nor_disabled_nor_deleted() {
    let app = TestApp::start().await;
    let (admin, other) = (app.admin("root").await, app.admin("deputy").await);
    // A disabled admin and a deleted one are none to rely on.
    let gone = app.admin("gone").await;
    admin.delete(&path_of(&gone)).await.expect_status(204);
    admin.patch(&path_of(&other), &json!({ "disabled": true })).await.expect_status(200);
    app.user("saif").await;
    for how in 0..3 {
        strip(&admin, &admin, how).await.expect_problem(409, "last_admin");
        admin.profile().await.expect_status(200);
    }
    for patch in [
        json!({ "role": "User", "disabled": false }),
        json!({ "role": 0, "disabled": true }),
        json!({ "email": "changed@example.com", "role": 1 }),
    ] {
        admin.patch(&path_of(&admin), &patch).await.expect_problem(409, "last_admin");
    }
    let unchanged = admin.patch(&path_of(&admin), &json!({ "role": 0, "disabled": false })).await.expect_status(200);
    assert_eq!(unchanged.text_at("email"), "root@example.com");
    admin.profile().await.expect_status(200);
    // The disabled one may be demoted and deleted: they are not the last who can sign in.
    admin.patch(&path_of(&other), &json!({ "role": 1 })).await.expect_status(200);
    admin.delete(&path_of(&other)).await.expect_status(204);
    // As soon as there is another, one may go.
    let body = json!({ "username": "next", "email": "next@example.com", "password": PASSWORD, "role": 0 });
    admin.post(REGISTER, &body).await.expect_status(201);
    let next = app.sign_in("next").await;
    admin.delete(&path_of(&admin)).await.expect_status(204);
    strip(&next, &next, 0).await.expect_problem(409, "last_admin");
    assert_eq!(active_admins(&app).await, 1);
}

#[tokio::test]
async fn m5_two_admins_who_strip_each_other_at_once_leave_one() {
    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    let beside = TestApp::on(app.database.clone(), &[]).await;
    app.admin("one").await;
    app.admin("two").await;
    let (mut refused, mut too_late) = (0, 0);
    for round in 0..100 {
        // In every other round they are at two instances of the service.
        let other = if round % 2 == 0 { &app } else { &beside };
        let one = app.sign_in("one").await;
        let two = Person::of_pair(other, &other.login("two", PASSWORD).await.expect_status(200));
        let (by_one, by_two) = tokio::join!(strip(&one, &two, round), strip(&two, &one, round / 3));
        let won = [&by_one, &by_two].iter().filter(|answer| answer.status < 300).count();
        assert_eq!((won, active_admins(&app).await), (1, 1), "{by_one:?} {by_two:?}");
        for loser in [by_one, by_two].into_iter().filter(|answer| answer.status >= 300) {
            match loser.status {
                409 => refused += usize::from(loser.expect_problem(409, "last_admin").status == 409),
                _ => too_late += usize::from(loser.expect_problem(401, "invalid_token").status == 401),
            }
        }
        reinstate(&app, &one).await;
        reinstate(&app, &two).await;
        assert_eq!(active_admins(&app).await, 2);
    }
    assert_eq!(refused + too_late, 100);
}

#[tokio::test]
async fn m6_admins_may_give_up_their_own_rights_and_lose_them_at_once() {
    let app = TestApp::start().await;
    app.admin("root").await;
    for (how, code) in [(0, None), (1, Some("invalid_credentials")), (2, Some("invalid_credentials"))] {
        let name = format!("admin{how}");
        let admin = app.admin(&name).await;
        let second = app.sign_in(&name).await;
        assert!(strip(&admin, &admin, how).await.status < 300);
        for old in [&admin, &second] {
            old.profile().await.expect_problem(401, "invalid_token");
            old.get("/api/users").await.expect_problem(401, "invalid_token");
        }
        match code {
            None => app.sign_in(&name).await.get("/api/users").await.expect_problem(403, "insufficient_role"),
            Some(code) => app.login(&name, PASSWORD).await.expect_problem(401, code),
        };
    }
}

#[tokio::test]
async fn m7_b12_whoever_is_demoted_disabled_or_deleted_is_so_at_the_next_request() {
    let app = TestApp::start().await;
    let root = app.admin("root").await;
    for how in 0..3 {
        let name = format!("admin{how}");
        let (admin, second) = (app.admin(&name).await, app.sign_in(&name).await);
        for person in [&admin, &second] {
            person.get("/api/users").await.expect_status(200);
        }
        assert!(strip(&root, &admin, how).await.status < 300);
        for person in [&admin, &second] {
            let requests = [
                (Method::GET, "/api/users"),
                (Method::DELETE, "/api/users/1/sessions"),
                (Method::GET, "/api/users/profile"),
                (Method::POST, "/api/auth/logout-all"),
            ];
            for (method, path) in requests {
                let request = person.request(method, path);
                app.send(request).await.expect_problem(401, "invalid_token");
            }
            person.post(REGISTER, &account("x", "x")).await.expect_problem(401, "invalid_token");
            let refreshed = app.refresh(&person.refresh_token).await;
            if how != 0 {
                refreshed.expect_problem(401, if how == 1 { "account_disabled" } else { "session_revoked" });
                continue;
            }
            // A demotion ends no session: the next access token has the new role.
            let next = refreshed.expect_status(200);
            assert_eq!(
                (next.text_at("role").as_str(), claim(&next.text_at("jwtToken"), "role")),
                ("User", json!("User"))
            );
            let next = Person::of_pair(&app, &next);
            assert_eq!(next.profile().await.expect_status(200).text_at("role"), "User");
            next.get("/api/users").await.expect_problem(403, "insufficient_role");
        }
    }
    // And a promotion is there with the next refresh.
    let person = app.user("saif").await;
    root.patch(&path_of(&person), &json!({ "role": "Admin" })).await.expect_status(200);
    person.get("/api/users").await.expect_problem(401, "invalid_token");
    let next = app.refresh(&person.refresh_token).await.expect_status(200);
    assert_eq!(claim(&next.text_at("jwtToken"), "role"), "Admin");
    Person::of_pair(&app, &next).get("/api/users").await.expect_status(200);
    // Who is let in again starts anew.
    root.patch(&path_of(&person), &json!({ "disabled": true })).await.expect_status(200);
    app.login("saif", PASSWORD).await.expect_problem(401, "invalid_credentials");
    root.patch(&path_of(&person), &json!({ "disabled": false })).await.expect_status(200);
    app.refresh(&next.text_at("refreshToken")).await.expect_problem(401, "session_revoked");
    app.sign_in("saif").await.get("/api/users").await.expect_status(200);
}

/// What an access token says, unverified.
fn claim(token: &str, name: &str) -> Value {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&payload).unwrap()[name].clone()
}

#[tokio::test]
async fn m12_no_token_of_a_refresh_that_raced_with_a_demotion_has_the_old_role() {
    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    let beside = TestApp::on(app.database.clone(), &[]).await;
    let root = app.admin("root").await;
    app.admin("deputy").await;
    let mut seen = BTreeSet::new();
    for round in 0..40 {
        let mut sessions = Vec::new();
        for _ in 0..4 {
            sessions.push(app.sign_in("deputy").await);
        }
        let demote = strip(&root, &sessions[0], if round % 4 == 3 { 1 } else { 0 });
        let refreshes = join_all(sessions.iter().enumerate().map(|(number, session)| {
            let instance = if number % 2 == 0 { &app } else { &beside };
            instance.refresh(&session.refresh_token)
        }));
        // Sometimes one is first, sometimes the other.
        let (refreshed, demoted) = if round % 2 == 0 {
            tokio::join!(refreshes, demote)
        } else {
            let (demoted, refreshed) = tokio::join!(demote, refreshes);
            (refreshed, demoted)
        };
        demoted.expect_status(200);
        for answer in refreshed {
            if answer.status != 200 {
                answer.expect_problem(401, "account_disabled");
                continue;
            }
            let role = claim(&answer.text_at("jwtToken"), "role");
            assert_eq!(role, answer.text_at("role"));
            let got = Person::of_pair(&app, &answer).get("/api/users").await;
            match role.as_str() {
                Some("User") => got.expect_problem(403, "insufficient_role"),
                _ => got.expect_problem(401, "invalid_token"),
            };
            seen.insert(role.to_string());
            // Nor has any that comes later.
            let later = app.refresh(&answer.text_at("refreshToken")).await;
            assert!(later.status == 401 || claim(&later.text_at("jwtToken"), "role") == "User", "{later:?}");
        }
        reinstate(&app, &sessions[0]).await;
    }
    assert!(seen.contains("\"User\"") && seen.contains("\"Admin\""), "the race went one way only: {seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn m7_an_admin_who_is_disabled_while_a_body_is_on_its_way_makes_nothing() {
    use std::io::{Read as _, Write as _};
    let app = TestApp::start().await;
    let (first, second) = (app.admin("first").await, app.admin("second").await);
    let body = json!({ "username": "late", "email": "late@example.com", "password": PASSWORD, "role": 0 }).to_string();
    let mut stream = std::net::TcpStream::connect(app.address).unwrap();
    let head = format!(
        "POST /api/users/register HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
        second.access_token,
        body.len(),
        &body[..5]
    );
    stream.write_all(head.as_bytes()).unwrap();
    // Whoever has been answered on another connection has been served after those bytes had arrived.
    second.profile().await.expect_status(200);
    let path = format!("/api/users/{}", second.id);
    first.patch(&path, &json!({ "disabled": true })).await.expect_status(200);
    stream.write_all(&body.as_bytes()[5..]).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    let found = first.get("/api/users?search=late").await.expect_status(200);
    assert_eq!(found.json(), json!([]));
}

/// How many things [`act`] knows to do.
const ACTS: usize = 9;

/// What an admin does to others, each of it with a check of its own.
async fn act(admin: &Person, victim: &Person, name: &str, what: usize) -> Answer {
    let of_victim = |tail: &str| format!("{}{tail}", path_of(victim));
    match what % ACTS {
        0 => admin.post(REGISTER, &account(name, name)).await,
        1 => admin.patch(&of_victim(""), &json!({ "role": "Admin" })).await,
        2 => admin.patch(&of_victim(""), &json!({ "email": format!("{name}@example.com") })).await,
        3 => admin.patch(&of_victim(""), &json!({ "disabled": true })).await,
        4 => admin.patch(&of_victim(""), &json!({ "disabled": false })).await,
        5 => admin.delete(&format!("/api/sessions/{}", victim.session_id)).await,
        6 => admin.delete(&of_victim("/sessions")).await,
        7 => admin.post("/api/sessions/revoke", &json!({ "filter": { "userId": victim.id } })).await,
        _ => admin.post("/api/sessions/revoke", &json!({ "filter": { "role": "User" } })).await,
    }
}

/// Whether somebody waits for a lock in this database.
async fn somebody_waits(app: &TestApp) -> bool {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        number: i64,
    }
    let sql = "SELECT count(*) AS number FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid) \
               WHERE NOT l.granted AND a.datname = current_database()";
    let row: Row =
        app.database.store().read(move |connection| diesel::sql_query(sql).get_result(connection)).await.unwrap();
    row.number > 0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn m7_what_an_admin_does_while_they_are_being_disabled_waits_and_is_refused() {
    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    let (root, second) = (app.admin("root").await, app.admin("second").await);
    for what in 0..ACTS {
        let name = format!("deputy{what}");
        let (deputy, victim) = (app.admin(&name).await, app.user(&format!("victim{what}")).await);
        deputy.profile().await.expect_status(200);
        // Another server is at it: it has the lock, and will commit in a moment.
        let disable = format!(
            "UPDATE users SET disabled_at = 1, security_version = security_version + 1 WHERE id = {0};
             UPDATE sessions SET ended_at = 1, end_reason = 'account_disabled' WHERE user_id = {0};",
            deputy.id
        );
        let (begun_out, begun) = tokio::sync::oneshot::channel();
        let (commit, commit_in) = std::sync::mpsc::channel::<()>();
        let (store, commit_in, mut begun_out) = (app.database.store(), Mutex::new(commit_in), Some(begun_out));
        let disabling = tokio::spawn(async move {
            store
                .write(move |connection| {
                    lock(connection, Lock::Admins)?;
                    connection.batch_execute(&disable)?;
                    begun_out.take().unwrap().send(()).unwrap();
                    commit_in.lock().unwrap().recv().unwrap();
                    Ok(())
                })
                .await
                .unwrap();
        });
        begun.await.unwrap();
        let acting = tokio::spawn(async move { act(&deputy, &victim, &format!("made{what}"), what).await });
        // Whoever is answered later has been served after the request had come.
        for _ in 0..20 {
            root.profile().await.expect_status(200);
        }
        while app.database.is_postgres() && !acting.is_finished() && !somebody_waits(&app).await {}
        commit.send(()).unwrap();
        disabling.await.unwrap();
        acting.await.unwrap().expect_problem(401, "invalid_token");
    }
    second.profile().await.expect_status(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn m7_nothing_of_an_admin_is_done_after_they_were_disabled() {
    let app = Arc::new(TestApp::with(&[("RATE_LIMITS", "off")]).await);
    let beside = Arc::new(TestApp::on(app.database.clone(), &[("RATE_LIMITS", "off")]).await);
    let root = app.admin("root").await;
    app.admin("deputy").await;
    let (mut done, mut refused) = (0, 0);
    for round in 0..100 {
        let victim = app.user(&format!("victim{round}")).await;
        let deputy = Person::of_pair(&beside, &beside.login("deputy", PASSWORD).await.expect_status(200));
        let mut acting = JoinSet::new();
        for number in 0..4 {
            let (deputy, victim, name) = (deputy.clone(), victim.clone(), format!("made{round}x{number}"));
            acting.spawn(async move { act(&deputy, &victim, &name, round + 2 * number).await });
        }
        strip(&root, &deputy, 1).await.expect_status(200);
        for answer in acting.join_all().await {
            match answer.status {
                200..300 => done += 1,
                401 => refused += 1,
                _ => panic!("{answer:?}"),
            }
        }
        // Each event is written while nobody else can take the authority away, so that their order tells.
        let events = app.database.store().read(|connection| unsealed(connection, i64::MAX)).await.unwrap();
        let is_end = |event: &&StoredEvent| event.kind == "user.disabled" && event.subject_user_id == Some(deputy.id);
        let end = events.iter().rfind(is_end).expect("the disablement").id;
        let late: Vec<_> = events
            .iter()
            .filter(|event| event.id > end && event.actor_user_id == Some(deputy.id) && event.result == "succeeded")
            .collect();
        assert!(late.is_empty(), "round {round}: {late:?}");
        reinstate(&app, &deputy).await;
    }
    assert!(done > 0 && refused > 0, "the race went one way only: {done} done, {refused} refused");
}
