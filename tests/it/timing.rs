//! Whether the time of a refused sign-in tells who has an account. The benchmark looks closer, on a machine that is idle.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, PASSWORD, TestApp};

const WRONG: &str = "another sentence";
const TRIES: usize = 25;

async fn login_from(app: &TestApp, network: usize, name: &str, password: &str) -> Answer {
    let request = app.request(Method::POST, "/api/auth/login").header("x-forwarded-for", format!("10.0.{network}.7"));
    app.send(request.json(&json!({ "username": name, "password": password }))).await
}

/// Tries the names in turn, each at each place of a round, and gives how long the refusals of each took, in order.
async fn times(kinds: usize, mut refuse: impl AsyncFnMut(usize)) -> Vec<Vec<Duration>> {
    let mut times = vec![Vec::new(); kinds];
    for round in 0..TRIES {
        for place in 0..kinds {
            let kind = (place + round) % kinds;
            let began = Instant::now();
            refuse(kind).await;
            times[kind].push(began.elapsed());
        }
    }
    times.iter_mut().for_each(|times| times.sort_unstable());
    times
}

#[tokio::test]
async fn k2_a_refusal_takes_as_long_whoever_the_name_belongs_to() {
    // What hashing costs is most of the time at this cost.
    let app = TestApp::with(&[("BCRYPT_COST", "8"), ("TRUSTED_PROXIES", "127.0.0.1")]).await;
    let admin = app.admin("root").await;
    let disabled = app.user("disabled").await;
    let _known = app.user("saif").await;
    admin.patch(&format!("/api/users/{}", disabled.id), &json!({ "disabled": true })).await.expect_status(200);
    let long = "a".repeat(2_000);
    let kinds = [
        ("saif", WRONG),
        ("nobody", WRONG),
        ("nobody@example.com", WRONG),
        ("disabled", WRONG),
        ("disabled", PASSWORD),
        (long.as_str(), WRONG),
        ("saif\0", WRONG),
    ];
    let mut network = 0;
    let hashed = times(kinds.len(), async |kind| {
        network += 1;
        let (name, password) = kinds[kind];
        login_from(&app, network, name, password).await.expect_problem(401, "invalid_credentials");
    });
    let hashed: Vec<_> = hashed.await.iter().map(|times| times[TRIES / 2]).collect();
    // Without the hash, a refusal takes a tenth of that.
    for (kind, median) in kinds.iter().zip(&hashed) {
        let ratio = median.as_secs_f64() / hashed[0].as_secs_f64();
        assert!((0.5..2.0).contains(&ratio), "{:.20}: {median:?} of {hashed:?}", kind.0);
    }
    let names = ["saif", "nobody", "disabled"];
    for name in names.repeat(5) {
        login_from(&app, 0, name, WRONG).await.expect_problem(401, "invalid_credentials");
    }
    let delayed = times(names.len(), async |name| {
        login_from(&app, 0, names[name], PASSWORD).await.expect_problem(429, "too_many_attempts");
    });
    // Nobody's password is looked at meanwhile.
    let quickest: Vec<_> = delayed.await.iter().map(|times| times[0]).collect();
    assert!(quickest.iter().all(|time| *time < hashed[0] / 3), "{quickest:?} beside {hashed:?}");
}
