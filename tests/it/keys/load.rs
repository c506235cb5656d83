//! Rotations in quick succession while tokens are made and verified.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use super::kid_of;
use crate::harness::{Binary, PASSWORD};

/// How long a verifier keeps the published keys: all of what it is allowed to.
const MAX_AGE: Duration = Duration::from_secs(1);
const VERIFICATIONS: u64 = 100_000;

/// Verifies in a thread of its own with keys that are fetched only when the last ones are too old.
fn verify(base: &str, tokens: &Mutex<Vec<String>>, count: &AtomicU64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&["relatch"]);
    let mut keys: HashMap<String, DecodingKey> = HashMap::new();
    let mut fetched_at: Option<Instant> = None;
    while count.load(Ordering::Relaxed) < VERIFICATIONS {
        // The newest are the ones whose key a verifier knows least.
        let newest: Vec<_> = tokens.lock().unwrap().iter().rev().take(50).cloned().collect();
        for token in newest {
            if fetched_at.is_none_or(|at| at.elapsed() >= MAX_AGE) {
                fetched_at = Some(Instant::now());
                let url = format!("{base}/.well-known/jwks.json");
                let set: Value =
                    runtime.block_on(async { client.get(url).send().await.unwrap().json().await.unwrap() });
                let key = |jwk: &Value| {
                    let jwk: Jwk = serde_json::from_value(jwk.clone()).unwrap();
                    (jwk.common.key_id.clone().unwrap(), DecodingKey::from_jwk(&jwk).unwrap())
                };
                keys = set["keys"].as_array().unwrap().iter().map(key).collect();
            }
            let key = keys.get(&kid_of(&token)).expect("the key of a good token is known");
            jsonwebtoken::decode::<Value>(&token, key, &validation).expect("a good token is accepted");
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g8_with_a_rotation_every_two_seconds_no_good_token_is_refused() {
    let binary = Binary::new().set("JWKS_MAX_AGE", "1").set("RATE_LIMITS", "off");
    let server = binary.serve();
    let account = json!({ "username": "saif", "email": "saif@example.com", "password": PASSWORD });
    server.post("/api/users/register", &account).await.expect_status(201);
    let login = json!({ "username": "saif", "password": PASSWORD });
    let first = server.post("/api/auth/login", &login).await.expect_status(200);
    let tokens = Arc::new(Mutex::new(vec![first.text_at("jwtToken")]));
    let (count, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let verifiers: Vec<_> = (0..2)
        .map(|_| {
            let (base, tokens, count) = (server.base.clone(), Arc::clone(&tokens), Arc::clone(&count));
            std::thread::spawn(move || verify(&base, &tokens, &count))
        })
        .collect();
    let rotating = {
        let (binary, is_over) = (binary, Arc::clone(&is_over));
        std::thread::spawn(move || {
            let mut rotations = 0;
            while !is_over.load(Ordering::Relaxed) || rotations < 3 {
                let began = Instant::now();
                let done = binary.run(&["key", "rotate"]);
                assert_eq!(done.code, 0, "{done:?}");
                rotations += 1;
                // The server is a process with the machine's clock, which no test can move.
                std::thread::sleep(Duration::from_secs(2).saturating_sub(began.elapsed()));
            }
        })
    };
    let mut refresh = first.text_at("refreshToken");
    while !rotating.is_finished() {
        let pair = server.post("/api/auth/refresh-token", &json!(refresh)).await.expect_status(200);
        refresh = pair.text_at("refreshToken");
        tokens.lock().unwrap().push(pair.text_at("jwtToken"));
        // They end when they have verified enough, or failed.
        if verifiers.iter().any(std::thread::JoinHandle::is_finished) {
            is_over.store(true, Ordering::Relaxed);
        }
    }
    for verifier in verifiers {
        verifier.join().unwrap();
    }
    rotating.join().unwrap();
    let used: BTreeSet<_> = tokens.lock().unwrap().iter().map(|token| kid_of(token)).collect();
    assert!(used.len() >= 3, "{} keys signed", used.len());
}
