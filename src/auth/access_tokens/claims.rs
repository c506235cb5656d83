//! The header and claims of an access token, typed so that what is not of the right type is no token.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::status_list::Status;
use crate::domain::timestamp::Timestamp;

/// The header of every token we issue; there is no other member.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenHeader {
    pub(super) alg: String,
    pub(super) kid: String,
    pub(super) typ: String,
}

/// The claims of RFC 9068 §2.2 and ours. A member that is there twice is refused by serde.
#[derive(Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) aud: Audience,
    pub(super) sub: String,
    pub(super) iat: NumericDate,
    pub(super) nbf: NumericDate,
    pub(super) exp: NumericDate,
    pub(super) jti: String,
    pub(super) sid: String,
    pub(super) ver: i64,
    pub(super) client_id: String,
    pub(super) role: String,
    /// What API consumers read of a person. It decides nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unique_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email: Option<String>,
    /// For APIs that verify without asking. Here the store decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<Status>,
}

/// The claims of a token that a registered client got for itself (RFC 6749 §4.4): it has no session, no user and no role.
#[derive(Serialize, Deserialize)]
pub(super) struct ClientClaims {
    pub(super) iss: String,
    pub(super) aud: Audience,
    pub(super) sub: String,
    pub(super) iat: NumericDate,
    pub(super) nbf: NumericDate,
    pub(super) exp: NumericDate,
    pub(super) jti: String,
    pub(super) ver: i64,
    pub(super) client_id: String,
    pub(super) scope: String,
    /// With which of its secrets the client got it.
    pub(super) secret_id: String,
}

/// The claims of a token of either sort. What has all claims of a user's token is one.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum AnyClaims {
    User(Claims),
    Client(ClientClaims),
}

/// One audience or several (RFC 7519 §4.1.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Audience(Vec<String>);

impl Audience {
    pub(in crate::auth) fn one(audience: &str) -> Self {
        Self(vec![audience.to_owned()])
    }

    /// Whether this audience is meant.
    pub fn contains(&self, audience: &str) -> bool {
        self.0.iter().any(|one| one == audience)
    }
}

impl Serialize for Audience {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Audience;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string or an array of strings")
            }

            fn visit_str<E: de::Error>(self, one: &str) -> Result<Audience, E> {
                Ok(Audience::one(one))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut sequence: A) -> Result<Audience, A::Error> {
                let mut several = Vec::new();
                while let Some(one) = sequence.next_element()? {
                    several.push(one);
                }
                Ok(Audience(several))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Seconds since the epoch; a fraction is allowed (RFC 7519 §2).
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub(super) struct NumericDate(Timestamp);

impl NumericDate {
    pub(super) fn from_seconds(seconds: i64) -> Self {
        Self(Timestamp::from_micros(seconds.saturating_mul(1_000_000)))
    }

    pub(super) fn timestamp(self) -> Timestamp {
        self.0
    }
}

impl Serialize for NumericDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0.as_seconds())
    }
}

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// A date beyond the year 9999 is no date.
        const LATEST: f64 = 253_402_300_799.0;
        let seconds = f64::deserialize(deserializer)?;
        if !(0.0..=LATEST).contains(&seconds) {
            return Err(de::Error::custom("not a date"));
        }
        #[expect(clippy::cast_possible_truncation, reason = "the range was checked; a date is cut to the microsecond")]
        Ok(Self(Timestamp::from_micros((seconds * 1_000_000.0) as i64)))
    }
}
