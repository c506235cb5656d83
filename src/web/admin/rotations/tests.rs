//! Pictures of sessions, as scenes and in words.
