//! Spending a refresh token: one conditional update, whose row count is the verdict.

use diesel::QueryResult;

use crate::domain::client::Client;
use crate::domain::rotation::{RATE_WINDOW, RotationRules};
use crate::domain::session::{Generation, Session, SessionId};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::User;
use crate::store::connection::AnyConnection;
use crate::store::{address, refresh_tokens, statements};

/// The token that is to be spent.
#[derive(Clone, Copy, Debug)]
pub struct Spend<'a> {
    /// Its session.
    pub session_id: SessionId,
    /// Its generation.
    pub generation: Generation,
    /// SHA-256 of its nonce.
    pub nonce_digest: &'a [u8; 32],
}

/// What the update compares with and writes, as the database has it.
pub(in crate::store) struct Changes<'a> {
    pub(in crate::store) session_id: &'a [u8],
    pub(in crate::store) generation: i64,
    pub(in crate::store) last_generation: i64,
    pub(in crate::store) nonce_digest: &'a [u8],
    pub(in crate::store) now: i64,
    pub(in crate::store) ip: Option<Vec<u8>>,
    pub(in crate::store) user_agent: Option<&'a str>,
    pub(in crate::store) idle_expires_at: i64,
    /// A window of rotations that began at this time or before is over.
    pub(in crate::store) window_over: i64,
    /// A running window must have begun after this generation.
    pub(in crate::store) earliest_window_generation: i64,
    /// The generation in the middle of a long history that is dropped now.
    pub(in crate::store) folded_generation: i64,
}

/// Makes the session's next generation and notes it in the history, if the token is current and all that a refresh
/// needs holds: the session open and unexpired, its user active, the rate kept, a generation left. Gives the session
/// as it is afterwards and its user, or `None` and no change.
pub fn rotate(
    connection: &mut AnyConnection,
    spend: Spend<'_>,
    rules: &RotationRules,
    client: &Client,
    now: Timestamp,
) -> QueryResult<Option<(Session, User)>> {
    let generation = i64::from(spend.generation.get());
    let changes = Changes {
        session_id: spend.session_id.as_bytes(),
        generation,
        last_generation: Generation::LAST.get().into(),
        nonce_digest: spend.nonce_digest,
        now: now.as_micros(),
        ip: client.address().map(address::to_bytes),
        user_agent: client.user_agent(),
        idle_expires_at: now.after(rules.idle_life).as_micros(),
        window_over: now.before(RATE_WINDOW).as_micros(),
        // Without a limit every start of a window is late enough: generations begin at 1.
        earliest_window_generation: rules.max_rotations_per_window.map_or(0, |limit| generation - i64::from(limit)),
        folded_generation: refresh_tokens::folded_by(generation + 1),
    };
    let rotated = statements::rotate(connection, &changes)?;
    rotated.map(|(session, user)| Ok((session.try_into()?, user.try_into()?))).transpose()
}
