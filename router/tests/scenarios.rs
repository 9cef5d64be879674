//! Scenarios against a router with a real database.

mod harness;

use bus::envelope::{GatewayBody, SessionBody};
use harness::World;
use std::sync::Arc;

async fn world(users: &[&str]) -> Arc<World> {
    Arc::new(World::new(users).await)
}

#[tokio::test]
async fn a_chat_message_arrives_with_an_id_and_is_confirmed() {
    let world = world(&["juliet", "romeo"]).await;
    let mut juliet = world.online("juliet@example.com/balcony", 0).await;
    let romeo = world.online("romeo@example.com/orchard", 0).await;
    juliet.send("<message type='chat' id='1' to='romeo@example.com'><body>hi</body></message>");
    let got = romeo.expect(&["<body>hi</body>", "from='juliet@example.com/balcony'"]).await;
    assert!(got.contains("<stanza-id xmlns='urn:xmpp:sid:0'"), "{got}");
    assert!(got.contains("by='romeo@example.com'"), "{got}");
    juliet.confirmed().await;
}

#[tokio::test]
async fn a_forged_stanza_id_is_stripped() {
    let world = world(&["juliet", "romeo"]).await;
    let mut juliet = world.online("juliet@example.com/balcony", 0).await;
    let romeo = world.online("romeo@example.com/orchard", 0).await;
    juliet.send(
        "<message type='chat' to='romeo@example.com'><body>x</body>\
         <stanza-id xmlns='urn:xmpp:sid:0' id='forged' by='romeo@example.com'/>\
         <stanza-id xmlns='urn:xmpp:sid:0' id='other' by='room@example.net'/></message>",
    );
    let got = romeo.expect(&["<body>x</body>"]).await;
    assert!(!got.contains("forged") && got.contains("other"), "{got}");
}

#[tokio::test]
async fn offline_messages_come_in_order_and_once() {
    let world = world(&["juliet", "romeo"]).await;
    let mut juliet = world.online("juliet@example.com/balcony", 0).await;
    for n in 0..10 {
        juliet.send(&format!("<message type='chat' to='romeo@example.com'><body>{n}</body></message>"));
    }
    juliet.confirmed().await;
    let mut romeo = world.online("romeo@example.com/orchard", 0).await;
    // Pages are smaller than what waits, and there is room for 8 unacknowledged stanzas only.
    let mut got = Vec::new();
    while got.len() < 10 {
        let (seq, xml) = romeo.expect_numbered(&["<body>"]).await;
        got.push(xml.split_once("<body>").unwrap().1.split_once('<').unwrap().0.to_owned());
        romeo.say(SessionBody::Acked { seq });
    }
    assert_eq!(got, (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
    juliet.send("<message type='chat' to='romeo@example.com'><body>live</body></message>");
    let (seq, _) = romeo.expect_numbered(&["<body>live</body>"]).await;
    romeo.say(SessionBody::Acked { seq });
    romeo.send("<presence type='unavailable'/>");
    romeo.say(SessionBody::Closed);
    let mut again = world.online("romeo@example.com/orchard", 0).await;
    assert_eq!(again.bodies().await, Vec::<String>::new(), "nothing is delivered twice");
    let _ = romeo.sent;
}

#[tokio::test]
async fn what_was_not_acknowledged_goes_to_the_next_session() {
    let world = world(&["juliet", "romeo"]).await;
    let mut juliet = world.online("juliet@example.com/balcony", 0).await;
    let romeo = world.online("romeo@example.com/orchard", 0).await;
    for n in 0..3 {
        juliet.send(&format!("<message type='chat' to='romeo@example.com'><body>{n}</body></message>"));
    }
    let (seq, _) = romeo.expect_numbered(&["<body>0</body>"]).await;
    romeo.say(SessionBody::Acked { seq });
    romeo.say(SessionBody::Detached);
    let mut again = world.online("romeo@example.com/phone", 0).await;
    assert_eq!(again.bodies().await, ["1", "2"]);
}

#[tokio::test]
async fn what_other_sessions_have_under_way_does_not_hide_the_rest() {
    let world = world(&["juliet", "romeo"]).await;
    let mut juliet = world.online("juliet@example.com/balcony", 0).await;
    let first = world.online("romeo@example.com/first", 5).await;
    let _second = world.online("romeo@example.com/second", 0).await;
    let third = world.online("romeo@example.com/third", 0).await;
    // A whole page of what the second session has not acknowledged, then what the third leaves.
    for (n, to) in ["second", "second", "second", "third"].into_iter().enumerate() {
        juliet.send(&format!("<message type='chat' to='romeo@example.com/{to}'><body>{n}</body></message>"));
    }
    juliet.confirmed().await;
    third.say(SessionBody::Closed);
    first.expect(&["<body>3</body>"]).await;
}

#[tokio::test]
async fn a_session_is_resumed_with_what_it_missed() {
    let world = world(&["juliet", "romeo"]).await;
    let mut juliet = world.online("juliet@example.com/balcony", 0).await;
    let mut romeo = world.online("romeo@example.com/orchard", 0).await;
    romeo.manage().await;
    for n in 0..4 {
        juliet.send(&format!("<message type='chat' to='romeo@example.com'><body>{n}</body></message>"));
    }
    juliet.confirmed().await;
    romeo.say(SessionBody::Detached);
    juliet.send("<message type='chat' to='romeo@example.com'><body>4</body></message>");
    juliet.confirmed().await;
    let resumed = romeo.resume(2).await;
    let missed: Vec<String> =
        resumed.unacked.iter().map(|xml| String::from_utf8(xml.to_vec()).unwrap()).collect();
    assert_eq!(missed.len(), 3);
    for (xml, n) in missed.iter().zip(2..) {
        assert!(xml.contains(&format!("<body>{n}</body>")), "{xml}");
    }
    assert_eq!(resumed.handled, romeo.sent);
    assert_eq!(resumed.acked - resumed.outbound_base, 2);
}

#[tokio::test]
async fn an_old_connection_is_nobody_after_a_resumption() {
    let world = world(&["juliet", "romeo"]).await;
    let mut juliet = world.online("juliet@example.com/balcony", 0).await;
    let romeo = world.online("romeo@example.com/orchard", 0).await;
    juliet.manage().await;
    let old = juliet.conn;
    juliet.resume(0).await;
    world.next(old, |body| matches!(body, GatewayBody::Close(_)).then_some(())).await;
    let new = std::mem::replace(&mut juliet.conn, old);
    juliet.send("<message type='chat' to='romeo@example.com'><body>stale</body></message>");
    juliet.conn = new;
    juliet.sent -= 1;
    juliet.send("<message type='chat' to='romeo@example.com'><body>good</body></message>");
    let got = romeo.expect(&["<body>"]).await;
    assert!(got.contains("good"), "{got}");
}

#[tokio::test]
async fn a_slow_session_reads_the_log_at_its_own_pace() {
    let world = world(&["juliet", "romeo"]).await;
    let mut juliet = world.online("juliet@example.com/balcony", 0).await;
    let romeo = world.online("romeo@example.com/orchard", 0).await;
    for n in 0..18 {
        juliet.send(&format!("<message type='chat' to='romeo@example.com'><body>{n}</body></message>"));
    }
    juliet.confirmed().await;
    let mut got = Vec::new();
    while got.len() < 18 {
        let (seq, xml) = romeo.expect_numbered(&["<body>"]).await;
        got.push(xml.split_once("<body>").unwrap().1.split_once('<').unwrap().0.to_owned());
        romeo.say(SessionBody::Acked { seq });
    }
    assert_eq!(got, (0..18).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn too_many_waiting_messages_are_refused() {
    let world = world(&["juliet", "romeo"]).await;
    let mut juliet = world.online("juliet@example.com/balcony", 0).await;
    for n in 0..21 {
        let to = "romeo@example.com";
        juliet.send(&format!("<message type='chat' id='m{n}' to='{to}'><body>{n}</body></message>"));
    }
    let refused = juliet.expect(&["type='error'"]).await;
    assert!(refused.contains("id='m20'") && refused.contains("service-unavailable"), "{refused}");
}

#[tokio::test]
async fn subscription_from_request_to_presence() {
    let world = world(&["juliet", "romeo"]).await;
    let mut juliet = world.online("juliet@example.com/balcony", 0).await;
    let mut romeo = world.online("romeo@example.com/orchard", 0).await;
    for client in [&mut juliet, &mut romeo] {
        client.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>");
        client.expect(&["id='r'", "type='result'"]).await;
    }
    romeo.send("<presence type='subscribe' to='juliet@example.com'/>");
    romeo.expect(&["jabber:iq:roster", "ask='subscribe'", "jid='juliet@example.com'"]).await;
    juliet.expect(&["type='subscribe'", "from='romeo@example.com'"]).await;
    juliet.send("<presence type='subscribed' to='romeo@example.com'/>");
    juliet.expect(&["jabber:iq:roster", "subscription='from'"]).await;
    romeo.expect(&["jabber:iq:roster", "subscription='to'"]).await;
    romeo.expect(&["type='subscribed'", "from='juliet@example.com'"]).await;
    romeo.expect(&["<presence", "from='juliet@example.com/balcony'", "<priority>"]).await;
    juliet.say(SessionBody::Closed);
    romeo.expect(&["type='unavailable'", "from='juliet@example.com/balcony'"]).await;
    // A probe brings it back at the next login.
    let juliet = world.online("juliet@example.com/chamber", 1).await;
    romeo.expect(&["from='juliet@example.com/chamber'", "<priority>1<"]).await;
    drop(juliet);
    romeo.say(SessionBody::Closed);
    let romeo = world.bind("romeo@example.com/orchard").await;
    let mut romeo = romeo;
    romeo.send("<presence/>");
    romeo.expect(&["from='juliet@example.com/chamber'", "<priority>1<"]).await;
    // The contact is removed: both sides end.
    romeo.send(
        "<iq type='set' id='rm'><query xmlns='jabber:iq:roster'>\
         <item jid='juliet@example.com' subscription='remove'/></query></iq>",
    );
    romeo.expect(&["id='rm'", "type='result'"]).await;
    romeo.expect(&["type='unavailable'", "from='juliet@example.com/chamber'"]).await;
}

#[tokio::test]
async fn a_request_waits_for_the_contact() {
    let world = world(&["juliet", "romeo"]).await;
    let mut romeo = world.online("romeo@example.com/orchard", 0).await;
    romeo.send("<presence type='subscribe' to='juliet@example.com'><status>please</status></presence>");
    romeo.confirmed().await;
    for resource in ["a", "b"] {
        let juliet = world.online(&format!("juliet@example.com/{resource}"), 0).await;
        juliet.expect(&["type='subscribe'", "<status>please</status>"]).await;
    }
}

#[tokio::test]
async fn roster_limits_and_errors() {
    // This client acknowledges nothing.
    let settings = router::Settings { unacked_stanzas_max: 100, ..harness::settings() };
    let world = Arc::new(World::with(&["juliet"], settings, store::LogConfig::default()).await);
    let mut juliet = world.online("juliet@example.com/balcony", 0).await;
    let set = |id: &str, items: &str| {
        format!("<iq type='set' id='{id}'><query xmlns='jabber:iq:roster'>{items}</query></iq>")
    };
    let long = "x".repeat(65);
    let cases = [
        ("", "bad-request"),
        ("<item jid='a@b'/><item jid='c@d'/>", "bad-request"),
        ("<item/>", "bad-request"),
        ("<item jid='@'/>", "jid-malformed"),
        ("<item jid='juliet@example.com'/>", "not-allowed"),
        ("<item jid='a@b'><group>x</group><group>x</group></item>", "bad-request"),
        ("<item jid='a@b'><group/></item>", "not-acceptable"),
        (&format!("<item jid='a@b' name='{long}'/>"), "not-acceptable"),
        ("<item jid='nobody@example.com' subscription='remove'/>", "item-not-found"),
    ];
    for (n, (items, error)) in cases.into_iter().enumerate() {
        let id = format!("case{n}");
        juliet.send(&set(&id, items));
        let answer = juliet.expect(&[&format!("id='{id}'")]).await;
        assert!(answer.contains("type='error'") && answer.contains(error), "{items}: {answer}");
    }
    for n in 0..5 {
        juliet.send(&set(&format!("ok{n}"), &format!("<item jid='c{n}@example.com' name='C'/>")));
        juliet.expect(&[&format!("id='ok{n}'"), "type='result'"]).await;
    }
    juliet.send(&set("full", "<item jid='c9@example.com'/>"));
    juliet.expect(&["id='full'", "policy-violation"]).await;
    // XEP-0237: an unchanged roster is not sent again.
    juliet.send("<iq type='get' id='v'><query xmlns='jabber:iq:roster' ver=''/></iq>");
    let roster = juliet.expect(&["id='v'"]).await;
    let ver = roster.split_once("ver='").unwrap().1.split_once('\'').unwrap().0;
    assert_eq!(roster.matches("<item").count(), 5);
    juliet.send(&format!("<iq type='get' id='w'><query xmlns='jabber:iq:roster' ver='{ver}'/></iq>"));
    let same = juliet.expect(&["id='w'"]).await;
    assert!(!same.contains("<query"), "{same}");
}

#[tokio::test]
async fn requests_are_always_answered() {
    let world = world(&["juliet", "romeo"]).await;
    let mut juliet = world.online("juliet@example.com/balcony", 0).await;
    let cases = [
        ("to='example.com'", "<query xmlns='unknown'/>", "service-unavailable"),
        ("", "<query xmlns='unknown'/>", "service-unavailable"),
        ("to='romeo@example.com'", "<query xmlns='unknown'/>", "service-unavailable"),
        ("to='romeo@example.com/nowhere'", "<ping xmlns='urn:xmpp:ping'/>", "service-unavailable"),
        ("to='nobody@example.com'", "<ping xmlns='urn:xmpp:ping'/>", "service-unavailable"),
        ("to='example.net'", "<ping xmlns='urn:xmpp:ping'/>", "remote-server-not-found"),
        ("to='example.com'", "<ping xmlns='urn:xmpp:ping'/>", "type='result'"),
        ("", "<ping xmlns='urn:xmpp:ping'/>", "type='result'"),
        ("to='example.com'", "<query xmlns='jabber:iq:version'/>", "Waystation"),
        ("to='example.com'", "<time xmlns='urn:xmpp:time'/>", "<utc>"),
        ("to='example.com'", "<query xmlns='jabber:iq:last'/>", "seconds="),
        ("to='example.com'", "<query xmlns='http://jabber.org/protocol/disco#info'/>", "category='server'"),
        ("", "<query xmlns='http://jabber.org/protocol/disco#info'/>", "category='account'"),
        (
            "to='romeo@example.com'",
            "<query xmlns='http://jabber.org/protocol/disco#info'/>",
            "service-unavailable",
        ),
        ("to='romeo@example.com'", "<query xmlns='jabber:iq:last'/>", "forbidden"),
        ("to='example.com/x'", "<ping xmlns='urn:xmpp:ping'/>", "service-unavailable"),
    ];
    for (n, (to, payload, want)) in cases.into_iter().enumerate() {
        juliet.send(&format!("<iq type='get' id='case{n}' {to}>{payload}</iq>"));
        let answer = juliet.expect(&[&format!("id='case{n}'")]).await;
        assert!(answer.contains(want), "{to} {payload}: {answer}");
    }
}

#[tokio::test]
async fn directed_presence_is_taken_back_at_the_end() {
    let world = world(&["juliet", "romeo"]).await;
    let mut juliet = world.online("juliet@example.com/balcony", 0).await;
    let romeo = world.online("romeo@example.com/orchard", 0).await;
    juliet.send("<presence to='romeo@example.com/orchard'><status>psst</status></presence>");
    romeo.expect(&["<status>psst</status>"]).await;
    juliet.say(SessionBody::Detached);
    romeo.expect(&["type='unavailable'", "from='juliet@example.com/balcony'"]).await;
}

#[tokio::test]
async fn who_binds_last_has_the_resource() {
    let world = world(&["juliet"]).await;
    let first = world.online("juliet@example.com/balcony", 0).await;
    let _second = world.bind("juliet@example.com/balcony").await;
    world
        .next(first.conn, |body| {
            matches!(body, GatewayBody::Close(e) if e.condition.as_str() == "conflict").then_some(())
        })
        .await;
    for resource in ["b", "c", "d"] {
        world.bind(&format!("juliet@example.com/{resource}")).await;
    }
    let (conn, origin) = (world.conn(), harness::origin());
    let resource = Some("e".to_owned());
    world.tell("juliet@example.com", bus::envelope::OwnerBody::Bind { conn, origin, resource });
    let refused = |body: &GatewayBody| match body {
        GatewayBody::Bound(Err(error)) => Some(error.condition.as_str().to_owned()),
        _ => None,
    };
    assert_eq!(world.next(conn, refused).await, "resource-constraint");
}

#[tokio::test]
async fn a_password_is_changed_and_an_account_removed() {
    let world = world(&["juliet", "romeo"]).await;
    let mut juliet = world.online("juliet@example.com/balcony", 0).await;
    let query = |id: &str, inner: &str| {
        format!(
            "<iq type='set' id='{id}' to='example.com'><query xmlns='jabber:iq:register'>{inner}</query></iq>"
        )
    };
    juliet.send(&query("1", "<username>romeo</username><password>x</password>"));
    juliet.expect(&["id='1'", "not-allowed"]).await;
    juliet.send(&query("2", "<username>juliet</username><password>new</password>"));
    juliet.expect(&["id='2'", "type='result'"]).await;
    let loaded =
        world.db.account_load(&world.log, &harness::jid("juliet@example.com")).await.unwrap().unwrap();
    assert_eq!(loaded.credentials.len(), 3);
    juliet.send(&query("3", "<remove/><username>juliet</username>"));
    juliet.expect(&["id='3'", "bad-request"]).await;
    juliet.send(&query("4", "<remove/>"));
    juliet.expect(&["id='4'", "type='result'"]).await;
    world.next(juliet.conn, |body| matches!(body, GatewayBody::Close(_)).then_some(())).await;
    let gone = world.db.account_load(&world.log, &harness::jid("juliet@example.com")).await.unwrap();
    assert!(gone.is_none());
}
