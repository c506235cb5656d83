//! The endpoints that OAuth libraries know, and the clients that are registered for them.

mod clients;
mod introspect;
mod refresh;
mod revoke;
mod scopes;
mod service_accounts;

use relatch::auth::Actor;
use relatch::auth::clients::{NewClient, create_client};
use relatch::domain::client::Client;
use relatch::domain::registered_client::ClientName;
use relatch::domain::scope::Scope;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::harness::{Answer, Person, TestApp};

pub const TOKEN: &str = "/oauth/token";
pub const REVOKE: &str = "/oauth/revoke";
pub const INTROSPECT: &str = "/oauth/introspect";

/// A client with a secret.
#[derive(Clone, Debug)]
pub struct Registered {
    pub id: String,
    pub secret: String,
}

impl Registered {
    /// Registers a client with these scopes.
    pub async fn with(admin: &Person, scopes: &[&str]) -> Self {
        let answer = admin.post("/api/clients", &json!({ "name": "Billing", "scopes": scopes })).await;
        let answer = answer.expect_status(201);
        Self { id: answer.text_at("id"), secret: answer.text_at("clientSecret") }
    }

    /// Registers a client as an operator would.
    pub async fn by_an_operator(app: &TestApp, scopes: &[Scope]) -> Self {
        let new = NewClient {
            name: ClientName::parse("API").unwrap(),
            audience: None,
            scopes: scopes.iter().copied().collect(),
            secret_expires_at: None,
        };
        let made = create_client(app.app.auth(), Actor::Operator, new, &Client::default()).await;
        let (made, secret) = made.expect("a client");
        Self { id: made.client.id.to_string(), secret: secret.value.expose().clone() }
    }

    /// Sends a form with the client's credentials in the header.
    pub async fn post(&self, app: &TestApp, path: &str, fields: &[(&str, &str)]) -> Answer {
        app.send(form(app, path, fields).basic_auth(&self.id, Some(&self.secret))).await
    }

    /// An access token of its own, for all that it may do.
    pub async fn token(&self, app: &TestApp) -> String {
        let answer = self.post(app, TOKEN, &[("grant_type", "client_credentials")]).await;
        answer.expect_status(200).text_at("access_token")
    }

    /// What a token is worth, for this client.
    pub async fn introspect(&self, app: &TestApp, token: &str) -> Value {
        self.post(app, INTROSPECT, &[("token", token)]).await.expect_status(200).json()
    }
}

/// A form, to be completed by hand.
pub fn form(app: &TestApp, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
    let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    raw_form(app, path, body)
}

/// The same of a body as it is.
pub fn raw_form(app: &TestApp, path: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
    let request = app.request(Method::POST, path).header("content-type", "application/x-www-form-urlencoded");
    request.body(body)
}

pub async fn post(app: &TestApp, path: &str, fields: &[(&str, &str)]) -> Answer {
    app.send(form(app, path, fields)).await
}

/// A refresh, as a public client sends it.
pub async fn refresh(app: &TestApp, token: &str) -> Answer {
    post(app, TOKEN, &[("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", "relatch")]).await
}

impl Answer {
    /// Checks that it is an error as OAuth has them (RFC 6749 §5.2), which repeats nothing and is kept by nobody.
    #[track_caller]
    pub fn expect_oauth_error(self, status: u16, error: &str) -> Self {
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        let body = self.json();
        assert_eq!((self.status, body["error"].as_str()), (status, Some(error)), "{self:?}");
        let members: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["error", "error_description"], "{self:?}");
        let words = body["error_description"].as_str().unwrap();
        let is_allowed = |byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        assert!(words.bytes().all(is_allowed), "{self:?}");
        assert_eq!((self.header("cache-control"), self.header("pragma")), ("no-store", "no-cache"), "{self:?}");
        self
    }
}
