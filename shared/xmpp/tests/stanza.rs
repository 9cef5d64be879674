//! Stanzas: from a client's bytes to the canonical form, and what is made of it.
#![allow(clippy::unwrap_used, reason = "tests stop where something is not as expected")]

use xmpp::error::StanzaError;
use xmpp::framing::{Frame, Limits, Reader};
use xmpp::stanza::{IqType, Kind, Stanza};
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
