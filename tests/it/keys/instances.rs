//! Several instances on one store agree on the keys.

use std::sync::Arc;
use std::time::{Duration, Instant};

use relatch::auth::Actor;
use relatch::auth::rotate_keys::{Haste, rotate_keys};
use relatch::domain::client::Client;
use serde_json::{Value, json};

use super::{KNOWN, kid_of, kids, rotate};
use crate::harness::{Binary, Database, PASSWORD, SECRET_KEY, TestApp};
use crate::jwt::part;

/// Waits until both instances publish the same keys, which takes a moment.
async fn expect_agreement(one: &TestApp, two: &TestApp) {
    let began = Instant::now();
    loop {
        let (left, right) = (kids(one).await, kids(two).await);
        if left == right {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(1), "{left:?} and {right:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn g8_two_instances_switch_at_the_same_moment() {
    let one = TestApp::start().await;
    let two = TestApp::on_at(Arc::clone(&one.database), &[], Arc::clone(&one.clock)).await;
    one.user("saif").await;
    let rotated = rotate(&one, Haste::None).await;
    assert!(rotated.signs_from > one.now());
    expect_agreement(&one, &two).await;
    let kids_of_both = async || {
        let one = kid_of(&one.sign_in("saif").await.access_token);
        (one, kid_of(&two.sign_in("saif").await.access_token))
    };
    one.advance(rotated.signs_from.since(one.now()).saturating_sub(Duration::from_micros(1)));
    let (first, second) = kids_of_both().await;
    assert!(first == second && first != rotated.kid);
    one.advance(Duration::from_micros(1));
    assert_eq!(kids_of_both().await, (rotated.kid.clone(), rotated.kid.clone()));
    assert_eq!(kids(&one).await, kids(&two).await);
    // Either accepts what the other signed.
    let token = one.sign_in("saif").await.access_token;
    two.send(two.request(reqwest::Method::GET, "/api/users/profile").bearer_auth(&token)).await.expect_status(200);
}

#[tokio::test]
async fn g8_two_instances_that_rotate_at_once_make_one_switch() {
    let one = TestApp::start().await;
    let two = TestApp::on_at(Arc::clone(&one.database), &[], Arc::clone(&one.clock)).await;
    for round in 0..10 {
        one.advance(KNOWN);
        let before = kids(&one).await.len();
        let nobody = Client::default();
        let (left, right) = tokio::join!(
            rotate_keys(one.app.auth(), Actor::Operator, Haste::None, &nobody),
            rotate_keys(two.app.auth(), Actor::Operator, Haste::None, &nobody),
        );
        // Whoever comes second finds the new key signing already, and one that has not waited long enough.
        let (left, right) = (left.unwrap(), right.unwrap());
        let now = [&left, &right].into_iter().filter(|rotated| rotated.signs_from == one.now()).count();
        assert_eq!(now, 1, "round {round}: {left:?} {right:?}");
        expect_agreement(&one, &two).await;
        assert!(kids(&one).await.len() <= before + 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g8_two_processes_and_a_command_agree() {
    let database = Arc::new(Database::create());
    let binary = Binary::on(database).set("JWKS_MAX_AGE", "1");
    let servers = [binary.serve(), binary.serve()];
    let body = json!({ "username": "saif", "email": "saif@example.com", "password": PASSWORD });
    servers[0].post("/api/users/register", &body).await.expect_status(201);
    let login = json!({ "username": "saif", "password": PASSWORD });
    let mut tokens = Vec::new();
    let mut kids = std::collections::BTreeSet::new();
    // The next key is known after a second and another one of grace: a rotation every two seconds, say.
    for _ in 0..3 {
        let began = Instant::now();
        let done = binary.run(&["key", "rotate", "--json"]);
        assert_eq!(done.code, 0, "{done:?}");
        let kid = serde_json::from_str::<Value>(&done.stdout).unwrap()["kid"].as_str().unwrap().to_owned();
        for server in &servers {
            loop {
                let token = server.post("/api/auth/login", &login).await.expect_status(200).text_at("jwtToken");
                tokens.push(token.clone());
                if part(&token, 0)["kid"] == kid.as_str() {
                    break;
                }
                assert!(began.elapsed() < Duration::from_secs(10), "the key does not sign");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        kids.insert(kid);
    }
    assert_eq!(kids.len(), 3);
    for server in &servers {
        let published = server.get_as("", "/.well-known/jwks.json").await.expect_status(200).json();
        for token in &tokens {
            server.get_as(token, "/api/users/profile").await.expect_status(200);
            let kid = &part(token, 0)["kid"];
            assert!(published["keys"].as_array().unwrap().iter().any(|key| key["kid"] == *kid), "{kid}");
        }
    }
    // In an emergency both refuse them all within a second.
    let done = binary.run(&["key", "rotate", "--emergency"]);
    assert!(done.code == 0 && done.stdout.contains("are refused from now on"), "{done:?}");
    for server in &servers {
        server.expect_refused_within_a_second(tokens.last().unwrap()).await;
        for token in &tokens {
            server.get_as(token, "/api/users/profile").await.expect_problem(401, "invalid_token");
        }
        let token = server.post("/api/auth/login", &login).await.expect_status(200).text_at("jwtToken");
        server.get_as(&token, "/api/users/profile").await.expect_status(200);
    }
}

#[tokio::test]
async fn a_key_that_an_instance_with_the_old_secret_made_meanwhile_is_sealed_anew_before_that_secret_goes() {
    let old = ("SECRET_KEY", SECRET_KEY);
    let new = ("SECRET_KEY", "YW5vdGhlci1zZWNyZXQtb2YtdGhpcnR5LXR3by1ieXRlcyE=");
    let accepted = |(_, secret)| ("SECRET_KEYS_ACCEPTED", secret);
    let database = Arc::new(Database::create());
    let slow = TestApp::on(Arc::clone(&database), &[old, accepted(new)]).await;
    let quick = TestApp::on(Arc::clone(&database), &[new, accepted(old)]).await;
    let rotated = rotate_keys(slow.app.auth(), Actor::Operator, Haste::Emergency, &Client::default()).await.unwrap();
    drop(slow);
    let swapped = TestApp::on(Arc::clone(&database), &[new, accepted(old)]).await;
    drop((quick, swapped));
    let alone = TestApp::on(database, &[new]).await;
    let person = alone.user("saif").await;
    assert_eq!(part(&person.access_token, 0)["kid"], rotated.kid.as_str());
    person.profile().await.expect_status(200);
}
