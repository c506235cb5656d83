//! Bodies of requests: read within a limit and a deadline, and parsed into typed structs alone.

use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};
use tokio::time::{Instant, timeout_at};

use super::deadline::Deadline;
use super::problem::{Code, FieldProblem, Problem};

/// The largest body.
pub const LIMIT: usize = 16 * 1024;
/// How long a body may take to arrive; actix itself has no deadline for one.
const DEADLINE: Duration = Duration::from_secs(10);
/// How much of a body that is too large is read, and for how long, so that its sender gets to see the answer.
const DRAINED: usize = 1024 * 1024;
const DRAINED_FOR: Duration = Duration::from_secs(1);

/// The names of members are shorter.
const NAME_MAX: usize = 32;

/// What a JSON body can be parsed into.
pub trait JsonBody: Sized {
    /// Parses the whole body.
    ///
    /// # Errors
    /// `invalid_json` or `validation_failed`; neither repeats what was sent.
    fn parse(body: &[u8]) -> Result<Self, Problem>;
}

/// A JSON body.
pub struct Json<T>(pub T);

impl<T: JsonBody + 'static> FromRequest for Json<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_json = is_json(request);
        let (request, payload) = (request.clone(), payload.take());
        async move {
            let body = read_body(&request, payload).await?;
            if !is_json {
                return Err(Problem::new(Code::UnsupportedMediaType));
            }
            T::parse(&body).map(Json)
        }
        .boxed_local()
    }
}

/// Only JSON itself, in UTF-8 and not compressed. Browsers send other types across origins without asking first
/// (ASVS 5.0 §3.5.2), and a compressed body could be a thousand times its size.
fn is_json(request: &HttpRequest) -> bool {
    let mut types = request.headers().get_all(header::CONTENT_TYPE);
    let (Some(first), None) = (types.next(), types.next()) else { return false };
    let Ok(first) = first.to_str() else { return false };
    let mut parts = first.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    let is_utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    });
    is_json && is_utf8 && !request.headers().contains_key(header::CONTENT_ENCODING)
}

fn announced_length(request: &HttpRequest) -> Option<usize> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The bytes of a body, within the limit and the deadline.
pub async fn read_body(request: &HttpRequest, payload: Payload) -> Result<Bytes, Problem> {
    let _pause = Deadline::pause(request, DEADLINE + DRAINED_FOR);
    read(payload, announced_length(request)).await
}

async fn read(mut payload: Payload, announced: Option<usize>) -> Result<Bytes, Problem> {
    let deadline = Instant::now() + DEADLINE;
    let mut body = BytesMut::new();
    if announced.is_none_or(|length| length <= LIMIT) {
        loop {
            match timeout_at(deadline, payload.next()).await {
                Err(_) => return Err(Problem::new(Code::RequestTimeout)),
                Ok(None) => return Ok(body.freeze()),
                Ok(Some(Err(_))) => return Err(Problem::new(Code::InvalidRequest)),
                Ok(Some(Ok(chunk))) if body.len() + chunk.len() <= LIMIT => body.extend_from_slice(&chunk),
                Ok(Some(Ok(_))) => break,
            }
        }
    }
    drain(Pin::new(&mut payload)).await;
    Err(Problem::new(Code::PayloadTooLarge))
}

async fn drain<S: Stream<Item = Result<Bytes, E>> + Unpin, E>(mut payload: S) {
    let deadline = Instant::now() + DRAINED_FOR;
    let mut drained = 0;
    while let Ok(Some(Ok(chunk))) = timeout_at(deadline, payload.next()).await {
        drained += chunk.len();
        if drained >= DRAINED {
            return;
        }
    }
}

/// Parses a body that must be a JSON object. serde would take an array for a struct as well.
pub fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    match first_byte(body) {
        Some(b'{') => value(body),
        // Whatever else is JSON is of the wrong type; the rest is not JSON.
        _ => value::<serde::de::IgnoredAny>(body).and_then(|_| {
            Err(Problem::fields(
                Code::ValidationFailed,
                vec![FieldProblem { pointer: "#".to_owned(), detail: "must be an object".to_owned() }],
            ))
        }),
    }
}

/// The first byte that is not JSON's white space.
pub fn first_byte(body: &[u8]) -> Option<u8> {
    body.iter().copied().find(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
}

/// Parses a body of any type.
pub fn value<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // serde_json does not look into the strings of members that are ignored.
    let text = std::str::from_utf8(body).map_err(|_| Problem::new(Code::InvalidJson))?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let mut track = serde_path_to_error::Track::new();
    let parsed = T::deserialize(serde_path_to_error::Deserializer::new(&mut deserializer, &mut track));
    let error = match parsed {
        Ok(value) => match deserializer.end() {
            Ok(()) => return Ok(value),
            Err(error) => error,
        },
        Err(error) => error,
    };
    // serde's own words may repeat what was sent, a password for example; only field names of ours are taken from them.
    let words = error.to_string();
    let named = |start: &str| Some(words.strip_prefix(start)?.split_once('`')?.0.to_owned());
    if named("duplicate field `").is_some() {
        return Err(Problem::with_detail(Code::InvalidJson, "A member is there twice. Send each member once."));
    }
    if !error.is_data() {
        return Err(Problem::new(Code::InvalidJson));
    }
    let problem = match named("missing field `") {
        Some(field) => FieldProblem::member(&field, "is missing"),
        None => {
            let pointer = pointer(&track.path());
            FieldProblem { pointer, detail: "is of the wrong type or not one of the allowed values".to_owned() }
        }
    };
    Err(Problem::fields(Code::ValidationFailed, vec![problem]))
}

/// The fragment form of a JSON pointer (RFC 6901 §6), in which a place in an array is a member like any other. A member that
/// is not known is pointed to as long as it could be one of ours, misspelt; else nothing of it is repeated.
fn pointer(path: &Path) -> String {
    let is_name = |key: &str| key.len() <= NAME_MAX && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
    path.iter().fold("#".to_owned(), |pointer, segment| match segment {
        Segment::Seq { index } => format!("{pointer}/{index}"),
        Segment::Map { key } if is_name(key) => format!("{pointer}/{key}"),
        Segment::Enum { variant } => format!("{pointer}/{variant}"),
        Segment::Map { .. } | Segment::Unknown => pointer,
    })
}

/// Makes a struct's body one that must be an object.
macro_rules! object_body {
    ($($body:ty),*) => {
        $(impl $crate::web::json::JsonBody for $body {
            fn parse(body: &[u8]) -> Result<Self, $crate::web::problem::Problem> {
                $crate::web::json::object(body)
            }
        })*
    };
}
pub(crate) use object_body;
