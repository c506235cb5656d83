//! The command line: the same verbs as the API's, for whoever may run commands on the server.
//!
//! Passwords come from standard input or a prompt, never from arguments: those are there for every process to see.

mod audit;
mod backup;
mod block;
mod client;
mod config;
mod key;
mod log;
mod output;
mod password;
mod serve;
mod session;
mod setup_url;
mod user;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};

use crate::app::{self, App};
use crate::auth::start::Purpose;
use crate::clock::SystemClock;
use crate::config::Loaded;
use output::Output;

/// A self-hosted token service: short-lived JWTs, rotating refresh tokens, and revocation that holds.
///
/// Settings come from environment variables and from .env in the working directory; .env.example lists them all.
/// Without a command, relatch serves.
#[derive(Parser)]
#[command(version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print JSON, one object a line
    #[arg(long, global = true)]
    json: bool,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 refused or failed, 2 wrong usage.";

#[derive(Subcommand)]
enum Command {
    /// Serve the API (the default)
    Serve,
    /// Create, list and change users
    #[command(subcommand)]
    User(user::Command),
    /// List and end sessions
    #[command(subcommand)]
    Session(session::Command),
    /// List, rotate and retire the keys that sign access tokens
    #[command(subcommand)]
    Key(key::Command),
    /// Register and list clients: programs with an id and a secret of their own
    #[command(subcommand)]
    Client(client::Command),
    /// List who is kept out by too many wrong passwords, and let them try again
    #[command(subcommand)]
    Block(block::Command),
    /// Check the audit trail, or take it elsewhere
    #[command(subcommand)]
    Audit(audit::Command),
    /// Look at the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Write a copy of the SQLite store to a new file, also while it is served
    Backup(backup::BackupFile),
    /// Go back to a copy of the store; every session in it is ended. Stop the server first
    Restore(backup::BackupFile),
    /// Print the OpenAPI description of the API
    Openapi,
    /// Print a new one-time link for making the first admin
    SetupUrl,
}

/// A command that was refused or failed. Its text is for people.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

impl Refused {
    fn because(reason: impl std::fmt::Display) -> Self {
        Self(reason.to_string())
    }
}

type Done = Result<(), Refused>;

/// Runs the command that the arguments name. Wrong usage ends the process with exit code 2.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let output = Output::new(cli.json);
    let done = match cli.command.unwrap_or(Command::Serve) {
        Command::Config(command) => config::run(&command, &output),
        Command::Openapi => load().and_then(|loaded| {
            let description = app::description(&loaded.config).map_err(Refused::because)?;
            output.stream(&format!("{description}\n"))
        }),
        Command::Backup(target) => load().and_then(|loaded| backup::write(&loaded.config, &target, &output)),
        Command::Restore(source) => load().and_then(|loaded| {
            let _log = log::start(&loaded.config, Purpose::Command)?;
            runtime()?.block_on(backup::read(&loaded.config, &source, &output))
        }),
        Command::Serve => {
            with_app(Purpose::Serve, &output, |loaded, app, output| Box::pin(serve::run(loaded, app, output)))
        }
        Command::User(command) => with_app(command.purpose(), &output, |loaded, app, output| {
            Box::pin(async move { user::run(&loaded.config, &app, command, output).await })
        }),
        Command::Session(command) => with_app(Purpose::Command, &output, |_, app, output| {
            Box::pin(async move { session::run(&app, command, output).await })
        }),
        Command::Key(command) => with_app(Purpose::Command, &output, |_, app, output| {
            Box::pin(async move { key::run(&app, command, output).await })
        }),
        Command::Client(command) => with_app(Purpose::Command, &output, |_, app, output| {
            Box::pin(async move { client::run(&app, command, output).await })
        }),
        Command::Block(command) => with_app(Purpose::Command, &output, |_, app, output| {
            Box::pin(async move { block::run(&app, command, output).await })
        }),
        Command::Audit(command) => with_app(Purpose::Command, &output, |_, app, output| {
            Box::pin(async move { audit::run(&app, command, output).await })
        }),
        Command::SetupUrl => with_app(Purpose::Command, &output, |loaded, app, output| {
            Box::pin(async move { setup_url::run(&loaded, &app, output).await })
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(refused) => {
            output.complain(&refused);
            ExitCode::FAILURE
        }
    }
}

type Job<'a> = std::pin::Pin<Box<dyn Future<Output = Done> + 'a>>;

/// Loads the configuration, opens the store and runs a job with them.
fn with_app<'a>(purpose: Purpose, output: &'a Output, job: impl FnOnce(Loaded, App, &'a Output) -> Job<'a>) -> Done {
    let loaded = load()?;
    // Ends last, when nothing is left that could say something.
    let _log = log::start(&loaded.config, purpose)?;
    runtime()?.block_on(async {
        let app = App::open(&loaded.config, Arc::new(SystemClock), purpose).await.map_err(Refused::because)?;
        job(loaded, app, output).await
    })
}

fn load() -> Result<Loaded, Refused> {
    crate::config::load().map_err(|problems| Refused(format!("the configuration is wrong\n{problems}")))
}

fn runtime() -> Result<tokio::runtime::Runtime, Refused> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Refused::because)
}
