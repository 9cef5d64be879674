//! Reading the archive, and removing what is old.

use super::*;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// 300 entries with three peers: settled in parts, the last ones in the tail.
async fn archive(world: &World) -> (AccountId, Vec<LogId>) {
    let juliet = world.account("juliet@example.com").await;
    let mut ids = Vec::new();
    for n in 0..300 {
        world.now_ms.fetch_add(1000, Ordering::Relaxed);
        ids.push(world.append(juliet, ["a@b", "b@b", "c@b"][n % 3], &n.to_string()));
        if n % 20 == 19 {
            world.log.flush().await.unwrap();
        }
        if n % 20 == 19 && n < 250 {
            world.settle().await;
        }
    }
    (juliet, ids)
}

fn numbers(page: &LogPage) -> Vec<usize> {
    texts(&page.entries).iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test]
async fn pages_forwards_and_backwards() {
    let world = World::new().await;
    let (juliet, ids) = archive(&world).await;
    let all: Vec<usize> = (0..300).collect();
    for limit in [1, 7, 50, 299, 300, 1000] {
        let (mut forwards, mut after) = (Vec::new(), LogId::MIN);
        loop {
            let query = PageQuery { after, limit, ..PageQuery::default() };
            let page = world.log.page(juliet, &query).await.unwrap();
            forwards.extend(numbers(&page));
            if page.complete {
                break;
            }
            assert_eq!(page.entries.len(), limit);
            after = page.entries.last().unwrap().id;
        }
        assert_eq!(forwards, all, "limit {limit}");
        let (mut backwards, mut before) = (Vec::new(), LogId::MAX);
        loop {
            let query = PageQuery { before, limit, last: true, ..PageQuery::default() };
            let page = world.log.page(juliet, &query).await.unwrap();
            backwards.splice(0..0, numbers(&page));
            if page.complete {
                break;
            }
            before = page.entries[0].id;
        }
        assert_eq!(backwards, all, "limit {limit}");
    }
    let query = PageQuery { after: ids[10], before: ids[15], ..PageQuery::default() };
    assert_eq!(numbers(&world.log.page(juliet, &query).await.unwrap()), [11, 12, 13, 14]);
}

#[tokio::test]
async fn pages_with_one_peer() {
    let world = World::new().await;
    let (juliet, ids) = archive(&world).await;
    let with = jid("b@b/resource");
    let query = PageQuery { with: Some(&with), limit: 1000, ..PageQuery::default() };
    let page = world.log.page(juliet, &query).await.unwrap();
    assert_eq!(numbers(&page), (0..300).filter(|n| n % 3 == 1).collect::<Vec<_>>());
    assert_eq!(page.entries[0].peer, jid("b@b"));
    let query = PageQuery { after: ids[200], limit: 3, ..query };
    assert_eq!(numbers(&world.log.page(juliet, &query).await.unwrap()), [202, 205, 208]);
    let query = PageQuery { before: ids[290], last: true, ..query };
    assert_eq!(numbers(&world.log.page(juliet, &query).await.unwrap()), [283, 286, 289]);
    let nobody = jid("nobody@b");
    let query = PageQuery { with: Some(&nobody), ..PageQuery::default() };
    let page = world.log.page(juliet, &query).await.unwrap();
    assert_eq!(page, LogPage { entries: vec![], complete: true });
}

/// No query of a page may read the whole archive.
#[tokio::test]
async fn every_read_uses_an_index() {
    let world = World::new().await;
    let Db::Sqlite(db) = &world.db;
    for statement in [
        "SELECT first_id, data FROM log_chunk
         WHERE account = ?1 AND first_id >= ?2 AND first_id < ?3 ORDER BY first_id DESC LIMIT ?4",
        "SELECT max(first_id) FROM log_chunk_peer WHERE account = ?1 AND first_id <= ?2 AND peer = ?3",
        "SELECT p.first_id, c.data FROM log_chunk_peer p
         CROSS JOIN log_chunk c ON c.account = p.account AND c.first_id = p.first_id
         WHERE p.account = ?1 AND p.first_id >= ?2 AND p.first_id < ?3 AND p.peer = ?5
         ORDER BY p.first_id LIMIT ?4",
        "SELECT id, first_id FROM log_pending WHERE account = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
        "DELETE FROM log_pending WHERE (account, id) IN (VALUES (1, 2), (3, 4))",
    ] {
        let explain = format!("EXPLAIN QUERY PLAN {statement}");
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(sqlx::AssertSqlSafe(explain)).fetch_all(&db.readers).await.unwrap();
        let plan: Vec<&str> = plan.iter().map(|row| row.3.as_str()).collect();
        assert!(plan.iter().any(|step| step.starts_with("SEARCH")), "{statement}: {plan:?}");
        let scans = |step: &&str| step.starts_with("SCAN") && !step.contains("VALUES CLAUSE");
        assert!(!plan.iter().any(scans), "{statement}: {plan:?}");
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER")), "{statement}: {plan:?}");
    }
}

#[tokio::test]
async fn accounts_do_not_see_each_other_and_sides_share_a_stanza() {
    let world = World::new().await;
    let juliet = world.account("juliet@example.com").await;
    let romeo = world.account("romeo@example.com").await;
    let stanza = Bytes::from_static(b"<message/>");
    let (to, from) = (jid("romeo@example.com"), jid("juliet@example.com"));
    let sent = Append { peer: to, stanza: stanza.clone(), pending: false, outgoing: true };
    let sent = world.log.append(juliet, sent);
    let got = world.log.append(romeo, Append { peer: from.clone(), stanza, pending: true, outgoing: false });
    assert!(sent.id < got.id);
    world.log.flush().await.unwrap();
    for _ in 0..2 {
        assert!(world.pending(juliet).await.is_empty());
        let pending = world.log.pending(romeo, LogId::MIN, 10).await.unwrap();
        assert_eq!((pending.len(), pending[0].id, &pending[0].peer), (1, got.id, &from));
        assert_eq!(pending[0].id.time_ms(), NOW_MS);
        let page = world.log.page(juliet, &PageQuery::default()).await.unwrap();
        assert_eq!((page.entries.len(), page.entries[0].id, page.entries[0].outgoing), (1, sent.id, true));
        world.settle().await;
    }
}

#[tokio::test]
async fn an_account_is_loaded_with_what_waits_for_it() {
    let world = World::new().await;
    let juliet = world.account("juliet@example.com").await;
    let ids: Vec<_> = (0..4).map(|n| world.append(juliet, "a@b", &n.to_string())).collect();
    world.log.flush().await.unwrap();
    world.settle().await;
    let last = world.append(juliet, "a@b", "4");
    let load = || world.db.account_load(&world.log, world.jid_of_juliet());
    let loaded = load().await.unwrap().unwrap();
    assert_eq!((loaded.pending, loaded.pending_oldest), (5, Some(ids[0])));
    world.log.delivered(juliet, ids[0]);
    world.log.delivered(juliet, ids[0]);
    let loaded = load().await.unwrap().unwrap();
    assert_eq!((loaded.pending, loaded.pending_oldest), (4, Some(ids[1])));
    for id in &ids {
        world.log.delivered(juliet, *id);
    }
    let loaded = load().await.unwrap().unwrap();
    assert_eq!((loaded.pending, loaded.pending_oldest), (1, Some(last)));
    assert_eq!(texts(&world.log.pending(juliet, LogId::MIN, 1).await.unwrap()), ["4"]);
}

impl World {
    fn jid_of_juliet(&self) -> &'static Jid {
        static JULIET: std::sync::LazyLock<Jid> = std::sync::LazyLock::new(|| jid("juliet@example.com"));
        &JULIET
    }
}

#[tokio::test]
async fn old_entries_go_unless_they_are_pending() {
    let config = LogConfig { retention: Retention::Days(10), ..LogConfig::default() };
    let world = World::with(tempfile::tempdir().unwrap(), config).await;
    let juliet = world.account("juliet@example.com").await;
    let mut ids = Vec::new();
    for day in 0..20 {
        world.now_ms.store(NOW_MS + day * DAY_MS, Ordering::Relaxed);
        ids.push(world.append(juliet, "a@b", &day.to_string()));
        world.log.flush().await.unwrap();
        world.settle().await;
    }
    for id in ids.iter().skip(1) {
        world.log.delivered(juliet, *id);
    }
    world.log.flush().await.unwrap();
    world.settle().await;
    world.log.expire().await.unwrap();
    let page = world.log.page(juliet, &PageQuery::default()).await.unwrap();
    // Day 9 is ten days old to the millisecond.
    let expected: Vec<usize> = std::iter::once(0).chain(9..20).collect();
    assert_eq!(numbers(&page), expected);
    assert_eq!(world.pending(juliet).await, ["0"]);
    assert_eq!(world.rows("SELECT count(*) FROM log_chunk_peer").await, 12);
}

#[tokio::test]
async fn without_an_archive_only_what_is_pending_is_kept() {
    let config = LogConfig { retention: Retention::UntilDelivered, ..LogConfig::default() };
    let world = World::with(tempfile::tempdir().unwrap(), config).await;
    let juliet = world.account("juliet@example.com").await;
    let one = world.append(juliet, "a@b", "one");
    let two = world.append(juliet, "a@b", "two");
    world.log.delivered(juliet, one);
    world.log.flush().await.unwrap();
    world.settle().await;
    let page = world.log.page(juliet, &PageQuery::default()).await.unwrap();
    assert_eq!(texts(&page.entries), ["two"]);
    world.log.delivered(juliet, two);
    world.log.flush().await.unwrap();
    world.settle().await;
    world.now_ms.fetch_add(1000, Ordering::Relaxed);
    world.log.expire().await.unwrap();
    assert_eq!(world.rows("SELECT count(*) FROM log_chunk").await, 0);
}

#[tokio::test]
async fn readers_see_each_entry_once_while_it_is_settled() {
    let world = World::new().await;
    let juliet = world.account("juliet@example.com").await;
    let is_done = AtomicBool::new(false);
    let appended = AtomicU64::new(0);
    let write = async {
        for n in 0..400 {
            appended.store(n + 1, Ordering::Relaxed);
            world.append(juliet, "a@b", &n.to_string());
            if n % 4 == 3 {
                world.log.flush().await.unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        is_done.store(true, Ordering::Relaxed);
    };
    let settle = async {
        while !is_done.load(Ordering::Relaxed) {
            world.settle().await;
            tokio::task::yield_now().await;
        }
    };
    let read = async {
        let mut seen = 0;
        while !is_done.load(Ordering::Relaxed) {
            let least = seen;
            let query = PageQuery { limit: 1000, ..PageQuery::default() };
            let page = world.log.page(juliet, &query).await.unwrap();
            let pending = world.pending(juliet).await;
            let count = world.log.pending_count(juliet).await.unwrap();
            seen = pending.len();
            let loaded = world.db.account_load(&world.log, world.jid_of_juliet()).await.unwrap().unwrap();
            assert!(count <= loaded.pending, "overlooked");
            assert!(loaded.pending <= appended.load(Ordering::Relaxed), "counted twice");
            assert!(least <= page.entries.len() && page.entries.len() <= seen && seen as u64 <= count);
            assert_eq!(numbers(&page), (0..page.entries.len()).collect::<Vec<_>>());
            assert_eq!(pending, (0..seen).map(|n| n.to_string()).collect::<Vec<_>>());
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(write, settle, read);
}
