//! RFC 6120 §4: stream headers, features, keep-alives, and every stream error a client can cause.

use crate::client::{Client, DOMAIN, PASSWORD};
use crate::server::Server;
use crate::steps::header;

/// What a client sends in each of the stages, and the condition of the error it gets for it.
struct Case {
    sent: &'static str,
    condition: &'static str,
}

const fn case(sent: &'static str, condition: &'static str) -> Case {
    Case { sent, condition }
}

/// Instead of a stream header.
const HEADERS: &[Case] = &[
    // RFC 6120 §4.9.3.2
    case(
        "<x:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:x='http://etherx.jabber.org/streams'>",
        "bad-namespace-prefix",
    ),
    // §4.9.3.6
    case(
        "<stream:stream to='elsewhere.example' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
        "host-unknown",
    ),
    case(
        "<stream:stream to='@' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
        "improper-addressing",
    ),
    // §4.9.3.10
    case(
        "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://wrong.example/'>",
        "invalid-namespace",
    ),
    case(
        "<stream:stream to='localhost' version='1.0' xmlns='wrong' xmlns:stream='http://etherx.jabber.org/streams'>",
        "invalid-namespace",
    ),
    // §4.9.3.13
    case("<stream:stream to='localhost' version='1.0' xmlns='jabber:client'>", "not-well-formed"),
    case(
        "<stream:stream to='localhost' to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
        "not-well-formed",
    ),
    case("hello", "not-well-formed"),
    case("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "not-well-formed"),
    case("</stream:stream>", "not-well-formed"),
    case("<message to='a@localhost'/>", "invalid-namespace"),
    // §4.9.3.18
    case("<!DOCTYPE stream [<!ENTITY x 'y'>]><stream:stream to='localhost'>", "restricted-xml"),
    case("<!-- hello --><stream:stream to='localhost'>", "restricted-xml"),
    case("<?php echo 1 ?><stream:stream to='localhost'>", "restricted-xml"),
    // §4.9.3.22
    case(
        "<?xml version='1.0' encoding='UTF-16'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
        "unsupported-encoding",
    ),
    case(
        "<?xml version='1.0' encoding='ISO-8859-1'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
        "unsupported-encoding",
    ),
    // §4.9.3.25; §4.7.5: no version is one before 1.0.
    case(
        "<stream:stream to='localhost' version='x' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
        "unsupported-version",
    ),
    case(
        "<stream:stream to='localhost' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
        "unsupported-version",
    ),
];

/// Behind the features, without being logged in.
const UNAUTHENTICATED: &[Case] = &[
    // §4.9.3.12: nothing of this is worked on.
    case("<message to='romeo@localhost'><body>x</body></message>", "not-authorized"),
    case("<presence/>", "not-authorized"),
    case("<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>", "not-authorized"),
    case("<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>", "not-authorized"),
    // §4.9.3.24
    case("<something xmlns='urn:example'/>", "unsupported-stanza-type"),
    // §4.9.3.13
    case("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'></outh>", "not-well-formed"),
    case("<a:b/>", "not-well-formed"),
    // §4.9.3.18
    case("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><!-- x --></auth>", "restricted-xml"),
];

/// Logged in, with a resource.
const BOUND: &[Case] = &[
    // §4.9.3.13
    case("<message><body>no end</message>", "not-well-formed"),
    case("<message><foo:body>no such prefix</foo:body></message>", "not-well-formed"),
    case("<message x='1' x='2'/>", "not-well-formed"),
    case("<message xmlns:a='u' xmlns:b='u' a:x='1' b:x='2'/>", "not-well-formed"),
    case("<message x=1/>", "not-well-formed"),
    case("<message x='<'/>", "not-well-formed"),
    case("<message><body>]]></body></message><message/>", "not-well-formed"),
    case("<message><body>&</body></message>", "not-well-formed"),
    case("<message><body>&#0;</body></message>", "not-well-formed"),
    case("<message><body>&#xD800;</body></message>", "not-well-formed"),
    case("<message><body>\u{1}</body></message>", "not-well-formed"),
    case("<message><body>\u{ffff}</body></message>", "not-well-formed"),
    case("<1message/>", "not-well-formed"),
    case("<message xmlns:xml='urn:wrong'/>", "not-well-formed"),
    case("<message xmlns:a=''/>", "not-well-formed"),
    case("</message>", "not-well-formed"),
    // §4.9.3.1
    case("text between stanzas", "bad-format"),
    // §4.8.5
    case("<c:message xmlns:c='jabber:client'/>", "bad-namespace-prefix"),
    // §4.9.3.18
    case("<message><!-- comment --></message>", "restricted-xml"),
    case("<message><?target instruction?></message>", "restricted-xml"),
    case("<!DOCTYPE x>", "restricted-xml"),
    case("<message><body>&unknown;</body></message>", "restricted-xml"),
    // §4.9.3.24
    case("<pubsub xmlns='jabber:client'/>", "unsupported-stanza-type"),
    case("<message xmlns='urn:example'/>", "unsupported-stanza-type"),
    case("<message xmlns='jabber:server'/>", "unsupported-stanza-type"),
    case("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>", "unsupported-stanza-type"),
];

/// Goes through a table and tells of everything that is not as it should be, not of the first only.
fn check(server: &Server, cases: &[Case], prepare: fn(&Server) -> Client) {
    let mut wrong = Vec::new();
    for Case { sent, condition } in cases {
        let step = std::panic::AssertUnwindSafe(|| {
            let mut client = prepare(server);
            client.send(sent);
            client.expect_stream_error(condition);
        });
        if let Err(panic) = std::panic::catch_unwind(step) {
            let why = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            wrong.push(format!("{sent} should give {condition}: {why}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} are wrong:\n{}", wrong.len(), cases.len(), wrong.join("\n\n"));
}

#[test]
fn errors_instead_of_a_header() {
    let server = Server::start(&[]);
    check(&server, HEADERS, |server| Client::connect(server.c2s));
}

#[test]
fn errors_before_login() {
    let server = Server::start(&[]);
    check(&server, UNAUTHENTICATED, |server| {
        let mut client = Client::connect(server.c2s);
        client.open();
        client
    });
}

#[test]
fn versions_and_styles_of_headers() {
    let server = Server::with_users(&[], &["romeo"]);
    // RFC 6120 §4.7.5: a newer client is told what there is, and goes on with that.
    let mut client = Client::connect(server.c2s);
    client.send(&header(DOMAIN).replace("version='1.0' xml:lang", "version='1.7' xml:lang"));
    assert_eq!(client.expect_header().attr("version"), Some("1.0"));
    client.expect("<stream:features/>");
    // §4.8.2: without a default namespace every stanza names its own.
    let mut client = Client::connect(server.c2s);
    client.send(&header(DOMAIN).replace("xmlns='jabber:client' ", ""));
    client.expect_header();
    client.expect("<stream:features/>");
    client.send("<message xmlns='jabber:client'/>");
    client.expect_stream_error("not-authorized");
}

#[test]
fn stream_management_has_to_wait_for_the_login() {
    // XEP-0198 §3, §5.
    let server = Server::start(&[]);
    let mut client = Client::connect(server.c2s);
    client.open();
    for sent in ["<enable xmlns='urn:xmpp:sm:3'/>", "<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>"] {
        client.send(sent);
        client.expect(
            "<failed xmlns='urn:xmpp:sm:3'><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
        );
    }
}

#[test]
fn errors_with_a_resource() {
    let server = Server::with_users(&[], &["romeo"]);
    check(&server, BOUND, |server| server.login("romeo", "orchard"));
}

#[test]
fn stanzas_before_a_resource_is_bound() {
    // RFC 6120 §7.1: not-authorized.
    let server = Server::with_users(&[], &["romeo"]);
    for sent in ["<presence/>", "<message to='romeo@localhost'><body>x</body></message>"] {
        let mut client = Client::connect(server.c2s);
        client.authenticate("romeo", PASSWORD);
        client.send(sent);
        client.expect_stream_error("not-authorized");
    }
}

#[test]
fn a_header_and_its_answer() {
    let server = Server::with_users(&[], &["romeo"]);
    let mut client = Client::connect(server.c2s);
    client.send(&header(DOMAIN));
    // RFC 6120 §4.7: from, id, version and xml:lang; no `to` where the client told no `from`.
    let answer = client.expect_header();
    assert_eq!(answer.attr("from"), Some(DOMAIN), "{answer}");
    assert_eq!(answer.attr("version"), Some("1.0"), "{answer}");
    assert!(answer.attr("xml:lang").is_some(), "{answer}");
    assert_eq!(answer.attr("to"), None, "{answer}");
    let first_id = answer.attr("id").expect("an id").to_owned();
    assert!(first_id.len() >= 16, "§4.7.3: hard to guess: {first_id}");

    let mut client = Client::connect(server.c2s);
    client.send(&header(DOMAIN).replace("xml:lang", "from='romeo@localhost' xml:lang"));
    let answer = client.expect_header();
    assert_eq!(answer.attr("to"), Some("romeo@localhost"), "{answer}");
    assert_ne!(answer.attr("id"), Some(first_id.as_str()));
}

#[test]
fn features_of_each_stage() {
    let server = Server::with_users(&[], &["romeo"]);
    let mut client = Client::connect(server.c2s);
    let features = client.open();
    assert!(features.child("starttls").is_some() && features.child("mechanisms").is_some(), "{features}");
    assert!(features.child("bind").is_none() && features.child("sm").is_none(), "{features}");
    let mut client = Client::connect(server.c2s);
    let features = client.authenticate("romeo", PASSWORD);
    assert!(features.child("bind").is_some(), "{features}");
    assert!(features.child("mechanisms").is_none() && features.child("starttls").is_none(), "{features}");
    let named = |name: &str, ns: &str| features.children.iter().any(|f| f.is(name, ns));
    assert!(named("sm", "urn:xmpp:sm:3"), "XEP-0198: {features}");
    assert!(named("ver", "urn:xmpp:features:rosterver"), "RFC 6121 §2.6.1: {features}");
    assert!(named("sub", "urn:xmpp:features:pre-approval"), "RFC 6121 §3.4.1: {features}");
}

#[test]
fn the_session_of_rfc_3921_is_a_formality() {
    let server = Server::with_users(&[], &["romeo"]);
    let mut client = server.login("romeo", "orchard");
    client.send("<iq type='set' id='1'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>");
    client.expect("<iq type='result' id='1'/>");
}

#[test]
fn bytes_come_as_they_like() {
    let server = Server::with_users(&[], &["romeo", "juliet"]);
    let mut juliet = server.online("juliet", "balcony");
    let mut romeo = server.login("romeo", "orchard");
    // Byte by byte, with a character of four bytes and entities cut apart.
    let stanza = "<message to='juliet@localhost' id='1'><body>a&amp;b &#x1F600; \u{1F980}</body></message>";
    for byte in stanza.bytes() {
        romeo.send_bytes(&[byte]);
    }
    juliet.expect("<message id='1'><body>a&amp;b \u{1F600} \u{1F980}</body></message>");
    // Many stanzas in one write, with white space and with keep-alives (RFC 6120 §4.6.1) between.
    let many: String = (0..500)
        .map(|n| format!("<message to='juliet@localhost' id='n{n}'><body>{n}</body></message> \n"))
        .collect();
    romeo.send(&many);
    for n in 0..500 {
        juliet.expect(&format!("<message id='n{n}'><body>{n}</body></message>"));
    }
    // CDATA is text; prefixes and redeclared namespaces are resolved.
    romeo.send("<message to='juliet@localhost' id='2'><body><![CDATA[<a>&]]></body></message>");
    juliet.expect("<message id='2'><body>&lt;a>&amp;</body></message>");
    romeo.send("<message to='juliet@localhost' id='3'><x xmlns='urn:a' xmlns:p='urn:b' p:y='1'><p:z><w xmlns=''/></p:z></x></message>");
    juliet.expect("<message id='3'><x xmlns='urn:a'><z xmlns='urn:b'><w xmlns=''/></z></x></message>");
}

#[test]
fn language_of_the_stream() {
    // RFC 6120 §8.1.5: a stanza without xml:lang has the stream's.
    let server = Server::with_users(&[], &["romeo", "juliet"]);
    let mut juliet = server.online("juliet", "balcony");
    let mut romeo = server.login("romeo", "orchard");
    romeo.send("<message to='juliet@localhost' id='1'><body>x</body></message>");
    juliet.expect("<message id='1' xml:lang='en'/>");
    romeo.send("<message to='juliet@localhost' id='2' xml:lang='de'><body>x</body></message>");
    juliet.expect("<message id='2' xml:lang='de'/>");
}

#[test]
fn a_stream_closed_in_peace() {
    // RFC 6120 §4.4: what was sent before is worked off, and the closing is answered.
    let server = Server::with_users(&[], &["romeo", "juliet"]);
    let mut juliet = server.online("juliet", "balcony");
    let mut romeo = server.login("romeo", "orchard");
    romeo.send("<message to='juliet@localhost' id='1'><body>x</body></message></stream:stream>");
    romeo.expect_close();
    juliet.expect("<message id='1'/>");
    // Before anything else, too.
    let mut client = Client::connect(server.c2s);
    client.open();
    client.send("</stream:stream>");
    client.expect_close();
}

#[test]
fn too_slow_to_log_in() {
    let server = Server::with_users(&["c2s.negotiation_timeout_seconds=1"], &["romeo"]);
    // In each stage of getting in; with bytes that trickle, too (slow-loris).
    let silent = Client::connect(server.c2s);
    let mut opened = Client::connect(server.c2s);
    opened.open();
    let mut authenticated = Client::connect(server.c2s);
    authenticated.authenticate("romeo", PASSWORD);
    let direct = Client::connect(server.direct_tls);
    let mut trickling = Client::connect(server.c2s);
    let mut bytes = header(DOMAIN).into_bytes().into_iter().cycle();
    while trickling.try_send_bytes(&[bytes.next().unwrap()]).is_ok() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    opened.expect_stream_error("connection-timeout");
    authenticated.expect_stream_error("connection-timeout");
    for mut client in [silent, direct] {
        let mut rest = Vec::new();
        client.read_to_end(&mut rest);
    }
    // Who got in stays.
    let mut romeo = server.login("romeo", "orchard");
    std::thread::sleep(std::time::Duration::from_millis(1500));
    romeo.sync();
}

#[test]
fn shutdown_closes_streams() {
    let mut server = Server::with_users(&[], &["romeo"]);
    let mut romeo = server.online("romeo", "orchard");
    let mut stranger = Client::connect(server.c2s);
    stranger.open();
    server.signal("TERM");
    // RFC 6120 §4.9.3.20.
    romeo.expect_stream_error("system-shutdown");
    stranger.expect_stream_error("system-shutdown");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_second_signal_stops_at_once() {
    let mut server = Server::with_users(&["shutdown.grace_seconds=3600"], &["romeo"]);
    // A client that never reads its socket holds up the peaceful end.
    let _romeo = server.online("romeo", "orchard");
    server.signal("TERM");
    std::thread::sleep(std::time::Duration::from_millis(300));
    if server.is_running() {
        server.signal("TERM");
    }
    server.wait();
}

#[test]
fn grace_is_limited() {
    let mut server = Server::with_users(&["shutdown.grace_seconds=1"], &["romeo", "juliet"]);
    let _romeo = server.online("romeo", "orchard");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn idle_clients_are_probed() {
    // RFC 6120 §4.6: a client that says nothing is sent white space.
    let server = Server::with_users(&["c2s.idle_timeout_seconds=10"], &["romeo"]);
    let mut romeo = server.online("romeo", "orchard");
    assert_eq!(romeo.read_bytes(), b" ");
    romeo.expect_nothing();
}
