//! Spending a refresh token: one conditional update, whose row count is the verdict.

use diesel::dsl::{case_when, exists};
use diesel::prelude::*;

use super::SessionRow;
use crate::domain::client::Client;
use crate::domain::rotation::{RATE_WINDOW, RotationRules};
use crate::domain::session::{Generation, Session, SessionId};
use crate::domain::timestamp::Timestamp;
use crate::store::connection::AnyConnection;
use crate::store::schema::{sessions, users};
use crate::store::{dialect, refresh_tokens};

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

/// Makes the session's next generation and notes it in the history, if the token is current and all that a refresh
/// needs holds: the session open and unexpired, its user active, the rate kept, a generation left. Gives the session
/// as it is afterwards, or `None` and no change.
pub fn rotate(
    connection: &mut AnyConnection,
    spend: Spend<'_>,
    rules: &RotationRules,
    client: &Client,
    now: Timestamp,
) -> QueryResult<Option<Session>> {
    dialect::hold_user_of(connection, &spend.session_id)?;
    let generation = i64::from(spend.generation.get());
    let window_is_over = sessions::window_started_at.le(now.before(RATE_WINDOW).as_micros());
    // Without a limit every start of a window is early enough: generations begin at 1.
    let earliest = rules.max_rotations_per_window.map_or(0, |limit| generation - i64::from(limit));
    let rotated: Option<Vec<u8>> = diesel::update(
        sessions::table
            .find(spend.session_id.as_bytes().as_slice())
            .filter(sessions::generation.eq(generation))
            .filter(sessions::generation.lt(i64::from(Generation::LAST.get())))
            .filter(sessions::nonce_digest.eq(spend.nonce_digest.as_slice()))
            .filter(sessions::ended_at.is_null())
            .filter(sessions::idle_expires_at.gt(now.as_micros()))
            .filter(sessions::expires_at.gt(now.as_micros()))
            .filter(window_is_over.or(sessions::window_generation.gt(earliest)))
            .filter(exists(
                users::table
                    .filter(users::id.eq(sessions::user_id))
                    .filter(users::disabled_at.is_null())
                    .filter(users::deleted_at.is_null()),
            )),
    )
    .set((
        sessions::generation.eq(generation + 1),
        sessions::rotated_at.eq(now.as_micros()),
        sessions::rotated_ip.eq(client.address()),
        sessions::user_agent.eq(client.user_agent()),
        sessions::idle_expires_at.eq(now.after(rules.idle_life).as_micros()),
        sessions::window_generation
            .eq(case_when(window_is_over, sessions::generation).otherwise(sessions::window_generation)),
        sessions::window_started_at.eq(case_when(
            window_is_over,
            now.as_micros().into_sql::<diesel::sql_types::BigInt>(),
        )
        .otherwise(sessions::window_started_at)),
    ))
    .returning(sessions::id)
    .get_result(connection)
    .optional()?;
    if rotated.is_none() {
        return Ok(None);
    }
    let session: Session = sessions::table
        .find(spend.session_id.as_bytes().as_slice())
        .select(SessionRow::as_select())
        .first(connection)?
        .try_into()?;
    refresh_tokens::record(connection, &session, client)?;
    Ok(Some(session))
}
