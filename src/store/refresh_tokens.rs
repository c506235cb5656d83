//! The table `refresh_tokens`: the history of rotations, for people to read. It never decides anything.

use std::net::IpAddr;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};

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
    repeats: Option<i64>,
    last_repeat_at: Option<i64>,
    last_repeat_ip: Option<Vec<u8>>,
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
    /// Whether it was given out again.
    pub repeats: Option<Repeats>,
}

/// How often a token was given out again, to somebody who presented its parent within the grace window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Repeats {
    /// How often.
    pub count: u64,
    /// When last.
    pub last_at: Timestamp,
    /// For whom last.
    pub last_ip: Option<IpAddr>,
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

/// Notes that the current token of a session was given out again. No time is renewed by it, and nothing is decided.
pub fn repeat(
    connection: &mut AnyConnection,
    session: SessionId,
    generation: Generation,
    client: &Client,
    now: Timestamp,
) -> QueryResult<()> {
    diesel::update(refresh_tokens::table.find((session.as_bytes().as_slice(), i64::from(generation.get()))))
        .set((
            refresh_tokens::repeats.eq(sql::<Nullable<BigInt>>("coalesce(repeats, 0) + 1")),
            refresh_tokens::last_repeat_at.eq(now.as_micros()),
            refresh_tokens::last_repeat_ip.eq(client.address().map(address::to_bytes)),
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
                repeats: match (row.repeats, row.last_repeat_at) {
                    (Some(count), Some(at)) => Some(Repeats {
                        count: u64::try_from(count)
                            .map_err(|_| impossible_row("refresh_tokens", session, "a negative number of repeats"))?,
                        last_at: Timestamp::from_micros(at),
                        last_ip: address::from_bytes("refresh_tokens", session, row.last_repeat_ip)?,
                    }),
                    _ => None,
                },
            })
        })
        .collect()
}
