//! Messages for the next page, shown once.

use actix_session::Session;
use serde::{Deserialize, Serialize};

use crate::web::problem::Problem;

const FLASHES: &str = "flashes";
/// More than this are not kept: somebody who only posts and never looks.
const KEPT: usize = 5;

/// A message for the next page.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Flash {
    /// Whether it went well.
    pub is_good: bool,
    /// What happened.
    pub text: String,
}

impl Flash {
    /// Something was done.
    pub fn done(text: impl Into<String>) -> Self {
        Self { is_good: true, text: text.into() }
    }

    /// Something was not done.
    pub fn refused(text: impl Into<String>) -> Self {
        Self { is_good: false, text: text.into() }
    }
}

pub(super) fn say(session: &Session, flash: Flash) -> Result<(), Problem> {
    let mut flashes: Vec<Flash> = session.get(FLASHES).ok().flatten().unwrap_or_default();
    flashes.push(flash);
    let surplus = flashes.len().saturating_sub(KEPT);
    flashes.drain(..surplus);
    session.insert(FLASHES, flashes).map_err(|error| Problem::failure(error, false))
}

/// The messages for this page. The session is changed, and so written, only when there are any.
pub(super) fn take(session: &Session) -> Vec<Flash> {
    if !session.contains_key(FLASHES) {
        return Vec::new();
    }
    session.remove_as(FLASHES).and_then(Result::ok).unwrap_or_default()
}
