//! Any sequence of operations, held against a list per account.

use super::*;
use proptest::prelude::*;

const ACCOUNTS: usize = 3;

#[derive(Debug, Clone)]
enum Op {
    /// To one account, or the same buffer to two.
    Append {
        to: usize,
        also: Option<usize>,
        peer: usize,
        size: usize,
        pending: bool,
    },
    /// The entry at this place, counted from the newest.
    Delivered {
        account: usize,
        back: usize,
    },
    Flush,
    Settle,
    Crash,
    Pending {
        account: usize,
        after: usize,
        limit: usize,
    },
    Page {
        account: usize,
        after: usize,
        before: usize,
        with: Option<usize>,
        limit: usize,
        last: bool,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let size = prop_oneof![8 => 1..300usize, 1 => 20_000..70_000usize];
    prop_oneof![
        12 => (0..ACCOUNTS, prop::option::of(0..ACCOUNTS), 0..3usize, size, any::<bool>())
            .prop_map(|(to, also, peer, size, pending)| Op::Append { to, also, peer, size, pending }),
        8 => (0..ACCOUNTS, 0..12usize).prop_map(|(account, back)| Op::Delivered { account, back }),
        4 => Just(Op::Flush),
        3 => Just(Op::Settle),
        2 => Just(Op::Crash),
        4 => (0..ACCOUNTS, 0..30usize, 1..10usize)
            .prop_map(|(account, after, limit)| Op::Pending { account, after, limit }),
        4 => (0..ACCOUNTS, 0..30usize, 0..30usize, prop::option::of(0..3usize), 1..10usize, any::<bool>())
            .prop_map(|(account, after, before, with, limit, last)| {
                Op::Page { account, after, before, with, limit, last }
            }),
    ]
}

/// What the log should know of an entry.
#[derive(Debug, Clone)]
struct Entry {
    read: LogEntry,
    pending: bool,
    /// Whether a crash may make it pending again.
    taken_lately: bool,
    committed: bool,
}

struct Model {
    world: World,
    accounts: Vec<AccountId>,
    entries: Vec<Vec<Entry>>,
}

impl Model {
    async fn new() -> Model {
        let world = World::new().await;
        let mut accounts = Vec::new();
        for n in 0..ACCOUNTS {
            accounts.push(world.account(&format!("user{n}@example.com")).await);
        }
        Model { world, accounts, entries: vec![Vec::new(); ACCOUNTS] }
    }

    async fn apply(&mut self, op: &Op) {
        match *op {
            Op::Append { to, also, peer, size, pending } => self.append(to, also, peer, size, pending),
            Op::Delivered { account, back } => {
                let Some(entry) = self.entries[account].iter_mut().rev().nth(back) else { return };
                self.world.log.delivered(self.accounts[account], entry.read.id);
                entry.taken_lately |= entry.pending;
                entry.pending = false;
            }
            Op::Flush => {
                self.world.log.flush().await.unwrap();
                for entry in self.entries.iter_mut().flatten() {
                    entry.committed = true;
                    entry.taken_lately = false;
                }
            }
            Op::Settle => self.world.settle().await,
            Op::Crash => self.crash().await,
            Op::Pending { account, after, limit } => self.check_pending(account, after, limit).await,
            Op::Page { account, after, before, with, limit, last } => {
                let with = with.map(peer);
                let query = PageQuery {
                    after: self.id(account, after, LogId::MIN),
                    before: self.id(account, before, LogId::MAX),
                    with: with.as_ref(),
                    limit,
                    last,
                };
                self.check_page(account, &query).await;
            }
        }
    }

    fn append(&mut self, to: usize, also: Option<usize>, from: usize, size: usize, pending: bool) {
        let stanza = Bytes::from(vec![b'a' + (size % 26) as u8; size]);
        for (account, outgoing) in std::iter::once((to, false)).chain(also.map(|also| (also, true))) {
            let append = Append { peer: peer(from), stanza: stanza.clone(), pending, outgoing };
            let id = self.world.log.append(self.accounts[account], append).id;
            let last = self.entries.iter().flatten().map(|entry| entry.read.id).max();
            assert!(last.is_none_or(|last| last < id));
            let read = LogEntry { id, peer: peer(from), outgoing, stanza: stanza.clone() };
            self.entries[account].push(Entry { read, pending, taken_lately: false, committed: false });
        }
    }

    async fn crash(&mut self) {
        self.world = self.world.crash().await;
        for (account, entries) in self.entries.iter_mut().enumerate() {
            entries.retain(|entry| entry.committed);
            let pending =
                self.world.log.pending(self.accounts[account], LogId::MIN, usize::MAX / 2).await.unwrap();
            let is_pending = |id| pending.iter().any(|entry| entry.id == id);
            for entry in entries.iter_mut().filter(|entry| entry.taken_lately) {
                entry.pending = is_pending(entry.read.id);
                entry.taken_lately = false;
            }
        }
        for account in 0..ACCOUNTS {
            self.check_pending(account, 0, 1000).await;
            let query = PageQuery { limit: 1000, ..PageQuery::default() };
            self.check_page(account, &query).await;
        }
    }

    fn id(&self, account: usize, place: usize, or: LogId) -> LogId {
        self.entries[account].get(place).map_or(or, |entry| entry.read.id)
    }

    async fn check_pending(&self, account: usize, after: usize, limit: usize) {
        let after = self.id(account, after, LogId::MIN);
        let pending = self.entries[account].iter().filter(|entry| entry.pending);
        let count = pending.clone().count() as u64;
        let expected: Vec<&LogEntry> =
            pending.map(|entry| &entry.read).filter(|entry| entry.id > after).take(limit).collect();
        let found = self.world.log.pending(self.accounts[account], after, limit).await.unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected);
        assert_eq!(self.world.log.pending_count(self.accounts[account]).await.unwrap(), count);
    }

    async fn check_page(&self, account: usize, query: &PageQuery<'_>) {
        let mut expected: Vec<LogEntry> = self.entries[account]
            .iter()
            .map(|entry| entry.read.clone())
            .filter(|entry| entry.id > query.after && entry.id < query.before)
            .filter(|entry| query.with.is_none_or(|with| *with == entry.peer))
            .collect();
        let complete = expected.len() <= query.limit;
        if query.last {
            expected.drain(..expected.len().saturating_sub(query.limit));
        } else {
            expected.truncate(query.limit);
        }
        let page = self.world.log.page(self.accounts[account], query).await.unwrap();
        assert_eq!(page, LogPage { entries: expected, complete });
    }
}

fn peer(n: usize) -> Jid {
    jid(["a@b", "romeo@example.com", "room.example.com"][n])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn the_log_is_a_list(ops in prop::collection::vec(op(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut model = Model::new().await;
            for op in &ops {
                model.apply(op).await;
            }
            model.apply(&Op::Flush).await;
            model.apply(&Op::Settle).await;
            model.apply(&Op::Crash).await;
        });
    }
}
