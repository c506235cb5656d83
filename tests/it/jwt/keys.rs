//! Keys that come and go while tokens of theirs are about.

use std::time::Instant;

use diesel::prelude::*;
use relatch::auth::access_tokens::new_stored_key;
use relatch::config::JwtAlgorithm;
use relatch::store::schema::audit_events;
use relatch::store::signing_keys::{self, StoredKey};
use serde_json::json;

use super::forge::{Forge, Signer, changed, keyring, stored_keys, variables};
use crate::harness::TestApp;

/// A new key that another instance begins to sign with.
async fn new_key(forge: &Forge) -> StoredKey {
    let key = new_stored_key(JwtAlgorithm::Es256, &keyring(), forge.app.now()).unwrap().unwrap();
    let (stored, now) = (key.clone(), forge.app.now());
    let made = move |connection: &mut _| {
        for old in signing_keys::all(connection)?.iter().filter(|key| key.schedule().is_last()) {
            signing_keys::supersede(connection, &old.kid, now)?;
        }
        signing_keys::insert(connection, &stored)?;
        signing_keys::begin(connection, &stored.kid, now)
    };
    forge.app.database.store().write(made).await.unwrap();
    key
}

fn token_of(forge: &Forge, key: &StoredKey) -> String {
    let header = changed(&forge.header, "kid", json!(key.kid)).to_string();
    Signer::of_stored(key).sign(header, forge.claims.to_string())
}

#[tokio::test]
async fn f4_a_key_that_another_instance_made_is_read_when_a_token_names_it() {
    let forge = Forge::of("ES256").await;
    let key = new_key(&forge).await;
    forge.accepts("of the new key", &token_of(&forge, &key)).await;
    forge.accepts("of the old key", &forge.unchanged()).await;
}

#[tokio::test]
async fn f4_unknown_kids_make_nobody_read_the_keys_again_and_again_nor_write_anything() {
    let forge = Forge::of("ES256").await;
    let events = async || {
        let count = |connection: &mut _| audit_events::table.count().get_result::<i64>(connection);
        forge.app.database.store().read(count).await.unwrap()
    };
    let before = (events().await, stored_keys(&forge.app).await.len());
    let began = Instant::now();
    let kids = (0..50).map(|number| (format!("kid {number}"), forge.with_header("kid", format!("unknown-{number}"))));
    forge.refuses(kids).await;
    assert_eq!((events().await, stored_keys(&forge.app).await.len()), before);
    let key = new_key(&forge).await;
    let token = token_of(&forge, &key);
    let answer = forge.present(&token).await;
    // The keys were read for the first unknown kid, and are not read for the next ones within five seconds.
    assert!(answer.status == 401 || began.elapsed().as_secs() >= 5, "{answer:?}");
    let app = forge.app.restart(&variables("ES256")).await;
    let again = app.send(app.request(reqwest::Method::GET, "/api/users/profile").bearer_auth(&token)).await;
    assert_eq!(again.status, 200, "the token was good all the same: {again:?}");
}

#[tokio::test]
async fn f4_a_key_that_is_no_longer_stored_verifies_nothing_after_a_restart() {
    let forge = Forge::of("ES256").await;
    let token = forge.unchanged();
    forge.accepts("while the key is there", &token).await;
    let remove = |connection: &mut _| diesel::delete(relatch::store::schema::signing_keys::table).execute(connection);
    assert_eq!(forge.app.database.store().write(remove).await.unwrap(), 2, "the key that signs and the next one");
    let app = forge.app.restart(&variables("ES256")).await;
    let answer = app.send(app.request(reqwest::Method::GET, "/api/users/profile").bearer_auth(&token)).await;
    answer.expect_problem(401, "invalid_token");
}

#[tokio::test]
async fn f5_a_key_that_signs_no_more_verifies_until_its_last_token_has_expired() {
    let app = TestApp::with(&variables("ES256")).await;
    let person = app.user("saif").await;
    let old = Forge::on(app, person.clone()).await;
    let (signer, header, claims) = (old.signer.clone(), old.header.clone(), old.claims.clone());
    let app = old.app.restart(&variables("HS256")).await;
    let person = crate::harness::Person::of_pair(&app, &app.refresh(&person.refresh_token).await.expect_status(200));
    let forge = Forge::on(app, person).await;
    assert_eq!(forge.header["alg"], "HS256");
    forge.accepts("of the old key", &signer.sign(header.to_string(), claims.to_string())).await;
    // Past the life of its last token and the minute that instances may differ by, nothing it signs counts.
    forge.app.advance(std::time::Duration::from_secs(15 * 60 + 61));
    let person = forge.app.sign_in("saif").await;
    let forge = Forge::on(forge.app, person).await;
    forge.refuses([("of the retired key".to_owned(), signer.sign(header.to_string(), forge.claims.to_string()))]).await;
}
