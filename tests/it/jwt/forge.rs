//! Access tokens forged with the server's own key, so that any header and any payload can carry a genuine signature.

use std::time::{Duration, Instant};

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use relatch::domain::scope::Scope;
use relatch::keyring::Keyring;
use relatch::secret::Secret;
use relatch::store::signing_keys::{self, StoredKey};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Person, SECRET_KEY, TestApp};
use crate::oauth::{self, INTROSPECT, REVOKE, Registered, TOKEN};

pub const ALGORITHMS: [&str; 4] = ["ES256", "EdDSA", "RS256", "HS256"];
pub const SHARED_KEY: &str = "Zx4-shared-by-every-resource-server-7Qm";
/// Far more than any refusal takes, far less than decompressing or deriving something huge would.
const PROMPT: Duration = Duration::from_secs(5);

/// Something that signs as one of the server's keys does.
#[derive(Clone)]
pub struct Signer {
    pub kid: String,
    pub algorithm: Algorithm,
    key: EncodingKey,
    /// PKCS #8, or the shared key's bytes.
    private: Vec<u8>,
}

impl Signer {
    pub fn of_stored(stored: &StoredKey) -> Self {
        let private = keyring().primary().open(stored.kid.as_bytes(), &stored.sealed_private_key).unwrap();
        let pem =
            format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(private.expose()));
        let (algorithm, key) = match stored.algorithm.as_str() {
            "ES256" => (Algorithm::ES256, EncodingKey::from_ec_pem(pem.as_bytes())),
            "EdDSA" => (Algorithm::EdDSA, EncodingKey::from_ed_pem(pem.as_bytes())),
            "RS256" => (Algorithm::RS256, EncodingKey::from_rsa_pem(pem.as_bytes())),
            other => panic!("an unknown algorithm: {other}"),
        };
        Self { kid: stored.kid.clone(), algorithm, key: key.unwrap(), private: private.expose().clone() }
    }

    pub fn of_shared(secret: &[u8]) -> Self {
        let key = EncodingKey::from_secret(secret);
        Self { kid: "hs256".to_owned(), algorithm: Algorithm::HS256, key, private: secret.to_vec() }
    }

    /// The signature of these bytes, as a token's third part.
    pub fn signature(&self, message: &str) -> String {
        jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, self.algorithm).unwrap()
    }

    /// A token of exactly these header and payload bytes.
    pub fn sign(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let message = format!("{}.{}", encode(header), encode(payload));
        format!("{message}.{}", self.signature(&message))
    }

    /// The public part as SubjectPublicKeyInfo; `None` for a shared key, which has none.
    pub fn public_der(&self) -> Option<Vec<u8>> {
        let private = &self.private;
        let der: PublicKeyX509Der = match self.algorithm {
            Algorithm::ES256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private).unwrap();
                pair.public_key().as_der().unwrap()
            }
            Algorithm::EdDSA => Ed25519KeyPair::from_pkcs8(private).unwrap().public_key().as_der().unwrap(),
            Algorithm::RS256 => rsa::KeyPair::from_pkcs8(private).unwrap().public_key().as_der().unwrap(),
            _ => return None,
        };
        Some(der.as_ref().to_vec())
    }
}

/// A server with a person on it, and what signs as that server does.
pub struct Forge {
    pub app: TestApp,
    pub person: Person,
    pub signer: Signer,
    pub header: Value,
    pub claims: Value,
    /// Somebody who may ask about tokens.
    pub client: Registered,
}

impl Forge {
    pub async fn of(algorithm: &'static str) -> Self {
        let app = TestApp::with(&variables(algorithm)).await;
        let person = app.user("saif").await;
        Self::on(app, person).await
    }

    /// Of a server and a person who are there already.
    pub async fn on(app: TestApp, person: Person) -> Self {
        let header = part(&person.access_token, 0);
        let signer = match stored_keys(&app).await.iter().find(|key| header["kid"] == key.kid) {
            Some(stored) => Signer::of_stored(stored),
            None => Signer::of_shared(SHARED_KEY.as_bytes()),
        };
        let claims = part(&person.access_token, 1);
        let client = Registered::by_an_operator(&app, &[Scope::Introspect]).await;
        Self { app, person, signer, header, claims, client }
    }

    /// What the server issued, taken apart and signed again.
    pub fn unchanged(&self) -> String {
        self.signer.sign(self.header.to_string(), self.claims.to_string())
    }

    /// A token of the same claims under this header text.
    pub fn under(&self, header: impl AsRef<[u8]>) -> String {
        self.signer.sign(header, self.claims.to_string())
    }

    /// A token of this payload text under the same header.
    pub fn saying(&self, payload: impl AsRef<[u8]>) -> String {
        self.signer.sign(self.header.to_string(), payload)
    }

    pub fn with_header(&self, name: &str, value: impl Into<Value>) -> String {
        self.under(changed(&self.header, name, value.into()).to_string())
    }

    pub fn without_header(&self, name: &str) -> String {
        self.under(without(&self.header, name).to_string())
    }

    pub fn with_claim(&self, name: &str, value: impl Into<Value>) -> String {
        self.saying(changed(&self.claims, name, value.into()).to_string())
    }

    pub fn without_claim(&self, name: &str) -> String {
        self.saying(without(&self.claims, name).to_string())
    }

    /// A claim of the genuine token that is a number.
    pub fn number(&self, claim: &str) -> i64 {
        self.claims[claim].as_i64().unwrap()
    }

    pub async fn present(&self, token: &str) -> Answer {
        self.present_at("/api/users/profile", token).await
    }

    pub async fn present_at(&self, path: &str, token: &str) -> Answer {
        self.app.send(self.app.request(Method::GET, path).header("authorization", format!("Bearer {token}"))).await
    }

    /// Checks that a token is accepted as this person's.
    pub async fn accepts(&self, what: &str, token: &str) {
        let answer = self.present(token).await;
        assert_eq!(answer.status, 200, "{what}: {answer:?}");
        assert_eq!(answer.json()["id"], self.person.id, "{what}");
    }

    /// Checks that each token is refused, promptly, as no token of this server, at every door that takes one. That nothing
    /// but the change is the reason, the unchanged token shows before and afterwards.
    pub async fn refuses(&self, tokens: impl IntoIterator<Item = (String, String)>) {
        self.accepts("the unchanged token", &self.unchanged()).await;
        let mut count = 0;
        for (what, token) in tokens {
            let began = Instant::now();
            let answer = self.present(&token).await;
            assert!(began.elapsed() < PROMPT, "{what} took {:?}", began.elapsed());
            assert_eq!(answer.status, 401, "{what}: {answer:?}");
            let answer = answer.expect_problem(401, "invalid_token");
            assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""), "{what}: {answer:?}");
            self.is_worth_nothing_at_oauth(&what, &token).await;
            count += 1;
        }
        assert!(count > 0, "there was nothing to refuse");
        self.accepts("the unchanged token afterwards", &self.unchanged()).await;
    }

    /// Checks that a token is worth nothing to those who ask about it, revoke it or want another for it, and that it ends
    /// nothing. One that is too long for a form is told so.
    pub async fn is_worth_nothing_at_oauth(&self, what: &str, token: &str) {
        let began = Instant::now();
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", token)];
        let answers = [
            self.client.post(&self.app, INTROSPECT, &[("token", token)]).await,
            oauth::post(&self.app, REVOKE, &[("token", token)]).await,
            oauth::post(&self.app, TOKEN, &refresh).await,
        ];
        assert!(began.elapsed() < PROMPT, "{what} took {:?}", began.elapsed());
        let [introspected, revoked, refreshed] = answers;
        if introspected.status == 413 {
            assert!(token.len() > 5_000, "{what}: {introspected:?}");
            return;
        }
        assert_eq!((introspected.status, introspected.text.as_str()), (200, r#"{"active":false}"#), "{what}");
        assert_eq!((revoked.status, revoked.text.as_str()), (200, ""), "{what}: {revoked:?}");
        refreshed.expect_oauth_error(400, "invalid_grant");
    }

    /// The same for values of one header member.
    pub async fn refuses_headers(&self, name: &str, values: impl IntoIterator<Item = Value>) {
        let token = |value: Value| (format!("{name} {value}"), self.with_header(name, value));
        self.refuses(values.into_iter().map(token)).await;
    }

    /// The same for values of one claim.
    pub async fn refuses_claims(&self, name: &str, values: impl IntoIterator<Item = Value>) {
        let token = |value: Value| (format!("{name} {value}"), self.with_claim(name, value));
        self.refuses(values.into_iter().map(token)).await;
    }
}

/// A forge for each algorithm, one after the other.
pub async fn every_algorithm(check: impl AsyncFn(Forge)) {
    for algorithm in ALGORITHMS {
        check(Forge::of(algorithm).await).await;
    }
}

/// The variables that make a server sign with this algorithm.
pub fn variables(algorithm: &'static str) -> Vec<(&'static str, &'static str)> {
    let shared = (algorithm == "HS256").then_some(("JWT_KEY", SHARED_KEY));
    // Floods of forged tokens are what is tried here.
    [("JWT_ALGORITHM", algorithm), ("RATE_LIMITS", "off")].into_iter().chain(shared).collect()
}

pub async fn stored_keys(app: &TestApp) -> Vec<StoredKey> {
    app.database.store().read(signing_keys::all).await.unwrap()
}

/// The keys that the server's secret gives.
pub fn keyring() -> Keyring {
    Keyring::new(&Secret::new(STANDARD.decode(SECRET_KEY).unwrap()), &[]).unwrap()
}

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn decode(part: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(part).unwrap()
}

/// The header (0) or payload (1) of a token.
pub fn part(token: &str, number: usize) -> Value {
    serde_json::from_slice(&decode(token.split('.').nth(number).unwrap())).unwrap()
}

/// An object with one member set.
pub fn changed(object: &Value, name: &str, value: Value) -> Value {
    let mut object = object.clone();
    object[name] = value;
    object
}

/// An object less one member, which must have been there.
pub fn without(object: &Value, name: &str) -> Value {
    let mut object = object.clone();
    assert!(object.as_object_mut().unwrap().remove(name).is_some(), "there was no {name}");
    object
}

/// The text of an object with one more member in front, even if there is one of that name already.
pub fn with_another(object: &Value, name: &str, value: &Value) -> String {
    let text = object.to_string();
    format!("{{{}:{value},{}", json!(name), text.strip_prefix('{').unwrap())
}
