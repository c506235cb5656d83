//! `/.well-known/jwks.json`.

use std::collections::BTreeSet;
use std::time::Duration;

use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{DecodingKey, Validation};
use relatch::auth::rotate_keys::Haste;
use reqwest::Method;
use serde_json::Value;

use super::{KNOWN, kid_of, kids, published, rotate};
use crate::harness::TestApp;
use crate::jwt::variables;

const PATH: &str = "/.well-known/jwks.json";

/// The public members of each kind of key, and no other.
fn members(algorithm: &str) -> BTreeSet<&'static str> {
    let of_kind: &[&str] = match algorithm {
        "ES256" => &["crv", "x", "y"],
        "EdDSA" => &["crv", "x"],
        _ => &["n", "e"],
    };
    ["kty", "kid", "use", "alg"].into_iter().chain(of_kind.iter().copied()).collect()
}

#[tokio::test]
async fn g6_no_private_member_is_published_and_each_key_names_its_one_algorithm() {
    for algorithm in ["ES256", "EdDSA", "RS256"] {
        let app = TestApp::with(&variables(algorithm)).await;
        let keys = published(&app).await;
        assert_eq!(keys.len(), 2, "the key that signs and the next one");
        for key in &keys {
            let names: BTreeSet<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(names, members(algorithm), "{key}");
            assert_eq!((key["use"].as_str(), key["alg"].as_str()), (Some("sig"), Some(algorithm)));
            let jwk: Jwk = serde_json::from_value(key.clone()).unwrap();
            assert_eq!(jwk.thumbprint(ThumbprintHash::SHA256).unwrap(), key["kid"].as_str().unwrap());
        }
        assert_ne!(keys[0]["kid"], keys[1]["kid"]);
    }
}

#[tokio::test]
async fn g6_with_a_shared_key_nothing_is_published() {
    let app = TestApp::with(&variables("HS256")).await;
    let answer = app.get(PATH).await.expect_status(200);
    assert_eq!(answer.text, r#"{"keys":[]}"#);
}

#[tokio::test]
async fn g6_the_published_key_verifies_a_token_with_a_library() {
    for algorithm in ["ES256", "EdDSA", "RS256"] {
        let app = TestApp::with(&variables(algorithm)).await;
        let token = app.user("saif").await.access_token;
        let keys = published(&app).await;
        let key = keys.iter().find(|key| key["kid"] == kid_of(&token)).unwrap();
        assert_eq!(key, &keys[0], "the key that signs comes first");
        let jwk: Jwk = serde_json::from_value(key.clone()).unwrap();
        let mut validation = Validation::new(key["alg"].as_str().unwrap().parse().unwrap());
        validation.set_audience(&["relatch"]);
        validation.set_issuer(&[app.config.jwt.issuer.as_str()]);
        let decoded =
            jsonwebtoken::decode::<Value>(&token, &DecodingKey::from_jwk(&jwk).unwrap(), &validation).unwrap();
        assert_eq!(decoded.claims["unique_name"], "saif");
        let other: Jwk = serde_json::from_value(keys[1].clone()).unwrap();
        jsonwebtoken::decode::<Value>(&token, &DecodingKey::from_jwk(&other).unwrap(), &validation).unwrap_err();
    }
}

#[tokio::test]
async fn g7_the_keys_may_be_kept_and_read_by_anybody() {
    let app = TestApp::with(&[("JWKS_MAX_AGE", "300")]).await;
    let answer = app.get(PATH).await.expect_status(200);
    let headers = |answer: &crate::harness::Answer| {
        ["cache-control", "access-control-allow-origin", "cross-origin-resource-policy", "set-cookie", "vary", "etag"]
            .map(|name| answer.header(name).to_owned())
    };
    let etag = answer.header("etag").to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 20, "{etag}");
    assert_eq!(headers(&answer), ["public, max-age=300", "*", "cross-origin", "", "", &etag]);
    assert_eq!(answer.header("content-type"), "application/json");

    let known = app.request(Method::GET, PATH).header("if-none-match", format!("\"other\", W/{etag}"));
    let again = app.send(known).await.expect_status(304);
    assert_eq!((headers(&again), again.text.as_str()), (headers(&answer), ""));
    let head = app.send(app.request(Method::HEAD, PATH)).await.expect_status(200);
    assert_eq!((headers(&head), head.text.as_str()), (headers(&answer), ""));
    app.send(app.request(Method::POST, PATH)).await.expect_problem(405, "method_not_allowed");
    // Neither a bearer token nor a cookie makes a difference, were they any good or not.
    let request = app.request(Method::GET, PATH).bearer_auth("nonsense").header("cookie", "relatch=x");
    assert_eq!(app.send(request).await.expect_status(200).text, answer.text);
}

#[tokio::test]
async fn g7_another_set_of_keys_has_another_tag_and_the_same_has_the_same() {
    let app = TestApp::start().await;
    let tag = async |app: &TestApp| app.get(PATH).await.expect_status(200).header("etag").to_owned();
    let first = tag(&app).await;
    app.advance(KNOWN);
    assert_eq!(tag(&app).await, first);
    rotate(&app, Haste::None).await;
    let second = tag(&app).await;
    assert_ne!(second, first);
    let before = kids(&app).await;
    let app = app.restart(&[]).await;
    assert_eq!((tag(&app).await, kids(&app).await), (second.clone(), before), "a restart keeps the keys");
    app.advance(Duration::from_secs(961));
    assert_ne!(tag(&app).await, second, "a key that is of no use any more goes without anybody's doing");
}
