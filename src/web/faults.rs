//! `FAULTS=on`: what can go wrong between a client and this server, for client developers to provoke.
//!
//! The header `Relatch-Fault` of a request names it. Whatever the request does is done and committed first: what
//! happens to the answer is what happens on a bad line. Only a development server on loopback has this.

use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd as _;
use std::time::Duration;

use actix_web::dev::{Extensions, ServiceRequest};
use actix_web::http::header::HeaderName;
use tokio::time::sleep;

use super::problem::{Code, Problem};
use crate::auth::rotate_keys::{Haste, rotate_keys};
use crate::auth::{Actor, Auth};
use crate::domain::client::Client;

const RELATCH_FAULT: HeaderName = HeaderName::from_static("relatch-fault");
/// The longest delay.
const DELAY_MAX: Duration = Duration::from_mins(1);

/// What is to happen to the answer.
pub(super) enum Fault {
    /// The connection is cut instead of an answer.
    DropAnswer(Option<TcpStream>),
    /// The answer comes this much later.
    Delay(Duration),
    /// The key that signs is replaced before anything is done, as in an emergency.
    RotateKey,
}

/// Another handle on the socket of a connection.
struct Socket(TcpStream);

/// Keeps a handle on the socket of a new connection.
pub fn remember_socket(connection: &actix_web::rt::net::TcpStream, data: &mut Extensions) {
    if let Ok(socket) = connection.as_fd().try_clone_to_owned() {
        data.insert(Socket(TcpStream::from(socket)));
    }
}

impl Fault {
    /// The fault that a request asks for.
    ///
    /// # Errors
    /// `invalid_request` when there is no such fault.
    pub(super) fn of(request: &ServiceRequest) -> Result<Option<Self>, Problem> {
        let Some(value) = request.headers().get(RELATCH_FAULT) else { return Ok(None) };
        let text = value.to_str().unwrap_or_default().trim();
        let fault = match text.split_once('=') {
            None if text == "drop-answer" => {
                let socket = request.request().conn_data::<Socket>().and_then(|socket| socket.0.try_clone().ok());
                Some(Self::DropAnswer(socket))
            }
            None if text == "rotate-key" => Some(Self::RotateKey),
            Some(("delay", milliseconds)) => milliseconds
                .parse()
                .ok()
                .map(Duration::from_millis)
                .filter(|delay| *delay <= DELAY_MAX)
                .map(Self::Delay),
            _ => None,
        };
        fault.map(Some).ok_or_else(|| {
            Problem::with_detail(
                Code::InvalidRequest,
                "Relatch-Fault is drop-answer, rotate-key, or delay= up to 60000 milliseconds.",
            )
        })
    }

    /// Lets happen what comes before the request is served.
    pub(super) async fn happen_before(&self, auth: &Auth) {
        if let Self::RotateKey = self
            && let Err(error) = rotate_keys(auth, Actor::Operator, Haste::Emergency, &Client::default()).await
        {
            tracing::warn!(%error, "the key was not replaced");
        }
    }

    /// Lets happen what comes after it.
    pub(super) async fn happen_after(self) {
        match self {
            Self::RotateKey => {}
            Self::DropAnswer(socket) => {
                if let Some(socket) = socket
                    && let Err(error) = socket.shutdown(Shutdown::Both)
                {
                    tracing::warn!(%error, "a connection could not be cut");
                }
            }
            Self::Delay(delay) => sleep(delay).await,
        }
    }
}
