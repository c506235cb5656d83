//! Splits a history into what concerns each session.

use std::collections::HashMap;

use crate::history::{Kind, Op, Outcome};

/// What one session was asked for, and who may have ended it.
pub(crate) struct View<'a> {
    pub(crate) id: &'a str,
    /// The login that began it.
    pub(crate) born: &'a Op,
    /// Refreshes and profile reads with its tokens, by the time of their beginning.
    pub(crate) uses: Vec<Timed<'a>>,
    /// Revocations of it, and of all sessions of its user, that were or may have been done.
    pub(crate) ends: Vec<Timed<'a>>,
    /// When an older store was put back in its life. The store may know less of it since, or nothing.
    pub(crate) restored: Option<u64>,
    /// From when on nobody knows the server's time of day.
    pub(crate) clock_set: u64,
}

/// An operation, and until when it may have happened.
#[derive(Clone, Copy)]
pub(crate) struct Timed<'a> {
    pub(crate) op: &'a Op,
    pub(crate) until: u64,
}

impl Timed<'_> {
    /// The presented generation.
    pub(crate) fn generation(&self) -> u32 {
        self.op.generation.unwrap_or(0)
    }

    pub(crate) fn is(&self, kind: Kind, outcome: Outcome) -> bool {
        self.op.op == kind && self.op.outcome == outcome
    }

    /// A refresh that has or may have made a next generation.
    pub(crate) fn may_rotate(&self) -> bool {
        self.op.op == Kind::Refresh && self.op.outcome != Outcome::Fail
    }
}

/// The sessions whose beginning was acknowledged; nobody holds a token of any other.
pub(crate) fn split(ops: &[Op]) -> Vec<View<'_>> {
    let settled: Vec<u64> = ops.iter().filter(|op| op.op == Kind::Settled).map(|op| op.t_inv).collect();
    let until = |op: &Op| match op.outcome {
        Outcome::Ok | Outcome::Fail => op.t_ret,
        Outcome::Info => settled.iter().copied().find(|at| *at > op.t_inv).unwrap_or(u64::MAX),
    };
    let clock_set = ops.iter().filter(|op| op.op == Kind::ClockSet).map(|op| op.t_inv).min().unwrap_or(u64::MAX);
    let mut of_everybody: Vec<Timed<'_>> = Vec::new();
    let mut by_session: HashMap<&str, Vec<Timed<'_>>> = HashMap::new();
    let mut by_user: HashMap<u32, Vec<Timed<'_>>> = HashMap::new();
    for op in ops {
        let timed = Timed { op, until: until(op) };
        match op.op {
            Kind::Login | Kind::Enable | Kind::ClockSet | Kind::Settled => {}
            Kind::Restored => of_everybody.push(timed),
            Kind::Refresh | Kind::Revoke | Kind::Profile => by_session.entry(&op.session).or_default().push(timed),
            Kind::LogoutAll | Kind::Disable if op.outcome != Outcome::Fail => {
                by_user.entry(op.user).or_default().push(timed);
            }
            Kind::LogoutAll | Kind::Disable => {}
        }
    }
    let mut views = Vec::new();
    for born in ops.iter().filter(|op| op.op == Kind::Login && op.outcome == Outcome::Ok) {
        let id = &born.session;
        let mut view = View { id, born, uses: Vec::new(), ends: Vec::new(), restored: None, clock_set };
        for timed in by_session.remove(view.id).unwrap_or_default() {
            match timed.op.op {
                Kind::Revoke if timed.op.outcome == Outcome::Fail => {}
                Kind::Revoke => view.ends.push(timed),
                _ => view.uses.push(timed),
            }
        }
        let everywhere = by_user.get(&born.user).into_iter().flatten().chain(&of_everybody);
        view.ends.extend(everywhere.filter(|end| end.until >= born.t_inv));
        let put_back = view.ends.iter().filter(|end| end.op.op == Kind::Restored);
        view.restored = put_back.map(|end| end.op.t_inv).min();
        view.uses.sort_by_key(|timed| timed.op.t_inv);
        view.ends.sort_by_key(|timed| timed.op.t_inv);
        views.push(view);
    }
    views
}
