//! Budgets of networks, and what counts as one.

use std::time::Duration;

use relatch::auth::reset_link::make_reset_token;
use reqwest::Method;
use serde_json::json;

use super::{ELSEWHERE, PROXY, WRONG, exhaust, from, guess, let_in, login_from};
use crate::harness::{Binary, Browser, PASSWORD, TestApp, count};
use crate::oauth::{REVOKE, TOKEN, form};

#[tokio::test]
async fn k5_nobody_changes_their_network_by_saying_so() {
    let app = TestApp::start().await;
    app.user("saif").await;
    let login = |number: usize, password: &str| {
        let address = format!("203.0.{number}.7");
        app.request(Method::POST, "/api/auth/login")
            .header("x-forwarded-for", &address)
            .header("forwarded", format!("for={address}"))
            .header("x-real-ip", &address)
            .header("cf-connecting-ip", &address)
            .json(&json!({ "username": "saif", "password": password }))
    };
    for number in 0..5 {
        app.send(login(number, WRONG)).await.expect_problem(401, "invalid_credentials");
    }
    for number in 5..50 {
        app.send(login(number, PASSWORD)).await.expect_problem(429, "too_many_attempts");
    }
}

#[tokio::test]
async fn k5_addresses_of_one_network_count_as_one_and_the_proxys_word_is_taken() {
    let app = TestApp::with(&[PROXY]).await;
    app.user("saif").await;
    for (network, other) in [
        (
            ["2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:2:3::1", "2001:db8:1:2:ffff::1", "2001:db8:1:2::9"],
            "2001:db8:1:3::1",
        ),
        (["203.0.113.1", "203.0.113.2", "::ffff:203.0.113.3", "203.0.113.4", "203.0.113.255"], "203.0.114.1"),
    ] {
        for address in network {
            guess(&app, address, "saif", 1).await;
        }
        for address in network {
            login_from(&app, address, "saif", PASSWORD).await.expect_problem(429, "too_many_attempts");
        }
        // What a client wrote before the proxy's own hop is not believed.
        let forged = format!("{other}, {}", network[0]);
        login_from(&app, &forged, "saif", PASSWORD).await.expect_problem(429, "too_many_attempts");
        guess(&app, other, "saif", 1).await;
    }
}

#[tokio::test]
async fn k5_whose_proxies_contradict_each_other_is_in_no_network_that_is_known() {
    let app = TestApp::with(&[PROXY]).await;
    // Somebody who signs in on the proxy's own machine.
    app.user("saif").await;
    exhaust(&app, "saif").await;
    let disputed = |password: &str| {
        let body = json!({ "username": "saif", "password": password });
        let request = from(app.request(Method::POST, "/api/auth/login"), ELSEWHERE);
        app.send(request.header("forwarded", "for=127.0.0.1").json(&body))
    };
    disputed(WRONG).await.expect_problem(429, "too_many_attempts");
    disputed(PASSWORD).await.expect_problem(429, "too_many_attempts");
    let_in(&app, "127.0.0.1", "saif").await;
    disputed(PASSWORD).await.expect_status(200);
    assert_eq!(count(&app.database, "known_networks").await, 1, "nor does it become known");
}

#[tokio::test]
async fn k5_the_first_request_whose_proxies_contradict_each_other_is_warned_of() {
    let server = Binary::new().set(PROXY.0, PROXY.1).serve();
    let url = format!("{}/api/auth/login", server.base);
    for forwarded in [format!("for={ELSEWHERE}"), "for=192.0.2.1".to_owned(), "for=192.0.2.2".to_owned()] {
        let request = from(reqwest::Client::new().post(&url), ELSEWHERE).header("forwarded", forwarded);
        let answer = request.json(&json!({ "username": "saif", "password": WRONG })).send().await.unwrap();
        assert_eq!(answer.status(), 401);
    }
    let (_, log) = server.terminate();
    assert_eq!(log.matches("Forwarded and X-Forwarded-For that differ").count(), 1, "{log}");
    assert!(log.contains("proxy=\"127.0.0.1\""), "{log}");
}

#[tokio::test]
async fn k7_one_password_tried_on_a_thousand_names_is_refused_by_its_source() {
    let app = TestApp::with(&[PROXY]).await;
    app.user("saif").await;
    let mut looked_at = 0;
    for number in 0..1_000 {
        let answer = login_from(&app, ELSEWHERE, &format!("user{number}"), PASSWORD).await;
        looked_at += usize::from(answer.status == 401);
        assert!(answer.status == 401 || answer.expect_problem(429, "too_many_attempts").header("retry-after") == "1");
    }
    assert_eq!(looked_at, 100);
    let_in(&app, "203.0.113.7", "saif").await;
    app.advance(Duration::from_secs(2));
    guess(&app, ELSEWHERE, "nobody", 2).await;
    login_from(&app, ELSEWHERE, "nobody", WRONG).await.expect_problem(429, "too_many_attempts");
}

#[tokio::test]
async fn k7_many_networks_share_a_budget_that_ones_own_network_needs_not() {
    let app = TestApp::with(&[PROXY]).await;
    app.user("saif").await;
    app.user("other").await;
    let mut looked_at = 0;
    let threads = std::thread::available_parallelism().unwrap().get();
    for number in 0..300 * threads + 100 {
        let address = format!("{}.{}.{}.7", 60 + number / 62_500, number / 250 % 250, number % 250);
        looked_at += usize::from(login_from(&app, &address, &format!("user{number}"), WRONG).await.status == 401);
    }
    // The two who have signed in for the first time before got theirs back.
    assert_eq!(looked_at, 300 * threads);
    let strange = login_from(&app, "203.0.113.7", "saif", PASSWORD).await;
    assert_eq!(strange.expect_problem(429, "too_many_attempts").header("retry-after"), "1");
    let_in(&app, "127.0.0.1", "saif").await;
    let_in(&app, "127.0.0.1", "other").await;
    app.advance(Duration::from_millis(200));
    let_in(&app, "203.0.113.7", "saif").await;
}

#[tokio::test]
async fn k6_where_a_reset_link_was_used_nobody_keeps_the_owner_out_by_guessing_on() {
    let app = TestApp::with(&[PROXY]).await;
    let person = app.user("saif").await;
    let id = relatch::domain::user::UserId::new(person.id).unwrap();
    exhaust(&app, "saif").await;
    let (operator, nowhere) = (relatch::auth::Actor::Operator, relatch::domain::client::Client::default());
    let token = make_reset_token(app.app.auth(), operator, id, None, &nowhere).await.unwrap();
    let browser = Browser::new(&app);
    let form = browser.get(&format!("/reset?t={}", token.expose())).await.expect_status(200).form("/reset");
    let chosen = "another good sentence";
    let used = browser.send(from(browser.submission(&form.with("password", chosen)), "203.0.113.7")).await;
    used.expect_redirect("/reset?done=1");
    exhaust(&app, "saif").await;
    // Where they signed in before may have been somebody else with the old password.
    for strange in ["127.0.0.1", ELSEWHERE] {
        login_from(&app, strange, "saif", chosen).await.expect_problem(429, "too_many_attempts");
    }
    login_from(&app, "203.0.113.9", "saif", chosen).await.expect_status(200);
}

#[tokio::test]
async fn accounts_are_made_so_fast_and_no_faster_but_by_admins() {
    let app = TestApp::with(&[PROXY]).await;
    let admin = app.admin("root").await;
    let body = |name: &str| json!({ "username": name, "email": format!("{name}@example.com"), "password": PASSWORD });
    let register = |number: usize, address: &str| {
        let request = from(app.request(Method::POST, "/api/users/register"), address);
        app.send(request.json(&body(&format!("user{number}"))))
    };
    for number in 0..30 {
        register(number, ELSEWHERE).await.expect_status(201);
    }
    let refused = register(30, ELSEWHERE).await.expect_problem(429, "too_many_attempts");
    assert_eq!(refused.header("retry-after"), "30");
    register(31, "203.0.113.7").await.expect_status(201);
    for number in 32..70 {
        admin.post("/api/users/register", &body(&format!("user{number}"))).await.expect_status(201);
    }
    app.advance(Duration::from_secs(30));
    register(70, ELSEWHERE).await.expect_status(201);
    register(71, ELSEWHERE).await.expect_problem(429, "too_many_attempts");
}

#[tokio::test]
async fn c9_wrong_tokens_are_refused_at_all_doors_and_right_ones_never() {
    let app = TestApp::start().await;
    let mut tokens = Vec::new();
    for name in ["saif", "other", "third", "fourth"] {
        tokens.push(app.user(name).await);
    }
    for _ in 0..300 {
        app.refresh("garbage").await.expect_problem(401, "refresh_token_invalid");
        app.post("/api/auth/revoke-token", &json!("garbage")).await.expect_status(204);
    }
    app.refresh("garbage").await.expect_problem(429, "too_many_attempts");
    app.post("/api/auth/revoke-token", &json!("garbage")).await.expect_problem(429, "too_many_attempts");
    let garbage = [("grant_type", "refresh_token"), ("refresh_token", "garbage"), ("token", "garbage")];
    for path in [TOKEN, REVOKE] {
        let refused = app.send(form(&app, path, &garbage)).await.expect_oauth_error(429, "slow_down");
        assert_eq!(refused.header("retry-after"), "1");
    }
    app.get("/reset?t=garbage").await.expect_status(429);
    let pair = app.refresh(&tokens[0].refresh_token).await.expect_status(200);
    app.refresh(&pair.text_at("refreshToken")).await.expect_status(200);
    // One that was replaced is genuine, too, and gets its own answer.
    app.refresh(&tokens[0].refresh_token).await.expect_problem(401, "refresh_token_reused");
    app.post("/api/auth/revoke-token", &json!(tokens[1].refresh_token)).await.expect_status(204);
    let genuine = [("grant_type", "refresh_token"), ("refresh_token", tokens[2].refresh_token.as_str())];
    app.send(form(&app, TOKEN, &genuine)).await.expect_status(200);
    app.send(form(&app, REVOKE, &[("token", tokens[3].access_token.as_str())])).await.expect_status(200);
    app.advance(Duration::from_secs(1));
    for _ in 0..20 {
        app.refresh("garbage").await.expect_problem(401, "refresh_token_invalid");
    }
    app.refresh("garbage").await.expect_problem(429, "too_many_attempts");
}
