//! Hostile input: each attack ends in its defined error, costs a bounded amount, and leaves the
//! server serving others.

use crate::client::{Client, DOMAIN, Event};
use crate::server::Server;
use crate::steps::header;
use crate::tls;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Others are still served.
fn still_works(server: &Server) {
    let mut juliet = server.login("juliet", "balcony");
    juliet.sync();
    juliet.close();
}

#[test]
fn giants_before_login() {
    let server = Server::with_users(&["c2s.unauthenticated_stanza_bytes_max=10000"], &["juliet"]);
    let long = "x".repeat(20_000);
    for (name, sent) in [
        ("text", format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{long}")),
        ("attribute", format!("<auth mechanism='{long}")),
        ("element name", format!("<{long}")),
        ("attribute name", format!("<a {long}")),
        ("white space in a tag", format!("<a {}", " ".repeat(20_000))),
        ("declarations", format!("<a {}", (0..2000).map(|n| format!("xmlns:n{n}='u' ")).collect::<String>())),
    ] {
        let mut client = Client::connect(server.c2s);
        client.open();
        client.send(&sent);
        eprintln!("{name}");
        client.expect_stream_error("policy-violation");
    }
    // A header without an end.
    let mut client = Client::connect(server.c2s);
    client.send(&format!("<stream:stream to='{long}"));
    client.expect_stream_error("policy-violation");
    still_works(&server);
}

#[test]
fn giants_with_a_resource() {
    let server = Server::with_users(&["c2s.stanza_bytes_max=20000"], &["romeo", "juliet"]);
    let long = "x".repeat(40_000);
    for sent in [
        format!("<message to='juliet@localhost'><body>{long}"),
        format!("<message to='juliet@localhost/{long}"),
        format!("<message><{long}"),
        format!("<message><![CDATA[{long}"),
        "<message to='juliet@localhost'><body>x</body>".repeat(2_000),
    ] {
        let mut client = server.login("romeo", "orchard");
        client.send(&sent);
        client.expect_stream_error("policy-violation");
    }
    // Up to the limit it is delivered (RFC 6120 §13.12: 10,000 bytes at least).
    let mut juliet = server.online("juliet", "balcony");
    let mut romeo = server.login("romeo", "orchard");
    let body = "y".repeat(19_000);
    romeo.send(&format!("<message to='juliet@localhost' id='1'><body>{body}</body></message>"));
    juliet.expect(&format!("<message id='1'><body>{body}</body></message>"));
}

#[test]
fn deep_and_wide() {
    let server = Server::with_users(&["c2s.depth_max=32", "c2s.attributes_max=16"], &["romeo", "juliet"]);
    let mut client = server.login("romeo", "deep");
    client.send(&format!("<message>{}", "<a>".repeat(100)));
    client.expect_stream_error("policy-violation");
    let mut client = server.login("romeo", "wide");
    let attributes: String = (0..17).map(|n| format!(" a{n}='1'")).collect();
    client.send(&format!("<message><a{attributes}/></message>"));
    client.expect_stream_error("policy-violation");
    still_works(&server);
}

#[test]
fn bombs_of_entities() {
    let server = Server::with_users(&[], &["romeo", "juliet"]);
    let bomb = "<!DOCTYPE b [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]>";
    let mut client = Client::connect(server.c2s);
    client.send(&format!("<?xml version='1.0'?>{bomb}{}", header(DOMAIN)));
    client.expect_stream_error("restricted-xml");
    let mut client = server.login("romeo", "orchard");
    client.send(&format!("{bomb}<message><body>&b;</body></message>"));
    client.expect_stream_error("restricted-xml");
    still_works(&server);
}

#[test]
fn bytes_that_are_no_utf8() {
    let server = Server::with_users(&[], &["romeo", "juliet"]);
    let cases: [&[u8]; 6] = [
        b"\xff\xfe",         // never appear
        b"\xc0\x80",         // overlong NUL
        b"\xe0\x80\xaf",     // overlong slash
        b"\xed\xa0\x80",     // half of a surrogate pair
        b"\xf4\x90\x80\x80", // beyond U+10FFFF
        b"\xe2\x82",         // cut short
    ];
    for bad in cases {
        let mut client = server.login("romeo", "orchard");
        client.send_bytes(b"<message to='juliet@localhost'><body>");
        client.send_bytes(bad);
        client.send_bytes(b"</body></message>");
        // RFC 6120 §11.6, §4.9.3.22
        client.expect_stream_error("unsupported-encoding");
    }
    still_works(&server);
}

#[test]
fn a_from_that_is_not_ones_own() {
    // RFC 6120 §8.1.2.1 and §4.9.3.9: never passed on.
    let server = Server::with_users(&[], &["romeo", "juliet"]);
    let mut juliet = server.online("juliet", "balcony");
    for from in ["juliet@localhost", "romeo@localhost/other", "localhost", "romeo@elsewhere.example", "@"] {
        let mut romeo = server.login("romeo", "orchard");
        romeo.send(&format!("<message from='{from}' to='juliet@localhost' id='1'><body>x</body></message>"));
        romeo.expect_stream_error("invalid-from");
    }
    juliet.expect_nothing();
}

#[test]
fn stanzas_before_login_do_nothing() {
    let server = Server::with_users(&[], &["juliet"]);
    let mut juliet = server.online("juliet", "balcony");
    let mut client = Client::connect(server.c2s);
    client.open();
    client.send("<message from='romeo@localhost' to='juliet@localhost'><body>x</body></message>");
    client.expect_stream_error("not-authorized");
    juliet.expect_nothing();
}

#[test]
fn half_a_tls_record() {
    let server = Server::with_users(&["c2s.negotiation_timeout_seconds=1"], &["juliet"]);
    // A handshake record that says 512 bytes and brings 5; then silence.
    let half = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3];
    let mut direct = Client::connect(server.direct_tls);
    direct.send_bytes(&half);
    let mut upgraded = Client::connect(server.c2s);
    upgraded.open();
    upgraded.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    upgraded.expect("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    upgraded.send_bytes(&half);
    for client in [&mut direct, &mut upgraded] {
        client.read_to_end(&mut Vec::new());
    }
    // A record cut off inside of an established session, byte by byte.
    let mut client = Client::connect(server.direct_tls);
    client.secure(tls::any_certificate());
    client.open();
    client.send_below_tls(&[0x17, 3, 3, 1, 0, 0xaa]);
    client.read_to_end(&mut Vec::new());
    // One that was tampered with.
    let mut client = Client::connect(server.direct_tls);
    client.secure(tls::any_certificate());
    client.open();
    client.send_below_tls(&[&[0x17, 3, 3, 0, 32][..], &[0xaa; 32]].concat());
    client.read_to_end(&mut Vec::new());
    still_works(&server);
}

#[test]
fn thousands_without_login() {
    let server = Server::with_users(
        &["c2s.negotiation_timeout_seconds=5", "c2s.unauthenticated_connections_max=500"],
        &["juliet"],
    );
    let before = server.memory_bytes();
    let opening = header(DOMAIN);
    // More than may be without login: the rest waits in the kernel's queue, or is refused there.
    let sockets: Vec<TcpStream> = (0..2_000)
        .filter_map(|_| {
            let mut socket = TcpStream::connect_timeout(&server.c2s, Duration::from_millis(200)).ok()?;
            std::io::Write::write_all(&mut socket, opening.as_bytes()).ok()?;
            Some(socket)
        })
        .collect();
    assert!(sockets.len() >= 500, "{} connected", sockets.len());
    let grown = server.memory_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
    // They time out, and then everyone is served.
    drop(sockets);
    still_works(&server);
}

#[test]
fn connections_of_one_address_are_limited() {
    let server = Server::with_users(&["c2s.connections_per_address_max=3"], &["juliet"]);
    let mut held: Vec<Client> = (0..3)
        .map(|_| {
            let mut client = Client::connect(server.c2s);
            client.open();
            client
        })
        .collect();
    let mut refused = Client::connect(server.c2s);
    refused.send(&header(DOMAIN));
    refused.expect_stream_error("policy-violation");
    // Those that left do not count any more, once the server has seen them leave.
    for client in &mut held {
        client.cut();
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let mut client = Client::connect(server.c2s);
        client.send(&header(DOMAIN));
        client.expect_header();
        if client.next_element().name == "features" {
            break;
        }
        assert!(Instant::now() < deadline, "those that left are still counted");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_client_that_does_not_read() {
    // What waits for it in memory is bounded, what does not fit there waits in the log.
    let server = Server::with_users(
        &["c2s.outbound_bytes_max=300000", "session.unacked_bytes_max=100000"],
        &["romeo", "juliet"],
    );
    let mut deaf = server.online("juliet", "deaf");
    let mut romeo = server.login("romeo", "orchard");
    let before = server.memory_bytes();
    let body = "z".repeat(10_000);
    const MESSAGES: usize = 3_000;
    for n in 0..MESSAGES {
        romeo.send(&format!(
            "<message to='juliet@localhost' type='chat' id='{n}'><body>{body}</body></message>"
        ));
    }
    romeo.sync();
    let grown = server.memory_bytes().saturating_sub(before);
    // The log has what is not settled yet in memory, too: most of this.
    assert!(grown < 96 << 20, "{grown} bytes more for a client that does not read");
    // Whether it is closed or just waited for: nothing is lost, and all comes in order. What was on
    // its way when a connection broke comes again.
    let mut next = 0;
    while next < MESSAGES {
        match deaf.next() {
            Event::Child(element) if element.name == "message" => {
                let number: usize = element.attr("id").unwrap().parse().unwrap();
                assert!(number <= next, "{number} came, {next} is missing");
                next = number + 1;
            }
            Event::Child(_) | Event::Open(_) => {}
            Event::Close | Event::Eof => {
                deaf = server.login("juliet", "hearing");
                deaf.send("<presence/>");
            }
        }
    }
}

#[test]
fn one_flood_does_not_starve_others() {
    let server = Server::with_users(&[], &["romeo", "juliet", "mercutio"]);
    let mut flooding = server.login("romeo", "orchard");
    let flood: String = (0..2_000)
        .map(|n| format!("<message to='mercutio@localhost' type='chat'><body>{n}</body></message>"))
        .collect();
    flooding.send(&flood);
    let start = Instant::now();
    still_works(&server);
    assert!(start.elapsed() < Duration::from_secs(10), "a login took {:?}", start.elapsed());
}
