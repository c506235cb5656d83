//! The unit of truth as a state machine: random sequences of sign-ins, refreshes, revocations and time against a model.

mod model;

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use relatch::domain::session::SessionId;
use relatch::store::audit_events::{self, Kind};
use serde_json::json;

use crate::harness::{PASSWORD, Person, TestApp};
use model::{Expected, Model};

/// 100 sequences of 100 steps.
const SEQUENCES: u32 = 100;
const STEPS: usize = 100;

/// What may happen. Numbers choose among what there is, modulo its count.
#[derive(Clone, Debug)]
enum Step {
    Login,
    Refresh { session: usize, which: Which },
    RevokeToken { session: usize, generation: usize },
    Logout { session: usize },
    LogoutAll { session: usize },
    ReadProfile { session: usize },
    SetDisabled(bool),
    Advance(Duration),
}

/// Which refresh token is presented.
#[derive(Clone, Copy, Debug)]
enum Which {
    Current,
    Parent,
    Older(usize),
    Forged(usize),
    /// The bytes of one session's token with the id of another.
    OfAnother(usize),
}

fn which() -> impl Strategy<Value = Which> {
    prop_oneof![
        12 => Just(Which::Current),
        4 => Just(Which::Parent),
        1 => any::<usize>().prop_map(Which::Older),
        1 => (4_usize..75).prop_map(Which::Forged),
        1 => any::<usize>().prop_map(Which::OfAnother),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let session = any::<usize>;
    let seconds = prop_oneof![
        6 => 0_u64..30,
        2 => 29_u64..32,
        2 => 30_u64..90,
        1 => 850_u64..950,
        1 => Just(86_400),
        1 => 600_000_u64..620_000,
        1 => Just(40 * 86_400),
    ];
    prop_oneof![
        3 => Just(Step::Login),
        14 => (session(), which()).prop_map(|(session, which)| Step::Refresh { session, which }),
        1 => (session(), any::<usize>()).prop_map(|(session, generation)| Step::RevokeToken { session, generation }),
        1 => session().prop_map(|session| Step::Logout { session }),
        1 => session().prop_map(|session| Step::LogoutAll { session }),
        4 => session().prop_map(|session| Step::ReadProfile { session }),
        1 => any::<bool>().prop_map(Step::SetDisabled),
        6 => seconds.prop_map(|seconds| Step::Advance(Duration::from_secs(seconds))),
    ]
}

#[test]
fn every_sequence_of_requests_is_answered_as_the_model_says() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let app = runtime.block_on(TestApp::with(&[("MAX_SESSIONS_PER_USER", "4")]));
    let number = std::sync::atomic::AtomicU32::new(0);
    let config = Config { cases: SEQUENCES, max_shrink_iters: 300, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&proptest::collection::vec(step(), STEPS), |steps| {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        runtime.block_on(play(&app, &format!("player{number}"), &steps));
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

async fn play(app: &TestApp, name: &str, steps: &[Step]) {
    let admin = app.admin(&format!("{name}.root")).await.username;
    let id = app.register(name).await.expect_status(201).json()["id"].clone();
    // The network's budgets are whole again.
    app.advance(Duration::from_secs(3_600));
    let mut refused_in_a_row = 0;
    let mut people: Vec<Person> = Vec::new();
    let mut model = Model::new(4);
    for (index, step) in steps.iter().enumerate() {
        let context = format!("step {index}: {step:?}");
        match step {
            Step::Login => {
                let answer = app.login(name, PASSWORD).await;
                if model.is_disabled() {
                    // To whoever is kept out, a right password is a wrong one, and so many wrong ones have to wait.
                    refused_in_a_row += 1;
                    let may_wait = refused_in_a_row > 5 && answer.status == 429;
                    let expected = if may_wait { (429, "too_many_attempts") } else { (401, "invalid_credentials") };
                    answer.expect_problem(expected.0, expected.1);
                } else {
                    refused_in_a_row = 0;
                    let person = Person::of_pair(app, &answer.expect_status(200));
                    model.login(app.now(), &person);
                    people.push(person);
                }
            }
            Step::SetDisabled(disabled) => {
                // Signed in anew each time: the clock may have left an older session behind.
                let admin = app.sign_in(&admin).await;
                let body = json!({ "disabled": disabled });
                admin.patch(&format!("/api/users/{id}"), &body).await.expect_status(200);
                model.set_disabled(app.now(), *disabled);
            }
            Step::Advance(by) => app.advance(*by),
            _ if people.is_empty() => {}
            Step::Refresh { session, which } => {
                let session = session % people.len();
                let token = model.token(session, *which);
                let expected = model.refresh(app.now(), session, *which);
                let answer = app.refresh(&token).await;
                match expected {
                    Expected::Successor { known: Some(known) } => {
                        let answer = answer.expect_status(200);
                        assert_eq!(answer.text_at("refreshToken"), known, "{context}");
                        people[session].access_token = answer.text_at("jwtToken");
                        model.note_access_token(app.now(), session);
                    }
                    Expected::Successor { known: None } => {
                        let answer = answer.expect_status(200);
                        let new = answer.text_at("refreshToken");
                        assert!(!model.has_token(session, &new), "{context}");
                        model.note_successor(app.now(), session, new);
                        people[session].access_token = answer.text_at("jwtToken");
                        let expires_at = model.expires_at(session).to_string();
                        assert_eq!(answer.text_at("refreshTokenExpiresAt"), expires_at, "{context}");
                    }
                    Expected::Refused(status, code) => {
                        assert_eq!((answer.status, answer.json()["code"].as_str()), (status, Some(code)), "{context}");
                    }
                }
            }
            Step::RevokeToken { session, generation } => {
                let session = session % people.len();
                let token = model.token_of_generation(session, *generation);
                app.post("/api/auth/revoke-token", &json!(token)).await.expect_status(204);
                model.end(session);
            }
            Step::Logout { session } => {
                let session = session % people.len();
                let works = model.access_token_works(app.now(), session);
                let answer = people[session].post_nothing("/api/auth/logout").await;
                assert_eq!(answer.status, if works { 204 } else { 401 }, "{context}");
                if works {
                    model.end(session);
                }
            }
            Step::LogoutAll { session } => {
                let session = session % people.len();
                let works = model.access_token_works(app.now(), session);
                let answer = people[session].post_nothing("/api/auth/logout-all").await;
                assert_eq!(answer.status, if works { 204 } else { 401 }, "{context}");
                if works {
                    model.end_all(app.now());
                }
            }
            Step::ReadProfile { session } => {
                let session = session % people.len();
                let works = model.access_token_works(app.now(), session);
                assert_eq!(people[session].profile().await.status, if works { 200 } else { 401 }, "{context}");
            }
        }
    }
    for (index, person) in people.iter().enumerate() {
        let id = SessionId::parse(&person.session_id).unwrap();
        let events = app.database.store();
        let count =
            events.read(move |connection| audit_events::count(connection, Kind::ReuseDetected, id)).await.unwrap();
        assert_eq!(count, i64::from(model.was_theft(index)), "each theft has one event, and nothing else has");
    }
}
