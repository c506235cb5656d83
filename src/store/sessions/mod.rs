//! The table `sessions`: one row is the whole truth about a session and its refresh tokens.

mod bulk;
mod end;
mod filter;
mod list;
mod of_user;
mod rotate;

pub use bulk::{Part, count, end_part, find_part};
pub(super) use end::not_over;
pub use end::{End, end, end_all, end_least_recently_used, end_others, end_these, end_with_nonce};
pub use filter::BulkFilter;
pub use list::{Direction, Found, Listed, Search, StateFilter, Tally, search, tally};
pub use of_user::{WithSessions, find_with_sessions};
pub(super) use rotate::{Changes, rotate_free};
pub use rotate::{Rotated, Rotation, rotate};

use std::net::IpAddr;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};

use super::connection::AnyConnection;
use super::error::impossible_row;
use super::schema::sessions;
use super::{address, dialect, journal, statements};
use crate::domain::audit::{By, Outcome, Severity};
use crate::domain::client::Client;
use crate::domain::security_event;
use crate::domain::session::{EndReason, Generation, Session, SessionId, SessionKind, SessionState};
use crate::domain::status_list::StatusIndex;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::{User, UserId};

#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions)]
pub(super) struct SessionRow {
    pub(super) id: Vec<u8>,
    pub(super) user_id: i64,
    nonce_digest: Vec<u8>,
    pub(super) generation: i64,
    created_at: i64,
    created_ip: Option<Vec<u8>>,
    pub(super) rotated_at: i64,
    pub(super) rotated_ip: Option<Vec<u8>>,
    pub(super) user_agent: Option<String>,
    pub(super) idle_expires_at: i64,
    expires_at: i64,
    window_started_at: i64,
    window_generation: i64,
    ended_at: Option<i64>,
    ended_by: Option<i64>,
    end_reason: Option<String>,
    kind: String,
    status_index: Option<i32>,
}

impl TryFrom<SessionRow> for Session {
    type Error = diesel::result::Error;

    fn try_from(row: SessionRow) -> QueryResult<Self> {
        let id = <[u8; 16]>::try_from(row.id.as_slice())
            .map(SessionId::from_bytes)
            .map_err(|_| impossible_row("sessions", format!("{:02x?}", row.id), "the id is not 16 bytes"))?;
        let generation = |number: i64| {
            u32::try_from(number)
                .ok()
                .and_then(Generation::new)
                .ok_or_else(|| impossible_row("sessions", id, "generation out of range"))
        };
        let state = match (row.ended_at, row.end_reason.as_deref().map(EndReason::parse)) {
            (None, None) => SessionState::Open,
            (Some(at), Some(Some(reason))) => SessionState::Ended { at: Timestamp::from_micros(at), reason },
            _ => return Err(impossible_row("sessions", id, "half ended, or for an unknown reason")),
        };
        Ok(Self {
            id,
            user_id: UserId::new(row.user_id)
                .ok_or_else(|| impossible_row("sessions", id, "the user id is not positive"))?,
            nonce_digest: row
                .nonce_digest
                .try_into()
                .map_err(|_| impossible_row("sessions", id, "the nonce digest is not 32 bytes"))?,
            generation: generation(row.generation)?,
            created_at: Timestamp::from_micros(row.created_at),
            created_ip: address::from_bytes("sessions", id, row.created_ip)?,
            rotated_at: Timestamp::from_micros(row.rotated_at),
            rotated_ip: address::from_bytes("sessions", id, row.rotated_ip)?,
            user_agent: row.user_agent,
            idle_expires_at: Timestamp::from_micros(row.idle_expires_at),
            expires_at: Timestamp::from_micros(row.expires_at),
            window_started_at: Timestamp::from_micros(row.window_started_at),
            window_generation: generation(row.window_generation)?,
            kind: SessionKind::parse(&row.kind).ok_or_else(|| impossible_row("sessions", id, "unknown kind"))?,
            state,
            ended_by: row.ended_by.and_then(UserId::new),
            status_index: match row.status_index.map(StatusIndex::from_stored) {
                Some(None) => return Err(impossible_row("sessions", id, "no place of a status list")),
                known => known.flatten(),
            },
        })
    }
}

/// Inserts a session that begins now.
pub fn insert(connection: &mut AnyConnection, session: &Session, client: &Client) -> QueryResult<()> {
    let ip = client.address().map(address::to_bytes);
    diesel::insert_into(sessions::table)
        .values((
            sessions::id.eq(session.id.as_bytes().as_slice()),
            sessions::user_id.eq(session.user_id.get()),
            sessions::nonce_digest.eq(session.nonce_digest.as_slice()),
            sessions::generation.eq(i64::from(session.generation.get())),
            sessions::created_at.eq(session.created_at.as_micros()),
            sessions::created_ip.eq(&ip),
            sessions::rotated_at.eq(session.rotated_at.as_micros()),
            sessions::rotated_ip.eq(&ip),
            sessions::user_agent.eq(client.user_agent()),
            sessions::idle_expires_at.eq(session.idle_expires_at.as_micros()),
            sessions::expires_at.eq(session.expires_at.as_micros()),
            sessions::window_started_at.eq(session.window_started_at.as_micros()),
            sessions::window_generation.eq(i64::from(session.window_generation.get())),
            sessions::kind.eq(session.kind.as_str()),
            sessions::status_index.eq(session.status_index.map(StatusIndex::to_stored)),
        ))
        .execute(connection)?;
    journal::note(journal::Line {
        event: security_event::SESSION_CREATED,
        kind: None,
        severity: Severity::Info,
        result: Outcome::Succeeded.as_str(),
        by: By::User(session.user_id),
        about: Some(session.user_id),
        session: Some(session.id),
        of_client: None,
        client: client.clone(),
        detail: None,
    });
    Ok(())
}

/// The session with this id.
pub fn find(connection: &mut AnyConnection, id: SessionId) -> QueryResult<Option<Session>> {
    sessions::table
        .find(id.as_bytes().as_slice())
        .select(SessionRow::as_select())
        .first(connection)
        .optional()?
        .map(Session::try_from)
        .transpose()
}

/// The session with this id and the user it belongs to.
pub fn find_with_user(connection: &mut AnyConnection, id: SessionId) -> QueryResult<Option<(Session, User)>> {
    let row = statements::find_with_user(connection, id.as_bytes())?;
    row.map(|(session, user)| Ok((session.try_into()?, user.try_into()?))).transpose()
}

/// The same, and nobody else can end the session or change the user until the transaction ends: what is found stays so.
pub fn hold_with_user(connection: &mut AnyConnection, id: SessionId) -> QueryResult<Option<(Session, User)>> {
    dialect::hold_session_and_user(connection, id.as_bytes())?;
    find_with_user(connection, id)
}

/// What its end left behind. Only a session's picture shows it, so that it is not read with every session.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EndTraces {
    /// From where it was ended, when that was a request.
    pub ip: Option<IpAddr>,
    /// The username of whoever ended it, when it was somebody.
    pub by: Option<String>,
    /// What was noted about the refresh token that ended it, as JSON.
    pub token: Option<String>,
}

type EndRow = (Option<Vec<u8>>, Option<String>, Option<String>);

/// How a session was ended.
pub fn end_traces(connection: &mut AnyConnection, id: SessionId) -> QueryResult<EndTraces> {
    let by = sql::<Nullable<Text>>("(SELECT b.username FROM users AS b WHERE b.id = sessions.ended_by)");
    let token = sql::<Nullable<Text>>(
        "CASE WHEN sessions.end_reason IN ('reuse', 'store_rolled_back') THEN (SELECT a.detail FROM audit_events AS a \
         WHERE a.session_id = sessions.id AND a.kind IN ('session.reuse_detected', 'session.store_rolled_back') \
         ORDER BY a.id LIMIT 1) END",
    );
    let query = sessions::table.find(id.as_bytes().as_slice()).select((sessions::ended_ip, by, token));
    let row = query.first::<EndRow>(connection).optional()?;
    let Some((ip, by, token)) = row else { return Ok(EndTraces::default()) };
    Ok(EndTraces { ip: address::from_bytes("sessions", id, ip)?, by, token })
}

/// Which sessions a list holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SessionFilter {
    /// Only this user's.
    pub user_id: Option<UserId>,
    /// Only those that are live at this time; `None` is all, the ended and expired too.
    pub live_at: Option<Timestamp>,
}

/// Up to `limit` sessions, the newest first; `before` is the last one of the page before.
pub fn list(
    connection: &mut AnyConnection,
    filter: SessionFilter,
    before: Option<SessionId>,
    limit: i64,
) -> QueryResult<Vec<Session>> {
    // Session ids begin with the time of their making (RFC 9562 §5.7), so their order is the order of creation.
    let mut query =
        sessions::table.select(SessionRow::as_select()).order(sessions::id.desc()).limit(limit).into_boxed();
    if let Some(user) = filter.user_id {
        query = query.filter(sessions::user_id.eq(user.get()));
    }
    if let Some(now) = filter.live_at {
        query = query
            .filter(sessions::ended_at.is_null())
            .filter(sessions::idle_expires_at.gt(now.as_micros()))
            .filter(sessions::expires_at.gt(now.as_micros()));
    }
    if let Some(before) = before {
        query = query.filter(sessions::id.lt(before.as_bytes().to_vec()));
    }
    query.load(connection)?.into_iter().map(Session::try_from).collect()
}

/// Notes that a live session of the console was used, and when it expires unless it is used again.
pub fn touch(
    connection: &mut AnyConnection,
    id: SessionId,
    client: &Client,
    now: Timestamp,
    idle_expires_at: Timestamp,
) -> QueryResult<bool> {
    let live = sessions::table
        .find(id.as_bytes().as_slice())
        .filter(sessions::kind.eq(SessionKind::Console.as_str()))
        .filter(sessions::ended_at.is_null())
        .filter(sessions::idle_expires_at.gt(now.as_micros()))
        .filter(sessions::expires_at.gt(now.as_micros()));
    let touched = diesel::update(live)
        .set((
            sessions::rotated_at.eq(now.as_micros()),
            sessions::rotated_ip.eq(client.address().map(address::to_bytes)),
            sessions::user_agent.eq(client.user_agent()),
            sessions::idle_expires_at.eq(idle_expires_at.as_micros()),
        ))
        .execute(connection)?;
    Ok(touched == 1)
}
