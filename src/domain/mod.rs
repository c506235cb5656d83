//! Pure rules: what a user, a session and a refresh token are, and what may happen to them.
//!
//! No input or output, no clock, no randomness: time and entropy arrive as arguments.

pub mod audit;
pub mod client;
pub mod common_passwords;
pub mod csv;
pub mod email;
pub mod fold;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
pub mod guessing;
pub mod key_schedule;
pub mod network;
pub mod password;
pub mod preferences;
pub mod refresh_token;
pub mod registered_client;
pub mod role;
pub mod rotation;
pub mod scope;
pub mod security_event;
pub mod session;
pub mod status_list;
pub mod timestamp;
pub mod user;
pub mod username;
