//! The SQLite writer by itself: what shares a commit, and what becomes of a group in which something fails.

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

use super::schema::meta;
use super::*;

const LIMITS: Limits = Limits { connections: 2, patience: Duration::from_secs(5), ballast: Some(1 << 20) };

fn open(folder: &tempfile::TempDir) -> Store {
    Store::open(&DatabaseUrl::Sqlite(folder.path().join("relatch.db")), LIMITS).unwrap()
}

fn insert(connection: &mut AnyConnection, name: &str, value: &str) -> QueryResult<usize> {
    diesel::insert_into(meta::table).values((meta::name.eq(name), meta::value.eq(value))).execute(connection)
}

async fn names(store: &Store) -> Vec<String> {
    store.read(|connection| meta::table.order(meta::name).select(meta::name).load(connection)).await.unwrap()
}

/// Holds the writer, so that everything that is submitted meanwhile comes into one group.
async fn held<T>(store: &Store, submit: impl Future<Output = T>) -> T {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (started_out, started) = oneshot::channel();
    let mut started_out = Some(started_out);
    let holder = store.clone();
    let holding = tokio::spawn(async move {
        holder
            .write(move |_| {
                started_out.take().unwrap().send(()).unwrap();
                let _ = released.recv();
                Ok(())
            })
            .await
    });
    started.await.unwrap();
    // The submissions are made when this is first polled, before the writer is let go.
    let submit = submit;
    tokio::pin!(submit);
    let first = std::future::poll_fn(|context| std::task::Poll::Ready(submit.as_mut().poll(context))).await;
    assert!(first.is_pending());
    release.send(()).unwrap();
    holding.await.unwrap().unwrap();
    submit.await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_or_panic_undoes_its_own_changes_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let good = |name: &'static str| store.write(move |connection| insert(connection, name, ""));
    let failing = store.write(|connection| {
        insert(connection, "failing", "")?;
        Err::<(), _>(diesel::result::Error::NotFound)
    });
    let panicking = store.write(|connection| {
        insert(connection, "panicking", "")?;
        if insert(connection, "panicking twice", "").is_ok() {
            panic!("a job panics");
        }
        Ok(())
    });
    let taken = store.write(|connection| insert(connection, "one", "again"));
    let all = async { tokio::join!(good("one"), failing, panicking, taken, good("two")) };
    let (one, failed, panicked, taken, two) = held(&store, all).await;
    assert!(one.is_ok() && two.is_ok());
    assert!(matches!(failed, Err(StoreError::Failed(_))));
    assert!(matches!(panicked, Err(StoreError::Panicked)));
    assert!(matches!(taken, Err(StoreError::Taken)));
    assert_eq!(names(&store).await, ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_commit_fails_nobody_of_its_group_is_told_that_it_was_done() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let good = store.write(|connection| insert(connection, "good", ""));
    // As SQLite does by itself when the disk fails: a statement fails, and the whole transaction is gone with it.
    let rolling_back = store.write(|connection| {
        connection.batch_execute("ROLLBACK")?;
        connection.batch_execute("SELECT * FROM what_there_is_not")
    });
    let late = store.write(|connection| insert(connection, "late", ""));
    let all = async { tokio::join!(good, rolling_back, late) };
    let (good, rolled_back, late) = held(&store, all).await;
    assert!(good.is_err() && rolled_back.is_err() && late.is_err());
    assert!(names(&store).await.is_empty());
    store.write(|connection| insert(connection, "after", "")).await.unwrap();
    assert_eq!(names(&store).await, ["after"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_what_takes_away_is_done_and_nothing_else_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let ballast = folder.path().join("relatch.db.ballast");
    assert_eq!(std::fs::metadata(&ballast).unwrap().len(), 1 << 20);
    store.write(|connection| insert(connection, "old", "")).await.unwrap();
    // SQLite's own limit stands for the disk's: this connection may not make the file any longer.
    store.write(|connection| connection.batch_execute("PRAGMA max_page_count = 1")).await.unwrap();
    let large = "x".repeat(1 << 20);
    let adding = store.write(move |connection| insert(connection, "new", &large));
    let removing = store.write_urgent(|connection| diesel::delete(meta::table.find("old")).execute(connection));
    let all = async { tokio::join!(adding, removing) };
    let (added, removed) = held(&store, all).await;
    assert!(matches!(added, Err(StoreError::StorageFull)), "{added:?}");
    assert_eq!(removed.unwrap(), 1);
    assert!(!ballast.exists(), "the room was given up");
    let refused = store.write(|connection| insert(connection, "too soon", "")).await;
    assert!(matches!(refused, Err(StoreError::StorageFull)), "{refused:?}");
    assert!(names(&store).await.is_empty());

    let began = std::time::Instant::now();
    while store.write(|connection| insert(connection, "later", "")).await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(5), "it does not recover");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(names(&store).await, ["later"]);
    assert_eq!(std::fs::metadata(&ballast).unwrap().len(), 1 << 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_waits_for_any_more_is_not_done_unless_it_takes_away() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.write(|connection| insert(connection, "old", "")).await.unwrap();
    let given_up = async {
        let adding = store.write(|connection| insert(connection, "new", ""));
        let removing = store.write_urgent(|connection| diesel::delete(meta::table.find("old")).execute(connection));
        // Both are submitted when they are first polled, and dropped right after.
        let both = futures_util::future::join(adding, removing);
        drop(futures_util::future::select(Box::pin(both), std::future::ready(())).await);
        store.write(|connection| insert(connection, "next", "")).await
    };
    held(&store, given_up).await.unwrap();
    assert_eq!(names(&store).await, ["next"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_given_up_by_its_holder_alone_and_not_kept_by_a_clock_that_is_ahead() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
    let take = |holder: u8, now: i64, until: i64| {
        let take =
            move |connection: &mut AnyConnection| leases::take(connection, "x", &[holder; 16], at(now), at(until));
        store.write(take)
    };
    assert!(take(1, 100, 110).await.unwrap());
    assert!(!take(2, 101, 111).await.unwrap(), "the other has it");
    store.write(|connection| leases::release(connection, "x", &[2; 16])).await.unwrap();
    assert!(!take(2, 101, 111).await.unwrap(), "only its holder gives it up");
    assert!(take(1, 105, 115).await.unwrap(), "its holder keeps it");
    store.write(|connection| leases::release(connection, "x", &[1; 16])).await.unwrap();
    assert!(take(2, 106, 116).await.unwrap());
    assert!(take(1, 116, 126).await.unwrap(), "it is over");
    // The clock of this one is an hour ahead.
    assert!(take(2, 3_726, 3_736).await.unwrap());
    assert!(take(1, 127, 137).await.unwrap(), "nobody waits an hour for it");
}
