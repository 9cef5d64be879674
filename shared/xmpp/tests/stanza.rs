//! Stanzas: from a client's bytes to the canonical form, and what is made of it.
#![allow(clippy::unwrap_used, reason = "tests stop where something is not as expected")]

use xmpp::error::{StanzaCondition, StanzaError};
use xmpp::framing::{Frame, Limits, Reader};
use xmpp::stanza::{IqType, Kind, MessageType, PresenceType, Stanza};
use xmpp::{Jid, ns};

const HEADER: &str = "<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams' xmlns:h='urn:h'>";

fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

fn stamp(xml: &str) -> Result<Stanza, (Stanza, StanzaError)> {
    let mut reader = Reader::new(Limits::default());
    let (used, frame) = reader.next(HEADER.as_bytes()).unwrap();
    assert_eq!(used, HEADER.len());
    assert!(matches!(frame, Some(Frame::Header(_))));
    match reader.next(xml.as_bytes()).unwrap() {
        (used, Some(Frame::Stanza(raw))) => {
            assert_eq!(used, xml.len());
            raw.stamp(&jid("a@localhost/r"))
        }
        _ => panic!("no stanza: {xml}"),
    }
}

fn text(stanza: &Stanza) -> &str {
    std::str::from_utf8(stanza.xml()).unwrap()
}

#[test]
fn canonical_form() {
    for (sent, canonical) in [
        ("<message/>", "<message from='a@localhost/r'/>"),
        ("<message></message>", "<message from='a@localhost/r'/>"),
        (
            "<message xmlns=\"jabber:client\" id=\"1\" type=\"chat\" to=\"B@LOCALHOST\" from='x'><body>hi</body></message>",
            "<message from='a@localhost/r' to='b@localhost' type='chat' id='1'><body>hi</body></message>",
        ),
        ("<message type='normal'/>", "<message from='a@localhost/r' type='normal'/>"),
        ("<message type='odd'> </message >", "<message from='a@localhost/r'> </message>"),
        (
            "<message xml:lang='de' id=\"it's &quot;1&#x22;\" x:k=\"'v'\" xmlns:x='urn:x' k='\n'/>",
            "<message from='a@localhost/r' id='it&apos;s &quot;1&quot;' xml:lang='de' x:k='&apos;v&apos;' xmlns:x='urn:x' k=' '/>",
        ),
        (
            "<message><h:x/><stream:y/></message>",
            "<message from='a@localhost/r' xmlns:stream='http://etherx.jabber.org/streams' xmlns:h='urn:h'><h:x/><stream:y/></message>",
        ),
        (
            "<message xmlns:h='urn:other'><h:x/></message>",
            "<message from='a@localhost/r' xmlns:h='urn:other'><h:x/></message>",
        ),
    ] {
        let stanza = stamp(sent).map_err(|(_, error)| error).unwrap();
        assert_eq!(text(&stanza), canonical, "{sent}");
        let again = Stanza::parse(stanza.xml().clone()).unwrap();
        assert_eq!(text(&again), canonical);
        assert_eq!(again.from(), stanza.from());
        assert_eq!(again.id(), stanza.id());
    }
}

#[test]
fn what_is_read() {
    let stanza = stamp(
        "<iq type='set' id='a&amp;b' to='localhost'><query xmlns='jabber:iq:roster' ver='&lt;'><item jid='x@y'/>t</query></iq>",
    )
    .unwrap();
    assert_eq!(stanza.kind(), Kind::Iq(IqType::Set));
    assert_eq!(stanza.id(), Some("a&b"));
    assert_eq!(stanza.to(), Some(&jid("localhost")));
    let payload = stanza.payload().unwrap();
    assert!(payload.is("query", ns::ROSTER));
    assert_eq!(payload.attr("ver").as_deref(), Some("<"));
    assert_eq!(payload.text(), "t");
    let element = payload.to_element();
    assert_eq!(element.child("item", ns::ROSTER).unwrap().attr("jid"), Some("x@y"));
    assert_eq!(stanza.inner(), payload.xml);
}

#[test]
fn what_cannot_be_routed_can_be_answered() {
    for (sent, condition, answered) in [
        (
            "<message to='a@b@c' id='1'><body>x</body></message>",
            "jid-malformed",
            "<message to='a@localhost/r' type='error' id='1'>",
        ),
        ("<message to=''/>", "jid-malformed", "<message to='a@localhost/r' type='error'>"),
        ("<iq type='get'><x/></iq>", "bad-request", "<iq to='a@localhost/r' type='error' id=''>"),
        ("<iq id='1'><x/></iq>", "bad-request", "<iq to='a@localhost/r' type='error' id='1'>"),
        (
            "<iq id='1' type='subscribe' to='b@c'><x/></iq>",
            "bad-request",
            "<iq from='b@c' to='a@localhost/r' type='error' id='1'>",
        ),
        ("<iq id='1' type='get'/>", "bad-request", "<iq to='a@localhost/r' type='error' id='1'>"),
        ("<iq id='1' type='set'><x/><y/></iq>", "bad-request", "<iq to='a@localhost/r' type='error' id='1'>"),
        ("<presence type='available'/>", "bad-request", "<presence to='a@localhost/r' type='error'>"),
    ] {
        let (stanza, error) = stamp(sent).expect_err(sent);
        assert_eq!(error.condition.as_str(), condition, "{sent}");
        let reply = stanza.error_reply(&error).unwrap();
        assert!(text(&reply).starts_with(answered), "{sent}: {}", text(&reply));
        assert_eq!(Stanza::parse(reply.xml().clone()).unwrap(), reply);
    }
    // The first thing wrong is the one that is said; results and errors are nobody's request.
    assert_eq!(stamp("<iq to='@'/>").unwrap_err().1.condition, StanzaCondition::BadRequest);
    for fine in ["<iq id='1' type='result'/>", "<iq id='' type='error'/>", "<message type='x'/>"] {
        assert!(stamp(fine).is_ok(), "{fine}");
    }
}

#[test]
fn kinds() {
    for (sent, kind) in [
        ("<message/>", Kind::Message(MessageType::Normal)),
        ("<message type='chat'/>", Kind::Message(MessageType::Chat)),
        ("<message type='&#99;hat'/>", Kind::Message(MessageType::Chat)),
        ("<message type='Chat'/>", Kind::Message(MessageType::Normal)),
        ("<message type='error'/>", Kind::Message(MessageType::Error)),
        ("<message type='groupchat'/>", Kind::Message(MessageType::Groupchat)),
        ("<message type='headline'/>", Kind::Message(MessageType::Headline)),
        ("<presence/>", Kind::Presence(PresenceType::Available)),
        ("<presence type='unavailable'/>", Kind::Presence(PresenceType::Unavailable)),
        ("<presence type='subscribe'/>", Kind::Presence(PresenceType::Subscribe)),
        ("<presence type='subscribed'/>", Kind::Presence(PresenceType::Subscribed)),
        ("<presence type='unsubscribe'/>", Kind::Presence(PresenceType::Unsubscribe)),
        ("<presence type='unsubscribed'/>", Kind::Presence(PresenceType::Unsubscribed)),
        ("<presence type='probe'/>", Kind::Presence(PresenceType::Probe)),
        ("<presence type='error'/>", Kind::Presence(PresenceType::Error)),
        ("<iq id='1' type='result'/>", Kind::Iq(IqType::Result)),
    ] {
        let stanza = stamp(sent).unwrap();
        assert_eq!(stanza.kind(), kind, "{sent}");
        assert_eq!(stanza.kind().is_error(), sent.contains("error"));
    }
}

#[test]
fn replies() {
    let request = stamp("<iq type='get' id='it&apos;s' to='localhost'><q xmlns='urn:q'/></iq>").unwrap();
    let result = request.result_reply("<q xmlns='urn:q'>1</q>");
    assert_eq!(
        text(&result),
        "<iq from='localhost' to='a@localhost/r' type='result' id='it&apos;s'><q xmlns='urn:q'>1</q></iq>"
    );
    assert_eq!(result.id(), Some("it's"));
    assert!(result.error_reply(&StanzaCondition::BadRequest.into()).is_none());
    let error = request.error_reply(&StanzaCondition::ItemNotFound.into()).unwrap();
    assert_eq!(error.kind(), Kind::Iq(IqType::Error));
    assert!(error.error_reply(&StanzaCondition::BadRequest.into()).is_none());
    assert_eq!(
        text(&error),
        "<iq from='localhost' to='a@localhost/r' type='error' id='it&apos;s'><error type='cancel'>\
         <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    );
    assert_eq!(error.child("error", ns::CLIENT).unwrap().attr("type").as_deref(), Some("cancel"));
}

#[test]
fn changes() {
    let stanza =
        stamp("<message to='b@c' id='1' xml:lang='de'><body>x</body>\n<a xmlns='urn:a'/></message>").unwrap();
    let to = jid("d@e/f");
    assert_eq!(
        text(&stanza.with_to(Some(&to)).with_from(None)),
        "<message to='d@e/f' id='1' xml:lang='de'><body>x</body>\n<a xmlns='urn:a'/></message>"
    );
    assert_eq!(stanza.with_to(None).to(), None);
    assert_eq!(text(&stanza), text(&stanza.with_to(Some(&to)).with_to(stanza.to())));
    let added = stanza.with_child("<b/>");
    assert!(text(&added).ends_with("<a xmlns='urn:a'/><b/></message>"));
    assert_eq!(added.children().map(|child| child.name.to_owned()).collect::<Vec<_>>(), ["body", "a", "b"]);
    assert_eq!(text(&added.without(|child| child.name == "b")), text(&stanza));
    let bare = added.without(|child| child.ns == "urn:a" || child.ns == ns::CLIENT);
    assert_eq!(bare.inner(), "\n");
    let empty = stamp("<message to='b@c'><x/></message>").unwrap().without(|_| true);
    assert_eq!(text(&empty), "<message from='a@localhost/r' to='b@c'/>");
    assert_eq!(text(&empty.with_child("<y/>")), "<message from='a@localhost/r' to='b@c'><y/></message>");
    assert_eq!(
        text(&stanza.with_inner("<z/>")),
        "<message from='a@localhost/r' to='b@c' id='1' xml:lang='de'><z/></message>"
    );
    // Nothing to take out: the same bytes.
    assert_eq!(stanza.without(|_| false).xml().as_ptr(), stanza.xml().as_ptr());
    assert_eq!(stanza.clone().xml().as_ptr(), stanza.xml().as_ptr());
    assert_eq!(size_of::<Option<Stanza>>(), 8);
    assert!(!format!("{stanza:?}").contains("body"), "content must not get into a log");
}

#[test]
fn the_language_of_the_stream() {
    let mut reader = Reader::new(Limits::default());
    assert!(reader.next(HEADER.as_bytes()).is_ok());
    for (sent, canonical) in [
        ("<message/>", "<message from='a@localhost/r' xml:lang='fr'/>"),
        ("<message xml:lang='de'/>", "<message from='a@localhost/r' xml:lang='de'/>"),
        ("<message xml:lang=''/>", "<message from='a@localhost/r' xml:lang=''/>"),
    ] {
        let Ok((_, Some(Frame::Stanza(raw)))) = reader.next(sent.as_bytes()) else { panic!() };
        let stanza = raw.stamp_in(&jid("a@localhost/r"), Some("fr")).map_err(|(_, error)| error).unwrap();
        assert_eq!(text(&stanza), canonical);
    }
}

#[test]
fn what_is_content() {
    let of = |kind: &str, inner: &str| {
        stamp(&format!("<message type='{kind}'>{inner}</message>"))
            .map_err(|(_, error)| error)
            .unwrap()
            .content()
    };
    const STATE: &str = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";
    for yes in [
        "<body>x</body>",
        "<body/>",
        "<store xmlns='urn:xmpp:hints'/>",
        "<encryption xmlns='urn:xmpp:eme:0' namespace='x'/>",
        "<encrypted xmlns='eu.siacs.conversations.axolotl'/>",
        "<encrypted xmlns='urn:xmpp:omemo:2'/>",
        "<received xmlns='urn:xmpp:receipts' id='1'/>",
        "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>",
        "<reactions xmlns='urn:xmpp:reactions:0' id='1'/>",
        "<retract xmlns='urn:xmpp:message-retract:1' id='1'/>",
        "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>",
        "<x xmlns='jabber:x:conference' jid='r@m'/>",
    ] {
        assert!(of("chat", yes).content, "{yes}");
        assert!(of("normal", &format!("{STATE}{yes}")).content, "{yes}");
        assert!(!of("chat", &format!("{STATE}{yes}")).chat_state_only, "{yes}");
        assert!(!of("error", yes).content, "{yes}");
    }
    for no in [
        "",
        "<subject>x</subject>",
        "<body xmlns='urn:x'/>",
        "<store/>",
        "<no-store xmlns='urn:xmpp:hints'/>",
        "<request xmlns='urn:xmpp:receipts'/>",
        "<markable xmlns='urn:xmpp:chat-markers:0'/>",
        "<x xmlns='jabber:x:data'/>",
        "<x><body/></x>",
        STATE,
    ] {
        assert!(!of("chat", no).content, "{no}");
    }
    assert!(of("chat", STATE).chat_state_only);
    assert!(
        of("chat", &format!("{STATE}<no-store xmlns='urn:xmpp:hints'/><thread>1</thread>")).chat_state_only
    );
    assert!(!of("chat", &format!("{STATE}<x xmlns='urn:x'/>")).chat_state_only);
    assert!(!of("chat", "").chat_state_only);
    assert!(of("chat", "<body>x</body>").body && !of("chat", "<received xmlns='urn:xmpp:receipts'/>").body);
}

#[test]
fn hints() {
    let of = |xml: &str| stamp(xml).map_err(|(_, error)| error).unwrap().hints();
    let all = of("<message><no-store xmlns='urn:xmpp:hints'/><no-permanent-store xmlns='urn:xmpp:hints'/>\
                  <no-copy xmlns='urn:xmpp:hints'/><store xmlns='urn:xmpp:hints'/></message>");
    assert!(all.no_store && all.no_permanent_store && all.no_copy && all.store);
    assert_eq!(of("<message><no-store/></message>"), Default::default());
    // XEP-0334 §4: nothing of it counts in an error.
    assert_eq!(of("<message type='error'><no-copy xmlns='urn:xmpp:hints'/></message>"), Default::default());
}

#[test]
fn what_the_server_makes() {
    let from = jid("a@b");
    let stanza = Stanza::new(
        Kind::Message(MessageType::Headline),
        Some(&from),
        None,
        Some("<1>"),
        "t<x xmlns='urn:x'>1</x> <y/>",
    );
    assert_eq!(
        text(&stanza),
        "<message from='a@b' type='headline' id='&lt;1&gt;'>t<x xmlns='urn:x'>1</x> <y/></message>"
    );
    assert_eq!(stanza.id(), Some("<1>"));
    assert_eq!(stanza.child("x", "urn:x").unwrap().text(), "1");
    assert_eq!(stanza.child("y", ns::CLIENT).unwrap().xml, "<y/>");
    assert_eq!(Stanza::parse(stanza.xml().clone()).unwrap(), stanza);
    for bad in
        ["", "x", "<message", "<message></presence>", "<x/>", "<iq type='odd' id='1'/>", "<message to='@'/>"]
    {
        assert!(Stanza::parse(bad.to_owned().into()).is_err(), "{bad}");
    }
}
