//! Pictures of sessions, as scenes and in words.

use std::time::Duration;

use super::*;
use crate::auth::sessions::Repeats;
use crate::domain::session::{EndReason, SessionId, SessionKind};
use crate::domain::user::UserId;
use crate::web::admin::moment::Zone;

const MINUTE: Duration = Duration::from_secs(60);

/// A session of 7 and 90 days at its n-th generation, refreshed every ten minutes, with the history that is kept.
struct Told {
    session: Session,
    history: Vec<Issued>,
    presented: Option<Generation>,
    ended_by: Option<&'static str>,
    now: Timestamp,
}

fn began() -> Timestamp {
    Timestamp::parse("2026-05-12T12:03:22Z").unwrap()
}

fn told(generations: u32) -> Told {
    let at = |generation: u32| began().after(10 * MINUTE * (generation - 1));
    let ip = "203.0.113.7".parse().ok();
    let history = (1..=generations)
        .filter(|generation| *generation <= 200 || *generation > generations - 200)
        .map(|generation| Issued {
            generation: Generation::new(generation).unwrap(),
            created_at: at(generation),
            created_ip: ip,
            user_agent: Some("MyApp/2.0".to_owned()),
            expires_at: at(generation).after(MINUTE * 60 * 24 * 7),
            repeats: None,
        })
        .collect();
    let rotated_at = at(generations);
    let session = Session {
        id: SessionId::first_of(began()),
        kind: SessionKind::Api,
        user_id: UserId::new(7).unwrap(),
        nonce_digest: [0; 32],
        generation: Generation::new(generations).unwrap(),
        created_at: began(),
        created_ip: ip,
        rotated_at,
        rotated_ip: ip,
        user_agent: Some("MyApp/2.0".to_owned()),
        idle_expires_at: rotated_at.after(MINUTE * 60 * 24 * 7),
        expires_at: began().after(MINUTE * 60 * 24 * 90),
        window_started_at: began(),
        window_generation: Generation::FIRST,
        state: SessionState::Open,
        ended_by: None,
        status_index: None,
    };
    Told { session, history, presented: None, ended_by: None, now: rotated_at.after(3 * MINUTE) }
}

impl Told {
    fn ended(mut self, reason: EndReason) -> Self {
        self.session.state = SessionState::Ended { at: self.now, reason };
        self
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            session: &self.session,
            history: &self.history,
            presented: self.presented,
            ended_ip: "198.51.100.23".parse().ok(),
            ended_by: self.ended_by,
            now: self.now,
        }
    }

    fn scene(&self, canvas: scene::Canvas) -> Scene {
        lay_out(&self.facts(), &zone(), canvas)
    }

    fn summary(&self) -> String {
        summary(&self.facts(), &zone())
    }
}

fn zone() -> Zone {
    Zone::named("Europe/Berlin")
}

/// The line as text: `g1`, `(412)` for a fold, `[g416]` for the live one.
fn line(scene: &Scene) -> String {
    let nodes = scene.nodes.iter().map(|node| match node {
        Node::Generation { generation, is_live: true, .. } => format!("[g{generation}]"),
        Node::Generation { generation, .. } => format!("g{generation}"),
        Node::Fold { count, .. } => format!("({count})"),
    });
    let end = scene.end.as_ref().map(|end| format!("| {}", end.words.join(" ")));
    nodes.chain(end).collect::<Vec<_>>().join(" ")
}

/// What must hold of every scene.
fn check(scene: &Scene, canvas: scene::Canvas) {
    let columns = scene.nodes.len() + usize::from(scene.end.is_some());
    assert!(columns <= if canvas == WIDE { 10 } else { 5 }, "{scene:?}");
    assert_eq!(scene.links.len(), columns - 1);
    assert!(canvas != NARROW || scene.width <= 320, "{scene:?}");
    let live = scene.nodes.iter().filter(|node| matches!(node, Node::Generation { is_live: true, .. })).count();
    assert_eq!(live, usize::from(scene.end.is_none()), "{scene:?}");
    assert!(scene.arcs.iter().all(|arc| arc.from < arc.to && arc.to <= scene.width));
}

#[test]
fn a_fresh_session_is_one_ring() {
    let told = told(1);
    for canvas in [WIDE, NARROW] {
        let scene = told.scene(canvas);
        check(&scene, canvas);
        assert_eq!(line(&scene), "[g1]");
        let Node::Generation { words, .. } = &scene.nodes[0] else { panic!("{scene:?}") };
        assert_eq!(words, &["g1", "live", "14:03", "12 May"]);
    }
    assert_eq!(told.summary(), "Live: signed in 3 min ago from 203.0.113.7, and not refreshed yet.");
}

#[test]
fn a_few_rotations_are_all_there() {
    let told = told(4);
    assert_eq!(line(&told.scene(WIDE)), "g1 g2 g3 [g4]");
    assert_eq!(line(&told.scene(NARROW)), "g1 g2 g3 [g4]");
    assert_eq!(told.summary(), "Live: refreshed 3 times, last 3 min ago from 203.0.113.7.");
    let entries = entries(&told.facts(), &zone());
    assert_eq!(entries.iter().map(|entry| entry.anchor.as_str()).collect::<Vec<_>>(), ["g1", "g2", "g3", "g4"]);
    assert_eq!(entries[0].text, "Signed in: generation 1, for MyApp/2.0 from 203.0.113.7.");
    assert_eq!(entries[3].text, "Generation 4.");
}

#[test]
fn a_long_session_is_folded_in_the_middle() {
    let told = told(1_000);
    for (canvas, expected) in
        [(WIDE, "g1 (991) g993 g994 g995 g996 g997 g998 g999 [g1000]"), (NARROW, "g1 (996) g998 g999 [g1000]")]
    {
        let scene = told.scene(canvas);
        check(&scene, canvas);
        assert_eq!(line(&scene), expected);
    }
    let entries = entries(&told.facts(), &zone());
    assert_eq!(entries.len(), 20 + 1 + 60);
    assert_eq!(entries[20].text, "920 generations are not listed.");
}

#[test]
fn no_number_of_rotations_breaks_the_picture() {
    for generations in 1..450_u32 {
        for presented in [None, Some(1), Some(generations / 2), generations.checked_sub(2)] {
            let mut told = told(generations);
            told.presented = presented.and_then(Generation::new);
            let told = if told.presented.is_some() { told.ended(EndReason::Reuse) } else { told };
            for canvas in [WIDE, NARROW] {
                let scene = told.scene(canvas);
                check(&scene, canvas);
                let shown: u32 = scene
                    .nodes
                    .iter()
                    .map(|node| match node {
                        Node::Fold { count, .. } => *count,
                        Node::Generation { .. } => 1,
                    })
                    .sum();
                assert_eq!(shown, generations, "{scene:?}");
            }
        }
    }
}

#[test]
fn a_retry_is_an_arc_from_the_parent_to_the_successor() {
    let mut told = told(6);
    told.history[4].repeats = Some(Repeats { count: 2, last_at: told.now, last_ip: "203.0.113.7".parse().ok() });
    let scene = told.scene(WIDE);
    check(&scene, WIDE);
    let [arc] = scene.arcs.as_slice() else { panic!("{scene:?}") };
    let place = |wanted: u32| {
        scene.nodes.iter().find_map(|node| match node {
            Node::Generation { x, generation, .. } if *generation == wanted => Some(*x),
            _ => None,
        })
    };
    assert_eq!((Some(arc.from), Some(arc.to)), (place(4), place(5)));
    assert_eq!((arc.generation, arc.words.as_str()), (5, "2 retries"));
    let entries = entries(&told.facts(), &zone());
    let retry = entries.iter().find(|entry| entry.anchor == "r5").expect("the retry is listed");
    assert!(retry.text.starts_with("Generation 5 was given out 2 times more from 203.0.113.7:"), "{}", retry.text);
    // A retry long ago stays in sight.
    let mut told = self::told(300);
    told.history[99].repeats = Some(Repeats { count: 1, last_at: told.now, last_ip: None });
    assert_eq!(line(&told.scene(WIDE)), "g1 (97) g99 g100 (195) g296 g297 g298 g299 [g300]");
}

#[test]
fn theft_is_a_cross_above_the_old_token_and_a_sentence_that_says_why() {
    let mut told = told(416).ended(EndReason::Reuse);
    told.presented = Generation::new(412);
    let scene = told.scene(WIDE);
    check(&scene, WIDE);
    assert_eq!(line(&scene), "g1 (408) g410 g411 g412 g413 g414 g415 g416 | old token 11:16");
    let cross = scene.cross.expect("a cross");
    assert_eq!(cross.words, ["g412 presented again", "11:16, 198.51.100.23"]);
    assert!(scene.links.last().unwrap().is_past && scene.links.iter().filter(|link| link.is_past).count() == 1);
    let narrow = told.scene(NARROW);
    check(&narrow, NARROW);
    assert_eq!(line(&narrow), "(411) g412 (3) g416 | old token 11:16");
    assert_eq!(
        told.summary(),
        "Signed out at 2026-05-15 11:16:22 CEST because an old refresh token (generation 412) was presented from \
         198.51.100.23 while 416 was current: somebody else may have a copy of it."
    );
    let entries = entries(&told.facts(), &zone());
    let end = entries.last().unwrap();
    assert!(end.anchor == "end" && end.is_bad && end.text == told.summary());
}

#[test]
fn an_old_token_whose_generation_is_folded_is_crossed_at_the_fold() {
    let mut told = told(1_000).ended(EndReason::Reuse);
    told.presented = Generation::new(500);
    let scene = told.scene(WIDE);
    check(&scene, WIDE);
    let fold = scene.nodes.iter().find_map(|node| match node {
        Node::Fold { x, .. } => Some(*x),
        Node::Generation { .. } => None,
    });
    assert_eq!(Some(scene.cross.expect("a cross").x), fold);
}

#[test]
fn a_token_that_is_newer_than_the_store_is_crossed_behind_all_that_the_store_knows() {
    for generations in [1, 2, 3, 4, 5, 7, 416] {
        let mut told = told(generations).ended(EndReason::StoreRolledBack);
        told.presented = Generation::new(generations + 2);
        for canvas in [WIDE, NARROW] {
            let scene = told.scene(canvas);
            check(&scene, canvas);
            let (cross, end) = (scene.cross.expect("a cross"), scene.end.expect("an end"));
            assert_eq!(cross.x, end.x);
            let first = format!("g{} presented,", generations + 2);
            assert_eq!(cross.words[..2], [first, "newer than the store".to_owned()]);
            // All of it is inside of the picture.
            let length = cross.words.iter().map(|words| words.chars().count() * 6).max().unwrap();
            let left = if cross.anchor == "end" { cross.words_x.checked_sub(length) } else { Some(cross.words_x) };
            assert!(left.is_some_and(|left| left + length <= scene.width), "{generations}: {cross:?}");
        }
    }
}

#[test]
fn every_end_has_a_sentence_and_a_word() {
    for reason in EndReason::ALL {
        let told = told(3).ended(reason);
        let summary = told.summary();
        assert!(summary.contains("2026-05-12 14:26:22 CEST") && summary.ends_with('.'), "{summary}");
        let scene = told.scene(WIDE);
        check(&scene, WIDE);
        assert!(scene.end.is_some_and(|end| end.words[0].chars().count() <= 12 && !end.is_expiry), "{reason:?}");
    }
    let mut by_admin = told(3).ended(EndReason::EndedByAdmin);
    by_admin.ended_by = Some("root");
    assert_eq!(by_admin.summary(), "Ended at 2026-05-12 14:26:22 CEST: the admin root ended it from 198.51.100.23.");
    let disabled = told(3).ended(EndReason::AccountDisabled);
    assert_eq!(disabled.summary(), "Signed out at 2026-05-12 14:26:22 CEST because the account was disabled.");
    assert_eq!(line(&disabled.scene(WIDE)), "g1 g2 g3 | disabled 14:26");
}

#[test]
fn a_session_whose_time_is_over_says_which_time() {
    let mut idle = told(2);
    idle.now = idle.session.idle_expires_at;
    assert_eq!(
        idle.summary(),
        "Expired at 2026-05-19 14:13:22 CEST because it was not used after 2026-05-12 14:13:22 CEST."
    );
    let scene = idle.scene(WIDE);
    check(&scene, WIDE);
    assert_eq!(line(&scene), "g1 g2 | expired 14:13 19 May");
    assert!(scene.end.is_some_and(|end| end.is_expiry));
    let mut old = told(2);
    old.session.expires_at = old.now;
    assert!(old.summary().contains("lasts no longer than that"), "{}", old.summary());
}

#[test]
fn a_history_that_is_gone_leaves_what_the_session_itself_knows() {
    let mut told = told(9);
    told.history.clear();
    assert_eq!(line(&told.scene(WIDE)), "g1 (7) [g9]");
    assert_eq!(entries(&told.facts(), &zone())[0].text, "9 generations are not listed.");
    let mut console = self::told(1);
    console.history.clear();
    console.session.kind = SessionKind::Console;
    assert_eq!(line(&console.scene(WIDE)), "[g1]");
    assert_eq!(entries(&console.facts(), &zone())[0].text, "Signed in to the console from 203.0.113.7.");
}

#[test]
fn how_long_ago_is_said_in_one_unit() {
    let now = began();
    for (seconds, words) in [
        (0, "just now"),
        (59, "just now"),
        (60, "1 min ago"),
        (3_599, "59 min ago"),
        (3_600, "1 h ago"),
        (86_399, "23 h ago"),
        (86_400, "1 day ago"),
        (172_800, "2 days ago"),
    ] {
        assert_eq!(ago(now, now.before(Duration::from_secs(seconds))), words);
    }
}
