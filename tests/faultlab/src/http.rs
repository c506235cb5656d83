//! A blocking HTTP/1.1 client that tells apart what a fault can do to a request: not sent, answered, or nobody knows.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long an answer may take before the client gives up. Longer than any answer is allowed to take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(7);
const CONNECT: Duration = Duration::from_secs(2);
/// No answer of the service is nearly as long.
const LONGEST: usize = 1 << 20;

/// One connection to one server, opened when needed.
#[derive(Default)]
pub(crate) struct Client {
    connection: Option<(SocketAddr, TcpStream)>,
    /// Opens a new connection for each request.
    one_shot: bool,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) is_problem: bool,
    /// It says when to try again.
    pub(crate) says_when: bool,
    pub(crate) body: Value,
}

pub(crate) enum Sent {
    /// No connection: the server cannot have seen it.
    Not,
    Answered(Answer),
    /// The connection broke or nothing came: it may have happened.
    Unknown(&'static str),
}

pub(crate) struct Request<'a> {
    pub(crate) method: &'static str,
    pub(crate) path: &'a str,
    pub(crate) bearer: Option<&'a str>,
    pub(crate) body: Option<&'a Value>,
}

impl Client {
    pub(crate) fn new(one_shot: bool) -> Self {
        Self { connection: None, one_shot }
    }

    pub(crate) fn send(&mut self, server: SocketAddr, request: &Request<'_>) -> Sent {
        let mut stream = match self.connection.take() {
            Some((address, stream)) if address == server && !is_closed(&stream) => stream,
            _ => match TcpStream::connect_timeout(&server, CONNECT) {
                Ok(stream) => stream,
                Err(_) => return Sent::Not,
            },
        };
        // Small requests must not wait for acknowledgements of the ones before.
        if stream.set_nodelay(true).is_err() {
            return Sent::Not;
        }
        let body = request.body.map(Value::to_string).unwrap_or_default();
        let mut head =
            format!("{} {} HTTP/1.1\r\nHost: lab\r\nContent-Length: {}\r\n", request.method, request.path, body.len());
        if request.body.is_some() {
            head.push_str("Content-Type: application/json\r\n");
        }
        if let Some(token) = request.bearer {
            head.push_str(&format!("Authorization: Bearer {token}\r\n"));
        }
        if self.one_shot {
            head.push_str("Connection: close\r\n");
        }
        head.push_str("\r\n");
        head.push_str(&body);
        if stream.write_all(head.as_bytes()).is_err() {
            return Sent::Unknown("the connection broke while sending");
        }
        match receive(&mut stream) {
            Ok((answer, keeps)) => {
                if keeps && !self.one_shot {
                    self.connection = Some((server, stream));
                }
                Sent::Answered(answer)
            }
            Err(why) => Sent::Unknown(why),
        }
    }
}

/// Whether the server has closed an idle connection: sending on it would be in vain.
fn is_closed(stream: &TcpStream) -> bool {
    let mut byte = [0];
    if stream.set_nonblocking(true).is_err() {
        return true;
    }
    let open = matches!(stream.peek(&mut byte), Err(error) if error.kind() == ErrorKind::WouldBlock);
    stream.set_nonblocking(false).is_err() || !open
}

fn receive(stream: &mut TcpStream) -> Result<(Answer, bool), &'static str> {
    let deadline = Instant::now() + TIMEOUT;
    let mut received = Vec::with_capacity(2048);
    let mut more = |received: &mut Vec<u8>| {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return Err("no answer in time");
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(0) => Err("the connection was closed before the answer was whole"),
            Ok(length) => {
                received.extend_from_slice(&buffer[..length]);
                if received.len() > LONGEST { Err("the answer does not end") } else { Ok(()) }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err("no answer in time")
            }
            Err(_) => Err("the connection was reset before the answer was whole"),
        }
    };
    let end = loop {
        if let Some(at) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        more(&mut received)?;
    };
    let head = String::from_utf8_lossy(&received[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status: u16 =
        lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|word| word.parse().ok()).ok_or("no status")?;
    let headers: Vec<(String, &str)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
        .collect();
    let header = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
    let length: usize = header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    while received.len() < end + 4 + length {
        more(&mut received)?;
    }
    let body = serde_json::from_slice(&received[end + 4..end + 4 + length]).unwrap_or(Value::Null);
    let is_problem = header("content-type").is_some_and(|kind| kind.starts_with("application/problem+json"));
    let says_when = header("retry-after").is_some_and(|value| value.parse::<u32>().is_ok());
    let keeps = !header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    Ok((Answer { status, is_problem, says_when, body }, keeps))
}
