//! `/.well-known`: what libraries look up to verify tokens and to find the other endpoints.

pub mod jwks;
pub mod metadata;
