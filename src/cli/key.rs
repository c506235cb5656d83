//! `relatch key`: looking at the keys that sign access tokens, and putting others in their place.

use clap::Subcommand;
use serde_json::json;

use super::output::Output;
use super::{Done, Refused};
use crate::app::App;
use crate::auth::Actor;
use crate::auth::key_schedule::Force;
use crate::auth::keys::list_keys;
use crate::auth::rotate_keys::{Haste, RetireError, count_tokens_in_use, retire_key, rotate_keys};
use crate::domain::client::Client;

#[derive(Subcommand)]
pub(super) enum Command {
    /// List the keys: the one that signs, the next one, and those that did
    List,
    /// Let the next key sign, as soon as everybody who verifies tokens can know it
    Rotate {
        /// Let it sign at once, and refuse all tokens of the keys before it: for a key that others may have
        #[arg(long)]
        emergency: bool,
    },
    /// Take a key out of use that signs no more, or that waits for its turn
    Retire {
        /// The key's id
        #[arg(value_name = "KID", allow_hyphen_values = true)]
        kid: String,
        /// Also one whose tokens may not have expired: those are refused from now on
        #[arg(long)]
        force: bool,
    },
}

pub(super) async fn run(app: &App, command: Command, output: &Output) -> Done {
    match command {
        Command::List => list(app, output).await,
        Command::Rotate { emergency: false } => rotate(app, output).await,
        Command::Rotate { emergency: true } => replace(app, output).await,
        Command::Retire { kid, force } => retire(app, &kid, force, output).await,
    }
}

async fn list(app: &App, output: &Output) -> Done {
    let keys = list_keys(app.auth()).await.map_err(Refused::because)?;
    let time = |at: Option<crate::domain::timestamp::Timestamp>| at.map(|at| at.to_string());
    let rows: Vec<_> = keys
        .iter()
        .map(|key| {
            json!({
                "kid": key.kid,
                "algorithm": key.algorithm,
                "role": key.role.as_str(),
                "createdAt": time(key.created_at),
                "signsFrom": time(key.signs_from),
                "supersededAt": time(key.superseded_at),
                "acceptedUntil": time(key.accepted_until),
                "retiredEarly": key.was_retired_early,
            })
        })
        .collect();
    output.rows(&["ROLE", "KID", "ALGORITHM", "SIGNS FROM", "SUPERSEDED", "ACCEPTED UNTIL"], &rows, |row| {
        ["role", "kid", "algorithm", "signsFrom", "supersededAt", "acceptedUntil"]
            .map(|name| super::user::cell(row, name))
            .to_vec()
    })
}

async fn rotate(app: &App, output: &Output) -> Done {
    let nobody = Client::default();
    let done = rotate_keys(app.auth(), Actor::Operator, Haste::None, &nobody).await.map_err(Refused::because)?;
    let (kid, from) = (&done.kid, done.signs_from);
    let value = json!({ "kid": kid, "signsFrom": from.to_string(), "wasScheduled": done.was_scheduled });
    if done.was_scheduled {
        output.result(format_args!("Nothing was changed: key {kid} signs from {from} on already"), &value)
    } else if from > app.auth().now() {
        output.result(format_args!("Key {kid} signs from {from} on, when everybody who verifies can know it"), &value)
    } else {
        output.result(format_args!("Key {kid} signs from now on. Tokens of the one before it are accepted"), &value)
    }
}

async fn replace(app: &App, output: &Output) -> Done {
    // Counted before they are refused: afterwards clients refresh and count as new.
    let sessions = count_tokens_in_use(app.auth()).await.map_err(Refused::because)?;
    let nobody = Client::default();
    let done = rotate_keys(app.auth(), Actor::Operator, Haste::Emergency, &nobody).await.map_err(Refused::because)?;
    output.note(
        "APIs that verify tokens by themselves may accept those of the retired keys until they fetch the keys again, \
         which they do after JWKS_MAX_AGE",
    );
    let (number, more) = (sessions.found, if sessions.is_exact { "" } else { " or more" });
    output.result(
        format_args!(
            "Key {} signs from now on, and {} retired. Access tokens of {number}{more} live sessions are refused from \
             now on; their next refresh gives others",
            done.kid,
            if done.retired.len() == 1 { "one key is".to_owned() } else { format!("{} keys are", done.retired.len()) },
        ),
        &json!({
            "kid": done.kid,
            "signsFrom": done.signs_from.to_string(),
            "retired": done.retired,
            "sessions": number,
            "sessionsExact": sessions.is_exact,
        }),
    )
}

async fn retire(app: &App, kid: &str, force: bool, output: &Output) -> Done {
    let forced = if force { Force::Yes } else { Force::No };
    match retire_key(app.auth(), Actor::Operator, kid, forced, &Client::default()).await {
        Ok(()) => output.result(format_args!("Key {kid} is retired"), &json!({ "kid": kid })),
        Err(error @ RetireError::StillAccepted(_)) => Err(Refused(format!("{error}. Wait, or use --force"))),
        Err(error) => Err(Refused::because(error)),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::Command;

    #[derive(Parser)]
    struct Key {
        #[command(subcommand)]
        command: Command,
    }

    #[test]
    fn a_key_whose_id_begins_with_a_hyphen_can_be_named() {
        for words in [["key", "retire", "-4fY", "--force"], ["key", "retire", "--force", "-4fY"]] {
            let Ok(Key { command: Command::Retire { kid, force } }) = Key::try_parse_from(words) else {
                panic!("{words:?} is refused");
            };
            assert_eq!((kid.as_str(), force), ("-4fY", true), "{words:?}");
        }
    }
}
