//! Headers that ask for something else than the one check there is: other keys, other types, extensions.

use std::io::ErrorKind;
use std::net::TcpListener;

use serde_json::{Value, json};

use super::forge::{Forge, changed, encode, every_algorithm, with_another};

#[tokio::test]
async fn f3_a_key_or_an_address_of_a_key_in_the_header_is_refused_and_nobody_is_asked() {
    let attacker = TcpListener::bind("127.0.0.1:0").unwrap();
    attacker.set_nonblocking(true).unwrap();
    let url = format!("http://{}/jwks.json", attacker.local_addr().unwrap());
    let stranger = Forge::of("ES256").await;
    let stored = super::forge::stored_keys(&stranger.app).await.remove(0);
    let jwk: Value = serde_json::from_str(&stored.public_jwk).unwrap();
    let certificate = encode(stranger.signer.public_der().unwrap());
    every_algorithm(async |forge| {
        let members = [
            ("jwk", jwk.clone()),
            ("jwk", json!({"kty": "oct", "k": encode("secret"), "alg": "HS256"})),
            ("jku", json!(url)),
            ("x5u", json!(url)),
            ("x5c", json!([certificate])),
            ("x5t", json!(encode([0; 20]))),
            ("x5t#S256", json!(encode([0; 32]))),
        ];
        let mut tokens = Vec::new();
        for (name, value) in members {
            tokens.push((format!("signed by us with {name}"), forge.with_header(name, value.clone())));
            for kid in [forge.header["kid"].clone(), json!(stored.kid), json!(url)] {
                let header = changed(&changed(&forge.header, name, value.clone()), "kid", kid);
                let header = changed(&header, "alg", json!("ES256")).to_string();
                let token = stranger.signer.sign(header, forge.claims.to_string());
                tokens.push((format!("signed by a stranger with {name}"), token));
            }
        }
        forge.refuses(tokens).await;
    })
    .await;
    let asked = attacker.accept();
    assert_eq!(asked.map(|(_, who)| who).unwrap_err().kind(), ErrorKind::WouldBlock, "somebody fetched a key");
}

#[tokio::test]
async fn f4_a_kid_that_is_missing_unknown_or_hostile_is_refused() {
    every_algorithm(async |forge| {
        let kid = forge.header["kid"].as_str().unwrap().to_owned();
        let kids = [
            json!(""),
            json!("unknown"),
            json!("../../dev/null"),
            json!("/dev/null"),
            json!("' OR 1=1--"),
            json!("x' UNION SELECT 'a"),
            json!("$(id)"),
            json!("http://127.0.0.1:1/"),
            json!(format!("{kid}\0")),
            json!(format!("{kid} ")),
            json!(format!("./{kid}")),
            json!(kid.to_uppercase() + "X"),
            json!(&kid[1..]),
            json!("k".repeat(4 * 1024)),
            json!("k".repeat(10 * 1024)),
            json!("\u{0}"),
            json!([kid]),
            json!({"kid": kid}),
            json!(0),
            json!(true),
            Value::Null,
        ];
        forge.refuses_headers("kid", kids).await;
        forge.refuses([("no kid".to_owned(), forge.without_header("kid"))]).await;
    })
    .await;
}

#[tokio::test]
async fn f6_only_an_access_token_is_one() {
    every_algorithm(async |forge| {
        for typ in ["at+jwt", "AT+JWT", "aT+jWt", "application/at+jwt", "APPLICATION/AT+JWT"] {
            forge.accepts(typ, &forge.with_header("typ", typ)).await;
        }
        let others = [
            "JWT",
            "jwt",
            "",
            "dpop+jwt",
            "statuslist+jwt",
            "id_token+jwt",
            "logout+jwt",
            "token-introspection+jwt",
            "rt+jwt",
            "at",
            "at+jwt ",
            " at+jwt",
            "at+jwt;v=1",
            "at+jwts",
            "application/jwt",
            "application/application/at+jwt",
            "text/at+jwt",
            "application/",
            "applicatio\u{212a}/at+jwt",
        ];
        forge.refuses_headers("typ", others.map(Value::from)).await;
        forge.refuses_headers("typ", [Value::Null, json!(["at+jwt"]), json!(1), json!({})]).await;
        forge.refuses([("no typ".to_owned(), forge.without_header("typ"))]).await;
    })
    .await;
}

#[tokio::test]
async fn f12_an_extension_that_must_be_understood_is_refused() {
    every_algorithm(async |forge| {
        let crits = [json!(["x"]), json!(["exp"]), json!([]), json!("x"), json!(["b64"]), json!(["crit"]), Value::Null];
        forge.refuses_headers("crit", crits).await;
        let mut tokens = Vec::new();
        for (name, value) in [("x", json!(1)), ("exp", json!(1)), ("b64", json!(false)), ("b64", json!(true))] {
            let header = changed(&changed(&forge.header, name, value.clone()), "crit", json!([name]));
            tokens.push((format!("crit with {name} {value}"), forge.under(header.to_string())));
        }
        // RFC 7797: the payload as it is, signed that way.
        let header = changed(&changed(&forge.header, "b64", json!(false)), "crit", json!(["b64"])).to_string();
        let message = format!("{}.{}", encode(&header), forge.claims);
        let signature = forge.signer.signature(&message);
        tokens.push(("an unencoded payload".to_owned(), format!("{message}.{signature}")));
        tokens.push(("a detached payload".to_owned(), format!("{}..{signature}", encode(&header))));
        let payload = encode(forge.claims.to_string());
        tokens.push((
            "an encoded payload signed unencoded".to_owned(),
            format!("{}.{payload}.{signature}", encode(&header)),
        ));
        forge.refuses(tokens).await;
    })
    .await;
}

#[tokio::test]
async fn f13_a_header_member_that_is_there_twice_is_refused_in_either_order() {
    every_algorithm(async |forge| {
        let mut tokens = Vec::new();
        for (name, other) in [("alg", "none"), ("kid", "unknown"), ("typ", "JWT")] {
            let own = forge.header[name].clone();
            tokens
                .push((format!("another {name} first"), forge.under(with_another(&forge.header, name, &json!(other)))));
            let last = with_another(&changed(&forge.header, name, json!(other)), name, &own);
            tokens.push((format!("another {name} last"), forge.under(last)));
            tokens.push((format!("the same {name} twice"), forge.under(with_another(&forge.header, name, &own))));
        }
        forge.refuses(tokens).await;
    })
    .await;
}

#[tokio::test]
async fn f13_a_header_that_is_no_json_object_or_goes_on_behind_it_is_refused() {
    every_algorithm(async |forge| {
        let header = forge.header.to_string();
        let values: Vec<&Value> = ["alg", "kid", "typ"].iter().map(|name| &forge.header[*name]).collect();
        let wrong: Vec<Vec<u8>> = vec![
            Vec::new(),
            b"null".to_vec(),
            b"{}".to_vec(),
            format!("[{header}]").into_bytes(),
            serde_json::to_vec(&values).unwrap(),
            format!("{header}{header}").into_bytes(),
            format!("{header},").into_bytes(),
            format!("\u{feff}{header}").into_bytes(),
            header.trim_end_matches('}').as_bytes().to_vec(),
            [header.as_bytes(), b"\xff"].concat(),
            header.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            header.replace('"', "'").into_bytes(),
        ];
        let token = |header: Vec<u8>| (String::from_utf8_lossy(&header).into_owned(), forge.under(header));
        forge.refuses(wrong.into_iter().map(token)).await;
    })
    .await;
}

#[tokio::test]
async fn f14_the_json_serialisation_of_a_jws_is_refused() {
    every_algorithm(async |forge| {
        let token = forge.unchanged();
        let [header, payload, signature]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
        let flattened = json!({"protected": header, "payload": payload, "signature": signature}).to_string();
        let general = json!({"payload": payload, "signatures": [{"protected": header, "signature": signature}]});
        let unprotected = json!({"header": forge.header, "payload": payload, "signature": signature}).to_string();
        let mixed = format!("{{\"{header}\":1,\"payload\":\"{payload}\",\"a\":\".{payload}.{signature}\"}}");
        let texts = [
            flattened.clone(),
            general.to_string(),
            unprotected.clone(),
            mixed,
            format!("{token}{{}}"),
            format!("{{}}{token}"),
            format!("\"{token}\""),
            format!("'{token}'"),
            format!("[{token}]"),
            format!("<{token}>"),
            encode(&flattened),
            encode(&unprotected),
            format!("{}..", encode(&flattened)),
        ];
        forge.refuses(texts.map(|text| (text.clone(), text))).await;
    })
    .await;
}

#[tokio::test]
async fn f16_what_is_encrypted_compressed_or_nested_is_refused_promptly() {
    every_algorithm(async |forge| {
        let (token, claims) = (forge.unchanged(), forge.claims.to_string());
        let mut tokens = Vec::new();
        for alg in ["dir", "RSA-OAEP", "RSA1_5", "ECDH-ES", "A256KW", "PBES2-HS512+A256KW"] {
            let jwe = json!({
                "alg": alg, "enc": "A256GCM", "kid": forge.header["kid"], "typ": "at+jwt", "zip": "DEF",
                "p2c": 2_147_483_647_i64, "p2s": encode([7; 16]),
            });
            let head = encode(jwe.to_string());
            tokens.push((format!("a JWE with {alg}"), format!("{head}.{0}.{0}.{0}.{0}", encode([0; 16]))));
            tokens.push((format!("{alg} in three parts"), forge.signer.sign(jwe.to_string(), &claims)));
        }
        tokens.push(("zip".to_owned(), forge.with_header("zip", "DEF")));
        tokens.push(("p2c".to_owned(), forge.with_header("p2c", 2_147_483_647_i64)));
        tokens.push(("enc".to_owned(), forge.with_header("enc", "A256GCM")));
        tokens.push(("cty JWT around the claims".to_owned(), forge.with_header("cty", "JWT")));
        let nested = changed(&forge.header, "cty", json!("JWT")).to_string();
        tokens.push(("a nested token".to_owned(), forge.signer.sign(nested, &token)));
        tokens.push(("a nested token without cty".to_owned(), forge.saying(&token)));
        forge.refuses(tokens).await;
    })
    .await;
}
