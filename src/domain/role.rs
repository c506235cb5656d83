//! What a user may do: one of two roles.

use std::fmt;

/// A user's role.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// May see and change all users and sessions. Written `0` or `"Admin"` in requests.
    Admin,
    /// May see and end what is their own. Written `1` or `"User"` in requests.
    User,
}

impl Role {
    /// The name used on the wire, in tokens and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "Admin",
            Self::User => "User",
        }
    }

    /// Reads the name, in any case: `admin`, `User`.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Admin, Self::User].into_iter().find(|role| role.as_str().eq_ignore_ascii_case(name))
    }

    /// Reads the number of the contract: admin 0, user 1.
    pub const fn from_number(number: i64) -> Option<Self> {
        match number {
            0 => Some(Self::Admin),
            1 => Some(Self::User),
            _ => None,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
