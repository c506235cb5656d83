//! Signing keys: what is published of them, and how one takes another's place.

mod commands;
mod instances;
mod issued;
mod load;
mod metadata;
mod published;
mod rotation;
mod schedule;

use std::time::Duration;

use relatch::auth::Actor;
use relatch::auth::rotate_keys::{Haste, Rotated, rotate_keys};
use relatch::domain::client::Client;
use serde_json::Value;

use crate::harness::TestApp;
use crate::jwt::part;

/// How long a key is published before it signs, and a little more.
const KNOWN: Duration = Duration::from_secs(615);

/// The published keys, whose answer must be in order.
async fn published(app: &TestApp) -> Vec<Value> {
    let answer = app.get("/.well-known/jwks.json").await.expect_status(200);
    answer.json()["keys"].as_array().unwrap().clone()
}

/// Their ids, the one that signs first.
pub async fn kids(app: &TestApp) -> Vec<String> {
    published(app).await.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// Which key a token says that it was signed with.
fn kid_of(token: &str) -> String {
    part(token, 0)["kid"].as_str().unwrap().to_owned()
}

/// A rotation as an operator has it.
async fn rotate(app: &TestApp, haste: Haste) -> Rotated {
    rotate_keys(app.app.auth(), Actor::Operator, haste, &Client::default()).await.unwrap()
}
