//! The oracle is tried on histories that broken servers would leave behind: each must raise its counter.

use super::store::{Facts, SessionFacts};
use super::{Findings, Limits, Rule, check};
use crate::history::{Kind, Op, Outcome};

const LIMITS: Limits = Limits { grace: 30_000_000, answer: 5_000_000, reach: 0 };

/// Writes histories, one millisecond an operation.
#[derive(Default)]
struct Story {
    ops: Vec<Op>,
    now: u64,
}

impl Story {
    fn begun() -> Self {
        let mut story = Self::default();
        story.login(Outcome::Ok);
        story
    }

    fn push(&mut self, kind: Kind, outcome: Outcome, code: &str) -> &mut Op {
        self.now += 1_000;
        let mut op = Op::begin(self.now, 0, kind, "", 0);
        self.now += 500;
        op.t_ret = self.now;
        op.outcome = outcome;
        op.session = "s".to_owned();
        op.code = (!code.is_empty()).then(|| code.to_owned());
        self.ops.push(op);
        self.ops.last_mut().unwrap()
    }

    fn login(&mut self, outcome: Outcome) {
        self.push(Kind::Login, outcome, "").child_fp = Some("fp1".to_owned());
    }

    fn refresh_to(&mut self, generation: u32, child: &str) {
        let op = self.push(Kind::Refresh, Outcome::Ok, "");
        op.generation = Some(generation);
        op.parent_fp = Some(format!("fp{generation}"));
        op.child_fp = Some(child.to_owned());
    }

    /// An honest refresh of this generation.
    fn refresh(&mut self, generation: u32) {
        self.refresh_to(generation, &format!("fp{}", generation + 1));
    }

    fn refused(&mut self, generation: u32, code: &str) {
        self.push(Kind::Refresh, Outcome::Fail, code).generation = Some(generation);
    }

    fn unanswered(&mut self, generation: u32) {
        self.push(Kind::Refresh, Outcome::Info, "").generation = Some(generation);
    }

    fn settled(&mut self) {
        self.push(Kind::Settled, Outcome::Info, "").session = String::new();
    }

    fn wait(&mut self, seconds: u64) {
        self.now += seconds * 1_000_000;
    }

    fn check(&self) -> Findings {
        check(&self.ops, None, &LIMITS)
    }

    fn check_with(&self, generation: i64, end_reason: Option<&str>, alarms: i64) -> Findings {
        let row = SessionFacts { generation, end_reason: end_reason.map(str::to_owned), alarms };
        let facts = Facts { sessions: [("s".to_owned(), row)].into(), complaints: Vec::new() };
        check(&self.ops, Some(&facts), &LIMITS)
    }
}

fn assert_raised(findings: &Findings, rule: Rule) {
    assert!(findings.count(rule) > 0, "{rule:?} is not raised: {} {:?}", findings.line(), findings.details);
}

fn assert_clean(findings: &Findings) {
    assert!(findings.is_clean(), "{} {:?}", findings.line(), findings.details);
}

#[test]
fn an_honest_history_is_clean() {
    let mut story = Story::begun();
    story.push(Kind::Profile, Outcome::Ok, "");
    for generation in 1..40 {
        story.refresh(generation);
        story.refresh(generation);
    }
    assert_clean(&story.check_with(40, None, 0));
    story.refused(20, "refresh_token_reused");
    story.refused(40, "session_revoked");
    story.push(Kind::Profile, Outcome::Fail, "invalid_token");
    assert_clean(&story.check_with(40, Some("reuse"), 1));
}

#[test]
fn a_lost_answer_may_have_been_a_rotation_or_not() {
    for happened in [true, false] {
        let mut story = Story::begun();
        story.unanswered(1);
        story.settled();
        story.refresh(1);
        story.refresh(2);
        if happened {
            story.refresh(2);
        }
        story.refresh(3);
        assert_clean(&story.check_with(4, None, 0));
    }
}

#[test]
fn a_lost_revocation_may_have_happened_but_then_it_holds() {
    let mut story = Story::begun();
    story.push(Kind::Revoke, Outcome::Info, "");
    story.settled();
    story.refused(1, "session_revoked");
    assert_clean(&story.check());
    story.refresh(1);
    assert_raised(&story.check(), Rule::Revival);
    assert_raised(&story.check(), Rule::Model);
}

#[test]
fn what_a_dead_server_was_sent_happens_no_more() {
    let mut story = Story::begun();
    story.push(Kind::Revoke, Outcome::Info, "");
    story.settled();
    story.refresh(1);
    assert_clean(&story.check());
    // The revocation had not happened by then, so that nothing explains this.
    story.refused(2, "session_revoked");
    assert_raised(&story.check(), Rule::Model);
}

#[test]
fn what_a_dead_server_had_done_shows_later() {
    let mut story = Story::begun();
    story.refresh(1);
    story.unanswered(2);
    story.settled();
    // This fits whether the rotation was done or not; what follows only if it was.
    story.push(Kind::Profile, Outcome::Ok, "");
    story.refused(1, "refresh_token_reused");
    story.refused(2, "session_revoked");
    assert_clean(&story.check_with(3, Some("reuse"), 1));
}

#[test]
fn racers_share_one_successor() {
    let mut story = Story::begun();
    for number in 0..64 {
        let mut op = Op::begin(10_000 + number, 0, Kind::Refresh, "", 0);
        op.t_ret = 20_000 - number;
        op.outcome = Outcome::Ok;
        op.session = "s".to_owned();
        op.generation = Some(1);
        op.child_fp = Some("fp2".to_owned());
        story.ops.push(op);
    }
    assert_clean(&story.check_with(2, None, 0));
}

#[test]
fn an_end_that_overlaps_the_login_may_come_before_or_after_it() {
    let story = |kind, outcome, code| {
        let mut story = Story::default();
        let mut end = Op::begin(1_000, 0, Kind::Disable, "", 0);
        (end.t_ret, end.outcome) = (2_000, Outcome::Ok);
        story.ops.push(end);
        story.login(Outcome::Ok);
        story.push(kind, outcome, code).generation = Some(1);
        story.ops.last_mut().unwrap().child_fp = Some("fp2".to_owned());
        story
    };
    assert_clean(&story(Kind::Profile, Outcome::Ok, "").check());
    assert_clean(&story(Kind::Refresh, Outcome::Ok, "").check());
    assert_clean(&story(Kind::Profile, Outcome::Fail, "invalid_token").check());
    assert_clean(&story(Kind::Refresh, Outcome::Fail, "account_disabled").check());
}

#[test]
fn a_parent_may_come_late_and_is_then_a_theft() {
    let mut story = Story::begun();
    story.refresh(1);
    story.wait(29);
    story.refresh(1);
    story.wait(2);
    story.refused(1, "refresh_token_reused");
    story.refused(2, "session_revoked");
    assert_clean(&story.check_with(2, Some("reuse"), 1));
}

#[test]
fn seeded_bug_read_then_write() {
    let mut story = Story::begun();
    story.refresh_to(1, "one child");
    story.refresh_to(1, "another child");
    assert_raised(&story.check(), Rule::Successors);
}

#[test]
fn seeded_bug_acknowledged_before_the_commit() {
    let mut story = Story::begun();
    story.refresh(1);
    story.refresh(2);
    story.settled();
    // The server comes back without the last rotation.
    story.refused(3, "session_revoked");
    assert_raised(&story.check(), Rule::Lost);
    assert_raised(&story.check_with(2, Some("store_rolled_back"), 0), Rule::Lost);
    assert_raised(&story.check(), Rule::Model);
}

#[test]
fn seeded_bug_not_synchronised_before_power_loss() {
    let mut story = Story::begun();
    for generation in 1..20 {
        story.refresh(generation);
    }
    story.settled();
    assert_raised(&story.check_with(11, None, 0), Rule::Lost);
    // A login that was acknowledged and is not there at all.
    let facts = Facts::default();
    assert_raised(&check(&story.ops, Some(&facts), &LIMITS), Rule::Lost);
}

#[test]
fn seeded_bug_revocation_seen_late() {
    let mut story = Story::begun();
    story.push(Kind::Revoke, Outcome::Ok, "");
    story.push(Kind::Profile, Outcome::Ok, "");
    assert_raised(&story.check(), Rule::Revival);
    let mut story = Story::begun();
    story.push(Kind::Disable, Outcome::Ok, "");
    story.refresh(1);
    assert_raised(&story.check(), Rule::Revival);
    let mut story = Story::begun();
    story.push(Kind::LogoutAll, Outcome::Ok, "").session = "another".to_owned();
    story.refresh(1);
    assert_raised(&story.check(), Rule::Revival);
}

#[test]
fn seeded_bug_leeway_without_looking_at_the_child() {
    let mut story = Story::begun();
    for generation in 1..4 {
        story.refresh(generation);
    }
    story.refresh(1);
    assert_raised(&story.check(), Rule::Alarm);
    assert_raised(&story.check(), Rule::Model);
}

#[test]
fn seeded_bug_old_backup_restored() {
    let mut story = Story::begun();
    story.refresh(1);
    story.push(Kind::Revoke, Outcome::Ok, "");
    story.refused(2, "session_revoked");
    story.settled();
    // The backup is from before the revocation.
    story.refresh(2);
    assert_raised(&story.check(), Rule::Revival);
    assert_raised(&story.check(), Rule::Model);
}

#[test]
fn seeded_bug_decided_on_a_stale_replica() {
    // The replica has not seen the second rotation: the old token is current there.
    let mut story = Story::begun();
    story.refresh(1);
    story.refresh(2);
    story.refresh_to(2, "forked");
    assert_raised(&story.check(), Rule::Successors);
    // Nor the end of the session.
    let mut story = Story::begun();
    story.refresh(1);
    story.refused(1, "session_revoked");
    story.refresh(2);
    assert_raised(&story.check(), Rule::Revival);
}

#[test]
fn seeded_bug_always_deny() {
    let mut story = Story::begun();
    story.refused(1, "session_revoked");
    assert_raised(&story.check(), Rule::InnocentDeath);
    assert_eq!(story.check().count(Rule::Lost), 0);
    let mut story = Story::default();
    story.login(Outcome::Fail);
    assert_raised(&story.check(), Rule::InnocentDeath);
}

#[test]
fn alarms_are_told_once_and_only_for_thefts() {
    let mut story = Story::begun();
    for generation in 1..4 {
        story.refresh(generation);
    }
    assert_raised(&story.check_with(4, Some("reuse"), 1), Rule::Alarm);
    story.refused(1, "refresh_token_reused");
    assert_clean(&story.check_with(4, Some("reuse"), 1));
    assert_raised(&story.check_with(4, Some("reuse"), 0), Rule::Alarm);
    assert_raised(&story.check_with(4, Some("reuse"), 2), Rule::Alarm);
    assert_raised(&story.check_with(4, Some("logout"), 1), Rule::Audit);
    story.refused(1, "refresh_token_reused");
    assert_raised(&story.check_with(4, Some("reuse"), 1), Rule::Alarm);
}

#[test]
fn access_tokens_work_while_their_session_lives_and_are_all_different() {
    let mut story = Story::begun();
    story.push(Kind::Profile, Outcome::Fail, "invalid_token");
    assert_raised(&story.check(), Rule::Verify);
    let mut story = Story::begun();
    story.refresh(1);
    story.refresh(2);
    for op in &mut story.ops {
        op.jti = Some("the same".to_owned());
    }
    assert_raised(&story.check(), Rule::Verify);
}

#[test]
fn another_instance_may_accept_an_access_token_for_a_moment_and_no_longer() {
    let limits = Limits { reach: 1_000_000, ..LIMITS };
    let mut story = Story::begun();
    story.push(Kind::Revoke, Outcome::Ok, "");
    story.push(Kind::Profile, Outcome::Ok, "");
    assert_clean(&check(&story.ops, None, &limits));
    story.wait(1);
    story.push(Kind::Profile, Outcome::Ok, "");
    assert_raised(&check(&story.ops, None, &limits), Rule::Revival);
}

#[test]
fn slow_and_misshapen_answers_are_counted() {
    let mut story = Story::begun();
    let op = story.push(Kind::Profile, Outcome::Ok, "");
    op.t_ret += 6_000_000;
    assert_raised(&story.check(), Rule::Bounded);
    let mut story = Story::begun();
    story.push(Kind::Refresh, Outcome::Info, "internal_error").flaw = Some("the status 500".to_owned());
    assert_raised(&story.check(), Rule::Bounded);
}

#[test]
fn a_damaged_store_is_counted() {
    let story = Story::begun();
    let row = SessionFacts { generation: 1, ..SessionFacts::default() };
    let facts = Facts { sessions: [("s".to_owned(), row)].into(), complaints: vec!["a page is broken".to_owned()] };
    assert_raised(&check(&story.ops, Some(&facts), &LIMITS), Rule::Store);
    // A generation that nobody asked for.
    assert_raised(&story.check_with(2, None, 0), Rule::Store);
}

#[test]
fn a_disabled_user_gets_no_session_and_an_enabled_one_does() {
    let mut story = Story::default();
    story.push(Kind::Disable, Outcome::Ok, "");
    story.login(Outcome::Fail);
    story.push(Kind::Enable, Outcome::Ok, "");
    story.login(Outcome::Ok);
    assert_clean(&story.check());
    story.push(Kind::Disable, Outcome::Ok, "");
    story.login(Outcome::Ok);
    story.ops.last_mut().unwrap().session = "t".to_owned();
    assert_raised(&story.check(), Rule::Revival);
}

#[test]
fn a_long_history_with_many_racers_is_explained_quickly() {
    let mut story = Story::begun();
    let mut now = story.now;
    for generation in 1..400 {
        for number in 0..32 {
            let mut op = Op::begin(now + number, 0, Kind::Refresh, "", 0);
            op.t_ret = now + 500 + number * 7 % 400;
            op.outcome = if number % 11 == 0 { Outcome::Info } else { Outcome::Ok };
            op.session = "s".to_owned();
            op.generation = Some(generation);
            op.child_fp = (op.outcome == Outcome::Ok).then(|| format!("fp{}", generation + 1));
            story.ops.push(op);
        }
        now += 600;
    }
    assert_clean(&story.check_with(400, None, 0));
}

#[test]
fn what_an_older_store_does_not_know_is_no_loss_but_what_lives_again_in_it_is_a_revival() {
    let mut story = Story::begun();
    story.refresh(1);
    story.push(Kind::Restored, Outcome::Ok, "").session = String::new();
    let living = |mut story: Story| {
        story.refresh(2);
        story
    };
    let told = |story: &Story, code| {
        let mut story = Story { ops: story.ops.clone(), now: story.now };
        story.refused(2, code);
        story
    };
    for code in ["session_revoked", "refresh_token_invalid"] {
        let findings = told(&story, code).check_with(1, Some("store_restored"), 0);
        assert!(findings.is_clean(), "{code}: {} {:?}", findings.line(), findings.details);
    }
    assert_raised(&told(&story, "session_revoked").check_with(1, None, 0), Rule::Revival);
    let revived = living(story);
    assert_raised(&revived.check(), Rule::Revival);
    assert_raised(&revived.check(), Rule::Model);
}

#[test]
fn a_token_unknown_before_an_older_store_came_is_lost_all_the_same() {
    let mut story = Story::begun();
    story.refused(1, "refresh_token_invalid");
    story.push(Kind::Restored, Outcome::Ok, "").session = String::new();
    assert_raised(&story.check(), Rule::Lost);
}

#[test]
fn once_the_clock_was_set_a_retry_may_be_late_and_an_access_token_out_of_time_but_nothing_else() {
    let mut story = Story::begun();
    story.refresh(1);
    story.push(Kind::ClockSet, Outcome::Ok, "").session = String::new();
    story.push(Kind::Profile, Outcome::Fail, "invalid_token");
    let late = Story { ops: story.ops.clone(), now: story.now };
    story.refresh(2);
    assert!(story.check().is_clean(), "{:?}", story.check().details);
    for (generation, is_clean) in [(1, true), (2, false)] {
        let mut late = Story { ops: late.ops.clone(), now: late.now };
        late.refused(generation, "refresh_token_reused");
        assert_eq!(late.check().is_clean(), is_clean, "{generation}: {:?}", late.check().details);
    }
}
