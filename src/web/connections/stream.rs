//! A connection's bytes, and the clock beside them: a client that keeps a connection open without saying or reading
//! anything is given up.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::conversation::{Conversation, Phase};
use super::seats::Seat;
use super::{HEADERS, KEEP_ALIVE, KEEP_ALIVE_WHEN_MANY, UNREAD};

/// The HTTP library answers 408 when a connection's first headers are late, and closes idle ones: it comes first.
const MARGIN: Duration = Duration::from_secs(1);
/// How often it is looked at least whether the deadline has moved.
const TICK: Duration = Duration::from_secs(5);

/// A connection under the clock.
pub(super) struct Watched {
    socket: TcpStream,
    conversation: Conversation,
    seat: Seat,
    /// What has been read already.
    first: Vec<u8>,
    look: Pin<Box<Sleep>>,
    /// Runs while the client reads nothing of what there is to write.
    unread: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    /// With a socket that was accepted at this time.
    pub(super) fn new(socket: TcpStream, seat: Seat, first: Vec<u8>, at: Instant) -> Self {
        let look = Box::pin(sleep_until(at + HEADERS + MARGIN));
        Self { socket, conversation: Conversation::begun(at), seat, first, look, unread: None }
    }

    pub(super) fn conversation(&self) -> Conversation {
        self.conversation.clone()
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// When the client must have said something; `None` while it waits for us.
    fn deadline(&self) -> Option<Instant> {
        match self.conversation.phase() {
            Phase::Answering => None,
            Phase::Sending(since) => Some(since + HEADERS + MARGIN),
            Phase::Idle(since) if self.seat.seats().are_scarce() => Some(since + KEEP_ALIVE_WHEN_MANY),
            Phase::Idle(since) => Some(since + KEEP_ALIVE + MARGIN),
        }
    }

    /// Notes what has come; an error when the client does not wait for answers.
    fn note(&self, bytes: &[u8]) -> io::Result<()> {
        if !bytes.is_empty() {
            self.conversation.note_bytes(bytes);
        }
        if self.conversation.is_too_far_ahead() { Err(io::ErrorKind::QuotaExceeded.into()) } else { Ok(()) }
    }

    /// Ready when the client is out of time. Looks again and again: nothing wakes a connection when its turn changes.
    fn poll_out_of_time(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let (now, deadline) = (Instant::now(), self.deadline());
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Poll::Ready(());
            }
            let next_look = deadline.map_or(now + TICK, |deadline| deadline.min(now + TICK));
            if self.look.is_elapsed() || self.look.deadline() > next_look {
                self.look.as_mut().reset(next_look);
            }
            ready!(self.look.as_mut().poll(context));
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.first.is_empty() {
            let taken = this.first.len().min(buffer.remaining());
            let bytes: Vec<_> = this.first.drain(..taken).collect();
            buffer.put_slice(&bytes);
            if this.first.is_empty() {
                this.first = Vec::new();
            }
            return Poll::Ready(this.note(&bytes));
        }
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut this.socket).poll_read(context, buffer) {
            let noted = this.note(buffer.filled().get(before..).unwrap_or_default());
            // Bytes that keep coming must not keep the clock from being looked at.
            return match this.deadline() {
                Some(deadline) if deadline <= Instant::now() => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                _ => Poll::Ready(read.and(noted)),
            };
        }
        // As if the client had hung up: what it has been answered is still sent.
        this.poll_out_of_time(context).map(Ok)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = Pin::new(&mut this.socket).poll_write(context, bytes);
        if written.is_pending() {
            let unread = this.unread.get_or_insert_with(|| Box::pin(sleep(UNREAD)));
            ready!(unread.as_mut().poll(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        // Whoever reads is not given up. The kernel takes more once a third of its buffer has been read.
        this.unread = None;
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::super::{Limits, Seats, Turn};
    use super::*;

    /// Both ends of a connection, the first one ours, and the places that it takes one of.
    async fn connection(at_most: usize) -> (Watched, TcpStream, Seats) {
        let seats = Seats::new(Limits { at_most, trusted_proxies: Vec::new() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (socket, peer) = listener.accept().await.unwrap();
        let seat = seats.take(Some(peer.ip())).unwrap();
        (Watched::new(socket, seat, Vec::new(), Instant::now()), client, seats)
    }

    fn begin_turn(ours: &Watched) -> Turn {
        ours.conversation().begin_turn()
    }

    #[tokio::test]
    async fn q2_a_client_that_reads_nothing_is_given_up_and_one_that_reads_is_not() {
        let (mut ours, _client, _) = connection(64).await;
        tokio::time::pause();
        let piece = vec![b'x'; 1 << 20];
        let began = Instant::now();
        let error = loop {
            // More than any buffer of the kernel holds.
            if let Err(error) = ours.write_all(&piece).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!((UNREAD..2 * UNREAD).contains(&began.elapsed()), "{:?}", began.elapsed());

        // Whoever goes on reading may read to the end. Time goes on in small steps, so that the kernel keeps up with it.
        let (mut ours, mut client, _) = connection(64).await;
        let ticking = tokio::spawn(async {
            loop {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        let reading = tokio::spawn(async move {
            let mut sink = vec![0; 1 << 20];
            for _ in 0..32 {
                tokio::time::sleep(UNREAD / 10).await;
                client.read_exact(&mut sink).await.unwrap();
            }
        });
        ours.write_all(&piece.repeat(32)).await.unwrap();
        reading.await.unwrap();
        ticking.abort();
    }

    #[tokio::test]
    async fn q3_a_client_that_says_nothing_has_its_time_and_a_request_under_way_has_its_own() {
        let (mut ours, mut client, _) = connection(64).await;
        tokio::time::pause();
        let mut byte = [0];
        let began = Instant::now();
        assert_eq!(ours.read(&mut byte).await.unwrap(), 0);
        assert_eq!(began.elapsed().as_secs(), (HEADERS + MARGIN).as_secs());

        // While we answer, nobody is hurried; behind the answer the client may rest.
        let turn = begin_turn(&ours);
        assert!(tokio::time::timeout(Duration::from_mins(10), ours.read(&mut byte)).await.is_err());
        drop(turn);
        let began = Instant::now();
        assert_eq!(ours.read(&mut byte).await.unwrap(), 0);
        assert_eq!(began.elapsed().as_secs(), (KEEP_ALIVE + MARGIN).as_secs());

        // Once it says something, it has to go on.
        drop(begin_turn(&ours));
        let began = Instant::now();
        client.write_all(b"G").await.unwrap();
        assert_eq!(ours.read(&mut byte).await.unwrap(), 1);
        assert_eq!(ours.read(&mut byte).await.unwrap(), 0);
        assert!(began.elapsed() <= HEADERS + 2 * MARGIN, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn q3_what_was_waited_for_already_is_a_part_of_the_time() {
        let (ours, _client, seats) = connection(64).await;
        let seat = seats.take(None).unwrap();
        tokio::time::pause();
        let began = Instant::now();
        tokio::time::advance(HEADERS - MARGIN).await;
        let mut ours = Watched::new(ours.socket, seat, b"GET".to_vec(), began);
        let mut bytes = Vec::new();
        assert_eq!(ours.read_to_end(&mut bytes).await.unwrap(), 3);
        assert_eq!(began.elapsed().as_secs(), (HEADERS + MARGIN).as_secs());
    }

    #[tokio::test]
    async fn q9_nobody_rests_for_long_once_half_of_the_places_are_taken() {
        let (mut ours, _client, seats) = connection(4).await;
        tokio::time::pause();
        drop(begin_turn(&ours));
        let others = [seats.take(None), seats.take(None)];
        let began = Instant::now();
        assert_eq!(ours.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(began.elapsed().as_secs(), KEEP_ALIVE_WHEN_MANY.as_secs());
        drop(others);
    }
}
