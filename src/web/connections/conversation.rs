//! Whose turn it is on a connection: the client's, who sends headers or nothing, or ours, with a request under way.

use std::cell::Cell;
use std::rc::Rc;

use actix_web::dev::RequestHead;
use actix_web::http::header;
use tokio::time::Instant;

/// What a body in chunks is taken for, since its length is known to the library alone: as long as bodies may be.
const CHUNKED: usize = 16 * 1024;

/// What a connection and the requests on it know of each other. All of it lives on one thread.
#[derive(Clone)]
pub(in crate::web) struct Conversation(Rc<State>);

struct State {
    phase: Cell<Phase>,
    /// How many bytes have come that belong to no request so far.
    ahead: Cell<usize>,
}

/// Where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// The client has sent nothing since the last answer.
    Idle(Instant),
    /// It has begun to send, and no request has come of it yet.
    Sending(Instant),
    /// A request is being answered. Its own deadlines count.
    Answering,
}

impl Conversation {
    /// Of a connection that was there at this time, from which something is expected at once.
    pub(super) fn begun(at: Instant) -> Self {
        Self(Rc::new(State { phase: Cell::new(Phase::Sending(at)), ahead: Cell::new(0) }))
    }

    pub(super) fn phase(&self) -> Phase {
        self.0.phase.get()
    }

    /// So many bytes have come.
    pub(super) fn note_bytes(&self, count: usize) {
        self.0.ahead.set(self.0.ahead.get() + count);
        if let Phase::Idle(_) = self.phase() {
            self.0.phase.set(Phase::Sending(Instant::now()));
        }
    }

    /// A request has come, whole but for its body.
    pub(in crate::web) fn begin_turn(&self, head: &RequestHead) -> Turn {
        self.0.phase.set(Phase::Answering);
        Turn { conversation: self.clone(), length: length(head) }
    }
}

/// Our turn, until this is dropped.
pub(in crate::web) struct Turn {
    conversation: Conversation,
    /// Of the request, in bytes.
    length: usize,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let State { phase, ahead } = &*self.conversation.0;
        ahead.set(ahead.get().saturating_sub(self.length));
        let now = Instant::now();
        phase.set(if ahead.get() == 0 { Phase::Idle(now) } else { Phase::Sending(now) });
    }
}

/// How many bytes a request takes, as everybody writes it. Whoever adds spaces to it may not rest between requests, and
/// whoever leaves out what may be left out hides two bytes in a line.
fn length(head: &RequestHead) -> usize {
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let first_line = head.method.as_str().len() + target + "  HTTP/1.1\r\n".len();
    let line = |(name, value): (&header::HeaderName, &header::HeaderValue)| name.as_str().len() + value.len() + 4;
    let lines: usize = head.headers.iter().map(line).sum();
    let body = match head.headers.get(header::CONTENT_LENGTH) {
        _ if head.headers.contains_key(header::TRANSFER_ENCODING) => CHUNKED,
        Some(length) => length.to_str().ok().and_then(|length| length.trim().parse().ok()).unwrap_or_default(),
        None => 0,
    };
    first_line.saturating_add(lines + "\r\n".len()).saturating_add(body)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn q3_what_comes_after_an_answer_has_a_time_of_its_own() {
        let conversation = Conversation::begun(Instant::now());
        assert!(matches!(conversation.phase(), Phase::Sending(_)));
        let turn = conversation.begin_turn(TestRequest::get().to_srv_request().head());
        assert_eq!(conversation.phase(), Phase::Answering);
        drop(turn);
        assert!(matches!(conversation.phase(), Phase::Idle(_)));
        conversation.note_bytes(1);
        let began = conversation.phase();
        assert!(matches!(began, Phase::Sending(_)));
        // More bytes give no more time.
        conversation.note_bytes(1);
        assert_eq!(conversation.phase(), began);
    }

    #[test]
    fn q3_what_comes_behind_a_request_has_begun_when_the_answer_is_there() {
        let conversation = Conversation::begun(Instant::now());
        let request =
            TestRequest::post().uri("/a?b").insert_header(("host", "x")).insert_header(("content-length", "3"));
        let request = request.to_srv_request();
        let bytes = b"POST /a?b HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n123";
        // The body comes while the request is answered.
        conversation.note_bytes(bytes.len() - 3);
        let turn = conversation.begin_turn(request.head());
        conversation.note_bytes(3);
        drop(turn);
        assert!(matches!(conversation.phase(), Phase::Idle(_)));
        // A request and the first byte of another.
        conversation.note_bytes(bytes.len() + 1);
        drop(conversation.begin_turn(request.head()));
        assert!(matches!(conversation.phase(), Phase::Sending(_)));
        // Which is counted once.
        conversation.note_bytes(bytes.len() - 1);
        drop(conversation.begin_turn(request.head()));
        assert!(matches!(conversation.phase(), Phase::Idle(_)));
    }
}
