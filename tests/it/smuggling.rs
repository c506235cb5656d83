//! Requests that two parsers could read in two ways: refused, and the connection closed, so that nothing rides along.

use crate::harness::{TestApp, exchange};

/// What must never be answered: a whole request hidden behind or within another.
const HIDDEN: &str = "GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n";
const POST: &str = "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
const GET: &str = "GET /health/live HTTP/1.1\r\n";

/// A name for each probe and its bytes.
fn probes() -> Vec<(&'static str, String)> {
    let length = HIDDEN.len();
    let chunk = format!("0\r\n\r\n{HIDDEN}");
    vec![
        (
            "a length, then an encoding",
            format!("{POST}Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"),
        ),
        (
            "an encoding, then a length",
            format!("{POST}Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n\r\n{chunk}"),
        ),
        ("the same length twice", format!("{POST}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{{}}{HIDDEN}")),
        ("two lengths", format!("{POST}Content-Length: 2\r\nContent-Length: {length}\r\n\r\n{{}}{HIDDEN}")),
        ("a length with a sign", format!("{POST}Content-Length: +2\r\n\r\n{{}}{HIDDEN}")),
        ("a negative length", format!("{POST}Content-Length: -1\r\n\r\n{{}}{HIDDEN}")),
        ("a hexadecimal length", format!("{POST}Content-Length: 0x2\r\n\r\n{{}}{HIDDEN}")),
        ("a list of lengths", format!("{POST}Content-Length: 2, 2\r\n\r\n{{}}{HIDDEN}")),
        ("a length that is no number", format!("{POST}Content-Length: two\r\n\r\n{{}}{HIDDEN}")),
        ("a length beyond 64 bits", format!("{POST}Content-Length: 99999999999999999999999\r\n\r\n{{}}{HIDDEN}")),
        ("an encoding that is almost chunked", format!("{POST}Transfer-Encoding: xchunked\r\n\r\n{chunk}")),
        ("chunked, then identity", format!("{POST}Transfer-Encoding: chunked, identity\r\n\r\n{chunk}")),
        ("gzip, then chunked", format!("{POST}Transfer-Encoding: gzip, chunked\r\n\r\n{chunk}")),
        ("two encodings", format!("{POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n{chunk}")),
        ("a blank before the colon", format!("{POST}Transfer-Encoding : chunked\r\n\r\n{chunk}")),
        ("a blank before the colon of a length", format!("{POST}Content-Length : 2\r\n\r\n{{}}{HIDDEN}")),
        (
            "an encoding in HTTP/1.0",
            format!("{}Transfer-Encoding: chunked\r\n\r\n{chunk}", POST.replace("/1.1", "/1.0")),
        ),
        ("a folded header", format!("{GET}Host: x\r\nX-A: b\r\n c\r\n\r\n{HIDDEN}")),
        ("a folded encoding", format!("{POST}Transfer-Encoding:\r\n chunked\r\n\r\n{chunk}")),
        ("a bare CR", format!("{GET}Host: x\r\nX-A: b\rX-B: c\r\n\r\n{HIDDEN}")),
        ("a NUL in a value", format!("{GET}Host: x\r\nX-A: b\0c\r\n\r\n{HIDDEN}")),
        ("a NUL in a name", format!("{GET}Host: x\r\nX\0A: b\r\n\r\n{HIDDEN}")),
        ("a header without a name", format!("{GET}Host: x\r\n: b\r\n\r\n{HIDDEN}")),
        ("a header without a colon", format!("{GET}Host: x\r\nnonsense\r\n\r\n{HIDDEN}")),
        ("no host", format!("{GET}\r\n{HIDDEN}")),
        ("two hosts", format!("{GET}Host: x\r\nHost: y\r\n\r\n{HIDDEN}")),
        ("a method that is none", format!("G<T /health/live HTTP/1.1\r\nHost: x\r\n\r\n{HIDDEN}")),
        ("a version that is none", format!("GET /health/live HTTP/2.0\r\nHost: x\r\n\r\n{HIDDEN}")),
        ("another protocol", format!("GET /health/live FOO/1.1\r\nHost: x\r\n\r\n{HIDDEN}")),
        ("three words too many", format!("GET /health/live a HTTP/1.1\r\nHost: x\r\n\r\n{HIDDEN}")),
        (
            "a chunk size that overflows",
            format!("{POST}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{{}}\r\n{chunk}"),
        ),
        ("a chunk size that is no number", format!("{POST}Transfer-Encoding: chunked\r\n\r\nxyz\r\n{{}}\r\n{chunk}")),
        ("a chunk longer than it says", format!("{POST}Transfer-Encoding: chunked\r\n\r\n1\r\n{{}}\r\n{chunk}")),
    ]
}

#[tokio::test]
async fn q1_a_request_that_can_be_read_in_two_ways_is_400_and_the_end_of_the_connection() {
    let app = TestApp::start().await;
    for (what, bytes) in probes() {
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
