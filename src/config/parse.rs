//! What becomes of one value: a function each, from text to type, or what is wrong with it and what to write.
//!
//! No function here knows another variable's value, and none repeats a value that may be secret.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ipnet::IpNet;
use url::Url;

use super::{DatabaseUrl, JwtAlgorithm, LogFormat, LogLevel, ProfileClaims, Registration, sample_keys};
use crate::secret::Secret;

/// A value, or what is wrong and what to write.
pub(super) type Parsed<T> = Result<T, String>;

pub(super) fn database_url(text: &str) -> Parsed<DatabaseUrl> {
    let text = text.trim();
    if let Some(path) = text.strip_prefix("sqlite://") {
        return sqlite_path(path).map(DatabaseUrl::Sqlite);
    }
    // libpq reads the rest: it takes several hosts, sockets and parameters that a URL parser refuses.
    match text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://")) {
        Some("") => Err("names no Postgres server; write postgres://user:password@host/database".to_owned()),
        Some(rest) if rest.contains(|letter: char| letter.is_control() || letter == ' ') => {
            Err("has blanks or control characters in it; write them as %20 and the like".to_owned())
        }
        Some(rest) if let Some(wrong) = misread_by_libpq(rest) => Err(wrong.to_owned()),
        Some(_) => Ok(DatabaseUrl::Postgres(Secret::new(text.to_owned()))),
        None => {
            let what = "has an unknown scheme; write sqlite://path or postgres://user:password@host/database";
            Err(what.to_owned())
        }
    }
}

/// What libpq would not understand, or take for something else: its complaint repeats the text, perhaps a password.
fn misread_by_libpq(rest: &str) -> Option<&'static str> {
    let is_escape = |behind: &str| {
        let digits = behind.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        digits.is_some_and(|digits| digits != "00")
    };
    if !rest.split('%').skip(1).all(is_escape) {
        return Some("has a % that begins no character; write a % of a password as %25");
    }
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = before.split_once('/').unwrap_or((before, ""));
    if authority.matches('@').count() > 1 || path.contains('@') || query.contains('@') {
        return Some("has an @ where none is expected; write @, / and ? of a password as %40, %2F and %3F");
    }
    let hosts = authority.split_once('@').map_or(authority, |(_, hosts)| hosts);
    let is_host = |host: &str| {
        let behind = host.rsplit_once(']').map_or(host, |(_, behind)| behind);
        behind.split_once(':').is_none_or(|(_, port)| port.bytes().all(|digit| digit.is_ascii_digit()))
    };
    if !hosts.split(',').all(is_host) {
        return Some("has a port that is no number; write user:password@host:port, and / of a password as %2F");
    }
    let is_parameter = |parameter: &str| parameter.matches('=').count() == 1;
    if !query.is_empty() && !query.split('&').all(is_parameter) {
        return Some("has a parameter that is not name=value; write ?, & and = of values as %3F, %26 and %3D");
    }
    None
}

fn sqlite_path(path: &str) -> Parsed<PathBuf> {
    let wrong = match path {
        "" => "names no file",
        ":memory:" => "would forget everything at each restart",
        _ if path.starts_with("file:") => "must be a path without file:",
        _ if path.starts_with("~/") => "has a ~ in it, which only shells understand",
        _ if path.contains('?') => "takes no parameters",
        _ if path.contains(char::is_control) => "has control characters in it",
        _ if path.ends_with(['/', '.']) => "names a folder",
        _ => return Ok(PathBuf::from(path)),
    };
    Err(format!("{wrong}; write sqlite://data/relatch.db or sqlite:///absolute/path.db"))
}

pub(super) fn socket_address(text: &str) -> Parsed<SocketAddr> {
    let wrong = || format!("{} is not an address with a port; write for example 127.0.0.1:8080", shown(text));
    text.trim().parse().map_err(|_| wrong())
}

pub(super) fn file(text: &str) -> Parsed<PathBuf> {
    match text.trim() {
        path if path.is_empty() || path.ends_with('/') || path.contains(char::is_control) => {
            Err("names no file; write a path such as data/secret.key".to_owned())
        }
        path => Ok(PathBuf::from(path)),
    }
}

/// Reads the server's secret: base64 in either alphabet, padded or not, of at least 32 bytes.
///
/// # Errors
/// What is wrong and what to write; the text itself is not repeated.
pub fn secret_key(text: &str) -> Result<Secret<Vec<u8>>, String> {
    const WRITE: &str = "write what `openssl rand -base64 32` prints";
    const CONFIG: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engines = [&alphabet::STANDARD, &alphabet::URL_SAFE].map(|alphabet| GeneralPurpose::new(alphabet, CONFIG));
    let decoded = engines.iter().find_map(|engine| engine.decode(text.trim()).ok()).map(Secret::new);
    let key = decoded.ok_or_else(|| format!("is not base64; {WRITE}"))?;
    match key.expose() {
        bytes if bytes.len() < 32 => Err(format!("is {} bytes, 32 are needed; {WRITE}", bytes.len())),
        bytes if sample_keys::has_few_bytes(bytes) => Err(format!("is not random; {WRITE}")),
        _ => Ok(key),
    }
}

pub(super) fn secret_keys(text: &str) -> Parsed<Vec<Secret<Vec<u8>>>> {
    let keys: Vec<_> = list(text).collect();
    if keys.len() > 8 {
        return Err(format!("holds {} keys; write at most 8", keys.len()));
    }
    let numbered = |(index, key)| secret_key(key).map_err(|wrong| format!("key {} {wrong}", index + 1));
    keys.into_iter().enumerate().map(numbered).collect()
}

/// The bytes as they are, at least 32 of them (RFC 7518 §3.2), and not a key that others know.
pub(super) fn jwt_key(text: &str) -> Parsed<Secret<Vec<u8>>> {
    const WRITE: &str = "write what `openssl rand -base64 48` prints";
    if text.len() < 32 {
        return Err(format!("is {} bytes, RFC 7518 §3.2 asks for 32; {WRITE}", text.len()));
    }
    match sample_keys::weakness(text.as_bytes()) {
        Some(weakness) => Err(format!("{weakness}; {WRITE}")),
        None => Ok(Secret::new(text.as_bytes().to_vec())),
    }
}

pub(super) fn jwt_algorithm(text: &str) -> Parsed<JwtAlgorithm> {
    let all = [JwtAlgorithm::Es256, JwtAlgorithm::EdDsa, JwtAlgorithm::Rs256, JwtAlgorithm::Hs256];
    one_of(text, &all.map(|algorithm| (algorithm.as_str(), algorithm)))
}

/// A StringOrURI: with a colon in it, it must be a URI (RFC 7519 §2).
pub(super) fn string_or_uri(text: &str) -> Parsed<String> {
    let text = text.trim();
    if text.is_empty() || text.contains(char::is_control) {
        return Err("is empty or has control characters in it; write a name or a URI".to_owned());
    }
    if text.contains(':') && Url::parse(text).is_err() {
        return Err(format!("{} has a colon and is no URI; write a URI, or a name without a colon", shown(text)));
    }
    Ok(text.to_owned())
}

/// Whether an issuer can be what RFC 8414 §2 asks for, so that its metadata is found by it.
pub(super) fn is_web_address(text: &str) -> bool {
    let is_plain =
        |url: Url| ["http", "https"].contains(&url.scheme()) && url.query().is_none() && url.fragment().is_none();
    Url::parse(text).is_ok_and(is_plain)
}

pub(super) fn number(text: &str, range: RangeInclusive<u32>, unit: &str) -> Parsed<u32> {
    let (least, most) = (range.start(), range.end());
    let wrong = || format!("{} is not allowed; write a whole number from {least} to {most} ({unit})", shown(text));
    text.trim().parse().ok().filter(|number| range.contains(number)).ok_or_else(wrong)
}

pub(super) fn on_off(text: &str) -> Parsed<bool> {
    one_of(text, &[("on", true), ("off", false)])
}

pub(super) fn profile_claims(text: &str) -> Parsed<ProfileClaims> {
    one_of(text, &[("on", ProfileClaims::Included), ("off", ProfileClaims::Omitted)])
}

pub(super) fn registration(text: &str) -> Parsed<Registration> {
    one_of(text, &[("open", Registration::Open), ("closed", Registration::Closed)])
}

/// Addresses and CIDRs; a bare address is a network of its own, and bits behind the prefix are cleared.
pub(super) fn networks(text: &str) -> Parsed<Vec<IpNet>> {
    let network = |part: &str| {
        let address = || part.parse::<IpAddr>().map(IpNet::from);
        let wrong = |_| format!("{} is no address or CIDR; write for example 10.0.0.0/8, 192.0.2.1", shown(part));
        part.parse::<IpNet>().map(|network| network.trunc()).or_else(|_| address()).map_err(wrong)
    };
    list(text).map(network).collect()
}

/// Origins as browsers write them into `Origin` (RFC 6454 §6.2): no path, no default port, the host in lower case.
pub(super) fn origins(text: &str) -> Parsed<Vec<String>> {
    let origin = |part: &str| {
        let url = Url::parse(part).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let is_bare = |url: &Url| {
            let rest = (url.path(), url.query(), url.fragment(), url.username(), url.password());
            rest == ("/", None, None, "", None)
        };
        url.filter(is_bare).map(|url| url.origin().ascii_serialization()).ok_or_else(|| {
            format!("{} is no origin; name each one, without a path: https://app.example.com", shown(part))
        })
    };
    list(text).map(origin).collect()
}

pub(super) fn log_level(text: &str) -> Parsed<LogLevel> {
    let all = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];
    one_of(text, &all.map(|level| (level.as_str(), level)))
}

pub(super) fn log_format(text: &str) -> Parsed<LogFormat> {
    one_of(text, &[("text", LogFormat::Text), ("json", LogFormat::Json)])
}

fn one_of<T: Copy>(text: &str, choices: &[(&str, T)]) -> Parsed<T> {
    let found = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(text.trim()));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        format!("{} is not a choice; write one of: {}", shown(text), names.join(", "))
    })
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| letter == ',' || letter.is_whitespace()).filter(|part| !part.is_empty())
}

/// A value that is no secret, quoted, on one line and short.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(40).collect();
    if short.len() < text.len() { format!("{short:?}…") } else { format!("{short:?}") }
}
