//! What is in the tokens that are issued.

use std::collections::BTreeSet;

use relatch::auth::entropy;
use serde_json::{Value, json};

use super::kids;
use crate::harness::TestApp;
use crate::jwt::{part, variables};

#[tokio::test]
async fn g1_a_token_has_everything_that_rfc_9068_asks_for() {
    for algorithm in ["ES256", "EdDSA", "RS256", "HS256"] {
        let app = TestApp::with(&variables(algorithm)).await;
        let person = app.user("saif").await;
        let (header, claims) = (part(&person.access_token, 0), part(&person.access_token, 1));
        let kid = kids(&app).await.first().cloned().unwrap_or_else(|| "hs256".to_owned());
        assert_eq!(header, json!({ "typ": "at+jwt", "alg": algorithm, "kid": kid }));
        for name in ["iss", "aud", "sub", "client_id", "jti"] {
            assert!(claims[name].as_str().is_some_and(|text| !text.is_empty()), "{name}: {claims}");
        }
        for name in ["iat", "exp"] {
            assert!(claims[name].is_u64(), "{name}: {claims}");
        }
        assert_eq!((&claims["client_id"], &claims["aud"]), (&json!("relatch"), &json!("relatch")));
        assert_eq!(claims["sub"], json!(person.id.to_string()));
    }
}

#[test]
fn g3_no_two_tokens_have_the_same_id() {
    // Tokens get theirs from here; so many sign-ins would take too long.
    let ids: BTreeSet<String> = (0..10_000).map(|_| entropy::uuid().unwrap().to_string()).collect();
    assert_eq!(ids.len(), 10_000);
    assert!(ids.iter().all(|id| id.len() == 36));
}

#[tokio::test]
async fn g4_without_profile_claims_a_token_names_nobody() {
    let app = TestApp::with(&[("JWT_PROFILE_CLAIMS", "off")]).await;
    let person = app.user("saif").await;
    let claims = part(&person.access_token, 1);
    let names: BTreeSet<_> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["iss", "aud", "sub", "iat", "nbf", "exp", "jti", "sid", "ver", "client_id", "role", "status"];
    assert_eq!(names, BTreeSet::from(expected));
    for word in ["saif", "example.com", &person.refresh_token, "v1:", "$2b$"] {
        assert!(!claims.to_string().contains(word), "{word}: {claims}");
    }
}

#[tokio::test]
async fn g5_a_token_lives_for_fifteen_minutes_unless_something_else_is_configured() {
    let app = TestApp::start().await;
    let life = |token: &str| {
        let claims: Value = part(token, 1);
        claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap()
    };
    assert_eq!(life(&app.user("saif").await.access_token), 900);
    let app = app.restart(&[("JWT_TOKEN_EXPIRATION_MINUTES", "60")]).await;
    assert_eq!(life(&app.sign_in("saif").await.access_token), 3_600);
    // Longer ones are refused at start, but for development on this very machine: src/config/tests.rs.
}
