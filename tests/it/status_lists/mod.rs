//! Status lists: what a verifier that asks nobody knows of revocations.

mod lists;
mod places;
mod revocation;
mod vectors;
pub mod verifier;

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;

use crate::harness::{Answer, TestApp};
use verifier::{place_of, status, unverified};

/// The path on this server of a list that tokens name by its public URL.
fn path_of(app: &TestApp, uri: &str) -> String {
    uri.strip_prefix(app.config.public_url.as_str()).expect("a list of this server").to_owned()
}

/// The list that a token names.
async fn list_of(app: &TestApp, access_token: &str) -> Answer {
    let (uri, _) = place_of(&unverified(access_token)).expect("a place");
    app.get(&path_of(app, &uri)).await
}

/// What the list says now of a token.
async fn says(app: &TestApp, access_token: &str) -> u8 {
    let (_, place) = place_of(&unverified(access_token)).unwrap();
    let list: Value = unverified(&list_of(app, access_token).await.expect_status(200).text);
    status(&list["status_list"], place).unwrap()
}

/// Waits until the list says that a token was revoked, which it must within the time that is no part of its `ttl`.
async fn expect_revoked(app: &TestApp, access_token: &str) {
    let began = Instant::now();
    while says(app, access_token).await == 0 {
        assert!(began.elapsed() < Duration::from_secs(2), "the list does not say that it was revoked");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until lists that are asked for from now on were signed after this.
async fn expect_new_lists() {
    // The one thing that no clock of a test moves: a list is signed once a second at most.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
}

async fn head(app: &TestApp, path: &str) -> Answer {
    app.send(app.request(Method::HEAD, path)).await
}
