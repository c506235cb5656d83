//! Registered clients: programs with an id and a secret of their own. [`Client`](super::client::Client) is something
//! else: whoever is at the other end of a request.

use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::scope::Scopes;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::{SecurityVersion, UserId};
use crate::secret::Secret;

/// What every client's id begins with.
const ID_PREFIX: &str = "rlc_";
/// What every client's secret begins with, so that scanners and people recognise one.
const SECRET_PREFIX: &str = "rls_";

/// A client's id: `rlc_` and 16 random characters. It is no secret, and is never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientId([u8; 12]);

impl ClientId {
    /// From 96 random bits.
    pub const fn new(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }

    /// Reads the one way to write it.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(ID_PREFIX)?).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ID_PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// The id of one of a client's secrets. It says nothing of the secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SecretId(uuid::Uuid);

impl SecretId {
    /// From a random UUID.
    pub const fn new(id: uuid::Uuid) -> Self {
        Self(id)
    }

    /// Reads the one way to write it.
    pub fn parse(text: &str) -> Option<Self> {
        let id = uuid::Uuid::parse_str(text).ok()?;
        (id.to_string() == text).then_some(Self(id))
    }
}

impl fmt::Display for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Writes a secret of 256 bits as it is handed out: `rls_` and 43 characters.
pub fn write_secret(random: &Secret<String>) -> Secret<String> {
    Secret::new(format!("{SECRET_PREFIX}{}", random.expose()))
}

/// Whether a text has the shape of a secret of ours. Nothing else is looked for.
pub fn is_secret(text: &str) -> bool {
    text.strip_prefix(SECRET_PREFIX)
        .and_then(|random| URL_SAFE_NO_PAD.decode(random).ok().map(zeroize::Zeroizing::new))
        .is_some_and(|bytes| bytes.len() == 32)
}

/// Why a name is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("must be 1 to {} characters long, without control characters", ClientName::LONGEST)]
pub struct BadName;

/// What people call a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientName(String);

impl ClientName {
    /// The most characters of a name.
    pub const LONGEST: usize = 64;

    /// Reads a name; white space at its ends is cut off.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let text = text.trim();
        let is_plain = !text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'));
        let fits = (1..=Self::LONGEST).contains(&text.chars().count());
        if is_plain && fits { Ok(Self(text.to_owned())) } else { Err(BadName) }
    }

    /// The name as it is stored.
    pub(crate) fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why an audience is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("must be 1 to {} characters of ASCII without spaces", ApiAudience::LONGEST)]
pub struct BadAudience;

/// For whom tokens are that a resource server may ask about: a member of their `aud`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiAudience(String);

impl ApiAudience {
    /// The most characters of an audience.
    pub const LONGEST: usize = 255;

    /// Reads an audience.
    pub fn parse(text: &str) -> Result<Self, BadAudience> {
        let fits = (1..=Self::LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err(BadAudience) }
    }

    /// The audience as it is stored.
    pub(crate) fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A client as it stands, without its secrets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegisteredClient {
    /// Its id.
    pub id: ClientId,
    /// What people call it.
    pub name: ClientName,
    /// Whose tokens it may ask about; `None` for every token of this server.
    pub audience: Option<ApiAudience>,
    /// What it may do.
    pub scopes: Scopes,
    /// Rises whenever it may do less or something else than before; its tokens carry it as `ver`.
    pub security_version: SecurityVersion,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Which admin did that; `None` for an operator.
    pub created_by: Option<UserId>,
    /// Since when it is kept out, if it is.
    pub disabled_at: Option<Timestamp>,
    /// When it was last there, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// From where that was.
    pub last_used_ip: Option<IpAddr>,
}

impl RegisteredClient {
    /// Whether it is let in.
    pub const fn is_active(&self) -> bool {
        self.disabled_at.is_none()
    }
}

/// A secret of a client, less the secret itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientSecret {
    /// Its id.
    pub id: SecretId,
    /// SHA-256 of it.
    pub digest: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
    /// When it expires, if it does.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

impl ClientSecret {
    /// Whether it has not expired.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| now < at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_in_one_way() {
        let id = ClientId::new([7; 12]);
        let text = id.to_string();
        assert_eq!((text.len(), ClientId::parse(&text)), (20, Some(id)));
        let wrong = ["", "rlc_", "relatch", "rlc_BwcHBwcHBwcHBwc", "rlc_BwcHBwcHBwcHBwcHB", "RLC_BwcHBwcHBwcHBwcH"];
        for wrong in wrong.into_iter().chain(["rlc_BwcHBwcHBwcHBwcH ", "rlc_BwcHBwcHBwcHBw==", "rls_BwcHBwcHBwcHBwcH"])
        {
            assert_eq!(ClientId::parse(wrong), None, "{wrong}");
        }
        let id = SecretId::new(uuid::Uuid::from_bytes([0xab; 16]));
        assert_eq!(SecretId::parse(&id.to_string()), Some(id));
        assert_eq!(SecretId::parse(&id.to_string().to_uppercase()), None);
    }

    #[test]
    fn b11_what_is_no_whole_secret_is_none() {
        let secret = write_secret(&Secret::new("A".repeat(43)));
        let text = secret.expose();
        assert!(is_secret(text));
        for wrong in
            ["", "rls_", &text[1..], &text[..46], &format!("{text}A"), &format!("{text}="), &format!(" {text}")]
        {
            assert!(!is_secret(wrong), "{wrong}");
        }
        // The last character has two bits that must be zero.
        assert!(!is_secret(&format!("{}B", &text[..46])));
    }

    #[test]
    fn l8_names_and_audiences_are_plain_text_of_some_length() {
        assert_eq!(ClientName::parse("  Billing API ").unwrap().as_str(), "Billing API");
        assert!(ClientName::parse(&"é".repeat(64)).is_ok());
        for wrong in ["", "  ", "a\u{0}", "a\nb", "\u{2028}a\u{2029}b", &"x".repeat(65)] {
            assert_eq!(ClientName::parse(wrong), Err(BadName), "{wrong:?}");
        }
        assert_eq!(ApiAudience::parse("https://api.example.com").unwrap().as_str(), "https://api.example.com");
        for wrong in ["", "a b", "é", "a\n", &"x".repeat(256)] {
            assert_eq!(ApiAudience::parse(wrong), Err(BadAudience), "{wrong:?}");
        }
    }
}
