//! The JSON API. Wire structs stand beside their handlers, those of several in `wire`.

pub mod account;
pub mod audit;
pub mod clients;
pub mod sessions;
pub mod tokens;
pub mod users;
pub mod wire;
