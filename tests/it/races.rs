//! Requests at the same time: one successor whoever wins, and nothing that outlives an acknowledged change.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use serde_json::json;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::harness::{Answer, Binary, Database, PASSWORD, Person, TestApp, execute};

const RACERS: usize = 20;
const ROUNDS: usize = 50;
/// Rounds of changes raced against sign-ins and refreshes.
const CHANGES: usize = 200;

/// Sends one refresh token from many tasks at once, to each of the servers in turn.
async fn race(bases: &[String], token: &str) -> Vec<Answer> {
    let barrier = Arc::new(Barrier::new(RACERS));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut racers = JoinSet::new();
    for racer in 0..RACERS {
        let (barrier, client) = (Arc::clone(&barrier), client.clone());
        let (url, body) = (format!("{}/api/auth/refresh-token", bases[racer % bases.len()]), json!(token));
        racers.spawn(async move {
            barrier.wait().await;
            Answer::of(client.post(url).json(&body).send().await.unwrap()).await
        });
    }
    racers.join_all().await
}

/// 50 rounds of 20 racers: every answer is 200 and each round has one successor.
async fn race_for_rounds(bases: &[String], mut token: String) {
    let mut seen = HashSet::from([token.clone()]);
    let mut answered = 0;
    for round in 0..ROUNDS {
        let answers = race(bases, &token).await;
        let successors: HashSet<String> =
            answers.into_iter().map(|answer| answer.expect_status(200).text_at("refreshToken")).collect();
        answered += RACERS;
        assert_eq!(successors.len(), 1, "round {round}");
        token = successors.into_iter().next().unwrap();
        assert!(seen.insert(token.clone()), "round {round} gave a token again");
    }
    assert_eq!(answered, 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn b3_twenty_refreshes_with_one_token_have_one_successor() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    race_for_rounds(&[app.url("")], person.refresh_token).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn b3_two_server_processes_on_one_database_give_one_successor() {
    let database = Arc::new(Database::create());
    let first = Binary::on(Arc::clone(&database)).set("RATE_LIMITS", "off").serve();
    let second = Binary::on(database).set("RATE_LIMITS", "off").serve();
    let body = json!({ "username": "saif", "email": "saif@example.com", "password": PASSWORD });
    first.post("/api/users/register", &body).await.expect_status(201);
    let pair = second.post("/api/auth/login", &json!({ "username": "saif", "password": PASSWORD })).await;
    let token = pair.expect_status(200).text_at("refreshToken");
    race_for_rounds(&[first.base.clone(), second.base.clone()], token).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn b3_without_a_grace_window_one_of_twenty_wins_and_the_session_is_dead() {
    let app = TestApp::with(&[("REFRESH_GRACE_SECONDS", "0")]).await;
    app.register("saif").await.expect_status(201);
    for round in 0..ROUNDS {
        let person = app.sign_in("saif").await;
        let answers = race(&[app.url("")], &person.refresh_token).await;
        let winners: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!(winners.len(), 1, "round {round}");
        let reused = answers.iter().filter(|answer| answer.text.contains("refresh_token_reused")).count();
        let revoked = answers.iter().filter(|answer| answer.text.contains("session_revoked")).count();
        assert_eq!((reused, revoked), (1, RACERS - 2), "round {round}");
        app.refresh(&winners[0].text_at("refreshToken")).await.expect_problem(401, "session_revoked");
    }
}

/// What an admin or the user themselves changes while others sign in and refresh.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Change {
    Disable,
    Role,
    Password,
    LogoutAll,
    RevokeToken,
    AdminRevoke,
}

impl Change {
    const SETS: [&[Self]; 7] = [
        &[Self::Disable, Self::Role, Self::Password],
        &[Self::Disable],
        &[Self::Role],
        &[Self::Password],
        &[Self::LogoutAll],
        &[Self::RevokeToken],
        &[Self::AdminRevoke],
    ];
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn b4_m12_nothing_obtained_in_a_race_outlives_an_acknowledged_change() {
    let app = Arc::new(TestApp::with(&[("RATE_LIMITS", "off")]).await);
    let admin = app.admin("root").await;
    for round in 0..CHANGES {
        let changes = Change::SETS[round % Change::SETS.len()];
        race_changes(&app, &admin, round, changes).await;
    }
}

async fn race_changes(app: &Arc<TestApp>, admin: &Person, round: usize, changes: &[Change]) {
    let name = format!("racer{round}");
    let person = app.user(&name).await;
    // Two racers sign in, and two refresh a session each: more of one session's would be taken for theft, rightly.
    let starts = [None, Some(person.clone()), None, Some(app.sign_in(&name).await)];
    let path = format!("/api/users/{}", person.id);
    let barrier = Arc::new(Barrier::new(starts.len() + changes.len()));

    let mut obtained = JoinSet::new();
    for start in starts {
        let (app, name, barrier) = (Arc::clone(app), name.clone(), Arc::clone(&barrier));
        let mut token = start.map(|person| person.refresh_token);
        obtained.spawn(async move {
            barrier.wait().await;
            let mut pairs = Vec::new();
            for _ in 0..2 {
                let answer = match &token {
                    None => app.login(&name, PASSWORD).await,
                    Some(token) => app.refresh(token).await,
                };
                assert!(matches!(answer.status, 200 | 401), "{answer:?}");
                if answer.status == 200 {
                    token = token.map(|_| answer.text_at("refreshToken"));
                    pairs.push(answer);
                }
            }
            pairs
        });
    }
    let mut changed = JoinSet::new();
    for change in changes.iter().copied() {
        let (app, admin, person, path) = (Arc::clone(app), admin.clone(), person.clone(), path.clone());
        let barrier = Arc::clone(&barrier);
        changed.spawn(async move {
            barrier.wait().await;
            let answer = match change {
                Change::Disable => admin.patch(&path, &json!({ "disabled": true })).await,
                Change::Role => admin.patch(&path, &json!({ "role": "Admin" })).await,
                Change::Password => {
                    let body = json!({ "currentPassword": PASSWORD, "newPassword": "another fine one" });
                    person.post("/api/users/password", &body).await
                }
                Change::LogoutAll => person.post_nothing("/api/auth/logout-all").await,
                Change::RevokeToken => app.post("/api/auth/revoke-token", &json!(person.refresh_token)).await,
                Change::AdminRevoke => admin.delete(&format!("/api/sessions/{}", person.session_id)).await,
            };
            assert!(answer.status < 500, "{answer:?}");
            (change, (200..300).contains(&answer.status))
        });
    }
    let acknowledged: Vec<Change> =
        changed.join_all().await.into_iter().filter(|(_, done)| *done).map(|(change, _)| change).collect();
    let did = |change| acknowledged.contains(&change);
    assert!(changes.len() > 1 || !acknowledged.is_empty(), "round {round}: {changes:?} was refused");

    for pair in obtained.join_all().await.into_iter().flatten() {
        let holder = Person::of_pair(app, &pair);
        let profile = holder.profile().await;
        let refreshed = app.refresh(&holder.refresh_token).await;
        let of_first_session = holder.session_id == person.session_id;
        let must_be_dead = did(Change::Disable)
            || did(Change::Password)
            || (of_first_session && (did(Change::RevokeToken) || did(Change::AdminRevoke) || did(Change::LogoutAll)));
        let context = format!("round {round}, {acknowledged:?}, {profile:?}, {refreshed:?}");
        if must_be_dead {
            assert_eq!((profile.status, refreshed.status), (401, 401), "{context}");
        } else if did(Change::Role) {
            // A token of before the change is refused, one of after it says the new role: whoever is let in is an admin.
            assert!(profile.status == 401 || pair.text_at("role") == "Admin", "{context}");
            assert!(refreshed.status != 200 || refreshed.text_at("role") == "Admin", "{context}");
        }
    }
    if did(Change::Disable) {
        admin.patch(&path, &json!({ "disabled": false })).await.expect_status(200);
        person.profile().await.expect_problem(401, "invalid_token");
        app.refresh(&person.refresh_token).await.expect_problem(401, "session_revoked");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sessions_that_somebody_has_locked_hold_up_nobody_but_their_own_clients() {
    let app = Arc::new(TestApp::with(&[("RATE_LIMITS", "off")]).await);
    if !app.database.is_postgres() {
        // SQLite locks no rows.
        return;
    }
    // More than there are statements under way at once.
    let (mut locked, mut others) = (Vec::new(), Vec::new());
    for number in 0..8 {
        locked.push(app.user(&format!("locked{number}")).await);
    }
    for number in 0..40 {
        others.push(app.user(&format!("other{number}")).await.refresh_token);
    }
    let ids: Vec<String> = locked.iter().map(|person| format!("'\\x{}'", person.session_id.replace('-', ""))).collect();
    let lock = format!("SELECT 1 FROM sessions WHERE id IN ({}) FOR UPDATE", ids.join(", "));
    let (begun_out, begun) = tokio::sync::oneshot::channel();
    let (finish, finish_in) = std::sync::mpsc::channel::<()>();
    let (store, finish_in, mut begun_out) = (app.database.store(), Mutex::new(finish_in), Some(begun_out));
    let holding = tokio::spawn(async move {
        store
            .write(move |connection| {
                connection.batch_execute(&lock)?;
                begun_out.take().unwrap().send(()).unwrap();
                finish_in.lock().unwrap().recv().unwrap();
                Ok(())
            })
            .await
            .unwrap();
    });
    begun.await.unwrap();
    let mut waiting = JoinSet::new();
    for person in locked {
        let app = Arc::clone(&app);
        waiting.spawn(async move { app.refresh(&person.refresh_token).await });
    }
    let began = Instant::now();
    for _ in 0..5 {
        let refreshed = futures_util::future::join_all(others.iter().map(|token| app.refresh(token))).await;
        others = refreshed.into_iter().map(|answer| answer.expect_status(200).text_at("refreshToken")).collect();
    }
    assert!(began.elapsed() < Duration::from_secs(2), "they waited for the locks' time limit");
    assert!(waiting.try_join_next().is_none());
    finish.send(()).unwrap();
    holding.await.unwrap();
    for answer in waiting.join_all().await {
        answer.expect_status(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_damaged_session_fails_alone_in_the_statement_that_it_shares() {
    let app = Arc::new(TestApp::start().await);
    let damaged = app.user("damaged").await;
    let mut others = Vec::new();
    for number in 0..20 {
        others.push(app.user(&format!("other{number}")).await.refresh_token);
    }
    // The next rotation of this one finds its row of the history taken.
    let id = damaged.session_id.replace('-', "");
    let id = if app.database.is_postgres() { format!("'\\x{id}'") } else { format!("x'{id}'") };
    execute(
        &app.database,
        &format!(
            "INSERT INTO refresh_tokens (session_id, generation, created_at, expires_at) VALUES ({id}, 2, 1000000, 2000000)"
        ),
    )
    .await;
    for _ in 0..5 {
        let failing = (0..3).map(|_| app.refresh(&damaged.refresh_token));
        let all = futures_util::future::join(
            futures_util::future::join_all(failing),
            futures_util::future::join_all(others.iter().map(|token| app.refresh(token))),
        );
        let (failed, refreshed) = all.await;
        others = refreshed.into_iter().map(|answer| answer.expect_status(200).text_at("refreshToken")).collect();
        for answer in failed {
            answer.expect_problem(500, "internal_error");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_connections_are_enough_for_refreshes_and_everything_else() {
    let app = Arc::new(TestApp::with(&[("DATABASE_CONNECTIONS", "2"), ("RATE_LIMITS", "off")]).await);
    let mut tokens = Vec::new();
    for number in 0..30 {
        tokens.push(app.user(&format!("user{number}")).await);
    }
    let reader = app.user("reader").await;
    let mut refreshing = JoinSet::new();
    for person in tokens {
        let app = Arc::clone(&app);
        refreshing.spawn(async move {
            let mut token = person.refresh_token;
            for _ in 0..20 {
                token = app.refresh(&token).await.expect_status(200).text_at("refreshToken");
            }
        });
    }
    let mut read = 0;
    while !refreshing.is_empty() {
        reader.get("/api/users/me/sessions").await.expect_status(200);
        app.login("reader", PASSWORD).await.expect_status(200);
        read += 1;
        while let Some(done) = refreshing.try_join_next() {
            done.unwrap();
        }
    }
    assert!(read > 1, "everything else waited until the refreshes were done");
}
