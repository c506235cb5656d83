//! Clients that are slow, silent or many: none of them keeps others waiting, and none has a connection for ever.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use reqwest::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::authorization::TABLE;
use crate::harness::TestApp;

/// How often a slow client sends something.
const BETWEEN: Duration = Duration::from_millis(500);
/// The longest that a client may be slow for: a body's ten seconds, an answer, and five for what should come after it.
const AT_MOST: Duration = Duration::from_secs(25);

/// What became of a slow client.
#[derive(Debug)]
struct Dripped {
    answer: String,
    lasted: Duration,
}

impl Dripped {
    fn status(&self) -> Option<u16> {
        self.answer.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
    }
}

/// Another loopback address for each number, so that they are not all one client.
async fn connect_as(number: usize, server: SocketAddr) -> TcpStream {
    let source = SocketAddr::from(([127, 0, 1, u8::try_from(number % 250 + 1).unwrap()], 0));
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(source).unwrap();
    socket.connect(server).await.unwrap()
}

/// Sends this, and then so much every half second until the server ends the connection.
async fn drip(mut stream: TcpStream, head: String, drop: &'static str) -> Dripped {
    let began = Instant::now();
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    // The server may have closed already: reading shows that.
    let _ = stream.write_all(head.as_bytes()).await;
    loop {
        match timeout(BETWEEN, stream.read(&mut buffer)).await {
            Ok(Ok(read)) if read > 0 => answer.extend_from_slice(&buffer[..read]),
            Ok(_) => break,
            Err(_) => {
                assert!(began.elapsed() < AT_MOST, "still open: {head:?} {}", String::from_utf8_lossy(&answer));
                let _ = stream.write_all(drop.as_bytes()).await;
            }
        }
    }
    Dripped { answer: String::from_utf8_lossy(&answer).into_owned(), lasted: began.elapsed() }
}

#[tokio::test]
async fn q2_no_route_lets_anybody_drip_a_body_for_long() {
    let app = TestApp::start().await;
    let console = app.console("root").await;
    // Somebody else's token, since some of these end all sessions of whoever asks.
    let (admin, bystander) = (app.admin("other").await, app.user("saif").await);
    let cookies = format!("Cookie: relatch={}\r\n", console.cookie("relatch").unwrap());
    let bearer = format!("Authorization: Bearer {}\r\n", admin.access_token);
    let mut clients = JoinSet::new();
    for (number, (method, path, _)) in TABLE.iter().enumerate() {
        let path = path.replace("{id}", &bystander.id.to_string()).replace("{sid}", &bystander.session_id);
        let path = path.replace("{code}", "not_found").replace("{file:.*}", "nothing.css");
        let kind = if path.starts_with("/api") { "application/json" } else { "application/x-www-form-urlencoded" };
        let who = if path.starts_with("/admin") { &cookies } else { &bearer };
        for (length, drop) in [("Content-Length: 1000", "x"), ("Transfer-Encoding: chunked", "1\r\nx\r\n")] {
            for who in ["", who] {
                let head =
                    format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n{who}{length}\r\n\r\n");
                let stream = connect_as(number, app.address).await;
                clients.spawn(drip(stream, head, drop));
            }
        }
    }
    let mut late = 0;
    for client in clients.join_all().await {
        let status = client.status().unwrap_or_else(|| panic!("no answer: {client:?}"));
        assert!(status < 500, "{client:?}");
        late += usize::from(status == 408);
    }
    // What shows that bodies were waited for where a route reads one.
    assert!(late > 60, "only {late} were told that they are late");
    app.get("/health/live").await.expect_status(200);
}

#[tokio::test]
async fn q3_headers_that_are_dripped_after_an_answer_end_the_connection() {
    let app = TestApp::start().await;
    let first = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n".to_owned();
    let second = format!("{first}GET /health/ready HTTP/1.1\r\nHost: x\r\nX-A: ");
    // Nothing more comes of these. They take what room there is for headers.
    let long = format!("{second}{}", "a".repeat(125_000));
    let all = [(first, "G"), (second.clone(), "G"), (second, ""), (long, "")];
    let mut clients = JoinSet::new();
    for (number, (head, drop)) in all.into_iter().enumerate() {
        clients.spawn(drip(connect_as(number, app.address).await, head, drop));
    }
    for client in clients.join_all().await {
        assert_eq!(client.answer.matches("HTTP/1.1 200").count(), 1, "{client:?}");
        assert!((5..15).contains(&client.lasted.as_secs()), "{client:?}");
    }
}

#[tokio::test]
async fn q3_q9_the_listener_of_metrics_has_the_same_deadlines_and_shares() {
    let app = TestApp::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, serving) = (listener.local_addr().unwrap(), app.app.clone());
    // It ends with the test.
    std::thread::spawn(move || actix_web::rt::System::new().block_on(serving.listen_for_metrics(listener).unwrap()));
    let first = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    let begun = format!("{first}GET /metrics HTTP/1.1\r\nHost: x\r\nX-A: ");
    let dripping = tokio::spawn(drip(connect_as(1, address).await, begun, ""));
    let mut held = Vec::new();
    for _ in 0..30 {
        let mut stream = connect_as(0, address).await;
        let mut answer = [0; 12];
        if stream.write_all(first.as_bytes()).await.is_ok() && stream.read_exact(&mut answer).await.is_ok() {
            assert_eq!(&answer, b"HTTP/1.1 200");
            held.push(stream);
        }
    }
    assert_eq!(held.len(), 16);
    let dripped = dripping.await.unwrap();
    assert_eq!(dripped.answer.matches("HTTP/1.1 200").count(), 1, "{dripped:?}");
    assert!((5..15).contains(&dripped.lasted.as_secs()), "{dripped:?}");
}

#[tokio::test]
async fn q2_q3_while_hundreds_drip_everybody_else_is_served_and_then_all_of_them_are_gone() {
    const EACH: usize = 300;
    let app = TestApp::with(&[("METRICS_ADDR", "")]).await;
    let person = app.user("saif").await;
    let mut clients = JoinSet::new();
    for number in 0..EACH {
        let body = "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                    Content-Length: 1000\r\n\r\n{"
            .to_owned();
        clients.spawn(drip(connect_as(number, app.address).await, body, " "));
        let headers = "GET /health/live HTTP/1.1\r\nHost: x\r\nX-A: ".to_owned();
        clients.spawn(drip(connect_as(number, app.address).await, headers, "a"));
    }
    let began = Instant::now();
    let mut token = person.refresh_token.clone();
    let mut times = Vec::new();
    while began.elapsed() < Duration::from_secs(3) {
        let asked = Instant::now();
        app.get("/health/live").await.expect_status(200);
        token = app.refresh(&token).await.expect_status(200).text_at("refreshToken");
        times.push(asked.elapsed());
        // A session may be refreshed once a second; the window of grace is not for this.
        app.advance(Duration::from_secs(2));
    }
    times.sort_unstable();
    let median = times[times.len() / 2];
    assert!(median < Duration::from_millis(200), "half of the others waited for {median:?} or longer");
    for client in clients.join_all().await {
        assert_eq!(client.status(), Some(408), "{client:?}");
        assert!(client.lasted < Duration::from_secs(20), "{client:?}");
    }
}

#[tokio::test]
async fn q2_a_large_document_arrives_whole_at_a_client_that_takes_little_at_a_time() {
    const PATH: &str = "/docs/swagger-ui-bundle.js";
    let app = TestApp::start().await;
    let whole = app.request(Method::GET, PATH).send().await.unwrap().bytes().await.unwrap();
    assert!(whole.len() > 256 * 1024, "{} bytes", whole.len());

    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(app.address).await.unwrap();
    let request = format!("GET {PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 512];
    loop {
        match stream.read(&mut buffer).await.unwrap() {
            0 => break,
            read => answer.extend_from_slice(&buffer[..read]),
        }
    }
    assert!(answer.ends_with(&whole), "{} bytes of {}", answer.len(), whole.len());
}

#[tokio::test]
async fn q9_an_address_gets_a_quarter_of_the_connections_and_the_others_get_the_rest() {
    let app = TestApp::with(&[("MAX_CONNECTIONS", "64")]).await;
    let mut held = Vec::new();
    for _ in 0..40 {
        let mut stream = connect_as(0, app.address).await;
        // Whoever has no place hears nothing, and is closed at once.
        let asked = stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let mut answer = [0; 12];
        let answered = match asked {
            Ok(()) => timeout(Duration::from_secs(5), stream.read_exact(&mut answer)).await.expect("an end"),
            Err(error) => Err(error),
        };
        if answered.is_ok() {
            assert_eq!(&answer, b"HTTP/1.1 200");
            held.push(stream);
        }
    }
    assert_eq!(held.len(), 16);
    app.get("/health/live").await.expect_status(200);
    // With a place given up there is room for one more, as soon as the server has noticed.
    held.clear();
    let began = Instant::now();
    loop {
        let mut stream = connect_as(0, app.address).await;
        let _ = stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        let mut answer = String::new();
        if stream.read_to_string(&mut answer).await.is_ok() && answer.starts_with("HTTP/1.1 200") {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "no place became free");
    }
}

#[tokio::test]
async fn q9_a_proxy_that_is_trusted_gets_as_many_as_there_are() {
    let app = TestApp::with(&[("MAX_CONNECTIONS", "64"), ("TRUSTED_PROXIES", "127.0.1.0/24")]).await;
    let mut held = Vec::new();
    for _ in 0..40 {
        let mut stream = connect_as(0, app.address).await;
        stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        held.push(stream);
    }
    app.get("/health/live").await.expect_status(200);
}
