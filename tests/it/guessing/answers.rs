//! What refused guesses look like: nobody learns from them who has an account.

use std::time::Duration;

use serde_json::json;

use super::{ELSEWHERE, PROXY, WRONG, comparable, console_from, exhaust, guess, let_in, login_from};
use crate::harness::{Browser, PASSWORD, TestApp};

#[tokio::test]
async fn k1_k8_who_is_not_there_looks_like_who_is_before_and_during_a_block() {
    let app = TestApp::with(&[PROXY]).await;
    let admin = app.admin("root").await;
    for name in ["wrong", "disabled", "deleted"] {
        app.user(name).await;
    }
    let id = |name: &'static str| {
        let (admin, name) = (admin.clone(), name);
        async move { admin.get(&format!("/api/users?search={name}")).await.json()[0]["id"].as_i64().unwrap() }
    };
    let path = format!("/api/users/{}", id("disabled").await);
    admin.patch(&path, &json!({ "disabled": true })).await.expect_status(200);
    admin.delete(&format!("/api/users/{}", id("deleted").await)).await.expect_status(204);
    // To who is kept out or gone, the right password is as good as a wrong one.
    for (name, password) in [("wrong", WRONG), ("disabled", PASSWORD), ("deleted", PASSWORD), ("disabled", WRONG)] {
        for attempt in 1..=12 {
            if attempt % 3 == 0 {
                app.advance(Duration::from_millis(700));
            }
            let address = format!("198.51.{}.7", name.len() + password.len());
            let twin = format!("{name}.{}", password.len());
            let there = comparable(&login_from(&app, &address, name, password).await);
            let twin = comparable(&login_from(&app, &address, &twin, password).await);
            assert_eq!(there, twin, "{name}, attempt {attempt}");
            assert!(attempt > 5 || there.0 == 401, "{there:?}");
        }
    }
}

#[tokio::test]
async fn k1_no_spelling_of_a_name_tells_whether_somebody_has_it() {
    let app = TestApp::with(&[PROXY]).await;
    app.user("kane").await;
    let spelt = |name: &str| {
        let (initial, rest) = name.split_at(1);
        let kelvin = format!("\u{212a}{rest}");
        assert_eq!(initial, "k");
        [
            name.to_owned(),
            kelvin.clone(),
            format!(" {kelvin}"),
            format!("{name}@example.com"),
            format!("{name}＠example.com"),
            format!("{kelvin}＠EXAMPLE.com"),
            format!("{name}\u{0}"),
        ]
    };
    let (there, twin) = (spelt("kane"), spelt("kyle"));
    // A username and an address of one account are counted together, which nobody's can be.
    let is_address = |spelling: &str| spelling.contains(['@', '＠']);
    let mut network = 0;
    for (first, first_twin) in there.iter().zip(&twin) {
        for (second, second_twin) in there.iter().zip(&twin) {
            if is_address(first) != is_address(second) {
                continue;
            }
            network += 1;
            let mut answers = Vec::new();
            for (host, first, second) in [(1, first, second), (2, first_twin, second_twin)] {
                let address = format!("203.{network}.{host}.7");
                guess(&app, &address, first, 5).await;
                answers.push(comparable(&login_from(&app, &address, second, WRONG).await));
            }
            assert_eq!(answers[0], answers[1], "{first:?}, then {second:?}");
            relatch::auth::guessing::blocks::clear_blocks(
                app.app.auth(),
                relatch::auth::Actor::Operator,
                relatch::auth::guessing::blocks::Which::All,
                &relatch::domain::client::Client::default(),
            )
            .await
            .unwrap();
        }
    }
    assert_eq!(network, 25);
}

#[tokio::test]
async fn k1_k8_an_account_without_a_guess_left_looks_like_a_name_without_one() {
    let app = TestApp::with(&[PROXY]).await;
    app.user("saif").await;
    exhaust(&app, "saif").await;
    exhaust(&app, "nobody").await;
    let there = login_from(&app, ELSEWHERE, "saif", PASSWORD).await.expect_problem(429, "too_many_attempts");
    let twin = login_from(&app, ELSEWHERE, "nobody", PASSWORD).await.expect_problem(429, "too_many_attempts");
    assert_eq!(comparable(&there), comparable(&twin));
    assert_eq!(there.header("retry-after"), "3600");
    assert_eq!(there.json()["retryable"], true);
}

#[tokio::test]
async fn k8_a_right_password_is_not_confirmed_while_guesses_wait_and_works_after_that() {
    let app = TestApp::with(&[PROXY]).await;
    app.user("saif").await;
    guess(&app, ELSEWHERE, "saif", 5).await;
    let wrong = login_from(&app, ELSEWHERE, "saif", WRONG).await.expect_problem(429, "too_many_attempts");
    let right = login_from(&app, ELSEWHERE, "saif", PASSWORD).await.expect_problem(429, "too_many_attempts");
    assert_eq!(comparable(&wrong), comparable(&right));
    assert_eq!(right.header("retry-after"), "1");
    app.advance(Duration::from_secs(1));
    let_in(&app, ELSEWHERE, "saif").await;
    guess(&app, ELSEWHERE, "saif", 5).await;
}

#[tokio::test]
async fn k8_the_console_says_so_on_its_page_whoever_that_is() {
    let app = TestApp::with(&[PROXY]).await;
    app.admin("root").await;
    let mut pages = Vec::new();
    for name in ["root", "nobody"] {
        let browser = Browser::new(&app);
        for _ in 0..5 {
            console_from(&browser, ELSEWHERE, name, WRONG).await.expect_status(400);
        }
        let page = console_from(&browser, ELSEWHERE, name, PASSWORD).await.expect_status(429);
        assert_eq!(page.header("retry-after"), "1");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert!(page.texts(".errors a")[0].starts_with("There were too many attempts."), "{page:?}");
        let token = page.form("/admin/sign-in").value("token").to_owned();
        pages.push(page.text.replace(&token, "").replace(name, ""));
    }
    assert_eq!(pages[0], pages[1]);
}
