//! Texts that databases, paths and headers choke on: whatever is sent, wherever, is refused or kept, and never a failure.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, PASSWORD, TestApp, raw};
use crate::input::{CHANGE, LOGIN, REFRESH, REVOKE, no_failure, send};
use crate::registration::{REGISTER, account, with};

#[tokio::test]
async fn l8_a_nul_in_any_string_of_any_body_is_no_failure() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let nul = "a\u{0}b";
    for (body, status) in [
        (json!({ "username": nul, "password": PASSWORD }), 401),
        (json!({ "username": "a\u{0}@example.com", "password": PASSWORD }), 401),
        (json!({ "username": "root\u{0}", "password": PASSWORD }), 401),
        (json!({ "username": "root", "password": format!("{PASSWORD}\u{0}") }), 401),
        (json!({ "username": "\u{0}", "password": "\u{0}" }), 401),
        (json!({ "username": "root", "password": PASSWORD, "\u{0}": nul }), 200),
    ] {
        assert_eq!(no_failure(app.post(LOGIN, &body).await).status, status, "{body}");
    }
    let refresh = format!("{}\u{0}", admin.refresh_token);
    for token in [nul, "\u{0}", &refresh, "rlr_\u{0}"] {
        for body in [json!(token), json!({ "refreshToken": token })] {
            app.post(REFRESH, &body).await.expect_problem(401, "refresh_token_invalid");
            app.post(REVOKE, &body).await.expect_status(204);
        }
    }
    let valid = account("nobody", "nobody");
    for (member, pointer) in [("username", "#/username"), ("email", "#/email"), ("role", "#/role")] {
        for text in ["\u{0}", nul, "User\u{0}", "nobody\u{0}@example.com", "nobody@exam\u{0}ple.com"] {
            let answer = admin.post(REGISTER, &with(valid.clone(), member, json!(text))).await;
            assert_eq!(answer.expect_problem(400, "validation_failed").pointers(), [pointer], "{text:?}");
        }
    }
    app.post(REGISTER, &with(valid, "password", json!("long enough\u{0}"))).await.expect_status(201);
    let path = format!("/api/users/{}", admin.id);
    for (patch, pointer) in [(json!({ "email": "a\u{0}@b.c" }), "#/email"), (json!({ "role": "Admin\u{0}" }), "#/role")]
    {
        assert_eq!(admin.patch(&path, &patch).await.expect_problem(400, "validation_failed").pointers(), [pointer]);
    }
    let change = json!({ "currentPassword": nul, "newPassword": "another\u{0}sentence" });
    admin.post(CHANGE, &change).await.expect_problem(403, "wrong_password");
    let change = json!({ "currentPassword": PASSWORD, "newPassword": "another\u{0}sentence" });
    admin.post(CHANGE, &change).await.expect_status(200);
    app.login("root", "another\u{0}sentence").await.expect_status(200);
}

#[tokio::test]
async fn l8_a_nul_in_any_path_or_query_is_no_failure() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let sid = &admin.session_id;
    let paths = [
        "/api/users/%00".to_owned(),
        format!("/api/users/{}%00", admin.id),
        "/api/users/%00/sessions".to_owned(),
        format!("/api/sessions/{sid}%00"),
        "/api/sessions/%00".to_owned(),
        format!("/api/users/me/sessions/{sid}%00"),
        "/api/users/me/sessions/%00".to_owned(),
        "/problems/%00".to_owned(),
        "/problems/not_found%00".to_owned(),
        "/%00".to_owned(),
        "/api/%00".to_owned(),
        "/api/users%00".to_owned(),
        "/health/live%00".to_owned(),
    ];
    for path in &paths {
        for method in [Method::GET, Method::DELETE, Method::PATCH, Method::POST] {
            let answer = send(&admin, &method, path, "{}").await;
            assert!([404, 405].contains(&answer.status), "{method} {path}: {answer:?}");
        }
    }
    for (query, status) in [
        ("/api/users?search=%00", 200),
        ("/api/users?search=root%00", 200),
        ("/api/users?search=a%40b%00", 200),
        ("/api/users?role=%00", 400),
        ("/api/users?role=Admin%00", 400),
        ("/api/users?status=active%00", 400),
        ("/api/users?limit=%00", 400),
        ("/api/users?limit=5%00", 400),
        ("/api/users?cursor=%00", 400),
        ("/api/users?%00=%00", 200),
        ("/api/sessions?state=live%00", 400),
        ("/api/sessions?limit=5%00", 400),
        ("/api/sessions?cursor=%00", 400),
        ("/api/users/1/sessions?cursor=a%00", 400),
        ("/health/live?%00", 200),
        ("/api/users/profile?%00=%00", 200),
    ] {
        let answer = no_failure(admin.get(query).await);
        assert_eq!(answer.status, status, "{query}: {answer:?}");
        if query.contains("search") {
            assert_eq!(answer.json(), json!([]), "{query}");
        }
    }
    // In a token's header, which is the client's to write.
    for header in [
        r#"{"alg":"ES256","typ":"at+jwt","kid":"\u0000"}"#,
        r#"{"alg":"ES256\u0000","typ":"at+jwt","kid":"a"}"#,
        r#"{"alg":"ES256","typ":"at+jwt\u0000","kid":"a\u0000b"}"#,
    ] {
        let token = format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(header));
        let request = app.request(Method::GET, "/api/users/profile").bearer_auth(token);
        app.send(request).await.expect_problem(401, "invalid_token");
    }
}

#[tokio::test]
async fn l8_a_nul_in_any_header_or_in_the_raw_path_is_refused() {
    let app = TestApp::start().await;
    let body = format!(r#"{{"username":"saif","password":"{PASSWORD}"}}"#);
    for (line, header) in [
        ("/api/auth/login", "user-agent: a\0b"),
        ("/api/auth/login", "authorization: Bearer \0"),
        ("/api/auth/login", "x-forwarded-for: 127.0.0.1\0"),
        ("/api/auth/login", "forwarded: for=\0"),
        ("/api/auth/login", "cookie: relatch=\0"),
        ("/api/auth/login", "x-\0: a"),
        ("/api/auth/lo\0gin", "accept: */*"),
        ("/api/auth/login?\0", "accept: */*"),
    ] {
        let length = body.len();
        let head = "host: localhost\r\ncontent-type: application/json\r\nconnection: close";
        let request = format!("POST {line} HTTP/1.1\r\n{head}\r\ncontent-length: {length}\r\n{header}\r\n\r\n{body}");
        let answer = raw(app.address, request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400 "), "{line:?} {header:?}: {answer}");
    }
    app.get("/health/live").await.expect_status(200);
}

#[tokio::test]
async fn l9_names_and_addresses_of_any_length_are_no_failure() {
    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    let admin = app.admin("root").await;
    let path = format!("/api/users/{}", admin.id);
    app.post(REGISTER, &account(&"a".repeat(64), "longest")).await.expect_status(201);
    app.login(&"A".repeat(64), PASSWORD).await.expect_status(200);
    let local = "a".repeat(64);
    let longest = format!("{local}@{}.{}.{}", "b".repeat(63), "c".repeat(63), "d".repeat(254 - 64 - 1 - 64 - 64));
    assert_eq!(longest.len(), 254);
    app.post(REGISTER, &with(account("b", "b"), "email", json!(longest))).await.expect_status(201);
    app.login(&longest, PASSWORD).await.expect_status(200);
    for length in [65, 255, 256, 2_705, 3_000, 9_000, 100_000, 1_000_000] {
        for unit in ["a", "é", "\u{20000}", "😀", "e\u{301}", "\0"] {
            let text = unit.repeat(length / unit.len());
            let email = format!("{text}@example.com");
            let too_large = length >= 16_384;
            let expect = |answer: Answer, pointer: &str| {
                let answer = no_failure(answer);
                if too_large {
                    answer.expect_problem(413, "payload_too_large");
                } else if unit != "\0" || length * 6 < 16_000 {
                    assert_eq!(
                        answer.expect_problem(400, "validation_failed").pointers(),
                        [pointer],
                        "{unit} {length}"
                    );
                }
            };
            // A few lengths are short enough in characters; they are refused for another reason or not at all.
            if length > 256 || unit == "a" {
                expect(app.post(REGISTER, &with(account("x", "x"), "username", json!(text))).await, "#/username");
            }
            if length > 255 || unit == "a" {
                expect(app.post(REGISTER, &with(account("x", "x"), "email", json!(email))).await, "#/email");
                expect(admin.patch(&path, &json!({ "email": email })).await, "#/email");
            }
            for identifier in [&text, &email] {
                let answer = no_failure(app.login(identifier, PASSWORD).await);
                assert!([401, 413].contains(&answer.status), "{answer:?}");
            }
            if length <= 9_000 {
                let search: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
                no_failure(admin.get(&format!("/api/users?search={search}")).await);
                no_failure(admin.get(&format!("/api/users?cursor={search}")).await).expect_status(400);
            }
        }
    }
    app.login("x", PASSWORD).await.expect_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn l16_what_is_no_id_names_nobody_and_nobody_learns_who_exists() {
    let app = TestApp::start().await;
    let (admin, user) = (app.admin("root").await, app.user("saif").await);
    let ids = [
        "0",
        "-1",
        "+1",
        "01",
        "1.0",
        "1e0",
        "0x1",
        "%31%00",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551617",
        "99999999999999999999999999",
        "root",
        "null",
        "%20",
        "1%20",
        "%2e%2e",
        "१",
        "1;x",
        "1,2",
        "6f9619ff-8b86-d011-b42d-00c04fc964ff",
        "*",
        "'%20OR%201=1--",
        "%ff",
        "%",
        "%zz",
        "1%2f",
        "1%5c",
    ];
    for id in ids {
        let raw = raw(
            app.address,
            format!(
                "GET /api/users/{id} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n\r\n",
                admin.access_token
            )
            .as_bytes(),
        );
        let status = raw.split(' ').nth(1).unwrap_or_default();
        assert!(["404", "400"].contains(&status), "{id}: {raw}");
        for (method, path) in [
            (Method::PATCH, format!("/api/users/{id}")),
            (Method::DELETE, format!("/api/users/{id}")),
            (Method::GET, format!("/api/users/{id}/sessions")),
            (Method::DELETE, format!("/api/users/{id}/sessions")),
            (Method::GET, format!("/api/sessions/{id}")),
            (Method::DELETE, format!("/api/sessions/{id}")),
            (Method::DELETE, format!("/api/users/me/sessions/{id}")),
        ] {
            let answer = send(&admin, &method, &path, r#"{"role":1}"#).await;
            // The client itself leaves dot segments out.
            assert!(answer.status == 404 || (id == "%2e%2e" && answer.status < 500), "{method} {path}: {answer:?}");
        }
    }
    for other in [admin.id.to_string(), user.id.to_string(), "4711".to_owned(), "x".to_owned()] {
        for path in [format!("/api/users/{other}"), format!("/api/users/{other}/sessions")] {
            for method in [Method::GET, Method::DELETE] {
                send(&user, &method, &path, "").await.expect_problem(403, "insufficient_role");
            }
        }
    }
    for sid in [&admin.session_id, &user.session_id, "6f9619ff-8b86-d011-b42d-00c04fc964ff", "x"] {
        user.get(&format!("/api/sessions/{sid}")).await.expect_problem(403, "insufficient_role");
    }
    for sid in [admin.session_id.clone(), user.session_id.to_uppercase(), format!("{{{}}}", user.session_id)] {
        let answer = user.delete(&format!("/api/users/me/sessions/{sid}")).await;
        answer.expect_problem(404, "not_found");
    }
    admin.profile().await.expect_status(200);
    user.profile().await.expect_status(200);
}
