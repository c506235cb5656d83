//! The body of an answer: the library is given it in small pieces, and our turn lasts until it has got the last. What it
//! has got then may still wait for the client to read.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;

use super::Turn;

/// How much the library gets at a time. It copies a whole piece into the connection's buffer before it writes any of it,
/// and asks for no more while 32 KiB are there that the client has not read.
const PIECE: usize = 16 * 1024;

/// A body, and whose turn ends with it.
struct LastPart {
    body: BoxBody,
    /// What the body has given and the library has not got yet.
    rest: Bytes,
    _turn: Turn,
}

impl Turn {
    /// Lets the turn last until the library has got the whole body.
    pub(in crate::web) fn until_taken(self, body: BoxBody) -> BoxBody {
        BoxBody::new(LastPart { body, rest: Bytes::new(), _turn: self })
    }
}

impl MessageBody for LastPart {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_next(context)) {
                Some(Ok(bytes)) => self.rest = bytes,
                end => return Poll::Ready(end),
            }
        }
        let length = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(self.rest.split_to(length))))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::Instant;

    use super::super::Conversation;
    use super::super::conversation::Phase;
    use super::*;

    #[tokio::test]
    async fn q2_a_large_body_is_given_in_small_pieces_and_the_turn_ends_with_the_last() {
        let whole: Vec<u8> = (0..5 * PIECE + 7).map(|number| number.to_le_bytes()[0]).collect();
        let conversation = Conversation::begun(Instant::now());
        let mut body = conversation.begin_turn().until_taken(BoxBody::new(whole.clone()));
        assert_eq!(body.size(), BodySize::Sized(u64::try_from(whole.len()).unwrap()));
        let mut given = Vec::new();
        while let Some(piece) = poll_fn(|context| Pin::new(&mut body).poll_next(context)).await {
            let piece = piece.unwrap();
            assert!((1..=PIECE).contains(&piece.len()), "{}", piece.len());
            given.extend_from_slice(&piece);
        }
        assert!(given == whole, "{} bytes of {}", given.len(), whole.len());
        assert_eq!(conversation.phase(), Phase::Answering);
        drop(body);
        assert!(matches!(conversation.phase(), Phase::Idle(_)));
    }
}
