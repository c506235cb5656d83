//! What admins do with several users at once: all of it in one transaction, with an account of what was done.

use std::collections::{HashMap, HashSet};

use serde_json::json;

use super::failure::Failure;
use super::{Actor, Auth};
use crate::domain::client::Client;
use crate::domain::role::Role;
use crate::domain::session::EndReason;
use crate::domain::user::{User, UserId, UserStatus};
use crate::store::audit_events::{self, Event, Kind};
use crate::store::dialect::{self, Lock};
use crate::store::{sessions, user_batches, users};

/// How many users one batch has at most: as many as a page shows.
pub const BATCH_MAX: usize = 200;

/// What is done with each of the users.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BatchAction {
    /// End all of their sessions.
    RevokeSessions,
    /// Keep them out, and end their sessions.
    Disable,
    /// Let them in again.
    Enable,
}

/// Whom it may be done with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// With all of them.
    Everybody,
    /// With none of them, when an admin is to be kept out or let in.
    AllButAdmins,
}

/// What was done, and what could not be.
#[derive(Clone, Debug, Default)]
pub struct BatchReport {
    /// How many users it was done with.
    pub done: usize,
    /// How many sessions ended.
    pub sessions_ended: usize,
    /// How many were that already.
    pub unchanged: usize,
    /// How many are deleted, or were never there.
    pub missing: usize,
    /// The one who stayed, since nobody else who may sign in is an admin.
    pub last_admin: Option<User>,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// An admin is among them, and may not be.
    #[error("an admin is among the users")]
    RoleChanged,
    /// The actor was signed out or changed meanwhile.
    #[error("whoever wanted this may no longer do it")]
    NoLongerPermitted,
    /// No answer could be found.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Those of these users who are there, deleted or not, by id.
pub async fn find_users(auth: &Auth, ids: Vec<UserId>) -> Result<Vec<User>, Failure> {
    auth.read(move |connection| user_batches::find(connection, &ids)).await
}

/// Does it with all of these users that it can be done with. When every admin who may sign in is among those to be kept
/// out, the actor stays, or else the first of them.
pub async fn change_users(
    auth: &Auth,
    actor: Actor<'_>,
    action: BatchAction,
    reach: Reach,
    ids: &[UserId],
    client: &Client,
) -> Result<BatchReport, BatchError> {
    let ids: Vec<UserId> = ids.iter().copied().collect::<HashSet<_>>().into_iter().take(BATCH_MAX).collect();
    let (by, user_id) = (actor.by(), actor.user_id());
    let (credentials, now, client) = (actor.credentials(), auth.now(), client.clone());
    let job = move |connection: &mut _| {
        dialect::lock(connection, Lock::Admins)?;
        if !credentials.still_hold(connection)? {
            return Ok(Err(BatchError::NoLongerPermitted));
        }
        let mut chosen = user_batches::find(connection, &ids)?;
        chosen.retain(|user| !matches!(user.status, UserStatus::Deleted { .. }));
        let spares_admins = reach == Reach::AllButAdmins && action != BatchAction::RevokeSessions;
        if spares_admins && chosen.iter().any(|user| user.role == Role::Admin) {
            return Ok(Err(BatchError::RoleChanged));
        }
        let mut report = BatchReport { missing: ids.len() - chosen.len(), ..BatchReport::default() };
        let before = chosen.len();
        match action {
            BatchAction::RevokeSessions => {}
            BatchAction::Disable => chosen.retain(User::is_active),
            BatchAction::Enable => chosen.retain(|user| !user.is_active()),
        }
        report.unchanged = before - chosen.len();
        if action == BatchAction::Disable {
            let admins = users::count_active_admins(connection)?;
            report.last_admin = spare_last_admin(&mut chosen, admins, user_id);
        }
        let ids: Vec<UserId> = chosen.iter().map(|user| user.id).collect();
        report.done = ids.len();
        if action != BatchAction::RevokeSessions {
            user_batches::set_disabled(connection, &ids, action == BatchAction::Disable, now)?;
        }
        let (kind, reason) = match action {
            BatchAction::Enable => (Kind::UserEnabled, None),
            BatchAction::RevokeSessions => (Kind::SessionsRevoked, Some(EndReason::EndedByAdmin)),
            BatchAction::Disable => (Kind::UserDisabled, Some(EndReason::AccountDisabled)),
        };
        let mut ended: HashMap<i64, usize> = HashMap::new();
        if let Some(reason) = reason {
            let end = sessions::End { at: now, reason, by: user_id, client: &client };
            for user in user_batches::end_sessions(connection, &ids, &end)? {
                *ended.entry(user).or_default() += 1;
            }
        }
        report.sessions_ended = ended.values().sum();
        for id in &ids {
            let event = Event::new(kind, now, by, &client).about(*id);
            let number = ended.get(&id.get()).copied().unwrap_or(0);
            let detail = match action {
                BatchAction::Enable => json!({}),
                BatchAction::Disable => json!({ "sessionsEnded": number }),
                BatchAction::RevokeSessions => {
                    json!({ "reason": EndReason::EndedByAdmin.as_str(), "sessionsEnded": number })
                }
            };
            audit_events::record(connection, &event.with(detail))?;
        }
        Ok(Ok(report))
    };
    // What takes away must be possible when the disk is full, too.
    if action == BatchAction::Enable { auth.write_change(job).await? } else { auth.write_end(job).await? }
}

/// Takes one admin out of those to be kept out, when all are among them; says whom.
fn spare_last_admin(chosen: &mut Vec<User>, admins: i64, actor: Option<UserId>) -> Option<User> {
    let among = chosen.iter().filter(|user| user.role == Role::Admin);
    if i64::try_from(among.clone().count()).is_ok_and(|chosen| chosen < admins) {
        return None;
    }
    let spared = among.clone().find(|user| Some(user.id) == actor).or_else(|| among.clone().next())?.clone();
    chosen.retain(|user| user.id != spared.id);
    Some(spared)
}
