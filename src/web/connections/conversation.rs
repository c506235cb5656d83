//! Whose turn it is on a connection: the client's, who sends headers or nothing, or ours, with a request under way.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::time::Instant;

use super::framing::Framing;

/// How many requests may wait for the one under way. The library takes some 7 KB for each, however short it is.
const REQUESTS_AHEAD: u64 = 8;
/// How many bytes of the headers of another may wait besides.
const BYTES_AHEAD: usize = 16 * 1024;

/// What a connection and the requests on it know of each other. All of it lives on one thread.
#[derive(Clone)]
pub(in crate::web) struct Conversation(Rc<State>);

struct State {
    phase: Cell<Phase>,
    framing: RefCell<Framing>,
    /// How many requests have had, or have, their turn.
    turns: Cell<u64>,
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
        let phase = Cell::new(Phase::Sending(at));
        Self(Rc::new(State { phase, framing: RefCell::default(), turns: Cell::new(0) }))
    }

    pub(super) fn phase(&self) -> Phase {
        self.0.phase.get()
    }

    /// These bytes have come.
    pub(super) fn note_bytes(&self, bytes: &[u8]) {
        self.0.framing.borrow_mut().feed(bytes);
        let phase = match self.phase() {
            Phase::Idle(_) if !self.is_silent() => Phase::Sending(Instant::now()),
            // The rest of a body that nobody has read.
            Phase::Sending(_) if self.is_silent() && self.0.turns.get() > 0 => Phase::Idle(Instant::now()),
            same => same,
        };
        self.0.phase.set(phase);
    }

    /// Whether the client sends more than it has any reason to before it is answered.
    pub(super) fn is_too_far_ahead(&self) -> bool {
        let (framing, is_answering) = (self.0.framing.borrow(), self.phase() == Phase::Answering);
        let next = u64::from(!is_answering);
        framing.is_lost() || self.waiting() > REQUESTS_AHEAD + next || is_answering && framing.begun() > BYTES_AHEAD
    }

    /// A request has come, whole but for its body.
    pub(in crate::web) fn begin_turn(&self) -> Turn {
        self.0.phase.set(Phase::Answering);
        self.0.turns.set(self.0.turns.get() + 1);
        Turn(self.clone())
    }

    /// Whether nothing has come that is still to be answered.
    fn is_silent(&self) -> bool {
        self.waiting() == 0 && self.0.framing.borrow().is_between_requests()
    }

    /// How many requests have come and had no turn.
    fn waiting(&self) -> u64 {
        self.0.framing.borrow().requests().saturating_sub(self.0.turns.get())
    }
}

/// Our turn, until this is dropped.
pub(in crate::web) struct Turn(Conversation);

impl Drop for Turn {
    fn drop(&mut self) {
        let (now, Self(conversation)) = (Instant::now(), self);
        conversation.0.phase.set(if conversation.is_silent() { Phase::Idle(now) } else { Phase::Sending(now) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = b"POST /a?b HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n123";

    #[test]
    fn q3_what_comes_after_an_answer_has_a_time_of_its_own() {
        let conversation = Conversation::begun(Instant::now());
        assert!(matches!(conversation.phase(), Phase::Sending(_)));
        let turn = conversation.begin_turn();
        assert_eq!(conversation.phase(), Phase::Answering);
        drop(turn);
        assert!(matches!(conversation.phase(), Phase::Idle(_)));
        conversation.note_bytes(b"G");
        let began = conversation.phase();
        assert!(matches!(began, Phase::Sending(_)));
        // More bytes give no more time.
        conversation.note_bytes(b"E");
        assert_eq!(conversation.phase(), began);
    }

    #[test]
    fn q3_what_comes_behind_a_request_has_begun_when_the_answer_is_there() {
        let conversation = Conversation::begun(Instant::now());
        // The body comes while the request is answered.
        let (most, rest) = REQUEST.split_at(REQUEST.len() - 3);
        conversation.note_bytes(most);
        let turn = conversation.begin_turn();
        conversation.note_bytes(rest);
        drop(turn);
        assert!(matches!(conversation.phase(), Phase::Idle(_)));
        // A request and the first byte of another.
        conversation.note_bytes(REQUEST);
        conversation.note_bytes(b"P");
        drop(conversation.begin_turn());
        assert!(matches!(conversation.phase(), Phase::Sending(_)));
        // Which is counted once.
        conversation.note_bytes(&REQUEST[1..]);
        drop(conversation.begin_turn());
        assert!(matches!(conversation.phase(), Phase::Idle(_)));
    }

    #[test]
    fn q3_a_client_rests_behind_a_body_that_nobody_has_read() {
        let conversation = Conversation::begun(Instant::now());
        let (most, rest) = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n".split_at(50);
        conversation.note_bytes(most);
        drop(conversation.begin_turn());
        assert!(matches!(conversation.phase(), Phase::Sending(_)));
        conversation.note_bytes(rest);
        let rests = conversation.phase();
        assert!(matches!(rests, Phase::Idle(_)));
        // Empty lines in front of a request are none of it.
        conversation.note_bytes(b"\r\n");
        assert_eq!(conversation.phase(), rests);
    }

    #[test]
    fn q9_few_requests_wait_behind_another_and_no_long_headers() {
        let conversation = Conversation::begun(Instant::now());
        for _ in 0..=REQUESTS_AHEAD {
            conversation.note_bytes(REQUEST);
        }
        assert!(!conversation.is_too_far_ahead());
        let turn = conversation.begin_turn();
        assert!(!conversation.is_too_far_ahead());
        conversation.note_bytes(REQUEST);
        assert!(conversation.is_too_far_ahead());
        drop(turn);

        let conversation = Conversation::begun(Instant::now());
        conversation.note_bytes(REQUEST);
        let turn = conversation.begin_turn();
        conversation.note_bytes(&[b'a'; BYTES_AHEAD + 1]);
        assert!(conversation.is_too_far_ahead());
        // Long headers of the next request are the library's to judge.
        drop(turn);
        assert!(!conversation.is_too_far_ahead());
    }
}
