//! Where requests begin and end among a connection's bytes, as the library will find them: how many of them have come, and
//! whether another has begun. No byte is held back or changed for it, and nobody else goes by it.
//!
//! It reads what clients write; what is no request, the library refuses. Where the library might read another one, it is
//! lost, and says so.

/// What is kept of a line, in bytes. Of headers that is enough but for those that say how long a body is.
const KEPT: usize = 256;

/// Reads along (RFC 9112 §2.2, §6.3, §7.1).
#[derive(Default)]
pub(super) struct Framing {
    part: Part,
    /// The beginning of the line that has not ended yet, and whether there is more of it.
    line: Vec<u8>,
    is_cut: bool,
    /// The length of the headers that have not ended yet, in bytes.
    begun: usize,
    /// What these say of their body.
    body: Body,
    requests: u64,
    is_lost: bool,
}

#[derive(Clone, Copy, Default)]
enum Part {
    #[default]
    Headers,
    /// So many bytes of a body are still to come.
    Body(u64),
    ChunkSize,
    /// A chunk with the end of its line, of which so many bytes are still to come.
    Chunk(u64),
    Trailer,
}

#[derive(Clone, Copy, Default)]
enum Body {
    #[default]
    None,
    Length(u64),
    Chunked,
}

impl Framing {
    /// How many requests have come, each with all of its headers.
    pub(super) fn requests(&self) -> u64 {
        self.requests
    }

    /// How many bytes of the headers of another have come.
    pub(super) fn begun(&self) -> usize {
        self.begun
    }

    /// Whether what has come is whole requests and nothing else.
    pub(super) fn is_between_requests(&self) -> bool {
        matches!(self.part, Part::Headers) && self.begun == 0
    }

    /// Whether nobody can say any more how many requests have come.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Reads on.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.is_lost {
            bytes = match self.part {
                Part::Body(left) => self.skip(bytes, left, Part::Body, Part::Headers),
                Part::Chunk(left) => self.skip(bytes, left, Part::Chunk, Part::ChunkSize),
                Part::Headers | Part::ChunkSize | Part::Trailer => self.read_line(bytes),
            };
        }
    }

    fn skip<'a>(&mut self, bytes: &'a [u8], left: u64, same: fn(u64) -> Part, next: Part) -> &'a [u8] {
        let count = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let left = left - count as u64;
        self.part = if left == 0 { next } else { same(left) };
        bytes.get(count..).unwrap_or_default()
    }

    fn read_line<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (piece, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
        let (kept, more) = piece.split_at(piece.len().min(KEPT.saturating_sub(self.line.len())));
        self.line.extend_from_slice(kept);
        self.is_cut |= !more.is_empty();
        if let Part::Headers = self.part {
            self.begun += piece.len();
        }
        if end.is_some() {
            let line = std::mem::take(&mut self.line);
            match self.after(&line) {
                Some(part) => self.part = part,
                None => self.is_lost = true,
            }
            // Its room is used again.
            self.line = line;
            self.line.clear();
            self.is_cut = false;
        }
        rest
    }

    /// What comes behind a line; `None` where that cannot be said.
    fn after(&mut self, line: &[u8]) -> Option<Part> {
        match self.part {
            Part::Headers if matches!(line, b"\n" | b"\r\n") => Some(self.end_headers()),
            Part::Headers => self.read_header(line),
            Part::Trailer if line == b"\r\n" => Some(Part::Headers),
            Part::Trailer if line.ends_with(b"\r\n") && !line.trim_ascii().is_empty() && !self.is_cut => {
                Some(Part::Trailer)
            }
            Part::ChunkSize if !self.is_cut => {
                let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
                let digits = std::str::from_utf8(digits).unwrap_or_default();
                // What is no size is refused by the library, and the end of the connection.
                let size = u64::from_str_radix(digits, 16).unwrap_or_default();
                Some(if size == 0 { Part::Trailer } else { Part::Chunk(size.saturating_add(2)) })
            }
            _ => None,
        }
    }

    fn read_header(&mut self, line: &[u8]) -> Option<Part> {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        let is_encoding = name.eq_ignore_ascii_case(b"transfer-encoding");
        if !is_encoding && !name.eq_ignore_ascii_case(b"content-length") {
            return Some(Part::Headers);
        }
        if self.is_cut {
            return None;
        }
        let value = std::str::from_utf8(line.get(name.len() + 1..).unwrap_or_default()).unwrap_or_default().trim();
        if is_encoding && value.eq_ignore_ascii_case("chunked") {
            self.body = Body::Chunked;
        } else if !is_encoding && !matches!(self.body, Body::Chunked) {
            // What is no length is refused by the library, and the end of the connection.
            self.body = Body::Length(value.parse().unwrap_or_default());
        }
        Some(Part::Headers)
    }

    fn end_headers(&mut self) -> Part {
        // Empty lines in front of a request are none of it.
        let is_request = self.begun > 2;
        self.begun = 0;
        if !is_request {
            return Part::Headers;
        }
        self.requests += 1;
        match std::mem::take(&mut self.body) {
            Body::Chunked => Part::ChunkSize,
            Body::Length(length) if length > 0 => Part::Body(length),
            Body::Length(_) | Body::None => Part::Headers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many requests there are, and how long what has begun is, however the bytes are cut.
    fn read(bytes: &[u8]) -> (u64, usize) {
        let mut whole = Framing::default();
        whole.feed(bytes);
        for size in [1, 2, 7, 100] {
            let mut cut = Framing::default();
            bytes.chunks(size).for_each(|piece| cut.feed(piece));
            assert_eq!((cut.requests, cut.begun), (whole.requests, whole.begun), "in pieces of {size}");
            assert_eq!(cut.is_lost, whole.is_lost, "in pieces of {size}");
        }
        assert!(!whole.is_lost);
        (whole.requests, whole.begun)
    }

    #[test]
    fn q3_requests_are_told_apart_as_the_library_does() {
        let blank = "\r\n\r\n".repeat(9);
        let post = "POST /a HTTP/1.1\r\nHost: x\r\n";
        let long = format!("{post}X-A: {}\r\n\r\n", "a".repeat(5_000));
        for (text, requests, begun) in [
            (String::new(), 0, 0),
            ("G".to_owned(), 0, 1),
            ("\r\n\r\n".to_owned(), 0, 0),
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 1, 0),
            ("GET / HTTP/1.1\nHost: x\n\nGET".to_owned(), 1, 3),
            (format!("{post}Content-Length: 36\r\n\r\n{blank}"), 1, 0),
            (format!("{post}content-length:  36 \r\n\r\n{blank}{post}"), 1, post.len()),
            (format!("{post}Content-Length: 0\r\n\r\n{long}"), 2, 0),
            (format!("{post}Transfer-Encoding: chunked\r\n\r\n24;a=b\r\n{blank}\r\n0\r\n\r\nG"), 1, 1),
            (format!("{post}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\n\r\n"), 1, 0),
            (format!("{post}Transfer-Encoding: chunked\r\n\r\n3\r\nx"), 1, 0),
            (format!("{post}Transfer-Encoding: identity\r\n\r\n{post}\r\n"), 2, 0),
            ("GET / HTTP/1.1\nHost:a\n\n".repeat(100), 100, 0),
        ] {
            assert_eq!(read(text.as_bytes()), (requests, begun), "{text:?}");
        }
    }

    #[test]
    fn q9_where_the_library_may_read_something_else_it_is_lost() {
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let blanks = " ".repeat(300);
        for text in [
            format!("{chunked}0\r\n \r\n"),
            format!("{chunked}0\r\na\n"),
            format!("{chunked}0\r\n\n"),
            format!("{chunked}0\r\na: {blanks}\r\n"),
            format!("{chunked}{}1\r\n", "0".repeat(300)),
            format!("{chunked}1;{blanks}\r\n"),
            format!("POST / HTTP/1.1\r\nContent-Length:{blanks}5\r\n"),
            format!("POST / HTTP/1.1\r\nTransfer-Encoding:{blanks}chunked\r\n"),
        ] {
            for size in [1, 7, 1_000] {
                let mut framing = Framing::default();
                text.as_bytes().chunks(size).for_each(|piece| framing.feed(piece));
                assert!(framing.is_lost, "{text:?}");
            }
        }
    }
}
