//! `relatch session`: looking at sessions and ending them.

use clap::{Args, Subcommand};
use serde_json::json;

use super::output::Output;
use super::user::find;
use super::{Done, Refused};
use crate::app::App;
use crate::auth::end_everything::end_everything;
use crate::auth::sessions::{SessionQuery, list_sessions};
use crate::auth::{Actor, end_session};
use crate::domain::client::Client;
use crate::domain::session::{Session, SessionId, SessionState};

/// How many rows are asked for at once.
const PAGE: u32 = 200;

#[derive(Subcommand)]
pub(super) enum Command {
    /// List sessions, the newest first
    List {
        /// Only those of this user: an id, a username or an e-mail address
        #[arg(long, value_name = "USER")]
        user: Option<String>,
        /// Also those that have ended or expired
        #[arg(long)]
        ended: bool,
    },
    /// End sessions: their tokens stop working at once
    Revoke(Which),
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// The session's id
    #[arg(value_name = "SESSION")]
    id: Option<String>,
    /// Every session of this user: an id, a username or an e-mail address
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Every session of everybody; all signing keys are replaced too, as is needed after a store was restored
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(app: &App, command: Command, output: &Output) -> Done {
    match command {
        Command::List { user, ended } => list(app, user.as_deref(), ended, output).await,
        Command::Revoke(which) => {
            let ended = revoke(app, &which).await?;
            let noun = if ended == 1 { "session" } else { "sessions" };
            output.result(format_args!("{ended} {noun} ended"), &json!({ "revoked": ended }))
        }
    }
}

async fn list(app: &App, user: Option<&str>, with_ended: bool, output: &Output) -> Done {
    let user_id = match user {
        Some(name) => Some(find(app, name).await?.id),
        None => None,
    };
    let mut cursor = None;
    let mut sessions = Vec::new();
    loop {
        let query = SessionQuery { user_id, with_ended, cursor, limit: PAGE };
        let page = list_sessions(app.auth(), query).await.map_err(Refused::because)?;
        sessions.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let now = app.auth().now();
    let state = |session: &Session| match session.state {
        SessionState::Ended { reason, .. } => format!("ended: {}", reason.as_str()),
        SessionState::Open if session.is_expired(now) => "expired".to_owned(),
        SessionState::Open => "live".to_owned(),
    };
    let rows: Vec<_> = sessions
        .iter()
        .map(|session| {
            json!({
                "id": session.id.to_string(),
                "logName": session.id.log_name(),
                "userId": session.user_id.get(),
                "state": state(session),
                "createdAt": session.created_at.to_string(),
                "lastUsedAt": session.rotated_at.to_string(),
                "lastUsedIp": session.rotated_ip,
                "generation": session.generation.get(),
            })
        })
        .collect();
    output.rows(&["ID", "IN THE LOG", "USER", "STATE", "CREATED", "LAST USED", "FROM", "GENERATION"], &rows, |row| {
        ["id", "logName", "userId", "state", "createdAt", "lastUsedAt", "lastUsedIp", "generation"]
            .map(|name| super::user::cell(row, name))
            .to_vec()
    })
}

async fn revoke(app: &App, which: &Which) -> Result<usize, Refused> {
    let client = Client::default();
    match which {
        Which { id: Some(id), .. } => {
            let id = SessionId::parse(id).ok_or_else(|| Refused("that is not a session's id".to_owned()))?;
            end_session::end_session(app.auth(), Actor::Operator, id, &client)
                .await
                .map(usize::from)
                .map_err(Refused::because)
        }
        Which { user: Some(user), .. } => {
            let user = find(app, user).await?;
            end_session::end_sessions_of_user(app.auth(), Actor::Operator, user.id, &client)
                .await
                .map_err(Refused::because)
        }
        Which { .. } => {
            let ended = end_everything(app.auth()).await.map_err(Refused::because)?;
            Ok(usize::try_from(ended).unwrap_or(usize::MAX))
        }
    }
}
