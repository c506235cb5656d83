//! Bodies that are not what they should be: the answer is a refusal with a reason and never a failure.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, PASSWORD, Person, TestApp};
use crate::registration::{REGISTER, account, with};

pub const LOGIN: &str = "/api/auth/login";
pub const REFRESH: &str = "/api/auth/refresh-token";
pub const REVOKE: &str = "/api/auth/revoke-token";
pub const CHANGE: &str = "/api/users/password";

/// Words that an error of ours never says (R2).
const INTERNALS: [&str; 12] = [
    "diesel",
    "sqlite",
    "postgres",
    "panicked",
    "src/",
    "thread",
    "0x00",
    "serde",
    "column",
    "utf-8 sequence",
    "actix",
    "constraint",
];

/// Checks that an answer is no failure of ours, and that a refusal is a problem that tells nothing of the inside.
#[track_caller]
pub fn no_failure(answer: Answer) -> Answer {
    assert!(answer.status < 500, "{answer:?}");
    if answer.status >= 400 {
        assert_eq!(answer.header("content-type"), "application/problem+json", "{answer:?}");
        assert_eq!(answer.json()["status"], answer.status, "{answer:?}");
        let text = answer.text.to_lowercase();
        assert!(!INTERNALS.iter().any(|word| text.contains(word)), "{answer:?}");
    }
    answer
}

/// Every route that takes a body: its method, its path and a body that it would take from `person`.
fn bodies(person: &Person) -> [(Method, String, Value); 6] {
    [
        (Method::POST, LOGIN.to_owned(), json!({ "username": person.username, "password": PASSWORD })),
        (Method::POST, REFRESH.to_owned(), json!({ "refreshToken": person.refresh_token })),
        (Method::POST, REVOKE.to_owned(), json!({ "refreshToken": person.refresh_token })),
        (Method::POST, REGISTER.to_owned(), account("newcomer", "newcomer")),
        (Method::PATCH, format!("/api/users/{}", person.id), json!({ "email": "changed@example.com" })),
        (Method::POST, CHANGE.to_owned(), json!({ "currentPassword": PASSWORD, "newPassword": "another sentence" })),
    ]
}

pub async fn send(person: &Person, method: &Method, path: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = person.request(method.clone(), path).header("content-type", "application/json").body(body);
    no_failure(Answer::of(request.send().await.unwrap()).await)
}

#[tokio::test]
async fn l11_what_is_no_json_object_of_the_right_types_is_refused() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    for (method, path, valid) in bodies(&admin) {
        let text = valid.to_string();
        let utf16 = |to_bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(to_bytes).collect::<Vec<u8>>();
        let member = valid.as_object().unwrap().keys().next().unwrap().clone();
        let broken: Vec<Vec<u8>> = [
            "",
            " ",
            "\n",
            "{",
            "}",
            "{]",
            "nul",
            "NaN",
            "-",
            "01",
            "\"",
            "{\"a\":\"\\ud800\",}",
            "{'a':1}",
            "{a:1}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "// c\n{}",
            "/**/{}",
            "\0",
            "\u{feff}{}",
        ]
        .into_iter()
        .map(|text| text.as_bytes().to_vec())
        .chain([
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            utf16(u16::to_le_bytes),
            utf16(u16::to_be_bytes),
            [b"\xff\xfe".to_vec(), utf16(u16::to_le_bytes)].concat(),
            [text.as_bytes(), b"x"].concat(),
            [text.as_bytes(), b"\0"].concat(),
            [text.as_bytes(), b","].concat(),
            [text.as_bytes(), text.as_bytes()].concat(),
            text.as_bytes()[..text.len() - 1].to_vec(),
            format!("{{\"{member}\":\"\\ud800\"}}").into_bytes(),
            format!("{{\"{member}\":\"\\udc00\\ud800\"}}").into_bytes(),
            format!("{{\"{member}\":\"\\x41\"}}").into_bytes(),
            format!("{{\"{member}\":\"a\nb\"}}").into_bytes(),
            format!("{{\"role\":1{}}}", "0".repeat(400)).replace("role", &member).into_bytes(),
            format!("{{\"{member}\":1e999}}").into_bytes(),
            "[".repeat(16_000).into_bytes(),
            "{\"a\":".repeat(3_000).into_bytes(),
        ])
        .collect();
        for body in broken {
            let shown = String::from_utf8_lossy(&body).chars().take(80).collect::<String>();
            let answer = send(&admin, &method, &path, body).await;
            assert_eq!((answer.status, answer.text_at("code").as_str()), (400, "invalid_json"), "{path} {shown}");
        }
        for body in ["null", "true", "0", "-1.5e3", "[]", "[null]", "[{}]", "[\"a\",\"b\",\"c\",\"d\"]"] {
            let answer = send(&admin, &method, &path, body).await.expect_problem(400, "validation_failed");
            assert_eq!(answer.pointers(), ["#"], "{path} {body}");
        }
        for name in valid.as_object().unwrap().keys() {
            for value in [json!(null), json!(1), json!(1.5), json!(true), json!([]), json!(["a"]), json!({ "a": 1 })] {
                if value.is_null() && method == Method::PATCH {
                    continue;
                }
                let answer = send(&admin, &method, &path, with(valid.clone(), name, value).to_string()).await;
                let answer = answer.expect_problem(400, "validation_failed");
                assert_eq!(answer.pointers(), [format!("#/{name}")], "{path}");
            }
        }
    }
    // None of it had an effect, and white space around a body is no trailing data.
    assert_eq!(admin.profile().await.expect_status(200).text_at("email"), "root@example.com");
    assert_eq!(admin.get("/api/users").await.json().as_array().unwrap().len(), 1);
    let body = format!(" \r\n\t{}\n ", json!({ "username": "root", "password": PASSWORD }));
    app.post_text(LOGIN, body).await.expect_status(200);
    app.refresh(&admin.refresh_token).await.expect_status(200);
}

#[tokio::test]
async fn l12_a_member_or_parameter_that_is_there_twice_is_refused() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    for (method, path, valid) in bodies(&admin) {
        for (name, value) in valid.as_object().unwrap() {
            let escaped = format!("\\u{:04x}{}", name.as_bytes()[0], &name[1..]);
            for twin in [name, &escaped] {
                for other in [value, &json!("other"), &json!(null)] {
                    let text = valid.to_string();
                    let body = format!("{},\"{twin}\":{other}}}", text.strip_suffix('}').unwrap());
                    let answer = send(&admin, &method, &path, body).await;
                    answer.expect_problem(400, "invalid_json");
                }
            }
        }
    }
    let body = format!(r#"{{"username":"a","email":"a@b.c","password":"{PASSWORD}","role":1,"role":0}}"#);
    send(&admin, &Method::POST, REGISTER, body).await.expect_problem(400, "invalid_json");
    let path = format!("/api/users/{}", admin.id);
    let body = r#"{"disabled":false,"disabled":true}"#;
    send(&admin, &Method::PATCH, &path, body).await.expect_problem(400, "invalid_json");
    for query in
        ["users?limit=1&limit=2", "users?role=0&role=1", "users?search=a&search=b", "sessions?state=all&state=live"]
    {
        admin.get(&format!("/api/{query}")).await.expect_problem(400, "validation_failed");
    }
    assert_eq!(admin.get("/api/users").await.json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn l13_o6_only_json_in_utf8_is_taken_and_no_form() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    for (method, path, valid) in bodies(&admin) {
        for content_type in [
            None,
            Some("text/plain"),
            Some("text/json"),
            Some("application/x-www-form-urlencoded"),
            Some("multipart/form-data; boundary=x"),
            Some("application/problem+json"),
            Some("application/vnd.x+json"),
            Some("application/jsonp"),
            Some("application/json; charset=utf-16"),
            Some("application/json; charset=latin1"),
            Some("application/json, text/plain"),
            Some(""),
        ] {
            let request = admin.request(method.clone(), &path).body(valid.to_string());
            let request = match content_type {
                Some(content_type) => request.header("content-type", content_type),
                None => request,
            };
            app.send(request).await.expect_problem(415, "unsupported_media_type");
        }
        for encoding in ["gzip", "br", "identity"] {
            let request = admin.request(method.clone(), &path).json(&valid).header("content-encoding", encoding);
            app.send(request).await.expect_problem(415, "unsupported_media_type");
        }
    }
    admin.profile().await.expect_status(200);
    for content_type in ["application/json", "Application/JSON;Charset=UTF-8", "application/json; charset=\"utf-8\""] {
        let body = json!({ "username": "root", "password": PASSWORD }).to_string();
        let request = app.request(Method::POST, LOGIN).header("content-type", content_type).body(body);
        app.send(request).await.expect_status(200);
    }
}
