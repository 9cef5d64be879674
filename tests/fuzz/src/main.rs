//! Bytes from a stranger: the reader must not panic, must say the same however they are split, and
//! must agree with other parsers about what it lets through.
#![no_main]

#[path = "../../../shared/xmpp/tests/common/mod.rs"]
mod common;

use common::{HEADER, cut, feed, hold};
use libfuzzer_sys::fuzz_target;
use xmpp::framing::{Content, Limits, StreamNamespaces, parse_frame};

/// Small, so that the fuzzer gets to them.
const SMALL: Limits = Limits {
    stanza_bytes_max: 256,
    header_bytes_max: 256,
    name_bytes_max: 16,
    depth_max: 4,
    attributes_max: 4,
    children_max: 4,
    declarations_max: 3,
};

fuzz_target!(|data: &[u8]| {
    // The first bytes say where to cut; the first of all whether a header comes before.
    let Some((choice, data)) = data.split_first_chunk::<4>() else { return };
    let places = choice.map(|byte| usize::from(byte) * 7);
    let with_header = [HEADER.as_bytes(), data].concat();
    let stream = if choice[0] & 1 == 0 { &with_header } else { data };
    for limits in [Limits::default(), SMALL] {
        let whole = feed(limits, [stream]);
        assert_eq!(whole, feed(limits, cut(stream, &places)));
        assert_eq!(whole, feed(limits, stream.chunks(1)));
    }
    hold::hold_against(data);
    if let Ok(text) = std::str::from_utf8(data) {
        let names = StreamNamespaces::bare(Content::Client);
        if let Ok(frame) = parse_frame(text, &names, &Limits::default()) {
            common::line(frame);
        }
    }
});
