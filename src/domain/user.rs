//! A user account and the states it can be in.

use std::fmt;

use crate::domain::email::Email;
use crate::domain::role::Role;
use crate::domain::timestamp::Timestamp;
use crate::domain::username::Username;

/// A user's number: counted from 1 on a new store, never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct UserId(i64);

impl UserId {
    /// Ids are positive; anything else names nobody.
    pub const fn new(id: i64) -> Option<Self> {
        if id > 0 { Some(Self(id)) } else { None }
    }

    /// Reads the canonical decimal form, as in a path or a token's `sub`.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Self::new(text.parse().ok()?)?;
        // `+7` and `007` parse as 7 but are not how an id is written.
        (id.to_string() == text).then_some(id)
    }

    /// The number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a user may sign in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UserStatus {
    /// May sign in.
    Active,
    /// Kept out by an admin until enabled again.
    Disabled {
        /// Since when.
        at: Timestamp,
    },
    /// Deleted, restorable for 30 days; name and e-mail stay reserved.
    Deleted {
        /// Since when.
        at: Timestamp,
    },
}

/// How many times what a user may do has changed; tokens carry it as `ver`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SecurityVersion(i64);

impl SecurityVersion {
    /// The version of a new account.
    pub const FIRST: Self = Self(1);

    /// From a stored or presented number.
    pub const fn new(version: i64) -> Self {
        Self(version)
    }

    /// The number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

/// A user account as it stands, without its password hash.
#[derive(Clone, Debug)]
pub struct User {
    /// The user's number.
    pub id: UserId,
    /// The unique name.
    pub username: Username,
    /// The unique e-mail address.
    pub email: Email,
    /// What the user may do.
    pub role: Role,
    /// Whether the user may sign in.
    pub status: UserStatus,
    /// Rises with disablement, deletion, a new role and a new password.
    pub security_version: SecurityVersion,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When the user last signed in with a password.
    pub last_login_at: Option<Timestamp>,
}

impl User {
    /// Whether the user may sign in and use tokens.
    pub fn is_active(&self) -> bool {
        self.status == UserStatus::Active
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l16_only_the_canonical_decimal_form_of_a_positive_number_is_an_id() {
        assert_eq!(UserId::parse("7").map(UserId::get), Some(7));
        for text in ["", "0", "-1", "+7", "007", "7 ", "9223372036854775808", "1e3", "७"] {
            assert_eq!(UserId::parse(text), None, "{text:?}");
        }
    }
}
