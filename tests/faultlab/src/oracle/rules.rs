//! The promises as rules of their own, each sound by itself: what they raise is wrong in every order of events.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::model::describe;
use super::sessions::{Timed, View};
use super::store::SessionFacts;
use super::{Findings, Limits, Rule};
use crate::history::{Kind, Op, Outcome};

/// Each answer by itself, and the access tokens' ids together.
pub(super) fn check_answers(ops: &[Op], limits: &Limits, findings: &mut Findings) {
    let mut ids = HashSet::new();
    for op in ops {
        if let Some(flaw) = &op.flaw {
            findings.raise(Rule::Bounded, &op.session, format_args!("{flaw}: {}", describe(op)));
        }
        let took = op.t_ret.saturating_sub(op.t_inv);
        if took > limits.answer {
            findings.raise(Rule::Bounded, &op.session, format_args!("{} ms for {}", took / 1_000, describe(op)));
        }
        if let Some(id) = &op.jti
            && !ids.insert(id)
        {
            findings.raise(Rule::Verify, &op.session, format_args!("two access tokens have the id {id}"));
        }
    }
}

/// Who is disabled gets no session, and who is not gets one.
pub(super) fn check_logins(ops: &[Op], findings: &mut Findings) {
    let mut by_user: HashMap<u32, Vec<&Op>> = HashMap::new();
    for op in ops.iter().filter(|op| matches!(op.op, Kind::Disable | Kind::Enable)) {
        by_user.entry(op.user).or_default().push(op);
    }
    for login in ops.iter().filter(|op| op.op == Kind::Login) {
        let changes = by_user.get(&login.user).map(Vec::as_slice).unwrap_or_default();
        let certainly_disabled =
            changes.iter().filter(|op| op.op == Kind::Disable && op.outcome == Outcome::Ok).any(|disabled| {
                disabled.t_ret < login.t_inv
                    && !changes.iter().any(|op| {
                        op.op == Kind::Enable
                            && op.outcome != Outcome::Fail
                            && op.t_inv < login.t_ret
                            && (op.outcome == Outcome::Info || op.t_ret > disabled.t_inv)
                    })
            });
        let perhaps_disabled =
            changes.iter().filter(|op| op.op == Kind::Disable && op.outcome != Outcome::Fail).any(|disabled| {
                let over = if disabled.outcome == Outcome::Info { u64::MAX } else { disabled.t_ret };
                disabled.t_inv < login.t_ret
                    && !changes.iter().any(|op| {
                        op.op == Kind::Enable && op.outcome == Outcome::Ok && op.t_inv > over && op.t_ret < login.t_inv
                    })
            });
        if login.outcome == Outcome::Ok && certainly_disabled {
            findings.raise(Rule::Revival, &login.session, format_args!("a disabled user got in: {}", describe(login)));
        }
        if login.outcome == Outcome::Fail && !perhaps_disabled {
            findings.raise(Rule::InnocentDeath, "-", format_args!("a user was turned away: {}", describe(login)));
        }
    }
}

/// One session. `facts` is what the store has of it, when the store was looked at: `None` inside is nothing.
pub(super) fn check_session(
    view: &View<'_>,
    facts: Option<Option<&SessionFacts>>,
    limits: &Limits,
    findings: &mut Findings,
) {
    let danger = Danger::of(view, limits.grace);
    check_successors(view, findings);
    check_revival(view, limits.reach, findings);
    check_refusals(view, &danger, facts, findings);
    check_missed_thefts(view, findings);
    match facts {
        Some(Some(facts)) if view.restored.is_some() && facts.end_reason.is_none() => {
            findings.raise(Rule::Revival, view.id, "it is open in a store that is older than its end");
        }
        // The older store may know less of it, or nothing.
        Some(_) if view.restored.is_some() => {}
        Some(Some(facts)) => check_facts(view, facts, &danger, findings),
        Some(None) => findings.raise(Rule::Lost, view.id, "the store does not know this session"),
        None => {}
    }
}

/// When a session's life may have begun to be in danger.
struct Danger {
    /// The first possible theft.
    theft: Option<u64>,
    /// The first possible end of any kind.
    any: u64,
    /// The generation that it can have come to at most.
    top: u32,
}

impl Danger {
    fn of(view: &View<'_>, grace: u64) -> Self {
        let refreshes: Vec<&Timed<'_>> = view.uses.iter().filter(|timed| timed.op.op == Kind::Refresh).collect();
        let rotations: Vec<&Timed<'_>> = refreshes.iter().copied().filter(|timed| timed.may_rotate()).collect();
        // The highest generation that may have been made by operations that began up to the n-th one.
        let tops: Vec<u32> = rotations
            .iter()
            .scan(1, |top, timed| {
                *top = timed.generation().saturating_add(1).max(*top);
                Some(*top)
            })
            .collect();
        let mut used_by: HashMap<u32, Vec<&Op>> = HashMap::new();
        for timed in &rotations {
            used_by.entry(timed.generation()).or_default().push(timed.op);
        }
        let is_theft = |timed: &Timed<'_>| {
            // An answer of 200 has ended nothing.
            if timed.op.outcome == Outcome::Ok {
                return false;
            }
            let before = rotations.partition_point(|other| other.op.t_inv < timed.until);
            let top = before.checked_sub(1).and_then(|at| tops.get(at)).copied().unwrap_or(1);
            let next = timed.generation() + 1;
            // It cannot have been late for what it did itself.
            let users = used_by.get(&timed.generation()).map(Vec::as_slice).unwrap_or_default();
            let used = users.iter().find(|op| !std::ptr::eq(**op, timed.op));
            let late = used
                .is_some_and(|used| timed.until.saturating_sub(used.t_inv) >= grace || timed.until >= view.clock_set);
            next < top || (next == top && late)
        };
        let theft = refreshes.iter().filter(|timed| is_theft(timed)).map(|timed| timed.op.t_inv).min();
        let end = view.ends.iter().map(|timed| timed.op.t_inv).min();
        let any = theft.into_iter().chain(end).min().unwrap_or(u64::MAX);
        Self { theft, any, top: tops.last().copied().unwrap_or(1) }
    }
}

/// The same token always leads to the same next one, and each generation is one token.
fn check_successors(view: &View<'_>, findings: &mut Findings) {
    let mut by_generation: HashMap<u32, BTreeSet<&str>> = HashMap::new();
    by_generation.entry(1).or_default().extend(view.born.child_fp.as_deref());
    for timed in view.uses.iter().filter(|timed| timed.is(Kind::Refresh, Outcome::Ok)) {
        by_generation.entry(timed.generation() + 1).or_default().extend(timed.op.child_fp.as_deref());
    }
    for (generation, tokens) in by_generation.into_iter().filter(|(_, tokens)| tokens.len() > 1) {
        findings.raise(
            Rule::Successors,
            view.id,
            format_args!("{} tokens of generation {generation}: {tokens:?}", tokens.len()),
        );
    }
}

/// After an acknowledged end, and after a refusal that says that it has ended, nothing is given out.
fn check_revival(view: &View<'_>, reach: u64, findings: &mut Findings) {
    let acknowledged = view
        .ends
        .iter()
        .filter(|end| end.op.outcome == Outcome::Ok)
        .filter(|end| end.op.op == Kind::Revoke || end.op.t_inv > view.born.t_ret)
        .map(|end| end.op.t_ret);
    // An access token may have been refused for its time alone.
    let is_word = |timed: &&Timed<'_>| timed.op.op != Kind::Profile || timed.op.t_ret < view.clock_set;
    let refused = view.uses.iter().filter(|timed| timed.op.outcome == Outcome::Fail);
    let seen = refused.filter(is_word).map(|timed| timed.op.t_ret);
    let Some(ended) = acknowledged.chain(seen).min() else { return };
    for timed in &view.uses {
        let reach = if timed.op.op == Kind::Profile { reach } else { 0 };
        if timed.op.outcome == Outcome::Ok && timed.op.t_inv > ended.saturating_add(reach) {
            findings.raise(
                Rule::Revival,
                view.id,
                format_args!("it had ended at {ended}, then came {}", describe(timed.op)),
            );
        }
    }
}

/// A session that nobody ended and nobody may have stolen from is refused nothing.
fn check_refusals(view: &View<'_>, danger: &Danger, facts: Option<Option<&SessionFacts>>, findings: &mut Findings) {
    for timed in view.uses.iter().filter(|timed| timed.op.outcome == Outcome::Fail) {
        let op = timed.op;
        // What the older store does not know was given out by one that is no more.
        if view.restored.is_some_and(|restored| op.t_ret > restored) {
            continue;
        }
        let is_ours = matches!(op.code(), "session_revoked" | "account_disabled" | "refresh_token_reused");
        if op.op == Kind::Refresh && !is_ours {
            findings.raise(Rule::Lost, view.id, format_args!("a genuine token is not known: {}", describe(op)));
        }
        if op.t_ret >= danger.any {
            continue;
        }
        // It may have expired by the clock, or be from its future.
        if op.op == Kind::Profile && op.t_ret >= view.clock_set {
            continue;
        }
        if op.op == Kind::Profile {
            findings.raise(Rule::Verify, view.id, format_args!("a live session's access token: {}", describe(op)));
            continue;
        }
        findings.raise(Rule::InnocentDeath, view.id, describe(op));
        // Without the store's word, a token that came from an acknowledged rotation counts as lost with it.
        let rolled_back = facts.flatten().is_none_or(|facts| facts.end_reason.as_deref() == Some("store_rolled_back"));
        if timed.generation() > 1 && rolled_back {
            findings.raise(Rule::Lost, view.id, describe(op));
        }
    }
}

/// Once the successor of a token's successor has been given out, the token is stolen goods.
fn check_missed_thefts(view: &View<'_>, findings: &mut Findings) {
    let mut latest: Vec<(u64, u32)> = view
        .uses
        .iter()
        .filter(|timed| timed.is(Kind::Refresh, Outcome::Ok))
        .map(|timed| (timed.op.t_ret, timed.generation()))
        .collect();
    latest.sort_unstable();
    let mut top = 0;
    for entry in &mut latest {
        top = top.max(entry.1);
        entry.1 = top;
    }
    for timed in view.uses.iter().filter(|timed| timed.is(Kind::Refresh, Outcome::Ok)) {
        let before = latest.partition_point(|(at, _)| *at < timed.op.t_inv);
        let used = before.checked_sub(1).and_then(|at| latest.get(at)).map_or(0, |(_, used)| *used);
        if timed.generation() < used {
            findings.raise(
                Rule::Alarm,
                view.id,
                format_args!("generation {used} had been used, and yet: {}", describe(timed.op)),
            );
        }
    }
    let told = view.uses.iter().filter(|timed| timed.op.code() == "refresh_token_reused").count();
    if told > 1 {
        findings.raise(Rule::Alarm, view.id, format_args!("{told} requests were told that they found the theft"));
    }
}

/// What the store has of the session, after everything.
fn check_facts(view: &View<'_>, facts: &SessionFacts, danger: &Danger, findings: &mut Findings) {
    let acknowledged = view
        .uses
        .iter()
        .filter(|timed| timed.is(Kind::Refresh, Outcome::Ok))
        .map(|timed| timed.generation() + 1)
        .max()
        .unwrap_or(1);
    let generation = u32::try_from(facts.generation).unwrap_or(0);
    if generation < acknowledged {
        let what = format!("the store is at generation {generation}, {acknowledged} was acknowledged");
        findings.raise(Rule::Lost, view.id, what);
    }
    if generation > danger.top {
        let what = format!("the store is at generation {generation}, at most {} was asked for", danger.top);
        findings.raise(Rule::Store, view.id, what);
    }
    let told = view.uses.iter().any(|timed| timed.op.code() == "refresh_token_reused");
    match facts.alarms {
        0 if told => findings.raise(Rule::Alarm, view.id, "a theft was told to the client and to nobody else"),
        0 => {}
        1 if danger.theft.is_none() => findings.raise(Rule::Alarm, view.id, "an alarm without a theft"),
        1 => {}
        many => findings.raise(Rule::Alarm, view.id, format_args!("{many} alarms")),
    }
    if (facts.end_reason.as_deref() == Some("reuse")) != (facts.alarms > 0) {
        let what = format!("ended because of {:?}, with {} alarms", facts.end_reason, facts.alarms);
        findings.raise(Rule::Audit, view.id, what);
    }
}
