//! The reader held against independent parsers: rxml, which refuses what XMPP refuses, and
//! quick-xml. What our reader lets through they must let through, with the same tree; what it
//! finds wrong with the bytes, rxml must find wrong. And what comes out never depends on how the
//! bytes were split.

#![allow(clippy::unwrap_used, reason = "tests stop where something is not as expected")]

mod common;

use common::hold::hold_against;
use common::{HEADER, cut, feed};
use proptest::prelude::*;
use xmpp::framing::Limits;

/// Pieces that make XML, right or wrong, more often than random bytes do.
fn snippet() -> impl Strategy<Value = String> {
    const SNIPPETS: &[&str] = &[
        "<",
        ">",
        "/>",
        "</",
        "<a>",
        "</a>",
        "<a/>",
        "<p:a xmlns:p='urn:a'>",
        "</p:a>",
        "<message",
        "<message>",
        "</message>",
        "<presence ",
        "<iq type='get' id='1'>",
        "</iq>",
        "<body>",
        "</body>",
        "<stream:x/>",
        " xmlns='urn:a'",
        " xmlns='jabber:client'",
        " xmlns=''",
        " xmlns:p='urn:a'",
        " xmlns:q=\"urn:&#97;\"",
        " p:k='1'",
        " q:k='2'",
        " k='v'",
        " id='1'",
        " xml:lang='de'",
        " to='a@b'",
        " type='chat'",
        "=",
        "'",
        "\"",
        " ",
        "\n",
        "\r\n",
        "\t",
        "&amp;",
        "&lt;",
        "&#65;",
        "&#x1F600;",
        "&foo;",
        "&",
        ";",
        "&#0;",
        "<![CDATA[",
        "]]>",
        "]]",
        "<!--",
        "-->",
        "<?pi?>",
        "<!DOCTYPE",
        "é",
        "日本",
        "\u{FFFE}",
        "\u{1}",
        ":",
        "text",
        "x:y",
        "</stream:stream>",
        "x",
    ];
    prop_oneof![4 => prop::sample::select(SNIPPETS).prop_map(str::to_owned), 1 => "[ -~]{0,4}"]
}

fn soup() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(snippet(), 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

fn attribute() -> impl Strategy<Value = String> {
    let name = prop::sample::select(
        &[
            "id",
            "k",
            "xml:lang",
            "to",
            "type",
            "p:k",
            "q:k",
            "é",
            "_",
            "xmlns:p",
            "xmlns:q",
            "xmlns",
            "xmlns:stream",
        ][..],
    );
    let value = prop::sample::select(
        &[
            "",
            "v",
            "urn:a",
            "urn:&#98;",
            "urn:a&amp;b",
            "a@b",
            "chat",
            "it&apos;s",
            "a\tb",
            "a&#10;b",
            "é",
            ">",
            "jabber:client",
        ][..],
    );
    let space = prop::sample::select(&["", "", "", " ", "\n"][..]);
    (name, value, space, any::<bool>()).prop_map(|(name, value, space, double)| {
        let quote = if double { '"' } else { '\'' };
        format!(" {space}{name}{space}={space}{quote}{value}{quote}")
    })
}

fn tree() -> impl Strategy<Value = String> {
    let name = prop::sample::select(&["a", "body", "b", "p:a", "q:b", "stream:c", "xml:d", "é", "x"][..]);
    let text = prop::sample::select(
        &["", "text", " \n ", "&lt;b&gt;", "a&#x20AC;", "<![CDATA[<x>&]]>", "é日", "]] >", "a\r\nb"][..],
    );
    let declared = prop::sample::select(
        &[
            "",
            " xmlns:p='urn:a' xmlns:q='urn:b'",
            " xmlns='urn:a'",
            " xmlns=\"urn:&#99;\" xmlns:p='urn:a' xmlns:q='u'",
        ][..],
    );
    let start = move || (name.clone(), declared.clone(), prop::collection::vec(attribute(), 0..3));
    let leaf = (start(), text.clone()).prop_map(|((name, declared, attributes), text)| {
        let attributes = attributes.concat();
        match text {
            "" => format!("<{name}{declared}{attributes}/>"),
            text => format!("<{name}{declared}{attributes}>{text}</{name}>"),
        }
    });
    let branch = leaf.prop_recursive(3, 12, 4, move |inner| {
        (start(), prop::collection::vec((text.clone(), inner), 0..4)).prop_map(
            |((name, declared, attributes), nodes)| {
                let nodes: String = nodes.into_iter().map(|(text, node)| format!("{text}{node}")).collect();
                format!("<{name}{declared}{}>{nodes}</{name} >", attributes.concat())
            },
        )
    });
    let stanza = prop::sample::select(&["message", "presence", "iq"][..]);
    let head = prop::sample::select(
        &[
            "",
            " xmlns:p='urn:a' xmlns:q='urn:b'",
            " xmlns='jabber:client'",
            " xmlns:p='urn:&#97;&amp;' xmlns:q=\"it's\"",
        ][..],
    );
    (stanza, head, prop::collection::vec(attribute(), 0..4), prop::collection::vec(branch, 0..4)).prop_map(
        |(name, head, attributes, children)| {
            format!("<{name}{head}{}>{}</{name}>", attributes.concat(), children.concat())
        },
    )
}

/// Right more often than not, with up to two changes somewhere.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), 0..4_usize, snippet());
    (tree(), prop::collection::vec(change, 0..3)).prop_map(|(xml, changes)| {
        let mut bytes = xml.into_bytes();
        for (place, cut, snippet) in changes {
            let start = place.index(bytes.len() + 1);
            let end = bytes.len().min(start + cut);
            bytes.splice(start..end, snippet.into_bytes());
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, ..ProptestConfig::default() })]

    #[test]
    fn trees_agree(xml in tree()) {
        hold_against(xml.as_bytes());
    }

    #[test]
    fn mutated_trees_agree(xml in mutated()) {
        hold_against(&xml);
    }

    #[test]
    fn soups_agree(xml in soup()) {
        hold_against(&xml);
    }

    #[test]
    fn splitting_changes_nothing(
        xml in prop_oneof![mutated(), soup()],
        header in any::<bool>(),
        places in prop::collection::vec(any::<usize>(), 0..6),
    ) {
        let bytes = if header { [HEADER.as_bytes(), &xml].concat() } else { xml };
        let whole = feed(Limits::default(), [&bytes[..]]);
        prop_assert_eq!(&feed(Limits::default(), cut(&bytes, &places)), &whole);
        prop_assert_eq!(&feed(Limits::default(), bytes.chunks(1)), &whole);
    }
}
