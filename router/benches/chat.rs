//! What the router adds to a chat message between two accounts of one process: outbound and
//! inbound side, the message log with its commits, delivery, acknowledgement and confirmation.
//!
//!     cargo bench -p router
//!
//! prints the processor time of the whole process for each message, user and system.

#[path = "../tests/harness/mod.rs"]
mod harness;

use bus::envelope::{GatewayBody, OwnerBody, SessionBody};
use bus::{Bus, GatewayPort, ToGateway, ToOwner};
use harness::World;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use xmpp::Stanza;
use xmpp::framing::{Content, Frame, Limits, StreamNamespaces, parse_frame};
use xmpp::stanza::RawStanza;

const MESSAGES: u64 = 200_000;
/// Stanzas on their way at once: what many sessions' windows are together.
const WINDOW: u64 = 4_000;

/// A gateway that only counts.
#[derive(Default)]
struct Counter {
    delivered: AtomicU64,
    confirmed: AtomicU64,
}

impl GatewayPort for Counter {
    fn receive(&self, envelope: ToGateway) {
        match envelope.body {
            GatewayBody::Deliver { seq, .. } => self.delivered.store(seq, Ordering::Release),
            GatewayBody::Confirm { seq } => self.confirmed.store(seq, Ordering::Release),
            _ => {}
        }
    }
}

fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("procfs");
    let fields: Vec<u64> =
        stat.rsplit(')').next().unwrap_or("").split_whitespace().filter_map(|f| f.parse().ok()).collect();
    // After the state (not a number) come ppid ...; utime and stime are the 11th and 12th numbers.
    Duration::from_millis((fields[10] + fields[11]) * 10)
}

#[tokio::main]
async fn main() {
    let settings = router::Settings { unacked_stanzas_max: 2_000, ..harness::settings() };
    let world = World::with(&["juliet", "romeo"], settings, store::LogConfig::default());
    let world = Arc::new(world.await);
    let juliet = world.online("juliet@example.com/balcony", 0).await;
    let romeo = world.online("romeo@example.com/orchard", 0).await;
    let counter = Arc::new(Counter::default());
    world.replace_gateway(counter.clone());
    let names = StreamNamespaces::usual(Content::Client);
    let body = "x".repeat(100);
    let xml = format!("<message type='chat' id='m1' to='romeo@example.com'><body>{body}</body></message>");
    let (before, started) = (cpu(), std::time::Instant::now());
    for n in 1..=MESSAGES {
        let Ok(Frame::Stanza(raw)) = parse_frame(&xml, &names, &Limits::default()) else { return };
        let stanza = stamp(&raw, &juliet.jid);
        send(&world.bus, &juliet, SessionBody::Stanza { seq: juliet.sent + n, stanza });
        if n % 8 == 0 {
            let seq = counter.delivered.load(Ordering::Acquire);
            send(&world.bus, &romeo, SessionBody::Acked { seq });
        }
        while juliet.sent + n - counter.confirmed.load(Ordering::Acquire) > WINDOW && n > WINDOW {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }
    let (used, took) = (cpu() - before, started.elapsed());
    let each = used.as_nanos() as u64 / MESSAGES;
    let line = format!("{each} ns of processor time a message; {MESSAGES} in {took:.2?}\n");
    let _ = std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes());
}

fn stamp(raw: &RawStanza<'_>, from: &xmpp::Jid) -> Stanza {
    raw.stamp(from).unwrap_or_else(|(stanza, _)| stanza)
}

fn send(bus: &Bus, client: &harness::Client, body: SessionBody) {
    let (conn, session) = (client.conn, client.session);
    let account = client.jid.to_bare();
    bus.to_owner(ToOwner { account, body: OwnerBody::Session { conn, session, body } });
}
