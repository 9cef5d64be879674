//! Killed at every point: nothing committed is lost, nothing is there twice, order holds.

use super::*;
use crate::log::{chunk, sql};

async fn assert_archive(world: &World, account: AccountId, expected: &[&str]) {
    let page = world.log.page(account, &PageQuery::default()).await.unwrap();
    assert_eq!(texts(&page.entries), expected);
    assert!(page.entries.windows(2).all(|pair| pair[0].id < pair[1].id));
}

#[tokio::test]
async fn between_append_and_commit() {
    let world = World::new().await;
    let juliet = world.account("juliet@example.com").await;
    world.append(juliet, "romeo@example.com", "one");
    world.log.flush().await.unwrap();
    world.append(juliet, "romeo@example.com", "two");
    assert_eq!(world.crash().await.pending(juliet).await, ["one"]);
    // The batch was taken, the statement was not made.
    let _batch = world.log.core.tails.batch().take();
    assert_eq!(world.crash().await.pending(juliet).await, ["one"]);
}

#[tokio::test]
async fn between_commit_and_settling_and_after_it() {
    let world = World::new().await;
    let juliet = world.account("juliet@example.com").await;
    let one = world.append(juliet, "romeo@example.com", "one");
    let two = world.append(juliet, "romeo@example.com", "two");
    world.log.flush().await.unwrap();
    world.log.delivered(juliet, one);
    // Not committed: pending again, under the same id.
    let after = world.crash().await;
    assert_eq!(after.pending(juliet).await, ["one", "two"]);
    assert_eq!(after.log.pending(juliet, LogId::MIN, 1).await.unwrap()[0].id, one);
    world.log.flush().await.unwrap();
    assert_eq!(world.crash().await.pending(juliet).await, ["two"]);
    world.settle().await;
    let mut after = world.crash().await;
    assert_eq!(after.pending(juliet).await, ["two"]);
    assert_archive(&after, juliet, &["one", "two"]).await;
    // New ids are higher than all settled ones, even with a clock that stepped back.
    after.now_ms.store(1, Ordering::Relaxed);
    let three = after.append(juliet, "romeo@example.com", "three");
    assert!(three > two);
    after.log.delivered(juliet, two);
    after.log.flush().await.unwrap();
    after = after.crash().await;
    assert_eq!(after.pending(juliet).await, ["three"]);
    assert_eq!(after.log.pending_count(juliet).await.unwrap(), 1);
    after.settle().await;
    assert_eq!(after.rows("SELECT count(*) FROM log_pending").await, 1);
    assert_archive(&after.crash().await, juliet, &["one", "two", "three"]).await;
}

#[tokio::test]
async fn in_the_middle_of_settling() {
    let world = World::new().await;
    let juliet = world.account("juliet@example.com").await;
    world.append(juliet, "romeo@example.com", "one");
    world.append(juliet, "romeo@example.com", "two");
    world.log.flush().await.unwrap();
    let core = &world.log.core;
    let cuts = core.tails.cut(core.journal.lock().through);
    let settled = sql::Settled { commit: core.journal.lock().through, last_id: LogId::MIN };
    let mut settling = sql::Settling::begin(&world.db, core.writer, settled).await.unwrap();
    // More rows than are gathered, so that some are really written.
    for n in 1..200u64 {
        let mut entry = cuts[0].entries[0].clone();
        entry.id = LogId(n);
        settling.chunk(juliet, chunk::encode(&[entry])).await.unwrap();
    }
    assert_eq!(world.crash().await.pending(juliet).await, ["one", "two"]);
    // Given up: rolled back, and the next one does it all.
    drop(settling);
    world.settle().await;
    let after = world.crash().await;
    assert_eq!(after.pending(juliet).await, ["one", "two"]);
    assert_archive(&after, juliet, &["one", "two"]).await;
    assert_eq!(after.rows("SELECT count(*) FROM log_chunk").await, 1);
}

#[tokio::test]
async fn a_settling_whose_outcome_was_not_heard_is_repeated_with_more_in_it() {
    let world = World::new().await;
    let juliet = world.account("juliet@example.com").await;
    let one = world.append(juliet, "romeo@example.com", "one");
    world.log.flush().await.unwrap();
    let core = &world.log.core;
    let journal = *core.journal.lock();
    let cuts = core.tails.cut(journal.through);
    let settled = sql::Settled { commit: journal.through, last_id: one };
    let mut settling = sql::Settling::begin(&world.db, core.writer, settled).await.unwrap();
    core.settle_account(&mut settling, &cuts[0]).await.unwrap();
    settling.commit().await.unwrap();
    // Now the process believes that it failed.
    world.log.delivered(juliet, one);
    world.append(juliet, "romeo@example.com", "two");
    world.log.flush().await.unwrap();
    world.settle().await;
    let after = world.crash().await;
    assert_archive(&after, juliet, &["one", "two"]).await;
    assert_eq!(after.pending(juliet).await, ["two"]);
}

#[tokio::test]
async fn an_entry_taken_while_it_is_being_settled_is_not_pending() {
    let world = World::new().await;
    let juliet = world.account("juliet@example.com").await;
    let one = world.append(juliet, "romeo@example.com", "one");
    world.log.flush().await.unwrap();
    let core = &world.log.core;
    let journal = *core.journal.lock();
    let cuts = core.tails.cut(journal.through);
    let settled = sql::Settled { commit: journal.through, last_id: one };
    let mut settling = sql::Settling::begin(&world.db, core.writer, settled).await.unwrap();
    core.settle_account(&mut settling, &cuts[0]).await.unwrap();
    world.log.delivered(juliet, one);
    settling.commit().await.unwrap();
    // The row says pending, the tail knows better; before and after it drops the entry.
    assert_eq!(world.rows("SELECT count(*) FROM log_pending").await, 1);
    assert!(world.pending(juliet).await.is_empty());
    core.tails.settled(&cuts);
    core.journal.lock().bytes = 0;
    assert!(world.pending(juliet).await.is_empty());
    assert_eq!(world.log.pending_count(juliet).await.unwrap(), 0);
    world.log.flush().await.unwrap();
    assert!(world.crash().await.pending(juliet).await.is_empty());
    world.settle().await;
    assert_eq!(world.rows("SELECT count(*) FROM log_pending").await, 0);
}

#[tokio::test]
async fn a_deleted_account_stays_deleted() {
    let world = World::new().await;
    let juliet = world.account("juliet@example.com").await;
    let nurse = world.account("nurse@example.com").await;
    world.append(juliet, "romeo@example.com", "settled");
    world.append(nurse, "romeo@example.com", "hers");
    world.log.flush().await.unwrap();
    world.settle().await;
    world.append(juliet, "romeo@example.com", "in the journal");
    world.append(nurse, "romeo@example.com", "hers too");
    world.log.flush().await.unwrap();
    assert!(world.db.account_delete(&world.log, juliet).await.unwrap());
    assert!(!world.db.account_delete(&world.log, juliet).await.unwrap());
    // Too late: dropped.
    let late = world.log.append(juliet, incoming("romeo@example.com", "late"));
    assert_eq!(late.commit, 0);
    for world in [world.crash().await, world] {
        assert!(world.pending(juliet).await.is_empty());
        world.settle().await;
        for count in ["SELECT count(*) FROM log_chunk", "SELECT count(*) FROM log_chunk_peer"] {
            assert_eq!(world.rows(count).await, 2, "{count}");
        }
        assert_eq!(world.pending(nurse).await, ["hers", "hers too"]);
        let again = world.account("juliet@example.com").await;
        assert_ne!(again, juliet);
        assert!(world.pending(again).await.is_empty());
    }
}
