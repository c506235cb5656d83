//! What is wrong with a signature or with how the three parts are written.

use serde_json::{Value, json};

use super::forge::{Forge, Signer, changed, decode, encode, every_algorithm, variables, without};
use crate::harness::TestApp;

/// The order of P-256's group, big-endian.
const N: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

#[tokio::test]
async fn f1_an_alg_that_is_none_or_no_name_is_refused_with_and_without_a_signature() {
    every_algorithm(async |forge| {
        let names = ["none", "None", "NONE", "nOnE", "", " ", "HS384", "HS512", "ES384", "PS256", "RS512", "ES256K"];
        let names = names.map(Value::from).into_iter();
        let lower = json!(forge.header["alg"].as_str().unwrap().to_lowercase());
        let others =
            [Value::Null, json!(["none"]), json!([forge.header["alg"]]), json!(0), json!({}), json!(true), lower];
        let headers = names.chain(others).map(|alg| changed(&forge.header, "alg", alg).to_string());
        let headers: Vec<String> = headers.chain([without(&forge.header, "alg").to_string()]).collect();
        forge.refuses(headers.iter().map(|header| (format!("signed {header}"), forge.under(header)))).await;
        let unsigned = |header: &String| {
            let token = forge.under(header);
            (format!("unsigned {header}"), format!("{}.", token.rsplit_once('.').unwrap().0))
        };
        forge.refuses(headers.iter().map(unsigned)).await;
    })
    .await;
}

#[tokio::test]
async fn f1_a_signature_that_is_empty_cut_or_of_other_bytes_is_refused() {
    every_algorithm(async |forge| {
        let token = forge.unchanged();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let bytes = decode(signature);
        let mut flipped = bytes.clone();
        flipped[0] ^= 1;
        let other = forge.signer.signature("eyJ9.e30");
        let signatures = [
            ("empty", String::new()),
            ("one byte", encode([0])),
            ("zeros", encode(vec![0; bytes.len()])),
            ("cut", encode(&bytes[1..])),
            ("longer", encode([bytes.as_slice(), &[0]].concat())),
            ("flipped", encode(flipped)),
            ("of another message", other),
        ];
        forge.refuses(signatures.map(|(what, signature)| (what.to_owned(), format!("{message}.{signature}")))).await;
    })
    .await;
}

#[tokio::test]
async fn f1_a_payload_under_the_signature_of_another_is_refused() {
    every_algorithm(async |forge| {
        let genuine = forge.unchanged();
        let [header, _, signature]: [&str; 3] = genuine.split('.').collect::<Vec<_>>().try_into().unwrap();
        let payload = encode(changed(&forge.claims, "role", json!("Admin")).to_string());
        forge.refuses([("another role".to_owned(), format!("{header}.{payload}.{signature}"))]).await;
    })
    .await;
}

#[tokio::test]
async fn f2_a_public_key_is_no_shared_key() {
    for algorithm in ["ES256", "EdDSA", "RS256"] {
        let forge = Forge::of(algorithm).await;
        let stored = super::forge::stored_keys(&forge.app).await.remove(0);
        let jwk: Value = serde_json::from_str(&stored.public_jwk).unwrap();
        let der = forge.signer.public_der().unwrap();
        let body = base64_lines(&der);
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{body}-----END PUBLIC KEY-----");
        let coordinate = if algorithm == "RS256" { "n" } else { "x" };
        let text = jwk[coordinate].as_str().unwrap();
        let mut secrets = vec![
            ("PEM with a newline", format!("{pem}\n").into_bytes()),
            ("PEM with CRLF", format!("{pem}\n").replace('\n', "\r\n").into_bytes()),
            ("PEM", pem.into_bytes()),
            ("base64 of DER", body.replace('\n', "").into_bytes()),
            ("DER", der),
            ("JWK", stored.public_jwk.clone().into_bytes()),
            ("a coordinate's text", text.as_bytes().to_vec()),
            ("a coordinate", decode(text)),
            ("the kid", stored.kid.clone().into_bytes()),
            ("nothing", Vec::new()),
        ];
        if let Some(y) = jwk["y"].as_str() {
            secrets.push(("the point", [vec![4], decode(text), decode(y)].concat()));
        }
        let header = changed(&forge.header, "alg", json!("HS256"));
        let tokens = secrets.iter().flat_map(|(what, secret)| {
            let signer = Signer::of_shared(secret);
            let kids = [forge.header["kid"].clone(), json!("hs256"), Value::Null];
            kids.map(|kid| {
                let header = changed(&header, "kid", kid.clone()).to_string();
                (format!("{algorithm}: {what}, kid {kid}"), signer.sign(header, forge.claims.to_string()))
            })
        });
        forge.refuses(tokens.collect::<Vec<_>>()).await;
    }
}

#[tokio::test]
async fn f5_a_key_verifies_its_own_algorithm_alone() {
    // Both keys are the server's: one signed until the algorithm was changed, the other signs now.
    let app = TestApp::with(&variables("ES256")).await;
    let person = app.user("saif").await;
    let before = Forge::on(app, person.clone()).await;
    let (es256, header, claims) = (before.signer.clone(), before.header.clone(), before.claims.clone());
    let app = before.app.restart(&variables("RS256")).await;
    // Until then the new key is published and does not sign.
    app.advance(std::time::Duration::from_secs(615));
    let person = app.sign_in(&person.username).await;
    let now = Forge::on(app, person).await;
    now.accepts("of the key that signs", &now.unchanged()).await;
    now.accepts("of the key that signed", &es256.sign(header.to_string(), claims.to_string())).await;
    let token = |signer: &Signer, kid: &str, alg: &str| {
        let header = changed(&changed(&now.header, "kid", json!(kid)), "alg", json!(alg)).to_string();
        let what = format!("{:?} signed, kid {kid}, alg {alg}", signer.algorithm);
        (what, signer.sign(header, now.claims.to_string()))
    };
    let rs256 = &now.signer;
    now.accepts("as a control", &token(&es256, &es256.kid, "ES256").1).await;
    now.refuses([
        token(rs256, &es256.kid, "RS256"),
        token(&es256, &rs256.kid, "ES256"),
        token(rs256, &es256.kid, "ES256"),
        token(&es256, &rs256.kid, "RS256"),
        token(&es256, &es256.kid, "RS256"),
        token(&es256, &es256.kid, "EdDSA"),
        token(rs256, &rs256.kid, "PS256"),
        token(rs256, &rs256.kid, "HS256"),
    ])
    .await;
}

#[tokio::test]
async fn f15_only_three_parts_of_canonical_base64url_are_a_token() {
    every_algorithm(async |forge| {
        let token = forge.unchanged();
        let [header, payload, signature]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
        // White space inside JSON makes each part end in every possible number of spare bits.
        let spread = |object: &Value, by: usize| format!("{object}{}", " ".repeat(by));
        for by in 0..3 {
            let token = forge.signer.sign(spread(&forge.header, by), spread(&forge.claims, by));
            forge.accepts("spread", &token).await;
        }
        let mut tokens = vec![
            ("one part", header.to_owned()),
            ("two parts", format!("{header}.{payload}")),
            ("four parts", format!("{token}.")),
            ("four full parts", format!("{token}.{signature}")),
            ("five parts", format!("{token}.{payload}.{signature}")),
            ("no header", format!(".{payload}.{signature}")),
            ("no payload", format!("{header}..{signature}")),
            ("dots", "..".to_owned()),
            ("a leading dot", format!(".{token}")),
            ("padding of the signature", format!("{token}=")),
            ("more padding of the signature", format!("{token}==")),
            ("padding of the payload", resigned(&forge, header, &format!("{payload}="))),
            ("padding of the header", resigned(&forge, &format!("{header}="), payload)),
            ("a tab", format!("{header}.{payload}.\t{signature}")),
            ("a space", format!("{header}. {payload}.{signature}")),
            ("percent signs", token.replace('.', "%2E")),
            ("upper case", token.to_uppercase()),
        ]
        .into_iter()
        .map(|(what, token)| (what.to_owned(), token))
        .collect::<Vec<_>>();
        for by in 0..3 {
            let (header, payload) = (encode(spread(&forge.header, by)), encode(spread(&forge.claims, by)));
            for (header, payload) in spare_bits(&header)
                .map(|h| (h, payload.clone()))
                .chain(spare_bits(&payload).map(|p| (header.clone(), p)))
            {
                tokens.push((format!("spare bits of {header}.{payload}"), resigned(&forge, &header, &payload)));
            }
        }
        tokens.extend(spare_bits(signature).map(|s| (format!("spare bits of {s}"), format!("{header}.{payload}.{s}"))));
        forge.refuses(tokens).await;
    })
    .await;
}

#[tokio::test]
async fn f15_the_standard_alphabet_is_refused() {
    every_algorithm(async |forge| {
        // A claim that nobody reads, in whose base64url both special characters occur.
        let payload = changed(&forge.claims, "note", json!("???>>>~~~???>>>")).to_string();
        let written = encode(&payload);
        assert!(written.contains('_') && written.contains('-'), "{written}");
        forge.accepts("in the right alphabet", &forge.saying(&payload)).await;
        let header = encode(forge.header.to_string());
        let standard = written.replace('-', "+").replace('_', "/");
        forge.refuses([("in the standard alphabet".to_owned(), resigned(&forge, &header, &standard))]).await;
    })
    .await;
}

#[tokio::test]
async fn f23_an_es256_signature_has_one_form() {
    let forge = Forge::of("ES256").await;
    let token = forge.unchanged();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let bytes = decode(signature);
    let (r, s) = bytes.split_at(32);
    let n: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&N[2 * at..2 * at + 2], 16).unwrap()).collect();
    let (zero, one, top) = (vec![0; 32], [vec![0; 31], vec![1]].concat(), vec![0xff; 32]);
    let pairs = [
        ("r = 0", [&zero, s].concat()),
        ("s = 0", [r, &zero].concat()),
        ("r = s = 0", [zero.as_slice(), &zero].concat()),
        ("r = s = 1", [one.as_slice(), &one].concat()),
        ("r = n", [&n, s].concat()),
        ("s = n", [r, &n].concat()),
        ("r = 0, s = n", [zero.as_slice(), &n].concat()),
        ("r = s = n", [n.as_slice(), &n].concat()),
        ("r beyond n", [&top, s].concat()),
        ("s beyond n", [r, &top].concat()),
        ("s, r", [s, r].concat()),
        ("r, r", [r, r].concat()),
        ("63 bytes", bytes[..63].to_vec()),
        ("63 bytes from the second", bytes[1..].to_vec()),
        ("65 bytes", [&bytes, [0].as_slice()].concat()),
        ("65 bytes, a zero in front", [[0].as_slice(), &bytes].concat()),
        ("66 bytes, each a zero in front", [[0].as_slice(), r, &[0], s].concat()),
        ("DER", der(r, s)),
        ("r alone", r.to_vec()),
        ("96 bytes, as for P-384", [&[0; 16], r, &[0; 16], s].concat()),
    ];
    forge.accepts("r, s", &format!("{message}.{}", encode([r, s].concat()))).await;
    forge.refuses(pairs.map(|(what, bytes)| (what.to_owned(), format!("{message}.{}", encode(bytes))))).await;
}

/// A token of parts as they are written, with a genuine signature over them.
fn resigned(forge: &Forge, header: &str, payload: &str) -> String {
    let message = format!("{header}.{payload}");
    format!("{message}.{}", forge.signer.signature(&message))
}

/// Other spellings of the same bytes: the last character's unused bits set.
fn spare_bits(part: &str) -> impl Iterator<Item = String> + '_ {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = ALPHABET.find(part.chars().next_back().unwrap()).unwrap();
    let spare = match part.len() % 4 {
        2 => 16,
        3 => 4,
        _ => 1,
    };
    (1..spare).map(move |bits| format!("{}{}", &part[..part.len() - 1], &ALPHABET[last + bits..=last + bits]))
}

fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let mut bytes: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        if bytes.first().is_none_or(|first| first & 0x80 != 0) {
            bytes.insert(0, 0);
        }
        [vec![2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    };
    let both = [integer(r), integer(s)].concat();
    [vec![0x30, u8::try_from(both.len()).unwrap()], both].concat()
}

fn base64_lines(bytes: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    text.as_bytes().chunks(64).map(|line| format!("{}\n", std::str::from_utf8(line).unwrap())).collect()
}
