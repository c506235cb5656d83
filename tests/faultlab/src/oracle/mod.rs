//! The oracle: says from what clients saw, and from the store afterwards, which promises were broken.
//!
//! It knows nothing of how the server works. Sessions are independent of each other, so each is checked by itself.

mod model;
mod rules;
mod sessions;
pub(crate) mod store;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use crate::history::{Kind, Op, Outcome};
use sessions::View;
use store::Facts;

/// The promises, numbered as in docs/reliability.md.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Rule {
    /// No acknowledged rotation is lost.
    Lost = 1,
    /// There are no two live successors.
    Successors,
    /// What was ended stays ended.
    Revival,
    /// No session dies that nobody ended and nobody stole from.
    InnocentDeath,
    /// A theft is noticed, and told once.
    Alarm,
    /// The audit trail and the state tell the same.
    Audit,
    /// An access token works while its session lives, and is like no other.
    Verify,
    /// The store is sound.
    Store,
    /// Answers come, in time and in form.
    Bounded,
    /// Some order of the operations explains all answers.
    Model,
}

impl Rule {
    const ALL: [Self; 10] = [
        Self::Lost,
        Self::Successors,
        Self::Revival,
        Self::InnocentDeath,
        Self::Alarm,
        Self::Audit,
        Self::Verify,
        Self::Store,
        Self::Bounded,
        Self::Model,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Successors => "successors",
            Self::Revival => "revival",
            Self::InnocentDeath => "innocent",
            Self::Alarm => "alarm",
            Self::Audit => "audit",
            Self::Verify => "verify",
            Self::Store => "store",
            Self::Bounded => "bounded",
            Self::Model => "model",
        }
    }
}

/// What the oracle goes by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How long a spent token gets its successor once more, in microseconds.
    pub(crate) grace: u64,
    /// How long an answer may take, in microseconds.
    pub(crate) answer: u64,
    /// How long other instances may accept the access tokens of what has ended, in microseconds.
    pub(crate) reach: u64,
}

/// What was found.
#[derive(Default)]
pub(crate) struct Findings {
    counts: BTreeMap<Rule, u64>,
    /// The first few of each rule, in words.
    pub(crate) details: Vec<String>,
    pub(crate) sessions: usize,
    pub(crate) ops: usize,
    /// How many operations have an unknown outcome.
    pub(crate) unknown: usize,
    /// Sessions whose order could be neither found nor ruled out within the limit of the search.
    pub(crate) undecided: u64,
}

impl Findings {
    pub(crate) fn raise(&mut self, rule: Rule, session: &str, what: impl std::fmt::Display) {
        let count = self.counts.entry(rule).or_default();
        *count += 1;
        if *count <= 5 {
            self.details.push(format!("{} ({session}): {what}", rule.name()));
        }
    }

    pub(crate) fn count(&self, rule: Rule) -> u64 {
        self.counts.get(&rule).copied().unwrap_or(0)
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.counts.is_empty() && self.undecided == 0
    }

    /// All counters on one line.
    pub(crate) fn line(&self) -> String {
        let counts: Vec<String> =
            Rule::ALL.iter().map(|rule| format!("{}={}", rule.name(), self.count(*rule))).collect();
        format!(
            "ops={} sessions={} unknown={} | {} undecided={}",
            self.ops,
            self.sessions,
            self.unknown,
            counts.join(" "),
            self.undecided
        )
    }
}

/// Checks a whole history, and the store's facts when there are any.
pub(crate) fn check(ops: &[Op], facts: Option<&Facts>, limits: &Limits) -> Findings {
    let clients = || ops.iter().filter(|op| !matches!(op.op, Kind::Restored | Kind::ClockSet | Kind::Settled));
    let mut findings = Findings { ops: clients().count(), ..Findings::default() };
    findings.unknown = clients().filter(|op| op.outcome == Outcome::Info).count();
    let views = sessions::split(ops);
    findings.sessions = views.len();
    rules::check_answers(ops, limits, &mut findings);
    rules::check_logins(ops, &mut findings);
    let nothing = HashMap::new();
    let known = facts.map_or(&nothing, |facts| &facts.sessions);
    for view in &views {
        rules::check_session(view, facts.map(|_| known.get(view.id)), limits, &mut findings);
        check_order(view, limits, &mut findings);
    }
    for complaint in facts.iter().flat_map(|facts| &facts.complaints) {
        findings.raise(Rule::Store, "-", complaint);
    }
    findings
}

fn check_order(view: &View<'_>, limits: &Limits, findings: &mut Findings) {
    match model::explain(view, limits) {
        model::Explanation::Found => {}
        model::Explanation::Undecided => findings.undecided += 1,
        model::Explanation::None { stuck_at } => {
            findings.raise(Rule::Model, view.id, format_args!("no order explains {stuck_at}"));
        }
    }
}
