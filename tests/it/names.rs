//! Names and addresses that must not collide or deceive, that must be found again, and numbers that never come back.

use diesel::prelude::*;
use relatch::store::schema::users;
use reqwest::Method;
use serde_json::json;

use crate::harness::{PASSWORD, Person, TestApp};
use crate::registration::{REGISTER, account, with};

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[tokio::test]
async fn l4_variants_of_a_name_are_the_same_name() {
    let app = TestApp::start().await;
    let names = [
        ("Alice", vec!["alice", "ALICE", "aLiCe", "ＡＬＩＣＥ", "ａｌｉｃｅ"]),
        ("Ångström", vec!["A\u{30a}ngstro\u{308}m", "ÅNGSTRÖM", "ångström", "a\u{30a}ngstro\u{308}m"]),
        ("ΣΟΦΟΣ", vec!["σοφοσ", "Σοφοσ"]),
        ("テスト", vec!["ﾃｽﾄ"]),
        ("Владимир", vec!["ВЛАДИМИР", "владимир"]),
    ];
    for (number, (name, variants)) in names.into_iter().enumerate() {
        let made = app.post(REGISTER, &account(name, &format!("first{number}"))).await.expect_status(201);
        assert_eq!(made.text_at("username"), name);
        for (other, variant) in variants.into_iter().enumerate() {
            let answer = app.post(REGISTER, &account(variant, &format!("second{number}.{other}"))).await;
            assert_eq!(answer.expect_problem(409, "already_taken").pointers(), ["#/username"], "{variant}");
            let signed_in = app.login(variant, PASSWORD).await.expect_status(200);
            assert_eq!(signed_in.json()["id"], made.json()["id"], "{variant}");
            assert_eq!(signed_in.text_at("username"), name);
        }
    }
    // German lower case is not folded: these are two people.
    app.post(REGISTER, &account("straße", "strasse1")).await.expect_status(201);
    app.post(REGISTER, &account("strasse", "strasse2")).await.expect_status(201);
}

#[tokio::test]
async fn l4_variants_of_an_address_are_the_same_address() {
    let app = TestApp::start().await;
    let body = |name: &str, email: &str| json!({ "username": name, "email": email, "password": PASSWORD });
    let first = app.post(REGISTER, &body("zoe", "Zoë@Bücher.example")).await.expect_status(201);
    let shown = "Zoë@xn--bcher-kva.example";
    assert_eq!(first.text_at("email"), shown);
    let variants = [
        "zoë@bücher.example",
        "ZOE\u{308}@BÜCHER.EXAMPLE",
        "Zoë@xn--bcher-kva.example",
        "zoë@XN--BCHER-KVA.example",
        "ｚoë@bücher。example",
    ];
    for (number, variant) in variants.into_iter().enumerate() {
        let answer = app.post(REGISTER, &body(&format!("other{number}"), variant)).await;
        assert_eq!(answer.expect_problem(409, "already_taken").pointers(), ["#/email"], "{variant}");
        assert_eq!(app.login(variant, PASSWORD).await.expect_status(200).text_at("email"), shown);
    }
}

#[tokio::test]
async fn l5_l6_names_that_deceive_are_refused() {
    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    let refused = [
        "",
        " ",
        "a b",
        " a",
        "a ",
        "a\tb",
        "a\nb",
        "a\r\nb",
        "a\0b",
        "a\u{1b}[2J",
        "a\u{7f}",
        "a\u{a0}b",
        "a\u{200b}b",
        "a\u{200c}b",
        "a\u{200d}b",
        "a\u{202e}b",
        "a\u{2028}b",
        "\u{feff}a",
        "a\u{ad}b",
        "a\u{2066}b",
        "a\u{e000}",
        "a\u{378}",
        "a\u{10ffff}",
        "\u{301}a",
        "\u{20dd}",
        "\u{fb00}",
        "\u{17f}aif",
        "😀",
        "a\u{fe0f}",
        "a\u{5d0}",
        "\u{5d0}a",
        "a@b",
        "a＠b",
        "аdmin",
        "аlice",
        "alicе",
        "Αlice",
        "admın",
    ];
    for (number, name) in refused.into_iter().enumerate() {
        let answer = app.post(REGISTER, &account(name, &format!("mail{number}"))).await;
        let answer = answer.expect_problem(400, "validation_failed");
        assert_eq!(answer.pointers(), ["#/username"], "{name:?}");
        // Nobody is called that, so nobody signs in so either.
        app.login(name, PASSWORD).await.expect_problem(401, "invalid_credentials");
    }
    let addresses = [
        "",
        "@",
        "a",
        "a@",
        "@b",
        "a b@example.com",
        "a@b c",
        "a@b@c",
        "a\0@example.com",
        "a@exam\0ple.com",
        "a\r\n@example.com",
        "\"a\"@example.com",
        "A <a@example.com>",
        "a@[127.0.0.1]",
        "a\u{202e}@example.com",
        "a@-example.com",
        "a@example..com",
        ".a@example.com",
        "a\u{200d}@example.com",
    ];
    for (number, email) in addresses.into_iter().enumerate() {
        let body = json!({ "username": format!("name{number}"), "email": email, "password": PASSWORD });
        let answer = app.post(REGISTER, &body).await;
        let answer = answer.expect_problem(400, "validation_failed");
        assert_eq!(answer.pointers(), ["#/email"], "{email:?}");
    }
}

#[tokio::test]
async fn l7_whoever_is_registered_can_sign_in_be_found_changed_and_signed_out() {
    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    let admin = app.admin("root").await;
    let names = [
        "Saif.al-Din_7+x",
        "José",
        "Łukasz",
        "Nguyễn",
        "山田太郎",
        "김철수",
        "नेहा",
        "Ελένη",
        "Владимир",
        "עדי",
        "على",
        "ΣΟΦΟΣ",
        "İstanbul",
        "ß",
        "1e3",
        "0",
        "-1",
        "true",
        "null",
        "a'b",
        "x%",
        "x_y",
        "50%off",
        "\\",
        "a/b",
        "a?b",
        "a#b",
        "a&b=c",
        "a;b",
        "a+b",
        "<script>",
        "{{7*7}}",
        "$(id)",
        "`id`",
    ];
    for (number, name) in names.into_iter().enumerate() {
        let made = app.post(REGISTER, &account(name, &format!("mail{number}"))).await.expect_status(201);
        let person = Person::of_pair(&app, &app.login(name, PASSWORD).await.expect_status(200));
        assert_eq!((made.json()["id"].as_i64(), person.username.as_str()), (Some(person.id), name));
        assert_eq!(app.login(&made.text_at("username"), PASSWORD).await.expect_status(200).json()["id"], person.id);
        let found = admin.get(&format!("/api/users?search={}&limit=200", encoded(name))).await.expect_status(200);
        let found = found.json();
        let hit = found.as_array().unwrap().iter().find(|user| user["id"] == person.id);
        assert_eq!(hit.unwrap_or_else(|| panic!("{name} is not found"))["username"], name);
        let path = format!("/api/users/{}", person.id);
        let patch = json!({ "email": format!("new{number}@example.com") });
        assert_eq!(admin.patch(&path, &patch).await.expect_status(200).text_at("username"), name);
        admin.delete(&format!("{path}/sessions")).await.expect_status(204);
        person.profile().await.expect_problem(401, "invalid_token");
    }
}

#[tokio::test]
async fn l10_reserved_words_are_names_that_break_no_route() {
    let app = TestApp::start().await;
    let admin = app.admin("operator").await;
    let names = [
        "admin",
        "root",
        "me",
        "new",
        "..",
        ".",
        "%2e",
        "%2e%2e",
        "register",
        "profile",
        "password",
        "sessions",
        "api",
        "users",
        "favicon.ico",
        "index.html",
        "1",
        "relatch",
        "system",
        "undefined",
        "constructor",
    ];
    for (number, name) in names.into_iter().enumerate() {
        app.post(REGISTER, &account(name, &format!("mail{number}"))).await.expect_status(201);
        let person = app.sign_in(name).await;
        assert_eq!(person.profile().await.expect_status(200).text_at("username"), name);
        assert_eq!(person.get("/api/users/me/sessions").await.expect_status(200).json()[0]["userId"], person.id);
        let path = format!("/api/users/{}", person.id);
        assert_eq!(admin.get(&path).await.expect_status(200).text_at("username"), name);
    }
    // A name in digits is no id: user 1 stays who they are.
    assert_eq!(admin.get("/api/users/1").await.expect_status(200).text_at("username"), "operator");
    assert_eq!(admin.profile().await.expect_status(200).text_at("username"), "operator");
}

#[tokio::test]
async fn l14_whatever_looks_like_code_is_stored_and_shown_as_it_is() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let texts = [
        "'; DROP TABLE users; --",
        "\" OR \"\"=\"",
        "%",
        "_",
        "\\",
        "`id`",
        "$(id)",
        "{{7*7}}",
        "${7*7}",
        "<%= 7*7 %>",
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "javascript:alert(1)",
        "${jndi:ldap://x/a}",
    ];
    for (number, text) in texts.into_iter().enumerate() {
        // As a password it counts as it is, and as an agent it is shown as it is.
        let name = format!("person{number}");
        let password = format!("{text} and more");
        app.post(REGISTER, &with(account(&name, &name), "password", json!(password))).await.expect_status(201);
        let login = json!({ "username": name, "password": password });
        let login = app.request(Method::POST, "/api/auth/login").header("user-agent", text).json(&login);
        let person = Person::of_pair(&app, &app.send(login).await.expect_status(200));
        let own = person.get("/api/users/me/sessions").await.expect_status(200).json();
        assert_eq!(own[0]["userAgent"], text);
        let seen = admin.get(&format!("/api/sessions/{}", person.session_id)).await.expect_status(200).json();
        assert_eq!((&seen["userAgent"], &seen["rotations"][0]["userAgent"]), (&json!(text), &json!(text)));
        // As an identifier it finds nobody, and as a search nobody but who begins so.
        app.login(text, &password).await.expect_problem(401, "invalid_credentials");
        let found = admin.get(&format!("/api/users?search={}", encoded(text))).await.expect_status(200);
        assert_eq!(found.json(), json!([]), "{text}");
    }
    assert_eq!(admin.get("/api/users?limit=200").await.json().as_array().unwrap().len(), texts.len() + 1);
}

/// Takes the row away, as the purge of deleted accounts does after 30 days.
async fn purge(app: &TestApp, id: i64) {
    let store = app.database.store();
    let gone = store.write(move |connection| diesel::delete(users::table.find(id)).execute(connection)).await;
    assert_eq!(gone.unwrap(), 1);
}

#[tokio::test]
async fn l17_m11_a_number_is_never_used_again_and_old_tokens_stay_dead() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let mut last = admin.id;
    for round in 0..3 {
        let former = app.user(&format!("former{round}")).await;
        assert_eq!(former.id, last + 1);
        admin.delete(&format!("/api/users/{}", former.id)).await.expect_status(204);
        let next = app.user(&format!("next{round}")).await;
        assert_eq!(next.id, former.id + 1, "deleted, not purged");
        former.profile().await.expect_problem(401, "invalid_token");
        app.refresh(&former.refresh_token).await.expect_problem(401, "session_revoked");
        // Now the highest numbers are gone altogether.
        purge(&app, former.id).await;
        purge(&app, next.id).await;
        for gone in [&former, &next] {
            admin.get(&format!("/api/users/{}", gone.id)).await.expect_problem(404, "not_found");
            admin.get(&format!("/api/sessions/{}", gone.session_id)).await.expect_problem(404, "not_found");
        }
        let newest = app.user(&format!("former{round}")).await;
        assert_eq!(newest.id, next.id + 1, "purged");
        for gone in [&former, &next] {
            gone.profile().await.expect_problem(401, "invalid_token");
            app.refresh(&gone.refresh_token).await.expect_problem(401, "refresh_token_invalid");
        }
        last = newest.id;
    }
    // A restart remembers it too.
    purge(&app, last).await;
    let app = app.restart(&[]).await;
    assert_eq!(app.user("afterwards").await.id, last + 1);
}
