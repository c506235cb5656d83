//! The table `refresh_tokens`: the history of rotations, for people to read. It never decides anything.

use std::net::IpAddr;

use diesel::prelude::*;

use super::address;
use super::connection::AnyConnection;
use super::error::impossible_row;
use super::schema::refresh_tokens;
use crate::domain::client::Client;
use crate::domain::session::{Generation, Session, SessionId};
use crate::domain::timestamp::Timestamp;

/// How many generations are kept at each end of a session's history.
const KEPT: i64 = 200;
/// How many rows a session has at most.
pub(super) const KEPT_AT_MOST: usize = 400;

#[derive(Queryable, Selectable)]
#[diesel(table_name = refresh_tokens)]
struct HistoryRow {
    generation: i64,
    created_at: i64,
    created_ip: Option<Vec<u8>>,
    user_agent: Option<String>,
    expires_at: i64,
}

/// One refresh token that was made.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Which of the session's tokens.
    pub generation: Generation,
    /// When it was made.
    pub created_at: Timestamp,
    /// For whom.
    pub created_ip: Option<IpAddr>,
    /// For which agent.
    pub user_agent: Option<String>,
    /// When it would have expired unused.
    pub expires_at: Timestamp,
}

/// Notes that a session began.
pub fn begin(connection: &mut AnyConnection, session: &Session, client: &Client) -> QueryResult<()> {
    diesel::insert_into(refresh_tokens::table)
        .values((
            refresh_tokens::session_id.eq(session.id.as_bytes().as_slice()),
            refresh_tokens::generation.eq(i64::from(session.generation.get())),
            refresh_tokens::created_at.eq(session.rotated_at.as_micros()),
            refresh_tokens::created_ip.eq(client.address().map(address::to_bytes)),
            refresh_tokens::user_agent.eq(client.user_agent()),
            refresh_tokens::expires_at.eq(session.idle_expires_at.as_micros()),
        ))
        .execute(connection)
        .map(|_| ())
}

/// Which generation leaves the history when `generation` enters it, so that of a long session the first and the last
/// 200 stay; 0 is none.
pub(super) const fn folded_by(generation: i64) -> i64 {
    let middle = generation - KEPT;
    if middle > KEPT { middle } else { 0 }
}

/// The history of a session, oldest first.
pub fn of_session(connection: &mut AnyConnection, session: SessionId) -> QueryResult<Vec<Issued>> {
    let rows: Vec<HistoryRow> = refresh_tokens::table
        .filter(refresh_tokens::session_id.eq(session.as_bytes().as_slice()))
        .order(refresh_tokens::generation)
        .select(HistoryRow::as_select())
        .load(connection)?;
    rows.into_iter()
        .map(|row| {
            Ok(Issued {
                generation: u32::try_from(row.generation)
                    .ok()
                    .and_then(Generation::new)
                    .ok_or_else(|| impossible_row("refresh_tokens", session, "generation out of range"))?,
                created_at: Timestamp::from_micros(row.created_at),
                created_ip: address::from_bytes("refresh_tokens", session, row.created_ip)?,
                user_agent: row.user_agent,
                expires_at: Timestamp::from_micros(row.expires_at),
            })
        })
        .collect()
}
