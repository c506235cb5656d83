//! That somebody took much away to read it elsewhere.

use serde_json::json;

use crate::auth::failure::Failure;
use crate::auth::{Actor, Auth};
use crate::domain::audit::Kind;
use crate::domain::client::Client;
use crate::store::audit_events::{self, Event};

/// What was taken away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exported {
    /// The list of users.
    Users,
    /// The audit trail.
    Events,
}

/// Why it may not be.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The actor was signed out or changed meanwhile.
    #[error("whoever wanted this may no longer do it")]
    NoLongerPermitted,
    /// No answer could be found.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Puts an export down, before anything of it is written.
pub async fn note_export(
    auth: &Auth,
    actor: Actor<'_>,
    what: Exported,
    format: &'static str,
    client: &Client,
) -> Result<(), ExportError> {
    let (by, credentials, now, client) = (actor.by(), actor.credentials(), auth.now(), client.clone());
    let kind = match what {
        Exported::Users => Kind::UsersExported,
        Exported::Events => Kind::AuditExported,
    };
    auth.write(move |connection| {
        if !credentials.still_hold(connection)? {
            return Ok(Err(ExportError::NoLongerPermitted));
        }
        audit_events::record(connection, &Event::new(kind, now, by, &client).with(json!({ "format": format })))?;
        Ok(Ok(()))
    })
    .await?
}
