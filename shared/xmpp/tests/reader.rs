//! The reader: for every rule, bytes in, and the frames or the error that come out.

#![allow(clippy::unwrap_used, reason = "tests stop where something is not as expected")]

mod common;

use common::{HEADER, feed, feed_every_way};
use xmpp::framing::{Content, Frame, Limits, Reader, StreamNamespaces, parse_frame};

/// What comes out after the usual header.
fn after_header(limits: Limits, input: &[u8]) -> Vec<String> {
    let mut lines = feed_every_way(limits, &[HEADER.as_bytes(), input].concat());
    assert!(lines[0].starts_with("header "));
    lines.remove(0);
    lines
}

#[track_caller]
fn check(input: impl AsRef<[u8]>, expected: &[&str]) {
    assert_eq!(
        after_header(Limits::default(), input.as_ref()),
        expected,
        "{}",
        input.as_ref().escape_ascii()
    );
}

#[track_caller]
fn check_start(input: impl AsRef<[u8]>, expected: &[&str]) {
    assert_eq!(
        feed_every_way(Limits::default(), input.as_ref()),
        expected,
        "{}",
        input.as_ref().escape_ascii()
    );
}

const NOT_WELL_FORMED: &[&str] = &["error not-well-formed"];
const RESTRICTED: &[&str] = &["error restricted-xml"];
const UNSUPPORTED_ENCODING: &[&str] = &["error unsupported-encoding"];
const POLICY: &[&str] = &["error policy-violation"];
const BAD_FORMAT: &[&str] = &["error bad-format"];

#[test]
fn headers() {
    // Both styles of RFC 6120 §4.8.2.
    let with_prefix = "<stream:stream from='juliet@im.example.com' to='im.example.com' version='1.0' xml:lang='en' \
                       xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
    let line = "header to=\"im.example.com\" from=\"juliet@im.example.com\" version=\"1.0\" lang=\"en\"";
    check_start(with_prefix, &[line]);
    check_start(format!("<?xml version='1.0'?>\n {with_prefix}</stream:stream>"), &[line, "close"]);
    check_start(format!("{with_prefix}</stream>"), &[line, NOT_WELL_FORMED[0]]);
    let prefix_free = with_prefix
        .replace("stream:stream", "stream")
        .replace(" xmlns:stream=", " xmlns=")
        .replace(" xmlns='jabber:client'", "");
    check_start(
        format!("{prefix_free}<message xmlns='jabber:client'><body>a</body></message><message/></stream>"),
        &[
            line,
            "stanza <message from='me@here/r'><body>a</body></message>",
            "nonza <message xmlns='http://etherx.jabber.org/streams'/>",
            "close",
        ],
    );
    check_start(format!("{prefix_free}</stream:stream>"), &[line, NOT_WELL_FORMED[0]]);
    check_start(
        "<stream xmlns='http://etherx.jabber.org/streams'  id=\"a&amp;b\"\n>",
        &["header id=\"a&b\""],
    );
}

#[test]
fn header_errors() {
    for (from, to, expected) in [
        ("http://etherx.jabber.org/streams", "http://wrong.namespace.example.org/", "invalid-namespace"), // RFC 6120 §4.9.3.10
        ("jabber:client", "jabber:server", "invalid-namespace"),
        ("jabber:client", "urn:other", "invalid-namespace"),
        ("stream:stream", "stream:streams", "bad-format"),
        ("stream:", "foobar:", "not-well-formed"), // not declared
        (" xmlns:stream=", " xmlns=", "not-well-formed"),
        (" to='localhost'", " to='a' to='b'", "not-well-formed"),
        (" to='localhost'", " to='a<b'", "not-well-formed"),
        (" to='localhost'", " to=a", "not-well-formed"),
        (" to='localhost'", " p:to='a'", "not-well-formed"),
        ("'>", "'/>", "bad-format"),
        ("<stream", "x<stream", "not-well-formed"),
        ("<stream", "<!-- c --><stream", "restricted-xml"),
        ("<stream", "<!DOCTYPE x><stream", "restricted-xml"),
        ("<stream", "<?pi x?><stream", "restricted-xml"),
        ("<?xml", " <?xml", "restricted-xml"), // RFC 6120 §11.5: a declaration stands at the very start
        ("<stream", "<?xml version='1.0'?><stream", "restricted-xml"),
    ] {
        let input = HEADER.replacen(from, to, 1);
        assert_ne!(input, HEADER);
        check_start(&input, &[&format!("error {expected}")]);
    }
    // RFC 6120 §4.9.3.2
    let foobar = HEADER.replace("stream:stream", "foobar:stream").replace("xmlns:stream", "xmlns:foobar");
    check_start(foobar, &["error bad-namespace-prefix"]);
    check_start("<message/>", &["error invalid-namespace"]);
    check_start("</stream:stream>", NOT_WELL_FORMED);
    check_start("GET / HTTP/1.1\r\n\r\n", NOT_WELL_FORMED);
    check_start("\x16\x03\x01\x02", NOT_WELL_FORMED);
    check_start("<stream:stream xmlns:stream='http://etherx.jabber.org/streams' \u{7}", NOT_WELL_FORMED);
}

#[test]
fn xml_declarations() {
    let rest = HEADER.strip_prefix("<?xml version='1.0'?>").unwrap();
    let line = "header to=\"localhost\" version=\"1.0\"";
    for good in [
        "",
        "<?xml version='1.0'?>",
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>",
        "<?xml version='1.0' encoding='UTF-8' standalone='yes'?>",
        "<?xml version='1.0' standalone='no' ?>",
        "<?xml\tversion = '1.1'\n?>",
    ] {
        check_start(format!("{good}{rest}"), &[line]);
    }
    for (bad, expected) in [
        ("<?xml?>", RESTRICTED),
        ("<?xml ?>", NOT_WELL_FORMED),
        ("<?xmlx version='1.0'?>", RESTRICTED),
        ("<?xml-stylesheet href='x'?>", RESTRICTED),
        ("<?xml version='1.0' encoding='UTF-16'?>", UNSUPPORTED_ENCODING), // RFC 6120 §4.9.3.22
        ("<?xml version='1.0' encoding='ISO-8859-1'?>", UNSUPPORTED_ENCODING),
        ("<?xml version='2.0'?>", NOT_WELL_FORMED),
        ("<?xml version='1.0'encoding='UTF-8'?>", NOT_WELL_FORMED),
        ("<?xml encoding='UTF-8' version='1.0'?>", NOT_WELL_FORMED),
        ("<?xml version='1.0' standalone='maybe'?>", NOT_WELL_FORMED),
        ("<?xml version='1.0' x='y'?>", NOT_WELL_FORMED),
        ("<?xml version=1.0?>", NOT_WELL_FORMED),
        ("<?xml version='1.0\"?>", NOT_WELL_FORMED),
        ("\u{FEFF}", NOT_WELL_FORMED), // RFC 6120 §11.6: no mark, but a character
    ] {
        check_start(format!("{bad}{rest}"), expected);
    }
    // UTF-16, both ways, with its mark and without.
    check_start(b"\xFF\xFE<\0?\0x\0", UNSUPPORTED_ENCODING);
    check_start(b"\xFE\xFF\0<\0?\0x", UNSUPPORTED_ENCODING);
    check_start(b"\0<\0?\0x", UNSUPPORTED_ENCODING);
}

#[test]
fn frames() {
    check("", &[]);
    check(" \t\r\n ", &[]);
    check(
        "<message/>\n<presence/> <iq id='1' type='get'><x/></iq>",
        &[
            "stanza <message from='me@here/r'/>",
            "stanza <presence from='me@here/r'/>",
            "stanza <iq from='me@here/r' type='get' id='1'><x/></iq>",
        ],
    );
    check(
        "<message\n to = 'a@b'\r\n\t id=\"1\" ></message\n>",
        &["stanza <message from='me@here/r' to='a@b' id='1'/>"],
    );
    check(
        "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
        &["nonza <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"],
    );
    check(
        "<a xmlns='urn:xmpp:sm:3' h='5'/><r xmlns='urn:xmpp:sm:3'/>",
        &["nonza <a xmlns='urn:xmpp:sm:3' h='5'/>", "nonza <r xmlns='urn:xmpp:sm:3'/>"],
    );
    check(
        "<stream:error><bad-format xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>",
        &[
            "nonza <error xmlns='http://etherx.jabber.org/streams'><bad-format xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></error>",
            "close",
        ],
    );
    // Another namespace makes it no stanza.
    check("<message xmlns='urn:x'/>", &["nonza <message xmlns='urn:x'/>"]);
    check("<pubsub/>", &["nonza <pubsub/>"]);
    check("<message xmlns=''/>", &["nonza <message xmlns=''/>"]);
    // Nothing counts after the end.
    check("</stream:stream\t>\n<message/>rubbish\0", &["close"]);
}

#[test]
fn between_stanzas() {
    check("x", BAD_FORMAT);
    check("<message/>x", &["stanza <message from='me@here/r'/>", BAD_FORMAT[0]]);
    check("&amp;", BAD_FORMAT);
    check("\u{FEFF}", BAD_FORMAT);
    check("\0", NOT_WELL_FORMED);
    check("<![CDATA[ ]]>", BAD_FORMAT);
    check("</message>", NOT_WELL_FORMED);
    check("</stream:stream x='y'>", NOT_WELL_FORMED);
    check("</stream:streams>", NOT_WELL_FORMED);
    check("< message/>", NOT_WELL_FORMED);
    check("<>", NOT_WELL_FORMED);
    check(HEADER.strip_prefix("<?xml version='1.0'?>").unwrap(), &[]); // an element like any other, not complete
}

#[test]
fn restricted_xml() {
    // RFC 6120 §11.1
    for bad in [
        "<message><!-- comment --></message>",
        "<!-- comment -->",
        "<message><!DOCTYPE x></message>",
        "<!DOCTYPE lol [<!ENTITY lol 'lol'><!ENTITY lol2 '&lol;&lol;'>]>",
        "<!ENTITY x 'y'>",
        "<message><?pi data?></message>",
        "<?pi data?>",
        "<?xml version='1.0'?>",
        "<message>&lol;</message>",
        "<message a='&lol;'/>",
        "<message>&é;</message>",
        "<message>&nbsp;</message>",
        "<message><![INCLUDE[x]]></message>",
        "<message><!x></message>",
    ] {
        check(bad, RESTRICTED);
    }
    // What looks like it and is not.
    for good in [
        "<![CDATA[<!-- &lol; <?pi?> ]] > ]]>",
        "<![CDATA[]]>",
        "<![CDATA[]]]]>",
        "&lt;!-- --&gt;",
        "-->",
        "?>",
        "<![CDATA[a]]]]><![CDATA[>b]]>",
    ] {
        check(
            format!("<message>{good}</message>"),
            &[&format!("stanza <message from='me@here/r'>{good}</message>")],
        );
    }
}

#[test]
fn well_formedness() {
    for bad in [
        "<message><body>No closing tag!</message>", // RFC 6120 §4.9.3.1
        "<message></presence>",
        "<message></messag>",
        "<message></messagee>",
        "<message></message x='y'>",
        "<message></ message>",
        "<message><a></A></message>",
        "<message a='1'b='2'/>",
        "<message a='1' a='2'/>",
        "<message a='1' b='2' a=\"1\"/>",
        "<message a/>",
        "<message a=/>",
        "<message a=1/>",
        "<message a='<'/>",
        "<message 1='2'/>",
        "<message -a='2'/>",
        "<message a='&'/>",
        "<message a='&amp'/>",
        "<message a = b/>",
        "<message / >",
        "<message /a>",
        "<message a='1'/b='2'/>",
        "<message='x'/>",
        "<message>]]></message>",
        "<message>a]]>b</message>",
        "<message>&</message>",
        "<message>& </message>",
        "<message>&amp</message>",
        "<message>&;</message>",
        "<message>&#;</message>",
        "<message>&#x;</message>",
        "<message>&#xG;</message>",
        "<message>&#X41;</message>",
        "<message>&#-1;</message>",
        "<message>&1;</message>",
        "<message>a < b</message>",
        "<message><1/></message>",
        "<message><.a/></message>",
        "<message><a\u{D7}/></message>",
        "<message><\u{D7}/></message>",
        "<message><\u{B7}a/></message>",
        "<message \u{300}a='1'/>",
        "<message/\0>",
        "<message\0/>",
    ] {
        check(bad, NOT_WELL_FORMED);
    }
    for good in [
        "<é ü='ß'/>",
        "<_-.1/>",
        "<a b='>' c='\"' d=\"'\" e='é'/>",
        "a > b ]] > c",
        "]]&gt;",
        "&#x10FFFF;&#9;&#xD;",
        "\u{85}\u{2028}\u{FFFD}",
        "<a\n>\n</a\n>",
        "<a></a   >",
        "\u{10FFFF}\u{E000}\u{D7FF}\u{7F}",
    ] {
        check(
            format!("<message>{good}</message>"),
            &[&format!("stanza <message from='me@here/r'>{good}</message>")],
        );
    }
}

/// XML 1.0 lets them stand in a name, but not each of its editions or not each parser.
#[test]
fn names_that_not_every_parser_takes() {
    for bad in ["a\u{B7}", "\u{FEFF}", "a\u{300}", "\u{10000}", "\u{2FF}", "a\u{203F}", "\u{370}"] {
        check(format!("<message><{bad}/></message>"), POLICY);
        check(format!("<message {bad}='1'/>"), POLICY);
        check(format!("<message xmlns:{bad}='urn:x'/>"), POLICY);
    }
    check("<message><é ü='日本'/></message>", &["stanza <message from='me@here/r'><é ü='日本'/></message>"]);
}

#[test]
fn characters() {
    // XML 1.0 §2.2
    for bad in [
        "\0",
        "\u{1}",
        "\u{8}",
        "\u{B}",
        "\u{C}",
        "\u{E}",
        "\u{1F}",
        "\u{FFFE}",
        "\u{FFFF}",
        "&#0;",
        "&#1;",
        "&#x1F;",
        "&#xFFFE;",
        "&#xFFFF;",
        "&#xD800;",
        "&#xDFFF;",
        "&#x110000;",
    ] {
        check(format!("<message>{bad}</message>"), NOT_WELL_FORMED);
        check(format!("<message><a b='{bad}'/></message>"), NOT_WELL_FORMED);
        if !bad.starts_with('&') {
            check(format!("<message><![CDATA[{bad}]]></message>"), NOT_WELL_FORMED);
            check(format!("<message><a{bad}/></message>"), NOT_WELL_FORMED);
        }
    }
    // RFC 6120 §4.9.3.22: bytes that are no UTF-8, among them overlong forms and surrogates.
    for bad in [
        &b"\x80"[..],
        b"\xC3",
        b"\xC0\x80",
        b"\xE0\x80\x80",
        b"\xED\xA0\x80",
        b"\xF4\x90\x80\x80",
        b"\xF8\x88\x80\x80\x80",
        b"\xFF",
        b"\xFE",
    ] {
        for (before, after) in [
            ("<message>", "</message>"),
            ("<message a='", "'/>"),
            ("<message><![CDATA[", "]]></message>"),
            ("<message><a", "/></message>"),
            ("<message a", "='1'/>"),
        ] {
            let input = [before.as_bytes(), bad, after.as_bytes()].concat();
            assert_eq!(
                after_header(Limits::default(), &input),
                UNSUPPORTED_ENCODING,
                "{}",
                input.escape_ascii()
            );
        }
    }
}

#[test]
fn namespaces() {
    // Namespaces in XML 1.0
    for bad in [
        "<message><foo:body>What is this foo?</foo:body></message>", // RFC 6120 §4.9.3.13
        "<message foo:a='1'/>",
        "<foo:message/>",
        "<message><a xmlns:p='urn:p'/><p:b/></message>",
        "<message xmlns:p=''/>",
        "<message xmlns:xml='urn:x'/>",
        "<message xmlns:xmlns='urn:x'/>",
        "<message xmlns:p='http://www.w3.org/2000/xmlns/'/>",
        "<message xmlns='http://www.w3.org/2000/xmlns/'/>",
        "<message xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
        "<message xmlns='http://www.w3.org/XML/1998/namespace'/>",
        "<message xmlns:p='http://www.w3.org/XML/1998/namesp&#97;ce'/>",
        "<message xmlns='a' xmlns='b'/>",
        "<message xmlns:a='urn:x' xmlns:b='urn:x' a:k='1' b:k='2'/>",
        "<message xmlns:a='urn:x' xmlns:b='urn:&#x78;' a:k='1' b:k='2'/>",
        "<message xmlns:a='urn:x&amp;' xmlns:b='urn:x&#38;' a:k='1' b:k='2'/>",
        "<message><xmlns:a/></message>",
        "<message><a:b:c xmlns:a='urn:x'/></message>",
        "<message><:a/></message>",
        "<message><a:/></message>",
        "<message :a='1'/>",
        "<message a:='1'/>",
        "<message xmlns:='urn:x'/>",
        "<message xmlns:a='urn:x' a:1='2'/>",
    ] {
        check(bad, NOT_WELL_FORMED);
    }
    for good in [
        "<a:b xmlns:a='urn:x' a:k='1' k='1'/>",
        "<a:b xmlns:a='urn:x' xmlns:b='urn:y' a:k='1' b:k='2'/>",
        "<xml:a xml:b='c'/>",
        "<a xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns=''/>",
        "<x:a xmlns:x='urn:x'><x:b xmlns:x='urn:y'/><x:c/></x:a>",
        "<a xmlns:stream='urn:mine'><stream:b/></a>",
        "<xmlfoo/>",
        "<body xmlns='jabber:client'/>",
    ] {
        check(
            format!("<message>{good}</message>"),
            &[&format!("stanza <message from='me@here/r'>{good}</message>")],
        );
    }
    // No URI: what some parsers stumble over.
    for bad in [" ", "a b", "a}b", "a|b", "a&#10;b", "a&lt;b", "a\tb", "\u{7F}"] {
        check(format!("<message><a xmlns='{bad}'/></message>"), POLICY);
        check(format!("<message xmlns:p='{bad}'/>"), POLICY);
    }
    // RFC 6120 §4.8.5
    check(
        "<foo:message xmlns:foo='jabber:client'><foo:body>foo</foo:body></foo:message>",
        &["error bad-namespace-prefix"],
    );
    check("<message xmlns:foo='jabber:client'><foo:body/></message>", &["error bad-namespace-prefix"]);
    check("<message xmlns:foo='jabber:clien&#116;'><foo:body/></message>", &["error bad-namespace-prefix"]);
}

#[test]
fn limits() {
    let limits = Limits {
        stanza_bytes_max: 200,
        header_bytes_max: 200,
        name_bytes_max: 20,
        depth_max: 4,
        attributes_max: 5,
        children_max: 3,
        declarations_max: 3,
    };
    let fits = format!("<message><body>{}</body></message>", "x".repeat(200 - 32));
    assert_eq!(fits.len(), 200);
    assert_eq!(after_header(limits, fits.as_bytes()).len(), 1);
    let cases = [
        (format!("<message><body>{}</body></message>", "x".repeat(200 - 31)), POLICY),
        (format!("<message><body>{}", "x".repeat(500)), POLICY),
        (format!("<message a='{}", "x".repeat(500)), POLICY),
        (format!("<message{}", " ".repeat(500)), POLICY),
        (format!("<message/{}>", " ".repeat(500)), NOT_WELL_FORMED),
        (format!("<{}/>", "n".repeat(20)), &[]),
        (format!("<{}/>", "n".repeat(21)), POLICY),
        (format!("<message {}='1'/>", "n".repeat(21)), POLICY),
        (format!("<message><{}", "n".repeat(21)), POLICY),
        ("<a><b><c><d/></c></b></a>".to_owned(), &[]),
        ("<a><b><c><d><e/></d></c></b></a>".to_owned(), POLICY),
        ("<a a='' b='' c='' d='' e=''/>".to_owned(), &[]),
        ("<a a='' b='' c='' d='' e='' f=''/>".to_owned(), POLICY),
        ("<a><b/><c/><d/></a>".to_owned(), &[]),
        ("<a><b/><c/><d/><e/></a>".to_owned(), POLICY),
        ("<a xmlns='x' xmlns:a='x'><b xmlns='y'/></a>".to_owned(), &[]),
        ("<a xmlns='x' xmlns:a='x'><b xmlns='y' xmlns:c='z'/></a>".to_owned(), POLICY),
        (format!("</stream:stream{}", " ".repeat(100)), POLICY),
    ];
    for (input, expected) in cases {
        let lines = after_header(limits, input.as_bytes());
        let lines: Vec<_> = lines.iter().filter(|line| !line.starts_with("nonza ")).collect();
        assert_eq!(lines, expected, "{input}");
    }
    let header = HEADER.replace("localhost", &"x".repeat(200));
    assert_eq!(feed_every_way(limits, header.as_bytes()), POLICY);
    assert_eq!(feed_every_way(limits, format!("<?xml {}", " ".repeat(300)).as_bytes()), POLICY);
}

#[test]
fn memory_goes_when_a_stanza_is_read() {
    let mut reader = Reader::new(Limits::default());
    assert!(matches!(reader.next(HEADER.as_bytes()), Ok((_, Some(Frame::Header(_))))));
    assert!(matches!(reader.next(b"<message><body>"), Ok((15, None))));
    assert_eq!(reader.buffered(), 15);
    let rest = b"</body></message><presence/>";
    let (used, frame) = reader.next(rest).unwrap();
    assert!(matches!(frame, Some(Frame::Stanza(_))));
    assert_eq!(&rest[used..], b"<presence/>");
    assert_eq!(reader.buffered(), 0);
    assert!(size_of::<Reader>() <= 64);
}

#[test]
fn what_was_read_before_a_reset_is_forgotten() {
    let mut reader = Reader::new(Limits::default());
    assert!(matches!(reader.next(HEADER.as_bytes()), Ok((_, Some(Frame::Header(_))))));
    let input = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><message to='injected'/><iq";
    let (used, frame) = reader.next(input).unwrap();
    assert!(matches!(frame, Some(Frame::Nonza(_))));
    assert_eq!(used, 51, "the caller sees that there is more, which it must drop");
    assert!(matches!(reader.next(b"<iq"), Ok((3, None))));
    reader.reset();
    assert_eq!(reader.buffered(), 0);
    assert!(matches!(reader.next(HEADER.as_bytes()), Ok((_, Some(Frame::Header(_))))));
}

#[test]
fn a_server_reads_its_own_content_namespace() {
    let mut reader = Reader::for_content(Limits::default(), Content::Server);
    let header = HEADER.replace("jabber:client", "jabber:server");
    assert!(matches!(reader.next(header.as_bytes()), Ok((_, Some(Frame::Header(_))))));
    assert!(matches!(reader.next(b"<message from='a' to='b'/>"), Ok((_, Some(Frame::Stanza(_))))));
    assert!(matches!(reader.next(b"<message xmlns='jabber:client'/>"), Ok((_, Some(Frame::Nonza(_))))));
}

#[test]
fn websocket_frames() {
    let names = StreamNamespaces::bare(Content::Client);
    let limits = Limits::default();
    for (input, expected) in [
        (
            "<message xmlns='jabber:client'><body>a</body></message>",
            "stanza <message from='me@here/r'><body>a</body></message>",
        ),
        (
            " <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='a'/> ",
            "nonza <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='a'/>",
        ),
        ("<message/>", "nonza <message xmlns=''/>"),
    ] {
        assert_eq!(common::line(parse_frame(input, &names, &limits).unwrap()), expected);
    }
    for bad in ["", " ", "x", "<a", "<a/><b/>", "<a/>x", "<?xml version='1.0'?><a/>", "<stream:features/>"] {
        assert!(parse_frame(bad, &names, &limits).is_err(), "{bad}");
    }
}

#[test]
fn a_buffer_does_not_grow_beyond_its_limit() {
    let limits = Limits { stanza_bytes_max: 10_000, ..Limits::default() };
    let flood = ["<message a='".as_bytes(), &[b'x'; 100_000]].concat();
    let mut reader = Reader::new(limits);
    assert!(matches!(reader.next(HEADER.as_bytes()), Ok((_, Some(Frame::Header(_))))));
    let mut fed = 0;
    let error = loop {
        match reader.next(&flood[fed..fed + 1000]) {
            Ok((used, _)) => fed += used,
            Err(error) => break error,
        }
        assert!(reader.buffered() <= 10_001);
    };
    assert_eq!(format!("error {}", error.condition), POLICY[0]);
    assert!(fed <= 10_000);
    let whole = [HEADER.as_bytes(), &flood].concat();
    assert_eq!(feed(limits, [&whole[..]])[1..], *POLICY);
}
