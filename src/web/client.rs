//! Who is at the other end: the socket's address, or what trusted proxies say of it.

use std::future::{Ready, ready};
use std::net::{IpAddr, SocketAddr};
use std::sync::Once;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use ipnet::IpNet;

use super::answer::RequestId;
use super::problem::Problem;
use super::state::State;
use crate::domain::client::Client;

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client of a request, as it is recorded.
pub struct ClientOf(pub Client);

impl FromRequest for ClientOf {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(State::of(request).map(|state| {
            let origin =
                request.peer_addr().map(|peer| Origin::of(peer.ip(), request.headers(), &state.trusted_proxies));
            let agent =
                request.headers().get(header::USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()));
            let id = request.extensions().get::<RequestId>().map(|id| id.0);
            let client = Client::new(origin.map(|origin| origin.address), agent.as_deref(), id);
            match origin.filter(|origin| origin.is_disputed) {
                Some(origin) => {
                    warn_once(origin.address);
                    Self(client.disputed())
                }
                None => Self(client),
            }
        }))
    }
}

/// Anybody can bring it about where a proxy lets them: once in the life of a process is enough.
fn warn_once(proxy: IpAddr) {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| {
        tracing::warn!(
            %proxy,
            "a trusted proxy sent Forwarded and X-Forwarded-For that differ: neither is believed, and all who come like that \
             are throttled as one network; let the proxy set one of them and clear the other"
        );
    });
}

/// Where a request comes from; nowhere, when it came through no socket.
pub(super) fn address_of(peer: Option<SocketAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    peer.map(|peer| client_address(peer.ip(), headers, trusted).to_canonical())
}

/// How many hops are followed. Nobody has that many proxies.
const HOPS: usize = 100;

/// The client's address, by the socket's and the headers.
pub(super) fn client_address(socket: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    Origin::of(socket, headers, trusted).address
}

/// Where a request comes from.
#[derive(Clone, Copy)]
struct Origin {
    address: IpAddr,
    /// Both headers are there and differ: the address is the proxy's, and the client is not in the proxy's network.
    is_disputed: bool,
}

impl Origin {
    fn of(socket: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let socket = socket.to_canonical();
        let found = walk_back(socket, headers, trusted);
        Self { address: found.unwrap_or(socket), is_disputed: found.is_none() }
    }
}

/// Follows the hops from the socket back for as long as they are trusted, so that the first one that is not is the
/// client. What is no address ends the walk: the hop before it is all that is known. A proxy that sets one of the two
/// headers may pass the other on as the client wrote it: when both are there and differ, neither is believed.
fn walk_back(socket: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    if !is_trusted(socket) {
        return Some(socket);
    }
    // What the client wrote in front may be no text; what the proxy added behind it is.
    let text = |name| {
        let lines = headers.get_all(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
        lines.collect::<Vec<_>>().join(",")
    };
    let walk = |text: &str, node: fn(&str) -> Option<IpAddr>| {
        let mut client = socket;
        for element in text.rsplit(',').take(HOPS) {
            match node(element) {
                Some(hop) if is_trusted(client) => client = hop,
                _ => break,
            }
        }
        client
    };
    let forwarded_for = text(X_FORWARDED_FOR);
    let forwarded = text(header::FORWARDED);
    let by_forwarded_for = walk(&forwarded_for, parse_node);
    let by_forwarded = walk(&forwarded, forwarded_node);
    match (forwarded_for.is_empty(), forwarded.is_empty()) {
        (true, true) => Some(socket),
        (false, true) => Some(by_forwarded_for),
        (true, false) => Some(by_forwarded),
        (false, false) => Some(by_forwarded).filter(|address| *address == by_forwarded_for),
    }
}

/// The `for` of one element of `Forwarded` (RFC 7239 §4).
fn forwarded_node(element: &str) -> Option<IpAddr> {
    let mut nodes = element
        .split(';')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"))
        .map(|(_, node)| node.trim());
    let (Some(node), None) = (nodes.next(), nodes.next()) else { return None };
    let quoted = node.strip_prefix('"').map(|node| node.strip_suffix('"'));
    parse_node(quoted.unwrap_or(Some(node))?)
}

/// An address with or without a port; an IPv6 address in brackets or bare, with or without the zone that it is in.
fn parse_node(node: &str) -> Option<IpAddr> {
    let node = node.trim();
    let (address, bracketed) = match node.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            if !(port.is_empty() || port.strip_prefix(':').is_some_and(is_port)) {
                return None;
            }
            (address, true)
        }
        None => match node.split_once(':') {
            // Only an address of IPv4 has a port without brackets.
            Some((address, port)) if !port.contains(':') && is_port(port) => (address, false),
            _ => (node, false),
        },
    };
    let (bare, zone) = address.split_once('%').map_or((address, None), |(bare, zone)| (bare, Some(zone)));
    let parsed: IpAddr = bare.parse().ok()?;
    let fits = parsed.is_ipv6() || (!bracketed && zone.is_none());
    fits.then(|| parsed.to_canonical())
}

/// A number, or a name that hides it (RFC 7239 §6).
fn is_port(port: &str) -> bool {
    port.parse::<u16>().is_ok() || port.starts_with('_')
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn address(socket: &str, headers: &[(&'static str, &str)], trusted: &[&str]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap());
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
        let beyond_ascii = [("x-forwarded-for", "\u{e9}, 198.51.100.1"), ("x-forwarded-for", "10.0.0.2")];
        assert_eq!(address("10.0.0.1", &beyond_ascii, &["10.0.0.0/8"]), "198.51.100.1");
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

    #[test]
    fn k5_what_is_no_address_ends_the_walk_at_the_hop_before_it() {
        let trusted = ["10.0.0.0/8"];
        for no_address in [
            "unknown",
            "_hidden",
            "_SEVKISEK",
            "",
            " ",
            "198.51.100",
            "198.51.100.1:",
            "198.51.100.1:99999",
            "1.2.3.4:5:6",
            "[198.51.100.1]",
            "198.51.100.1%eth0",
            "[2001:db8::7",
            "2001:db8::7]",
            "[2001:db8::7]x",
            "[2001:db8::7]:x",
            "198.51.100.1/24",
            "0x7f000001",
            "2130706433",
            "localhost",
            "\"198.51.100.1",
            "for=198.51.100.1",
        ] {
            let chain = format!("6.6.6.6, {no_address}, 10.0.0.2");
            assert_eq!(address("10.0.0.1", &[("x-forwarded-for", &chain)], &trusted), "10.0.0.2", "{no_address}");
            let chain = format!("for=6.6.6.6, for={no_address}, for=10.0.0.2");
            assert_eq!(address("10.0.0.1", &[("forwarded", &chain)], &trusted), "10.0.0.2", "{no_address}");
        }
        // An element with two clients, or with none.
        for element in ["for=6.6.6.6;for=7.7.7.7", "by=6.6.6.6", "proto=http", "for", "for=\"6.6.6.6", "for=6.6.6.6\""]
        {
            let chain = format!("{element}, for=10.0.0.2");
            assert_eq!(address("10.0.0.1", &[("forwarded", &chain)], &trusted), "10.0.0.2", "{element}");
        }
    }

    #[test]
    fn k5_an_address_is_read_with_its_port_its_zone_and_in_either_notation() {
        for (node, client) in [
            ("198.51.100.1", "198.51.100.1"),
            ("198.51.100.1:4711", "198.51.100.1"),
            ("198.51.100.1:_port", "198.51.100.1"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:443", "2001:db8::7"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%25eth0]:443", "fe80::1"),
            ("::ffff:198.51.100.1", "198.51.100.1"),
        ] {
            assert_eq!(address("10.0.0.1", &[("x-forwarded-for", node)], &["10.0.0.0/8"]), client, "{node}");
            let forwarded = format!("proto=https;for=\"{node}\"");
            assert_eq!(address("10.0.0.1", &[("forwarded", &forwarded)], &["10.0.0.0/8"]), client, "{node}");
        }
        assert_eq!(address("::ffff:203.0.113.7", &[], &[]), "203.0.113.7");
    }

    #[test]
    fn k5_no_more_than_a_hundred_hops_are_followed_and_what_is_no_text_hides_nobody() {
        let hops = |count: usize| format!("198.51.100.1{}", ", 10.0.0.2".repeat(count));
        assert_eq!(address("10.0.0.1", &[("x-forwarded-for", &hops(99))], &["10.0.0.0/8"]), "198.51.100.1");
        assert_eq!(address("10.0.0.1", &[("x-forwarded-for", &hops(100))], &["10.0.0.0/8"]), "10.0.0.2");
        assert_eq!(address("10.0.0.1", &[("x-forwarded-for", &hops(20_000))], &["10.0.0.0/8"]), "10.0.0.2");

        let mut map = HeaderMap::new();
        map.insert(X_FORWARDED_FOR, HeaderValue::from_bytes(b"\xff\xfe, 198.51.100.1").unwrap());
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        assert_eq!(client_address("10.0.0.1".parse().unwrap(), &map, &trusted).to_string(), "198.51.100.1");
    }
}
