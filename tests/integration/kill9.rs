//! kill -9 again and again under traffic: nothing acknowledged is lost (I1), reordered (I2) or
//! duplicated beyond what the sender sent again (I3).
//!
//! Four clients with XEP-0198 send each other numbered messages; every other one takes its time to
//! come back, so that many kills meet messages that are nowhere but in the server's log.
//! `WAYSTATION_KILLS` sets how often the server is killed. In a build with the feature `fault-injection` the server acknowledges
//! before the commit, and the test must see messages lost.

use crate::client::{Client, Event};
use crate::ledger::{Ledger, Receipt};
use crate::server::Server;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often the server is killed where nothing else is asked for.
const KILLS: usize = 20;
/// Users `u0`..; each sends to its neighbour, so each receives, too.
const USERS: usize = 4;
/// Most messages of one sender without an acknowledgement.
const WINDOW: usize = 60;
/// How long the traffic may take to come to its end after the last kill.
const SETTLE_PATIENCE: Duration = Duration::from_secs(90);
/// How long one reading waits when there is nothing to read.
const TICK: Duration = Duration::from_millis(5);

#[test]
fn nothing_acknowledged_is_lost() {
    let skips_commit = cfg!(feature = "fault-injection");
    let kills = std::env::var("WAYSTATION_KILLS").map_or(KILLS, |n| n.parse().unwrap());
    let names: Vec<String> = (0..USERS).map(|n| format!("u{n}")).collect();
    let mut settings =
        vec!["sasl.scram_iterations=4096", "log.settle_after_seconds=1", "session.resume_seconds_max=600"];
    if skips_commit {
        // A wide gap between acknowledgement and commit, so that every kill falls into it.
        settings.push("log.commit_interval_ms=500");
    }
    let mut server = Server::with_users(&settings, &names.iter().map(String::as_str).collect::<Vec<_>>());
    let traffic = Traffic {
        address: server.c2s,
        ledgers: (0..USERS).map(|_| Mutex::default()).collect(),
        sending: AtomicBool::new(true),
        running: AtomicBool::new(true),
    };
    let settled = std::thread::scope(|scope| {
        for user in 0..USERS {
            let traffic = &traffic;
            scope.spawn(move || Peer::new(user, traffic).run());
        }
        let mut pauses = Pauses(0x9E37_79B9_7F4A_7C15);
        for _ in 0..kills {
            std::thread::sleep(pauses.next());
            server.kill9();
            server.restart();
        }
        std::thread::sleep(pauses.next());
        traffic.sending.store(false, Ordering::SeqCst);
        let settled = traffic.wait_until_settled(if skips_commit { TICK * 1000 } else { SETTLE_PATIENCE });
        traffic.running.store(false, Ordering::SeqCst);
        settled
    });

    let mut violations = Vec::new();
    let mut sent = 0;
    for (user, ledger) in traffic.ledgers.iter().enumerate() {
        let ledger = ledger.lock().unwrap();
        sent += ledger.acknowledged.len();
        violations.extend(ledger.violations().into_iter().map(|v| format!("from u{user}: {v}")));
    }
    eprintln!("{kills} kills, {sent} messages acknowledged, {} violations", violations.len());
    assert!(sent > kills * USERS, "only {sent} messages were acknowledged: that shows nothing");
    if skips_commit {
        assert!(
            violations.iter().any(|v| v.contains("I1")),
            "acknowledged before the commit, and no loss was seen: {violations:?}"
        );
        return;
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
    assert!(settled, "not everything was acknowledged and delivered in time");
    // All was acknowledged by its receivers, too: nothing waits any more.
    for name in &names {
        server.online(name, "last").expect_nothing();
    }
}

struct Traffic {
    address: SocketAddr,
    /// By sender.
    ledgers: Vec<Mutex<Ledger>>,
    /// New messages are made.
    sending: AtomicBool,
    running: AtomicBool,
}

impl Traffic {
    fn wait_until_settled(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            let settled = self.ledgers.iter().all(|ledger| {
                let ledger = ledger.lock().unwrap();
                let last = ledger.attempts.last().copied().unwrap_or(0);
                ledger.acknowledged.len() as u64 == last
                    && ledger
                        .receipts
                        .iter()
                        .map(|r| r.number)
                        .collect::<std::collections::BTreeSet<_>>()
                        .len() as u64
                        == last
            });
            if settled {
                return true;
            }
            std::thread::sleep(TICK * 10);
        }
        false
    }
}

/// Times from one kill to the next: spread over all stages of a connection, the same in every run.
struct Pauses(u64);

impl Pauses {
    fn next(&mut self) -> Duration {
        // Xorshift: spread is all that is asked of it.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_millis(200 + self.0 % 700)
    }
}

/// One user: sender and receiver at the end of one connection after the other.
struct Peer<'t> {
    traffic: &'t Traffic,
    user: usize,
    next_number: u64,
    /// Sent and not acknowledged, in order; `None` is a stanza that is no numbered message.
    unacknowledged: VecDeque<Option<u64>>,
    /// XEP-0198 counts of the current session.
    acknowledged: u32,
    handled: u32,
    reported: u32,
    session: Option<String>,
    connections: usize,
}

/// The connection broke; the next one follows.
struct Broken;

impl<'t> Peer<'t> {
    fn new(user: usize, traffic: &'t Traffic) -> Peer<'t> {
        Peer {
            traffic,
            user,
            next_number: 1,
            unacknowledged: VecDeque::new(),
            acknowledged: 0,
            handled: 0,
            reported: 0,
            session: None,
            connections: 0,
        }
    }

    fn run(mut self) {
        let mut pauses = Pauses(0x2545_F491_4F6C_DD1D);
        while self.traffic.running.load(Ordering::SeqCst) {
            // A client that is cut off in the middle of its login panics, quietly.
            let attempt = std::panic::AssertUnwindSafe(|| self.log_in());
            if let Ok(Some(mut client)) = std::panic::catch_unwind(attempt) {
                let Err(Broken) = self.talk(&mut client) else { return client.close() };
            }
            // While there are new messages: afterwards all hurry to the end.
            let away = self.user % 2 == 1 && self.traffic.sending.load(Ordering::SeqCst);
            std::thread::sleep(if away { pauses.next() } else { TICK });
        }
    }

    /// Resumes the last session or, where that is gone, binds a new one and sends again what was not
    /// acknowledged.
    fn log_in(&mut self) -> Option<Client> {
        let mut client = Client::try_connect(self.traffic.address)?;
        client.quiet = true;
        client.authenticate(&format!("u{}", self.user), crate::client::PASSWORD);
        if let Some(session) = self.session.take() {
            client.send(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{session}' h='{}'/>", self.handled));
            let answer = client.next_element();
            if answer.name == "resumed" {
                self.connections += 1;
                self.count(&client, answer.attr("h"));
                self.session = Some(session);
                self.send_again(&mut client, false);
                return Some(client);
            }
        }
        client.bind("phone");
        client.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
        let enabled = client.expect("<enabled xmlns='urn:xmpp:sm:3' id='*'/>");
        self.session = enabled.attr("id").map(str::to_owned);
        self.connections += 1;
        (self.acknowledged, self.handled, self.reported) = (0, 0, 0);
        client.send("<presence/>");
        self.send_again(&mut client, true);
        Some(client)
    }

    fn send_again(&mut self, client: &mut Client, new_session: bool) {
        let mut left = std::mem::take(&mut self.unacknowledged);
        if new_session {
            self.unacknowledged.push_back(None);
            left.retain(Option::is_some);
        }
        for number in left {
            match number {
                Some(number) => self.send(client, number),
                None => {
                    client.send("<presence/>");
                    self.unacknowledged.push_back(None);
                }
            }
        }
        client.send("<r xmlns='urn:xmpp:sm:3'/>");
    }

    /// Sends and receives until the connection breaks, or all has come to its end.
    fn talk(&mut self, client: &mut Client) -> Result<(), Broken> {
        while self.traffic.running.load(Ordering::SeqCst) {
            if self.traffic.sending.load(Ordering::SeqCst) && self.unacknowledged.len() < WINDOW {
                for _ in 0..5 {
                    self.send(client, self.next_number);
                    self.next_number += 1;
                }
                client.send("<r xmlns='urn:xmpp:sm:3'/>");
            }
            while let Some(event) = client.try_next(TICK) {
                match event {
                    Event::Child(element) if element.name == "a" => self.count(client, element.attr("h")),
                    Event::Child(element) if element.name == "r" => self.report(client),
                    Event::Child(element)
                        if matches!(element.name.as_str(), "message" | "iq" | "presence") =>
                    {
                        self.handled = self.handled.wrapping_add(1);
                        if element.name == "message" {
                            self.receive(&element);
                        }
                    }
                    Event::Child(element) if element.name == "error" => {}
                    Event::Child(element) => client.fail(&format!("got {element}")),
                    Event::Open(_) | Event::Close | Event::Eof => return Err(Broken),
                }
                if self.handled.wrapping_sub(self.reported) >= 7 {
                    self.report(client);
                }
            }
            if self.handled != self.reported {
                self.report(client);
            }
        }
        Ok(())
    }

    fn send(&mut self, client: &mut Client, number: u64) {
        let to = (self.user + 1) % USERS;
        self.traffic.ledgers[self.user].lock().unwrap().attempts.push(number);
        self.unacknowledged.push_back(Some(number));
        client.send(&format!(
            "<message to='u{to}@localhost' type='chat' id='n{number}'><body>{number}</body></message>"
        ));
    }

    fn receive(&self, message: &crate::xml::Element) {
        let sender = (self.user + USERS - 1) % USERS;
        let stanza_id = message.children.iter().find(|c| c.is("stanza-id", "urn:xmpp:sid:0"));
        assert!(message.attr("from").is_some_and(|f| f.starts_with(&format!("u{sender}@"))), "{message}");
        self.traffic.ledgers[sender].lock().unwrap().receipts.push(Receipt {
            connection: self.connections,
            number: message.child("body").and_then(|b| b.text.parse().ok()).expect("a number"),
            stanza_id: stanza_id.and_then(|i| i.attr("id")).unwrap_or_default().to_owned(),
        });
    }

    /// Tells the server how much has arrived.
    fn report(&mut self, client: &mut Client) {
        client.send(&format!("<a xmlns='urn:xmpp:sm:3' h='{}'/>", self.handled));
        self.reported = self.handled;
    }

    /// Takes the server's word for how much has arrived there.
    fn count(&mut self, client: &Client, h: Option<&str>) {
        let h: u32 = h.and_then(|h| h.parse().ok()).unwrap_or_else(|| client.fail("no count"));
        let fresh = h.wrapping_sub(self.acknowledged) as usize;
        if fresh > self.unacknowledged.len() {
            client.fail(&format!("acknowledged {fresh} of {}", self.unacknowledged.len()));
        }
        let numbers = self.unacknowledged.drain(..fresh).flatten();
        self.traffic.ledgers[self.user].lock().unwrap().acknowledged.extend(numbers);
        self.acknowledged = h;
    }
}
