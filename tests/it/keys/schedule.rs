//! However keys are rotated, verifiers that keep the published keys for as long as they may never refuse a good token.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use relatch::auth::maintenance::prune;
use relatch::auth::rotate_keys::Haste;
use relatch::domain::timestamp::Timestamp;

use super::{kid_of, kids, rotate};
use crate::harness::{Person, TestApp};

const MAX_AGE: Duration = Duration::from_secs(60);
const LIFE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Rotate,
    Maintain,
    Restart(&'static str),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1_u64..50).prop_map(Step::Wait),
        1 => (50_u64..200).prop_map(Step::Wait),
        4 => Just(Step::Rotate),
        1 => Just(Step::Maintain),
        2 => prop_oneof![Just("ES256"), Just("EdDSA")].prop_map(Step::Restart),
    ]
}

/// Somebody who verifies tokens with the keys that were fetched last, and fetches them anew when they are too old.
struct Verifier {
    fetched_at: Timestamp,
    keys: Vec<String>,
}

impl Verifier {
    async fn keys(&mut self, app: &TestApp) -> &[String] {
        if app.now().since(self.fetched_at) >= MAX_AGE {
            *self = Self { fetched_at: app.now(), keys: kids(app).await };
        }
        &self.keys
    }
}

async fn walk(steps: Vec<Step>) {
    let variables = |algorithm| {
        [
            ("JWKS_MAX_AGE", "60"),
            ("JWT_TOKEN_EXPIRATION_MINUTES", "1"),
            ("RATE_LIMITS", "off"),
            ("JWT_ALGORITHM", algorithm),
        ]
    };
    let mut app = TestApp::with(&variables("ES256")).await;
    let mut person = app.user("saif").await;
    // When each key was published first. Those of the first start are known to whoever comes later.
    let start = app.now();
    let mut published: HashMap<String, Timestamp> = kids(&app).await.into_iter().map(|kid| (kid, start)).collect();
    let mut verifiers: Vec<Verifier> = Vec::new();
    let mut tokens = vec![(person.access_token.clone(), start)];
    for step in steps {
        match step {
            Step::Wait(seconds) => app.advance(Duration::from_secs(seconds)),
            Step::Rotate => {
                rotate(&app, Haste::None).await;
            }
            Step::Maintain => {
                prune(app.app.auth()).await.unwrap();
            }
            Step::Restart(algorithm) => app = app.restart(&variables(algorithm)).await,
        }
        let now = app.now();
        for kid in kids(&app).await {
            published.entry(kid).or_insert(now);
        }
        let pair = app.refresh(&person.refresh_token).await.expect_status(200);
        person = Person::of_pair(&app, &pair);
        tokens.push((person.access_token.clone(), now));
        tokens.retain(|(_, issued)| now.since(*issued) < LIFE);
        let known = published[&kid_of(&person.access_token)];
        assert!(
            known == start || now.since(known) >= MAX_AGE,
            "a key signs {:?} after it was published",
            now.since(known)
        );
        verifiers.push(Verifier { fetched_at: now, keys: kids(&app).await });
        for verifier in &mut verifiers {
            let keys = verifier.keys(&app).await;
            for (token, _) in &tokens {
                assert!(keys.contains(&kid_of(token)), "a verifier does not know the key of a good token");
            }
        }
    }
}

#[test]
fn g8_no_token_has_a_key_that_was_not_published_for_as_long_as_keys_are_kept() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config = Config { cases: 12, max_shrink_iters: 40, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&prop::collection::vec(step(), 5..25), |steps| {
            runtime.block_on(walk(steps));
            Ok(())
        })
        .unwrap();
}
