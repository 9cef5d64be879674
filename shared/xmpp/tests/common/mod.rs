//! Feeding a reader and writing down what comes out.
#![allow(dead_code, reason = "each test takes what it needs")]

pub mod hold;

use xmpp::Jid;
use xmpp::framing::{Frame, Limits, Reader};

/// The header that nearly every client sends.
pub const HEADER: &str = "<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
                          xmlns:stream='http://etherx.jabber.org/streams'>";

/// One line for a frame.
pub fn line(frame: Frame<'_>) -> String {
    match frame {
        Frame::Header(header) => {
            let show = |name: &str, value: &Option<Box<str>>| match value {
                Some(value) => format!(" {name}={value:?}"),
                None => String::new(),
            };
            [
                "header".to_owned(),
                show("to", &header.to),
                show("from", &header.from),
                show("id", &header.id),
                show("version", &header.version),
                show("lang", &header.lang),
            ]
            .concat()
        }
        Frame::Stanza(raw) => match raw.stamp(&Jid::parse("me@here/r").unwrap()) {
            Ok(stanza) => format!("stanza {}", text(&stanza)),
            Err((stanza, error)) => format!("refused {} {}", error.condition, text(&stanza)),
        },
        Frame::Nonza(element) => format!("nonza {}", element.to_xml("jabber:client")),
        Frame::Close => "close".to_owned(),
    }
}

fn text(stanza: &xmpp::Stanza) -> &str {
    std::str::from_utf8(stanza.xml()).unwrap()
}

/// Feeds the pieces one after the other; gives a line per frame, the last one for the error.
pub fn feed<'a>(limits: Limits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut reader = Reader::new(limits);
    let mut lines = Vec::new();
    for piece in pieces {
        let mut input = piece;
        loop {
            match reader.next(input) {
                Ok((used, Some(frame))) => {
                    lines.push(line(frame));
                    input = &input[used..];
                }
                Ok((used, None)) => {
                    assert_eq!(used, input.len());
                    break;
                }
                Err(error) => {
                    lines.push(format!("error {}", error.condition));
                    return lines;
                }
            }
        }
    }
    lines
}

/// Cuts `bytes` at these places, which need not be sorted or different.
pub fn cut<'a>(bytes: &'a [u8], places: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place % (bytes.len() + 1)).collect();
    places.sort_unstable();
    places.push(bytes.len());
    let mut start = 0;
    let mut pieces = Vec::new();
    for place in places {
        pieces.push(&bytes[start..place]);
        start = place;
    }
    pieces
}

/// Feeds `bytes` whole, byte by byte and in two pieces, cut at every place; the lines must be the
/// same each time.
pub fn feed_every_way(limits: Limits, bytes: &[u8]) -> Vec<String> {
    let whole = feed(limits, [bytes]);
    assert_eq!(feed(limits, bytes.chunks(1)), whole, "byte by byte: {}", bytes.escape_ascii());
    for place in 0..bytes.len().min(700) {
        assert_eq!(feed(limits, cut(bytes, &[place])), whole, "cut at {place}: {}", bytes.escape_ascii());
    }
    whole
}
