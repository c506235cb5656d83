//! The URL under which users reach Relatch.

use std::fmt;
use std::net::SocketAddr;

use url::{Host, Url};

/// An origin: `http` or `https`, a host and perhaps a port, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// Parses and normalises. Errors: what is wrong and what to write; the text itself is not repeated.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        const WRITE: &str = "write for example PUBLIC_URL=https://auth.example.com";
        let text = text.trim();
        // The URL parser drops control characters silently and takes http:host for http://host.
        let lower = text.to_ascii_lowercase();
        if text.contains(char::is_control) || !(lower.starts_with("http://") || lower.starts_with("https://")) {
            return Err(format!("is not an http or https URL; {WRITE}"));
        }
        let url = Url::parse(text).map_err(|error| format!("is not a URL ({error}); {WRITE}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(format!("must not hold a user name or password; {WRITE}"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("must not have a query or fragment; {WRITE}"));
        }
        if url.path() != "/" {
            return Err(format!("must not have a path, Relatch has a host name to itself; {WRITE}"));
        }
        Ok(Self(url))
    }

    /// `http://` and the address.
    pub(super) fn of_address(address: SocketAddr) -> Result<Self, String> {
        Self::parse(&format!("http://{address}"))
    }

    /// The URL without a trailing slash, so that a path can be put behind it.
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// Whether browsers speak TLS with it.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether only this machine can reach it: `localhost`, 127.0.0.0/8 or `[::1]`.
    pub fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// The host in lower case, an IPv6 address in brackets; no port.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The port, the scheme's own where none is written.
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or_default()
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_is_normalised_and_has_no_trailing_slash() {
        for (text, expected) in [
            (" HTTPS://Auth.Example.com:443/ ", "https://auth.example.com"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("http://[::1]:8080/", "http://[::1]:8080"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
        ] {
            let url = PublicUrl::parse(text).unwrap();
            assert_eq!((url.as_str(), url.to_string().as_str()), (expected, expected));
        }
        let url = PublicUrl::parse("https://[2001:db8::1]").unwrap();
        assert_eq!((url.is_https(), url.host(), url.port()), (true, "[2001:db8::1]", 443));
    }

    #[test]
    fn a_public_url_is_an_http_origin_and_nothing_more() {
        for text in [
            "",
            "auth.example.com",
            "ftp://example.com",
            "http:example.com",
            "https://",
            "https://example.com/auth",
            "https://example.com/?",
            "https://example.com/#",
            "https://user@example.com",
            "https://:hunter2@example.com",
            "https://exam\nple.com",
            "https://example.com:99999",
        ] {
            let problem = PublicUrl::parse(text).unwrap_err();
            assert!(problem.contains("write for example PUBLIC_URL=") && !problem.contains("hunter2"), "{problem}");
        }
    }

    #[test]
    fn loopback_is_localhost_and_the_loopback_addresses() {
        for (text, expected) in [
            ("http://localhost", true),
            ("http://LOCALHOST:1", true),
            ("http://127.0.0.1", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:8080", true),
            ("http://0.0.0.0", false),
            ("http://192.168.0.1", false),
            ("http://localhost.example.com", false),
            ("http://127.0.0.1.example.com", false),
        ] {
            assert_eq!(PublicUrl::parse(text).unwrap().is_loopback(), expected, "{text}");
        }
    }
}
