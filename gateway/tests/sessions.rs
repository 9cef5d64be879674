//! Stanzas both ways, their bounds, and how sessions end.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use bus::envelope::{GatewayBody, Resumed};
use bytes::Bytes;
use std::time::Duration;
use support::client::{bound, connect};
use support::owner::SESSION;
use support::{PATIENCE, eventually, settings, start, start_default};
use tokio::io::AsyncWriteExt;
use xmpp::error::StreamCondition;

const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>";
const R: &str = "<r xmlns='urn:xmpp:sm:3'/>";
const MESSAGE: &str = "<message to='bob@localhost'><body>hello</body></message>";

#[tokio::test]
async fn stanzas_go_both_ways_in_order() {
    let edge = start_default();
    edge.owner.manners.lock().unwrap().echoes = true;
    let mut client = bound(edge.plain).await;
    for n in 1..=500 {
        client.send(&format!("<message id='{n}'/>")).await;
    }
    for n in 1..=500 {
        let expected = format!("<message from='alice@localhost/r' id='{n}'/>");
        assert_eq!(client.until("/>").await, expected);
    }
    eventually("what is written is acknowledged", || edge.owner.acked() == 500).await;
    client.send("<message to='@'/><iq type='get' id='1'/>").await;
    eventually("the refusals", || edge.owner.was_told("refused 502 bad-request")).await;
    assert!(edge.owner.was_told("refused 501 jid-malformed"));
    drop(client);
    eventually("the session is left", || edge.owner.was_told("detached")).await;
}

#[tokio::test]
async fn nothing_is_acknowledged_before_it_is_confirmed() {
    let edge = start_default();
    edge.owner.manners.lock().unwrap().confirms = false;
    let mut client = bound(edge.plain).await;
    assert!(client.ask(ENABLE, "/>").await.contains("resume='true' max='60'"));
    client.send(&format!("{MESSAGE}{MESSAGE}{R}")).await;
    eventually("the stanzas", || edge.owner.received() == 2).await;
    edge.owner.answer(GatewayBody::Confirm { seq: 1 });
    let silence = tokio::time::timeout(Duration::from_millis(100), client.until("/>")).await;
    assert!(silence.is_err(), "{silence:?}");
    edge.owner.answer(GatewayBody::Confirm { seq: 2 });
    assert_eq!(client.until("/>").await, "<a xmlns='urn:xmpp:sm:3' h='2'/>");

    client.send(&format!("{MESSAGE}{R}")).await;
    let start = std::time::Instant::now();
    assert_eq!(client.until("/>").await, "<a xmlns='urn:xmpp:sm:3' h='2'/>", "no lie, but an answer");
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn the_window_stops_reading() {
    let edge = start(settings(|c2s, _| c2s.window_stanzas = 10));
    edge.owner.manners.lock().unwrap().confirms = false;
    let mut client = bound(edge.plain).await;
    client.send(&MESSAGE.repeat(100)).await;
    eventually("a window's worth", || edge.owner.received() == 10).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(edge.owner.received(), 10);
    edge.owner.answer(GatewayBody::Confirm { seq: 4 });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(edge.owner.received(), 10, "not for each one");
    edge.owner.answer(GatewayBody::Confirm { seq: 5 });
    eventually("half a window more", || edge.owner.received() == 15).await;
    edge.owner.manners.lock().unwrap().confirms = true;
    edge.owner.answer(GatewayBody::Confirm { seq: 15 });
    eventually("all of it", || edge.owner.received() == 100).await;
}

#[tokio::test]
async fn the_window_counts_bytes_too() {
    let mut settings = settings(|_, _| {});
    settings.window_bytes = 1000;
    let edge = start(settings);
    edge.owner.manners.lock().unwrap().confirms = false;
    let mut client = bound(edge.plain).await;
    client.send(&format!("<message><body>{}</body></message>", "x".repeat(400)).repeat(10)).await;
    eventually("as many as fit", || edge.owner.received() == 3).await;
    edge.owner.answer(GatewayBody::Confirm { seq: 2 });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(edge.owner.received(), 3);
    edge.owner.answer(GatewayBody::Confirm { seq: 3 });
    eventually("more", || edge.owner.received() == 6).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut() {
    let edge = start(settings(|c2s, _| {
        c2s.outbound_bytes_max = 65_536;
        c2s.stanza_bytes_max = 65_536;
    }));
    let client = bound(edge.plain).await;
    let big = format!("<message><body>{}</body></message>", "x".repeat(10_000));
    // More than the kernel's buffers take.
    for _ in 0..100_000 {
        edge.owner.deliver(&big);
        if edge.owner.was_told("detached") {
            break;
        }
        tokio::task::yield_now().await;
    }
    eventually("the session is left", || edge.owner.was_told("detached")).await;
    drop(client);
}

#[tokio::test]
async fn a_write_without_progress_ends_in_time() {
    let edge = start(settings(|c2s, _| {
        c2s.write_timeout_seconds = 1;
        c2s.outbound_bytes_max = 64 << 20;
    }));
    let client = bound(edge.plain).await;
    for _ in 0..2000 {
        edge.owner.deliver(&format!("<message><body>{}</body></message>", "x".repeat(10_000)));
    }
    eventually("the session is left", || edge.owner.was_told("detached")).await;
    drop(client);
}

#[tokio::test]
async fn a_slow_reader_gets_everything() {
    let edge = start(settings(|c2s, _| c2s.outbound_bytes_max = 64 << 20));
    let mut client = bound(edge.plain).await;
    for n in 1..=2000 {
        edge.owner.deliver(&format!("<message id='{n}'><body>{}</body></message>", "x".repeat(5_000)));
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(edge.owner.acked() < 2000, "the socket cannot take so much");
    for n in 1..=2000 {
        assert!(client.until("</message>").await.starts_with(&format!("<message id='{n}'>")));
    }
    eventually("everything is acknowledged", || edge.owner.acked() == 2000).await;
}

/// The configuration's least is ten seconds; a test asks for less.
fn impatient() -> gateway::Settings {
    gateway::Settings { idle_timeout: Duration::from_millis(200), ..settings(|_, _| {}) }
}

#[tokio::test]
async fn a_silent_client_that_acknowledges_is_asked_then_given_up() {
    let edge = start(impatient());
    let mut client = bound(edge.plain).await;
    client.ask(ENABLE, "/>").await;
    client.until(R).await;
    let rest = client.rest().await;
    assert!(rest.contains("<connection-timeout ") && rest.ends_with("</stream:stream>"), "{rest}");
    eventually("it may come back", || edge.owner.was_told("detached")).await;
    assert!(!edge.owner.was_told("closed"));
}

#[tokio::test]
async fn a_silent_client_whose_tcp_answers_is_kept() {
    let edge = start(impatient());
    let mut client = bound(edge.plain).await;
    for _ in 0..3 {
        assert_eq!(client.until(" ").await, " ");
    }
    assert!(!edge.owner.was_told("detached"));
    edge.owner.deliver("<message/>");
    assert!(client.until("/>").await.ends_with("<message/>"));
}

#[tokio::test]
async fn oversize_ends_the_session() {
    let edge = start(settings(|c2s, _| {
        c2s.stanza_bytes_max = 10_000;
        c2s.unauthenticated_stanza_bytes_max = 10_000;
    }));
    let mut client = bound(edge.plain).await;
    let _ = client.socket.write_all(format!("<message><body>{}", "x".repeat(20_000)).as_bytes()).await;
    assert!(client.rest().await.contains("<policy-violation "));
    eventually("the session ends", || edge.owner.was_told("closed")).await;
}

#[tokio::test]
async fn a_resumed_session_gets_what_it_lacks() {
    let edge = start_default();
    let mut client = bound(edge.plain).await;
    let enabled = client.ask(ENABLE, "/>").await;
    let id = enabled.split("id='").nth(1).unwrap().split('\'').next().unwrap().to_owned();
    assert_eq!(id, SESSION.to_text());
    drop(client);
    eventually("the session is left", || edge.owner.was_told("detached")).await;

    edge.owner.keep(Resumed {
        session: SESSION,
        jid: "alice@localhost/r".parse().unwrap(),
        handled: 7,
        acked: 2,
        inbound_base: 3,
        outbound_base: 0,
        unacked: vec![Bytes::from_static(b"<message id='3'/>")],
        resume_seconds: 60,
    });
    let mut client = connect(edge.plain).await;
    client.login("alice").await;
    let resume = |id: &str| format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='2'/>");
    assert!(client.ask(&resume("nonsense"), "</failed>").await.contains("<item-not-found "));
    let resumed = client.ask(&resume(&id), R).await;
    assert_eq!(resumed, format!("<resumed xmlns='urn:xmpp:sm:3' previd='{id}' h='4'/><message id='3'/>{R}"));
    edge.owner.deliver("<message id='4'/>");
    client.until("<message id='4'/>").await;
    client.send("<a xmlns='urn:xmpp:sm:3' h='4'/>").await;
    eventually("the acknowledgement", || edge.owner.acked() == 4).await;
    assert_eq!(client.ask(&format!("{MESSAGE}{R}"), "/>").await, "<a xmlns='urn:xmpp:sm:3' h='5'/>");
}

#[tokio::test]
async fn the_owner_ends_a_stream() {
    let edge = start_default();
    let mut client = bound(edge.plain).await;
    edge.owner.deliver("<message/>");
    edge.owner.answer(GatewayBody::Close(StreamCondition::Conflict.into()));
    let rest = client.rest().await;
    assert!(
        rest.starts_with("<message/><stream:error><conflict ") && rest.ends_with("</stream:stream>"),
        "{rest}"
    );
    assert!(!edge.owner.was_told("detached") && !edge.owner.was_told("closed"), "it knows");
}

#[tokio::test]
async fn shutdown_tells_everybody_and_ends() {
    let edge = start_default();
    let mut idle = bound(edge.plain).await;
    let mut new = connect(edge.plain).await;
    new.open().await;
    let silent = connect(edge.plain).await;
    let half_tls = connect(edge.direct).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let life = edge.life.clone();
    let (stopped, told, new_told) = tokio::join!(life.shutdown(PATIENCE), idle.rest(), new.rest());
    assert!(told.starts_with("<stream:error><system-shutdown "), "{told}");
    assert!(new_told.contains("<system-shutdown "), "{new_told}");
    assert_eq!(stopped, runtime::lifecycle::Stopped::Drained);
    assert!(edge.owner.was_told("detached"));
    drop((silent, half_tls));
}
