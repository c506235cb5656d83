//! Looks for an order of a session's operations that explains every answer (Wing and Gong's search, with Lowe's memory).
//!
//! The rule of a session is small: a number, and whether it lives. An operation takes effect at one moment between its
//! beginning and its answer; one of unknown outcome at some later moment or never.

use std::collections::HashSet;

use super::Limits;
use super::sessions::{Timed, View};
use crate::history::{Kind, Op, Outcome};

/// How the search ended.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Explanation {
    Found,
    None { stuck_at: String },
    Undecided,
}

/// No honest history comes near it.
const STEPS: u64 = 3_000_000;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum State {
    Unborn,
    /// The current generation, and between which times the last rotation was.
    Alive {
        generation: u32,
        from: u64,
        to: u64,
    },
    Dead,
}

/// What an operation can do in a state.
enum Effect {
    Impossible,
    /// It fits, and nothing changes, now or in any later state that it fits.
    Nothing,
    Becomes(State),
}

struct Step<'a> {
    op: &'a Op,
    from: u64,
    until: u64,
    generation: u32,
    /// It was answered, so that it must have its place.
    answered: bool,
}

struct Search<'a> {
    /// Those that were answered, by the time of their beginning, and behind them the others.
    steps: Vec<Step<'a>>,
    answered: usize,
    grace: u64,
    clock_set: u64,
    restored: u64,
    done: Vec<bool>,
    /// All answered steps before this one are done.
    first: usize,
    taken: u64,
    seen: HashSet<(usize, Vec<usize>, State)>,
    deepest: usize,
    stuck_at: Option<usize>,
}

/// Looks for an order.
pub(crate) fn explain(view: &View<'_>, limits: &Limits) -> Explanation {
    let step = |timed: &Timed<'_>, op| Step {
        op,
        from: timed.op.t_inv,
        until: timed.until,
        generation: timed.generation(),
        answered: timed.op.outcome != Outcome::Info,
    };
    let born = Timed { op: view.born, until: view.born.t_ret };
    let mut steps = vec![step(&born, view.born)];
    steps.extend(view.uses.iter().chain(&view.ends).map(|timed| step(timed, timed.op)));
    // A read of unknown outcome says nothing; nor does one that another instance may have granted from memory.
    let says_nothing = |op: &Op| match op.outcome {
        Outcome::Info => true,
        Outcome::Ok => limits.reach > 0,
        Outcome::Fail => false,
    };
    // Nor one that may have been refused for its time.
    let out_of_time = |op: &Op| op.outcome == Outcome::Fail && op.t_ret >= view.clock_set;
    steps.retain(|step| step.op.op != Kind::Profile || !(says_nothing(step.op) || out_of_time(step.op)));
    steps.sort_by_key(|step| (!step.answered, step.from));
    let count = steps.len();
    let answered = steps.iter().filter(|step| step.answered).count();
    let mut search = Search {
        steps,
        answered,
        grace: limits.grace,
        clock_set: view.clock_set,
        restored: view.restored.unwrap_or(u64::MAX),
        done: vec![false; count],
        first: 0,
        taken: 0,
        seen: HashSet::new(),
        deepest: 0,
        stuck_at: None,
    };
    match search.run() {
        Some(true) => Explanation::Found,
        Some(false) => {
            let step = search.stuck_at.and_then(|at| search.steps.get(at));
            Explanation::None { stuck_at: step.map_or_else(String::new, |step| describe(step.op)) }
        }
        None => Explanation::Undecided,
    }
}

pub(super) fn describe(op: &Op) -> String {
    format!(
        "the {:?} ({}) of generation {:?} at {}–{}: {:?} {}",
        op.op,
        op.intent,
        op.generation,
        op.t_inv,
        op.t_ret,
        op.outcome,
        op.code()
    )
}

/// A place where the search may have to come back to: the order of steps up to it, and what is left to be tried.
struct Fork {
    trail: usize,
    left: Vec<(usize, State)>,
}

impl Search<'_> {
    /// `None` when it takes too long. Kept on a stack of its own, since histories may be long.
    fn run(&mut self) -> Option<bool> {
        let mut trail: Vec<usize> = Vec::new();
        let mut forks: Vec<Fork> = Vec::new();
        let mut state = State::Unborn;
        loop {
            let dead_end = match self.advance(&mut state, &mut trail)? {
                Advance::Finished => return Some(true),
                Advance::Choices(left) if left.is_empty() || !self.is_new(state) => true,
                Advance::Choices(mut left) => {
                    // The one that was answered first is tried first.
                    left.reverse();
                    forks.push(Fork { trail: trail.len(), left });
                    false
                }
            };
            if dead_end && trail.len() >= self.deepest {
                self.deepest = trail.len();
                self.stuck_at =
                    (self.first..self.answered).filter(|at| !self.done[*at]).min_by_key(|at| self.steps[*at].until);
            }
            loop {
                let Some(fork) = forks.last_mut() else { return Some(false) };
                for undone in trail.drain(fork.trail..) {
                    self.done[undone] = false;
                    if undone < self.answered {
                        self.first = self.first.min(undone);
                    }
                }
                if let Some((at, next)) = fork.left.pop() {
                    self.mark(at, &mut trail);
                    state = next;
                    break;
                }
                forks.pop();
            }
        }
    }

    /// Takes every step that fits and changes nothing: whatever comes later, it is right to take it now, unless it is
    /// too late afterwards for one of unknown outcome. Then says which other steps can be next.
    fn advance(&mut self, state: &mut State, trail: &mut Vec<usize>) -> Option<Advance> {
        loop {
            self.taken += 1;
            if self.taken > STEPS {
                return None;
            }
            while self.first < self.answered && self.done[self.first] {
                self.first += 1;
            }
            if self.first == self.answered {
                return Some(Advance::Finished);
            }
            let horizon = self.horizon();
            let latest_begun = trail.iter().rev().take(256).map(|at| self.steps[*at].from).max().unwrap_or(0);
            let in_time = |at: &usize| self.steps[*at].from <= horizon;
            let answered = (self.first..self.answered).take_while(in_time);
            let open = (self.answered..self.steps.len()).take_while(in_time);
            let mut choices = Vec::new();
            let mut harmless = None;
            for at in answered.chain(open.filter(|at| self.steps[*at].until >= latest_begun)) {
                if self.done[at] {
                    continue;
                }
                let step = &self.steps[at];
                match self.effect(*state, step) {
                    Effect::Impossible => {}
                    Effect::Nothing if step.answered && self.closes_a_door(step.from, latest_begun) => {
                        choices.push((at, *state));
                    }
                    Effect::Nothing if step.answered => {
                        harmless = Some(at);
                        break;
                    }
                    Effect::Nothing => {}
                    Effect::Becomes(next) => choices.push((at, next)),
                }
            }
            if let Some(at) = harmless {
                self.mark(at, trail);
                continue;
            }
            choices.sort_by_key(|(at, _)| (!self.steps[*at].answered, self.steps[*at].until));
            return Some(Advance::Choices(choices));
        }
    }

    /// Whether a step of unknown outcome that could still be taken cannot be after one that begins at `from`.
    fn closes_a_door(&self, from: u64, latest_begun: u64) -> bool {
        (self.answered..self.steps.len())
            .take_while(|at| self.steps[*at].from < from)
            .any(|at| !self.done[at] && (latest_begun..from).contains(&self.steps[at].until))
    }

    fn mark(&mut self, at: usize, trail: &mut Vec<usize>) {
        self.done[at] = true;
        trail.push(at);
    }

    /// Whether the search has not been in this place before.
    fn is_new(&mut self, state: State) -> bool {
        let horizon = self.horizon();
        let in_time = |at: &usize| self.steps[*at].from <= horizon;
        let answered = (self.first..self.answered).take_while(in_time);
        let open = self.answered..self.steps.len();
        let ahead: Vec<usize> = answered.chain(open).filter(|at| self.done[*at]).collect();
        self.seen.insert((self.first, ahead, state))
    }

    /// A step can be next unless another one was over before it began: when the first of those that are left was over.
    fn horizon(&self) -> u64 {
        let mut horizon = u64::MAX;
        for at in self.first..self.answered {
            if self.steps[at].from > horizon {
                break;
            }
            if !self.done[at] {
                horizon = horizon.min(self.steps[at].until);
            }
        }
        horizon
    }
}

enum Advance {
    Finished,
    Choices(Vec<(usize, State)>),
}

impl Search<'_> {
    fn effect(&self, state: State, step: &Step<'_>) -> Effect {
        match (step.op.op, step.op.outcome) {
            (Kind::Login, _) => match state {
                State::Unborn => Effect::Becomes(State::Alive { generation: 1, from: step.from, to: step.until }),
                _ => Effect::Impossible,
            },
            (Kind::Profile, Outcome::Ok) => fits(matches!(state, State::Alive { .. })),
            (Kind::Profile, _) => fits(state == State::Dead),
            (Kind::Revoke | Kind::Disable | Kind::LogoutAll | Kind::Restored, _) => match state {
                State::Alive { .. } => Effect::Becomes(State::Dead),
                // Taken a moment later it would end the session: both must be tried.
                State::Unborn => Effect::Becomes(State::Unborn),
                State::Dead => Effect::Nothing,
            },
            (Kind::Refresh, outcome) => self.refresh(state, step, outcome),
            (Kind::Enable | Kind::ClockSet | Kind::Settled, _) => Effect::Nothing,
        }
    }

    fn refresh(&self, state: State, step: &Step<'_>, outcome: Outcome) -> Effect {
        let State::Alive { generation, from, to } = state else {
            return match (state, outcome, step.op.code()) {
                (State::Dead, Outcome::Info, _) => Effect::Nothing,
                (State::Dead, Outcome::Fail, "session_revoked" | "account_disabled") => Effect::Nothing,
                // An older store may not know it.
                (State::Dead, Outcome::Fail, _) if step.until > self.restored => Effect::Nothing,
                _ => Effect::Impossible,
            };
        };
        let rotated = State::Alive { generation: generation + 1, from: step.from, to: step.until };
        if step.generation == generation {
            return match outcome {
                Outcome::Ok | Outcome::Info => Effect::Becomes(rotated),
                Outcome::Fail => Effect::Impossible,
            };
        }
        if step.generation > generation {
            return Effect::Impossible;
        }
        let is_parent = step.generation + 1 == generation;
        let any_time = step.until >= self.clock_set;
        let may_be_within = is_parent && (any_time || step.from.saturating_sub(to) < self.grace);
        let may_be_outside = !is_parent || any_time || step.until.saturating_sub(from) >= self.grace;
        match (outcome, step.op.code()) {
            (Outcome::Ok, _) => fits(may_be_within),
            // Whoever loses the answer about a theft and asks again learns that the session has ended.
            (Outcome::Fail, "refresh_token_reused" | "session_revoked") if may_be_outside => {
                Effect::Becomes(State::Dead)
            }
            (Outcome::Fail, _) => Effect::Impossible,
            (Outcome::Info, _) if may_be_outside => Effect::Becomes(State::Dead),
            (Outcome::Info, _) => Effect::Nothing,
        }
    }
}

const fn fits(fits: bool) -> Effect {
    if fits { Effect::Nothing } else { Effect::Impossible }
}
