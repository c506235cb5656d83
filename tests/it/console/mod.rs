//! The web console: who gets in, how sessions begin and end, what forms are accepted, and what pages look like.

mod account;
mod audit;
mod clients;
mod confirm;
mod dashboard;
mod exports;
mod forms;
mod full_disk;
mod headers;
mod hostile;
mod keys;
mod maintenance;
mod matrix;
mod session_list;
mod session_page;
mod session_revocation;
mod sessions;
mod settings;
mod setup;
mod sign_in;
mod statements;
mod users_actions;
mod users_bulk;
mod users_list;
mod users_reset;

/// The name of the cookie over plain http on this machine.
const COOKIE: &str = "relatch";
