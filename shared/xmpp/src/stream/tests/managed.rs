//! XEP-0198.

use super::*;
use crate::error::StanzaCondition;
use bytes::Bytes;

const SM: &str = "xmlns='urn:xmpp:sm:3'";
const R: &str = "<r xmlns='urn:xmpp:sm:3'/>";

fn a(h: u32) -> String {
    format!("<a {SM} h='{h}'/>")
}

fn managed_input(resume_seconds: Option<u32>) -> Input<'static> {
    Input::Managed { id: "sm1".to_owned(), resume_seconds }
}

/// Managed from the start.
fn managed() -> Driver {
    let mut d = Driver::bound();
    assert_eq!(d.peer(&format!("<enable {SM}/>")), "(manage false None)");
    assert_eq!(d.owner(managed_input(None)), format!("<enabled {SM} id='sm1'/>"));
    d
}

#[test]
fn enable() {
    let rows = [
        ("", "(manage false None)"),
        (" resume='true'", "(manage true None)"),
        (" resume='1' max='60'", "(manage true Some(60))"),
        (" resume='false' max='x'", "(manage false None)"),
    ];
    for (attributes, expected) in rows {
        let mut d = Driver::bound();
        assert_eq!(d.peer(&format!("<enable {SM}{attributes}/>")), expected);
        assert!(d.stream.is_waiting(), "stanzas wait for the owner's answer");
    }
    let mut d = Driver::bound();
    d.peer(&format!("<enable {SM} resume='true'/>"));
    assert_eq!(
        d.owner(managed_input(Some(300))),
        format!("<enabled {SM} id='sm1' resume='true' max='300'/>")
    );
    let failed =
        format!("<failed {SM}><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>");
    assert_eq!(
        d.peer(&format!("<enable {SM}/>")),
        format!(
            "{failed}{}\n(closed)\n(close)",
            error("policy-violation", "stream management is enabled already")
        )
    );
    for early in [R, "<a xmlns='urn:xmpp:sm:3' h='0'/>", "<resume xmlns='urn:xmpp:sm:3' previd='x' h='0'/>"] {
        assert_eq!(Driver::bound().peer(early), failed, "{early}");
    }
}

#[test]
fn counts_begin_at_enable() {
    let mut d = Driver::bound();
    d.peer("<presence/><presence/>");
    d.deliver(1);
    d.peer(&format!("<enable {SM}/>"));
    d.deliver(2);
    d.owner(managed_input(None));
    assert_eq!(d.owner(Input::Written), "(acked 2)", "what came before counts as received when written");
    d.deliver(3);
    assert_eq!(d.owner(Input::Written), "", "what comes after is acknowledged");
    assert_eq!(d.peer(&a(1)), "(acked 3)");

    assert_eq!(d.peer(R), "(await 2)");
    assert_eq!(d.owner(Input::Confirmed(2)), a(0));
    d.peer("<presence/>");
    assert_eq!(d.peer(R), "(await 3)");
    assert_eq!(d.owner(Input::Confirmed(3)), a(1));
}

#[test]
fn only_what_is_confirmed_is_acknowledged() {
    let mut d = managed();
    d.peer("<presence/><presence/><presence/>");
    assert_eq!(d.peer(R), "(await 3)");
    assert_eq!(d.owner(Input::Confirmed(1)), a(1), "it took too long: the truth, not the wish");
    assert_eq!(d.owner(Input::Confirmed(3)), "", "not asked again");
    assert_eq!(d.peer(R), "(await 3)");
    assert_eq!(d.peer(R), format!("{}\n(await 3)", a(3)), "each request gets its answer");
    assert_eq!(d.owner(Input::Confirmed(3)), a(3));
}

#[test]
fn we_ask_once_at_a_time() {
    let mut d = managed();
    assert_eq!(d.owner(Input::Writing), "", "nothing was delivered");
    d.deliver(1);
    assert_eq!(d.owner(Input::Writing), R);
    d.deliver(2);
    assert_eq!(d.owner(Input::Writing), "", "the answer is due");
    assert_eq!(d.peer(&a(1)), format!("{R}\n(acked 1)"), "there was more");
    assert_eq!(d.peer(&a(2)), "(acked 2)");
    assert_eq!(d.owner(Input::Writing), "");
    d.deliver(3);
    assert_eq!(d.owner(Input::Writing), R);
    assert_eq!(d.peer(&a(2)), "", "no progress, no question");
    assert_eq!(d.peer(&a(1)), "", "an old number does no harm");
    assert_eq!(d.owner(Input::Idle), R, "a silent client is asked anew");
    assert_eq!(d.peer(&a(3)), "(acked 3)");
}

#[test]
fn acknowledging_too_much_ends_the_session() {
    let mut d = managed();
    d.deliver(1);
    assert_eq!(
        d.peer(&a(2)),
        "<stream:error><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
         <text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>2 stanzas were acknowledged, but only 1 were sent</text>\
         <handled-count-too-high xmlns='urn:xmpp:sm:3' h='2' send-count='1'/></stream:error></stream:stream>\n(closed)\n(close)"
    );
    for bad in [
        "<a xmlns='urn:xmpp:sm:3'/>",
        "<a xmlns='urn:xmpp:sm:3' h='-1'/>",
        "<a xmlns='urn:xmpp:sm:3' h='4294967296'/>",
    ] {
        assert!(managed().peer(bad).starts_with("<stream:error><bad-format "), "{bad}");
    }
    assert!(
        managed().peer("<x xmlns='urn:xmpp:sm:3'/>").starts_with("<stream:error><unsupported-stanza-type ")
    );
}

fn binding() -> Driver {
    let mut d = Driver::new(settings(), TLS);
    d.peer(HEADER);
    d.peer("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGp1bGlldAByMG0=</auth>");
    d.success("juliet@example.com");
    d.peer(HEADER);
    d
}

fn resume(d: &mut Driver, resumed: Resumed) -> String {
    assert_eq!(d.peer(&format!("<resume {SM} previd='sm1' h='7'/>")), "(resume sm1 7)");
    assert!(d.stream.awaits_session());
    d.owner(Input::Resumed(Ok(Box::new(resumed))))
}

fn session() -> Resumed {
    Resumed {
        id: "sm1".to_owned(),
        jid: jid("juliet@example.com/balcony"),
        handled: 12,
        acked: 27,
        inbound_base: 2,
        outbound_base: 20,
        unacked: vec![Bytes::from_static(b"<message id='28'/>"), Bytes::from_static(b"<message id='29'/>")],
    }
}

#[test]
fn resumption_goes_on_where_it_broke() {
    let mut d = binding();
    assert_eq!(
        resume(&mut d, session()),
        format!("<resumed {SM} previd='sm1' h='10'/><message id='28'/><message id='29'/>{R}")
    );
    assert_eq!(d.state(), "bound");
    assert_eq!(d.owner(Input::Written), "", "the client acknowledges");
    assert_eq!(d.deliver(30), "<message/>");
    assert_eq!(d.peer(&a(9)), format!("{R}\n(acked 29)"));
    assert!(d.peer("<presence/>").starts_with("(route 13 "));
    assert_eq!(d.peer(R), "(await 13)");
    assert_eq!(d.owner(Input::Confirmed(13)), a(11));
}

#[test]
fn counters_wrap() {
    let wide = u64::from(u32::MAX);
    let mut d = binding();
    let resumed = Resumed { handled: 2 + wide, acked: 20 + wide - 1, unacked: Vec::new(), ..session() };
    assert_eq!(resume(&mut d, resumed), format!("<resumed {SM} previd='sm1' h='4294967295'/>"));
    d.deliver(20 + wide);
    d.deliver(20 + wide + 1);
    assert_eq!(d.peer(&a(0)), format!("(acked {})", 20 + wide + 1));
    d.peer("<presence/>");
    d.peer(R);
    assert_eq!(d.owner(Input::Confirmed(3 + wide)), a(0));
}

#[test]
fn a_resumption_that_fails_leaves_room_to_bind() {
    let mut d = binding();
    for (sent, condition) in [
        ("<resume xmlns='urn:xmpp:sm:3' h='1'/>", "bad-request"),
        ("<resume xmlns='urn:xmpp:sm:3' previd='x'/>", "bad-request"),
        ("<resume xmlns='urn:xmpp:sm:3' previd='x' h='many'/>", "bad-request"),
    ] {
        let expected =
            format!("<failed {SM}><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>");
        assert_eq!(d.peer(sent), expected);
    }
    d.peer(&format!("<resume {SM} previd='gone' h='1'/>"));
    let refused = ResumeRefused { error: StanzaCondition::ItemNotFound.into(), handled: Some(5) };
    assert_eq!(
        d.owner(Input::Resumed(Err(refused))),
        format!("<failed {SM} h='5'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>")
    );
    assert_eq!(
        d.peer("<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"),
        "(bind -)"
    );
}
