//! Claims that are missing, of another type, of somebody else or out of their time.

use std::time::Duration;

use serde_json::{Value, json};

use super::forge::{Forge, changed, every_algorithm, variables, with_another};
use crate::harness::TestApp;

/// What no string or number claim may be.
fn wrong_types() -> Vec<Value> {
    vec![Value::Null, json!(true), json!({}), json!([]), json!(""), json!("x")]
}

#[tokio::test]
async fn f7_an_audience_that_does_not_hold_ours_is_refused() {
    every_algorithm(async |forge| {
        assert_eq!(forge.claims["aud"], "relatch");
        forge.accepts("among others", &forge.with_claim("aud", json!(["other", "relatch"]))).await;
        forge.accepts("alone in an array", &forge.with_claim("aud", json!(["relatch"]))).await;
        let others = ["other", "", "Relatch", "relatch ", "relatch,other", "relatc", "relatch2"].map(Value::from);
        forge.refuses_claims("aud", others).await;
        forge.refuses([("no aud".to_owned(), forge.without_claim("aud"))]).await;
    })
    .await;
}

#[tokio::test]
async fn f7_an_audience_of_the_wrong_type_is_refused() {
    every_algorithm(async |forge| {
        let wrong = [
            json!(["x"]),
            json!([["relatch"]]),
            json!(["relatch", 5]),
            json!(["relatch", null]),
            json!({"relatch": true}),
            json!({"aud": "relatch"}),
            json!(5),
        ];
        forge.refuses_claims("aud", wrong.into_iter().chain(wrong_types())).await;
    })
    .await;
}

#[tokio::test]
async fn f8_another_issuer_or_one_of_another_type_is_refused() {
    every_algorithm(async |forge| {
        let issuer = forge.claims["iss"].as_str().unwrap().to_owned();
        assert!(issuer.starts_with("http://"), "{issuer}");
        let wrong = [
            json!("http://other.example"),
            json!(format!("{issuer}/")),
            json!(format!("{issuer} ")),
            json!(issuer.to_uppercase()),
            json!(issuer.replace("http://", "https://")),
            json!(issuer.replace("http://", "")),
            json!([issuer]),
            json!([issuer, "http://other.example"]),
            json!({"iss": issuer}),
            json!(5),
        ];
        forge.refuses_claims("iss", wrong.into_iter().chain(wrong_types())).await;
        forge.refuses([("no iss".to_owned(), forge.without_claim("iss"))]).await;
    })
    .await;
}

#[tokio::test]
async fn f9_an_exp_that_is_missing_past_or_no_date_is_refused() {
    every_algorithm(async |forge| {
        let now = forge.app.now().as_seconds();
        forge.accepts("the next second", &forge.with_claim("exp", now + 1)).await;
        forge.accepts("a fraction", &forge.with_claim("exp", json!(now as f64 + 1.5))).await;
        let wrong = [
            json!(now),
            json!(now - 1),
            json!(now - 59),
            json!(now as f64 - 0.5),
            json!(0),
            json!(-1),
            json!(-1e30),
            json!(1e30),
            json!(i64::MAX),
            json!(u64::MAX),
            json!("9999999999"),
            json!((now + 60).to_string()),
            json!("NaN"),
            json!([now + 60]),
            json!({"exp": now + 60}),
        ];
        forge.refuses_claims("exp", wrong.into_iter().chain(wrong_types())).await;
        let text = forge.claims.to_string();
        let exp = format!("\"exp\":{}", forge.number("exp"));
        assert!(text.contains(&exp), "{text}");
        let numbers = ["NaN", "Infinity", "1e999", "-1e999", "0x7fffffff", "+1", "9999999999.", "1_000", "", "exp"];
        let raw =
            |number: &str| (format!("exp {number}"), forge.saying(text.replace(&exp, &format!("\"exp\":{number}"))));
        forge.refuses(numbers.iter().map(|number| raw(number))).await;
        forge.refuses([("no exp".to_owned(), forge.without_claim("exp"))]).await;
    })
    .await;
}

#[tokio::test]
async fn f9_a_token_ends_with_the_very_second_of_its_exp() {
    let forge = Forge::of("ES256").await;
    let left = forge.number("exp") * 1_000_000 - forge.app.now().as_micros();
    forge.app.advance(Duration::from_micros(u64::try_from(left).unwrap() - 1));
    forge.accepts("a microsecond before", &forge.person.access_token).await;
    forge.app.advance(Duration::from_micros(1));
    let answer = forge.present(&forge.person.access_token).await.expect_problem(401, "invalid_token");
    assert!(answer.text_at("detail").contains("expired"), "{answer:?}");
}

#[tokio::test]
async fn f10_an_nbf_that_is_ahead_missing_or_no_date_is_refused() {
    every_algorithm(async |forge| {
        let now = forge.app.now().as_seconds();
        forge.accepts("now", &forge.with_claim("nbf", now)).await;
        let wrong = [
            json!(now + 1),
            json!(now + 59),
            json!(now + 3600),
            json!(i64::MAX),
            json!(1e30),
            json!(-1),
            json!(now.to_string()),
            json!([now]),
        ];
        forge.refuses_claims("nbf", wrong.into_iter().chain(wrong_types())).await;
        forge.refuses([("no nbf".to_owned(), forge.without_claim("nbf"))]).await;
    })
    .await;
}

#[tokio::test]
async fn f11_an_iat_may_be_five_seconds_ahead_and_not_more() {
    every_algorithm(async |forge| {
        let now = forge.app.now().as_seconds();
        forge.accepts("now", &forge.with_claim("iat", now)).await;
        forge.accepts("5 s ahead", &forge.with_claim("iat", now + 5)).await;
        let wrong = [
            json!(now + 6),
            json!(now + 60),
            json!(now + 3600),
            json!(1e30),
            json!(-1),
            json!(now.to_string()),
            json!([now]),
        ];
        forge.refuses_claims("iat", wrong.into_iter().chain(wrong_types())).await;
        forge.refuses([("no iat".to_owned(), forge.without_claim("iat"))]).await;
    })
    .await;
}

#[tokio::test]
async fn f11_a_life_beyond_the_configured_one_is_refused() {
    every_algorithm(async |forge| {
        let (iat, exp) = (forge.number("iat"), forge.number("exp"));
        assert_eq!(exp - iat, 15 * 60);
        let longer = [json!(exp + 1), json!(exp as f64 + 0.5), json!(exp + 3600), json!(253_402_300_799_i64)];
        forge.refuses_claims("exp", longer).await;
        forge.refuses_claims("iat", [json!(iat - 1), json!(0)]).await;
        // A token that began later may end later: what counts is the difference.
        let later = changed(&changed(&forge.claims, "iat", json!(iat + 5)), "exp", json!(exp + 5));
        forge.accepts("both later", &forge.saying(later.to_string())).await;
    })
    .await;
}

#[tokio::test]
async fn f11_tokens_of_a_longer_life_are_refused_once_a_shorter_one_is_configured() {
    let app = TestApp::with(&[("JWT_TOKEN_EXPIRATION_MINUTES", "60")]).await;
    let person = app.user("saif").await;
    person.profile().await.expect_status(200);
    let app = app.restart(&variables("ES256")).await;
    let forge = Forge::on(app, person).await;
    forge.present(&forge.person.access_token).await.expect_problem(401, "invalid_token");
    forge.accepts("of the new life", &forge.with_claim("exp", forge.number("iat") + 15 * 60)).await;
}

#[tokio::test]
async fn f13_a_claim_that_is_there_twice_is_refused_in_either_order() {
    every_algorithm(async |forge| {
        let mut tokens = Vec::new();
        for name in ["sub", "role", "exp", "iat", "nbf", "aud", "iss", "sid", "ver", "jti", "client_id", "email"] {
            let own = forge.claims[name].clone();
            let other = if own.is_string() { json!("2") } else { json!(9_999_999_999_i64) };
            tokens.push((format!("another {name} first"), forge.saying(with_another(&forge.claims, name, &other))));
            let last = with_another(&changed(&forge.claims, name, other), name, &own);
            tokens.push((format!("another {name} last"), forge.saying(last)));
            tokens.push((format!("the same {name} twice"), forge.saying(with_another(&forge.claims, name, &own))));
            // An escape in the name changes nothing about which member it is.
            let escaped = format!("\\u{:04x}{}", u32::from(name.chars().next().unwrap()), &name[1..]);
            let text = format!("{{\"{escaped}\":{own},{}", forge.claims.to_string().strip_prefix('{').unwrap());
            tokens.push((format!("{escaped} and {name}"), forge.saying(text)));
        }
        forge.refuses(tokens).await;
    })
    .await;
}

#[tokio::test]
async fn f13_a_payload_that_is_no_json_object_or_goes_on_behind_it_is_refused() {
    every_algorithm(async |forge| {
        let claims = forge.claims.to_string();
        let wrong: Vec<Vec<u8>> = vec![
            Vec::new(),
            b"{}".to_vec(),
            b"null".to_vec(),
            b"[]".to_vec(),
            b"\"relatch\"".to_vec(),
            format!("[{claims}]").into_bytes(),
            format!("{claims}{claims}").into_bytes(),
            format!("{claims}x").into_bytes(),
            format!("\u{feff}{claims}").into_bytes(),
            format!("{claims}\0").into_bytes(),
            claims.trim_end_matches('}').as_bytes().to_vec(),
            claims.replace("saif\"", "saif\u{0}\"").into_bytes(),
            [claims.replace("saif\"", "saif").as_bytes(), b"\xff\""].concat(),
            claims.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            claims.replace("saif@", "\\ud800@").into_bytes(),
            // As an array of the claims in the order in which they are declared.
            serde_json::to_vec(&forge.claims.as_object().unwrap().values().collect::<Vec<_>>()).unwrap(),
        ];
        let token = |payload: Vec<u8>| (String::from_utf8_lossy(&payload).into_owned(), forge.saying(payload));
        forge.refuses(wrong.into_iter().map(token)).await;
    })
    .await;
}

#[tokio::test]
async fn f9_a_claim_that_decides_must_be_there_and_of_its_type() {
    every_algorithm(async |forge| {
        for name in ["sub", "sid", "ver", "jti", "client_id", "role"] {
            forge.refuses([(format!("no {name}"), forge.without_claim(name))]).await;
            let types = [Value::Null, json!([forge.claims[name]]), json!({}), json!(true)];
            forge.refuses_claims(name, types).await;
        }
        forge.refuses_claims("sub", [json!(forge.person.id), json!(""), json!("01"), json!("+1"), json!(" 1")]).await;
        forge.refuses_claims("sid", [json!(""), json!(5), json!(format!("{} ", forge.person.session_id))]).await;
        forge.refuses_claims("ver", [json!("1"), json!(1.5), json!(-1), json!(0), json!(2), json!(i64::MAX)]).await;
    })
    .await;
}
