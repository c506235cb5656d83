//! Blocks, for admins in the console and for operators.

use std::time::Duration;

use serde_json::{Value, json};

use super::{ELSEWHERE, PROXY, WRONG, events, exhaust, from, guess, let_in, login_from};
use crate::harness::{Binary, PASSWORD, TestApp, count};
use crate::oauth::{Registered, TOKEN, form};

#[tokio::test]
async fn an_admin_sees_who_is_kept_out_and_lifts_it() {
    let app = TestApp::with(&[PROXY]).await;
    let browser = app.console("root").await;
    let person = app.user("saif").await;
    let page = browser.get("/admin/blocks").await.expect_status(200);
    assert_eq!(page.texts(".empty"), ["Nobody is kept out."]);
    for _ in 0..2 {
        guess(&app, ELSEWHERE, "saif", 5).await;
        app.advance(Duration::from_secs(1));
        login_from(&app, ELSEWHERE, "saif", PASSWORD).await.expect_status(200);
    }
    exhaust(&app, "saif").await;
    guess(&app, "203.0.113.7", "a name that is nobody's", 5).await;
    let page = browser.get("/admin/blocks").await.expect_status(200);
    let rows = page.texts("tbody tr td[data-label=Whose]");
    assert_eq!(rows.len(), 22);
    assert_eq!(rows[0], "saif");
    assert_eq!(page.texts("tbody tr td[data-label=Network]")[0], "all but the user’s own");
    assert_eq!(rows.iter().filter(|name| *name == "a name that nobody has").count(), 1);
    assert!(page.attributes("tbody td a", "href").contains(&format!("/admin/users/{}", person.id)));
    assert!(!page.text.contains("nobody's") && !page.text.contains("nobody&#39;s"));

    // The longest first: this is the account's.
    let lifted = browser.submit(&page.form("/admin/blocks/clear")).await;
    lifted.expect_redirect("/admin/blocks");
    let page = browser.get("/admin/blocks").await.expect_status(200);
    assert_eq!(page.texts(".flash"), ["✓ The block was lifted: passwords may be tried again."]);
    assert_eq!(page.texts("tbody tr").len(), 21);
    let_in(&app, ELSEWHERE, "saif").await;

    let of_user = format!("/admin/users/{}", person.id);
    let clear = format!("{of_user}/clear-blocks");
    let shown = browser.get(&of_user).await.expect_status(200);
    browser.submit(&shown.form(&clear)).await.expect_redirect(&of_user);
    let_in(&app, "198.51.1.7", "saif").await;
    let shown = browser.get(&of_user).await.expect_status(200);
    assert!(!shown.text.contains("clear-blocks"));
    assert_eq!(browser.get("/admin/blocks").await.texts("tbody tr").len(), 1);
}

#[tokio::test]
async fn the_block_of_a_client_or_of_a_name_that_nobody_has_is_for_all_networks() {
    let app = TestApp::with(&[PROXY]).await;
    let browser = app.console("root").await;
    let client = Registered::with(&app.sign_in("root").await, &["introspect"]).await;
    exhaust(&app, "nobody").await;
    for network in 0..20 {
        for _ in 0..5 {
            let request =
                from(form(&app, TOKEN, &[("grant_type", "client_credentials")]), &format!("198.51.{network}.7"));
            app.send(request.basic_auth(&client.id, Some("rls_wrong"))).await.expect_status(401);
        }
    }
    let page = browser.get("/admin/blocks").await.expect_status(200);
    let networks = page.texts("tbody tr td[data-label=Network]");
    assert_eq!(networks.iter().filter(|network| *network == "all").count(), 2, "{networks:?}");
    assert!(!networks.iter().any(|network| network.contains("own")), "{networks:?}");
}

#[tokio::test]
async fn m10_lifting_a_block_asks_for_the_password_and_is_written_down() {
    let app = TestApp::with(&[PROXY]).await;
    let browser = app.console("root").await;
    let admin = app.sign_in("root").await;
    let person = app.user("saif").await;
    guess(&app, ELSEWHERE, "saif", 5).await;
    app.advance(Duration::from_secs(1));
    for doubled in 1..10 {
        guess(&app, ELSEWHERE, "saif", 1).await;
        app.advance(Duration::from_secs(1 << doubled));
    }
    guess(&app, ELSEWHERE, "saif", 1).await;
    login_from(&app, ELSEWHERE, "saif", WRONG).await.expect_problem(429, "too_many_attempts");
    let form = browser.get("/admin/blocks").await.form("/admin/blocks/clear");
    let asked = browser.submit(&form).await.expect_status(200);
    assert_eq!(asked.heading(), "Give your password again");
    login_from(&app, ELSEWHERE, "saif", PASSWORD).await.expect_problem(429, "too_many_attempts");
    let form = asked.form("/admin/blocks/clear").with("confirm_password", PASSWORD);
    browser.submit(&form).await.expect_redirect("/admin/blocks");
    let_in(&app, ELSEWHERE, "saif").await;
    let admin = match admin.profile().await.status {
        200 => admin,
        _ => app.sign_in("root").await,
    };
    let told = events(&admin, &format!("kind=block.cleared&subject={}", person.id)).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["detail"], json!({ "network": "198.51.100.0/24", "cleared": 1 }));
    // Nobody makes up what is to be lifted.
    let form = form.with("block", "AAAA");
    browser.submit(&form).await.expect_redirect("/admin/blocks");
    assert_eq!(events(&admin, "kind=block.cleared").await.len(), 1);
}

#[tokio::test]
async fn pages_of_blocks_go_on_where_the_last_one_ended() {
    let app = TestApp::with(&[PROXY]).await;
    let browser = app.console("root").await;
    for number in 0..26 {
        app.advance(Duration::from_secs(1));
        for name in ["a", "b"] {
            for network in [number, 100 + number] {
                guess(&app, &format!("198.51.{network}.7"), &format!("{name}{number}"), 4).await;
            }
        }
    }
    for number in 0..26 {
        for name in ["a", "b"] {
            for network in [number, 100 + number] {
                guess(&app, &format!("198.51.{network}.7"), &format!("{name}{number}"), 1).await;
            }
        }
    }
    let (mut path, mut handles, mut pages) = ("/admin/blocks".to_owned(), Vec::new(), 0);
    loop {
        let page = browser.get(&path).await.expect_status(200);
        handles.extend(page.attributes("input[name=block]", "value"));
        pages += 1;
        match page.attributes("nav.pages a", "href").last() {
            Some(next) => path.clone_from(next),
            None => break,
        }
    }
    assert_eq!((handles.len(), pages), (104, 3));
    handles.sort();
    handles.dedup();
    assert_eq!(handles.len(), 104);
    let lost = browser.get("/admin/blocks?after=x").await.expect_status(200);
    assert!(lost.texts(".notice")[0].contains("not there any more"));
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_list_blocks_and_lift_them() {
    let binary = Binary::new().set("TRUSTED_PROXIES", "127.0.0.1");
    let create = ["user", "create", "--username", "saif", "--email", "saif@example.com", "--password-stdin"];
    assert_eq!(binary.run_with_input(&create, PASSWORD).code, 0);
    let served = binary.serve();
    for _ in 0..20 {
        served.post("/api/auth/login", &json!({ "username": "saif", "password": WRONG })).await;
    }
    let list = || {
        let output = binary.run(&["block", "list", "--json"]);
        assert_eq!(output.code, 0, "{output:?}");
        output.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    };
    let clear = |arguments: &[&str]| {
        let output = binary.run(&[&["block", "clear", "--json"], arguments].concat());
        assert_eq!(output.code, 0, "{output:?}");
        serde_json::from_str::<Value>(&output.stdout).unwrap()["cleared"].as_u64().unwrap()
    };
    assert!(list().iter().all(|block| block["userId"] == 1 && block["name"] == "saif" && block["until"].is_string()));
    assert_eq!(clear(&["--user", "saif"]), 2);
    assert!(list().is_empty());
    served.post("/api/auth/login", &json!({ "username": "saif", "password": WRONG })).await.expect_status(401);
    assert_eq!(clear(&["--network", "127.0.0.0/24"]), 1);
    assert_eq!(clear(&["--all"]), 1);
    assert_eq!(clear(&["--all"]), 0);
    for wrong in [vec![], vec!["--user", "saif", "--all"], vec!["--network", "10.0.0.0/8"], vec!["--user", "nobody"]] {
        assert_ne!(binary.run(&[&["block", "clear"], wrong.as_slice()].concat()).code, 0, "{wrong:?}");
    }
    served.terminate();
}

#[tokio::test]
async fn another_password_and_enabling_lift_what_was_counted_and_a_purged_user_leaves_nothing() {
    let app = TestApp::with(&[PROXY]).await;
    let admin = app.admin("root").await;
    let person = app.user("saif").await;
    let id = relatch::domain::user::UserId::new(person.id).unwrap();
    exhaust(&app, "saif").await;
    relatch::auth::change_password::reset_password(app.app.auth(), id, "another good sentence").await.unwrap();
    assert_eq!(count(&app.database, "guess_counters").await, 0);
    // Where somebody signed in with the old password is no network of the user's any more; the admin's stays.
    assert_eq!(count(&app.database, "known_networks").await, 1);
    login_from(&app, ELSEWHERE, "saif", "another good sentence").await.expect_status(200);
    exhaust(&app, "saif").await;
    let path = format!("/api/users/{}", person.id);
    admin.patch(&path, &json!({ "disabled": true })).await.expect_status(200);
    login_from(&app, "203.0.113.7", "saif", WRONG).await.expect_status(429);
    admin.patch(&path, &json!({ "disabled": false })).await.expect_status(200);
    login_from(&app, "203.0.113.7", "saif", "another good sentence").await.expect_status(200);
    guess(&app, ELSEWHERE, "saif", 5).await;
    admin.delete(&path).await.expect_status(204);
    app.advance(Duration::from_secs(30 * 24 * 3_600 + 1));
    relatch::auth::maintenance::prune(app.app.auth()).await.unwrap().unwrap();
    assert_eq!(count(&app.database, "guess_counters").await, 0);
    assert_eq!(count(&app.database, "known_networks").await, 0);
}
