//! A new connection before its first request: it costs next to nothing until the headers are there.
//!
//! The HTTP library keeps 16 KiB for each of its connections. Whoever drips headers does not get as far.

use std::io;

use actix_server::GracefulShutdownSignal;
use actix_web::rt::net::TcpStream;
use tokio::time::timeout;

use super::HEADERS;

/// How many bytes of headers are waited for here; the library has limits for longer ones.
const SHORT: usize = 2 * 1024;
const STEP: usize = 256;
const TOO_LATE: &[u8] = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Reads until there is something for the library to look at: whole headers, very long ones, or what can be none.
///
/// # Errors
/// When nothing such comes in time, which the client is told, or when the server stops.
pub(super) async fn first_bytes(socket: &TcpStream, shutdown: &GracefulShutdownSignal) -> io::Result<Vec<u8>> {
    tokio::select! {
        read = timeout(HEADERS, read(socket)) => read.unwrap_or_else(|_| {
            // Into an empty buffer of the kernel. A client that is gone does not need it.
            let _ = socket.try_write(TOO_LATE);
            Err(io::ErrorKind::TimedOut.into())
        }),
        () = shutdown.notified() => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

async fn read(socket: &TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        socket.readable().await?;
        bytes.reserve(STEP);
        match socket.try_read_buf(&mut bytes) {
            Ok(0) => return Ok(bytes),
            Ok(_) if is_enough(&bytes) => return Ok(bytes),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether waiting for more would be of no use. Lines may end without a CR, as the library takes them.
fn is_enough(bytes: &[u8]) -> bool {
    // Empty lines before a request are skipped (RFC 9112 §2.2).
    let begin = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
    let request = bytes.get(begin..).unwrap_or_default();
    let has_end = request.windows(2).any(|two| two == b"\n\n") || request.windows(3).any(|three| three == b"\n\r\n");
    // A request begins with the name of a method.
    let may_be_one = request.first().is_none_or(|first| first.is_ascii_graphic());
    has_end || !may_be_one || bytes.len() >= SHORT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q3_whole_headers_are_enough_and_so_is_what_can_be_none() {
        for enough in [
            &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
            b"GET / HTTP/1.1\n\n",
            b"\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01",
            b"\r\n GET",
        ] {
            assert!(is_enough(enough), "{enough:?}");
        }
        for more in [
            &b""[..],
            b"G",
            b"\r\n",
            b"\n\n",
            b"\r\n\r\nGET / HTTP/1.1\r\n",
            b"GET / HTTP/1.1\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\n",
            b"PRI * HTTP/2.0\r\n",
        ] {
            assert!(!is_enough(more), "{more:?}");
        }
        assert!(is_enough(&[b'a'; SHORT]) && is_enough(&[b'\n'; SHORT]));
    }
}
