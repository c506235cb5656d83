//! Telling what happened to a session in words: one sentence for whoever wants to know why somebody was signed out, and
//! a list of everything for whoever cannot see the picture.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Facts;
use crate::auth::sessions::Issued;
use crate::domain::session::{EndReason, SessionKind, SessionState};
use crate::domain::timestamp::Timestamp;
use crate::web::admin::moment::{Moment, Zone};

/// How many generations the list has at its beginning and at its end.
const FIRST: usize = 20;
const LAST: usize = 60;
/// How much of an agent is shown where it changes.
const AGENT: usize = 60;

/// One thing that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Where the picture leads to; empty for what it does not show.
    pub anchor: String,
    /// When, if that is one time.
    pub when: Option<Moment>,
    /// What.
    pub text: String,
    /// Whether it is the bad news.
    pub is_bad: bool,
}

/// What became of the session, in a sentence or two.
pub fn summary(facts: &Facts<'_>, zone: &Zone) -> String {
    let session = facts.session;
    let local = |time: Timestamp| zone.moment(time).local;
    match session.state {
        SessionState::Ended { at, reason } => format!("{} {}", lead(reason, &local(at)), why(facts, reason)),
        SessionState::Open if session.is_expired(facts.now) => {
            if session.expires_at <= session.idle_expires_at {
                format!(
                    "Expired at {} because a session lasts no longer than that, however much it is used.",
                    local(session.expires_at)
                )
            } else {
                format!(
                    "Expired at {} because it was not used after {}.",
                    local(session.idle_expires_at),
                    local(session.rotated_at)
                )
            }
        }
        SessionState::Open => {
            let from = from(session.rotated_ip);
            let last = ago(facts.now, session.rotated_at);
            match (session.kind, session.generation.get() - 1) {
                (SessionKind::Console, _) => {
                    format!("Live: somebody is signed in to the console, last seen {last}{from}.")
                }
                (SessionKind::Api, 0) => format!("Live: signed in {last}{from}, and not refreshed yet."),
                (SessionKind::Api, 1) => format!("Live: refreshed once, {last}{from}."),
                (SessionKind::Api, many) => format!("Live: refreshed {many} times, last {last}{from}."),
            }
        }
    }
}

/// How long ago a time is, in the one unit that says most.
pub fn ago(now: Timestamp, time: Timestamp) -> String {
    let seconds = now.since(time).as_secs();
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match seconds {
        0..MINUTE => "just now".to_owned(),
        MINUTE..HOUR => format!("{} min ago", seconds / MINUTE),
        HOUR..DAY => format!("{} h ago", seconds / HOUR),
        _ if seconds < 2 * DAY => "1 day ago".to_owned(),
        _ => format!("{} days ago", seconds / DAY),
    }
}

fn lead(reason: EndReason, at: &str) -> String {
    match reason {
        EndReason::Logout | EndReason::LogoutAll => format!("Signed out at {at}:"),
        EndReason::EndedByUser | EndReason::TokenRevoked | EndReason::EndedByAdmin => format!("Ended at {at}:"),
        _ => format!("Signed out at {at} because"),
    }
}

fn from(ip: Option<std::net::IpAddr>) -> String {
    ip.map_or_else(String::new, |ip| format!(" from {ip}"))
}

fn why(facts: &Facts<'_>, reason: EndReason) -> String {
    let by = match (facts.ended_by, facts.session.ended_by) {
        (Some(name), _) => format!("the admin {name}"),
        (None, Some(id)) => format!("the admin with the id {id}, who is removed,"),
        (None, None) => "an operator".to_owned(),
    };
    let from = from(facts.ended_ip);
    let current = facts.session.generation.get();
    match reason {
        EndReason::Logout => format!("the user signed out{from}."),
        EndReason::LogoutAll => format!("the user signed out everywhere{from}."),
        EndReason::EndedByUser => format!("the user ended it in the list of their sessions{from}."),
        EndReason::TokenRevoked => format!("whoever held its refresh token revoked it{from}."),
        EndReason::EndedByAdmin => format!("{by} ended it{from}."),
        EndReason::PasswordChanged => format!("the password was changed{from}."),
        EndReason::AccountDisabled => "the account was disabled.".to_owned(),
        EndReason::AccountDeleted => "the account was deleted.".to_owned(),
        EndReason::Reuse => match facts.presented {
            Some(presented) => format!(
                "an old refresh token (generation {}) was presented{from} while {current} was current: somebody else \
                 may have a copy of it.",
                presented.get()
            ),
            None => format!(
                "a refresh token that had been replaced was presented{from}: somebody else may have a copy of it."
            ),
        },
        EndReason::StoreRolledBack => format!(
            "a refresh token newer than the store was presented{from}: the store has gone back in time, as after an \
             older copy was put in its place."
        ),
        EndReason::StoreRestored => "the store was restored from a backup.".to_owned(),
        EndReason::TooManySessions => {
            "the user had more live sessions than MAX_SESSIONS_PER_USER, and this was the least recently used."
                .to_owned()
        }
        EndReason::GenerationsUsedUp => {
            "it had no refresh token left: it was refreshed 2,147,483,647 times.".to_owned()
        }
        EndReason::WrongPasswords => format!("a wrong password was given too many times in a row{from}."),
    }
}

/// Everything that is known, in the order in which it happened.
pub fn entries(facts: &Facts<'_>, zone: &Zone) -> Vec<Entry> {
    let mut entries = Vec::new();
    let listed = listed(facts);
    let mut before: Option<&Issued> = None;
    let mut last = 0;
    for issued in facts.history {
        let generation = issued.generation.get();
        if !listed.contains(&generation) {
            continue;
        }
        entries.extend(gap(last, generation));
        last = generation;
        entries.push(Entry {
            anchor: format!("g{generation}"),
            when: Some(zone.moment(issued.created_at)),
            text: made(issued, before),
            is_bad: false,
        });
        before = Some(issued);
        if let Some(repeats) = issued.repeats {
            let times =
                if repeats.count == 1 { "once more".to_owned() } else { format!("{} times more", repeats.count) };
            entries.push(Entry {
                anchor: format!("r{generation}"),
                when: Some(zone.moment(repeats.last_at)),
                text: format!(
                    "Generation {generation} was given out {times}{}: its parent was presented again within the grace \
                     window, as after a lost answer.",
                    from(repeats.last_ip)
                ),
                is_bad: false,
            });
        }
    }
    entries.extend(gap(last, facts.session.generation.get() + 1));
    if last == 0 && facts.session.kind == SessionKind::Console {
        entries.clear();
        entries.push(Entry {
            anchor: "g1".to_owned(),
            when: Some(zone.moment(facts.session.created_at)),
            text: format!("Signed in to the console{}.", from(facts.session.created_ip)),
            is_bad: false,
        });
    }
    if let Some((at, _)) = facts.end() {
        entries.push(Entry {
            anchor: "end".to_owned(),
            when: Some(zone.moment(at)),
            text: summary(facts, zone),
            is_bad: matches!(facts.session.state, SessionState::Ended { reason: EndReason::Reuse, .. }),
        });
    }
    entries
}

/// The generations that the list names: it must not grow without bound.
fn listed(facts: &Facts<'_>) -> BTreeSet<u32> {
    let numbers = || facts.history.iter().map(|issued| issued.generation.get());
    let repeated = facts.history.iter().rev().filter(|issued| issued.repeats.is_some()).take(FIRST);
    numbers()
        .take(FIRST)
        .chain(numbers().rev().take(LAST))
        .chain(facts.presented.map(|presented| presented.get()))
        .chain(repeated.flat_map(|issued| [issued.generation.get(), issued.generation.get().saturating_sub(1)]))
        .collect()
}

fn gap(last: u32, next: u32) -> Option<Entry> {
    let text = match next - last - 1 {
        0 => return None,
        1 => "One generation is not listed.".to_owned(),
        many => format!("{many} generations are not listed."),
    };
    Some(Entry { anchor: String::new(), when: None, text, is_bad: false })
}

fn made(issued: &Issued, before: Option<&Issued>) -> String {
    let what = if issued.generation.get() == 1 {
        "Signed in: generation 1".to_owned()
    } else {
        format!("Generation {}", issued.generation.get())
    };
    let is_same =
        before.is_some_and(|before| before.created_ip == issued.created_ip && before.user_agent == issued.user_agent);
    if is_same {
        return format!("{what}.");
    }
    let agent = match &issued.user_agent {
        Some(agent) if agent.chars().count() > AGENT => agent.chars().take(AGENT).chain(['…']).collect(),
        Some(agent) => agent.clone(),
        None => "an unknown agent".to_owned(),
    };
    format!("{what}, for {agent}{}.", from(issued.created_ip))
}

/// How long something is kept, in whole days.
pub fn days(life: Duration) -> u64 {
    life.as_secs() / (24 * 3_600)
}
