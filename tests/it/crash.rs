//! A killed server: whatever was acknowledged stays, and a retry gets what was not.

use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::{Answer, Binary, Database, PASSWORD};

const CLIENTS: usize = 12;
const ROUNDS: usize = 5;

/// Refreshes until the server is gone; gives the token whose answer was not seen.
async fn refresh_until_killed(client: reqwest::Client, base: String, mut token: String) -> String {
    loop {
        let request = client.post(format!("{base}/api/auth/refresh-token")).json(&json!(token));
        let Ok(response) = request.send().await else { return token };
        let status = response.status().as_u16();
        let Ok(body) = response.json::<serde_json::Value>().await else { return token };
        assert_eq!(status, 200, "{body}");
        token = body["refreshToken"].as_str().unwrap().to_owned();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn b14_no_client_is_logged_out_when_the_server_is_killed_in_a_storm_of_refreshes() {
    let binary = Binary::on(Arc::new(Database::create())).set("RATE_LIMITS", "off");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut server = binary.serve();
    let body = json!({ "username": "saif", "email": "saif@example.com", "password": PASSWORD });
    server.post("/api/users/register", &body).await.expect_status(201);
    let mut tokens = Vec::new();
    for _ in 0..CLIENTS {
        let pair = server.post("/api/auth/login", &json!({ "username": "saif", "password": PASSWORD })).await;
        tokens.push(pair.expect_status(200).text_at("refreshToken"));
    }
    for round in 0..ROUNDS {
        let mut storm = JoinSet::new();
        for token in tokens.drain(..) {
            storm.spawn(refresh_until_killed(client.clone(), server.base.clone(), token));
        }
        // The storm is on once many requests of others have been answered, too.
        for _ in 0..20 {
            let garbage = server.post("/api/auth/refresh-token", &json!("rlr_garbage")).await;
            garbage.expect_problem(401, "refresh_token_invalid");
        }
        server.kill();
        let unanswered = storm.join_all().await;
        server = binary.serve();
        for token in unanswered {
            let url = format!("{}/api/auth/refresh-token", server.base);
            let answer = Answer::of(client.post(url).json(&json!(token)).send().await.unwrap()).await;
            assert_eq!(answer.status, 200, "round {round}: {answer:?}");
            tokens.push(answer.text_at("refreshToken"));
        }
    }
    let (code, log) = server.terminate();
    assert_eq!(code, Some(0), "{log}");
}
