//! The table `meta`: what the store remembers about itself.

use diesel::prelude::*;

use super::connection::AnyConnection;
use super::schema::{audit_events, meta};

/// What can be remembered.
#[derive(Clone, Copy, Debug)]
pub enum Fact {
    /// The fingerprint of the secret that the store belongs to.
    SecretFingerprint,
    /// The issuer of its tokens.
    Issuer,
    /// What the last deletion of old rows came to, in JSON.
    LastPruning,
    /// When the last copy of an SQLite store was made, and how large it is, in JSON.
    LastBackup,
    /// When a copy could not be made, and why, in JSON.
    LastFailedBackup,
}

impl Fact {
    const fn name(self) -> &'static str {
        match self {
            Self::SecretFingerprint => "secret_fingerprint",
            Self::Issuer => "issuer",
            Self::LastPruning => "last_pruning",
            Self::LastBackup => "last_backup",
            Self::LastFailedBackup => "last_failed_backup",
        }
    }
}

/// What the store remembers, if anything.
pub fn get(connection: &mut AnyConnection, fact: Fact) -> QueryResult<Option<String>> {
    meta::table.find(fact.name()).select(meta::value).first(connection).optional()
}

/// What the store remembers of several things, in one statement.
pub fn get_all<const N: usize>(connection: &mut AnyConnection, facts: [Fact; N]) -> QueryResult<[Option<String>; N]> {
    let rows: Vec<(String, String)> = meta::table
        .filter(meta::name.eq_any(facts.map(Fact::name)))
        .select((meta::name, meta::value))
        .load(connection)?;
    Ok(facts.map(|fact| rows.iter().find(|(name, _)| name == fact.name()).map(|(_, value)| value.clone())))
}

/// What the store remembers of two things, and when the oldest event without a seal happened: in one statement, for a page
/// that has few.
pub fn get_with_unsealed(
    connection: &mut AnyConnection,
    facts: [Fact; 2],
) -> QueryResult<([Option<String>; 2], Option<i64>)> {
    let [one, other] = facts.map(|fact| meta::table.find(fact.name()).select(meta::value).single_value());
    let unsealed = audit_events::table
        .filter(audit_events::seal_number.is_null())
        .order(audit_events::id)
        .select(audit_events::occurred_at)
        .single_value();
    let (one, other, unsealed) = diesel::select((one, other, unsealed)).get_result(connection)?;
    Ok(([one, other], unsealed))
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
