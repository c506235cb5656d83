//! Somebody who has signed in, with the tokens that they got.

use reqwest::Method;
use serde_json::Value;

use super::{Answer, TestApp};

/// A signed-in person. It keeps the tokens of the sign-in: what comes later is in the answers.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: i64,
    pub username: String,
    pub access_token: String,
    pub refresh_token: String,
    pub session_id: String,
    client: reqwest::Client,
    base: String,
}

impl Person {
    /// From an answer that holds a pair.
    pub fn of_pair(app: &TestApp, answer: &Answer) -> Self {
        let id = answer.json()["id"].as_i64().expect("an id");
        Self {
            id,
            username: answer.text_at("username"),
            access_token: answer.text_at("jwtToken"),
            refresh_token: answer.text_at("refreshToken"),
            session_id: answer.text_at("sessionId"),
            client: app.client.clone(),
            base: app.url(""),
        }
    }

    /// The same person with another access token.
    pub fn with_access_token(&self, token: &str) -> Self {
        Self { access_token: token.to_owned(), ..self.clone() }
    }

    /// A request with the bearer token, to be completed by hand.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.access_token)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        super::send(request).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// A POST without a body.
    pub async fn post_nothing(&self, path: &str) -> Answer {
        self.send(self.request(Method::POST, path)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(body)).await
    }

    pub async fn profile(&self) -> Answer {
        self.get("/api/users/profile").await
    }
}
