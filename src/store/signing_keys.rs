//! The table `signing_keys`: public parts in the clear, private parts sealed by the key-encryption key.

use diesel::prelude::*;

use super::connection::AnyConnection;
use super::schema::signing_keys;
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
    superseded_at: Option<i64>,
}

impl StoredKey {
    /// A key that begins to sign at `created_at`.
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
            superseded_at: None,
        }
    }

    /// When it began to sign.
    pub fn created_at(&self) -> Timestamp {
        Timestamp::from_micros(self.created_at)
    }

    /// When it stopped signing; `None` while it signs.
    pub fn superseded_at(&self) -> Option<Timestamp> {
        self.superseded_at.map(Timestamp::from_micros)
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

/// Adds a key and makes every other one superseded.
pub fn make_current(connection: &mut AnyConnection, key: &StoredKey) -> QueryResult<()> {
    supersede_all(connection, Timestamp::from_micros(key.created_at))?;
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

/// Ends the signing of every key that still signs.
pub fn supersede_all(connection: &mut AnyConnection, now: Timestamp) -> QueryResult<()> {
    diesel::update(signing_keys::table.filter(signing_keys::superseded_at.is_null()))
        .set(signing_keys::superseded_at.eq(now.as_micros()))
        .execute(connection)
        .map(|_| ())
}

/// Ends every key for good: not even tokens that it signed before are accepted.
pub fn retire_all(connection: &mut AnyConnection) -> QueryResult<()> {
    diesel::update(signing_keys::table).set(signing_keys::superseded_at.eq(0_i64)).execute(connection).map(|_| ())
}

/// Replaces the sealed private part.
pub fn reseal(connection: &mut AnyConnection, kid: &str, sealed: &[u8], sealed_with: &str) -> QueryResult<()> {
    diesel::update(signing_keys::table.find(kid))
        .set((signing_keys::sealed_private_key.eq(sealed), signing_keys::sealed_with.eq(sealed_with)))
        .execute(connection)
        .map(|_| ())
}
