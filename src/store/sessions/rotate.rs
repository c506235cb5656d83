//! Spending a refresh token: one conditional update, whose row count is the verdict.

use diesel::QueryResult;

use crate::domain::client::Client;
use crate::domain::rotation::{RATE_WINDOW, RotationRules};
use crate::domain::session::{Generation, Session, SessionId};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::User;
use crate::store::connection::AnyConnection;
use crate::store::error::impossible_row;
use crate::store::{address, refresh_tokens, statements};

/// A token that is to be spent, and by whom.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// Its session.
    pub session_id: SessionId,
    /// Its generation.
    pub generation: Generation,
    /// SHA-256 of its nonce.
    pub nonce_digest: [u8; 32],
    /// How tokens are spent.
    pub rules: RotationRules,
    /// Who presents it.
    pub client: Client,
    /// When.
    pub now: Timestamp,
}

/// The session as it is after a rotation, and its user.
pub type Rotated = (Session, User);

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
pub fn rotate(connection: &mut AnyConnection, rotation: &Rotation) -> QueryResult<Option<Rotated>> {
    let rotated = statements::rotate(connection, &rotation.changes())?;
    rotated.map(|(session, user)| Ok((session.try_into()?, user.try_into()?))).transpose()
}

/// The same for several sessions, each of which may be there once; on Postgres in one statement, which leaves out what
/// somebody else has locked. Gives those that were rotated, in any order. A row that cannot be read fails alone: by then all
/// are committed.
pub(in crate::store) fn rotate_free(
    connection: &mut AnyConnection,
    rotations: &[&Rotation],
) -> QueryResult<Vec<(SessionId, QueryResult<Rotated>)>> {
    let changes: Vec<Changes<'_>> = rotations.iter().map(|rotation| rotation.changes()).collect();
    let rotated = statements::rotate_free(connection, &changes)?;
    let mut outcomes = Vec::new();
    for (session, user) in rotated {
        let id = rotations.iter().map(|rotation| rotation.session_id).find(|id| *id.as_bytes() == *session.id);
        let id = id.ok_or_else(|| impossible_row("sessions", format!("{:02x?}", session.id), "nobody asked for it"))?;
        let read = move || Ok((session.try_into()?, user.try_into()?));
        outcomes.push((id, read()));
    }
    Ok(outcomes)
}

impl Rotation {
    fn changes(&self) -> Changes<'_> {
        let (generation, now) = (i64::from(self.generation.get()), self.now);
        Changes {
            session_id: self.session_id.as_bytes(),
            generation,
            last_generation: Generation::LAST.get().into(),
            nonce_digest: &self.nonce_digest,
            now: now.as_micros(),
            ip: self.client.address().map(address::to_bytes),
            user_agent: self.client.user_agent(),
            idle_expires_at: now.after(self.rules.idle_life).as_micros(),
            window_over: now.before(RATE_WINDOW).as_micros(),
            // Without a limit every start of a window is late enough: generations begin at 1.
            earliest_window_generation: self
                .rules
                .max_rotations_per_window
                .map_or(0, |max| generation - i64::from(max)),
            folded_generation: refresh_tokens::folded_by(generation + 1),
        }
    }
}
