//! Who is at the other end: the socket's address, or what trusted proxies say of it.

use std::future::{Ready, ready};
use std::net::{IpAddr, SocketAddr};

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use ipnet::IpNet;

use super::answer::RequestId;
use super::problem::Problem;
use super::state::State;
use crate::domain::client::Client;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client of a request, as it is recorded.
pub struct ClientOf(pub Client);

impl FromRequest for ClientOf {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(State::of(request).map(|state| {
            let socket = request.peer_addr().map(|peer| peer.ip());
            let address = socket.map(|socket| client_address(socket, request.headers(), &state.trusted_proxies));
            let agent =
                request.headers().get(header::USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()));
            let id = request.extensions().get::<RequestId>().map(|id| id.0);
            Self(Client::new(address, agent.as_deref(), id))
        }))
    }
}

/// Follows the hops from the socket back for as long as they are trusted, so that the first one that is not is the
/// client. A proxy that sets one of the two headers may pass the other on as the client wrote it: when both are there
/// and differ, neither is believed.
fn client_address(socket: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address.to_canonical()));
    if !is_trusted(socket) {
        return socket;
    }
    let values = |name| headers.get_all(name).filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join(",");
    let walk = |hops: Vec<Option<IpAddr>>| {
        let mut client = socket;
        for hop in hops.into_iter().rev() {
            match hop {
                Some(hop) if is_trusted(client) => client = hop,
                _ => break,
            }
        }
        client
    };
    let forwarded_for = values(X_FORWARDED_FOR);
    let forwarded = values(header::FORWARDED);
    let by_forwarded_for = walk(forwarded_for.split(',').map(parse_node).collect());
    let by_forwarded = walk(forwarded.split(',').map(forwarded_node).collect());
    match (forwarded_for.is_empty(), forwarded.is_empty()) {
        (true, true) => socket,
        (false, true) => by_forwarded_for,
        (true, false) => by_forwarded,
        (false, false) if by_forwarded_for == by_forwarded => by_forwarded,
        (false, false) => socket,
    }
}

/// The `for` of one element of `Forwarded` (RFC 7239 §4).
fn forwarded_node(element: &str) -> Option<IpAddr> {
    let (_, node) = element
        .split(';')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    parse_node(node.trim().trim_matches('"'))
}

/// An address with or without a port; an IPv6 address in brackets or bare.
fn parse_node(node: &str) -> Option<IpAddr> {
    let node = node.trim();
    let bare = node.strip_prefix('[').and_then(|node| node.strip_suffix(']')).unwrap_or(node);
    bare.parse().or_else(|_| node.parse::<SocketAddr>().map(|socket| socket.ip())).ok()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn address(socket: &str, headers: &[(&'static str, &str)], trusted: &[&str]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        client_address(socket.parse().unwrap(), &map, &trusted).to_string()
    }

    #[test]
    fn k5_nobody_but_a_trusted_proxy_is_believed() {
        let spoofed = [("x-forwarded-for", "198.51.100.1"), ("forwarded", "for=198.51.100.2")];
        assert_eq!(address("203.0.113.7", &spoofed, &[]), "203.0.113.7");
        assert_eq!(address("203.0.113.7", &spoofed, &["10.0.0.0/8"]), "203.0.113.7");
    }

    #[test]
    fn k5_the_rightmost_hop_that_is_not_trusted_is_the_client() {
        let chain = [("x-forwarded-for", "6.6.6.6, 198.51.100.1"), ("x-forwarded-for", "10.0.0.2")];
        assert_eq!(address("10.0.0.1", &chain, &["10.0.0.0/8"]), "198.51.100.1");
        let only_proxies = [("x-forwarded-for", "10.0.0.3, 10.0.0.2")];
        assert_eq!(address("10.0.0.1", &only_proxies, &["10.0.0.0/8"]), "10.0.0.3");
        let garbage = [("x-forwarded-for", "198.51.100.1, unknown, 10.0.0.2")];
        assert_eq!(address("10.0.0.1", &garbage, &["10.0.0.0/8"]), "10.0.0.2");
        assert_eq!(address("10.0.0.1", &[], &["10.0.0.0/8"]), "10.0.0.1");
    }

    #[test]
    fn k5_forwarded_is_read_with_ports_and_quotes_and_both_headers_must_agree() {
        let forwarded = [("forwarded", "for=6.6.6.6;proto=http, For=\"[2001:db8::7]:4711\";by=10.0.0.1")];
        assert_eq!(address("10.0.0.1", &forwarded, &["10.0.0.0/8"]), "2001:db8::7");
        let differ = [("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "198.51.100.1")];
        assert_eq!(address("10.0.0.1", &differ, &["10.0.0.0/8"]), "10.0.0.1");
        let agree = [("forwarded", "for=198.51.100.1"), ("x-forwarded-for", "198.51.100.1:80")];
        assert_eq!(address("::ffff:10.0.0.1", &agree, &["10.0.0.0/8"]), "198.51.100.1");
    }
}
