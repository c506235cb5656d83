//! Making accounts: what `POST /api/users/register` promises, and who may do it with which role.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, TestApp};

pub const REGISTER: &str = "/api/users/register";

/// A body for a name of any kind, with an address that has nothing to do with it.
pub fn account(username: &str, mailbox: &str) -> Value {
    json!({ "username": username, "email": format!("{mailbox}@example.com"), "password": PASSWORD })
}

/// The same with one member more, or another one.
pub fn with(mut body: Value, member: &str, value: Value) -> Value {
    body[member] = value;
    body
}

#[tokio::test]
async fn the_example_of_the_contract_is_accepted_as_it_stands() {
    let app = TestApp::start().await;
    let body = r#"{"username":"saif","email":"saif@example.com","password":"P@ssword123","role":1}"#;
    let answer = app.post_text(REGISTER, body).await.expect_status(201);
    assert_eq!(
        answer.json(),
        json!({
            "id": 1,
            "username": "saif",
            "email": "saif@example.com",
            "role": "User",
            "createdAt": app.now().to_string(),
        })
    );
    assert!(answer.text_at("createdAt").ends_with('Z'));
    assert_eq!(answer.header("location"), "/api/users/1");
    assert_eq!(answer.header("content-type"), "application/json");
    let admin = app.admin("root").await;
    assert_eq!(admin.get(answer.header("location")).await.expect_status(200).text_at("username"), "saif");
    assert_eq!(admin.id, 2, "ids are counted from 1 without gaps");
}

#[tokio::test]
async fn a_taken_name_or_address_is_a_conflict_that_points_to_it() {
    let app = TestApp::start().await;
    app.post(REGISTER, &account("saif", "saif")).await.expect_status(201);
    for (body, pointers) in [
        (account("saif", "other"), vec!["#/username"]),
        (account("other", "saif"), vec!["#/email"]),
        (account("SAIF", "Saif"), vec!["#/username", "#/email"]),
    ] {
        let answer = app.post(REGISTER, &body).await.expect_problem(409, "already_taken");
        assert_eq!(answer.pointers(), pointers);
        assert!(!answer.text.to_lowercase().contains("saif"), "what was sent is not repeated: {answer:?}");
    }
    // The two belong to different people here, and both are pointed to.
    app.post(REGISTER, &account("ali", "ali")).await.expect_status(201);
    let both = app.post(REGISTER, &account("saif", "ali")).await.expect_problem(409, "already_taken");
    assert_eq!(both.pointers(), ["#/username", "#/email"]);
    // A refusal uses up no number.
    assert_eq!(app.post(REGISTER, &account("other", "other")).await.expect_status(201).json()["id"], 3);
}

#[tokio::test]
async fn everything_that_is_wrong_is_pointed_to_at_once() {
    let app = TestApp::start().await;
    for password in ["x".repeat(1_025), "short".to_owned(), "password1".to_owned()] {
        let body = json!({ "username": "a b", "email": "nowhere", "password": password });
        let answer = app.post(REGISTER, &body).await.expect_problem(400, "validation_failed");
        assert_eq!(answer.pointers(), ["#/username", "#/email", "#/password"], "{password}");
    }
    let answer = app.post(REGISTER, &with(account("saif", "saif"), "password", json!("short"))).await;
    assert_eq!(answer.expect_problem(400, "validation_failed").pointers(), ["#/password"]);
    for missing in ["username", "email", "password"] {
        let mut body = account("saif", "saif");
        body.as_object_mut().unwrap().remove(missing);
        let answer = app.post(REGISTER, &body).await.expect_problem(400, "validation_failed");
        assert_eq!(answer.pointers(), [format!("#/{missing}")]);
    }
    app.login("saif", PASSWORD).await.expect_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn a_role_is_a_number_or_a_name_and_user_unless_it_is_given() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    app.post(REGISTER, &account("absent", "absent")).await.expect_status(201);
    let forms = [
        (json!(1), "User"),
        (json!("User"), "User"),
        (json!("user"), "User"),
        (json!(null), "User"),
        (json!(0), "Admin"),
        (json!("Admin"), "Admin"),
    ];
    for (number, (role, expected)) in forms.into_iter().enumerate() {
        let name = format!("person{number}");
        let answer = admin.post(REGISTER, &with(account(&name, &name), "role", role)).await.expect_status(201);
        assert_eq!(answer.text_at("role"), expected);
        assert_eq!(app.login(&name, PASSWORD).await.expect_status(200).text_at("role"), expected);
    }
    let wrong = [
        json!(2),
        json!(-1),
        json!(1.0),
        json!(0.5),
        json!(1e30),
        json!(u64::MAX),
        json!("0"),
        json!("1"),
        json!(""),
        json!("Admin "),
        json!("Root"),
        json!("\u{0}"),
        json!(true),
        json!([0]),
        json!(["Admin"]),
        json!({ "Admin": null }),
    ];
    for role in wrong {
        let answer = admin.post(REGISTER, &with(account("nobody", "nobody"), "role", role.clone())).await;
        let answer = answer.expect_problem(400, "validation_failed");
        assert_eq!(answer.pointers(), ["#/role"], "{role}");
    }
    app.login("nobody", PASSWORD).await.expect_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn l1_only_an_admin_makes_admins() {
    let app = TestApp::start().await;
    let (admin, user) = (app.admin("root").await, app.user("saif").await);
    for role in [json!(0), json!("Admin"), json!("admin")] {
        let body = with(account("mallory", "mallory"), "role", role);
        app.post(REGISTER, &body).await.expect_problem(403, "role_not_permitted");
        user.post(REGISTER, &body).await.expect_problem(403, "role_not_permitted");
    }
    app.login("mallory", PASSWORD).await.expect_problem(401, "invalid_credentials");
    let body = with(account("deputy", "deputy"), "role", json!(0));
    assert_eq!(admin.post(REGISTER, &body).await.expect_status(201).text_at("role"), "Admin");
    app.sign_in("deputy").await.get("/api/users").await.expect_status(200);
    // A former admin's token makes none any more.
    admin.patch(&format!("/api/users/{}", admin.id), &json!({ "role": 1 })).await.expect_status(200);
    let body = with(account("mallory", "mallory"), "role", json!(0));
    admin.post(REGISTER, &body).await.expect_problem(401, "invalid_token");
    app.sign_in("root").await.post(REGISTER, &body).await.expect_problem(403, "role_not_permitted");
}

#[tokio::test]
async fn a_token_that_is_not_accepted_does_not_make_its_holder_anonymous() {
    let app = TestApp::start().await;
    let old = app.user("old").await;
    app.advance(Duration::from_secs(16 * 60));
    let out = app.user("out").await;
    out.post_nothing("/api/auth/logout").await.expect_status(204);
    let body = account("mallory", "mallory");
    old.post(REGISTER, &body).await.expect_problem(401, "invalid_token");
    out.post(REGISTER, &body).await.expect_problem(401, "invalid_token");
    let refresh = format!("Bearer {}", old.refresh_token);
    let headers = [
        ("Bearer", "invalid_token"),
        ("Bearer ", "invalid_token"),
        ("Bearer garbage", "invalid_token"),
        ("Bearer a b", "invalid_token"),
        (refresh.as_str(), "invalid_token"),
        ("Basic c2FpZjpQQHNzd29yZDEyMw==", "authentication_required"),
        ("", "authentication_required"),
    ];
    for (header, code) in headers {
        let request = app.request(Method::POST, REGISTER).header("authorization", header).json(&body);
        app.send(request).await.expect_problem(401, code);
    }
    app.post(REGISTER, &body).await.expect_status(201);
}

#[tokio::test]
async fn while_registration_is_closed_only_admins_register() {
    let app = TestApp::with(&[("REGISTRATION", "closed")]).await;
    let admin = app.admin("root").await;
    app.register("saif").await.expect_problem(403, "registration_closed");
    app.login("saif", PASSWORD).await.expect_problem(401, "invalid_credentials");
    admin.post(REGISTER, &account("saif", "saif")).await.expect_status(201);
    let user = app.sign_in("saif").await;
    user.post(REGISTER, &account("ali", "ali")).await.expect_problem(403, "registration_closed");
    let body = with(account("ali", "ali"), "role", json!("Admin"));
    user.post(REGISTER, &body).await.expect_problem(403, "registration_closed");
    // It does not tell who is there, either.
    user.post(REGISTER, &account("saif", "saif")).await.expect_problem(403, "registration_closed");
}

#[tokio::test]
async fn l1_members_that_nobody_asked_for_change_nothing() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let extras = json!({
        "roles": ["Admin"], "Role": 0, "is_admin": true, "isAdmin": true, "admin": true,
        "id": 4711, "user_id": 4711, "token_version": 99, "security_version": 99, "securityVersion": 99,
        "disabled": true, "disabledAt": "2020-01-01T00:00:00Z", "deleted_at": 1, "status": "deleted",
        "created_at": 0, "createdAt": "1999-01-01T00:00:00Z", "lastLoginAt": "1999-01-01T00:00:00Z",
        "password_hash": "$2b$04$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy",
        "username_key": "root", "email_key": "root@example.com",
        "user": { "role": "Admin" }, "data": { "attributes": { "role": 0 } }, "__proto__": { "role": 0 },
    });
    let mut body = account("mallory", "mallory");
    body.as_object_mut().unwrap().extend(extras.as_object().unwrap().clone());
    let query = "?role=Admin&role=0&isAdmin=true&id=4711";
    let answer = app.post(&format!("{REGISTER}{query}"), &body).await.expect_status(201);
    assert_eq!((answer.json()["id"].as_i64(), answer.text_at("role").as_str()), (Some(admin.id + 1), "User"));
    let mallory = app.sign_in("mallory").await;
    mallory.post("/api/users/profile", &json!({ "role": "Admin", "id": 1, "email": "x@example.com" })).await;
    let seen = admin.get(&format!("/api/users/{}", mallory.id)).await.json();
    assert_eq!(seen, mallory.profile().await.json());
    assert_eq!((seen["role"].as_str(), seen["status"].as_str()), (Some("User"), Some("active")));
    assert_eq!(seen["createdAt"], app.now().to_string());
    assert_eq!(seen["email"], "mallory@example.com");
    // Nor by another form, nor by changing oneself.
    let form = app.request(Method::POST, REGISTER).header("content-type", "application/x-www-form-urlencoded");
    let form = form.body("username=eve&email=eve%40example.com&password=P%40ssword123&role=Admin");
    app.send(form).await.expect_problem(415, "unsupported_media_type");
    let own = format!("/api/users/{}", mallory.id);
    mallory.patch(&own, &json!({ "role": "Admin" })).await.expect_problem(403, "insufficient_role");
    mallory.get("/api/users").await.expect_problem(403, "insufficient_role");
}

/// Of these answers exactly one is a new account and the others are conflicts.
fn one_of(answers: &[Answer], pointers: &[&str]) -> i64 {
    let (made, others): (Vec<&Answer>, Vec<&Answer>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!(made.len(), 1, "{answers:?}");
    for other in others {
        assert_eq!(other.clone().expect_problem(409, "already_taken").pointers(), pointers);
    }
    made[0].json()["id"].as_i64().unwrap()
}

#[tokio::test]
async fn l2_fifty_registrations_of_one_name_make_one_account() {
    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    let beside = TestApp::on(app.database.clone(), &[("RATE_LIMITS", "off")]).await;
    let admin = app.admin("root").await;
    for round in 0..4 {
        // The same name in two ways, the same address in two ways, from two instances.
        let by_name = join_all((0..50).map(|number| {
            let name = if number % 3 == 0 { format!("RACER{round}") } else { format!("racer{round}") };
            let body = account(&name, &format!("racer{round}.{number}"));
            let app = if number % 2 == 0 { &app } else { &beside };
            async move { app.post(REGISTER, &body).await }
        }))
        .await;
        let by_email = join_all((0..50).map(|number| {
            let mailbox = if number % 3 == 0 { format!("Shared{round}") } else { format!("shared{round}") };
            let body = account(&format!("sharer{round}.{number}"), &mailbox);
            let app = if number % 2 == 0 { &app } else { &beside };
            async move { app.post(REGISTER, &body).await }
        }))
        .await;
        let ids = [one_of(&by_name, &["#/username"]), one_of(&by_email, &["#/email"])];
        assert_eq!(ids, [2 * round + 2, 2 * round + 3], "losers use up no number");
        for (search, id) in [(format!("racer{round}"), ids[0]), (format!("shared{round}@"), ids[1])] {
            let found = admin.get(&format!("/api/users?search={search}")).await.expect_status(200).json();
            assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
            assert_eq!(found[0]["id"], id);
        }
    }
}
