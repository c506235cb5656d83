//! The body of an answer, which keeps a connection's turn until it has been written.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;

use super::Turn;

/// A body, and whose turn ends with it.
struct LastPart {
    body: BoxBody,
    _turn: Turn,
}

impl Turn {
    /// Lets the turn last for as long as the body.
    pub(in crate::web) fn until_written(self, body: BoxBody) -> BoxBody {
        BoxBody::new(LastPart { body, _turn: self })
    }
}

impl MessageBody for LastPart {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}
