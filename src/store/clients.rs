//! The tables `clients` and `client_secrets`: programs that act on their own, and what they prove it with.

use diesel::prelude::*;

use super::connection::AnyConnection;
use super::error::impossible_row;
use super::schema::{client_secrets, clients};
use super::{QueryResult, address};
use crate::domain::client::Client;
use crate::domain::registered_client::{ApiAudience, ClientId, ClientName, ClientSecret, RegisteredClient, SecretId};
use crate::domain::scope::Scopes;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::{SecurityVersion, UserId};

/// A client with its secrets, the oldest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WithSecrets {
    /// The client.
    pub client: RegisteredClient,
    /// Its secrets, those that have expired included.
    pub secrets: Vec<ClientSecret>,
}

/// What clients are ordered by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClientKey {
    /// When it was registered.
    pub created_at: Timestamp,
    /// Its id, which tells apart what was registered at once.
    pub id: ClientId,
}

#[derive(Queryable, Selectable, Identifiable, Insertable)]
#[diesel(table_name = clients)]
struct ClientRow {
    id: String,
    name: String,
    audience: Option<String>,
    scopes: String,
    security_version: i64,
    created_at: i64,
    created_by: Option<i64>,
    disabled_at: Option<i64>,
    last_used_at: Option<i64>,
    last_used_ip: Option<Vec<u8>>,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = client_secrets)]
struct SecretRow {
    id: String,
    client_id: String,
    digest: Vec<u8>,
    created_at: i64,
    expires_at: Option<i64>,
    last_used_at: Option<i64>,
}

impl TryFrom<ClientRow> for RegisteredClient {
    type Error = diesel::result::Error;

    fn try_from(row: ClientRow) -> QueryResult<Self> {
        let impossible = |problem| impossible_row("clients", &row.id, problem);
        let time = |micros: Option<i64>| micros.map(Timestamp::from_micros);
        Ok(Self {
            id: ClientId::parse(&row.id).ok_or_else(|| impossible("the id is none"))?,
            scopes: Scopes::parse(&row.scopes).ok_or_else(|| impossible("a scope is unknown"))?,
            last_used_ip: address::from_bytes("clients", &row.id, row.last_used_ip)?,
            name: ClientName::from_stored(row.name),
            audience: row.audience.map(ApiAudience::from_stored),
            security_version: SecurityVersion::new(row.security_version),
            created_at: Timestamp::from_micros(row.created_at),
            created_by: row.created_by.and_then(UserId::new),
            disabled_at: time(row.disabled_at),
            last_used_at: time(row.last_used_at),
        })
    }
}

impl TryFrom<SecretRow> for ClientSecret {
    type Error = diesel::result::Error;

    fn try_from(row: SecretRow) -> QueryResult<Self> {
        let impossible = |problem| impossible_row("client_secrets", &row.id, problem);
        Ok(Self {
            id: SecretId::parse(&row.id).ok_or_else(|| impossible("the id is no UUID"))?,
            digest: row.digest.as_slice().try_into().map_err(|_| impossible("the digest is not 32 bytes"))?,
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: row.expires_at.map(Timestamp::from_micros),
            last_used_at: row.last_used_at.map(Timestamp::from_micros),
        })
    }
}

/// Registers a client.
pub fn insert(connection: &mut AnyConnection, client: &RegisteredClient) -> QueryResult<()> {
    let row = ClientRow {
        id: client.id.to_string(),
        name: client.name.as_str().to_owned(),
        audience: client.audience.as_ref().map(|audience| audience.as_str().to_owned()),
        scopes: client.scopes.to_string(),
        security_version: client.security_version.get(),
        created_at: client.created_at.as_micros(),
        created_by: client.created_by.map(UserId::get),
        disabled_at: client.disabled_at.map(Timestamp::as_micros),
        last_used_at: None,
        last_used_ip: None,
    };
    diesel::insert_into(clients::table).values(row).execute(connection).map(|_| ())
}

/// The client with this id.
pub fn find(connection: &mut AnyConnection, id: ClientId) -> QueryResult<Option<RegisteredClient>> {
    let row: Option<ClientRow> =
        clients::table.find(id.to_string()).select(ClientRow::as_select()).first(connection).optional()?;
    row.map(RegisteredClient::try_from).transpose()
}

/// The client with this id, and its secrets, as they are at one moment.
pub fn find_with_secrets(connection: &mut AnyConnection, id: ClientId) -> QueryResult<Option<WithSecrets>> {
    let rows: Vec<(ClientRow, Option<SecretRow>)> = clients::table
        .left_join(client_secrets::table)
        .filter(clients::id.eq(id.to_string()))
        .order((client_secrets::created_at, client_secrets::id))
        .select((ClientRow::as_select(), Option::<SecretRow>::as_select()))
        .load(connection)?;
    let mut found: Option<WithSecrets> = None;
    for (client, secret) in rows {
        let found = match &mut found {
            Some(found) => found,
            none => none.insert(WithSecrets { client: client.try_into()?, secrets: Vec::new() }),
        };
        found.secrets.extend(secret.map(ClientSecret::try_from).transpose()?);
    }
    Ok(found)
}

/// Up to `limit` clients with their secrets, the newest first, behind the one with this key.
pub fn list(connection: &mut AnyConnection, behind: Option<ClientKey>, limit: i64) -> QueryResult<Vec<WithSecrets>> {
    let mut query = clients::table
        .order((clients::created_at.desc(), clients::id.desc()))
        .limit(limit)
        .select(ClientRow::as_select())
        .into_boxed();
    if let Some(ClientKey { created_at, id }) = behind {
        let earlier = clients::created_at.lt(created_at.as_micros());
        let at_once = clients::created_at.eq(created_at.as_micros()).and(clients::id.lt(id.to_string()));
        query = query.filter(earlier.or(at_once));
    }
    let rows: Vec<ClientRow> = query.load(connection)?;
    let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
    let secrets: Vec<SecretRow> = client_secrets::table
        .filter(client_secrets::client_id.eq_any(ids))
        .order((client_secrets::created_at, client_secrets::id))
        .select(SecretRow::as_select())
        .load(connection)?;
    let mut found = rows
        .into_iter()
        .map(|row| Ok(WithSecrets { client: row.try_into()?, secrets: Vec::new() }))
        .collect::<QueryResult<Vec<_>>>()?;
    for secret in secrets {
        let owner = ClientId::parse(&secret.client_id);
        if let Some(found) = found.iter_mut().find(|found| Some(found.client.id) == owner) {
            found.secrets.push(secret.try_into()?);
        }
    }
    Ok(found)
}

/// The client as it is now, held until the transaction ends: whoever else wants to change it or its secrets waits.
pub fn hold(connection: &mut AnyConnection, id: ClientId) -> QueryResult<Option<RegisteredClient>> {
    let same = clients::security_version.eq(clients::security_version);
    let row: Option<ClientRow> = diesel::update(clients::table.find(id.to_string()))
        .set(same)
        .returning(clients::all_columns)
        .get_result(connection)
        .optional()?;
    row.map(RegisteredClient::try_from).transpose()
}

/// Writes what can be changed of a client.
pub fn update(connection: &mut AnyConnection, client: &RegisteredClient) -> QueryResult<()> {
    diesel::update(clients::table.find(client.id.to_string()))
        .set((
            clients::name.eq(client.name.as_str()),
            clients::audience.eq(client.audience.as_ref().map(ApiAudience::as_str)),
            clients::scopes.eq(client.scopes.to_string()),
            clients::security_version.eq(client.security_version.get()),
            clients::disabled_at.eq(client.disabled_at.map(Timestamp::as_micros)),
        ))
        .execute(connection)
        .map(|_| ())
}

/// Deletes a client with its secrets; `false` when there is none.
pub fn delete(connection: &mut AnyConnection, id: ClientId) -> QueryResult<bool> {
    diesel::delete(client_secrets::table.filter(client_secrets::client_id.eq(id.to_string()))).execute(connection)?;
    Ok(diesel::delete(clients::table.find(id.to_string())).execute(connection)? == 1)
}

/// Makes every token of every client worthless.
pub fn raise_security_versions(connection: &mut AnyConnection, by: i64) -> QueryResult<()> {
    diesel::update(clients::table)
        .set(clients::security_version.eq(clients::security_version + by))
        .execute(connection)
        .map(|_| ())
}

/// How many secrets of a client have not expired.
pub fn count_valid_secrets(connection: &mut AnyConnection, id: ClientId, now: Timestamp) -> QueryResult<i64> {
    let valid = client_secrets::expires_at.is_null().or(client_secrets::expires_at.gt(now.as_micros()));
    client_secrets::table
        .filter(client_secrets::client_id.eq(id.to_string()))
        .filter(valid)
        .count()
        .get_result(connection)
}

/// Gives a client another secret.
pub fn insert_secret(connection: &mut AnyConnection, id: ClientId, secret: &ClientSecret) -> QueryResult<()> {
    let row = SecretRow {
        id: secret.id.to_string(),
        client_id: id.to_string(),
        digest: secret.digest.to_vec(),
        created_at: secret.created_at.as_micros(),
        expires_at: secret.expires_at.map(Timestamp::as_micros),
        last_used_at: None,
    };
    diesel::insert_into(client_secrets::table).values(row).execute(connection).map(|_| ())
}

/// Takes a secret away from a client; `false` when it has none of this id.
pub fn delete_secret(connection: &mut AnyConnection, id: ClientId, secret: SecretId) -> QueryResult<bool> {
    let one = client_secrets::table.find(secret.to_string()).filter(client_secrets::client_id.eq(id.to_string()));
    Ok(diesel::delete(one).execute(connection)? == 1)
}

/// Deletes the secrets of a client that have expired.
pub fn delete_expired_secrets(connection: &mut AnyConnection, id: ClientId, now: Timestamp) -> QueryResult<()> {
    let expired = client_secrets::table
        .filter(client_secrets::client_id.eq(id.to_string()))
        .filter(client_secrets::expires_at.le(now.as_micros()));
    diesel::delete(expired).execute(connection).map(|_| ())
}

/// Notes that a client was there, with this secret, unless that was noted after `unless_since`.
pub fn note_use(
    connection: &mut AnyConnection,
    id: ClientId,
    secret: SecretId,
    client: &Client,
    now: Timestamp,
    unless_since: Timestamp,
) -> QueryResult<()> {
    let is_due = clients::last_used_at.is_null().or(clients::last_used_at.le(unless_since.as_micros()));
    diesel::update(clients::table.find(id.to_string()).filter(is_due))
        .set((
            clients::last_used_at.eq(now.as_micros()),
            clients::last_used_ip.eq(client.address().map(address::to_bytes)),
        ))
        .execute(connection)?;
    let is_due = client_secrets::last_used_at.is_null().or(client_secrets::last_used_at.le(unless_since.as_micros()));
    diesel::update(client_secrets::table.find(secret.to_string()).filter(is_due))
        .set(client_secrets::last_used_at.eq(now.as_micros()))
        .execute(connection)
        .map(|_| ())
}
