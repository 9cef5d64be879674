//! Every stream error of RFC 6120 §4.9.3 that can come of a client's stream.

use super::*;

/// Before a header was read: the response header, the error, the end.
#[test]
fn before_the_header() {
    let rows = [
        (HEADER.replace(" version='1.0'", ""), "unsupported-version"),
        (HEADER.replace("'1.0'", "'0.9'"), "unsupported-version"),
        (HEADER.replace("'1.0'", "'one'"), "unsupported-version"),
        (HEADER.replace("'1.0'", "'+1.0'"), "unsupported-version"),
        (HEADER.replace(" to='example.com'", ""), "host-unknown"),
        (HEADER.replace("example.com", "example.org"), "host-unknown"),
        (HEADER.replace("example.com", "juliet@example.com"), "host-unknown"),
        (HEADER.replace("example.com", "@example.com"), "improper-addressing"),
        (HEADER.replace("'jabber:client'", "'jabber:server'"), "invalid-namespace"),
        (HEADER.replace("http://etherx.jabber.org/streams", "urn:x"), "invalid-namespace"),
        (
            HEADER.replace("stream:stream", "s:stream").replace("xmlns:stream", "xmlns:s"),
            "bad-namespace-prefix",
        ),
        ("<?xml version='1.0' encoding='UTF-16'?>".to_owned(), "unsupported-encoding"),
        ("<!-- hello -->".to_owned(), "restricted-xml"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]>".to_owned(), "restricted-xml"),
        ("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>".to_owned(), "invalid-namespace"),
        ("<stream:stream to=example.com>".to_owned(), "not-well-formed"),
        ("GET / HTTP/1.1\r\n".to_owned(), "not-well-formed"),
        (format!("<stream:stream {}", "a='b' ".repeat(2000)), "policy-violation"),
    ];
    for (sent, condition) in rows {
        let mut d = Driver::new(settings(), CLEAR);
        let answer = d.peer(&sent);
        let expected = response("s1") + &format!("<stream:error><{condition} xmlns='urn:ietf");
        assert!(answer.starts_with(&expected), "{sent}: {answer}");
        assert!(answer.ends_with("</stream:error></stream:stream>\n(close)"), "{sent}: {answer}");
        assert_eq!(d.state(), "closed");
    }
}

#[test]
fn a_second_stream_to_another_domain_is_refused() {
    let mut d = Driver::new(settings(), CLEAR);
    d.peer(HEADER);
    d.peer("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    d.owner(Input::Secured { channel: TLS, id: "s2".to_owned() });
    let answer = d.peer(&HEADER.replace("example.com", "example.net"));
    assert_eq!(
        answer,
        response("s2")
            + &error("host-unknown", "the stream was opened to another domain before")
            + "\n(close)"
    );
}

/// In each state a row is for: what the client sends, the error it gets.
#[test]
fn after_the_header() {
    let login = [
        ("<message to='a@example.com'/>", "not-authorized"),
        ("<presence/>", "not-authorized"),
        ("<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>", "not-authorized"),
        ("<foo xmlns='urn:foo'/>", "unsupported-stanza-type"),
        ("<starttls/>", "unsupported-stanza-type"),
        ("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "unsupported-stanza-type"),
        ("text", "bad-format"),
        ("<a><b></a>", "not-well-formed"),
        ("<a:b/>", "not-well-formed"),
        ("<!-- -->", "restricted-xml"),
        ("<?php ?>", "restricted-xml"),
        ("<a>&bomb;</a>", "restricted-xml"),
    ];
    let bound = [
        ("<message from='romeo@example.net'/>", "invalid-from"),
        ("<message from='juliet@example.com/other'/>", "invalid-from"),
        ("<message from='@@'/>", "invalid-from"),
        ("<foo xmlns='urn:foo'/>", "unsupported-stanza-type"),
        ("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>", "unsupported-stanza-type"),
        ("<message xmlns='jabber:server'/>", "unsupported-stanza-type"),
        ("<a xmlns='urn:xmpp:sm:3'><b/></c>", "not-well-formed"),
        ("</stream>", "not-well-formed"),
    ];
    let check = |mut d: Driver, sent: &str, condition: &str, leave: &str| {
        let answer = d.peer(sent);
        assert!(
            answer.starts_with(&format!("<stream:error><{condition} xmlns='urn:ietf")),
            "{sent}: {answer}"
        );
        assert!(
            answer.ends_with(&format!("</stream:error></stream:stream>\n{leave}(close)")),
            "{sent}: {answer}"
        );
        assert_eq!(d.state(), "closed");
    };
    for (sent, condition) in login {
        let mut d = Driver::new(settings(), TLS);
        d.peer(HEADER);
        check(d, sent, condition, "");
        let mut d = Driver::new(settings(), TLS);
        d.peer(HEADER);
        d.peer("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGp1bGlldAByMG0=</auth>");
        d.success("juliet@example.com");
        d.peer(HEADER);
        check(d, sent, condition, "");
    }
    for (sent, condition) in bound {
        check(Driver::bound(), sent, condition, "(closed)\n");
    }
}

/// Errors of the driver's own, and what they mean for the session.
#[test]
fn errors_of_our_own() {
    use StreamCondition as C;
    for condition in
        [C::ConnectionTimeout, C::SystemShutdown, C::ResourceConstraint, C::InternalServerError, C::Reset]
    {
        let answer = Driver::bound().owner(Input::Fail(condition.into()));
        assert_eq!(answer, error(condition.as_str(), "") + "\n(detached)\n(close)");
    }
    for condition in [C::PolicyViolation, C::NotWellFormed, C::Conflict] {
        let answer = Driver::bound().owner(Input::Fail(condition.into()));
        assert_eq!(answer, error(condition.as_str(), "") + "\n(closed)\n(close)");
    }
    // The owner's own: it knows already.
    let answer = Driver::bound().owner(Input::End(C::Conflict.into()));
    assert_eq!(answer, error("conflict", "") + "\n(close)");
    let mut see_other = StreamError::from(C::SeeOtherHost);
    see_other.content = Some("b.example.com:5222".into());
    assert!(Driver::bound().owner(Input::End(see_other)).contains(">b.example.com:5222</see-other-host>"));

    let mut d = Driver::new(settings(), CLEAR);
    let late = d.owner(Input::Fail(C::ConnectionTimeout.into()));
    assert_eq!(late, response("s1") + &error("connection-timeout", "") + "\n(close)");
    let mut d = Driver::new(settings(), CLEAR);
    d.peer(HEADER);
    d.peer("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    assert_eq!(
        d.owner(Input::Fail(C::ConnectionTimeout.into())),
        "(close)",
        "in a handshake nothing can be said"
    );
}

#[test]
fn nothing_comes_of_a_closed_stream() {
    let mut d = Driver::bound();
    assert_eq!(d.peer("</stream:stream>"), "</stream:stream>\n(closed)\n(close)");
    assert_eq!(d.deliver(1), "");
    assert_eq!(d.owner(Input::Gone), "");
}
