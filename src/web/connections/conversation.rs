//! Whose turn it is on a connection: the client's, who sends headers or nothing, or ours, with a request under way.

use std::cell::Cell;
use std::rc::Rc;

use tokio::time::Instant;

/// What a connection and the requests on it know of each other. All of it lives on one thread.
#[derive(Clone)]
pub(in crate::web) struct Conversation(Rc<Cell<Phase>>);

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
    /// Of a new connection, from which something is expected at once.
    pub(super) fn new() -> Self {
        Self(Rc::new(Cell::new(Phase::Sending(Instant::now()))))
    }

    pub(super) fn phase(&self) -> Phase {
        self.0.get()
    }

    /// Bytes have come.
    pub(super) fn note_bytes(&self) {
        if let Phase::Idle(_) = self.0.get() {
            self.0.set(Phase::Sending(Instant::now()));
        }
    }

    /// A request has come, whole but for its body.
    pub(in crate::web) fn begin_turn(&self) -> Turn {
        self.0.set(Phase::Answering);
        Turn(self.clone())
    }
}

/// Our turn, until this is dropped.
pub(in crate::web) struct Turn(Conversation);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.0.set(Phase::Idle(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q3_what_comes_after_an_answer_has_a_time_of_its_own() {
        let conversation = Conversation::new();
        assert!(matches!(conversation.phase(), Phase::Sending(_)));
        let turn = conversation.begin_turn();
        conversation.note_bytes();
        assert_eq!(conversation.phase(), Phase::Answering);
        drop(turn);
        assert!(matches!(conversation.phase(), Phase::Idle(_)));
        conversation.note_bytes();
        let began = conversation.phase();
        assert!(matches!(began, Phase::Sending(_)));
        // More bytes give no more time.
        conversation.note_bytes();
        assert_eq!(conversation.phase(), began);
    }
}
