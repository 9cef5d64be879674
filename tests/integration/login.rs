//! RFC 6120 §5 (STARTTLS), §6 (SASL), XEP-0368 (direct TLS), RFC 5929 and 9266 (channel binding),
//! XEP-0440: every way in, and every way to be refused.

use crate::client::{Client, PASSWORD};
use crate::scram::Scram;
use crate::server::Server;
use crate::steps::header;
use crate::tls;
use crate::xml::Element;
use aws_lc_rs::digest;
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";

fn mechanisms(features: &Element) -> Vec<String> {
    let list = features.child("mechanisms");
    list.map(|l| l.children.iter().map(|m| m.text.clone()).collect()).unwrap_or_default()
}

fn expect_failure(client: &Client, failure: &Element, condition: &str) {
    if !failure.is("failure", SASL) || failure.children.iter().all(|c| c.name != condition) {
        client.fail(&format!("wanted a failure with {condition}, got {failure}"));
    }
}

/// A stream under TLS, with its features not yet read.
fn secured(server: &Server, version: &'static SupportedProtocolVersion) -> Client {
    let mut client = Client::connect(server.c2s);
    client.open();
    client.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    client.expect("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    client.secure(tls::with_versions(&[version]));
    client
}

fn end_point(client: &Client) -> Vec<u8> {
    let certificate = client.tls().peer_certificates().expect("the server's certificate")[0].clone();
    // RFC 5929 §4.1: the hash of the certificate's signature, SHA-256 at least; ours and the ones of
    // these tests are ECDSA with SHA-256.
    digest::digest(&digest::SHA256, &certificate).as_ref().to_vec()
}

fn exporter(client: &Client) -> Vec<u8> {
    // RFC 9266 §2.
    client.tls().export_keying_material(vec![0; 32], b"EXPORTER-Channel-Binding", Some(b"")).unwrap()
}

#[test]
fn every_scram_under_tls() {
    let server = Server::with_users(&[], &["romeo"]);
    for version in [&TLS12, &TLS13] {
        for mechanism in ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
            let mut client = secured(&server, version);
            let offered = mechanisms(&client.open());
            assert!(offered.iter().any(|m| m == mechanism), "{mechanism} in {offered:?}");
            client.scram(mechanism, Scram::new(mechanism, "romeo", PASSWORD, None)).unwrap();
            client.open();
            client.bind("orchard");
            client.close();
        }
    }
}

#[test]
fn every_scram_with_channel_binding() {
    let server = Server::with_users(&[], &["romeo"]);
    // tls-exporter wants TLS 1.3 here: in 1.2 it would need the extended master secret (RFC 9266 §4.2).
    let bindings =
        [(&TLS12, "tls-server-end-point"), (&TLS13, "tls-server-end-point"), (&TLS13, "tls-exporter")];
    for (version, binding) in bindings {
        for mechanism in ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512-PLUS"] {
            {
                let mut client = secured(&server, version);
                let features = client.open();
                let offered = mechanisms(&features);
                assert!(offered.iter().any(|m| m == mechanism), "{mechanism} in {offered:?}");
                let types = features.child("sasl-channel-binding").expect("XEP-0440");
                assert_eq!(types.ns, "urn:xmpp:sasl-cb:0");
                assert!(
                    types.children.iter().any(|t| t.attr("type") == Some(binding)),
                    "{binding} in {types}"
                );
                let data = if binding == "tls-exporter" { exporter(&client) } else { end_point(&client) };
                let scram = Scram::new(mechanism, "romeo", PASSWORD, Some((binding, &data)));
                client.scram(mechanism, scram).unwrap();
                client.open();
                client.bind("orchard");
                client.close();
            }
        }
    }
}

#[test]
fn channel_binding_of_another_connection() {
    let server = Server::with_users(&[], &["romeo"]);
    let other = secured(&server, &TLS13);
    let mut client = secured(&server, &TLS13);
    client.open();
    let scram =
        Scram::new("SCRAM-SHA-256-PLUS", "romeo", PASSWORD, Some(("tls-exporter", &exporter(&other))));
    let failure = client.scram("SCRAM-SHA-256-PLUS", scram).unwrap_err();
    expect_failure(&client, &failure, "not-authorized");
}

#[test]
fn scram_that_was_downgraded() {
    // RFC 5802 §6: `y` says that the client could bind but saw no -PLUS offered; it was offered.
    let server = Server::with_users(&[], &["romeo"]);
    let mut client = secured(&server, &TLS13);
    client.open();
    let scram = Scram::new("SCRAM-SHA-256", "romeo", PASSWORD, None).with_gs2("y,,");
    let failure = client.scram("SCRAM-SHA-256", scram).unwrap_err();
    expect_failure(&client, &failure, "not-authorized");
    // An unknown type of binding.
    let scram = Scram::new("SCRAM-SHA-256-PLUS", "romeo", PASSWORD, Some(("tls-unique", b"x")));
    assert!(client.scram("SCRAM-SHA-256-PLUS", scram).is_err());
}

#[test]
fn plain() {
    let server = Server::with_users(&[], &["romeo"]);
    let mut client = secured(&server, &TLS13);
    let offered = mechanisms(&client.open());
    assert!(offered.contains(&"PLAIN".to_owned()), "{offered:?}");
    let success = client.plain("romeo", PASSWORD);
    assert!(success.is("success", SASL), "{success}");
    client.open();
    client.bind("orchard");

    // Without TLS only since c2s.allow_plaintext says so; -PLUS cannot be.
    let mut client = Client::connect(server.c2s);
    let offered = mechanisms(&client.open());
    assert!(offered.contains(&"SCRAM-SHA-256".to_owned()), "{offered:?}");
    assert!(!offered.iter().any(|m| m.ends_with("-PLUS")), "{offered:?}");
    let success = client.plain("romeo", PASSWORD);
    assert!(success.is("success", SASL), "{success}");
}

#[test]
fn nothing_without_tls_unless_allowed() {
    let server = Server::with_users(&["c2s.allow_plaintext=false"], &["romeo"]);
    let mut client = Client::connect(server.c2s);
    let features = client.open();
    let starttls = features.child("starttls").expect("STARTTLS is offered");
    assert!(starttls.child("required").is_some(), "{features}");
    assert!(mechanisms(&features).is_empty(), "{features}");
    let scram = Scram::new("SCRAM-SHA-256", "romeo", PASSWORD, None);
    let failure = client.scram("SCRAM-SHA-256", scram).unwrap_err();
    expect_failure(&client, &failure, "encryption-required");
    let failure = client.plain("romeo", PASSWORD);
    expect_failure(&client, &failure, "encryption-required");
}

#[test]
fn direct_tls() {
    let server = Server::with_users(&[], &["romeo"]);
    // XEP-0368 §3: ALPN is `xmpp-client`; clients that send none are served too.
    for alpn in [vec![b"xmpp-client".to_vec()], Vec::new()] {
        let mut config = tls::any_certificate();
        config.alpn_protocols = alpn.clone();
        let mut client = Client::connect(server.direct_tls);
        client.secure(config);
        assert_eq!(client.tls().alpn_protocol().map(<[u8]>::to_vec), alpn.first().cloned());
        let features = client.open();
        assert!(features.child("starttls").is_none(), "no TLS inside of TLS: {features}");
        client.scram("SCRAM-SHA-256", Scram::new("SCRAM-SHA-256", "romeo", PASSWORD, None)).unwrap();
        client.open();
        client.bind("orchard");
        client.sync();
        client.close();
    }
}

#[test]
fn old_tls_and_no_tls() {
    let server = Server::start(&["tls.version_min=1.3"]);
    let mut client = Client::connect(server.direct_tls);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        client.secure(tls::with_versions(&[&TLS12]));
    }));
    assert!(outcome.is_err(), "TLS 1.2 where 1.3 is asked for");
    let mut client = Client::connect(server.direct_tls);
    client.send(&header("localhost"));
    // Whatever TLS has to say to that is no XML; it must not stay open.
    let mut rest = Vec::new();
    client.read_to_end(&mut rest);
    assert!(!rest.starts_with(b"<"), "XML on the TLS port");
}

#[test]
fn data_pipelined_behind_starttls_is_not_trusted() {
    // RFC 6120 §5.3.1 rule 4 (and the STARTTLS injections of other protocols): what was sent in the
    // clear behind <starttls/> must not be taken for having come under TLS.
    let server = Server::start(&[]);
    let mut client = Client::connect(server.c2s);
    client.open();
    client.send(&format!("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>{}", header("localhost")));
    let mut rest = Vec::new();
    client.read_to_end(&mut rest);
    let rest = String::from_utf8_lossy(&rest).into_owned();
    assert!(!rest.contains("<stream:features"), "{rest}");
}

#[test]
fn refused_passwords() {
    let server = Server::with_users(&[], &["romeo"]);
    let mut client = secured(&server, &TLS13);
    client.open();
    for mechanism in ["SCRAM-SHA-1", "SCRAM-SHA-256"] {
        let failure = client.scram(mechanism, Scram::new(mechanism, "romeo", "wrong", None)).unwrap_err();
        expect_failure(&client, &failure, "not-authorized");
    }
    let failure = client.plain("romeo", "wrong");
    expect_failure(&client, &failure, "not-authorized");
    // RFC 6120 §6.4.5: the same stream may try again.
    let success = client.plain("romeo", PASSWORD);
    assert!(success.is("success", SASL), "{success}");
}

#[test]
fn unknown_users_look_like_known_ones() {
    let server = Server::with_users(&[], &["romeo"]);
    let salt = |user: &str| {
        let mut client = Client::connect(server.c2s);
        client.open();
        let first = Scram::new("SCRAM-SHA-256", user, PASSWORD, None).first();
        client.send(&format!("<auth xmlns='{SASL}' mechanism='SCRAM-SHA-256'>{first}</auth>"));
        let challenge = client.expect(&format!("<challenge xmlns='{SASL}'>*</challenge>"));
        let text = crate::scram::decode(&challenge.text);
        let fields: Vec<&str> = text.split(',').skip(1).collect();
        fields.join(",")
    };
    assert_eq!(salt("nobody"), salt("nobody"), "a salt that changes tells that there is no account");
    assert_ne!(salt("nobody"), salt("somebody"), "a salt that never changes does, too");
    assert_eq!(salt("romeo").len(), salt("nobody").len(), "the same shape");

    let mut client = secured(&server, &TLS13);
    client.open();
    let failure =
        client.scram("SCRAM-SHA-256", Scram::new("SCRAM-SHA-256", "nobody", "x", None)).unwrap_err();
    expect_failure(&client, &failure, "not-authorized");
    let failure = client.plain("nobody", "x");
    expect_failure(&client, &failure, "not-authorized");
}

#[test]
fn malformed_exchanges() {
    let server = Server::with_users(&[], &["romeo"]);
    let cases = [
        ("unknown mechanism", "auth mechanism='CRAM-MD5'", "", "invalid-mechanism"),
        (
            "-PLUS without TLS",
            "auth mechanism='SCRAM-SHA-1-PLUS'",
            "cD10bHMtdW5pcXVlLCw=",
            "invalid-mechanism",
        ),
        ("not Base64", "auth mechanism='SCRAM-SHA-1'", "***", "incorrect-encoding"),
        ("not SCRAM", "auth mechanism='SCRAM-SHA-1'", "AAAA", "malformed-request"),
        ("empty response", "auth mechanism='SCRAM-SHA-1'", "=", "malformed-request"),
        ("response first", "response", "AAAA", "malformed-request"),
        ("abort first", "abort", "", "aborted"),
    ];
    for (name, tag, text, condition) in cases {
        let mut client = Client::connect(server.c2s);
        client.open();
        let end = tag.split(' ').next().unwrap();
        client.send(&format!("<{tag} xmlns='{SASL}'>{text}</{end}>"));
        let failure = client.next_element();
        if !failure.is("failure", SASL) || failure.child(condition).is_none() {
            client.fail(&format!("{name}: wanted {condition}, got {failure}"));
        }
    }
}

#[test]
fn exchange_that_is_aborted_or_started_without_a_response() {
    let server = Server::with_users(&[], &["romeo"]);
    let mut client = Client::connect(server.c2s);
    client.open();
    let mut scram = Scram::new("SCRAM-SHA-256", "romeo", PASSWORD, None);
    client.send(&format!("<auth xmlns='{SASL}' mechanism='SCRAM-SHA-256'>{}</auth>", scram.first()));
    client.expect(&format!("<challenge xmlns='{SASL}'>*</challenge>"));
    client.send(&format!("<abort xmlns='{SASL}'/>"));
    client.expect(&format!("<failure xmlns='{SASL}'><aborted/></failure>"));
    // RFC 6120 §6.4.2: without an initial response the server asks with an empty challenge.
    scram = Scram::new("SCRAM-SHA-256", "romeo", PASSWORD, None);
    client.send(&format!("<auth xmlns='{SASL}' mechanism='SCRAM-SHA-256'/>"));
    client.expect(&format!("<challenge xmlns='{SASL}'><nothing-else xmlns='urn:test'/></challenge>"));
    client.send(&format!("<response xmlns='{SASL}'>{}</response>", scram.first()));
    let challenge = client.expect(&format!("<challenge xmlns='{SASL}'>*</challenge>"));
    let response = scram.respond(&challenge.text);
    client.send(&format!("<response xmlns='{SASL}'>{response}</response>"));
    let success = client.expect(&format!("<success xmlns='{SASL}'>*</success>"));
    scram.verify(&success.text);
}

#[test]
fn authorization_identities() {
    let server = Server::with_users(&[], &["romeo", "juliet"]);
    // RFC 6120 §6.3.8: one's own bare JID is fine, another's is not.
    for (gs2, allowed) in [("n,a=romeo@localhost,", true), ("n,a=juliet@localhost,", false)] {
        let mut client = Client::connect(server.c2s);
        client.open();
        let scram = Scram::new("SCRAM-SHA-1", "romeo", PASSWORD, None).with_gs2(gs2);
        match client.scram("SCRAM-SHA-1", scram) {
            Ok(()) => assert!(allowed, "{gs2}"),
            Err(failure) => {
                assert!(!allowed, "{gs2}: {failure}");
                expect_failure(&client, &failure, "invalid-authzid");
            }
        }
    }
}

#[test]
fn attempts_on_one_connection_are_limited() {
    let server = Server::with_users(&["sasl.attempts_per_connection_max=3"], &["romeo"]);
    let mut client = Client::connect(server.c2s);
    client.open();
    for _ in 0..3 {
        let failure =
            client.scram("SCRAM-SHA-1", Scram::new("SCRAM-SHA-1", "romeo", "wrong", None)).unwrap_err();
        expect_failure(&client, &failure, "not-authorized");
    }
    client.expect_stream_error("policy-violation");
}

#[test]
fn attempts_on_one_account_are_limited() {
    let server = Server::with_users(&["sasl.attempts_per_account_per_minute=2"], &["romeo", "juliet"]);
    for _ in 0..2 {
        let mut client = Client::connect(server.c2s);
        client.open();
        client.scram("SCRAM-SHA-1", Scram::new("SCRAM-SHA-1", "romeo", "wrong", None)).unwrap_err();
    }
    // Even the right password has to wait now; other accounts do not.
    let mut client = Client::connect(server.c2s);
    client.open();
    let failure =
        client.scram("SCRAM-SHA-1", Scram::new("SCRAM-SHA-1", "romeo", PASSWORD, None)).unwrap_err();
    expect_failure(&client, &failure, "temporary-auth-failure");
    server.login("juliet", "balcony");
}

#[test]
fn attempts_from_one_address_are_limited() {
    let server = Server::with_users(&["sasl.attempts_per_address_per_minute=2"], &["romeo"]);
    for user in ["a", "b"] {
        let mut client = Client::connect(server.c2s);
        client.open();
        client.scram("SCRAM-SHA-1", Scram::new("SCRAM-SHA-1", user, "wrong", None)).unwrap_err();
    }
    let mut client = Client::connect(server.c2s);
    client.open();
    let failure =
        client.scram("SCRAM-SHA-1", Scram::new("SCRAM-SHA-1", "romeo", PASSWORD, None)).unwrap_err();
    expect_failure(&client, &failure, "temporary-auth-failure");
}
