//! Wrong passwords where one is asked for again. Whoever has a copy of a cookie must not find out the password with it, so
//! that a session ends after a few in a row.

use super::ConsoleUser;
use crate::auth::end_session::because;
use crate::domain::client::Client;
use crate::domain::session::{EndReason, SessionId};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::UserId;
use crate::store::QueryResult;
use crate::store::audit_events::{self, By, Event, Kind};
use crate::store::connection::AnyConnection;
use crate::store::{console_sessions, sessions};

/// With the last of so many wrong passwords in a row the session ends.
const IN_A_ROW: i32 = 5;

/// What becomes of whoever gave a wrong password.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::auth) enum Guess {
    /// They may try once more.
    Wrong,
    /// It was the last one: the session has ended.
    Last,
    /// The session had ended before. What they gave is not looked at, right or wrong.
    TooLate,
}

/// Somebody in whose session of the console a password is asked for.
#[derive(Clone, Copy, Debug)]
pub(in crate::auth) struct Guesser {
    session: SessionId,
    user: UserId,
}

impl Guesser {
    pub(super) fn of(user: &ConsoleUser) -> Self {
        Self { session: user.session.id, user: user.principal.user.id }
    }

    /// Notes a wrong password, as an event of this kind. Of those that are given at once no more count than in a row.
    pub(in crate::auth) fn note_wrong(
        self,
        connection: &mut AnyConnection,
        kind: Kind,
        now: Timestamp,
        client: &Client,
    ) -> QueryResult<Guess> {
        let is_live = sessions::find(connection, self.session)?.is_some_and(|session| session.is_live(now));
        let number = console_sessions::count_wrong_password(connection, self.session, IN_A_ROW)?;
        let Some(number) = number.filter(|_| is_live) else { return Ok(Guess::TooLate) };
        let event = |kind| Event::new(kind, now, By::User(self.user), client).about(self.user).of_session(self.session);
        audit_events::record(connection, &event(kind))?;
        if number < IN_A_ROW {
            return Ok(Guess::Wrong);
        }
        let end = sessions::End { at: now, reason: EndReason::WrongPasswords, by: None, client };
        if sessions::end(connection, self.session, &end)? {
            audit_events::record(connection, &event(Kind::SessionEnded).with(because(end.reason)))?;
        }
        Ok(Guess::Last)
    }

    /// Begins to count anew, now that the password was right; `false` when it was given too late.
    pub(in crate::auth) fn forgive(self, connection: &mut AnyConnection, now: Timestamp) -> QueryResult<bool> {
        let is_open = console_sessions::forgive_wrong_passwords(connection, self.session, IN_A_ROW)?;
        Ok(is_open && sessions::find(connection, self.session)?.is_some_and(|session| session.is_live(now)))
    }
}
