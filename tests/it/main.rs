//! The one integration test binary: everything through HTTP, a database of its own for each test.
//!
//! Without `TEST_DATABASE_URL` the tests run on SQLite, with it on that Postgres server. `scripts/test` runs both.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests may fail")]
#![expect(unreachable_pub, reason = "a test binary has no outside")]

mod account_sessions;
mod accounts;
mod answer_members;
mod answers;
mod architecture;
mod audit;
mod authority;
mod authorization;
mod backup;
mod bearer;
mod bulk;
mod clock_jumps;
mod command_line;
mod console;
mod cors;
mod crash;
mod errors;
mod expired;
mod failpoints;
mod faults;
mod first_run;
mod guessing;
mod harness;
mod hostile_text;
mod input;
mod jwt;
mod keys;
mod licences;
mod logs;
mod machine;
mod maintenance;
mod migrations;
mod names;
mod naughty;
mod oauth;
mod openapi;
mod overload;
mod passwords;
mod protocol;
mod races;
mod refresh;
mod registration;
mod revocation;
mod secrets;
mod session_search;
mod slow_clients;
mod smuggling;
mod status_lists;
mod stored_passwords;
mod supply_chain;
mod timing;
mod tour;
mod user_lists;
