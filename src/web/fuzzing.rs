//! Fuzz targets of what requests carry: bodies, forms and headers. Each says whether its input was accepted.

use std::net::IpAddr;

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use serde::de::IgnoredAny;

use super::admin::form::{Fields, TOKEN};
use super::admin::next::Next;
use super::api::{account, clients, sessions, tokens, users};
use super::client::{X_FORWARDED_FOR, client_address};
use super::json::{JsonBody, first_byte};
use super::oauth::credentials::basic;
use super::oauth::form::Parameters;
use super::problem::{Code, Problem};
use super::urlencoded;
use crate::domain::client::Client;
use crate::domain::fuzzing::texts;

/// A JSON body, read as each of those that the API takes.
pub fn json_bodies(data: &[u8]) -> bool {
    let token = body::<tokens::RefreshToken>(data);
    // A string is what texts of every sort come in.
    if let Ok(text) = serde_json::from_slice::<String>(data) {
        assert!(token.is_some_and(|token| token.is(&text)), "another token is read: {text:?}");
        texts(&text);
        return true;
    }
    let revocation = body::<sessions::BulkRevocation>(data).map(|revocation| revocation.filter.parse());
    if let Some(Err(problem)) = &revocation {
        check_problem(problem, data);
    }
    let accepted = [
        body::<tokens::Credentials>(data).is_some(),
        body::<account::PasswordChange>(data).is_some(),
        body::<users::Registration>(data).is_some(),
        body::<users::UserPatch>(data).is_some(),
        body::<clients::Registration>(data).is_some(),
        body::<clients::ClientPatch>(data).is_some(),
        body::<clients::SecretRequest>(data).is_some(),
        revocation.is_some(),
    ];
    accepted.contains(&true)
}

fn body<T: JsonBody>(data: &[u8]) -> Option<T> {
    let parsed = T::parse(data);
    let spaced = [b" \r\n", data, b"\t "].concat();
    assert_eq!(T::parse(&spaced).is_ok(), parsed.is_ok(), "white space around a body counts");
    match parsed {
        Ok(value) => {
            assert!(serde_json::from_slice::<IgnoredAny>(data).is_ok(), "what is not JSON is accepted");
            assert!(std::str::from_utf8(data).is_ok(), "what is not UTF-8 is accepted");
            assert!(matches!(first_byte(data), Some(b'{' | b'"')), "neither an object nor a string is accepted");
            Some(value)
        }
        Err(problem) => {
            check_problem(&problem, data);
            None
        }
    }
}

/// What is refused is the client's fault, and the answer points into the body (RFC 6901) and repeats nothing of it.
fn check_problem(problem: &Problem, data: &[u8]) {
    assert!(matches!(problem.code(), Code::InvalidJson | Code::ValidationFailed), "{problem:?}");
    // Of an object, what comes first decides, since it is read but once.
    let is_text = std::str::from_utf8(data).is_ok();
    let is_readable = is_text && (first_byte(data) == Some(b'{') || serde_json::from_slice::<IgnoredAny>(data).is_ok());
    assert!(is_readable || problem.code() == Code::InvalidJson, "no JSON at all is called something else: {problem:?}");
    let is_member = |segment: &str| segment.len() <= 32 && segment.bytes().all(|byte| byte.is_ascii_alphanumeric());
    for pointer in problem.pointers() {
        let segments = pointer.strip_prefix('#').map(|path| path.split('/').skip(1).all(is_member));
        assert_eq!(segments, Some(true), "{pointer} is no pointer to a member of ours");
    }
}

/// A form, as OAuth endpoints and the console read it, and what else is written in that way.
pub fn forms(data: &[u8]) -> bool {
    if let Some(pairs) = urlencoded::parse(data) {
        let theirs: Vec<_> = url::form_urlencoded::parse(data).into_owned().collect();
        assert_eq!(pairs, theirs, "browsers and we read this form differently");
        let written = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
        assert_eq!(urlencoded::parse(written.as_bytes()).as_ref(), Some(&pairs), "{written}");
    }
    let parameters = parameters(data);
    let fields = fields(data);
    let credentials = credentials(data);
    next(data);
    parameters || fields || credentials
}

/// Each parameter is there once at most, and an empty one is not there.
fn parameters(data: &[u8]) -> bool {
    let names = urlencoded::parse(data).map(|pairs| pairs.into_iter().map(|(name, _)| name).collect::<Vec<_>>());
    let is_once = |names: &[String]| names.iter().all(|name| names.iter().filter(|other| *other == name).count() == 1);
    let parsed = Parameters::parse(data);
    assert_eq!(parsed.is_ok(), names.as_ref().is_some_and(|names| is_once(names)), "{names:?}");
    let Ok(parameters) = parsed else { return false };
    assert!(names.iter().flatten().all(|name| parameters.get(name) != Some("")), "an empty parameter counts");
    true
}

fn fields(data: &[u8]) -> bool {
    let Some(fields) = Fields::parse(data) else { return false };
    let pairs: Vec<_> = fields.iter().cloned().collect();
    assert_eq!(Some(&pairs), urlencoded::parse(data).as_ref(), "the console reads other fields");
    assert!(pairs.iter().all(|(name, value)| !name.contains('\0') && !value.contains('\0')), "a NUL gets through");
    let tokens = fields.values(TOKEN).count();
    assert!(tokens == 1 || fields.token().is_empty(), "of {tokens} tokens one counts");
    true
}

/// A client's id and secret in the header `Authorization`: as the data says it, or with the data for what is encoded.
fn credentials(data: &[u8]) -> bool {
    let encoded = format!("Basic {}", STANDARD.encode(data)).into_bytes();
    let read = |value: &[u8]| {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_bytes(value).ok()?);
        basic(&headers).ok().flatten()
    };
    let mut accepted = false;
    for (id, secret) in [read(data), read(&encoded)].into_iter().flatten() {
        let part = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let written = STANDARD.encode(format!("{}:{}", part(&id), part(secret.expose())));
        let again = read(format!("Basic {written}").as_bytes());
        assert!(again.is_some_and(|(i, s)| i == id && s.expose() == secret.expose()), "other credentials are read");
        accepted = true;
    }
    accepted
}

/// Whatever is accepted as the page to go to is one of ours, wherever a browser thinks that it is.
fn next(data: &[u8]) {
    let Some(next) = std::str::from_utf8(data).ok().and_then(Next::parse) else { return };
    let base = url::Url::parse("https://auth.example.com/admin/sign-in");
    let Ok(url) = base.and_then(|base| base.join(next.as_str())) else { return };
    assert_eq!(url.origin().ascii_serialization(), "https://auth.example.com", "{next:?} leads elsewhere");
    let path = next.as_str().split('?').next();
    assert_eq!(Some(url.path()), path, "{next:?} leads to another page");
    assert!(url.path() == "/admin" || url.path().starts_with("/admin/"), "{next:?} leads out of the console");
    assert_eq!(urlencoded::decode(next.escaped().as_bytes()).as_deref(), Some(next.as_str()));
}

/// Headers that say where a request comes from. The first line is the socket's address, the second are the trusted networks,
/// and the others are headers: `x` X-Forwarded-For, `f` Forwarded, `u` User-Agent.
pub fn forwarded(data: &[u8]) -> bool {
    let mut lines = data.split(|byte| *byte == b'\n');
    let mut text = || lines.next().and_then(|line| std::str::from_utf8(line).ok()).unwrap_or_default();
    let Ok(socket) = text().parse::<IpAddr>() else { return false };
    let trusted: Vec<IpNet> = text().split(',').filter_map(|network| network.parse().ok()).collect();
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address.to_canonical()));
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some((name, value)) = line.split_first() else { continue };
        let Ok(value) = HeaderValue::from_bytes(value) else { continue };
        match name {
            b'x' => headers.append(X_FORWARDED_FOR, value),
            b'f' => headers.append(header::FORWARDED, value),
            b'u' => agent(&value),
            _ => {}
        }
    }
    let address = client_address(socket, &headers, &trusted);
    let says_nothing = !headers.contains_key(X_FORWARDED_FOR) && !headers.contains_key(header::FORWARDED);
    assert!(address == socket || (is_trusted(socket) && !says_nothing), "{address} is believed of {socket}");
    if is_trusted(socket) && !is_trusted(address) {
        let (by_one, by_other) = (spoofed(&headers, X_FORWARDED_FOR), spoofed(&headers, header::FORWARDED));
        for spoofed in [by_one, by_other].into_iter().flatten() {
            assert_eq!(client_address(socket, &spoofed, &trusted), address, "a client can write where it is");
        }
    }
    address != socket
}

/// The same headers, had the client itself written something in front of what the proxies wrote.
fn spoofed(headers: &HeaderMap, name: HeaderName) -> Option<HeaderMap> {
    // A header that is empty counts as one that is not there; a client who sends the other one, too, is not believed.
    if headers.get_all(&name).all(|value| value.is_empty()) {
        return None;
    }
    let mut values = headers.get_all(&name).cloned().collect::<Vec<_>>().into_iter();
    let lie = if name == X_FORWARDED_FOR { b"\xff, 6.6.6.6, ".as_slice() } else { b"for=\"\xff, for=6.6.6.6, " };
    let first = [lie, values.next()?.as_bytes()].concat();
    let mut spoofed = headers.clone();
    spoofed.insert(name.clone(), HeaderValue::from_bytes(&first).ok()?);
    values.for_each(|value| spoofed.append(name.clone(), value));
    Some(spoofed)
}

fn agent(value: &HeaderValue) {
    let client = Client::new(None, Some(&String::from_utf8_lossy(value.as_bytes())), None);
    let kept = client.user_agent().unwrap_or_default();
    assert!(kept.chars().count() <= Client::USER_AGENT_MAX && !kept.contains(char::is_control), "{kept:?}");
}
