//! Group commit: who is told when, and what happens when the database fails.

use super::*;
use tokio::sync::oneshot;

/// Runs the log's task until the returned sender is used.
fn run(world: &World) -> (oneshot::Sender<()>, tokio::task::JoinHandle<Result<(), StoreError>>) {
    let (stop, stopped) = oneshot::channel();
    #[allow(clippy::disallowed_methods, reason = "a test has no lifecycle")]
    let task = tokio::spawn(world.log.clone().run(async {
        stopped.await.ok();
    }));
    (stop, task)
}

async fn until(what: impl Fn() -> bool) {
    for _ in 0..1000 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("nothing happened for 5 s");
}

#[tokio::test]
async fn those_who_wait_are_told_when_another_connection_can_read_it() {
    let world = World::new().await;
    let juliet = world.account("juliet@example.com").await;
    let path = world.dir.path().join("waystation.db");
    let appended = world.log.append(juliet, incoming("romeo@example.com", "one"));
    assert_eq!(world.log.when_committed(appended.commit, 1), None);
    assert_eq!(world.log.when_committed(0, 2), Some(2), "commit 0 is durable by definition");
    let (stop, task) = run(&world);
    until(|| !world.told.lock().is_empty()).await;
    assert_eq!(*world.told.lock(), [1]);
    assert_eq!(world.log.when_committed(appended.commit, 3), Some(3));
    // A connection that has nothing to do with the log's.
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).read_only(true);
    let other = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let (seq,): (i64,) = sqlx::query_as("SELECT max(seq) FROM journal").fetch_one(&other).await.unwrap();
    assert_eq!(seq as u64, appended.commit);
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn nobody_is_told_before_the_commit() {
    let world = World::new().await;
    let juliet = world.account("juliet@example.com").await;
    let first = world.log.append(juliet, incoming("romeo@example.com", "one"));
    assert_eq!(world.log.when_committed(first.commit, 1), None);
    // The moment the sink is called, a crash must find the entry.
    let found = Arc::new(Mutex::new(None));
    assert!(world.crash().await.pending(juliet).await.is_empty());
    world.log.flush().await.unwrap();
    *found.lock() = Some(world.told.lock().clone());
    assert_eq!(found.lock().as_deref(), Some(&[1][..]));
    assert_eq!(world.crash().await.pending(juliet).await, ["one"]);
}

#[tokio::test]
async fn one_batch_is_one_row() {
    let world = World::new().await;
    let juliet = world.account("juliet@example.com").await;
    for n in 0..100 {
        world.append(juliet, "romeo@example.com", &n.to_string());
    }
    world.log.flush().await.unwrap();
    assert_eq!(world.rows("SELECT count(*) FROM journal").await, 1);
    assert_eq!(world.log.uncommitted_bytes(), 0);
}

#[tokio::test]
async fn a_failing_database_confirms_nothing_and_loses_nothing() {
    let world = World::new().await;
    let juliet = world.account("juliet@example.com").await;
    world.execute("ALTER TABLE journal RENAME TO away").await;
    let (stop, task) = run(&world);
    let one = world.log.append(juliet, incoming("romeo@example.com", "one"));
    assert_eq!(world.log.when_committed(one.commit, 1), None);
    until(|| world.log.committing.try_lock().is_ok_and(|under_way| under_way.is_some())).await;
    let two = world.log.append(juliet, incoming("romeo@example.com", "two"));
    assert!(two.commit > one.commit);
    assert_eq!(world.log.when_committed(two.commit, 2), None);
    assert_eq!(world.log.when_committed(one.commit, 11), None);
    assert!(world.log.flush().await.is_err());
    assert!(world.told.lock().is_empty());
    world.execute("ALTER TABLE away RENAME TO journal").await;
    until(|| world.told.lock().len() == 3).await;
    assert_eq!(*world.told.lock(), [1, 11, 2]);
    assert_eq!(world.crash().await.pending(juliet).await, ["one", "two"]);
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_commit_whose_outcome_was_not_heard_is_made_once() {
    let world = World::new().await;
    let juliet = world.account("juliet@example.com").await;
    let one = world.log.append(juliet, incoming("romeo@example.com", "one"));
    let mut batch = world.log.core.tails.batch().take().unwrap();
    sql::journal_insert(&world.db, world.log.core.writer, batch.commit, batch.bytes()).await.unwrap();
    *world.log.committing.lock().await = Some(batch);
    world.log.commit().await.unwrap();
    assert_eq!(world.log.when_committed(one.commit, 1), Some(1));
    assert_eq!(world.crash().await.pending(juliet).await, ["one"]);
}

#[tokio::test]
async fn a_writer_that_was_replaced_can_commit_and_settle_nothing() {
    let world = World::new().await;
    let juliet = world.account("juliet@example.com").await;
    world.append(juliet, "romeo@example.com", "one");
    world.log.flush().await.unwrap();
    sql::writer_begin(&world.db).await.unwrap();
    let two = world.log.append(juliet, incoming("romeo@example.com", "two"));
    assert_eq!(world.log.when_committed(two.commit, 2), None);
    let (_stop, task) = run(&world);
    assert!(matches!(task.await.unwrap(), Err(StoreError::Fenced)));
    assert!(matches!(world.log.core.settle().await, Err(StoreError::Fenced)));
    assert!(world.told.lock().is_empty());
    assert!(world.log.backlogged());
    assert_eq!(world.crash().await.pending(juliet).await, ["one"]);
}

#[tokio::test]
async fn too_much_that_waits_is_a_backlog() {
    let config = LogConfig { log_bytes_max: 1000, ..LogConfig::default() };
    let world = World::with(tempfile::tempdir().unwrap(), config).await;
    let juliet = world.account("juliet@example.com").await;
    world.append(juliet, "romeo@example.com", "x");
    assert!(!world.log.backlogged());
    world.append(juliet, "romeo@example.com", &"x".repeat(1000));
    assert!(world.log.backlogged());
    world.log.flush().await.unwrap();
    assert!(!world.log.backlogged());
}

#[tokio::test]
async fn it_settles_by_itself_by_size_and_by_age_and_then_sleeps() {
    let config = LogConfig {
        commit_interval: Duration::from_millis(1),
        lazy_commit_interval: Duration::from_millis(50),
        settle_after: Duration::from_millis(200),
        journal_bytes_max: 100_000,
        ..LogConfig::default()
    };
    let world = World::with(tempfile::tempdir().unwrap(), config).await;
    let juliet = world.account("juliet@example.com").await;
    let (stop, task) = run(&world);
    let id = world.append(juliet, "romeo@example.com", &"x".repeat(60_000));
    until(|| world.log.tail_bytes() == 0).await;
    world.append(juliet, "romeo@example.com", "small");
    until(|| world.log.tail_bytes() == 0).await;
    // A note of what was taken: committed lazily, then settled too.
    world.log.delivered(juliet, id);
    until(|| world.log.tail_bytes() == 0).await;
    assert_eq!(world.rows("SELECT count(*) FROM journal").await, 0);
    assert_eq!(world.rows("SELECT count(*) FROM log_pending").await, 1);
    assert!(!world.log.core.has_records() && !world.log.core.has_journal());
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_last_batch_is_committed_at_shutdown() {
    let world = World::new().await;
    let juliet = world.account("juliet@example.com").await;
    let (stop, task) = run(&world);
    world.append(juliet, "romeo@example.com", "one");
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();
    assert_eq!(world.crash().await.pending(juliet).await, ["one"]);
}
