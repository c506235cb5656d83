//! The table `console_preferences`: how somebody wants to see the console.

use diesel::prelude::*;

use super::connection::AnyConnection;
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
    let values = (
        console_preferences::theme.eq(preferences.theme.as_str()),
        console_preferences::time_zone.eq(&preferences.time_zone),
        console_preferences::shortcuts.eq(preferences.shortcuts),
    );
    if diesel::update(console_preferences::table.find(user.get())).set(values).execute(connection)? == 0 {
        diesel::insert_into(console_preferences::table)
            .values((console_preferences::user_id.eq(user.get()), values))
            .execute(connection)?;
    }
    Ok(())
}
