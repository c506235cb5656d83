//! Looking at clients, for admins and operators.

use crate::auth::Auth;
use crate::auth::cursor::{self, CursorKey, Page};
use crate::auth::failure::Failure;
use crate::auth::users::ListError;
use crate::domain::registered_client::ClientId;
use crate::domain::timestamp::Timestamp;
use crate::store::clients::{self, ClientKey, WithSecrets};

impl CursorKey for ClientKey {
    const LIST: u8 = b'c';

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.created_at.as_micros().to_be_bytes().to_vec();
        bytes.extend(self.id.as_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (time, id) = bytes.split_first_chunk::<8>()?;
        let created_at = Timestamp::from_micros(i64::from_be_bytes(*time));
        Some(Self { created_at, id: ClientId::new(id.try_into().ok()?) })
    }
}

/// A page of clients, the newest first.
pub async fn list_clients(auth: &Auth, cursor: Option<&str>, limit: u32) -> Result<Page<WithSecrets>, ListError> {
    let behind = cursor.map(|cursor| cursor::decode::<ClientKey>(&auth.keyring, cursor)).transpose()?;
    let rows = auth.read(move |connection| clients::list(connection, behind, i64::from(limit) + 1)).await?;
    let key = |row: &WithSecrets| ClientKey { created_at: row.client.created_at, id: row.client.id };
    Ok(Page::cut(&auth.keyring, rows, limit, key))
}

/// The client with this id.
pub async fn find_client(auth: &Auth, id: ClientId) -> Result<Option<WithSecrets>, Failure> {
    auth.read(move |connection| clients::find_with_secrets(connection, id)).await
}
