//! A session: one sign-in and everything that was refreshed from it.

use std::fmt;
use std::net::IpAddr;

use uuid::Uuid;

use crate::domain::status_list::StatusIndex;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::UserId;
use crate::keyring::labelled_digest;

/// A session's public name; knowing it gives nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SessionId(Uuid);

impl SessionId {
    /// Wraps an id.
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// Reads the hyphenated lower-case form, the only one that is ever written.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Self(Uuid::try_parse(text).ok()?);
        (id.to_string() == text).then_some(id)
    }

    /// The first id that a session begun at this time could have: ids begin with the time of their making, in
    /// milliseconds (RFC 9562 §5.7).
    pub fn first_of(time: Timestamp) -> Self {
        Self::of_time(time, 0)
    }

    /// The last id that a session begun at this time could have.
    pub fn last_of(time: Timestamp) -> Self {
        Self::of_time(time, u8::MAX)
    }

    fn of_time(time: Timestamp, rest: u8) -> Self {
        let mut bytes = [rest; 16];
        let millis = (time.as_micros() / 1_000).to_be_bytes();
        for (byte, of_time) in bytes.iter_mut().zip(millis.into_iter().skip(2)) {
            *byte = of_time;
        }
        Self::from_bytes(bytes)
    }

    /// When the session began, to the millisecond.
    pub fn time(&self) -> Timestamp {
        let millis = self.as_bytes().iter().take(6).fold(0, |millis, byte| millis << 8 | i64::from(*byte));
        Timestamp::from_micros(millis * 1_000)
    }

    /// What the log calls it: a digest, from which nobody finds the id, whose 74 random bits are too many to try. It is
    /// the same wherever it is computed, so that a line and a session can be told to belong together.
    pub fn log_name(&self) -> String {
        let digest = labelled_digest(b"relatch.log.session", self.as_bytes());
        digest.iter().take(8).fold(String::with_capacity(16), |name, byte| format!("{name}{byte:02x}"))
    }

    /// The 16 bytes, as in a refresh token and in the database.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// From the 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// Which refresh token of a session: 1 at sign-in, one more with each rotation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Generation(u32);

impl Generation {
    /// The token that a sign-in gives.
    pub const FIRST: Self = Self(1);
    /// A session at this generation is worn out: it ends with its next refresh.
    pub const LAST: Self = Self(1 << 31);

    /// Generations lie between [`Self::FIRST`] and [`Self::LAST`].
    pub const fn new(number: u32) -> Option<Self> {
        if number >= Self::FIRST.0 && number <= Self::LAST.0 { Some(Self(number)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Whether this is the direct parent of `other`.
    pub const fn is_parent_of(self, other: Self) -> bool {
        self.0 + 1 == other.0
    }
}

/// Why a session ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EndReason {
    /// The user signed out of this session.
    Logout,
    /// The user signed out everywhere.
    LogoutAll,
    /// The user ended it from the list of their own sessions.
    EndedByUser,
    /// Somebody who held one of its refresh tokens revoked it.
    TokenRevoked,
    /// An admin, or an operator at the command line, ended it.
    EndedByAdmin,
    /// The password was changed or reset.
    PasswordChanged,
    /// The account was disabled.
    AccountDisabled,
    /// The account was deleted.
    AccountDeleted,
    /// A refresh token that had already been replaced was presented: theft is assumed.
    Reuse,
    /// A token newer than the store was presented: the store went back in time.
    StoreRolledBack,
    /// The store was replaced by an older copy of itself.
    StoreRestored,
    /// The user had too many live sessions and this was the least recently used.
    TooManySessions,
    /// It reached the last generation.
    GenerationsUsedUp,
    /// In a session of the console, the password that is asked for again was wrong too many times in a row.
    WrongPasswords,
}

impl EndReason {
    /// Every reason.
    pub const ALL: [Self; 14] = [
        Self::Logout,
        Self::LogoutAll,
        Self::EndedByUser,
        Self::TokenRevoked,
        Self::EndedByAdmin,
        Self::PasswordChanged,
        Self::AccountDisabled,
        Self::AccountDeleted,
        Self::Reuse,
        Self::StoreRolledBack,
        Self::StoreRestored,
        Self::TooManySessions,
        Self::GenerationsUsedUp,
        Self::WrongPasswords,
    ];

    /// The stable name, on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::LogoutAll => "logout_all",
            Self::EndedByUser => "ended_by_user",
            Self::TokenRevoked => "token_revoked",
            Self::EndedByAdmin => "ended_by_admin",
            Self::PasswordChanged => "password_changed",
            Self::AccountDisabled => "account_disabled",
            Self::AccountDeleted => "account_deleted",
            Self::Reuse => "reuse",
            Self::StoreRolledBack => "store_rolled_back",
            Self::StoreRestored => "store_restored",
            Self::TooManySessions => "too_many_sessions",
            Self::GenerationsUsedUp => "generations_used_up",
            Self::WrongPasswords => "wrong_passwords",
        }
    }

    /// Reads the stable name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

/// What a session is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SessionKind {
    /// An application, with tokens.
    Api,
    /// The web console, with a cookie. No token of such a session exists or is accepted.
    Console,
}

impl SessionKind {
    /// The stable name, on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Console => "console",
        }
    }

    /// Reads the stable name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Api, Self::Console].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Whether a session has ended. Expiry is not an end: it follows from the times alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SessionState {
    /// Nobody ended it.
    Open,
    /// It was ended, and stays so.
    Ended {
        /// When.
        at: Timestamp,
        /// Why.
        reason: EndReason,
    },
}

/// A session as the database has it: this one row decides everything about its tokens.
#[derive(Clone, Debug)]
pub struct Session {
    /// The session's public name.
    pub id: SessionId,
    /// What it is for.
    pub kind: SessionKind,
    /// Whose it is.
    pub user_id: UserId,
    /// SHA-256 of the nonce that all its refresh tokens carry.
    pub nonce_digest: [u8; 32],
    /// The one refresh token that can be spent now.
    pub generation: Generation,
    /// When the user signed in.
    pub created_at: Timestamp,
    /// From where.
    pub created_ip: Option<IpAddr>,
    /// When the current generation was made: the last use of the session.
    pub rotated_at: Timestamp,
    /// From where.
    pub rotated_ip: Option<IpAddr>,
    /// The agent that was used last.
    pub user_agent: Option<String>,
    /// When it expires unless it is refreshed before.
    pub idle_expires_at: Timestamp,
    /// When it expires however much it is used.
    pub expires_at: Timestamp,
    /// The start of the running minute in which rotations are counted.
    pub window_started_at: Timestamp,
    /// The generation at that start.
    pub window_generation: Generation,
    /// Whether it was ended.
    pub state: SessionState,
    /// Who ended it, when it was a user or an admin.
    pub ended_by: Option<UserId>,
    /// Where in which status list its access tokens are looked up, when they are.
    pub status_index: Option<StatusIndex>,
}

impl Session {
    /// Whether an idle or absolute life has run out at `now`.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.idle_expires_at <= now || self.expires_at <= now
    }

    /// Whether its tokens can be used at `now`, as far as the session decides.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.state == SessionState::Open && !self.is_expired(now)
    }
}
