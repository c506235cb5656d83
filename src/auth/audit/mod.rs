//! The audit trail: reading it, sealing it, checking the seal, and what is counted by the hour.
//!
//! Events are recorded by the verbs themselves, in the transactions of what they tell of. Nothing here decides anything,
//! and nothing can switch it off.

pub mod activity;
mod chain;
pub mod denial;
pub mod export;
pub mod exported;
pub mod list;
pub mod prune;
pub mod seal;
pub mod verify;

pub use crate::domain::audit::{By, Kind, Outcome, Severity};
