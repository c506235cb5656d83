//! What is counted, where, and for how long.

use std::sync::Arc;
use std::time::Duration;

use relatch::auth::maintenance::prune;
use serde_json::json;

use super::{ELSEWHERE, PROXY, WRONG, change_password_from, console_from, events, exhaust, guess, let_in, login_from};
use crate::harness::{Browser, PASSWORD, TestApp, count, dump, execute};

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn k3_all_doors_count_for_the_account_and_after_a_hundred_none_opens_from_elsewhere() {
    let app = TestApp::with(&[PROXY]).await;
    let person = app.user("saif").await;
    let browser = Browser::new(&app);
    for network in 0..20 {
        let address = format!("198.51.{network}.7");
        guess(&app, &address, "saif", 2).await;
        guess(&app, &address, "saif@example.com", 1).await;
        console_from(&browser, &address, "saif", WRONG).await.expect_status(400);
        change_password_from(&app, &address, &person, WRONG).await.expect_problem(403, "wrong_password");
    }
    let beside = TestApp::on_at(Arc::clone(&app.database), &[PROXY], Arc::clone(&app.clock)).await;
    for app in [&app, &beside] {
        login_from(app, ELSEWHERE, "saif", PASSWORD).await.expect_problem(429, "too_many_attempts");
        login_from(app, ELSEWHERE, "SAIF@example.com", PASSWORD).await.expect_problem(429, "too_many_attempts");
        console_from(&Browser::new(app), ELSEWHERE, "saif", PASSWORD).await.expect_status(429);
    }
    change_password_from(&app, ELSEWHERE, &person, PASSWORD).await.expect_problem(429, "too_many_attempts");
    let app = app.restart(&[PROXY]).await;
    app.advance(29 * 24 * HOUR);
    login_from(&app, ELSEWHERE, "saif", PASSWORD).await.expect_problem(429, "too_many_attempts");
    // A month of quiet later it is over.
    app.advance(24 * HOUR);
    let_in(&app, ELSEWHERE, "saif").await;
}

#[tokio::test]
async fn k3_delays_grow_hold_after_a_restart_and_in_another_instance() {
    let app = TestApp::with(&[PROXY]).await;
    app.user("saif").await;
    guess(&app, ELSEWHERE, "saif", 5).await;
    for seconds in [1, 2, 4, 8] {
        let refused = login_from(&app, ELSEWHERE, "saif", WRONG).await.expect_problem(429, "too_many_attempts");
        assert_eq!(refused.header("retry-after"), seconds.to_string());
        app.advance(Duration::from_secs(seconds));
        guess(&app, ELSEWHERE, "saif", 1).await;
    }
    let app = app.restart(&[PROXY]).await;
    let beside = TestApp::on_at(Arc::clone(&app.database), &[PROXY], Arc::clone(&app.clock)).await;
    for app in [&app, &beside] {
        let refused = login_from(app, ELSEWHERE, "saif", PASSWORD).await.expect_problem(429, "too_many_attempts");
        assert_eq!(refused.header("retry-after"), "16");
    }
    // After a quarter of an hour of quiet five are free again.
    app.advance(Duration::from_secs(16 + 15 * 60));
    guess(&app, ELSEWHERE, "saif", 5).await;
    login_from(&app, ELSEWHERE, "saif", PASSWORD).await.expect_problem(429, "too_many_attempts");
}

#[tokio::test]
async fn k4_every_way_to_write_a_name_counts_as_that_name() {
    let app = TestApp::with(&[PROXY]).await;
    app.user("alice").await;
    app.user("älice").await;
    app.user("kane").await;
    app.user("åse").await;
    for (names, address) in [
        (["alice", "Alice", "ALICE ", "ａｌｉｃｅ", "Alice@EXAMPLE.com"], "198.51.1.7"),
        (["älice", "a\u{308}lice", " ÄLICE", "A\u{308}LICE", "Älice"], "198.51.2.7"),
        (["nobody", "Nobody", "NOBODY ", "ｎｏｂｏｄｙ", "\tnobody"], "198.51.3.7"),
        (["no body", "No Body", " no body", "NO BODY", "ｎｏ body"], "198.51.4.7"),
        // What no account can be called, but folds to what one is.
        (["kane", "\u{212a}ane", "kane＠example.com", "\u{212a}ane＠EXAMPLE.com", "kane＠ｅxample.com"], "198.51.5.7"),
        (["åse", "\u{212b}se", "\u{212b}SE", "A\u{30a}se", "åse＠example.com"], "198.51.6.7"),
    ] {
        for name in names {
            guess(&app, address, name, 1).await;
        }
        for name in names {
            login_from(&app, address, name, WRONG).await.expect_problem(429, "too_many_attempts");
        }
    }
}

#[tokio::test]
async fn k6_neighbours_who_use_up_a_networks_budget_keep_nobody_out_who_was_there_before() {
    let app = TestApp::with(&[PROXY]).await;
    app.user("saif").await;
    let_in(&app, "198.51.1.7", "saif").await;
    let mut statuses = Vec::new();
    for number in 0..110 {
        statuses.push(login_from(&app, "198.51.1.8", &format!("nobody{number}"), WRONG).await.status);
    }
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
    let_in(&app, "198.51.1.7", "saif").await;
}

#[tokio::test]
async fn k6_a_thousand_wrong_guesses_keep_nobody_out_of_where_they_sign_in_from() {
    let app = TestApp::with(&[PROXY]).await;
    app.user("saif").await;
    let mut looked_at = 0;
    for network in 0..200 {
        for _ in 0..5 {
            let answer = login_from(&app, &format!("198.51.{network}.7"), "saif", WRONG).await;
            looked_at += usize::from(answer.status == 401);
        }
        app.advance(Duration::from_secs(1));
    }
    assert_eq!(looked_at, 100);
    login_from(&app, ELSEWHERE, "saif", PASSWORD).await.expect_problem(429, "too_many_attempts");
    // They have signed in from here before, and any address of the network will do.
    let_in(&app, "127.0.0.99", "saif").await;
    // That was a right password: guesses from elsewhere may be made again, but not from where they were delayed.
    let_in(&app, ELSEWHERE, "saif").await;
    // A month after the last sign-in from a network it is as any other.
    app.advance(30 * 24 * HOUR);
    exhaust(&app, "saif").await;
    login_from(&app, "127.0.0.1", "saif", PASSWORD).await.expect_problem(429, "too_many_attempts");
}

#[tokio::test]
async fn k6_a_network_of_ones_own_has_a_hundred_guesses_of_its_own() {
    let app = TestApp::with(&[PROXY]).await;
    app.user("saif").await;
    exhaust(&app, "saif").await;
    for made in 0..100 {
        login_from(&app, "127.0.0.1", "saif", WRONG).await.expect_problem(401, "invalid_credentials");
        assert!(made < 100);
        app.advance(Duration::from_secs(15 * 60));
    }
    let refused = login_from(&app, "127.0.0.1", "saif", PASSWORD).await.expect_problem(429, "too_many_attempts");
    assert_eq!(refused.header("retry-after"), "3600");
}

#[tokio::test(flavor = "multi_thread")]
async fn k9_of_two_hundred_guesses_at_once_five_are_looked_at() {
    let app = Arc::new(TestApp::with(&[PROXY]).await);
    let beside = Arc::new(TestApp::on_at(Arc::clone(&app.database), &[PROXY], Arc::clone(&app.clock)).await);
    let admin = app.admin("root").await;
    app.user("saif").await;
    let guesses: Vec<_> = (0..200)
        .map(|number| {
            let app = Arc::clone(if number % 2 == 0 { &app } else { &beside });
            tokio::spawn(async move { login_from(&app, ELSEWHERE, "saif", WRONG).await.status })
        })
        .collect();
    let mut statuses = Vec::new();
    for guess in guesses {
        statuses.push(guess.await.unwrap());
    }
    let looked_at = statuses.iter().filter(|status| **status == 401).count();
    // One that had to wait for too long is given back.
    assert!((1..=5).contains(&looked_at), "{statuses:?}");
    assert!(statuses.iter().all(|status| [401, 429, 503].contains(status)), "{statuses:?}");
    assert_eq!(events(&admin, "kind=login.failed").await.len(), looked_at);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_sign_in_at_once_with_the_right_password_are_all_let_in() {
    let app = Arc::new(TestApp::with(&[PROXY]).await);
    app.user("saif").await;
    guess(&app, ELSEWHERE, "saif", 4).await;
    let logins: Vec<_> = (0..40)
        .map(|_| {
            let app = Arc::clone(&app);
            tokio::spawn(async move { login_from(&app, ELSEWHERE, "saif", PASSWORD).await.status })
        })
        .collect();
    for login in logins {
        // On a busy machine some may be told that it is; nobody is told that they guessed too often.
        assert!([200, 503].contains(&login.await.unwrap()));
    }
    login_from(&app, ELSEWHERE, "saif", PASSWORD).await.expect_status(200);
}

#[tokio::test]
async fn k11_a_right_password_forgets_the_guesses_at_the_account_alone() {
    let app = TestApp::with(&[PROXY]).await;
    app.user("saif").await;
    for _ in 0..3 {
        guess(&app, ELSEWHERE, "saif", 4).await;
        let_in(&app, ELSEWHERE, "saif").await;
    }
    guess(&app, "203.0.113.7", "saif", 5).await;
    let_in(&app, ELSEWHERE, "saif").await;
    // Another network's delays stay.
    login_from(&app, "203.0.113.7", "saif", PASSWORD).await.expect_problem(429, "too_many_attempts");
    // So does what this network has spent: the four guesses from before the account was known to be used from it.
    for number in 4..100 {
        guess(&app, ELSEWHERE, &format!("nobody{number}"), 1).await;
    }
    login_from(&app, ELSEWHERE, "nobody", WRONG).await.expect_problem(429, "too_many_attempts");
    // K6: whose own network it is needs nothing of that.
    let_in(&app, ELSEWHERE, "saif").await;
}

#[tokio::test]
async fn k6_right_passwords_for_which_nothing_could_be_begun_are_not_counted() {
    let app = TestApp::with(&[PROXY]).await;
    let admin = app.admin("root").await;
    let broken = if app.database.is_postgres() {
        "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$;
         CREATE TRIGGER broken BEFORE INSERT ON sessions FOR EACH ROW EXECUTE FUNCTION broken();"
    } else {
        "CREATE TRIGGER broken BEFORE INSERT ON sessions BEGIN SELECT RAISE(ABORT, 'broken'); END;"
    };
    execute(&app.database, broken).await;
    for _ in 0..6 {
        login_from(&app, ELSEWHERE, "root", PASSWORD).await.expect_problem(500, "internal_error");
        console_from(&Browser::new(&app), ELSEWHERE, "root", PASSWORD).await.expect_status(500);
        change_password_from(&app, ELSEWHERE, &admin, PASSWORD).await.expect_problem(500, "internal_error");
    }
    assert_eq!(count(&app.database, "guess_counters").await, 0);
    for number in 0..100 {
        guess(&app, ELSEWHERE, &format!("nobody{number}"), 1).await;
    }
    login_from(&app, ELSEWHERE, "nobody", WRONG).await.expect_problem(429, "too_many_attempts");
}

#[tokio::test]
async fn j11_wrong_current_passwords_are_counted_with_the_sign_ins() {
    let app = TestApp::with(&[PROXY]).await;
    let person = app.user("saif").await;
    for _ in 0..5 {
        change_password_from(&app, ELSEWHERE, &person, WRONG).await.expect_problem(403, "wrong_password");
    }
    let right = change_password_from(&app, ELSEWHERE, &person, PASSWORD).await;
    assert_eq!(right.expect_problem(429, "too_many_attempts").header("retry-after"), "1");
    login_from(&app, ELSEWHERE, "saif", PASSWORD).await.expect_problem(429, "too_many_attempts");
    app.advance(Duration::from_secs(1));
    change_password_from(&app, ELSEWHERE, &person, PASSWORD).await.expect_status(200);
    // A right one begins the count anew.
    guess(&app, ELSEWHERE, "saif", 5).await;
}

#[tokio::test]
async fn j11_giving_the_password_again_in_the_console_waits_as_well() {
    let app = TestApp::with(&[PROXY]).await;
    let browser = app.console("root").await;
    let form = browser.get("/admin/me").await.form("/admin/me/sessions/end-others");
    let change = browser.get("/admin/me").await.form("/admin/me/password");
    app.advance(Duration::from_secs(300));
    guess(&app, "127.0.0.1", "root", 5).await;
    let page = browser.submit(&form.with("confirm_password", PASSWORD)).await.expect_status(429);
    assert_eq!(page.header("retry-after"), "1");
    assert_eq!(page.heading(), "Give your password again");
    let change = change.with("current_password", PASSWORD).with("new_password", "another sentence");
    let page = browser.submit(&change).await.expect_status(429);
    assert!(page.texts(".errors a")[0].starts_with("Too many wrong passwords"), "{page:?}");
    // It is refused without being looked at, and the session goes on.
    app.advance(Duration::from_secs(1));
    browser.submit(&change).await.expect_redirect("/admin/me");
}

#[tokio::test]
async fn s3_the_first_delay_and_the_last_guess_are_written_down_and_nothing_of_what_was_typed() {
    let app = TestApp::with(&[PROXY]).await;
    let admin = app.admin("root").await;
    let person = app.user("saif").await;
    exhaust(&app, "saif").await;
    for _ in 0..10 {
        login_from(&app, ELSEWHERE, "saif", WRONG).await.expect_status(429);
    }
    let told = events(&admin, "kind=login.throttled").await;
    let reasons = |reason: &str| told.iter().filter(|event| event["detail"]["reason"] == reason).count();
    assert_eq!((reasons("delayed"), reasons("exhausted"), told.len()), (20, 1, 21));
    let last = told.iter().find(|event| event["detail"]["reason"] == "exhausted").unwrap();
    assert_eq!(last["subject"]["id"].as_i64().or(last["subjectId"].as_i64()), Some(person.id), "{last}");
    assert_eq!(last["detail"]["failures"], 100);
    assert_eq!(last["detail"]["network"], "*");
    let canary = "my-secret-canary-1";
    guess(&app, ELSEWHERE, canary, 5).await;
    login_from(&app, ELSEWHERE, canary, WRONG).await.expect_status(429);
    assert!(!dump(&app.database).await.contains("secret-canary"));
}

#[tokio::test]
async fn q11_what_was_counted_is_deleted_when_it_is_forgotten() {
    let app = TestApp::with(&[PROXY]).await;
    app.user("saif").await;
    guess(&app, ELSEWHERE, "saif", 1).await;
    guess(&app, ELSEWHERE, "nobody", 5).await;
    assert_eq!(count(&app.database, "guess_counters").await, 4);
    assert_eq!(count(&app.database, "known_networks").await, 1);
    app.advance(24 * HOUR);
    prune(app.app.auth()).await.unwrap().unwrap();
    assert_eq!(count(&app.database, "guess_counters").await, 2);
    app.advance(29 * 24 * HOUR);
    prune(app.app.auth()).await.unwrap().unwrap();
    assert_eq!(count(&app.database, "guess_counters").await, 0);
    app.advance(Duration::from_secs(1));
    prune(app.app.auth()).await.unwrap().unwrap();
    assert_eq!(count(&app.database, "known_networks").await, 0);
}

#[tokio::test]
async fn nothing_is_counted_while_rate_limits_are_off() {
    let app = TestApp::with(&[PROXY, ("RATE_LIMITS", "off")]).await;
    app.user("saif").await;
    for _ in 0..130 {
        login_from(&app, ELSEWHERE, "saif", WRONG).await.expect_problem(401, "invalid_credentials");
    }
    let_in(&app, ELSEWHERE, "saif").await;
    assert_eq!(count(&app.database, "guess_counters").await, 0);
    assert_eq!(json!(count(&app.database, "known_networks").await), 0);
}
