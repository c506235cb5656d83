//! `/admin/users`: the list of users, the page of each, and what admins do with them.

pub mod actions;
pub mod bulk;
pub mod create;
pub mod export;
pub mod list;
mod query;
pub mod show;
mod state_words;

use crate::domain::user::{User, UserId};
use crate::web::problem::{Code, Problem};

/// The user that a path names. What cannot be an id names nobody.
pub(super) fn id_of(path: &str) -> Result<UserId, Problem> {
    UserId::parse(path).ok_or_else(|| Problem::new(Code::NotFound))
}

/// Where the page of a user is.
fn path_of(user: &User) -> String {
    format!("/admin/users/{}", user.id)
}
