//! `/admin/maintenance`: the store's condition, and the two things that can be done about it by hand.
//!
//! What takes longer than somebody waits for a page goes on in the background.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;
use askama::Template;
use serde_json::json;

use super::bytes;
use super::flash::Flash;
use super::form::Posted;
use super::guard::Console;
use super::moment::Moment;
use super::page::{self, Layout, Tab};
use crate::auth::audit::export::hex;
use crate::auth::condition::{Condition, UNSEALED_COUNTED, condition};
use crate::auth::integrity::{self, Checked, IntegrityState, integrity_state};
use crate::auth::maintenance::{EVERY, Pruned, prune};
use crate::web::problem::Problem;
use crate::web::state::State;

/// How long a page waits for what it has begun; less than any answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
const PATH: &str = "/admin/maintenance";

#[derive(Template)]
#[template(path = "admin/maintenance.html")]
struct MaintenancePage {
    layout: Layout,
    version: &'static str,
    condition: Condition,
    size: String,
    files: Option<Files>,
    pruned: Option<(Moment, bool)>,
    lease: Option<Lease>,
    sealed: Option<Moment>,
    unsealed: String,
    backup: Option<(Moment, String)>,
    failed_backup: Option<Moment>,
    integrity: IntegrityState,
    checked: Option<Moment>,
}

struct Files {
    log: String,
    ballast: String,
    disk: Option<(String, String)>,
}

struct Lease {
    holder: String,
    until: Moment,
}

/// `GET /admin/maintenance`
pub async fn show_maintenance(state: Data<State>, console: Console) -> Result<HttpResponse, Problem> {
    let condition = condition(&state.auth).await?;
    let integrity = integrity_state(&state.auth);
    let lease = condition.progress.pruning_holder.as_ref().zip(condition.progress.pruning_until());
    page::show(&MaintenancePage {
        layout: console.layout("Maintenance", Tab::Maintenance),
        version: env!("CARGO_PKG_VERSION"),
        size: bytes(condition.database.size.unsigned_abs()),
        files: condition.files.map(|files| Files {
            log: bytes(files.log),
            ballast: bytes(files.ballast),
            disk: files.disk.map(|disk| (bytes(disk.left), bytes(disk.size))),
        }),
        pruned: condition.pruning.map(|last| (console.moment(last.at), condition.at.since(last.at) > EVERY * 3)),
        lease: lease.filter(|(_, until)| *until > condition.at).map(|(holder, until)| Lease {
            holder: hex(holder).chars().take(8).collect(),
            until: console.moment(until),
        }),
        sealed: condition.progress.last_sealed().map(|at| console.moment(at)),
        unsealed: match condition.progress.unsealed {
            many if many > UNSEALED_COUNTED => format!("more than {UNSEALED_COUNTED}"),
            few => few.to_string(),
        },
        backup: condition.backup.map(|last| (console.moment(last.at), bytes(last.bytes))),
        failed_backup: condition.failed_backup.as_ref().map(|failed| console.moment(failed.at)),
        checked: match &integrity {
            IntegrityState::Checked(checked) => Some(console.moment(checked.at)),
            _ => None,
        },
        integrity,
        condition,
    })
}

/// `POST /admin/maintenance/prune`
pub async fn prune_rows(state: Data<State>, Posted { console, .. }: Posted) -> Result<HttpResponse, Problem> {
    let task = tokio::spawn(async move {
        let done = prune(&state.auth).await;
        if let Err(failure) = &done {
            tracing::warn!(%failure, "old rows could not be deleted");
        }
        done
    });
    let text = match tokio::time::timeout(PATIENCE, task).await {
        Err(_) => "Old rows are being deleted. This page shows the result once it is done.".to_owned(),
        Ok(done) => match done.map_err(|error| Problem::failure(error, false))?? {
            Some(done) => what_was_deleted(&done),
            None => "Old rows are being deleted already. This page shows the result once it is done.".to_owned(),
        },
    };
    console.done(text, PATH)
}

/// `POST /admin/maintenance/check`
pub async fn check_integrity(state: Data<State>, Posted { console, .. }: Posted) -> Result<HttpResponse, Problem> {
    let task = tokio::spawn(async move {
        let done = integrity::check_integrity(&state.auth).await;
        match &done {
            Err(failure) => tracing::warn!(%failure, "the store could not be checked"),
            Ok(Some(Checked { problems, .. })) if !problems.is_empty() => {
                tracing::error!(?problems, "the store is damaged");
            }
            Ok(_) => {}
        }
        done
    });
    let text = match tokio::time::timeout(PATIENCE, task).await {
        Err(_) => "The store is being checked. This page shows the result once it is done.",
        Ok(done) => match done.map_err(|error| Problem::failure(error, false))?? {
            Some(Checked { problems, .. }) if problems.is_empty() => "No damage was found.",
            Some(_) => {
                console.say(Flash::refused("The store is damaged. Make a copy of its files before anything else."))?;
                return Ok(page::see_other(PATH));
            }
            None => "The store is being checked already. This page shows the result once it is done.",
        },
    };
    console.done(text, PATH)
}

/// `GET /admin/maintenance/diagnostics`: the same for whoever helps, as a file without secrets.
pub async fn show_diagnostics(state: Data<State>, console: Console) -> Result<HttpResponse, Problem> {
    let condition = condition(&state.auth).await?;
    let time = |at: Option<crate::domain::timestamp::Timestamp>| at.map(|at| at.to_string());
    let settings = state
        .settings
        .iter()
        .map(|setting| json!({ "name": setting.name, "value": setting.value, "source": setting.source.as_str() }));
    let progress = &condition.progress;
    let diagnostics = json!({
        "at": condition.at.to_string(),
        "version": env!("CARGO_PKG_VERSION"),
        "database": condition.database.version,
        "migrations": { "applied": progress.migrations, "newest": progress.newest_migration },
        "bytes": {
            "database": condition.database.size,
            "log": condition.files.map(|files| files.log),
            "ballast": condition.files.map(|files| files.ballast),
            "disk": condition.files.and_then(|files| files.disk).map(|disk| disk.size),
            "diskLeft": condition.files.and_then(|files| files.disk).map(|disk| disk.left),
        },
        "pool": { "inUse": condition.pool.in_use, "open": condition.pool.open, "atMost": condition.pool.at_most },
        "clockOffsetMs": condition.clock_offset.map(|offset| offset.as_millis()),
        "pruning": condition.pruning.map(|last| json!({
            "at": last.at.to_string(),
            "tookMs": last.took.as_millis(),
            "longestStepMs": last.longest_step.as_millis(),
            "sessions": last.sessions,
            "rotations": last.rotations,
            "users": last.users,
            "events": last.events,
            "liveSessions": last.live_sessions,
            "accounts": last.accounts,
        })),
        "pruningLeaseUntil": time(progress.pruning_until()),
        "seal": {
            "sealed": progress.sealed,
            "newest": time(progress.last_sealed()),
            "unsealed": progress.unsealed,
        },
        "backup": condition.backup.map(|last| json!({ "at": last.at.to_string(), "bytes": last.bytes })),
        "failedBackup": condition.failed_backup.as_ref().map(|failed| failed.at.to_string()),
        "settings": settings.collect::<Vec<_>>(),
    });
    let text = serde_json::to_string_pretty(&diagnostics).map_err(|error| Problem::failure(error, false))?;
    let day = console.zone().day_of(condition.at);
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"relatch-{day}.json\"")))
        .body(text))
}

fn what_was_deleted(done: &Pruned) -> String {
    let parts = [
        (done.sessions, "session", "sessions"),
        (done.rotations, "rotation", "rotations"),
        (done.users, "user", "users"),
        (done.events, "audit event", "audit events"),
    ];
    let parts: Vec<_> = parts
        .into_iter()
        .filter(|(number, _, _)| *number > 0)
        .map(|(number, one, many)| format!("{number} {}", if number == 1 { one } else { many }))
        .collect();
    if parts.is_empty() {
        "Nothing was old enough to be deleted.".to_owned()
    } else {
        format!("Deleted: {}.", parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_deleted_is_told_in_a_sentence() {
        assert_eq!(what_was_deleted(&Pruned::default()), "Nothing was old enough to be deleted.");
        let done = Pruned { sessions: 1, rotations: 20, events: 3, ..Pruned::default() };
        assert_eq!(what_was_deleted(&done), "Deleted: 1 session, 20 rotations, 3 audit events.");
    }
}
