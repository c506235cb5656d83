//! Relatch: a self-hosted token service. ARCHITECTURE.md shows the way of a request through these modules.

pub mod app;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod keyring;
pub mod secret;
pub mod store;
pub mod web;
