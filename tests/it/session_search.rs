//! Searching sessions: every filter, paging both ways, and that what is found is what is ended.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use diesel::RunQueryDsl as _;
use diesel::connection::{Connection as _, InstrumentationEvent};
use relatch::auth::Actor;
use relatch::auth::bulk_revocation::{BulkFilter, end_matching};
use relatch::auth::session_search::{
    From, LOOK_AT, Order, SearchPage, SessionSearch, StateFilter, count_sessions, search_sessions,
};
use relatch::auth::sessions::find_session;
use relatch::domain::client::Client;
use relatch::domain::role::Role;
use relatch::domain::session::{Generation, SessionId, SessionKind};
use relatch::domain::timestamp::Timestamp;
use relatch::domain::user::UserId;
use relatch::store::sessions::{self, Direction, Search};
use reqwest::Method;
use serde_json::json;

use crate::harness::{PASSWORD, Person, TestApp, execute};

const MINUTE: Duration = Duration::from_secs(60);

/// Signs somebody in from an address and with an agent.
async fn sign_in_from(app: &TestApp, username: &str, address: &str, agent: &str) -> Person {
    let request = app
        .request(Method::POST, "/api/auth/login")
        .header("x-forwarded-for", address)
        .header("user-agent", agent)
        .json(&json!({ "username": username, "password": PASSWORD }));
    Person::of_pair(app, &app.send(request).await.expect_status(200))
}

async fn find(app: &TestApp, filter: BulkFilter, state: StateFilter) -> SearchPage {
    let asked = SessionSearch { filter, state, limit: 100, ..SessionSearch::default() };
    search_sessions(app.app.auth(), asked).await.expect("a page")
}

fn ids(page: &SearchPage) -> Vec<String> {
    page.items.iter().map(|row| row.session.id.to_string()).collect()
}

#[tokio::test]
async fn what_a_search_finds_is_what_ending_all_that_match_ends() {
    let app = TestApp::with(&[("TRUSTED_PROXIES", "127.0.0.0/8")]).await;
    app.admin("root").await;
    for name in ["one", "two", "three"] {
        app.register(name).await.expect_status(201);
    }
    app.advance(MINUTE);
    let network = |text: &str| Some(text.parse().unwrap());
    for kind in 0..14 {
        let began = app.now();
        let one = sign_in_from(&app, "one", "198.51.100.7", "Alpha/1.0 (x)").await;
        app.advance(MINUTE);
        let two = sign_in_from(&app, "two", "198.51.101.7", "Beta/2.0 100%").await;
        app.advance(MINUTE);
        let three = sign_in_from(&app, "three", "2001:db8::7", "Gamma/3.0").await;
        app.advance(MINUTE);
        app.refresh(&one.refresh_token).await.expect_status(200);
        let at = |minutes| Some(began.after(minutes * MINUTE));
        let all = BulkFilter { created_since: Some(began), ..BulkFilter::default() };
        let (filter, matches) = match kind {
            0 => (BulkFilter { user_id: UserId::new(two.id), ..all }, [false, true, false]),
            1 => (BulkFilter { network: network("198.51.101.0/24"), ..all }, [false, true, false]),
            2 => (BulkFilter { network: network("2001:db8::/32"), ..all }, [false, false, true]),
            3 => (BulkFilter { user_agent: Some("0 100%".to_owned()), ..all }, [false, true, false]),
            4 => (BulkFilter { user_agent: Some("gamma".to_owned()), ..all }, [false, false, false]),
            5 => (BulkFilter { last_used_before: at(3), ..all }, [false, true, true]),
            6 => (BulkFilter { last_used_since: at(2), ..all }, [true, false, true]),
            7 => (BulkFilter { created_before: at(1), ..all }, [true, false, false]),
            8 => (BulkFilter { created_since: at(1), ..all }, [false, true, true]),
            9 => (BulkFilter { role: Some(Role::Admin), ..all }, [false, false, false]),
            11 => (BulkFilter { kind: Some(SessionKind::Console), ..all }, [false, false, false]),
            12 => (BulkFilter { kind: Some(SessionKind::Api), ..all }, [true, true, true]),
            10 => (BulkFilter { role: Some(Role::User), created_before: at(2), ..all }, [true, true, false]),
            _ => (
                BulkFilter { user_id: UserId::new(three.id), created_since: at(2), created_before: at(3), ..all },
                [false, false, true],
            ),
        };
        let people = [one, two, three];
        let mut expected: Vec<_> =
            people.iter().zip(matches).filter(|(_, matches)| *matches).map(|(one, _)| one.session_id.clone()).collect();
        expected.reverse();
        assert_eq!(ids(&find(&app, filter.clone(), StateFilter::Live).await), expected, "{kind}: {filter:?}");
        let count = count_sessions(app.app.auth(), filter.clone(), StateFilter::Live).await.unwrap();
        assert_eq!((count.found, count.is_exact), (expected.len() as u64, true), "{kind}");
        let ended = end_matching(app.app.auth(), Actor::Operator, filter.clone(), &Client::default()).await.unwrap();
        assert_eq!(ended, expected.len() as u64, "{kind}: {filter:?}");
        for (person, ended) in people.iter().zip(matches) {
            assert_eq!(person.profile().await.status, if ended { 401 } else { 200 }, "{kind}: {filter:?}");
        }
        assert!(find(&app, filter.clone(), StateFilter::Live).await.items.is_empty(), "{kind}");
        let past = find(&app, filter, StateFilter::Ended).await;
        assert_eq!(ids(&past), expected, "{kind}");
        let rest = BulkFilter { role: Some(Role::User), ..BulkFilter::default() };
        end_matching(app.app.auth(), Actor::Operator, rest, &Client::default()).await.unwrap();
    }
    assert_eq!(find(&app, BulkFilter::default(), StateFilter::Live).await.items.len(), 1);
}

#[tokio::test]
async fn each_state_is_found_by_itself_with_its_user_and_by_whom_it_was_ended() {
    let app = TestApp::start().await;
    let expired = app.user("saif").await;
    app.advance(Duration::from_secs(8 * 24 * 3_600));
    let root = app.admin("root").await;
    let (live, ended) = (app.sign_in("saif").await, app.sign_in("saif").await);
    root.delete(&format!("/api/sessions/{}", ended.session_id)).await.expect_status(204);
    let of_saif = || BulkFilter { user_id: UserId::new(expired.id), ..BulkFilter::default() };
    for (state, session) in [(StateFilter::Live, &live), (StateFilter::Ended, &ended), (StateFilter::Expired, &expired)]
    {
        let page = find(&app, of_saif(), state).await;
        assert_eq!(ids(&page), [session.session_id.clone()], "{state:?}");
        let row = &page.items[0];
        assert_eq!(row.user.username.as_str(), "saif");
        assert_eq!(row.ended_by.as_deref(), (state == StateFilter::Ended).then_some("root"));
    }
    assert_eq!(find(&app, of_saif(), StateFilter::Any).await.items.len(), 3);
    assert_eq!(find(&app, BulkFilter::default(), StateFilter::Any).await.items.len(), 4);
    // What has expired long ago is not ended now.
    let done = end_matching(app.app.auth(), Actor::Operator, of_saif(), &Client::default()).await.unwrap();
    assert_eq!(done, 1);
    assert_eq!(ids(&find(&app, of_saif(), StateFilter::Expired).await), [expired.session_id]);
}

#[tokio::test]
async fn b16_a_retry_leaves_a_trace_in_the_history_and_changes_nothing_else() {
    let app = TestApp::start().await;
    let user = app.user("saif").await;
    app.advance(MINUTE);
    let second = app.refresh(&user.refresh_token).await.expect_status(200).text_at("refreshToken");
    let rotated_at = app.now();
    let id = SessionId::parse(&user.session_id).unwrap();
    let detail = async || find_session(app.app.auth(), id).await.unwrap().expect("the session");
    assert!(detail().await.history.iter().all(|issued| issued.repeats.is_none()));
    for _ in 0..2 {
        app.advance(Duration::from_secs(10));
        assert_eq!(app.refresh(&user.refresh_token).await.text_at("refreshToken"), second);
    }
    let found = detail().await;
    assert_eq!(found.session.rotated_at, rotated_at);
    let repeats = found.history[1].repeats.expect("the retries");
    assert_eq!((repeats.count, repeats.last_at), (2, app.now()));
    assert_eq!((repeats.last_ip, found.history[0].repeats), ("127.0.0.1".parse().ok(), None));
    // The token that ended the session is known afterwards.
    app.advance(MINUTE);
    app.refresh(&user.refresh_token).await.expect_problem(401, "refresh_token_reused");
    let found = detail().await;
    assert_eq!((found.presented.map(Generation::get), found.ended_by), (Some(1), None));
}

/// Every page in one direction, from one end of the list to the other.
async fn walk(app: &TestApp, search: &SessionSearch, is_back: bool) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut from = search.from.clone();
    loop {
        let asked = SessionSearch { from: from.clone(), ..search.clone() };
        let page = search_sessions(app.app.auth(), asked).await.unwrap();
        pages.push(ids(&page));
        assert!(pages.len() < 100, "a walk has an end");
        from = match if is_back { page.previous } else { page.next } {
            Some(cursor) if is_back => From::Before(cursor),
            Some(cursor) => From::After(cursor),
            None => return pages,
        };
    }
}

#[tokio::test]
async fn l15_pages_lead_forward_and_back_in_both_orders_and_leave_nobody_out() {
    let app = TestApp::start().await;
    let user = app.user("saif").await;
    let mut all = vec![user.session_id.clone()];
    for number in 0..22 {
        // Some begin in the same millisecond.
        if number % 3 != 0 {
            app.advance(Duration::from_micros(400));
        }
        all.push(app.sign_in("saif").await.session_id);
    }
    all.sort();
    for user_id in [None, UserId::new(user.id)] {
        for order in [Order::NewestFirst, Order::OldestFirst] {
            let mut expected = all.clone();
            if order == Order::NewestFirst {
                expected.reverse();
            }
            let filter = BulkFilter { user_id, ..BulkFilter::default() };
            let search = SessionSearch { filter, order, limit: 5, ..SessionSearch::default() };
            let forward = walk(&app, &search, false).await;
            assert_eq!(forward.concat(), expected, "{order:?}");
            assert_eq!(forward.iter().map(Vec::len).collect::<Vec<_>>(), [5, 5, 5, 5, 3]);
            // From the last page back.
            let fourth = SessionSearch { limit: 20, ..search.clone() };
            let last = search_sessions(app.app.auth(), fourth).await.unwrap().next.expect("a last page");
            let last = SessionSearch { from: From::After(last), ..search.clone() };
            let last = search_sessions(app.app.auth(), last).await.unwrap();
            assert_eq!((ids(&last).concat(), last.next.is_none()), (expected[20..].concat(), true));
            let back = SessionSearch { from: From::Before(last.previous.unwrap()), ..search };
            let mut back = walk(&app, &back, true).await;
            back.reverse();
            assert_eq!(back.concat(), expected[..20], "{order:?}");
        }
    }
    for cursor in ["", "AAAA", "' OR 1=1 --"] {
        let asked = SessionSearch { from: From::After(cursor.to_owned()), limit: 5, ..SessionSearch::default() };
        assert!(search_sessions(app.app.auth(), asked).await.is_err(), "{cursor:?}");
    }
}

/// Puts `count` sessions of a user into the store, a second apart, the last of them at `last`.
async fn fill(app: &TestApp, user: i64, count: i64, last: Timestamp) {
    let (series, hex, id) = if app.database.is_postgres() {
        (
            format!("generate_series(0, {}) AS n(i)", count - 1),
            "lpad(to_hex(t.at / 1000), 12, '0')",
            ("decode(", ", 'hex')"),
        )
    } else {
        (
            format!(
                "(WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT i FROM n)",
                count - 1
            ),
            "printf('%012x', t.at / 1000)",
            ("unhex(", ")"),
        )
    };
    let last = last.as_micros();
    let sql = format!(
        "INSERT INTO sessions (id, user_id, nonce_digest, generation, created_at, rotated_at, user_agent, \
         idle_expires_at, expires_at, window_started_at, window_generation) \
         SELECT {}{hex} || '70008000000000000000'{}, {user}, {}'{}'{}, 1, t.at, t.at, 'Filler', \
         {last} + 86400000000, {last} + 86400000000, t.at, 1 FROM (SELECT {last} - i * 1000000 AS at FROM {series}) AS t",
        id.0,
        id.1,
        id.0,
        "00".repeat(32),
        id.1
    );
    execute(&app.database, &sql).await;
    let analyze = if app.database.is_postgres() { "ANALYZE sessions" } else { "ANALYZE" };
    execute(&app.database, analyze).await;
}

#[tokio::test]
async fn a_rare_thing_is_looked_for_a_bounded_number_of_sessions_at_a_time() {
    let app = TestApp::start().await;
    let (one, other) = (app.user("one").await, app.user("other").await);
    app.advance(Duration::from_secs(20_000));
    fill(&app, other.id, 12_000, app.now()).await;
    for user_id in [None, UserId::new(other.id)] {
        let filter = BulkFilter { user_id, ..BulkFilter::default() };
        let rare = BulkFilter { user_agent: Some("nobody has this".to_owned()), ..filter.clone() };
        let search = SessionSearch { filter: rare.clone(), limit: 50, ..SessionSearch::default() };
        let first = search_sessions(app.app.auth(), search.clone()).await.unwrap();
        assert!(first.items.is_empty());
        // The newest 5,000 are a second apart.
        let looked_to = first.looked_to.expect("not everything was looked at");
        assert_eq!(app.now().since(looked_to).as_secs(), u64::from(LOOK_AT) - 1);
        let pages = walk(&app, &search, false).await;
        assert_eq!(pages.len(), 3, "{user_id:?}");
        let count = count_sessions(app.app.auth(), rare, StateFilter::Live).await.unwrap();
        assert_eq!((count.found, count.is_exact), (0, true));
        let filler = BulkFilter { user_agent: Some("Filler".to_owned()), ..filter };
        let count = count_sessions(app.app.auth(), filler, StateFilter::Live).await.unwrap();
        assert_eq!((count.found, count.is_exact), (12_000, true));
    }
    // A user's few sessions are found at once, wherever they are.
    let filter = BulkFilter { user_id: UserId::new(one.id), ..BulkFilter::default() };
    let page = find(&app, filter.clone(), StateFilter::Live).await;
    assert_eq!((ids(&page), page.looked_to), (vec![one.session_id.clone()], None));
    // Whoever looks further finds what is far behind.
    let filter =
        BulkFilter { user_agent: None, created_before: Some(app.now().before(Duration::from_secs(15_000))), ..filter };
    assert_eq!(ids(&find(&app, BulkFilter { user_id: None, ..filter }, StateFilter::Live).await).len(), 2);
}

#[tokio::test]
async fn no_search_reads_through_the_whole_table() {
    let app = TestApp::start().await;
    let (one, other) = (app.user("one").await, app.user("other").await);
    app.advance(Duration::from_secs(20_000));
    fill(&app, other.id, 12_000, app.now()).await;
    execute(&app.database, "ANALYZE").await;
    let now = app.now();
    let searches = [
        BulkFilter { role: Some(Role::Admin), ..BulkFilter::default() },
        BulkFilter { user_agent: Some("rare".to_owned()), ..BulkFilter::default() },
        BulkFilter { last_used_before: Some(now.before(MINUTE)), ..BulkFilter::default() },
        BulkFilter { created_before: Some(now.before(MINUTE)), ..BulkFilter::default() },
        BulkFilter { user_id: UserId::new(one.id), ..BulkFilter::default() },
        BulkFilter { user_id: UserId::new(other.id), ..BulkFilter::default() },
        BulkFilter { user_id: UserId::new(other.id), role: Some(Role::Admin), ..BulkFilter::default() },
    ];
    for filter in searches {
        for direction in [Direction::Older, Direction::Newer] {
            let search = Search { filter: filter.clone(), state: StateFilter::Live, now };
            let plans = plans(&app, move |connection| {
                sessions::search(connection, &search, direction, None, 51, 5_000).map(|_| ())
            })
            .await;
            assert_eq!(plans.len(), 2, "{filter:?}: {plans:?}");
            for plan in plans {
                let scans = plan.iter().filter(|line| line.contains("SCAN"));
                // A walk along the ids from one end is a scan that ends at its limit.
                assert!(scans.clone().all(|line| line == "SCAN sessions"), "{filter:?}: {plan:?}");
                assert!(!plan.iter().any(|line| line.contains("SCAN u")), "{filter:?}: {plan:?}");
            }
        }
    }
}

/// How each statement of a job is carried out: on SQLite its plan, on Postgres a line for each table that was read
/// through instead of looked up.
async fn plans(
    app: &TestApp,
    job: impl Fn(&mut relatch::store::connection::AnyConnection) -> diesel::QueryResult<()> + Send + 'static,
) -> Vec<Vec<String>> {
    #[derive(diesel::QueryableByName)]
    struct Line {
        #[diesel(sql_type = diesel::sql_types::Text)]
        detail: String,
    }
    let is_postgres = app.database.is_postgres();
    app.database
        .store()
        .write(move |connection| {
            let statements = Arc::new(Mutex::new(Vec::new()));
            let noted = Arc::clone(&statements);
            connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
                if let InstrumentationEvent::StartQuery { query, .. } = event {
                    noted.lock().unwrap().push(query.to_string());
                }
            });
            job(connection)?;
            connection.set_instrumentation(|_: InstrumentationEvent<'_>| {});
            let statements = statements.lock().unwrap().clone();
            if is_postgres {
                let scans: Vec<Line> = diesel::sql_query(
                    "SELECT 'SCAN u' || relname AS detail FROM pg_stat_xact_user_tables WHERE seq_scan > 0 \
                     AND relname = 'sessions'",
                )
                .load(connection)?;
                let scans: Vec<_> = scans.into_iter().map(|line| line.detail).collect();
                return Ok(statements.iter().map(|_| scans.clone()).collect());
            }
            let mut plans = Vec::new();
            for statement in &statements {
                let sql = statement.split(" -- binds").next().unwrap();
                let lines: Vec<Line> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {sql}")).load(connection)?;
                plans.push(lines.into_iter().map(|line| line.detail).collect());
            }
            Ok(plans)
        })
        .await
        .unwrap()
}
