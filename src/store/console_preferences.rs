//! The table `console_preferences`: how somebody wants to see the console.

use diesel::prelude::*;

use super::connection::AnyConnection;
use super::dialect::upsert;
use super::error::impossible_row;
use super::schema::console_preferences;
use crate::domain::preferences::{Preferences, Theme};
use crate::domain::user::UserId;

/// The columns of a row, as other tables' statements read them along.
pub(super) type Row = (String, String, bool);

/// From a row; without one, what everybody begins with.
pub(super) fn from_row(user: UserId, row: Option<Row>) -> QueryResult<Preferences> {
    let Some((theme, time_zone, shortcuts)) = row else { return Ok(Preferences::default()) };
    let theme = Theme::parse(&theme).ok_or_else(|| impossible_row("console_preferences", user, "unknown theme"))?;
    Ok(Preferences { theme, time_zone, shortcuts })
}

/// What a user wants.
pub fn of(connection: &mut AnyConnection, user: UserId) -> QueryResult<Preferences> {
    let columns = (console_preferences::theme, console_preferences::time_zone, console_preferences::shortcuts);
    let row = console_preferences::table.find(user.get()).select(columns).first(connection).optional()?;
    from_row(user, row)
}

/// Keeps what a user wants.
pub fn set(connection: &mut AnyConnection, user: UserId, preferences: &Preferences) -> QueryResult<()> {
    let row = &Kept {
        user_id: user.get(),
        theme: preferences.theme.as_str(),
        time_zone: &preferences.time_zone,
        shortcuts: preferences.shortcuts,
    };
    upsert!(connection, console_preferences::table, console_preferences::user_id, row).map(|_| ())
}

#[derive(Insertable, AsChangeset)]
#[diesel(table_name = console_preferences, primary_key(user_id))]
struct Kept<'a> {
    user_id: i64,
    theme: &'a str,
    time_zone: &'a str,
    shortcuts: bool,
}
