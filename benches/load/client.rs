//! An HTTP/1.1 connection that does as little as it can, so that the server is what is measured.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Failed;

/// No answer of the server is longer than this.
const LONGEST: usize = 256 * 1024;

/// A connection that is kept open.
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// What came back. The body is borrowed from the connection.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

impl Connection {
    pub(crate) async fn open(address: &str) -> Result<Self, Failed> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(4096) })
    }

    /// Sends a whole request and reads the whole answer to it.
    pub(crate) async fn call(&mut self, request: &[u8]) -> Result<Answer<'_>, Failed> {
        self.stream.write_all(request).await?;
        self.received.clear();
        let head = loop {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err("the server closed the connection".into());
            }
            if let Some(end) = find(&self.received, b"\r\n\r\n") {
                break end;
            }
            if self.received.len() > LONGEST {
                return Err("an answer has no end of its headers".into());
            }
        };
        let (status, length) = {
            let headers = self.received.get(..head).unwrap_or_default();
            let status = headers.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default();
            (status.parse()?, content_length(headers))
        };
        let start = head + 4;
        while self.received.len() < start + length {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err("the server closed the connection within an answer".into());
            }
        }
        Ok(Answer { status, body: self.received.get(start..start + length).unwrap_or_default() })
    }
}

/// A request without a body.
pub(crate) fn get(path: &str, token: Option<&str>) -> Vec<u8> {
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!("GET {path} HTTP/1.1\r\nHost: load\r\nUser-Agent: load\r\n{authorization}\r\n").into_bytes()
}

/// A request with a JSON body.
pub(crate) fn post(path: &str, body: &str) -> Vec<u8> {
    with_body("POST", path, "", body)
}

/// The same, by way of a proxy that has it from this address.
pub(crate) fn post_from(address: std::net::Ipv4Addr, path: &str, body: &str) -> Vec<u8> {
    with_body("POST", path, &format!("X-Forwarded-For: {address}\r\n"), body)
}

/// The same of a user.
pub(crate) fn post_as(token: &str, path: &str, body: &str) -> Vec<u8> {
    with_body("POST", path, &format!("Authorization: Bearer {token}\r\n"), body)
}

/// A change of something, of a user.
pub(crate) fn patch_as(token: &str, path: &str, body: &str) -> Vec<u8> {
    with_body("PATCH", path, &format!("Authorization: Bearer {token}\r\n"), body)
}

fn with_body(method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: load\r\nUser-Agent: load\r\nContent-Type: application/json\r\n\
         {headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The text of a JSON member whose value needs no unescaping, such as a token.
pub(crate) fn text_member<'a>(body: &'a [u8], name: &str) -> Option<&'a str> {
    let body = std::str::from_utf8(body).ok()?;
    let (_, rest) = body.split_once(&format!("\"{name}\":\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn content_length(headers: &[u8]) -> usize {
    const NAME: &[u8] = b"content-length:";
    headers
        .split(|byte| *byte == b'\n')
        .find_map(|line| {
            let (name, value) = line.split_at_checked(NAME.len())?;
            name.eq_ignore_ascii_case(NAME).then(|| std::str::from_utf8(value).ok()?.trim().parse().ok())?
        })
        .unwrap_or_default()
}
