//! Noting that somebody goes on with what is over. The trail has what ended a session; that somebody goes on with it, the
//! log alone has, since it costs them nothing.

use crate::domain::client::Client;
use crate::domain::security_event;
use crate::domain::session::SessionId;

/// Logs that somebody goes on with a session that is over.
pub fn log_use_of_ended(session: SessionId, client: &Client, reason: &str) {
    tracing::info!(
        target: "relatch::security",
        event = security_event::SESSION_USE_AFTER_EXPIRE,
        result = "denied",
        by = "anonymous",
        session = session.log_name(),
        source = client.address().map(|address| address.to_string()),
        request_id = client.request_id().map(|id| id.to_string()),
        reason,
        "security event"
    );
}

/// Logs that an access token was presented whose time is over, as every client does now and then.
pub fn log_use_of_expired(client: &Client) {
    tracing::debug!(
        target: "relatch::security",
        event = security_event::SESSION_USE_AFTER_EXPIRE,
        result = "denied",
        by = "anonymous",
        source = client.address().map(|address| address.to_string()),
        request_id = client.request_id().map(|id| id.to_string()),
        reason = "the access token has expired",
        "security event"
    );
}
