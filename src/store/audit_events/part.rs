//! The parts of a filter, each on one column that has an index.

use super::list::{EventFilter, LOOK_AT};
use super::statement::Statement;
use crate::domain::audit::Kind;
use crate::store::address;

/// A part of a filter.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Number(&'static str, i64),
    Bytes(&'static str, Vec<u8>),
    Text(&'static str, String),
    Network(Vec<u8>, Vec<u8>),
    Kinds(Vec<Kind>),
}

/// Whether an index may be used for a part, or must not be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Use {
    Index,
    Filter,
}

impl Part {
    /// The parts of a filter, those first that have few events as a rule.
    pub(super) fn of(filter: &EventFilter) -> Vec<Self> {
        let mut parts = Vec::new();
        parts.extend(filter.session.map(|session| Self::Bytes("session_id", session.as_bytes().to_vec())));
        parts.extend(filter.request_id.map(|id| Self::Text("request_id", id.to_string())));
        parts.extend(filter.client.map(|client| Self::Text("client_id", client.to_string())));
        parts.extend(filter.subject.map(|user| Self::Number("subject_user_id", user.get())));
        parts.extend(filter.actor.map(|user| Self::Number("actor_user_id", user.get())));
        parts.extend(filter.network.map(|network| {
            let (first, last) = (address::to_bytes(network.network()), address::to_bytes(network.broadcast()));
            if first == last { Self::Bytes("ip", first) } else { Self::Network(first, last) }
        }));
        parts.extend(filter.kinds.clone().map(Self::Kinds));
        parts
    }

    /// Whether its events, or those of each of its walks, are in the index in the order in which they happened.
    pub(super) const fn is_in_order(&self) -> bool {
        !matches!(self, Self::Network(..))
    }

    /// What is walked along: each kind's events are in order, those of several are not.
    pub(super) fn walks(&self) -> Vec<Self> {
        match self {
            Self::Kinds(kinds) => kinds.iter().map(|kind| Self::Kinds(vec![*kind])).collect(),
            one => vec![one.clone()],
        }
    }

    /// How many events each of its walks looks at.
    pub(super) fn limit(&self) -> i64 {
        match self {
            Self::Kinds(kinds) => (LOOK_AT / i64::try_from(kinds.len()).unwrap_or(i64::MAX).max(1)).max(1),
            _ => LOOK_AT,
        }
    }

    /// Adds what it asks of an event.
    pub(super) fn push<Row>(&self, out: &mut Statement<Row>, how: Use) {
        let column = |name: &str| match how {
            Use::Index => name.to_owned(),
            Use::Filter => format!("coalesce({name}, {name})"),
        };
        match self {
            Self::Number(name, number) => out.sql(&format!(" AND {} = ", column(name))).number(*number),
            Self::Bytes(name, bytes) => out.sql(&format!(" AND {} = ", column(name))).bytes(bytes),
            Self::Text(name, text) => out.sql(&format!(" AND {} = ", column(name))).text(text),
            Self::Network(first, last) => {
                out.sql(&format!(" AND {} >= ", column("ip"))).bytes(first);
                out.sql(&format!(" AND {} <= ", column("ip"))).bytes(last)
            }
            Self::Kinds(kinds) => {
                // The names are our own and have no quotes.
                let names: Vec<_> = kinds.iter().map(|kind| format!("'{}'", kind.as_str())).collect();
                match names.as_slice() {
                    [name] => out.sql(&format!(" AND {} = {name}", column("kind"))),
                    names => out.sql(&format!(" AND {} IN ({})", column("kind"), names.join(", "))),
                }
            }
        };
    }
}
