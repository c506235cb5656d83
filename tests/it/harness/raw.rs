//! Bytes on a socket, for requests that no client library would send.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What came back on a socket.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub text: String,
    /// Whether the server ended the connection, and not the test's patience.
    pub closed: bool,
    /// Whether it did so by a reset, by which an answer on its way may be lost.
    pub reset: bool,
}

impl Exchange {
    /// The status of the first answer; `None` when none came.
    pub fn status(&self) -> Option<u16> {
        self.text.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
    }

    /// How many answers came.
    pub fn answers(&self) -> usize {
        self.text.matches("HTTP/1.1 ").count()
    }

    /// What follows the headers of the first answer.
    pub fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").unwrap_or_default().1
    }
}

/// Sends bytes and reads until the server closes or says nothing for two seconds.
pub fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    exchange(address, bytes).text
}

/// The same, and says whether the server closed. It may close before all was sent.
pub fn exchange(address: SocketAddr, bytes: &[u8]) -> Exchange {
    let mut stream = TcpStream::connect(address).unwrap();
    let _ = stream.write_all(bytes);
    read_to_end(&mut stream, Duration::from_secs(2))
}

/// Reads until the server closes or says nothing for this long.
pub fn read_to_end(stream: &mut TcpStream, patience: Duration) -> Exchange {
    stream.set_read_timeout(Some(patience)).unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    let (closed, reset) = loop {
        match stream.read(&mut buffer) {
            Ok(0) => break (true, false),
            Ok(read) => answer.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break (false, false),
            Err(_) => break (true, true),
        }
    };
    Exchange { text: String::from_utf8_lossy(&answer).into_owned(), closed, reset }
}
