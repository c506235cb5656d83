//! Connections: how many there may be, how many of them one address may have, and how long each may be silent.
//!
//! The HTTP library limits the time of a connection's first headers alone, takes as many requests as come, and never gives
//! up on an answer that nobody reads. `arrival` waits for the first headers without the library. From then on `stream` has
//! the clock, below it; `conversation` says whether a request is under way, and `framing` how many have come.

mod arrival;
mod body;
mod conversation;
mod framing;
mod open_files;
mod seats;
mod stream;

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Request, Response};
use actix_server::{Server, ServerBuilder};
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt as _, boxed, map_config};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Extensions, fn_service};
use actix_web::rt::net::TcpStream;
use tokio::time::Instant;

pub(super) use conversation::{Conversation, Turn};
pub use open_files::room_for;
pub use seats::{Limits, Seats};
use stream::Watched;

/// How many may ask for metrics at a time, on a listener of their own.
pub const METRICS_CONNECTIONS: usize = 64;
/// How long the headers of a request may take to arrive.
const HEADERS: Duration = Duration::from_secs(5);
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// The same while more than half of all connections there may be are open.
const KEEP_ALIVE_WHEN_MANY: Duration = Duration::from_secs(5);
/// How long a client may leave what was written for it unread.
const UNREAD: Duration = Duration::from_secs(30);
/// How long requests under way may take to finish after SIGTERM, in seconds.
const SHUTDOWN: u64 = 10;

/// Whoever serves HTTP/1.1 on a listener, once they are told to run. SIGTERM lets requests under way finish.
pub fn serve<F, I, S, B>(
    listener: TcpListener,
    workers: usize,
    seats: &Seats,
    on_connect: Option<fn(&TcpStream, &mut Extensions)>,
    app: F,
) -> io::Result<ServerBuilder>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<actix_web::Error> + 'static,
    S::InitError: std::fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    B: MessageBody + 'static,
{
    let builder = Server::build()
        .workers(workers)
        .max_concurrent_connections(seats.at_most().div_ceil(workers.max(1)))
        .shutdown_timeout(SHUTDOWN);
    let shutdown = builder.graceful_shutdown_signal();
    let seats = seats.clone();
    builder.listen("http", listener, move || {
        let (shutdown, seats) = (shutdown.clone(), seats.clone());
        let stopping = shutdown.clone();
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let shutdown = shutdown.clone();
                async move { shutdown.notified().await }
            })
            .client_request_timeout(HEADERS)
            .client_disconnect_timeout(Duration::from_secs(1))
            .keep_alive(KEEP_ALIVE)
            .on_connect_ext(move |stream: &Watched, data| {
                data.insert(stream.conversation());
                if let Some(on_connect) = on_connect {
                    on_connect(stream.socket(), data);
                }
            });
        let app = app().into_factory().map_err(|error| error.into().error_response());
        fn_service(move |socket: TcpStream| {
            let peer = socket.peer_addr().ok();
            let seat = seats.take(peer.map(|peer| peer.ip()));
            let (stopping, at) = (stopping.clone(), Instant::now());
            async move {
                // Dropping the socket closes it, before anything is read or kept for it.
                let seat = seat.ok_or_else(|| DispatchError::Io(io::ErrorKind::QuotaExceeded.into()))?;
                let first = arrival::first_bytes(&socket, &stopping).await.map_err(DispatchError::Io)?;
                Ok((Watched::new(socket, seat, first, at), peer))
            }
        })
        // In a box, so that who has not sent any headers yet does not take the room of a whole request.
        .and_then(boxed::factory(http.h1(map_config(app, |()| AppConfig::default()))))
    })
}

#[cfg(test)]
mod tests {
    use actix_web::web::Bytes;
    use actix_web::{App, HttpRequest, web};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::conversation::Phase;
    use super::*;

    /// Tells whether the connection is idle once the request has been taken.
    async fn tell(request: HttpRequest, _: Bytes) -> &'static str {
        let conversation: &Conversation = request.conn_data().unwrap();
        drop(conversation.begin_turn());
        if matches!(conversation.phase(), Phase::Idle(_)) { "idle" } else { "more" }
    }

    /// What was told, in its order.
    fn found(answers: &[u8]) -> Vec<&str> {
        let bodies = answers.windows(4).filter(|four| matches!(*four, b"idle" | b"more"));
        bodies.map(|body| std::str::from_utf8(body).unwrap()).collect()
    }

    #[actix_web::test]
    async fn q3_a_client_rests_when_it_has_sent_requests_and_nothing_else() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seats = Seats::new(Limits { at_most: 64, trusted_proxies: Vec::new() });
        let server = serve(listener, 1, &seats, None, || App::new().default_service(web::to(tell))).unwrap();
        actix_web::rt::spawn(server.disable_signals().run());
        let get = "GET /x?y=1 HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nAccept: text/html\r\n\r\n";
        let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n123";
        let empty = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
        let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n123\r\n0\r\n\r\n";
        let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX-A: {}", "a".repeat(50_000));
        for (sent, told) in [
            (get.to_owned(), &["idle"][..]),
            (post.to_owned(), &["idle"]),
            (empty.to_owned(), &["idle"]),
            (chunked.to_owned(), &["idle"]),
            ([get, post, get].concat(), &["more", "more", "idle"]),
            ([get, "G"].concat(), &["more"]),
            ([post, &long].concat(), &["more"]),
            ([chunked, &long].concat(), &["more"]),
        ] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(sent.as_bytes()).await.unwrap();
            let mut answers = Vec::new();
            while found(&answers).len() < told.len() {
                assert!(stream.read_buf(&mut answers).await.unwrap() > 0, "{sent}");
            }
            assert_eq!(found(&answers), told, "{sent}");
        }
    }
}
