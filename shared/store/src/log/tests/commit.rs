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
async fn those_who_wait_are_told_when_a_restart_would_find_it() {
    let world = World::new().await;
    let juliet = world.account("juliet@example.com").await;
    let appended = world.log.append(juliet, incoming("romeo@example.com", "one"));
    assert_eq!(world.log.when_committed(appended.commit, 1), None);
    assert_eq!(world.log.when_committed(0, 2), Some(2), "commit 0 is durable by definition");
    let (stop, task) = run(&world);
    until(|| !world.told.lock().is_empty()).await;
    assert_eq!(*world.told.lock(), [1]);
    assert_eq!(world.log.when_committed(appended.commit, 3), Some(3));
    assert_eq!(world.crash().await.pending(juliet).await, ["one"]);
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn nobody_is_told_before_the_commit() {
    let world = World::new().await;
    let juliet = world.account("juliet@example.com").await;
    let first = world.log.append(juliet, incoming("romeo@example.com", "one"));
    assert_eq!(world.log.when_committed(first.commit, 1), None);
    assert!(world.told.lock().is_empty());
    assert!(world.crash().await.pending(juliet).await.is_empty());
    world.log.flush().await.unwrap();
    assert_eq!(*world.told.lock(), [1]);
    assert_eq!(world.crash().await.pending(juliet).await, ["one"]);
}

#[tokio::test]
async fn a_failing_disk_confirms_nothing_and_loses_nothing() {
    let world = World::new().await;
    let juliet = world.account("juliet@example.com").await;
    world.log.committer.lock().files.set_read_only(true);
    let (stop, task) = run(&world);
    let one = world.log.append(juliet, incoming("romeo@example.com", "one"));
    assert_eq!(world.log.when_committed(one.commit, 1), None);
    until(|| world.log.committer.lock().under_way.is_some()).await;
    let two = world.log.append(juliet, incoming("romeo@example.com", "two"));
    assert!(two.commit > one.commit);
    assert_eq!(world.log.when_committed(two.commit, 2), None);
    assert_eq!(world.log.when_committed(one.commit, 11), None);
    assert!(world.log.flush().await.is_err());
    assert!(world.told.lock().is_empty());
    world.log.committer.lock().files.set_read_only(false);
    until(|| world.told.lock().len() == 3).await;
    assert_eq!(*world.told.lock(), [1, 11, 2]);
    assert_eq!(world.crash().await.pending(juliet).await, ["one", "two"]);
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_failing_database_delays_settling_only() {
    let config = LogConfig { settle_after: Duration::from_millis(1), ..LogConfig::default() };
    let world = World::with(tempfile::tempdir().unwrap(), config).await;
    let juliet = world.account("juliet@example.com").await;
    world.execute("ALTER TABLE log_chunk RENAME TO away").await;
    let (stop, task) = run(&world);
    for (waiter, text) in [(1, "one"), (2, "two")] {
        let appended = world.log.append(juliet, incoming("romeo@example.com", text));
        assert_eq!(world.log.when_committed(appended.commit, waiter), None);
        until(|| world.told.lock().len() == waiter as usize).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.execute("ALTER TABLE away RENAME TO log_chunk").await;
    until(|| world.log.tail_bytes() == 0).await;
    assert_eq!(world.pending(juliet).await, ["one", "two"]);
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_writer_that_was_replaced_can_settle_nothing_and_stops() {
    let world = World::new().await;
    let juliet = world.account("juliet@example.com").await;
    world.append(juliet, "romeo@example.com", "one");
    world.log.flush().await.unwrap();
    sql::writer_begin(&world.db).await.unwrap();
    let (_stop, task) = run(&world);
    assert!(matches!(task.await.unwrap(), Err(StoreError::Fenced)));
    assert!(world.log.backlogged());
    assert_eq!(world.rows("SELECT count(*) FROM log_chunk").await, 0);
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
    until(|| !world.log.core.has_journal()).await;
    assert_eq!(world.rows("SELECT count(*) FROM log_pending").await, 1);
    assert_eq!(world.log.core.tails.batch().records, 0);
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
