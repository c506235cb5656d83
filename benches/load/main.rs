//! The benchmark's tools: a load generator, the bare loops it is compared with, and what fills a database for it.
//!
//! `scripts/bench` puts them together. A tool prints one JSON object a run to standard output and a sentence to
//! standard error.
#![expect(clippy::print_stderr, reason = "a tool for the command line")]

mod bare;
mod client;
mod console_fixture;
mod console_words;
mod database;
mod drip;
mod fill;
mod flood;
mod histogram;
mod hot_loops;
mod load;
mod outcome;
mod process;
mod report;
mod revoke_all;
mod timing;
mod tokens;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// The benchmark's tools. `scripts/bench` runs them all.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// What `cargo bench` adds by itself
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Generate load over HTTP and measure
    Load(load::Arguments),
    /// Serve a fixed JSON answer: what the HTTP library alone can do
    BareRoute(bare::Arguments),
    /// Serve the same to whoever has an ES256 token, which is verified each time
    BareVerify(bare::Arguments),
    /// Drip thousands of requests, and measure what it costs
    Drip(drip::Arguments),
    /// Sign in at several times the rate that can be hashed
    Flood(flood::Arguments),
    /// Compare the times of refused sign-ins
    Timing(timing::Arguments),
    /// Verify passwords on all cores
    BcryptLoop(hot_loops::BcryptArguments),
    /// Spend refresh tokens without HTTP
    RotationLoop(hot_loops::RotationArguments),
    /// Put users with a session each into a database, and their refresh tokens into a file
    Fill(fill::Arguments),
    /// Fill a new store with users, sessions and audit events for the console
    ConsoleFixture(console_fixture::Arguments),
    /// End all sessions by the API, and measure how long that takes
    RevokeAll(revoke_all::Arguments),
    /// Start a server some times over, and measure how long that takes and how much memory it needs
    StartTime(process::StartArguments),
    /// Say how much memory a running server needs and needed at most
    Memory(process::MemoryArguments),
    /// Make a table of the objects that the other tools printed
    Report(report::Arguments),
}

fn main() -> ExitCode {
    let Some(command) = Cli::parse().command else {
        eprintln!("Nothing was measured: run scripts/bench, or name a tool.");
        return ExitCode::SUCCESS;
    };
    let done = match command {
        Command::Load(arguments) => load::run(&arguments),
        Command::BareRoute(arguments) => bare::serve_route(&arguments),
        Command::BareVerify(arguments) => bare::serve_verified(&arguments),
        Command::Drip(arguments) => drip::run(&arguments),
        Command::Flood(arguments) => flood::run(&arguments),
        Command::Timing(arguments) => timing::run(&arguments),
        Command::BcryptLoop(arguments) => hot_loops::bcrypt(&arguments),
        Command::RotationLoop(arguments) => hot_loops::rotation(&arguments),
        Command::Fill(arguments) => fill::run(&arguments),
        Command::ConsoleFixture(arguments) => console_fixture::run(&arguments),
        Command::RevokeAll(arguments) => revoke_all::run(&arguments),
        Command::StartTime(arguments) => process::start_time(&arguments),
        Command::Memory(arguments) => process::memory(&arguments),
        Command::Report(arguments) => report::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}
