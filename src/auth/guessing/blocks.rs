//! What keeps guesses out, for admins and operators to see and to lift.

use serde_json::json;

use crate::auth::cursor::{self, CursorKey, Page};
use crate::auth::failure::Failure;
use crate::auth::users::ListError;
use crate::auth::{Actor, Auth};
use crate::domain::client::Client;
use crate::domain::network::Network;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::UserId;
use crate::store::audit_events::{self, Event, Kind};
use crate::store::guess_counters;
pub use crate::store::guess_counters::{Block, BlockKey, Owner, Place};

/// What is lifted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// One block.
    One(BlockKey),
    /// All that was counted of a user.
    OfUser(UserId),
    /// All that was counted from a network.
    OfNetwork(Network),
    /// Everything.
    All,
}

/// Why nothing was lifted.
#[derive(Debug, thiserror::Error)]
pub enum ClearError {
    /// The actor was signed out or changed meanwhile.
    #[error("whoever wanted this may no longer do it")]
    NoLongerPermitted,
    /// No answer could be found.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl CursorKey for BlockKey {
    const LIST: u8 = b'b';

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.until.as_micros().to_be_bytes().to_vec();
        bytes.extend(self.subject);
        bytes.extend(self.place.to_string().into_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (until, rest) = bytes.split_first_chunk::<8>()?;
        let (subject, place) = rest.split_first_chunk::<32>()?;
        let until = Timestamp::from_micros(i64::from_be_bytes(*until));
        Some(Self { until, subject: *subject, place: Place::parse(std::str::from_utf8(place).ok()?)? })
    }
}

/// A page of what keeps somebody out now, what lasts longest first.
pub async fn list_blocks(auth: &Auth, cursor: Option<&str>, limit: u32) -> Result<Page<Block>, ListError> {
    let after = cursor.map(|cursor| cursor::decode::<BlockKey>(&auth.keyring, cursor)).transpose()?;
    let now = auth.now();
    let rows = auth
        .read(move |connection| guess_counters::blocks(connection, None, after.as_ref(), now, i64::from(limit) + 1));
    Ok(Page::cut(&auth.keyring, rows.await?, limit, |block| block.key))
}

/// What keeps guesses at a user out now, the hundred that last longest.
pub async fn blocks_of_user(auth: &Auth, user: UserId) -> Result<Vec<Block>, Failure> {
    let now = auth.now();
    auth.read(move |connection| guess_counters::blocks(connection, Some(user), None, now, 100)).await
}

/// What names a block to whoever is to lift it: nobody can make it up.
pub fn handle_of(auth: &Auth, key: &BlockKey) -> String {
    cursor::encode(&auth.keyring, key)
}

/// The block that a handle names.
pub fn block_of(auth: &Auth, handle: &str) -> Option<BlockKey> {
    cursor::decode(&auth.keyring, handle).ok()
}

/// Forgets wrong guesses, whether they keep somebody out already or not; says how many counts there were.
pub async fn clear_blocks(auth: &Auth, actor: Actor<'_>, which: Which, client: &Client) -> Result<usize, ClearError> {
    let (by, credentials, now, client) = (actor.by(), actor.credentials(), auth.now(), client.clone());
    let cleared = auth.write_end(move |connection| {
        if !credentials.still_hold(connection)? {
            return Ok(None);
        }
        let event = Event::new(Kind::BlockCleared, now, by, &client);
        let (event, cleared, detail) = match which {
            Which::One(key) => {
                let network = key.place.to_string();
                match guess_counters::clear_one(connection, &key)? {
                    Some(Owner::User(user)) => (event.about(user), 1, json!({ "network": network })),
                    Some(Owner::Client(id)) => (event.of_client(id), 1, json!({ "network": network })),
                    Some(Owner::Nobody) => (event, 1, json!({ "network": network })),
                    None => return Ok(Some(0)),
                }
            }
            Which::OfUser(user) => (event.about(user), guess_counters::clear_user(connection, user)?, json!({})),
            Which::OfNetwork(network) => {
                let cleared = guess_counters::clear_network(connection, network)?;
                (event, cleared, json!({ "network": network.to_string() }))
            }
            Which::All => (event, guess_counters::clear_all(connection)?, json!({ "all": true })),
        };
        if cleared > 0 {
            let mut detail = detail;
            if let Some(members) = detail.as_object_mut() {
                members.insert("cleared".to_owned(), json!(cleared));
            }
            audit_events::record(connection, &event.with(detail))?;
        }
        Ok(Some(cleared))
    });
    cleared.await?.ok_or(ClearError::NoLongerPermitted)
}
