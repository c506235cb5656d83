//! Requests that two parsers could read in two ways: refused, and the connection closed, so that nothing rides along.

use crate::harness::{TestApp, exchange};

/// What must never be answered: a whole request hidden behind or within another.
const HIDDEN: &str = "GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n";
const POST: &str = "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
const GET: &str = "GET /health/live HTTP/1.1\r\n";

/// A probe, in which `<hidden>` and `<length>` stand for a request and its length. Proxies are sent the same ones.
#[derive(serde::Deserialize)]
struct Probe {
    what: String,
    bytes: String,
}

fn probes() -> Vec<Probe> {
    let mut probes: Vec<Probe> = serde_json::from_str(include_str!("smuggling.json")).unwrap();
    for probe in &mut probes {
        probe.bytes = probe.bytes.replace("<hidden>", HIDDEN).replace("<length>", &HIDDEN.len().to_string());
    }
    probes
}

#[tokio::test]
async fn q1_a_request_that_can_be_read_in_two_ways_is_400_and_the_end_of_the_connection() {
    let app = TestApp::start().await;
    for Probe { what, bytes } in probes() {
        let answer = exchange(app.address, bytes.as_bytes());
        assert_eq!(answer.status(), Some(400), "{what}: {answer:?}");
        assert!(answer.closed, "{what}: the connection stays open: {answer:?}");
        assert_eq!(answer.answers(), 1, "{what}: something rode along: {answer:?}");
    }
    app.get("/health/live").await.expect_status(200);
}

#[tokio::test]
async fn q1_the_probes_are_answered_twice_when_nothing_is_wrong_with_them() {
    // What shows that the test above would see a hidden request that got through.
    let app = TestApp::start().await;
    let honest = [
        format!("{POST}Content-Length: 2\r\n\r\n{{}}{HIDDEN}"),
        format!("{POST}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n{HIDDEN}"),
        format!("{GET}Host: x\r\n\r\n{HIDDEN}"),
    ];
    for bytes in honest {
        let last =
            bytes.replace("GET /health/ready HTTP/1.1\r\n", "GET /health/ready HTTP/1.1\r\nConnection: close\r\n");
        let answer = exchange(app.address, last.as_bytes());
        assert!(answer.answers() == 2 && answer.closed, "{answer:?}");
        assert!(answer.text.contains("\"ready\""), "{answer:?}");
    }
}

#[tokio::test]
async fn q1_a_body_that_nobody_asked_for_is_no_request() {
    let app = TestApp::start().await;
    let length = HIDDEN.len();
    let unread = [
        format!("GET /health/live HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{HIDDEN}"),
        format!("GET /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{HIDDEN}"),
        format!("PUT /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{HIDDEN}"),
        format!("GET /api/users HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{HIDDEN}"),
        format!(
            "POST /api/auth/logout HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{HIDDEN}\r\n0\r\n\r\n"
        ),
    ];
    for bytes in unread {
        let with_end = format!("{bytes}GET /problems/not_found HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = exchange(app.address, with_end.as_bytes());
        assert!(!answer.text.contains("\"ready\""), "the body was taken for a request: {answer:?}");
        assert!(answer.closed && (1..=2).contains(&answer.answers()), "{answer:?}");
    }
}

#[tokio::test]
async fn q3_headers_that_never_end_are_408_and_the_end_of_the_connection() {
    use std::io::Write as _;
    let app = TestApp::start().await;
    let mut stream = std::net::TcpStream::connect(app.address).unwrap();
    stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-A: ").unwrap();
    let answer = crate::harness::read_to_end(&mut stream, std::time::Duration::from_secs(30));
    assert!(answer.closed && answer.status() == Some(408), "{answer:?}");
}

#[tokio::test]
async fn q9_requests_that_do_not_wait_for_answers_are_answered_when_they_are_few_and_end_the_connection_when_not() {
    let app = TestApp::start().await;
    let (all, last) = ("GET /health/live HTTP/1.1\nHost:a\n\n", "GET / HTTP/1.1\nHost:a\nConnection:close\n\n");
    let few = exchange(app.address, [&all.repeat(8), last].concat().as_bytes());
    assert!(few.answers() == 9 && few.closed, "{few:?}");
    // The second ones are hidden behind what looks like the body of a request that there is not.
    let hidden = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n \r\nGET / HTTP/1.1\r\n\
                  Content-Length: 18446744073709551615\r\n\r\n";
    for begin in ["", hidden] {
        let many = exchange(app.address, [begin, &all.repeat(4_000)].concat().as_bytes());
        assert!(many.answers() <= 10 && many.closed, "{} answers", many.answers());
    }
    app.get("/health/live").await.expect_status(200);
}

#[tokio::test]
async fn q10_too_many_or_too_large_headers_and_addresses_are_refused() {
    let app = TestApp::start().await;
    let headers = |number: usize, size: usize| {
        (0..number).map(|at| format!("X-{at}: {}\r\n", "a".repeat(size))).collect::<String>()
    };
    let requests = [
        ("150 headers", format!("{GET}Host: x\r\n{}\r\n", headers(150, 1))),
        ("a header of 150 KB", format!("{GET}Host: x\r\n{}\r\n", headers(1, 150_000))),
        ("an address of 70 KB", format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(70_000))),
    ];
    for (what, request) in requests {
        let answer = exchange(app.address, request.as_bytes());
        assert!(matches!(answer.status(), Some(400 | 414 | 431)) && answer.closed, "{what}: {answer:?}");
    }
    let address = format!("GET /{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "a".repeat(8_000));
    let answer = exchange(app.address, address.as_bytes());
    assert!(matches!(answer.status(), Some(404 | 414)), "{answer:?}");
}
