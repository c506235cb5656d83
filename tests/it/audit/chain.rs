//! The seal: it holds with many writers and sealers, and shows what was done to the rows behind the server's back.

use std::sync::Arc;
use std::time::Duration;

use relatch::auth::audit::activity::{activity, add_up};
use relatch::auth::audit::seal::Sealer;
use relatch::auth::audit::verify::{Fault, Report, verify};
use relatch::auth::maintenance::prune;
use serde_json::json;

use super::{all, count};
use crate::harness::{Database, PASSWORD, TestApp, execute};

const DAY: Duration = Duration::from_hours(24);

async fn seal(app: &TestApp) -> usize {
    // Another sealer's lease is over by then.
    app.advance(Duration::from_secs(3));
    Sealer::draw().unwrap().seal(app.app.auth()).await.unwrap().expect("nobody else seals")
}

async fn check(app: &TestApp) -> Report {
    verify(app.app.auth(), None, |_| {}).await.unwrap()
}

/// Somebody whose sign-in fails so often.
async fn fail(app: &TestApp, times: usize) {
    for _ in 0..times {
        app.login("saif", "wrong password").await.expect_status(401);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_events_under_two_sealers_make_one_chain() {
    let database = Arc::new(Database::create());
    let app = Arc::new(TestApp::on(Arc::clone(&database), &[("RATE_LIMITS", "off")]).await);
    let other = Arc::new(TestApp::on_at(database, &[("RATE_LIMITS", "off")], Arc::clone(&app.clock)).await);
    app.user("saif").await;
    let mut work = tokio::task::JoinSet::new();
    for worker in 0..8 {
        let app = if worker % 2 == 0 { Arc::clone(&app) } else { Arc::clone(&other) };
        work.spawn(async move {
            for turn in 0..60 {
                let password = if turn % 3 == 0 { "wrong password" } else { PASSWORD };
                let answer = app.login("saif", password).await;
                if answer.status == 200 {
                    let token = answer.text_at("refreshToken");
                    app.post("/api/auth/revoke-token", &json!(token)).await.expect_status(204);
                    app.login("nobody", "wrong password").await.expect_status(401);
                }
            }
        });
    }
    let sealing: Vec<_> = [&app, &other]
        .map(|app| {
            let app = Arc::clone(app);
            tokio::spawn(async move {
                let sealer = Sealer::draw().unwrap();
                let mut sealed = 0;
                for _ in 0..200 {
                    sealed += sealer.seal(app.app.auth()).await.unwrap_or_default().unwrap_or_default();
                    // Both come to hold the lease.
                    app.advance(Duration::from_millis(500));
                    tokio::task::yield_now().await;
                }
                sealed
            })
        })
        .into_iter()
        .collect();
    work.join_all().await;
    for sealer in sealing {
        sealer.await.unwrap();
    }
    seal(&app).await;
    let report = check(&app).await;
    let events = all(&app).await;
    assert!(events.len() >= 1_000, "{}", events.len());
    assert_eq!((report.fault, report.unsealed, report.first), (None, 0, 1));
    assert_eq!(report.checked, events.len() as u64);
    let mut numbers: Vec<_> = events.iter().filter_map(|event| event.seal_number).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(1..=i64::try_from(events.len()).unwrap()));
    // What was counted by the hour is what there is, whoever sealed it.
    let counted = activity(app.app.auth(), app.now().before(DAY)).await.unwrap();
    for kind in ["login.succeeded", "login.failed", "session.revoked"] {
        let total: u64 = counted.iter().filter(|hour| hour.name == kind).map(|hour| hour.count).sum();
        assert_eq!(total, count(&events, kind) as u64, "{kind}");
    }
}

#[tokio::test]
async fn whatever_is_done_to_a_sealed_row_is_found() {
    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    app.user("saif").await;
    fail(&app, 20).await;
    let sealed = seal(&app).await;
    fail(&app, 2).await;
    let whole = check(&app).await;
    assert_eq!((whole.checked, whole.unsealed, whole.fault.clone()), (sealed as u64, 2, None));
    let id = |number: i64| format!("(SELECT id FROM audit_events WHERE seal_number = {number})");
    let end = i64::try_from(sealed).unwrap();
    let copy = "occurred_at, kind, severity, detail, actor_kind, result";
    for (what, sql, undo, expected) in [
        (
            "a changed column",
            "UPDATE audit_events SET detail = '{\"x\":1}' WHERE seal_number = 7".to_owned(),
            "UPDATE audit_events SET detail = '{}' WHERE seal_number = 7".to_owned(),
            Fault::Changed { number: 7, id: 7 },
        ),
        (
            "another subject",
            "UPDATE audit_events SET subject_user_id = 9 WHERE seal_number = 7".to_owned(),
            "UPDATE audit_events SET subject_user_id = 1 WHERE seal_number = 7".to_owned(),
            Fault::Changed { number: 7, id: 7 },
        ),
        (
            "a forged row behind the end",
            format!(
                "INSERT INTO audit_events ({copy}, seal_number, seal_digest) \
                 SELECT {copy}, {}, seal_digest FROM audit_events WHERE seal_number = 5",
                end + 1
            ),
            format!("DELETE FROM audit_events WHERE seal_number = {}", end + 1),
            Fault::BehindTheEnd { number: end + 1 },
        ),
        (
            "a day that was not noted",
            "INSERT INTO audit_days (day, first_number, head_before) \
             SELECT day + 1, 9, head_before FROM audit_days"
                .to_owned(),
            "DELETE FROM audit_days WHERE first_number = 9".to_owned(),
            Fault::Day { number: 9 },
        ),
        (
            "two swapped rows",
            format!(
                "UPDATE audit_events SET seal_number = 99999 WHERE id = {a}; \
                 UPDATE audit_events SET seal_number = 7 WHERE seal_number = 8; \
                 UPDATE audit_events SET seal_number = 8 WHERE seal_number = 99999",
                a = id(7)
            ),
            format!(
                "UPDATE audit_events SET seal_number = 99999 WHERE id = {a}; \
                 UPDATE audit_events SET seal_number = 7 WHERE seal_number = 8; \
                 UPDATE audit_events SET seal_number = 8 WHERE seal_number = 99999",
                a = id(7)
            ),
            Fault::Changed { number: 7, id: 8 },
        ),
    ] {
        execute(&app.database, &sql).await;
        assert_eq!(check(&app).await.fault, Some(expected), "{what}");
        execute(&app.database, &undo).await;
        assert_eq!(check(&app).await.fault, None, "{what}, undone");
    }
    // From here on nothing can be put back: the last rows first, then the first, then one in the middle.
    execute(&app.database, &format!("DELETE FROM audit_events WHERE seal_number = {end}")).await;
    assert_eq!(check(&app).await.fault, Some(Fault::Missing { number: end }));
    execute(&app.database, "DELETE FROM audit_events WHERE seal_number = 1").await;
    assert_eq!(check(&app).await.fault, Some(Fault::Missing { number: 1 }));
    execute(&app.database, "DELETE FROM audit_events WHERE seal_number < 5").await;
    execute(&app.database, "UPDATE audit_days SET first_number = 5").await;
    assert_eq!(check(&app).await.fault, Some(Fault::Beginning { expected: 1, found: 5 }));
}

#[tokio::test]
async fn a_head_that_was_noted_shows_a_chain_that_was_cut_off_and_written_anew() {
    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    app.user("saif").await;
    fail(&app, 5).await;
    seal(&app).await;
    let noted = check(&app).await.head;
    fail(&app, 5).await;
    seal(&app).await;
    let verified = async |digest| verify(app.app.auth(), Some(digest), |_| {}).await.unwrap().fault;
    assert_eq!(verified(noted.1).await, None);
    assert_eq!(verified([7; 32]).await, Some(Fault::NotedHead));
    // Everything is sealed anew, without the last but one event of the noted chain.
    let sql = format!(
        "DELETE FROM audit_events WHERE seal_number = {}; \
         UPDATE audit_events SET seal_number = NULL, seal_digest = NULL; DELETE FROM audit_days; \
         UPDATE audit_heads SET number = 0, day = 0, digest = {}",
        noted.0 - 1,
        if app.database.is_postgres() { "decode(repeat('00', 32), 'hex')" } else { "zeroblob(32)" }
    );
    execute(&app.database, &sql).await;
    seal(&app).await;
    assert_eq!(check(&app).await.fault, None, "the chain by itself is whole");
    assert_eq!(verified(noted.1).await, Some(Fault::NotedHead));
}

#[tokio::test]
async fn events_from_before_there_was_a_chain_stay_and_are_sealed_with_the_others() {
    let app = TestApp::start().await;
    // The way back is written alike for both databases.
    let undo = include_str!("../../../migrations/sqlite/2026-11-24-000200_audit/down.sql");
    let before = "DELETE FROM audit_events; DELETE FROM __diesel_schema_migrations WHERE version = '20261124000200'; \
                  INSERT INTO audit_events (occurred_at, kind, severity, subject_user_id, detail) \
                  VALUES (1700000000000000, 'session.reuse_detected', 'critical', 3, '{\"presented\":1}')";
    execute(&app.database, &format!("{undo}; {before}")).await;
    let app = app.restart(&[]).await;
    app.user("saif").await;
    seal(&app).await;
    let report = check(&app).await;
    assert_eq!((report.fault, report.checked), (None, 3));
    let events = all(&app).await;
    let oldest = &events[0];
    assert_eq!(
        (oldest.kind.as_str(), oldest.subject_user_id, oldest.seal_number),
        ("session.reuse_detected", Some(3), Some(1))
    );
    assert_eq!((oldest.actor_kind.as_str(), oldest.result.as_str()), ("anonymous", "denied"));
}

#[tokio::test]
async fn whole_days_are_deleted_and_the_rest_can_still_be_checked() {
    let app = TestApp::with(&[("AUDIT_DAYS", "3")]).await;
    app.user("saif").await;
    for _ in 0..6 {
        fail(&app, 3).await;
        seal(&app).await;
        app.advance(DAY);
    }
    let before = check(&app).await;
    assert_eq!(before.fault, None);
    // The day that the chain is in is kept however old it is.
    let deleted = prune(app.app.auth()).await.unwrap().unwrap().events;
    let kept: Vec<_> = all(&app).await;
    assert_eq!(count(&kept, "audit.pruned"), 1);
    assert_eq!(count(&kept, "login.failed"), 9);
    assert_eq!(deleted as u64, before.checked - 9);
    let after = check(&app).await;
    assert_eq!((after.fault.clone(), after.checked, after.unsealed), (None, 9, 1));
    assert_eq!(prune(app.app.auth()).await.unwrap().unwrap().events, 0);
    seal(&app).await;
    assert_eq!(check(&app).await.fault, None);
    // Long after, only the day that the chain is in is left.
    app.advance(DAY * 30);
    prune(app.app.auth()).await.unwrap();
    seal(&app).await;
    let left = check(&app).await;
    assert!(left.fault.is_none() && left.checked > 0 && left.first > after.first, "{left:?}");
    // A further day that somebody else deletes, and cleans up after, does not pass for a deletion by age.
    app.advance(DAY);
    fail(&app, 3).await;
    seal(&app).await;
    assert_eq!(check(&app).await.fault, None);
    let cut = "DELETE FROM audit_events WHERE seal_number < (SELECT max(first_number) FROM audit_days); \
               DELETE FROM audit_days WHERE first_number < (SELECT max(first_number) FROM audit_days)";
    execute(&app.database, cut).await;
    assert!(matches!(check(&app).await.fault, Some(Fault::Beginning { .. })));
}

#[tokio::test]
async fn one_instance_seals_at_a_time_and_another_takes_over_when_it_is_gone() {
    let app = TestApp::start().await;
    app.user("saif").await;
    let (one, two) = (Sealer::draw().unwrap(), Sealer::draw().unwrap());
    let auth = app.app.auth();
    assert!(one.seal(auth).await.unwrap().unwrap() > 0);
    assert_eq!(two.seal(auth).await.unwrap(), Some(0), "there is nothing to do");
    fail(&app, 1).await;
    assert_eq!(two.seal(auth).await.unwrap(), None);
    app.advance(Duration::from_secs(2));
    assert_eq!(two.seal(auth).await.unwrap(), Some(1));
    fail(&app, 1).await;
    assert_eq!(one.seal(auth).await.unwrap(), None);
    assert_eq!(two.seal(auth).await.unwrap(), Some(1));
}

#[tokio::test]
async fn refreshes_are_counted_by_the_hour_beside_what_is_sealed() {
    let app = TestApp::with(&[("RATE_LIMITS", "off")]).await;
    let mut token = app.user("saif").await.refresh_token;
    for _ in 0..7 {
        token = app.refresh(&token).await.expect_status(200).text_at("refreshToken");
    }
    app.refresh("rlr_nothing").await.expect_status(401);
    add_up(app.app.auth()).await.unwrap();
    app.advance(Duration::from_hours(1));
    app.refresh(&token).await.expect_status(200);
    add_up(app.app.auth()).await.unwrap();
    add_up(app.app.auth()).await.unwrap();
    let counted = activity(app.app.auth(), app.now().before(Duration::from_hours(2))).await.unwrap();
    let refreshes: Vec<_> =
        counted.iter().filter(|hour| hour.name == "session.refreshed").map(|hour| hour.count).collect();
    assert_eq!(refreshes, [7, 1]);
    let last = activity(app.app.auth(), app.now()).await.unwrap();
    assert_eq!(last.iter().map(|hour| hour.count).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn what_clients_do_is_sealed_with_their_names() {
    use crate::oauth::Registered;
    let app = TestApp::start().await;
    let admin = app.admin("root").await;
    let (one, other) =
        (Registered::with(&admin, &["users:read"]).await, Registered::with(&admin, &["users:read"]).await);
    one.token(&app).await;
    other.token(&app).await;
    seal(&app).await;
    assert_eq!(check(&app).await.fault, None);
    let change = format!(
        "UPDATE audit_events SET client_id = '{}' WHERE client_id = '{}' AND kind = 'client.token_issued'",
        other.id, one.id
    );
    execute(&app.database, &change).await;
    assert!(check(&app).await.fault.is_some(), "another client is to blame");
    execute(&app.database, "UPDATE audit_events SET client_id = NULL WHERE kind = 'client.token_issued'").await;
    assert!(check(&app).await.fault.is_some(), "nobody is to blame");
}
