//! `relatch config`: what the configuration comes to.

use clap::Subcommand;
use serde_json::json;

use super::output::Output;
use super::{Done, Refused};
use crate::auth::start;
use crate::clock::{Clock as _, SystemClock};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Check every variable and print its effective value and where it comes from
    Check,
    /// Let the store's tokens be issued by the JWT_ISSUER or PUBLIC_URL that is configured now
    AdoptIssuer,
}

pub(super) fn run(command: &Command, output: &Output) -> Done {
    let loaded = super::load()?;
    for warning in &loaded.warnings {
        output.note(format_args!("warning: {warning}"));
    }
    match command {
        Command::Check => {
            let row = |setting: &crate::config::Setting| {
                let (name, value, source) = (setting.name, &setting.value, setting.source.as_str());
                json!({ "name": name, "value": value, "source": source })
            };
            let settings: Vec<_> = loaded.config.settings.iter().map(row).collect();
            output.result(loaded.table().trim_end(), &settings)
        }
        Command::AdoptIssuer => {
            let old = super::runtime()?
                .block_on(start::adopt_issuer(&loaded.config, SystemClock.now()))
                .map_err(Refused::because)?;
            let new = &loaded.config.jwt.issuer;
            let text = if old == *new {
                format!("Tokens are issued by {new} already")
            } else {
                format!("Tokens were issued by {old} and are issued by {new} from the next start on")
            };
            output.result(text, &json!({ "before": old, "now": new }))
        }
    }
}
