//! Errors as clients see them: problem details (RFC 9457) that tell nothing of what is inside.

use std::collections::BTreeSet;
use std::sync::Arc;

use diesel::prelude::*;
use relatch::web::problem::Code;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Binary, Database, PASSWORD, TestApp};

/// What nothing outside has a use for.
const INSIDE: &[&str] = &[
    "diesel",
    "sqlite",
    "postgres",
    "panicked",
    "src/",
    ".rs",
    "thread",
    "0x00",
    "serde",
    "actix",
    "select ",
    "insert ",
    "constraint",
    "backtrace",
    "/root",
    "/home",
    "column",
    "line ",
];

fn tells_nothing(answer: &Answer) {
    let text = answer.text.to_lowercase();
    for word in INSIDE {
        assert!(!text.contains(word), "{word}: {answer:?}");
    }
}

/// A problem as it must be, whichever it is.
fn is_a_problem(answer: &Answer) {
    let code = answer.json()["code"].as_str().unwrap_or_else(|| panic!("no code: {answer:?}")).to_owned();
    let known = Code::find(&code).unwrap_or_else(|| panic!("an unknown code: {answer:?}"));
    let answer = answer.clone().expect_problem(known.status().as_u16(), &code);
    assert_eq!(answer.text_at("title"), known.title(), "a title is the same every time");
    let mut members: Vec<String> = answer.json().as_object().unwrap().keys().cloned().collect();
    members.retain(|member| !["errors", "retryable"].contains(&member.as_str()));
    assert_eq!(members, ["code", "detail", "requestId", "status", "title", "type"]);
    tells_nothing(&answer);
}

#[tokio::test]
async fn r1_every_error_of_the_api_is_a_problem() {
    let app = TestApp::start().await;
    let (admin, person) = (app.admin("root").await, app.user("saif").await);
    let form = app.request(Method::POST, "/api/auth/login").form_like("username=saif&password=x");
    let errors = [
        (400, app.post_text("/api/auth/login", "{").await),
        (400, app.post_text("/api/auth/login", "[]").await),
        (400, app.post_text("/api/auth/refresh-token", "5").await),
        (400, app.post_text("/api/auth/revoke-token", "").await),
        (400, app.post("/api/users/register", &json!({ "username": "x" })).await),
        (400, app.post("/api/users/register", &json!({ "username": "", "email": "", "password": "" })).await),
        (400, admin.get("/api/users?limit=0").await),
        (400, admin.get("/api/users?limit=1&limit=2").await),
        (400, admin.get("/api/users?cursor=x").await),
        (400, admin.get("/api/users?role=x").await),
        (400, admin.get("/api/users?status=x").await),
        (400, admin.get("/api/sessions?state=x").await),
        (400, admin.patch(&format!("/api/users/{}", person.id), &json!({ "email": "x" })).await),
        (401, app.get("/api/users").await),
        (401, app.login("saif", "wrong password").await),
        (401, app.refresh("x").await),
        (403, person.get("/api/users").await),
        (
            403,
            person
                .post("/api/users/password", &json!({ "currentPassword": "x", "newPassword": "12345 67890 x" }))
                .await,
        ),
        (
            403,
            app.post(
                "/api/users/register",
                &json!({ "username": "a", "email": "a@example.com", "password": PASSWORD, "role": 0 }),
            )
            .await,
        ),
        (404, app.get("/api/nothing").await),
        (404, admin.get("/api/users/999999").await),
        (404, admin.get("/api/users/x").await),
        (404, admin.get("/api/users/-1").await),
        (404, admin.get("/api/users/9223372036854775808").await),
        (404, admin.get("/api/users/1%00").await),
        (404, admin.get("/api/sessions/x").await),
        (404, admin.get("/api/sessions/00000000-0000-0000-0000-000000000000").await),
        (404, person.delete("/api/users/me/sessions/x").await),
        (404, app.get("/problems/x").await),
        (405, app.get("/api/auth/login").await),
        (405, person.delete("/api/users/profile").await),
        (409, app.register("saif").await),
        (409, admin.delete(&format!("/api/users/{}", admin.id)).await),
        (413, app.post_text("/api/auth/login", "x".repeat(17 * 1024)).await),
        (415, app.send(form).await),
        (415, app.send(app.request(Method::POST, "/api/auth/login").body("{}")).await),
    ];
    for (status, answer) in errors {
        assert_eq!(answer.status, status, "{answer:?}");
        is_a_problem(&answer);
    }
}

/// A form, which is not JSON.
trait FormLike {
    fn form_like(self, body: &'static str) -> Self;
}

impl FormLike for reqwest::RequestBuilder {
    fn form_like(self, body: &'static str) -> Self {
        self.header("content-type", "application/x-www-form-urlencoded").body(body)
    }
}

#[tokio::test]
async fn r1_a_session_that_is_refreshed_too_often_gets_a_problem_that_says_when() {
    let app = TestApp::start().await;
    let mut token = app.user("saif").await.refresh_token;
    let refused = loop {
        let answer = app.refresh(&token).await;
        if answer.status != 200 {
            break answer;
        }
        token = answer.text_at("refreshToken");
    };
    is_a_problem(&refused);
    let refused = refused.expect_problem(429, "too_many_refreshes");
    assert_eq!(refused.json()["retryable"], true);
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    app.advance(std::time::Duration::from_secs(wait));
    app.refresh(&token).await.expect_status(200);
}

#[tokio::test]
async fn r2_hostile_bodies_are_refused_without_a_word_of_what_is_inside() {
    let app = TestApp::start().await;
    let (admin, person) = (app.admin("root").await, app.user("saif").await);
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(4_000), close.repeat(4_000));
    let bodies = [
        "".to_owned(),
        "null".to_owned(),
        "true".to_owned(),
        "0".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        "[\"a\",\"b\"]".to_owned(),
        "{\"username\":[],\"password\":{}}".to_owned(),
        "{\"username\":1e999,\"password\":-0}".to_owned(),
        "{\"username\":\"\\ud800\",\"password\":\"x\"}".to_owned(),
        "{\"username\":\"a\",\"username\":\"b\",\"password\":\"canary-1\"}".to_owned(),
        "{\"username\":\"\\u0000\",\"password\":\"canary-1\\u0000\"}".to_owned(),
        "{\"username\":\"canary-2\",\"password\":null}".to_owned(),
        "{\"refreshToken\":[\"canary-1\"]}".to_owned(),
        "{\"currentPassword\":\"canary-1\",\"newPassword\":7}".to_owned(),
        "\u{feff}{}".to_owned(),
        "{\"email\":{\"canary-1\":\"canary-2\"},\"role\":\"canary-1\"}".to_owned(),
        "{\"role\":2}".to_owned(),
        "{\"canary-1\":".to_owned(),
        "canary-1".to_owned(),
        "'canary-1'".to_owned(),
        "\"canary-1".to_owned(),
        "{\"username\":\"a\",\"password\":\"b\"}canary-1".to_owned(),
        "//canary-1\n{}".to_owned(),
        "{\"a\":NaN}".to_owned(),
        deep("[", "]"),
        deep("{\"a\":", "1}"),
        format!("{{\"username\":{}}}", "9".repeat(10_000)),
        format!("\"{}\"", "\\u0000".repeat(2_000)),
        format!("{{\"username\":\"{}\",\"password\":\"x\"}}", "a".repeat(15_000)),
        format!("{{{}\"z\":1}}", (0..1_000).map(|n| format!("\"k{n}\":{n},")).collect::<String>()),
    ];
    let paths = [
        (None, Method::POST, "/api/auth/login".to_owned()),
        (None, Method::POST, "/api/auth/refresh-token".to_owned()),
        (None, Method::POST, "/api/users/register".to_owned()),
        (Some(&person), Method::POST, "/api/users/password".to_owned()),
        (Some(&admin), Method::PATCH, format!("/api/users/{}", person.id)),
    ];
    for (who, method, path) in &paths {
        for body in &bodies {
            let request = match who {
                Some(who) => who.request(method.clone(), path),
                None => app.request(method.clone(), path),
            };
            let request = request.header("content-type", "application/json").body(body.clone());
            let answer = app.send(request).await;
            // A patch of nothing that is known changes nothing.
            if answer.status == 200 && *method == Method::PATCH {
                continue;
            }
            assert!((400..500).contains(&answer.status), "{path} {body}: {answer:?}");
            is_a_problem(&answer);
            assert!(!answer.text.contains("canary"), "{path} {body}: {answer:?}");
        }
        let request = app.request(method.clone(), path).header("content-type", "application/json");
        let answer = app.send(request.body(b"{\"username\":\"\xff\",\"password\":\"x\"}".to_vec())).await;
        assert!((400..500).contains(&answer.status), "{path}: {answer:?}");
        is_a_problem(&answer);
    }
    person.profile().await.expect_status(200);
}

#[tokio::test]
async fn r2_hostile_paths_and_queries_are_refused_without_a_word_of_what_is_inside() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let hostile = [
        "%00",
        "%ff",
        "%0d%0aX-Evil:1",
        "..%2f..%2fetc%2fpasswd",
        "' OR 1=1--",
        "%27%3B",
        "1e9",
        "+1",
        "01",
        "%31x",
        "18446744073709551616",
        "%F0%9F%98%80",
        "..;",
        "canary-1",
        "a%2",
        "<script>",
        "{id}",
        "0",
        "-0",
    ];
    for value in hostile {
        let paths = [
            format!("/api/users/{value}"),
            format!("/api/users/{value}/sessions"),
            format!("/api/sessions/{value}"),
            format!("/problems/{value}"),
            format!("/{value}"),
            format!("/api/users?cursor={value}"),
            format!("/api/users?limit={value}x"),
            format!("/api/users?role={value}x"),
            format!("/api/sessions?state={value}"),
        ];
        for path in paths {
            let answer = admin.get(&path).await;
            assert!((400..500).contains(&answer.status), "{path}: {answer:?}");
            is_a_problem(&answer);
            let shown = format!("{answer:?}").to_lowercase();
            assert!(!shown.contains("canary") && !shown.contains("x-evil"), "{path}: {answer:?}");
        }
        let found = admin.get(&format!("/api/users?search={value}")).await;
        assert!(matches!(found.status, 200 | 400), "{value}: {found:?}");
    }
}

#[tokio::test]
async fn r3_a_refused_field_is_pointed_at_and_what_was_sent_is_not_repeated() {
    let app = TestApp::start().await;
    let (admin, person) = (app.admin("root").await, app.user("saif").await);
    let register = async |body: Value| app.post("/api/users/register", &body).await;
    let wrong = register(json!({ "username": "can@ry", "email": "canary", "password": "canary".repeat(200) })).await;
    assert_eq!(wrong.pointers(), ["#/username", "#/email", "#/password"]);
    let cases = [
        (register(json!({ "email": "a@example.com", "password": PASSWORD })).await, "#/username"),
        (register(json!({ "username": "a", "email": "a@example.com", "password": 5 })).await, "#/password"),
        (
            register(json!({ "username": "a", "email": "a@example.com", "password": PASSWORD, "role": "canary" }))
                .await,
            "#/role",
        ),
        (app.post("/api/auth/login", &json!({ "username": ["canary"], "password": PASSWORD })).await, "#/username"),
        (app.post("/api/auth/login", &json!({ "username": "saif" })).await, "#/password"),
        (app.post("/api/auth/refresh-token", &json!({ "refreshToken": { "canary": 1 } })).await, "#/refreshToken"),
        (app.post("/api/auth/refresh-token", &json!({ "canary": 1 })).await, "#/refreshToken"),
        (app.post("/api/auth/revoke-token", &json!(["canary"])).await, "#"),
        (
            person.post("/api/users/password", &json!({ "currentPassword": PASSWORD, "newPassword": "canary" })).await,
            "#/newPassword",
        ),
        (admin.patch(&format!("/api/users/{}", person.id), &json!({ "email": "canary" })).await, "#/email"),
        (admin.patch(&format!("/api/users/{}", person.id), &json!({ "disabled": "canary" })).await, "#/disabled"),
        (admin.get("/api/users?limit=canary").await, "?limit"),
        (admin.get("/api/users?cursor=canary").await, "?cursor"),
        (admin.get("/api/users?role=canary").await, "?role"),
        (admin.get("/api/sessions?state=canary").await, "?state"),
    ];
    for (answer, pointer) in cases {
        let answer = answer.expect_problem(400, "validation_failed");
        assert_eq!(answer.pointers(), [pointer], "{answer:?}");
        assert!(!answer.text.contains("canary") && !answer.text.contains(PASSWORD), "{answer:?}");
        is_a_problem(&answer);
    }
    assert!(!wrong.text.contains("canary"), "{wrong:?}");
    let taken = app.register("saif").await.expect_problem(409, "already_taken");
    assert_eq!(taken.pointers(), ["#/username", "#/email"]);
}

#[tokio::test]
async fn r4_a_failure_of_ours_has_its_cause_in_the_log_alone_under_the_id_that_the_client_got() {
    let database = Arc::new(Database::create());
    let server = Binary::on(Arc::clone(&database)).serve();
    let account = json!({ "username": "saif", "email": "saif@example.com", "password": PASSWORD });
    server.post("/api/users/register", &account).await.expect_status(201);
    let login = json!({ "username": "saif", "password": PASSWORD });
    let pair = server.post("/api/auth/login", &login).await.expect_status(200);
    // Somebody damages the database behind the server's back.
    let damage = |connection: &mut _| diesel::sql_query("ALTER TABLE sessions RENAME TO elsewhere").execute(connection);
    database.store().write(damage).await.unwrap();
    let token = pair.text_at("refreshToken");
    let failures = [
        server.post("/api/auth/refresh-token", &json!(token)).await,
        // Nothing was committed, so nobody is told that the token is revoked.
        server.post("/api/auth/revoke-token", &json!(token)).await,
        server.post("/api/auth/login", &login).await,
        server.get_as(&pair.text_at("jwtToken"), "/api/users/profile").await,
    ];
    for answer in &failures {
        assert!(matches!(answer.status, 500 | 503), "{answer:?}");
        is_a_problem(answer);
        assert!(!answer.text.contains("elsewhere") && !answer.text.contains("sessions"), "{answer:?}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    let (_, log) = server.terminate();
    for answer in &failures {
        let id = answer.text_at("requestId");
        let told = log.lines().any(|line| line.contains(&id) && line.contains("cause") && line.contains("sessions"));
        assert!(told, "the log does not say why {id} failed:\n{log}");
    }
    assert!(!log.contains(&token) && !log.contains(PASSWORD), "{log}");
}

#[tokio::test]
async fn r5_whatever_the_client_would_like_to_get_it_gets_json() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    for accept in ["text/html", "application/xml", "image/png, text/html;q=0.9", "*/*", "nonsense", ""] {
        let good = app.send(person.request(Method::GET, "/api/users/profile").header("accept", accept)).await;
        assert_eq!((good.status, good.header("content-type")), (200, "application/json"), "{accept}");
        let bad = app.send(app.request(Method::GET, "/api/users/profile").header("accept", accept)).await;
        is_a_problem(&bad);
        let lost = app.send(app.request(Method::GET, "/api/nothing").header("accept", accept)).await;
        is_a_problem(&lost);
    }
}

#[tokio::test]
async fn r1_the_type_of_every_problem_leads_to_its_explanation() {
    let app = TestApp::start().await;
    for code in Code::ALL {
        let answer = app.get(&code.uri()).await.expect_status(200);
        assert!(answer.text.contains(code.title()) && answer.text.contains(code.as_str()), "{answer:?}");
        assert!(answer.text.contains(code.advice()), "{answer:?}");
    }
}

#[test]
fn r1_the_documentation_lists_exactly_the_codes_that_there_are() {
    let page = include_str!("../../docs/api.md");
    let mut listed = BTreeSet::new();
    for line in page.lines() {
        // A heading for each code, or a row of a table that begins with one.
        let name =
            line.strip_prefix("### ").or_else(|| line.strip_prefix("| `").and_then(|rest| rest.split('`').next()));
        if let Some(name) = name.map(|name| name.trim().trim_matches('`')) {
            assert!(Code::find(name).is_some(), "the page knows a code that the server does not: {name}");
            assert!(listed.insert(name), "{name} is there twice");
        }
    }
    let all: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(listed, all);
    for code in Code::ALL {
        assert!(page.contains(&format!("`{}`", code.as_str())), "{} in backticks", code.as_str());
        assert!(page.contains(code.title()), "the title of {}", code.as_str());
    }
}
