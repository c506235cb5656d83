//! HTTP itself: methods, bodies of the wrong size or type, and the headers that every answer has.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, Exchange, PASSWORD, TestApp, exchange, read_to_end};

const LOGIN: &str = "/api/auth/login";

/// The members of `Allow`, sorted.
fn allowed(answer: &Answer) -> Vec<&str> {
    let mut methods: Vec<&str> = answer.header("allow").split(',').map(str::trim).collect();
    methods.sort_unstable();
    methods
}

#[tokio::test]
async fn q6_another_method_is_405_and_allow_says_which_there_are() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let id = format!("/api/users/{}", admin.id);
    let session = format!("/api/sessions/{}", admin.session_id);
    let resources: [(&str, &[&str]); 13] = [
        (LOGIN, &["POST"]),
        ("/api/auth/refresh-token", &["POST"]),
        ("/api/auth/revoke-token", &["POST"]),
        ("/api/auth/logout", &["POST"]),
        ("/api/users/register", &["POST"]),
        ("/api/users/profile", &["GET", "HEAD", "POST"]),
        ("/api/users/password", &["POST"]),
        ("/api/users", &["GET", "HEAD"]),
        (&id, &["DELETE", "GET", "HEAD", "PATCH"]),
        ("/api/sessions", &["GET", "HEAD"]),
        (&session, &["DELETE", "GET", "HEAD"]),
        ("/health/live", &["GET", "HEAD"]),
        ("/problems/not_found", &["GET", "HEAD"]),
    ];
    for (path, methods) in resources {
        for other in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "FOO"] {
            if methods.contains(&other) {
                continue;
            }
            let answer = app.send(admin.request(other.parse().unwrap(), path)).await.expect_status(405);
            assert_eq!(allowed(&answer), methods, "{other} {path}");
            if other != "HEAD" {
                answer.expect_problem(405, "method_not_allowed");
            }
        }
    }
    admin.profile().await.expect_status(200);
}

#[tokio::test]
async fn q6_no_header_turns_one_method_into_another() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let person = app.user("saif").await;
    for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
        let request = admin.request(Method::POST, &format!("/api/users/{}", person.id)).header(name, "DELETE");
        app.send(request).await.expect_problem(405, "method_not_allowed");
        let request = admin.request(Method::GET, &format!("/api/users/{}?_method=DELETE", person.id));
        let answer = app.send(request.header(name, "DELETE")).await.expect_status(200);
        assert_eq!(answer.text_at("status"), "active");
    }
}

#[tokio::test]
async fn q6_a_head_is_answered_as_the_get_without_its_body() {
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let paths = [
        "/api/users/profile",
        "/api/users",
        "/api/users?limit=1",
        "/api/sessions",
        "/api/users/me/sessions",
        "/health/live",
        "/health/ready",
        "/problems/not_found",
        "/api/users/999999",
        "/api/users?limit=0",
        "/nowhere",
    ];
    for path in paths {
        let ask = |method: &str| {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
                admin.access_token
            );
            exchange(app.address, request.as_bytes())
        };
        let (get, head) = (ask("GET"), ask("HEAD"));
        assert!(!get.body().is_empty(), "{path}: {get:?}");
        assert_eq!(head.body(), "", "{path}");
        assert_eq!(stable_headers(&head), stable_headers(&get), "{path}");
        assert!(stable_headers(&get).iter().any(|line| line.starts_with("content-length: ")), "{path}: {get:?}");
    }
}

/// The status line and headers that do not differ from one request to the next, sorted.
fn stable_headers(answer: &Exchange) -> Vec<String> {
    let (head, _) = answer.text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let mut lines: Vec<String> = head.lines().map(str::to_lowercase).collect();
    lines.retain(|line| !line.starts_with("date:") && !line.starts_with("x-request-id:"));
    lines.sort_unstable();
    lines
}

#[tokio::test]
async fn p2_p5_p6_every_kind_of_answer_has_the_security_headers_and_names_no_product() {
    let app = TestApp::start().await;
    let (admin, person) = (app.admin("root").await, app.user("saif").await);
    let answers = [
        (200, app.login("saif", PASSWORD).await),
        (200, person.profile().await),
        (200, admin.get("/api/users").await),
        (200, app.get("/health/live").await),
        (200, app.get("/problems/not_found").await),
        (200, app.send(person.request(Method::HEAD, "/api/users/profile")).await),
        (201, app.register("lina").await),
        (204, app.post("/api/auth/revoke-token", &json!("x")).await),
        (400, app.post_text(LOGIN, "{").await),
        (401, app.get("/api/users").await),
        (403, person.get("/api/users").await),
        (404, app.get("/nowhere").await),
        (405, app.get(LOGIN).await),
        (409, app.register("saif").await),
        (413, app.post_text(LOGIN, "x".repeat(17 * 1024)).await),
        (415, app.send(app.request(Method::POST, LOGIN).body("{}")).await),
    ];
    let mut ids = std::collections::BTreeSet::new();
    for (status, answer) in answers {
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{answer:?}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{answer:?}");
        assert_eq!(answer.header("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{answer:?}");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin", "{answer:?}");
        assert_eq!(answer.header("strict-transport-security"), "", "plain http promises no TLS: {answer:?}");
        for absent in ["server", "x-powered-by", "via", "set-cookie", "access-control-allow-origin"] {
            assert_eq!(answer.header(absent), "", "{absent}: {answer:?}");
        }
        assert!(ids.insert(answer.header("x-request-id").to_owned()), "a request id came twice: {answer:?}");
    }
    assert!(!ids.contains(""), "an answer has no request id");
}

#[tokio::test]
async fn p3_only_a_service_behind_https_asks_for_https_and_then_always() {
    let app = TestApp::with(&[
        ("PUBLIC_URL", "https://tokens.example.org"),
        ("INSECURE_DEVELOPMENT", ""),
        ("BCRYPT_COST", "10"),
    ])
    .await;
    for path in ["/health/live", "/nowhere", "/api/users"] {
        let answer = app.get(path).await;
        assert_eq!(answer.header("strict-transport-security"), "max-age=63072000; includeSubDomains", "{answer:?}");
    }
}

#[tokio::test]
async fn o7_no_origin_is_ever_allowed() {
    let app = TestApp::start().await;
    let person = app.user("saif").await;
    for origin in ["https://evil.example", "null", "http://127.0.0.1:8080", "http://localhost"] {
        let answer = app.send(person.request(Method::GET, "/api/users/profile").header("origin", origin)).await;
        assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control-")), "{answer:?}");
        let preflight = app.request(Method::OPTIONS, LOGIN).header("origin", origin);
        let preflight = preflight.header("access-control-request-method", "POST");
        let answer = app.send(preflight.header("access-control-request-headers", "content-type")).await;
        let answer = answer.expect_problem(405, "method_not_allowed");
        assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control-")), "{answer:?}");
    }
}

#[tokio::test]
async fn q4_a_body_that_is_not_plain_json_is_415() {
    let app = TestApp::start().await;
    app.register("saif").await.expect_status(201);
    let body = json!({ "username": "saif", "password": PASSWORD }).to_string();
    let send = async |headers: &[(&str, &str)]| {
        let request = app.request(Method::POST, LOGIN).body(body.clone());
        app.send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    };
    let good = [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;Charset=\"UTF-8\"",
        "application/json; x=y",
    ];
    for content_type in good {
        send(&[("content-type", content_type)]).await.expect_status(200);
    }
    let wrong = [
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "*/*",
        "application/json; charset=utf-16",
        "application/json; charset=iso-8859-1",
        "application/vnd.x+json",
        "json",
        "application/problem+json",
        "application/jsonp",
        "application/json-patch+json",
        "application/*",
        "application/json, text/plain",
        "text/plain; application/json",
    ];
    for content_type in wrong {
        send(&[("content-type", content_type)]).await.expect_problem(415, "unsupported_media_type");
    }
    send(&[]).await.expect_problem(415, "unsupported_media_type");
    let json = ("content-type", "application/json");
    for encoding in ["gzip", "deflate", "br", "zstd", "identity, gzip", "x"] {
        send(&[json, ("content-encoding", encoding)]).await.expect_problem(415, "unsupported_media_type");
    }
    send(&[json, ("content-type", "text/plain")]).await.expect_problem(415, "unsupported_media_type");
    send(&[json, json]).await.expect_problem(415, "unsupported_media_type");
}

/// A login of exactly this many bytes, with or without a length in front.
fn login_of(bytes: usize, chunked: bool) -> Vec<u8> {
    let head = format!("POST {LOGIN} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n");
    let start = "{\"username\":\"saif\",\"password\":\"P@ssword123\",\"padding\":\"";
    let body = format!("{start}{}\"}}", "x".repeat(bytes - start.len() - 2));
    assert_eq!(body.len(), bytes);
    if !chunked {
        return format!("{head}Content-Length: {bytes}\r\n\r\n{body}").into_bytes();
    }
    let chunks = body
        .as_bytes()
        .chunks(4096)
        .flat_map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    let mut request = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    request.extend(chunks);
    request.extend(b"0\r\n\r\n");
    request
}

#[tokio::test]
async fn q4_a_body_over_16_kib_is_413_and_its_sender_sees_so() {
    let app = TestApp::start().await;
    app.register("saif").await.expect_status(201);
    for chunked in [false, true] {
        let mut stream = TcpStream::connect(app.address).unwrap();
        stream.write_all(&login_of(16 * 1024, chunked)).unwrap();
        // A password that is hashed beside many others may take a while.
        let largest = read_to_end(&mut stream, Duration::from_secs(20));
        assert_eq!(largest.status(), Some(200), "chunked {chunked}: {largest:?}");
        for bytes in [16 * 1024 + 1, 17 * 1024, 200 * 1024, 1024 * 1024 - 1024] {
            let began = Instant::now();
            // Like a client that sends everything before it listens: the connection must last for that long.
            let mut stream = TcpStream::connect(app.address).unwrap();
            stream.write_all(&login_of(bytes, chunked)).unwrap();
            let answer = read_to_end(&mut stream, Duration::from_secs(20));
            assert_eq!(answer.status(), Some(413), "{bytes}, chunked {chunked}: {answer:?}");
            assert!(answer.body().contains("\"payload_too_large\"") && answer.closed, "{answer:?}");
            assert!(!answer.reset, "{bytes}, chunked {chunked}: the answer could have been lost: {answer:?}");
            assert!(answer.text.contains("application/problem+json"), "{answer:?}");
            assert_eq!(answer.answers(), 1, "{answer:?}");
            assert!(began.elapsed() < Duration::from_secs(20), "{bytes} took {:?}", began.elapsed());
        }
    }
}

#[tokio::test]
async fn q4_a_body_of_megabytes_is_413_too_and_is_not_read_to_its_end() {
    let app = TestApp::start().await;
    // What is announced: nothing of it is sent, so that the answer can only come from the announcement.
    for length in ["16385", "104857600", "18446744073709551615"] {
        let head = format!(
            "POST {LOGIN} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{{"
        );
        let answer = exchange(app.address, head.as_bytes());
        assert!(matches!(answer.status(), Some(400 | 413)) && answer.closed, "{length}: {answer:?}");
    }
    // What is sent, by somebody who reads while sending.
    for chunked in [false, true] {
        let request = login_of(3 * 1024 * 1024, chunked);
        let mut stream = TcpStream::connect(app.address).unwrap();
        let mut sending = stream.try_clone().unwrap();
        let sender = std::thread::spawn(move || drop(sending.write_all(&request)));
        let answer = read_to_end(&mut stream, Duration::from_secs(5));
        sender.join().unwrap();
        assert_eq!(answer.status(), Some(413), "chunked {chunked}: {answer:?}");
        assert!(answer.body().contains("\"payload_too_large\"") && answer.closed, "{answer:?}");
    }
    app.get("/health/live").await.expect_status(200);
}

#[tokio::test]
async fn q2_a_body_that_is_dripped_is_408_after_the_deadline() {
    let app = TestApp::start().await;
    let mut stream = TcpStream::connect(app.address).unwrap();
    let head =
        format!("POST {LOGIN} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let began = Instant::now();
    // A byte goes out whenever half a second has passed without an answer.
    let answer = loop {
        let answer = read_to_end(&mut stream, Duration::from_millis(500));
        if answer.closed || !answer.text.is_empty() {
            break answer;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "there is no deadline");
        stream.write_all(b" ").unwrap();
    };
    assert_eq!(answer.status(), Some(408), "{answer:?}");
    assert!(answer.body().contains("\"request_timeout\""), "{answer:?}");
    assert!(answer.closed || read_to_end(&mut stream, Duration::from_secs(5)).closed, "{answer:?}");
    assert!(began.elapsed() >= Duration::from_secs(9), "a slow but honest client has ten seconds");
    app.get("/health/live").await.expect_status(200);
}
