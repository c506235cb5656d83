//! What an admin should look at, the most urgent first.

use std::time::Duration;

use crate::auth::maintenance;
use crate::auth::overview::{Alarm, Overview};
use crate::web::admin::bytes;
use crate::web::admin::guard::Console;
use crate::web::admin::moment::Moment;

const DAY: Duration = Duration::from_hours(24);
/// A copy that is older than this is an old one.
const BACKUP_AGE: Duration = Duration::from_hours(7 * 24);
/// A key that has signed for longer should be replaced, unless another period is configured.
const KEY_AGE: Duration = Duration::from_hours(90 * 24);
/// How much longer than that period it may take until somebody should look why the key is still there.
const KEY_LATE: Duration = Duration::from_hours(24);
/// An event that waits longer for its seal waits for nothing.
const SEALED_IN: Duration = Duration::from_mins(1);
/// Of a hundred parts of the disk, fewer than these are left.
const DISK_LEFT: u64 = 15;

/// Something to look at.
pub(super) struct Attention {
    /// `bad` or `warn`.
    pub(super) tone: &'static str,
    /// What it is.
    pub(super) text: String,
    /// When it happened, if it happened.
    pub(super) at: Option<Moment>,
    /// Where to look at it.
    pub(super) path: String,
    /// What is there.
    pub(super) label: &'static str,
}

pub(super) fn attention(overview: &Overview, lifted: &[&'static str], console: &Console) -> Vec<Attention> {
    let mut all: Vec<_> = overview.alarms.iter().map(|alarm| of_alarm(alarm, console)).collect();
    let mut warn = |text: String, path: &str, label: &'static str| {
        all.push(Attention { tone: "warn", text, at: None, path: path.to_owned(), label });
    };
    if let Some(disk) = overview.files.and_then(|files| files.disk)
        && disk.left.saturating_mul(100) < disk.size.saturating_mul(DISK_LEFT)
    {
        let (left, size) = (bytes(disk.left), bytes(disk.size));
        warn(format!("Of the store's disk, {left} of {size} are left."), "/admin/maintenance", "Maintenance");
    }
    match overview.pruning {
        None => {
            warn("Old rows were never deleted, and nothing is counted.".to_owned(), "/admin/maintenance", "Maintenance")
        }
        Some(last) if overview.at.since(last.at) > maintenance::EVERY * 3 => {
            warn("Old rows were not deleted for a while.".to_owned(), "/admin/maintenance", "Maintenance");
        }
        Some(_) => {}
    }
    if overview.files.is_some() {
        match overview.backup {
            None => warn("There is no backup that the store knows of.".to_owned(), "/admin/maintenance", "Maintenance"),
            Some(last) if overview.at.since(last.at) > BACKUP_AGE => {
                let days = overview.at.since(last.at).as_secs() / DAY.as_secs();
                warn(format!("The last backup is {days} days old."), "/admin/maintenance", "Maintenance");
            }
            Some(_) => {}
        }
    }
    if let Some(waits) =
        overview.unsealed_since.map(|since| overview.at.since(since)).filter(|waits| *waits > SEALED_IN)
    {
        let minutes = waits.as_secs() / 60;
        let text =
            format!("An audit event has waited for its seal for {minutes} min; each should have it in a second.");
        warn(text, "/admin/audit", "Audit");
    }
    let key_age_limit = overview.key_rotation.map_or(KEY_AGE, |period| period + KEY_LATE);
    if let Some(age) = overview.key_since.map(|since| overview.at.since(since)).filter(|age| *age > key_age_limit) {
        let days = age.as_secs() / DAY.as_secs();
        warn(format!("The key that signs access tokens is {days} days old."), "/admin/keys", "Keys");
    }
    for variable in lifted {
        let name = variable.split('=').next().unwrap_or_default();
        warn(format!("A safety limit is switched off: {variable}."), &format!("/admin/settings#{name}"), "Settings");
    }
    all
}

fn of_alarm(alarm: &Alarm, console: &Console) -> Attention {
    let whose = match (&alarm.username, alarm.user) {
        (Some(name), _) => format!("of {name}"),
        (None, Some(id)) => format!("of the removed user {id}"),
        (None, None) => "of an unknown user".to_owned(),
    };
    Attention {
        tone: "bad",
        text: format!("A refresh token {whose} was used twice, and the session was ended."),
        at: Some(console.moment(alarm.at)),
        path: match alarm.session {
            Some(session) => format!("/admin/sessions/{session}"),
            None => "/admin/audit?type=session.reuse_detected".to_owned(),
        },
        label: "Session",
    }
}
