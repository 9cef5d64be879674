//! Nanoseconds per stanza: the reader with the stamp, piece by piece, and quick-xml's reader over
//! the same bytes. `cargo bench -p xmpp --bench reader`
#![allow(clippy::print_stdout)]

use quick_xml::NsReader;
use quick_xml::events::Event;
use std::hint::black_box;
use std::time::Instant;
use xmpp::framing::{Frame, Limits, Reader};
use xmpp::{Jid, Stanza, ns};

const HEADER: &str = "<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams'>";

/// What a chat client of today sends with a short line of text: 451 bytes.
const CHAT: &str = "<message xmlns='jabber:client' to='juliet@capulet.example/balcony-1' type='chat' \
id='b1d8f5c2-6f3e-4b1f-9b0a-3f1f0c5f2f6e'><body>Neither, fair saint, if either thee dislike. It is my lady; O, it is \
my love! O that she knew.</body><active xmlns='http://jabber.org/protocol/chatstates'/><request \
xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/><origin-id xmlns='urn:xmpp:sid:0' \
id='b1d8f5c2-6f3e-4b1f-9b0a-3f1f0c5f2f6e'/></message>";

/// What the load tool sends.
fn plain() -> String {
    let pad = "x".repeat(360);
    format!(
        "<message to='u00001@localhost' type='chat' id='m12345'><body>ys:17:12345:1700000000000000:{pad}</body></message>"
    )
}

fn measure(name: &str, rounds: u32, work: impl FnMut()) {
    measure_each(name, rounds, 1, work);
}

/// The same for work that is done `each` times in one round.
fn measure_each(name: &str, rounds: u32, each: u32, mut work: impl FnMut()) {
    let mut best = f64::MAX;
    for _ in 0..15 {
        let start = Instant::now();
        for _ in 0..rounds {
            work();
        }
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(rounds * each));
    }
    println!("{name:<52} {best:>8.1} ns");
}

fn reader() -> Reader {
    let mut reader = Reader::new(Limits::default());
    assert!(matches!(reader.next(HEADER.as_bytes()), Ok((_, Some(Frame::Header(_))))));
    reader
}

fn of(title: &str, xml: &str) {
    const ROUNDS: u32 = 32_000;
    println!("{title}: {} bytes", xml.len());
    let from = Jid::parse("romeo@montague.example/orchard-7f3a").expect("an address");
    let mut reader = reader();
    measure("  strict parse", ROUNDS, || {
        let Ok((_, Some(Frame::Stanza(raw)))) = reader.next(black_box(xml.as_bytes())) else { panic!() };
        black_box(raw.from_attr().is_some());
    });
    measure("  strict parse and stamp", ROUNDS, || {
        let Ok((_, Some(Frame::Stanza(raw)))) = reader.next(black_box(xml.as_bytes())) else { panic!() };
        black_box(raw.stamp(&from).is_ok());
    });
    let (half, rest) = xml.as_bytes().split_at(xml.len() / 2);
    measure("  strict parse of two halves, and stamp", ROUNDS, || {
        assert!(matches!(reader.next(black_box(half)), Ok((_, None))));
        let Ok((_, Some(Frame::Stanza(raw)))) = reader.next(black_box(rest)) else { panic!() };
        black_box(raw.stamp(&from).is_ok());
    });
    let many = xml.repeat(32);
    measure_each("  32 at once, strict parse and stamp, each", ROUNDS / 32, 32, || {
        let mut input = black_box(many.as_bytes());
        while let Ok((used, Some(Frame::Stanza(raw)))) = reader.next(input) {
            black_box(raw.stamp(&from).is_ok());
            input = &input[used..];
        }
    });
    let stamped = {
        let Ok((_, Some(Frame::Stanza(raw)))) = reader.next(xml.as_bytes()) else { panic!() };
        raw.stamp(&from).unwrap_or_else(|(stanza, _)| stanza)
    };
    measure("  address of the recipient", ROUNDS, || {
        black_box(Jid::parse(black_box("juliet@capulet.example/balcony-1")).is_ok());
    });
    measure("  content and hints", ROUNDS, || {
        black_box(black_box(&stamped).content());
        black_box(black_box(&stamped).hints());
    });
    measure("  with_child: a stanza-id", ROUNDS, || {
        black_box(
            stamped.with_child("<stanza-id xmlns='urn:xmpp:sid:0' id='01hxyz' by='juliet@capulet.example'/>"),
        );
    });
    measure("  without: its stanza-ids", ROUNDS, || {
        black_box(stamped.without(|child| child.is("stanza-id", ns::SID)));
    });
    measure("  Stanza::parse", ROUNDS, || {
        black_box(Stanza::parse(stamped.xml().clone()).is_ok());
    });
    measure("  quick-xml NsReader, all events", ROUNDS, || {
        let mut other = NsReader::from_str(black_box(xml));
        while !matches!(black_box(other.read_resolved_event()), Ok((_, Event::Eof)) | Err(_)) {}
    });
}

fn main() {
    of("a chat client's message", CHAT);
    of("the load tool's message", &plain());
    const PING: &str = "<r xmlns='urn:xmpp:sm:3'/>";
    let mut reader = reader();
    measure("nonza <r/>", 200_000, || {
        assert!(matches!(reader.next(black_box(PING.as_bytes())), Ok((_, Some(Frame::Nonza(_))))));
    });
    println!(
        "sizes: Reader {}, Stanza {}, Frame {}",
        size_of::<Reader>(),
        size_of::<Stanza>(),
        size_of::<Frame<'_>>()
    );
}
