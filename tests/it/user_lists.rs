//! The lists of users by themselves: each user once in each order, and found by an index in every one.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use relatch::auth::user_list::{At, UserListQuery, leaf_through_users};
use relatch::domain::role::Role;
use relatch::store::user_lists::{self, Part, Place, Sort, SortBy};
use relatch::store::users::{StatusFilter, UserFilter};

use crate::harness::{TestApp, execute};

const SORTS: [SortBy; 4] = [SortBy::Created, SortBy::Username, SortBy::Email, SortBy::LastLogin];
const ROLES: [Option<Role>; 3] = [None, Some(Role::Admin), Some(Role::User)];
const STATES: [StatusFilter; 4] =
    [StatusFilter::Existing, StatusFilter::Active, StatusFilter::Disabled, StatusFilter::Deleted];

/// Makes users of all sorts, with the ids up to `count` that nobody has: every hundredth is an admin, every seventieth disabled, every ninetieth deleted, a third have
/// never signed in, and of the others three each did so at the same moment.
pub async fn make_users(app: &TestApp, count: usize) {
    let numbers = if app.database.is_postgres() {
        format!("generate_series(1::bigint, {count}) AS g(n)")
    } else {
        format!("(WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < {count}) SELECT n FROM g)")
    };
    let sql = format!(
        "INSERT INTO users (id, username, username_key, email, email_key, role, password_hash, security_version,
            created_at, updated_at, password_changed_at, last_login_at, disabled_at, deleted_at)
         SELECT n, 'user' || (n * 7919 % 1000003), 'user' || (n * 7919 % 1000003),
            'e' || (n * 104729 % 1000003) || '@example.com', 'e' || (n * 104729 % 1000003) || '@example.com',
            CASE WHEN n % 100 = 0 THEN 'Admin' ELSE 'User' END, 'x', 1, n, n, n,
            CASE WHEN n % 3 <> 0 THEN n * 31 % 1009 END, CASE WHEN n % 70 = 0 THEN n END,
            CASE WHEN n % 90 = 0 THEN n END FROM {numbers} WHERE n > (SELECT coalesce(max(id), 0) FROM users);
         UPDATE counters SET value = {count} WHERE name = 'user_id';"
    );
    execute(&app.database, &sql).await;
    execute(&app.database, if app.database.is_postgres() { "ANALYZE users" } else { "ANALYZE" }).await;
}

fn filters() -> Vec<UserFilter> {
    let mut all = Vec::new();
    for prefix in [None, Some("user9"), Some("e12"), Some("us")] {
        for role in ROLES {
            for status in STATES {
                all.push(UserFilter { prefix: prefix.map(str::to_owned), role, status });
            }
        }
    }
    all
}

fn sorts() -> Vec<Sort> {
    SORTS.into_iter().flat_map(|by| [true, false].map(|ascending| Sort { by, ascending })).collect()
}

#[tokio::test]
async fn every_page_of_every_list_is_found_along_an_index() {
    let app = TestApp::start().await;
    make_users(&app, 40_000).await;
    let (store, is_postgres) = (app.database.store(), app.database.is_postgres());
    for filter in filters() {
        for sort in sorts() {
            let filter = filter.clone();
            let plans = store
                .read(move |connection| {
                    if is_postgres {
                        // So few rows may well be read faster without an index; the question is whether one leads there.
                        connection.batch_execute("SET enable_seqscan = off; SET enable_sort = off")?;
                    }
                    let part = Part { filter: &filter, sort, from: None, backwards: false, limit: 51 };
                    let mut plans = vec![(filter.clone(), user_lists::explain(connection, &part)?)];
                    // From the first and the last place, so that each walk is begun in its middle once.
                    let found = user_lists::find(connection, &part)?;
                    let places: Vec<Place> = found.users.into_iter().map(|(place, _)| place).collect();
                    for place in places.first().into_iter().chain(places.last()) {
                        for backwards in [false, true] {
                            let part = Part { from: Some(place), backwards, ..part };
                            plans.push((filter.clone(), user_lists::explain(connection, &part)?));
                        }
                    }
                    Ok(plans)
                })
                .await
                .unwrap();
            for (filter, plans) in plans {
                for (counts, plan) in [false, false, true].into_iter().zip(plans) {
                    for step in plan.lines() {
                        let walks_table = step.contains("Seq Scan on users") || step.trim() == "SCAN u";
                        // A table of SQLite is itself the index by its ids.
                        let by_id = filter.prefix.is_none() && (sort.by == SortBy::Created || counts);
                        let by_id = by_id && step.trim() == "SCAN u";
                        let sorts = step.contains("TEMP B-TREE") || sorts_many(step);
                        assert!(!walks_table || by_id, "{filter:?} {sort:?}\n{plan}");
                        assert!(!sorts, "{filter:?} {sort:?}\n{plan}");
                    }
                }
            }
        }
    }
}

/// Whether Postgres means to sort many rows. The few at the end of an index it may sort as well.
fn sorts_many(step: &str) -> bool {
    let Some((_, behind)) = step.split_once("Sort  (") else { return false };
    let rows = behind.split("rows=").nth(1).and_then(|rows| rows.split(' ').next()).unwrap();
    rows.parse::<u64>().unwrap() > 1_000
}

/// The ids of all pages, one after the other.
async fn leaf_through(app: &TestApp, query: &UserListQuery, size: usize) -> Vec<Vec<i64>> {
    let (mut pages, mut at) = (Vec::new(), At::Start);
    loop {
        let page = leaf_through_users(app.app.auth(), query, at, size).await.unwrap();
        pages.push(page.users.iter().map(|listed| listed.user.id.get()).collect());
        match page.next {
            Some(next) => at = At::After(next),
            None => return pages,
        }
    }
}

#[tokio::test]
async fn each_user_is_on_one_page_forwards_and_backwards_whatever_the_order() {
    let app = TestApp::start().await;
    make_users(&app, 400).await;
    for filter in filters() {
        for sort in sorts() {
            let query = UserListQuery { search: filter.prefix.clone(), role: filter.role, status: filter.status, sort };
            let whole = leaf_through(&app, &query, 1_000).await.concat();
            let expected = expected(&app, &filter, query.effective_sort()).await;
            assert_eq!(whole, expected, "{query:?}");
            let pages = leaf_through(&app, &query, 7).await;
            assert_eq!(pages.concat(), expected, "{query:?}");
            // Back from the last page, and each knows what is before it.
            let auth = app.app.auth();
            let mut at = At::Start;
            let last = loop {
                let page = leaf_through_users(auth, &query, at, 7).await.unwrap();
                match page.next {
                    Some(next) => at = At::After(next),
                    None => break page,
                }
            };
            assert!(!last.count.more && !last.is_cut, "{query:?}: {last:?}");
            let (mut back, mut page) = (Vec::new(), last);
            loop {
                let ids: Vec<i64> = page.users.iter().map(|listed| listed.user.id.get()).collect();
                let before = usize::try_from(page.before).unwrap();
                assert_eq!(ids, expected[before..before + ids.len()], "{query:?}");
                back.push(ids);
                let Some(previous) = page.previous else { break };
                page = leaf_through_users(auth, &query, At::Before(previous), 7).await.unwrap();
            }
            back.reverse();
            assert_eq!(back.concat(), expected, "{query:?}");
        }
    }
}

/// What a list should hold, worked out without it.
async fn expected(app: &TestApp, filter: &UserFilter, sort: Sort) -> Vec<i64> {
    let everybody = app
        .database
        .store()
        .read(|connection| {
            let mut all = Vec::new();
            for status in [StatusFilter::Existing, StatusFilter::Deleted] {
                let filter = UserFilter { status, ..UserFilter::default() };
                all.extend(relatch::store::users::list(connection, &filter, None, 100_000)?);
            }
            Ok(all)
        })
        .await
        .unwrap();
    let begins = |text: &str| filter.prefix.as_ref().is_none_or(|prefix| text.starts_with(prefix.as_str()));
    let mut users: Vec<_> = everybody
        .into_iter()
        .filter(|user| begins(user.username.key()) || begins(user.email.key()))
        .filter(|user| filter.role.is_none_or(|role| role == user.role))
        .filter(|user| {
            use relatch::domain::user::UserStatus::{Active, Deleted, Disabled};
            match filter.status {
                StatusFilter::Existing => !matches!(user.status, Deleted { .. }),
                StatusFilter::Active => matches!(user.status, Active),
                StatusFilter::Disabled => matches!(user.status, Disabled { .. }),
                StatusFilter::Deleted => matches!(user.status, Deleted { .. }),
            }
        })
        .collect();
    users.sort_by_cached_key(|user| {
        let (id, username, email) = (user.id.get(), user.username.key().to_owned(), user.email.key().to_owned());
        match sort.by {
            SortBy::Created => (0, String::new(), id, 0),
            SortBy::Username if begins(&username) => (0, username, 0, 0),
            SortBy::Username => (1, email, 0, 0),
            SortBy::Email if begins(&email) => (0, email, 0, 0),
            SortBy::Email => (1, username, 0, 0),
            SortBy::LastLogin => (0, String::new(), user.last_login_at.map_or(-1, |at| at.as_micros()), id),
        }
    });
    if !sort.ascending {
        users.reverse();
    }
    users.iter().map(|user| user.id.get()).collect()
}

#[tokio::test]
async fn a_cursor_belongs_to_one_list_one_order_and_one_direction() {
    let app = TestApp::start().await;
    make_users(&app, 60).await;
    let query = |by, ascending| UserListQuery {
        search: None,
        role: None,
        status: StatusFilter::Existing,
        sort: Sort { by, ascending },
    };
    let auth = app.app.auth();
    let own = query(SortBy::Email, true);
    let second = leaf_through_users(auth, &own, At::Start, 10).await.unwrap().next.unwrap();
    leaf_through_users(auth, &own, At::After(second.clone()), 10).await.unwrap();
    leaf_through_users(auth, &own, At::Before(second.clone()), 10).await.unwrap_err();
    for (by, ascending) in [(SortBy::Email, false), (SortBy::Username, true), (SortBy::Created, true)] {
        leaf_through_users(auth, &query(by, ascending), At::After(second.clone()), 10).await.unwrap_err();
    }
    let api = app.admin("root").await.get("/api/users?limit=10").await.expect_status(200);
    let link = api.header("link");
    let cursor = link.split("cursor=").nth(1).unwrap().split('>').next().unwrap().to_owned();
    leaf_through_users(auth, &query(SortBy::Created, true), At::After(cursor), 10).await.unwrap_err();
}

#[tokio::test]
async fn when_hardly_anybody_is_meant_a_page_looks_at_so_many_and_says_so() {
    let app = TestApp::start().await;
    make_users(&app, 45_000).await;
    // Everybody is disabled but the last hundred: to find who is active, rows must be looked at.
    execute(&app.database, "UPDATE users SET disabled_at = id WHERE id <= 44900").await;
    let query = UserListQuery {
        search: None,
        role: None,
        status: StatusFilter::Active,
        sort: Sort { by: SortBy::Created, ascending: true },
    };
    let auth = app.app.auth();
    let first = leaf_through_users(auth, &query, At::Start, 50).await.unwrap();
    assert!(first.is_cut && first.users.is_empty() && first.count.more, "{first:?}");
    let second = leaf_through_users(auth, &query, At::After(first.next.unwrap()), 50).await.unwrap();
    assert!(second.is_cut && second.users.is_empty(), "{second:?}");
    let found = leaf_through(&app, &query, 50).await.concat();
    assert_eq!(
        found,
        expected(&app, &UserFilter { status: StatusFilter::Active, ..UserFilter::default() }, query.sort).await
    );
    assert!(!found.is_empty());
}

#[tokio::test]
async fn where_the_first_half_of_a_list_looks_in_vain_nobody_in_it_is_left_out() {
    let app = TestApp::start().await;
    make_users(&app, 12_000).await;
    // Those who signed in last are deleted, some signed in before them, and the rest never did.
    for change in [
        "UPDATE users SET deleted_at = id, last_login_at = 9000000000000000 + id WHERE id <= 11000",
        "UPDATE users SET deleted_at = NULL, last_login_at = 1000 + id WHERE id > 11000 AND id <= 11500",
        "UPDATE users SET deleted_at = NULL, last_login_at = NULL WHERE id > 11500",
    ] {
        execute(&app.database, change).await;
    }
    let query = UserListQuery {
        search: None,
        role: None,
        status: StatusFilter::Existing,
        sort: Sort { by: SortBy::LastLogin, ascending: false },
    };
    let found = leaf_through(&app, &query, 200).await.concat();
    assert_eq!(found.len(), 1_000);
    assert_eq!(found, expected(&app, &UserFilter::default(), query.sort).await);
}

#[tokio::test]
async fn live_sessions_are_counted_and_others_are_not() {
    let app = TestApp::start().await;
    let saif = app.user("saif").await;
    app.sign_in("saif").await;
    app.sign_in("saif").await.post_nothing("/api/auth/logout").await.expect_status(204);
    app.user("mara").await;
    let query = UserListQuery {
        search: None,
        role: None,
        status: StatusFilter::Existing,
        sort: Sort { by: SortBy::Created, ascending: true },
    };
    let counts = async || -> Vec<(i64, i64)> {
        let page = leaf_through_users(app.app.auth(), &query, At::Start, 50).await.unwrap();
        page.users.iter().map(|listed| (listed.user.id.get(), listed.live_sessions)).collect()
    };
    assert_eq!(counts().await, [(saif.id, 2), (saif.id + 1, 1)]);
    app.advance(Duration::from_secs(365 * 24 * 3600));
    assert_eq!(counts().await, [(saif.id, 0), (saif.id + 1, 0)]);
}
