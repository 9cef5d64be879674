//! From the connection to the bound resource, and those who do not get there.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use support::client::{BIND, HEADER, STARTTLS, TLS12, TLS13, auth, bound, connect, tls};
use support::owner::PASSWORD;
use support::{Edge, eventually, settings, start, start_default};
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn a_login_in_the_clear_where_it_is_allowed() {
    let edge = start_default();
    let mut client = connect(edge.plain).await;
    let features = client.open().await;
    assert!(
        features.contains("<starttls") && features.contains("<mechanism>PLAIN</mechanism>"),
        "{features}"
    );
    client.ask(&auth("alice", PASSWORD), "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").await;
    assert!(client.open().await.contains("urn:xmpp:sm:3"));
    let answer = client.ask(BIND, "</iq>").await;
    assert!(answer.ends_with("<jid>alice@localhost/r</jid></bind></iq>"), "{answer}");
    assert_eq!(edge.owner.log(), ["sasl alice@localhost PLAIN", "bind alice@localhost/r"]);
    client.send("</stream:stream>").await;
    assert_eq!(client.rest().await, "</stream:stream>");
    eventually("the session ends", || edge.owner.was_told("closed")).await;
}

#[tokio::test]
async fn all_at_once_without_waiting() {
    let edge = start_default();
    let mut client = connect(edge.plain).await;
    let all = format!("{HEADER}{}{HEADER}{BIND}<presence/></stream:stream>", auth("alice", PASSWORD));
    client.send(&all).await;
    let answer = client.rest().await;
    assert!(
        answer.contains("<jid>alice@localhost/r</jid>") && answer.ends_with("</stream:stream>"),
        "{answer}"
    );
    assert_eq!(edge.owner.received(), 1);
}

#[tokio::test]
async fn byte_by_byte() {
    let edge = start_default();
    let mut client = connect(edge.plain).await;
    client.socket.set_nodelay(true).unwrap();
    for text in [HEADER.to_owned(), auth("alice", PASSWORD), HEADER.to_owned(), BIND.to_owned()] {
        for byte in text.bytes() {
            client.socket.write_all(&[byte]).await.unwrap();
        }
        client.until("><").await;
    }
    client.until("</iq>").await;
}

async fn starttls(edge: &Edge, version: &'static tokio_rustls::rustls::SupportedProtocolVersion) {
    let mut client = connect(edge.plain).await;
    let features = client.open().await;
    assert!(features.contains("<required/>") && !features.contains("mechanism"), "{features}");
    client.ask(STARTTLS, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
    let mut client = tls(client, version).await;
    let features = client.open().await;
    assert!(features.contains("SCRAM-SHA-256-PLUS") && !features.contains("starttls"), "{features}");
    assert!(features.contains("tls-exporter") && features.contains("tls-server-end-point"), "{features}");
    client.ask(&auth("alice", PASSWORD), "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").await;
    client.open().await;
    client.ask(BIND, "</iq>").await;

    let facts = edge.owner.tls_facts().unwrap();
    let (_, session) = client.socket.get_ref();
    let exported = session.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(&[])).unwrap();
    assert_eq!(facts.exporter, Some(exported), "both ends bind to the same");
    assert_eq!(facts.version, if version == TLS13 { "TLSv1.3" } else { "TLSv1.2" });
    let expected = edge.certificates.current().end_point(Some("localhost"), None);
    assert!(facts.end_point.is_some() && facts.end_point == expected);

    edge.owner.deliver("<message from='bob@localhost'/>");
    assert_eq!(client.until("/>").await, "<message from='bob@localhost'/>");
    client.send("</stream:stream>").await;
    assert_eq!(client.rest().await, "</stream:stream>", "and close_notify: no unexpected end");
}

#[tokio::test]
async fn starttls_with_either_version() {
    let edge = start(settings(|c2s, _| c2s.allow_plaintext = false));
    starttls(&edge, TLS13).await;
    starttls(&edge, TLS12).await;
}

#[tokio::test]
async fn direct_tls() {
    let edge = start(settings(|c2s, _| c2s.allow_plaintext = false));
    let mut client = tls(connect(edge.direct).await, TLS13).await;
    client.bind("alice").await;
    assert!(edge.owner.tls_facts().unwrap().exporter.is_some());
    drop(client);
    eventually("the session is left", || edge.owner.was_told("detached")).await;
}

#[tokio::test]
async fn what_is_injected_behind_starttls_is_not_taken() {
    let edge = start_default();
    let mut client = connect(edge.plain).await;
    client.open().await;
    client.send(&format!("{STARTTLS}{}", auth("alice", PASSWORD))).await;
    let answer = client.rest().await;
    assert_eq!(answer, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>");
    assert!(edge.owner.log().is_empty());
}

#[tokio::test]
async fn garbage_for_a_handshake() {
    let edge = start_default();
    let mut client = connect(edge.plain).await;
    client.open().await;
    client.ask(STARTTLS, "/>").await;
    client.send("<stream:stream>").await;
    let _ = client.socket.shutdown().await;
    let mut end = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut client.socket, &mut end).await;
    assert!(!end.starts_with(b"<"), "an alert at most");
    let mut client = connect(edge.direct).await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut client.socket, &mut end).await;
}

#[tokio::test]
async fn the_negotiation_has_its_time() {
    let edge = start(settings(|c2s, _| c2s.negotiation_timeout_seconds = 1));
    let mut silent = connect(edge.plain).await;
    let mut half_tls = connect(edge.direct).await;
    half_tls.socket.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    let mut waiting = connect(edge.plain).await;
    waiting.login("alice").await;
    let mut slow = connect(edge.plain).await;
    slow.send("<stream:stream").await;
    let mut used = bound(edge.plain).await;
    for (client, start) in [(&mut silent, "<?xml"), (&mut waiting, "<stream:error>"), (&mut slow, "<?xml")] {
        let answer = client.rest().await;
        assert!(answer.starts_with(start) && answer.contains("<connection-timeout "), "{answer}");
    }
    let mut end = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut half_tls.socket, &mut end).await;
    assert!(end.is_empty());
    used.ask("<iq type='get' id='1'/><r xmlns='urn:xmpp:sm:3'/>", "/>").await;
}

#[tokio::test]
async fn failures_are_counted() {
    let edge = start(settings(|_, sasl| {
        sasl.attempts_per_connection_max = 2;
        sasl.attempts_per_address_per_minute = 3;
    }));
    let mut client = connect(edge.plain).await;
    client.open().await;
    assert!(client.ask(&auth("alice", "guess"), "</failure>").await.contains("<not-authorized/>"));
    client.send(&auth("alice", "guess")).await;
    let answer = client.rest().await;
    assert!(answer.contains("<not-authorized/>") && answer.contains("<policy-violation "), "{answer}");

    let mut client = connect(edge.plain).await;
    client.open().await;
    assert!(client.ask(&auth("bob", "guess"), "</failure>").await.contains("<not-authorized/>"));
    let answer = client.ask(&auth("bob", PASSWORD), "</failure>").await;
    assert!(answer.contains("<temporary-auth-failure/>"), "not even with the right one: {answer}");
    assert_eq!(edge.owner.log().len(), 3);
}

#[tokio::test]
async fn an_address_has_its_share_of_connections() {
    let edge = start(settings(|c2s, _| c2s.connections_per_address_max = 2));
    let mut first = connect(edge.plain).await;
    let mut second = connect(edge.plain).await;
    first.open().await;
    second.open().await;
    assert!(connect(edge.plain).await.rest().await.contains("<policy-violation "));
    drop(first);
    drop(second);
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    connect(edge.plain).await.open().await;
}

#[tokio::test]
async fn beyond_the_limit_connections_wait_for_a_login() {
    let edge = start(settings(|c2s, _| c2s.unauthenticated_connections_max = 1));
    let mut first = connect(edge.plain).await;
    first.open().await;
    let mut second = connect(edge.plain).await;
    second.send(HEADER).await;
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert!(edge.owner.log().is_empty());
    first.ask(&auth("alice", PASSWORD), "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").await;
    second.until("</stream:features>").await;
}

#[tokio::test]
async fn before_the_login_little_may_be_sent() {
    let edge = start_default();
    let mut client = connect(edge.plain).await;
    client.open().await;
    client.send(&format!("<auth>{}", "x".repeat(20_000))).await;
    assert!(client.rest().await.contains("<policy-violation "), "one element that is too big");

    let mut client = connect(edge.plain).await;
    client.open().await;
    let _ = client.socket.write_all(" ".repeat(70_000).as_bytes()).await;
    assert!(client.rest().await.contains("<policy-violation "), "or too much white space");
}

#[tokio::test]
async fn a_session_that_comes_too_late_is_given_back() {
    let edge = start_default();
    edge.owner.manners.lock().unwrap().binds = false;
    let mut client = connect(edge.plain).await;
    client.login("alice").await;
    client.send(BIND).await;
    eventually("the bind", || edge.owner.was_told("bind alice@localhost/r")).await;
    edge.life.soft().cancel();
    client.rest().await;
    assert!(!edge.owner.was_told("detached"));
    edge.owner.bind_now();
    eventually("it is given back", || edge.owner.was_told("detached")).await;
}
