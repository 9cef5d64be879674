//! Stanzas of a bound stream without stream management.

use super::*;

#[test]
fn stanzas_are_stamped_and_numbered() {
    let rows = [
        (
            "<message to='romeo@example.net' type='chat'><body>a</body></message>",
            "(route 1 <message from='juliet@example.com/balcony' to='romeo@example.net' type='chat'><body>a</body></message>)",
        ),
        ("<presence from='Juliet@example.com'/>", "(route 2 <presence from='juliet@example.com/balcony'/>)"),
        (
            "<presence from='juliet@example.com/balcony'/>",
            "(route 3 <presence from='juliet@example.com/balcony'/>)",
        ),
        ("<message to='@'/>", "(refuse 4 <message from='juliet@example.com/balcony'/> jid-malformed)"),
        (
            "<iq type='get' id='1'/>",
            "(refuse 5 <iq from='juliet@example.com/balcony' type='get' id='1'/> bad-request)",
        ),
        (
            "<iq type='set' id='2'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
            "(route 6 <iq from='juliet@example.com/balcony' type='set' id='2'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>)",
        ),
        (" \n", ""),
    ];
    let mut d = Driver::bound();
    for (sent, expected) in rows {
        assert_eq!(d.peer(sent), expected, "{sent}");
    }
    assert_eq!(d.state(), "bound");
}

#[test]
fn a_stanza_gets_the_language_of_the_stream() {
    let mut d = Driver::new(settings(), TLS);
    d.peer(HEADER);
    d.peer("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGp1bGlldAByMG0=</auth>");
    d.success("juliet@example.com");
    d.peer(&HEADER.replace("to='", "xml:lang='de' to='"));
    d.peer("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
    d.owner(Input::Bound(Ok(jid("juliet@example.com/balcony"))));
    assert!(d.peer("<message to='a@example.com'/>").contains(" xml:lang='de'"));
    assert!(d.peer("<message to='a@example.com' xml:lang='fr'/>").contains(" xml:lang='fr'"));
}

#[test]
fn what_is_written_counts_as_received() {
    let mut d = Driver::bound();
    assert_eq!(d.owner(Input::Written), "", "nothing was delivered");
    assert_eq!(d.deliver(1), "<message/>");
    assert_eq!(d.deliver(2), "<message/>");
    assert_eq!(d.owner(Input::Writing), "", "nobody would answer");
    assert_eq!(d.owner(Input::Written), "(acked 2)");
    assert_eq!(d.owner(Input::Written), "", "told once");
    assert_eq!(d.owner(Input::Idle), " ");
    assert_eq!(d.owner(Input::Gone), "(detached)\n(close)");
}

#[test]
fn a_gap_in_deliveries_breaks_the_stream() {
    let mut d = Driver::bound();
    d.deliver(1);
    assert_eq!(d.deliver(3), error("internal-server-error", "a stanza was lost") + "\n(detached)\n(close)");
}
