//! The table `console_sessions`: what a session of the web console has besides its row in `sessions`.

use diesel::prelude::*;

use super::connection::AnyConnection;
use super::console_preferences::{self, Row};
use super::error::impossible_row;
use super::schema::{console_preferences as preferences, console_sessions, sessions, users};
use super::sessions::SessionRow;
use super::users::UserRow;
use crate::domain::preferences::Preferences;
use crate::domain::session::{Session, SessionId};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::{SecurityVersion, User};

/// Everything that decides about a request of the console.
#[derive(Clone, Debug)]
pub struct Found {
    /// The session.
    pub session: Session,
    /// Whose it is.
    pub user: User,
    /// The user's security version when the session began.
    pub security_version: SecurityVersion,
    /// When the password was last given.
    pub confirmed_at: Timestamp,
    /// How the user wants to see the console.
    pub preferences: Preferences,
}

/// Inserts what belongs to a session that begins now, in which the password has just been given.
pub fn insert(
    connection: &mut AnyConnection,
    session: &Session,
    key_digest: &[u8; 32],
    version: SecurityVersion,
) -> QueryResult<()> {
    diesel::insert_into(console_sessions::table)
        .values((
            console_sessions::key_digest.eq(key_digest.as_slice()),
            console_sessions::session_id.eq(session.id.as_bytes().as_slice()),
            console_sessions::security_version.eq(version.get()),
            console_sessions::state.eq("{}"),
            console_sessions::confirmed_at.eq(session.created_at.as_micros()),
        ))
        .execute(connection)
        .map(|_| ())
}

/// The session of a key and what is kept for its next page, live or not.
pub fn open(connection: &mut AnyConnection, key_digest: &[u8; 32]) -> QueryResult<Option<(SessionId, String)>> {
    let row: Option<(Vec<u8>, String)> = console_sessions::table
        .find(key_digest.as_slice())
        .select((console_sessions::session_id, console_sessions::state))
        .first(connection)
        .optional()?;
    row.map(|(id, state)| {
        let id = <[u8; 16]>::try_from(id.as_slice())
            .map_err(|_| impossible_row("console_sessions", format!("{id:02x?}"), "the id is not 16 bytes"))?;
        Ok((SessionId::from_bytes(id), state))
    })
    .transpose()
}

/// A session of the console with its user, live or not.
pub fn find(connection: &mut AnyConnection, id: SessionId) -> QueryResult<Option<Found>> {
    let row: Option<(SessionRow, UserRow, i64, i64, Option<Row>)> = console_sessions::table
        .inner_join(sessions::table.inner_join(users::table.left_join(preferences::table)))
        .filter(console_sessions::session_id.eq(id.as_bytes().as_slice()))
        .select((
            SessionRow::as_select(),
            UserRow::as_select(),
            console_sessions::security_version,
            console_sessions::confirmed_at,
            (preferences::theme, preferences::time_zone, preferences::shortcuts).nullable(),
        ))
        .first(connection)
        .optional()?;
    row.map(|(session, user, version, confirmed_at, row)| {
        let user = User::try_from(user)?;
        Ok(Found {
            session: session.try_into()?,
            preferences: console_preferences::from_row(user.id, row)?,
            user,
            security_version: SecurityVersion::new(version),
            confirmed_at: Timestamp::from_micros(confirmed_at),
        })
    })
    .transpose()
}

/// Keeps something for the next page.
pub fn keep(connection: &mut AnyConnection, key_digest: &[u8; 32], state: &str) -> QueryResult<bool> {
    let changed = diesel::update(console_sessions::table.find(key_digest.as_slice()))
        .set(console_sessions::state.eq(state))
        .execute(connection)?;
    Ok(changed == 1)
}

/// Counts a wrong password, and says how many it were in a row; `None` when there were as many as may be before.
pub fn count_wrong_password(connection: &mut AnyConnection, id: SessionId, at_most: i32) -> QueryResult<Option<i32>> {
    let row = console_sessions::table
        .filter(console_sessions::session_id.eq(id.as_bytes().as_slice()))
        .filter(console_sessions::wrong_passwords.lt(at_most));
    diesel::update(row)
        .set(console_sessions::wrong_passwords.eq(console_sessions::wrong_passwords + 1))
        .returning(console_sessions::wrong_passwords)
        .get_result(connection)
        .optional()
}

/// Counts wrong passwords from none on; `false` when there were as many as may be.
pub fn forgive_wrong_passwords(connection: &mut AnyConnection, id: SessionId, at_most: i32) -> QueryResult<bool> {
    let row = console_sessions::table
        .filter(console_sessions::session_id.eq(id.as_bytes().as_slice()))
        .filter(console_sessions::wrong_passwords.lt(at_most));
    let changed = diesel::update(row).set(console_sessions::wrong_passwords.eq(0)).execute(connection)?;
    Ok(changed == 1)
}

/// Gives the session another key, since the password was given again.
pub fn renew(
    connection: &mut AnyConnection,
    id: SessionId,
    key_digest: &[u8; 32],
    confirmed_at: Timestamp,
) -> QueryResult<bool> {
    let changed =
        diesel::update(console_sessions::table.filter(console_sessions::session_id.eq(id.as_bytes().as_slice())))
            .set((
                console_sessions::key_digest.eq(key_digest.as_slice()),
                console_sessions::confirmed_at.eq(confirmed_at.as_micros()),
            ))
            .execute(connection)?;
    Ok(changed == 1)
}
