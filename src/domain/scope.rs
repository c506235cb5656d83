//! What a registered client may do: a set of scopes (RFC 6749 §3.3).

use std::fmt;

/// One thing that a client may do. There is a scope for what a route really takes, and no other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scope {
    /// Ask what a token is worth (RFC 7662).
    Introspect,
    /// Read accounts and their sessions.
    UsersRead,
    /// Read sessions and their rotations.
    SessionsRead,
    /// End sessions.
    SessionsRevoke,
    /// Read the audit trail.
    AuditRead,
}

impl Scope {
    /// All there are, in the order in which they are written.
    pub const ALL: [Self; 5] =
        [Self::Introspect, Self::UsersRead, Self::SessionsRead, Self::SessionsRevoke, Self::AuditRead];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Introspect => "introspect",
            Self::UsersRead => "users:read",
            Self::SessionsRead => "sessions:read",
            Self::SessionsRevoke => "sessions:revoke",
            Self::AuditRead => "audit:read",
        }
    }

    /// What it lets a client do, in a few words.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Introspect => "ask what a token is worth",
            Self::UsersRead => "read accounts and their sessions",
            Self::SessionsRead => "read sessions and their rotations",
            Self::SessionsRevoke => "end sessions",
            Self::AuditRead => "read the audit trail",
        }
    }

    /// Reads the stable name, letter by letter (RFC 6749 §3.3).
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of scopes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// None at all.
    pub const NONE: Self = Self(0);

    /// Reads a list of names with spaces in between, in any order. `None` when there is no such scope.
    pub fn parse(text: &str) -> Option<Self> {
        text.split(' ').filter(|name| !name.is_empty()).map(Scope::parse).collect()
    }

    /// Whether nothing is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it holds this one.
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether it holds all of these.
    pub const fn contains_all(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// What is in both.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that are in it, in their order.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, scope) in self.iter().enumerate() {
            let space = if number == 0 { "" } else { " " };
            write!(f, "{space}{}", scope.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a3_a_set_is_read_in_any_order_and_written_in_one() {
        let scopes = Scopes::parse("audit:read introspect  users:read introspect").unwrap();
        assert_eq!(scopes.to_string(), "introspect users:read audit:read");
        assert_eq!(Scopes::parse(&scopes.to_string()), Some(scopes));
        assert!(scopes.contains(Scope::AuditRead) && !scopes.contains(Scope::SessionsRevoke));
        assert_eq!(Scopes::parse(""), Some(Scopes::NONE));
        for wrong in ["admin", "Introspect", "users", "users:*", "users:read,audit:read", "users:read\taudit:read", "é"]
        {
            assert_eq!(Scopes::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_set_holds_another_when_it_holds_each_of_it() {
        let all: Scopes = Scope::ALL.into_iter().collect();
        for one in Scope::ALL {
            let one: Scopes = [one].into_iter().collect();
            assert!(all.contains_all(one) && !one.contains_all(all) && one.contains_all(one));
            assert_eq!(one.and(all), one);
            assert!(one.contains_all(Scopes::NONE) && !Scopes::NONE.contains_all(one));
        }
    }
}
