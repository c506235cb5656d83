//! Laying out the picture of a session's rotations: from facts to points and words. Nothing is drawn here.
//!
//! Of a long session not all generations fit. What answers questions stays: the current one, the one that was presented
//! when it should not have been, the first, those that were given out again, and then the last ones. What is left out is
//! a fold with a number.

use std::collections::{BTreeMap, BTreeSet};

use super::Facts;
use super::story::ago;
use crate::domain::session::{EndReason, SessionState};
use crate::domain::timestamp::Timestamp;
use crate::web::admin::moment::Zone;

/// How much room there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Canvas {
    /// Tells the pictures on one page apart.
    pub name: &'static str,
    columns: usize,
    step: usize,
    margin: usize,
}

/// For a desk.
pub const WIDE: Canvas = Canvas { name: "wide", columns: 10, step: 84, margin: 44 };
/// For a phone of 320 pixels.
pub const NARROW: Canvas = Canvas { name: "narrow", columns: 5, step: 59, margin: 30 };

/// The line's distance from the top: what stands above it needs its room.
const LINE: usize = 18;
const LINE_BELOW_ARCS: usize = 60;
const LINE_BELOW_CROSS: usize = 84;
/// The room for words below the line.
const BELOW: usize = 72;
/// How far from the cross its words are.
const BESIDE: usize = 14;
/// The room that a third line of its words takes.
const THIRD_LINE: usize = 14;
/// How wide a letter is on average.
const LETTER: usize = 6;
/// How many generations that were given out again are kept in sight.
const REPEATS_SHOWN: usize = 3;

/// Everything that is drawn, from left to right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scene {
    /// Which picture this is.
    pub name: &'static str,
    /// In units of the drawing, which are pixels where there is room.
    pub width: usize,
    /// The same.
    pub height: usize,
    /// Where the line is.
    pub line: usize,
    /// Generations and folds.
    pub nodes: Vec<Node>,
    /// The line's pieces.
    pub links: Vec<Link>,
    /// From a parent to the successor that it was answered with once more.
    pub arcs: Vec<Arc>,
    /// Where an old token was presented.
    pub cross: Option<Cross>,
    /// Where the session ends, if it does.
    pub end: Option<End>,
}

/// Something on the line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Node {
    /// A refresh token.
    Generation {
        /// Where.
        x: usize,
        /// Its number.
        generation: u32,
        /// Whether it can be used now.
        is_live: bool,
        /// What stands below it, line by line.
        words: Vec<String>,
        /// All that is known of it, for whoever points at it.
        title: String,
    },
    /// Generations that are not drawn.
    Fold {
        /// Where.
        x: usize,
        /// How many.
        count: u32,
    },
}

/// A piece of the line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    /// From here.
    pub from: usize,
    /// To here.
    pub to: usize,
    /// Whether it leads beyond the session's end.
    pub is_past: bool,
}

/// A repeated answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arc {
    /// From above the parent.
    pub from: usize,
    /// To above the successor.
    pub to: usize,
    /// The place of its words.
    pub middle: usize,
    /// Which generation was given out again.
    pub generation: u32,
    /// How often.
    pub words: String,
    /// The whole of it.
    pub title: String,
}

/// A token that had been replaced and was presented.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cross {
    /// Above this place.
    pub x: usize,
    /// Where its words begin, or end.
    pub words_x: usize,
    /// `start` or `end`.
    pub anchor: &'static str,
    /// Which token, and when and from where.
    pub words: Vec<String>,
}

/// The end of a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct End {
    /// Where.
    pub x: usize,
    /// Whether time ended it, and nobody.
    pub is_expiry: bool,
    /// What stands below it.
    pub words: Vec<String>,
}

/// What is known of one generation.
#[derive(Clone, Copy, Debug)]
struct Known {
    at: Timestamp,
    repeats: u64,
}

/// Lays a session out.
pub fn lay_out(facts: &Facts<'_>, zone: &Zone, canvas: Canvas) -> Scene {
    let known = known(facts);
    let end = facts.end();
    let room = canvas.columns - usize::from(end.is_some());
    let chosen = choose(facts, &known, room);
    let place = |column: usize| canvas.margin + column * canvas.step;

    let mut nodes = Vec::new();
    let mut at = BTreeMap::new();
    let mut before = 0;
    let mut day = String::new();
    for generation in chosen {
        if generation > before + 1 {
            nodes.push(Node::Fold { x: place(nodes.len()), count: generation - before - 1 });
        }
        before = generation;
        at.insert(generation, nodes.len());
        let is_live = end.is_none() && generation == facts.session.generation.get();
        let time = known.get(&generation).map(|known| known.at);
        let words = words_of(generation, time, is_live, zone, &mut day);
        let made = time.map_or_else(String::new, |time| {
            let used = if is_live { format!(", last used {}", ago(facts.now, time)) } else { String::new() };
            format!(", made at {}{used}", zone.moment(time).local)
        });
        let title = format!("Generation {generation}{made}");
        nodes.push(Node::Generation { x: place(nodes.len()), generation, is_live, words, title });
    }

    let columns = nodes.len() + usize::from(end.is_some());
    let links = (1..columns).map(|column| Link {
        from: place(column - 1),
        to: place(column),
        is_past: end.is_some() && column == nodes.len(),
    });
    let arcs: Vec<Arc> = at
        .iter()
        .filter_map(|(generation, column)| {
            let repeats = known.get(generation)?.repeats;
            let from = place(column.checked_sub(1)?);
            (repeats > 0).then(|| arc(*generation, repeats, from, place(*column)))
        })
        .collect();
    let cross = facts.presented.map(|presented| {
        let column = at.get(&presented.get()).copied();
        let folded = || {
            let behind = at.iter().find(|(generation, _)| **generation > presented.get());
            // One that is newer than all belongs behind them.
            behind.map_or(columns.saturating_sub(1), |(_, column)| column.saturating_sub(1))
        };
        cross(facts, zone, place(column.unwrap_or_else(folded)), canvas)
    });
    let line = match (&cross, arcs.is_empty()) {
        (Some(cross), _) => LINE_BELOW_CROSS + cross.words.len().saturating_sub(2) * THIRD_LINE,
        (None, false) => LINE_BELOW_ARCS,
        (None, true) => LINE,
    };
    Scene {
        name: canvas.name,
        width: canvas.width(columns).max(cross.as_ref().map_or(0, Cross::reach)),
        height: line + BELOW,
        line,
        links: links.collect(),
        arcs,
        cross,
        end: end.map(|(time, is_expiry)| End {
            x: place(nodes.len()),
            is_expiry,
            words: end_words(facts, time, zone, &mut day),
        }),
        nodes,
    }
}

impl Canvas {
    /// How wide a line of so many columns is.
    const fn width(self, columns: usize) -> usize {
        2 * self.margin + columns.saturating_sub(1) * self.step
    }
}

impl Cross {
    /// How much room its words take.
    fn length(&self) -> usize {
        self.words.iter().map(|words| words.chars().count()).max().unwrap_or_default() * LETTER
    }

    /// How far to the right its words reach. A short session has a short line, and they still need their room.
    fn reach(&self) -> usize {
        if self.anchor == "start" { self.words_x + self.length() } else { 0 }
    }
}

/// What is known of generations: their history, and of the first and the current one what the session says.
fn known(facts: &Facts<'_>) -> BTreeMap<u32, Known> {
    let session = facts.session;
    let of_session = [(1, session.created_at), (session.generation.get(), session.rotated_at)];
    let mut known: BTreeMap<u32, Known> =
        of_session.into_iter().map(|(generation, at)| (generation, Known { at, repeats: 0 })).collect();
    if session.generation.get() == 1 {
        known.insert(1, Known { at: session.created_at, repeats: 0 });
    }
    known.extend(facts.history.iter().map(|issued| {
        let repeats = issued.repeats.map_or(0, |repeats| repeats.count);
        (issued.generation.get(), Known { at: issued.created_at, repeats })
    }));
    known
}

/// Which generations are drawn: as many as there is room for, the most telling first.
fn choose(facts: &Facts<'_>, known: &BTreeMap<u32, Known>, room: usize) -> BTreeSet<u32> {
    let current = facts.session.generation.get();
    let presented = facts.presented.map(|presented| presented.get());
    let repeated = known.iter().rev().filter(|(_, known)| known.repeats > 0).map(|(generation, _)| *generation);
    let repeated = repeated.take(REPEATS_SHOWN).flat_map(|generation| [generation, generation.saturating_sub(1)]);
    let last = known.keys().rev().copied().take(room);
    let wanted = [current].into_iter().chain(presented).chain([1]).chain(repeated).chain(last);

    let mut chosen = BTreeSet::new();
    for generation in wanted.filter(|generation| known.contains_key(generation)) {
        let is_new = chosen.insert(generation);
        if is_new && columns(&chosen) > room {
            chosen.remove(&generation);
        }
    }
    // A fold of one generation takes as much room as the generation.
    let alone = |generation: &u32| {
        !chosen.contains(generation)
            && (*generation == 1 || chosen.contains(&(generation - 1)))
            && chosen.contains(&(generation + 1))
    };
    let unfolded: Vec<u32> = known.keys().copied().filter(alone).collect();
    chosen.extend(unfolded);
    chosen
}

/// How many columns generations take with the folds in front of and between them.
fn columns(chosen: &BTreeSet<u32>) -> usize {
    let mut before = 0;
    let mut columns = 0;
    for generation in chosen {
        columns += 1 + usize::from(*generation > before + 1);
        before = *generation;
    }
    columns
}

fn words_of(generation: u32, time: Option<Timestamp>, is_live: bool, zone: &Zone, day: &mut String) -> Vec<String> {
    let mut words = vec![format!("g{generation}")];
    words.extend(is_live.then(|| "live".to_owned()));
    if let Some(time) = time {
        words.push(zone.clock(time));
        words.extend(changed(day, zone.short_day(time)));
    }
    words
}

/// The day, where it is another one than before.
fn changed(day: &mut String, of_this: String) -> Option<String> {
    (*day != of_this).then(|| {
        day.clone_from(&of_this);
        of_this
    })
}

fn arc(generation: u32, repeats: u64, from: usize, to: usize) -> Arc {
    let times = if repeats == 1 { "once".to_owned() } else { format!("{repeats} times") };
    Arc {
        from,
        to,
        middle: usize::midpoint(from, to),
        generation,
        words: if repeats == 1 { "retry".to_owned() } else { format!("{repeats} retries") },
        title: format!("Generation {generation} was given out again {times}: the answer before had been lost"),
    }
}

fn cross(facts: &Facts<'_>, zone: &Zone, x: usize, canvas: Canvas) -> Cross {
    let presented = facts.presented.map_or(0, |presented| presented.get());
    let when = facts.end().map_or_else(String::new, |(time, _)| zone.clock(time));
    let from = facts.ended_ip.map_or_else(String::new, |ip| format!(", {}", short(&ip.to_string())));
    // In one line the longer words would not fit beside the middle of a phone's picture.
    let mut words = if presented > facts.session.generation.get() {
        vec![format!("g{presented} presented,"), "newer than the store".to_owned()]
    } else {
        vec![format!("g{presented} presented again")]
    };
    words.push(format!("{when}{from}"));
    let to_the_right = Cross { x, words_x: x + BESIDE, anchor: "start", words };
    if to_the_right.reach() <= canvas.width(canvas.columns) {
        return to_the_right;
    }
    Cross { words_x: x.saturating_sub(BESIDE), anchor: "end", ..to_the_right }
}

/// An address of IPv6 can be longer than the picture of a phone is wide.
fn short(address: &str) -> String {
    const KEPT: usize = 7;
    let length = address.chars().count();
    if length <= 2 * KEPT + 1 {
        return address.to_owned();
    }
    let (head, tail) = (address.chars().take(KEPT), address.chars().skip(length - KEPT));
    head.chain(['…']).chain(tail).collect()
}

fn end_words(facts: &Facts<'_>, time: Timestamp, zone: &Zone, day: &mut String) -> Vec<String> {
    let word = match facts.session.state {
        SessionState::Open => "expired",
        SessionState::Ended { reason, .. } => match reason {
            EndReason::Logout | EndReason::LogoutAll => "signed out",
            EndReason::EndedByUser => "by the user",
            EndReason::TokenRevoked => "revoked",
            EndReason::EndedByAdmin => "by an admin",
            EndReason::PasswordChanged => "password",
            EndReason::AccountDisabled => "disabled",
            EndReason::AccountDeleted => "deleted",
            EndReason::Reuse => "old token",
            EndReason::StoreRolledBack | EndReason::StoreRestored => "old store",
            EndReason::TooManySessions => "too many",
            EndReason::GenerationsUsedUp => "used up",
            EndReason::WrongPasswords => "guesses",
        },
    };
    let mut words = vec![word.to_owned(), zone.clock(time)];
    words.extend(changed(day, zone.short_day(time)));
    words
}
