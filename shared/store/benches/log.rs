//! CPU of the message log per message: a message is two appends of one buffer, one wait for its
//! commit and one note that it was taken.
//!
//! `cargo bench -p store --bench log [messages per second | flood | load]...`; `load` reads accounts with
//! ten contacts each instead.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for a person at a terminal")]

use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use store::{AccountId, Append, Db, LogConfig, MessageLog, RosterItem};
use xmpp::Jid;

const ACCOUNTS: usize = 1000;
const SECONDS: u64 = 10;
/// Messages of all users that wait for their commit: 100 users with 10 each.
const WINDOW: u64 = 1000;

struct World {
    db: Db,
    accounts: Vec<(AccountId, Jid)>,
    log: Arc<MessageLog<u64>>,
    confirmed: Arc<AtomicU64>,
    sent: u64,
}

impl World {
    async fn new(db: Db) -> World {
        let mut accounts = Vec::new();
        for n in 0..ACCOUNTS {
            let jid = Jid::parse(&format!("user{n}@bench.example")).unwrap();
            accounts.push((db.account_add(&jid, &[], 0).await.unwrap(), jid));
        }
        let confirmed = Arc::new(AtomicU64::new(0));
        let counter = confirmed.clone();
        let log = MessageLog::open(
            db.clone(),
            LogConfig::default(),
            Arc::new(now_ms),
            Box::new(move |waiters: Vec<u64>| {
                counter.fetch_add(waiters.len() as u64, Ordering::Relaxed);
            }),
        );
        World { db, accounts, log: Arc::new(log.await.unwrap()), confirmed, sent: 0 }
    }

    fn send(&mut self) {
        let pair = (self.sent as usize * 2) % ACCOUNTS;
        let ((from, from_jid), (to, to_jid)) = (&self.accounts[pair], &self.accounts[pair + 1]);
        let stanza = Bytes::from(format!(
            "<message xmlns='jabber:client' from='{from_jid}/yardstick' to='{to_jid}' type='chat' id='m{}'>\
             <body>{:0>100}</body></message>",
            self.sent, self.sent
        ));
        let outgoing =
            Append { peer: to_jid.clone(), stanza: stanza.clone(), pending: false, outgoing: true };
        self.log.append(*from, outgoing);
        let incoming = Append { peer: from_jid.clone(), stanza, pending: true, outgoing: false };
        let appended = self.log.append(*to, incoming);
        if self.log.when_committed(appended.commit, self.sent).is_some() {
            self.confirmed.fetch_add(1, Ordering::Relaxed);
        }
        self.log.delivered(*to, appended.id);
        self.sent += 1;
    }

    /// On this thread, which no task runs on.
    fn make(&mut self, load: &str) {
        match load.parse() {
            Ok(per_second) => self.paced(per_second),
            Err(_) => self.flood(),
        }
    }

    async fn load(&self) -> u64 {
        const LOADS: usize = 20_000;
        for n in 0..LOADS {
            let jid = &self.accounts[n % ACCOUNTS].1;
            assert!(self.db.account_load(&self.log, jid).await.unwrap().unwrap().roster.len() == 10);
        }
        LOADS as u64
    }

    async fn befriend(&self) {
        for (account, _) in &self.accounts {
            for (_, contact) in &self.accounts[..10] {
                let item = RosterItem { in_roster: true, ..RosterItem::new(contact.clone()) };
                self.db.roster_put(*account, &item).await.unwrap();
            }
        }
    }

    fn paced(&mut self, per_second: u64) {
        let start = Instant::now();
        let first = self.sent;
        while start.elapsed() < Duration::from_secs(SECONDS) {
            let due = start.elapsed().as_micros() as u64 * per_second / 1_000_000;
            while self.sent - first < due {
                self.send();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn flood(&mut self) {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(SECONDS) {
            while self.sent - self.confirmed.load(Ordering::Relaxed) < WINDOW && !self.log.backlogged() {
                self.send();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let wanted =
        if wanted.is_empty() { ["1000", "5000", "flood"].map(str::to_owned).to_vec() } else { wanted };
    for load in wanted {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::new(Db::open_sqlite(dir.path(), 1024).await.unwrap()).await;
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        #[allow(clippy::disallowed_methods, reason = "a benchmark has no lifecycle")]
        let task = tokio::spawn(world.log.clone().run(async {
            stopped.await.ok();
        }));
        if load == "load" {
            world.befriend().await;
        }
        let (before, start) = (cpu_by_thread(), Instant::now());
        if load == "load" {
            world.sent = world.load().await;
        } else {
            world.make(&load);
        }
        let seconds = start.elapsed().as_secs_f64();
        let after = cpu_by_thread();
        stop.send(()).unwrap();
        task.await.unwrap().unwrap();
        report(&load, world.sent, seconds, &before, &after);
    }
}

fn report(
    load: &str,
    sent: u64,
    seconds: f64,
    before: &BTreeMap<String, u64>,
    after: &BTreeMap<String, u64>,
) {
    print!("{load:>6}: {:>7.0} msg/s", sent as f64 / seconds);
    let mut total = 0.0;
    for (thread, nanos) in after {
        let used = nanos - before.get(thread).copied().unwrap_or(0);
        let micros = used as f64 / 1000.0 / sent as f64;
        total += micros;
        if micros > 0.005 {
            print!("  {thread} {micros:.2}");
        }
    }
    println!("  total {total:.2} us/msg");
}

fn now_ms() -> u64 {
    #[allow(clippy::disallowed_methods, reason = "a benchmark has no clock to be given")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_millis() as u64
}

/// CPU time of each thread in nanoseconds, by name.
fn cpu_by_thread() -> BTreeMap<String, u64> {
    let mut times = BTreeMap::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path();
        let name = std::fs::read_to_string(path.join("comm")).unwrap().trim().to_owned();
        let schedstat = std::fs::read_to_string(path.join("schedstat")).unwrap();
        *times.entry(name).or_default() += schedstat.split(' ').next().unwrap().parse::<u64>().unwrap();
    }
    times
}
