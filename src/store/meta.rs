//! The table `meta`: what the store remembers about itself.

use diesel::prelude::*;

use super::connection::AnyConnection;
use super::schema::meta;

/// What can be remembered.
#[derive(Clone, Copy, Debug)]
pub enum Fact {
    /// The fingerprint of the secret that the store belongs to.
    SecretFingerprint,
    /// The issuer of its tokens.
    Issuer,
}

impl Fact {
    const fn name(self) -> &'static str {
        match self {
            Self::SecretFingerprint => "secret_fingerprint",
            Self::Issuer => "issuer",
        }
    }
}

/// What the store remembers, if anything.
pub fn get(connection: &mut AnyConnection, fact: Fact) -> QueryResult<Option<String>> {
    meta::table.find(fact.name()).select(meta::value).first(connection).optional()
}

/// Makes the store remember `value` instead of whatever it was.
pub fn set(connection: &mut AnyConnection, fact: Fact, value: &str) -> QueryResult<()> {
    diesel::delete(meta::table.find(fact.name())).execute(connection)?;
    diesel::insert_into(meta::table)
        .values((meta::name.eq(fact.name()), meta::value.eq(value)))
        .execute(connection)
        .map(|_| ())
}

/// What the store remembers, which is `value` from now on if it was nothing.
pub fn get_or_set(connection: &mut AnyConnection, fact: Fact, value: &str) -> QueryResult<String> {
    match get(connection, fact)? {
        Some(known) => Ok(known),
        None => set(connection, fact, value).map(|()| value.to_owned()),
    }
}
