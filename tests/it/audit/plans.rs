//! What the databases make of the queries: every filter goes through its index, in order, however many events there are.

use std::sync::{Arc, Mutex};

use diesel::connection::{Connection as _, InstrumentationEvent, SimpleConnection as _};
use diesel::prelude::*;
use relatch::domain::audit::Kind;
use relatch::domain::session::SessionId;
use relatch::domain::user::UserId;
use relatch::store::audit_events::{self, Direction, EventFilter, EventKey};
use relatch::store::connection::AnyConnection;

use crate::harness::{TestApp, execute};

#[derive(diesel::QueryableByName)]
struct SqliteStep {
    #[diesel(sql_type = diesel::sql_types::Text)]
    detail: String,
}

#[derive(diesel::QueryableByName)]
struct PostgresStep {
    #[diesel(sql_type = diesel::sql_types::Text, column_name = "QUERY PLAN")]
    step: String,
}

/// The statements that a job runs, as the database gets them.
fn statements(connection: &mut AnyConnection, job: impl FnOnce(&mut AnyConnection)) -> Vec<String> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            sink.lock().unwrap().push(query.to_string());
        }
    });
    job(connection);
    connection.set_instrumentation(|_: InstrumentationEvent<'_>| {});
    let seen = seen.lock().unwrap();
    seen.iter().map(|text| text.split(" -- binds").next().unwrap().to_owned()).collect()
}

/// The plan of a statement, whatever its parameters are.
fn plan(connection: &mut AnyConnection, is_postgres: bool, statement: &str) -> String {
    if !is_postgres {
        let steps: Vec<SqliteStep> =
            diesel::sql_query(format!("EXPLAIN QUERY PLAN {statement}")).load(connection).unwrap();
        return steps.into_iter().map(|step| step.detail + "\n").collect();
    }
    let parameters = (1..).take_while(|number| statement.contains(&format!("${number}"))).count();
    let nulls = vec!["NULL"; parameters].join(", ");
    let arguments = if parameters == 0 { String::new() } else { format!("({nulls})") };
    let prepare = format!("SET plan_cache_mode = force_generic_plan; PREPARE asked AS {statement}");
    connection.batch_execute(&prepare).unwrap();
    let steps: Vec<PostgresStep> =
        diesel::sql_query(format!("EXPLAIN EXECUTE asked{arguments}")).load(connection).unwrap();
    connection.batch_execute("DEALLOCATE asked").unwrap();
    steps.into_iter().map(|step| step.step + "\n").collect()
}

/// Events of 500 users, half of them about one, from 5,000 addresses, in 200 of whose sessions something happened.
async fn fill(app: &TestApp, count: usize) {
    let columns = "occurred_at, kind, severity, result, actor_kind, actor_user_id, subject_user_id, session_id, ip, \
                   user_agent, request_id, detail, seal_number, seal_digest";
    let kind =
        "CASE WHEN n % 3 = 0 THEN 'login.failed' WHEN n % 997 = 0 THEN 'user.deleted' ELSE 'login.succeeded' END";
    let subject = "CASE WHEN n % 2 = 0 THEN 1000 ELSE 1 + n % 499 END";
    let values = |bytes: &dyn Fn(&str) -> String| {
        format!(
            "1700000000000000 + n * 1000, {kind}, 'info', 'succeeded', 'user', 1 + n % 500, {subject}, {}, {}, \
             'agent', 'request-' || n, '{{}}', CASE WHEN n % 2 = 0 THEN n END, CASE WHEN n % 2 = 0 THEN {} END",
            bytes("n % 200"),
            bytes("281470681743360 + n % 5000"),
            bytes("n"),
        )
    };
    let sql = if app.database.is_postgres() {
        let bytes = |number: &str| format!("decode(lpad(to_hex({number}), 32, '0'), 'hex')");
        let values = values(&bytes);
        format!("INSERT INTO audit_events ({columns}) SELECT {values} FROM generate_series(1::bigint, {count}) AS g(n)")
    } else {
        let bytes = |number: &str| format!("unhex(printf('%032x', {number}))");
        let values = values(&bytes);
        format!(
            "WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < {count}) \
             INSERT INTO audit_events ({columns}) SELECT {values} FROM g"
        )
    };
    execute(&app.database, &sql).await;
}

#[tokio::test]
async fn every_filter_goes_through_its_index_in_order() {
    let app = TestApp::start().await;
    fill(&app, 40_000).await;
    let is_postgres = app.database.is_postgres();
    let user = UserId::new(7);
    let network = |text: &str| Some(text.parse().unwrap());
    let none = EventFilter::default;
    let cases = [
        ("audit_events_by_time", none()),
        ("audit_events_by_actor", EventFilter { actor: user, ..none() }),
        ("audit_events_by_subject", EventFilter { subject: user, ..none() }),
        ("audit_events_by_session", EventFilter { session: Some(SessionId::from_bytes([0; 16])), ..none() }),
        ("audit_events_by_kind", EventFilter { kinds: Some(vec![Kind::LoginFailed]), ..none() }),
        ("audit_events_by_kind", EventFilter { kinds: Kind::matching("login.*"), ..none() }),
        ("audit_events_by_ip", EventFilter { network: network("0.0.0.7/32"), ..none() }),
        // Few are found through the addresses, many on the way through time.
        ("audit_events_by_ip", EventFilter { network: network("2001:db8::/32"), ..none() }),
        ("audit_events_by_time", EventFilter { network: network("0.0.0.0/0"), ..none() }),
        (
            "audit_events_by_request",
            EventFilter { request_id: Some("00000000-0000-0000-0000-000000000000".parse().unwrap()), ..none() },
        ),
        // The rarest part is gone by, whichever it is.
        ("audit_events_by_subject", EventFilter { subject: user, kinds: Some(vec![Kind::LoginFailed]), ..none() }),
        (
            "audit_events_by_kind",
            EventFilter { network: network("0.0.0.0/0"), kinds: Some(vec![Kind::UserDeleted]), ..none() },
        ),
        (
            "audit_events_by_kind",
            EventFilter { subject: UserId::new(1_000), kinds: Some(vec![Kind::IssuerChanged]), ..none() },
        ),
    ];
    let middle = relatch::domain::timestamp::Timestamp::from_micros(1_700_000_020_000_000);
    let key = EventKey { occurred_at: middle, id: 20_000 };
    let check = move |connection: &mut AnyConnection| {
        if is_postgres {
            connection.batch_execute("VACUUM ANALYZE audit_events")?;
        }
        for (index, filter) in &cases {
            for (direction, from) in
                [(Direction::Older, None), (Direction::Older, Some(key)), (Direction::Newer, Some(key))]
            {
                for bounded in [false, true] {
                    let filter = EventFilter {
                        from: bounded
                            .then(|| relatch::domain::timestamp::Timestamp::from_micros(1_700_000_000_000_000)),
                        ..filter.clone()
                    };
                    let seen = statements(connection, |connection| {
                        audit_events::list(connection, &filter, direction, from, 51).unwrap();
                    });
                    let plans: Vec<_> = seen.iter().map(|statement| plan(connection, is_postgres, statement)).collect();
                    let context = format!("{filter:?} {direction:?} {seen:#?} {plans:#?}");
                    for plan in &plans {
                        assert!(!plan.contains("Seq Scan on audit_events"), "{context}");
                        assert!(!plan.contains("SCAN e"), "{context}");
                        let scans = plan.lines().filter(|line| line.contains("SCAN audit_events"));
                        assert!(scans.clone().all(|scan| scan.contains("audit_events_by_time")), "{context}");
                    }
                    // The events are found at last; what is looked at before only helps to choose.
                    assert!((1..=2).contains(&seen.len()), "{context}");
                    let events = plans.last().unwrap();
                    assert!(events.contains(index), "{index}: {context}");
                    let is_sort = |step: &&str| step.contains("Sort  (") || step.contains("TEMP B-TREE");
                    let sorts = events.lines().filter(is_sort).count();
                    // What is few may be sorted: as many as a first look allows, and the first of each of several kinds.
                    let is_few = seen.len() > 1 || filter.kinds.as_ref().is_some_and(|kinds| kinds.len() > 1);
                    assert!(sorts <= usize::from(is_few), "{context}");
                }
            }
        }
        let sealing = statements(connection, |connection| {
            audit_events::unsealed(connection, 200).unwrap();
            audit_events::sealed_from(connection, 2, 1_000).unwrap();
            audit_events::end_of_seals(connection).unwrap();
            audit_events::kept_from(connection).unwrap();
        });
        let expected = [
            "audit_events_unsealed",
            "audit_events_seal_number_key",
            "audit_events_seal_number_key",
            "audit_events_by_kind",
        ];
        for (statement, index) in sealing.iter().zip(expected) {
            let plan = plan(connection, is_postgres, statement);
            assert!(
                plan.contains(index) && !plan.contains("Sort") && !plan.contains("TEMP B-TREE"),
                "{statement} {plan}"
            );
        }
        Ok(())
    };
    app.database.store().read(check).await.unwrap();
}

#[tokio::test]
async fn whom_a_filter_names_is_found_through_the_names_indexes() {
    use relatch::store::users::{self, Key};
    let app = TestApp::start().await;
    crate::user_lists::make_users(&app, 2_000).await;
    let is_postgres = app.database.is_postgres();
    let check = move |connection: &mut AnyConnection| {
        let (name, email) = (Key::Username("user7919".to_owned()), Key::Email("e104729@example.com".to_owned()));
        let (nobody, noone) = (Key::Username("nobody".to_owned()), Key::Email("noone@example.com".to_owned()));
        for (keys, found) in [
            (vec![name.clone()], 1),
            (vec![email.clone()], 1),
            (vec![name.clone(), nobody.clone()], 1),
            (vec![email.clone(), noone.clone()], 1),
            (vec![name.clone(), email.clone()], 2),
            (vec![nobody, noone], 0),
        ] {
            let mut ids = Vec::new();
            let seen = statements(connection, |connection| ids = users::ids_of(connection, &keys).unwrap());
            let known = ids.iter().filter(|(key, id)| keys.contains(key) && id.get() == 1);
            assert_eq!(known.count(), found, "{keys:?}");
            assert_eq!(seen.len(), 1, "{keys:?}");
            let plan = plan(connection, is_postgres, &seen[0]);
            assert!(!plan.contains("Seq Scan") && !plan.contains("SCAN"), "{keys:?} {plan}");
        }
        Ok(())
    };
    app.database.store().read(check).await.unwrap();
}

#[tokio::test]
async fn the_dashboard_and_the_maintenance_page_read_few_rows_in_one_statement_each() {
    use relatch::store::condition;
    let app = TestApp::start().await;
    fill(&app, 40_000).await;
    execute(&app.database, "UPDATE audit_events SET seal_number = id + 1000000, seal_digest = ip WHERE seal_number IS NULL AND ip IS NOT NULL").await;
    let is_postgres = app.database.is_postgres();
    let since = app.now().before(std::time::Duration::from_hours(24));
    let check = move |connection: &mut AnyConnection| {
        if is_postgres {
            connection.batch_execute("VACUUM ANALYZE audit_events")?;
        }
        let alarms = statements(connection, |connection| {
            audit_events::newest(connection, Kind::ReuseDetected, since, 10).unwrap();
        });
        let progress = statements(connection, |connection| {
            condition::progress(connection).unwrap();
        });
        for (seen, indexes) in [
            (alarms, &["audit_events_by_kind"][..]),
            (progress, &["audit_events_seal_number_key", "audit_events_unsealed"]),
        ] {
            assert_eq!(seen.len(), 1, "{seen:#?}");
            let plan = plan(connection, is_postgres, &seen[0]);
            assert!(!plan.contains("Seq Scan on audit_events"), "{plan}");
            assert!(indexes.iter().all(|index| plan.contains(index)), "{plan}");
        }
        Ok(())
    };
    app.database.store().read(check).await.unwrap();
}
