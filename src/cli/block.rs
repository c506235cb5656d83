//! `relatch block`: whom too many wrong passwords keep out.

use clap::{Args, Subcommand};
use serde_json::json;

use super::output::Output;
use super::user::{cell, find};
use super::{Done, Refused};
use crate::app::App;
use crate::auth::Actor;
use crate::auth::guessing::blocks::{Block, Owner, Place, Which, clear_blocks, list_blocks};
use crate::domain::client::Client;
use crate::domain::network::Network;

/// How many rows are asked for at once.
const PAGE: u32 = 200;
const COLUMNS: [&str; 7] = ["userId", "clientId", "name", "network", "failures", "lastFailedAt", "until"];

#[derive(Subcommand)]
pub(super) enum Command {
    /// List who is kept out, what lasts longest first
    List,
    /// Let somebody try again
    Clear(Target),
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct Target {
    /// Whatever was counted of this user: an id, a username or an e-mail address
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Whatever was counted from this network, such as 203.0.113.0/24, 2001:db8::/64, or an address in one
    #[arg(long, value_name = "NETWORK")]
    network: Option<String>,
    /// Everything
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(app: &App, command: Command, output: &Output) -> Done {
    match command {
        Command::List => list(app, output).await,
        Command::Clear(target) => {
            let which = which(app, &target).await?;
            let cleared = clear_blocks(app.auth(), Actor::Operator, which, &Client::default()).await;
            let cleared = cleared.map_err(Refused::because)?;
            let noun = if cleared == 1 { "count" } else { "counts" };
            output.result(format_args!("{cleared} {noun} of wrong passwords forgotten"), &json!({ "cleared": cleared }))
        }
    }
}

async fn which(app: &App, target: &Target) -> Result<Which, Refused> {
    match target {
        Target { user: Some(user), .. } => Ok(Which::OfUser(find(app, user).await?.id)),
        Target { network: Some(network), .. } => {
            let network = Network::parse(network).ok_or_else(|| {
                Refused("that is no network: write an address, a /24 of IPv4 or a /64 of IPv6".to_owned())
            })?;
            Ok(Which::OfNetwork(network))
        }
        Target { .. } => Ok(Which::All),
    }
}

async fn list(app: &App, output: &Output) -> Done {
    let (mut cursor, mut blocks) = (None, Vec::new());
    loop {
        let page = list_blocks(app.auth(), cursor.as_deref(), PAGE).await.map_err(Refused::because)?;
        blocks.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let rows: Vec<_> = blocks.iter().map(to_json).collect();
    let headings = ["USER", "CLIENT", "NAME", "NETWORK", "WRONG", "LAST", "UNTIL"];
    output.rows(&headings, &rows, |row| COLUMNS.map(|name| cell(row, name)).to_vec())
}

fn to_json(block: &Block) -> serde_json::Value {
    let (user, client) = match block.owner {
        Owner::User(id) => (Some(id.get()), None),
        Owner::Client(id) => (None, Some(id.to_string())),
        Owner::Nobody => (None, None),
    };
    json!({
        "userId": user,
        "clientId": client,
        "name": block.name,
        "network": match block.key.place {
            Place::Network(network) => Some(network.to_string()),
            Place::Account => None,
        },
        "failures": block.failures,
        "lastFailedAt": block.last_failed_at.to_string(),
        "until": block.key.until.to_string(),
    })
}
