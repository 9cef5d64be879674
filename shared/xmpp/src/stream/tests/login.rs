//! From the header to the bound resource.

use super::*;
use crate::error::{StanzaCondition, StanzaError};
use crate::sasl::{Failure, FailureCondition};

const SASL: &str = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'";
const AUTH_FAILURE: &str = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>";
const BIND: &str = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>";

fn mechanisms(names: &[&str]) -> String {
    let names: String = names.iter().map(|name| format!("<mechanism>{name}</mechanism>")).collect();
    format!("<mechanisms {SASL}>{names}</mechanisms>")
}

#[test]
fn a_login_from_header_to_resource() {
    let mut d = Driver::new(settings(), CLEAR);
    assert_eq!(
        d.peer(&format!("<?xml version='1.0'?>{HEADER}")),
        response("s1")
            + "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>\n\
               (opened example.com -)"
    );
    assert_eq!(
        d.peer("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
        "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\n(starttls)\n(reset)"
    );
    assert_eq!(d.state(), "securing");
    assert_eq!(d.owner(Input::Secured { channel: TLS, id: "s2".to_owned() }), "");

    let all: Vec<&str> = Mechanism::ALL.iter().map(|mechanism| mechanism.as_str()).collect();
    assert_eq!(
        d.peer(HEADER),
        response("s2")
            + "<stream:features>"
            + &mechanisms(&all)
            + "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='tls-exporter'/>\
               <channel-binding type='tls-server-end-point'/></sasl-channel-binding></stream:features>\n\
               (opened example.com -)"
    );
    // n,,n=juliet,r=abc
    assert_eq!(
        d.peer(&format!("<auth {SASL} mechanism='SCRAM-SHA-1'>biwsbj1qdWxpZXQscj1hYmM=</auth>")),
        "(sasl juliet@example.com SCRAM-SHA-1 n,,n=juliet,r=abc)"
    );
    assert!(d.stream.is_waiting());
    assert_eq!(
        d.owner(Input::Challenge(b"r=abcd".to_vec())),
        format!("<challenge {SASL}>cj1hYmNk</challenge>")
    );
    assert_eq!(d.peer(&format!("<response {SASL}>Yz1iaXdz</response>")), "(sasl juliet@example.com c=biws)");
    let success =
        Input::Success { account: jid("juliet@example.com"), data: Some(b"v=1".to_vec()), id: "s3".into() };
    assert_eq!(
        d.owner(success),
        format!("<success {SASL}>dj0x</success>\n(authenticated juliet@example.com)\n(reset)")
    );
    assert_eq!(
        d.peer(HEADER),
        response("s3")
            + "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>\
               <session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>\
               <sm xmlns='urn:xmpp:sm:3'/><ver xmlns='urn:xmpp:features:rosterver'/>\
               <sub xmlns='urn:xmpp:features:pre-approval'/></stream:features>\n(opened example.com -)"
    );
    assert_eq!(
        d.peer(
            "<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>balcony</resource></bind></iq>"
        ),
        "(bind balcony)"
    );
    assert_eq!(
        d.owner(Input::Bound(Ok(jid("juliet@example.com/balcony")))),
        "<iq type='result' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
         <jid>juliet@example.com/balcony</jid></bind></iq>"
    );
    assert_eq!(d.state(), "bound");
}

#[test]
fn what_is_offered_depends_on_the_channel() {
    let offered = |settings: Settings, channel| {
        let features = Driver::new(settings, channel).peer(HEADER);
        let list = features.split("<mechanism>").skip(1).map(|rest| rest.split('<').next().unwrap());
        let mut words: Vec<String> = list.map(str::to_owned).collect();
        for word in ["starttls", "required", "tls-exporter", "tls-server-end-point", "iq-register"] {
            if features.contains(word) {
                words.push(word.to_owned());
            }
        }
        words.join(" ")
    };
    let plain_scram = "SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN";
    let plus = "SCRAM-SHA-512-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS";
    assert_eq!(offered(settings(), CLEAR), "starttls required");
    let open = || Settings { allow_plaintext: true, registration: true, ..settings() };
    assert_eq!(offered(open(), CLEAR), format!("{plain_scram} starttls iq-register"));
    assert_eq!(offered(settings(), Channel::Tls { exporter: false, end_point: false }), plain_scram);
    assert_eq!(
        offered(settings(), Channel::Tls { exporter: false, end_point: true }),
        format!("{plus} {plain_scram} tls-server-end-point")
    );
    let closed = Settings { registration: true, ..settings() };
    assert_eq!(offered(closed.clone(), CLEAR), "starttls required", "no registration in the clear");
    assert_eq!(
        offered(closed, TLS),
        format!("{plus} {plain_scram} tls-exporter tls-server-end-point iq-register")
    );
    let few = Settings { mechanisms: vec![Mechanism::Plain], ..settings() };
    assert_eq!(offered(few, TLS), "PLAIN", "without -PLUS there is no list of bindings");
}

#[test]
fn caps_are_announced_after_login() {
    let caps = Some(Caps { node: "https://example.org".to_owned(), ver: "x=".to_owned() });
    let mut d = Driver::new(Settings { caps, ..settings() }, TLS);
    assert!(!d.peer(HEADER).contains("caps"));
    d.peer(&format!("<auth {SASL} mechanism='PLAIN'>AGp1bGlldAByMG0=</auth>"));
    d.success("juliet@example.com");
    assert!(d.peer(HEADER).contains(
        "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://example.org' ver='x='/>"
    ));
}

#[test]
fn the_header_is_answered_in_kind() {
    let mut d = Driver::new(settings(), TLS);
    let header = HEADER.replace("to='", "from='Juliet@example.com/x' xml:lang='de' to='");
    let answer = d.peer(&header);
    assert!(
        answer.contains(" id='s1' from='example.com' to='juliet@example.com' version='1.0' xml:lang='de'>")
    );
    assert!(answer.ends_with("(opened example.com de)"));
    let mut d = Driver::new(settings(), TLS);
    let answer = d.peer(&HEADER.replace("to='", "from='@' xml:lang='&lt;' to='"));
    assert!(answer.contains(" id='s1' from='example.com' version='1.0' xml:lang='en'>"), "{answer}");
    for version in ["1.1", "2.0", "1.10"] {
        let mut d = Driver::new(settings(), TLS);
        assert!(d.peer(&HEADER.replace("'1.0'", &format!("'{version}'"))).contains("version='1.0'"));
        assert_eq!(d.state(), "authenticating");
    }
}

#[test]
fn starttls_is_refused_where_it_is_an_attack_or_of_no_use() {
    let failure = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>\n(close)";
    let starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
    let mut d = Driver::new(settings(), CLEAR);
    d.peer(HEADER);
    assert_eq!(d.peer(&format!("{starttls}<auth/>")), failure);
    let mut d = Driver::new(settings(), CLEAR);
    d.peer(HEADER);
    assert_eq!(d.peer(&format!("{starttls} ")), failure, "not even white space");
    let mut d = Driver::new(settings(), TLS);
    d.peer(HEADER);
    assert_eq!(d.peer(starttls), failure);
}

/// Each row: what the client sends, and why it fails.
#[test]
fn sasl() {
    // The first message on its own: it is asked for with an empty challenge.
    let mut d = Driver::new(settings(), TLS);
    d.peer(HEADER);
    assert_eq!(d.peer(&format!("<auth {SASL} mechanism='PLAIN'/>")), format!("<challenge {SASL}/>"));
    assert_eq!(
        d.peer(&format!("<response {SASL}>AGp1bGlldAByMG0=</response>")),
        "(sasl juliet@example.com PLAIN 0juliet0r0m)"
    );

    let failing = [
        ("<auth X mechanism='PLAIN'>AGp1bGlldAByMG0</auth>", "<incorrect-encoding/>"),
        ("<auth X mechanism='PLAIN'>AGp1bGll dAByMG0=</auth>", "<incorrect-encoding/>"),
        ("<auth X mechanism='DIGEST-MD5'/>", "<invalid-mechanism/>"),
        ("<auth X/>", "<invalid-mechanism/>"),
        ("<auth X mechanism='PLAIN'>=</auth>", "<malformed-request/>"),
        ("<auth X mechanism='SCRAM-SHA-1'>AGp1bGlldAByMG0=</auth>", "<malformed-request/>"),
        // NUL, "a@b@c" or a name with a space: such an account cannot be.
        ("<auth X mechanism='PLAIN'>AGEgYgByMG0=</auth>", "<not-authorized/>"),
        ("<response X>YQ==</response>", "<malformed-request/>"),
        ("<abort X/>", "<aborted/>"),
    ];
    for (sent, expected) in failing {
        let mut d = Driver::new(settings(), TLS);
        d.peer(HEADER);
        let answer = d.peer(&sent.replace('X', SASL));
        assert!(answer.starts_with(&format!("{AUTH_FAILURE}{expected}")), "{sent}: {answer}");
        assert!(answer.ends_with("</failure>") && d.state() == "authenticating", "{sent}: {answer}");
    }
}

#[test]
fn sasl_in_the_clear_needs_leave() {
    let auth = format!("<auth {SASL} mechanism='SCRAM-SHA-1'>biwsbj1qdWxpZXQscj1hYmM=</auth>");
    let mut d = Driver::new(settings(), CLEAR);
    d.peer(HEADER);
    assert_eq!(d.peer(&auth), format!("{AUTH_FAILURE}<encryption-required/></failure>"));
    let mut d = Driver::new(Settings { allow_plaintext: true, ..settings() }, CLEAR);
    d.peer(HEADER);
    assert_eq!(d.peer(&auth), "(sasl juliet@example.com SCRAM-SHA-1 n,,n=juliet,r=abc)");
}

#[test]
fn an_exchange_can_be_given_up() {
    let auth = format!("<auth {SASL} mechanism='SCRAM-SHA-1'>biwsbj1qdWxpZXQscj1hYmM=</auth>");
    let challenged = || {
        let mut d = Driver::new(settings(), TLS);
        d.peer(HEADER);
        d.peer(&auth);
        d.owner(Input::Challenge(Vec::new()));
        d
    };
    let abort = "(sasl juliet@example.com abort)";
    let mut d = challenged();
    assert_eq!(d.peer(&format!("<abort {SASL}/>")), format!("{AUTH_FAILURE}<aborted/></failure>\n{abort}"));
    assert_eq!(challenged().peer(&auth).lines().next(), Some(abort), "and begun anew");
    assert_eq!(challenged().peer("</stream:stream>"), format!("</stream:stream>\n{abort}\n(close)"));
    assert_eq!(challenged().owner(Input::Gone), format!("{abort}\n(close)"));
    assert_eq!(challenged().success("juliet@example.com"), "", "an answer that nobody waits for");
}

#[test]
fn attempts_are_limited() {
    let auth = format!("<auth {SASL} mechanism='PLAIN'>AGp1bGlldAByMG0=</auth>");
    let mut d = Driver::new(settings(), TLS);
    d.peer(HEADER);
    let failure = format!("{AUTH_FAILURE}<not-authorized/><text xml:lang='en'>no</text></failure>");
    for last in [false, false, true] {
        d.peer(&auth);
        let answer = d.owner(Input::Failure(Failure::new(FailureCondition::NotAuthorized, "no")));
        let expected = match last {
            true => format!("{failure}{}\n(close)", error("policy-violation", "too many attempts to log in")),
            false => failure.clone(),
        };
        assert_eq!(answer, expected);
    }
    assert_eq!(d.state(), "closed");
}

#[test]
fn registration() {
    let mut d = Driver::new(Settings { registration: true, ..settings() }, TLS);
    d.peer(HEADER);
    let iq = |kind: &str, inner: &str| {
        format!(
            "<iq type='{kind}' id='r' to='example.com'><query xmlns='jabber:iq:register'>{inner}</query></iq>"
        )
    };
    assert_eq!(
        d.peer(&iq("get", "")),
        "<iq from='example.com' type='result' id='r'><query xmlns='jabber:iq:register'>\
         <instructions>Choose a name and a password.</instructions><username/><password/></query></iq>"
    );
    let form = "<username>Romeo</username><password>j&amp;r</password>";
    assert_eq!(d.peer(&iq("set", form)), "(register romeo@example.com j&r)");
    assert!(d.stream.is_waiting());
    assert_eq!(d.owner(Input::Registered(Ok(()))), "<iq from='example.com' type='result' id='r'/>");

    d.peer(&iq("set", form));
    let conflict = d.owner(Input::Registered(Err(StanzaCondition::Conflict.into())));
    assert!(
        conflict.starts_with("<iq from='example.com' type='error' id='r'><error type='cancel'><conflict ")
    );
    for (fields, condition) in [
        ("<username>romeo</username>", "not-acceptable"),
        ("<username/><password>x</password>", "not-acceptable"),
        ("<username>a b</username><password>x</password>", "jid-malformed"),
        ("<remove/>", "unexpected-request"),
    ] {
        let answer = d.peer(&iq("set", fields));
        assert!(answer.contains(condition), "{fields}: {answer}");
    }
    assert_eq!(d.state(), "authenticating");
    let not_authorized = d.peer("<iq type='get' id='v'><query xmlns='jabber:iq:version'/></iq>");
    assert!(not_authorized.contains("<not-authorized "), "{not_authorized}");

    let mut d = Driver::new(settings(), TLS);
    d.peer(HEADER);
    assert!(d.peer(&iq("get", "")).contains("<not-authorized "), "it is off by default");
    let mut d = Driver::new(Settings { registration: true, ..settings() }, CLEAR);
    d.peer(HEADER);
    assert!(d.peer(&iq("set", form)).contains("<not-authorized "), "no password in the clear");
}

#[test]
fn binding_errors_leave_room_for_another_try() {
    let mut d = Driver::new(settings(), TLS);
    d.peer(HEADER);
    d.peer(&format!("<auth {SASL} mechanism='PLAIN'>AGp1bGlldAByMG0=</auth>"));
    d.success("juliet@example.com");
    d.peer(HEADER);
    let long = "x".repeat(1024);
    let answer = d.peer(&format!(
        "<iq type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{long}</resource></bind></iq>"
    ));
    assert!(answer.starts_with("<iq type='error' id='1'><error type='modify'><bad-request "), "{answer}");
    let too_early = "<failed xmlns='urn:xmpp:sm:3'><unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>";
    assert_eq!(d.peer("<enable xmlns='urn:xmpp:sm:3'/>"), too_early);
    assert_eq!(d.peer(&format!("<iq type='set' id='2'>{BIND}</iq>")), "(bind -)");
    let refused = StanzaError::from(StanzaCondition::ResourceConstraint);
    let answer = d.owner(Input::Bound(Err(refused)));
    assert!(
        answer.starts_with("<iq type='error' id='2'><error type='wait'><resource-constraint "),
        "{answer}"
    );
    assert_eq!(d.state(), "binding");
    assert_eq!(d.peer("</stream:stream>"), "</stream:stream>\n(close)");
}
