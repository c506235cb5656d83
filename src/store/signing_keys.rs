//! The table `signing_keys`: public parts in the clear, private parts sealed by the key-encryption key, and schedules.

use diesel::prelude::*;

use super::connection::AnyConnection;
use super::schema::signing_keys;
use crate::domain::key_schedule::KeySchedule;
use crate::domain::timestamp::Timestamp;

/// A key pair as it is stored.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = signing_keys)]
pub struct StoredKey {
    /// The RFC 7638 thumbprint of the public part.
    pub kid: String,
    /// The one `alg` the key is for.
    pub algorithm: String,
    /// The public part as a JWK (RFC 7517).
    pub public_jwk: String,
    /// The private part, PKCS #8, sealed for this `kid`.
    pub sealed_private_key: Vec<u8>,
    /// The fingerprint of the secret whose key sealed it.
    pub sealed_with: String,
    created_at: i64,
    signs_from: Option<i64>,
    superseded_at: Option<i64>,
    retired_at: Option<i64>,
}

impl StoredKey {
    /// A key that waits for its turn from `created_at` on.
    pub fn new(
        kid: String,
        algorithm: &str,
        public_jwk: String,
        sealed_private_key: Vec<u8>,
        sealed_with: &str,
        created_at: Timestamp,
    ) -> Self {
        Self {
            kid,
            algorithm: algorithm.to_owned(),
            public_jwk,
            sealed_private_key,
            sealed_with: sealed_with.to_owned(),
            created_at: created_at.as_micros(),
            signs_from: None,
            superseded_at: None,
            retired_at: None,
        }
    }

    /// When it signs, and until when it counts.
    pub fn schedule(&self) -> KeySchedule {
        KeySchedule {
            created_at: Timestamp::from_micros(self.created_at),
            signs_from: self.signs_from.map(Timestamp::from_micros),
            superseded_at: self.superseded_at.map(Timestamp::from_micros),
            retired_at: self.retired_at.map(Timestamp::from_micros),
        }
    }
}

impl std::fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredKey").field("kid", &self.kid).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// All keys, the newest first.
pub fn all(connection: &mut AnyConnection) -> QueryResult<Vec<StoredKey>> {
    signing_keys::table
        .order((signing_keys::created_at.desc(), signing_keys::kid))
        .select(StoredKey::as_select())
        .load(connection)
}

/// Adds a key that waits for its turn.
pub fn insert(connection: &mut AnyConnection, key: &StoredKey) -> QueryResult<()> {
    diesel::insert_into(signing_keys::table)
        .values((
            signing_keys::kid.eq(&key.kid),
            signing_keys::algorithm.eq(&key.algorithm),
            signing_keys::public_jwk.eq(&key.public_jwk),
            signing_keys::sealed_private_key.eq(&key.sealed_private_key),
            signing_keys::sealed_with.eq(&key.sealed_with),
            signing_keys::created_at.eq(key.created_at),
        ))
        .execute(connection)
        .map(|_| ())
}

/// Lets a key sign from this time on, with nothing to take its place.
pub fn begin(connection: &mut AnyConnection, kid: &str, signs_from: Timestamp) -> QueryResult<()> {
    diesel::update(signing_keys::table.find(kid))
        .set((signing_keys::signs_from.eq(signs_from.as_micros()), signing_keys::superseded_at.eq(None::<i64>)))
        .execute(connection)
        .map(|_| ())
}

/// Lets a key sign no longer than until this time.
pub fn supersede(connection: &mut AnyConnection, kid: &str, at: Timestamp) -> QueryResult<()> {
    diesel::update(signing_keys::table.find(kid))
        .set(signing_keys::superseded_at.eq(at.as_micros()))
        .execute(connection)
        .map(|_| ())
}

/// Ends a key for good: not even tokens that it signed before are accepted.
pub fn retire(connection: &mut AnyConnection, kid: &str, at: Timestamp) -> QueryResult<()> {
    diesel::update(signing_keys::table.find(kid))
        .set(signing_keys::retired_at.eq(at.as_micros()))
        .execute(connection)
        .map(|_| ())
}

/// Removes a key.
pub fn delete(connection: &mut AnyConnection, kid: &str) -> QueryResult<()> {
    diesel::delete(signing_keys::table.find(kid)).execute(connection).map(|_| ())
}

/// Replaces the sealed private part.
pub fn reseal(connection: &mut AnyConnection, kid: &str, sealed: &[u8], sealed_with: &str) -> QueryResult<()> {
    diesel::update(signing_keys::table.find(kid))
        .set((signing_keys::sealed_private_key.eq(sealed), signing_keys::sealed_with.eq(sealed_with)))
        .execute(connection)
        .map(|_| ())
}
