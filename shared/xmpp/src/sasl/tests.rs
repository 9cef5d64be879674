//! Whole exchanges: the RFCs' vectors, the same with channel binding, and hostile ones.

use super::*;
use base64::prelude::{BASE64_STANDARD, Engine};
use proptest::prelude::*;

const RFC5802_NONCE: &str = "3rfcNHYJY1ZVvWVs7j";
const RFC7677_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

fn keys(hash: Hash, salt: &str) -> ScramKeys {
    ScramKeys::derive(hash, "pencil", &BASE64_STANDARD.decode(salt).unwrap(), 4096).unwrap()
}

fn rfc7677_keys(hash: Hash) -> ScramKeys {
    keys(hash, "W22ZaJ0SNY7soEsUEjb6gQ==")
}

/// What a test's TLS session has: 0, 1, .. 31 to export, a certificate of 100, 101, .. 131.
fn tls() -> (Vec<u8>, Vec<u8>) {
    ((0..32).collect(), (100..132).collect())
}

/// Starts an exchange and answers the look-up.
fn begin(name: &str, first: &str, keys: &ScramKeys, nonce: &str) -> Result<Next, Failure> {
    let (exporter, end_point) = tls();
    let binding = Binding { exporter: Some(&exporter), end_point: Some(&end_point), offered: true };
    begin_bound(name, first, keys, nonce, &binding)
}

fn begin_bound(
    name: &str,
    first: &str,
    keys: &ScramKeys,
    nonce: &str,
    binding: &Binding<'_>,
) -> Result<Next, Failure> {
    let Next::Lookup(lookup) = Exchange::start(Mechanism::from_name(name).unwrap(), Some(first.as_bytes()))?
    else {
        panic!("an initial response leads to a look-up");
    };
    let account = lookup.account("localhost")?;
    lookup.answer(account, keys, nonce, binding)
}

fn challenge(next: Next) -> (String, Exchange) {
    match next {
        Next::Challenge(data, exchange) => (String::from_utf8(data).unwrap(), exchange),
        other => panic!("no challenge: {other:?}"),
    }
}

fn condition<T: fmt::Debug>(result: Result<T, Failure>) -> FailureCondition {
    result.unwrap_err().condition
}

/// A whole SCRAM exchange that has to succeed with exactly these messages.
fn assert_exchange(name: &str, keys: &ScramKeys, nonce: &str, messages: [&str; 4]) {
    let [client_first, server_first, client_final, server_final] = messages;
    let (sent, exchange) = challenge(begin(name, client_first, keys, nonce).unwrap());
    assert_eq!(sent, server_first);
    match exchange.respond(client_final.as_bytes()) {
        Ok(Next::Success { account, data }) => {
            assert_eq!(account.as_str(), "user@localhost");
            assert_eq!(data.as_deref(), Some(server_final.as_bytes()));
        }
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn rfc_5802_section_5() {
    assert_exchange(
        "SCRAM-SHA-1",
        &keys(Hash::Sha1, "QSXCR+Q6sek8bf92"),
        RFC5802_NONCE,
        [
            "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ],
    );
}

#[test]
fn rfc_7677_section_3() {
    assert_exchange(
        "SCRAM-SHA-256",
        &rfc7677_keys(Hash::Sha256),
        RFC7677_NONCE,
        [
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ],
    );
}

/// Computed with Python's hashlib and hmac, which give the RFCs' vectors too.
#[test]
fn sha_512() {
    assert_exchange(
        "SCRAM-SHA-512",
        &rfc7677_keys(Hash::Sha512),
        RFC7677_NONCE,
        [
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==",
            "v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw==",
        ],
    );
}

const PLUS_FIRST: &str = "p=tls-exporter,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const PLUS_FINAL: &str = "c=cD10bHMtZXhwb3J0ZXIsLAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f,\
    r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=QC6CS20quADQRb3mT99YUH+n3VJxUvzuK0K0E1Vrs2M=";

/// Computed as above.
#[test]
fn plus_with_both_bindings() {
    assert_exchange(
        "SCRAM-SHA-256-PLUS",
        &rfc7677_keys(Hash::Sha256),
        RFC7677_NONCE,
        [
            PLUS_FIRST,
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            PLUS_FINAL,
            "v=2GiAgapEppLVlUXbxUDksL3VgYHzuqiK5tR4mhJGgvs=",
        ],
    );
    assert_exchange(
        "SCRAM-SHA-512-PLUS",
        &rfc7677_keys(Hash::Sha512),
        RFC7677_NONCE,
        [
            "p=tls-server-end-point,a=user@localhost,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=cD10bHMtc2VydmVyLWVuZC1wb2ludCxhPXVzZXJAbG9jYWxob3N0LGRlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn+AgYKD,\
             r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=hcKLJF10JMpIsTJjJabIVbO5SpGCDxqpghs6ZHQ6j3XadhgdoGhMrEVxAINnQQVsmiihoxgspug5okSQCM6vWw==",
            "v=5pn1/3nS+srgHUburGuvKOz+b4wfHir2Et9kIVfrQa/mfEjIgm3vrG3VUrLbYthCblKyW1Lld0RnJF/oEIl+fA==",
        ],
    );
}

#[test]
fn another_channel_fails() {
    let keys = rfc7677_keys(Hash::Sha256);
    let (mut exporter, end_point) = tls();
    exporter[31] ^= 1;
    let binding = Binding { exporter: Some(&exporter), end_point: Some(&end_point), offered: true };
    let begun = begin_bound("SCRAM-SHA-256-PLUS", PLUS_FIRST, &keys, RFC7677_NONCE, &binding);
    let (_, exchange) = challenge(begun.unwrap());
    assert_eq!(condition(exchange.respond(PLUS_FINAL.as_bytes())), FailureCondition::NotAuthorized);

    let none = Binding { end_point: Some(&end_point), offered: true, exporter: None };
    let begun = begin_bound("SCRAM-SHA-256-PLUS", PLUS_FIRST, &keys, RFC7677_NONCE, &none);
    assert_eq!(condition(begun), FailureCondition::MalformedRequest);
}

#[test]
fn a_downgrade_is_noticed() {
    let keys = rfc7677_keys(Hash::Sha256);
    let first = "y,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    assert_eq!(condition(begin("SCRAM-SHA-256", first, &keys, "x")), FailureCondition::NotAuthorized);
    // RFC 5802 §6: without -PLUS on offer the flag is an honest one.
    let begun = begin_bound("SCRAM-SHA-256", first, &keys, "x", &Binding::default());
    let (_, exchange) = challenge(begun.unwrap());
    // The flag may not be another in the end.
    let cheat = "c=biws,r=rOprNGfwEbeRWgbNEkqOx,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    assert_eq!(condition(exchange.respond(cheat.as_bytes())), FailureCondition::NotAuthorized);
}

#[test]
fn malformed_first_messages() {
    let long = "x".repeat(MESSAGE_BYTES_MAX);
    for (name, first) in [
        ("SCRAM-SHA-1", ""),
        ("SCRAM-SHA-1", "n"),
        ("SCRAM-SHA-1", "n,"),
        ("SCRAM-SHA-1", "n,,"),
        ("SCRAM-SHA-1", "n,,n=user"),
        ("SCRAM-SHA-1", "n,,n=user,"),
        ("SCRAM-SHA-1", "n,,n=user,r="),
        ("SCRAM-SHA-1", "n,,n=,r=abc"),
        ("SCRAM-SHA-1", "n,,r=abc,n=user"),
        ("SCRAM-SHA-1", "n,,N=user,r=abc"),
        ("SCRAM-SHA-1", "n,,m=x,n=user,r=abc"),
        ("SCRAM-SHA-1", "n,,n=user,r=abc,m=x"),
        ("SCRAM-SHA-1", "n,,n=user,r=abc,"),
        ("SCRAM-SHA-1", "n,,n=user,r=abc,1=x"),
        ("SCRAM-SHA-1", "n,,n=user,r=abc,xy"),
        ("SCRAM-SHA-1", "n,,n=us=er,r=abc"),
        ("SCRAM-SHA-1", "n,,n=user=2c,r=abc"),
        ("SCRAM-SHA-1", "n,,n=user=,r=abc"),
        ("SCRAM-SHA-1", "n,,n=us\0er,r=abc"),
        ("SCRAM-SHA-1", "n,,n=user,r=a b"),
        ("SCRAM-SHA-1", "n,,n=user,r=aé"),
        ("SCRAM-SHA-1", "n,a=,n=user,r=abc"),
        ("SCRAM-SHA-1", "n,b=x,n=user,r=abc"),
        ("SCRAM-SHA-1", "F,n,,n=user,r=abc"),
        ("SCRAM-SHA-1", "x,,n=user,r=abc"),
        ("SCRAM-SHA-1", "p=tls-exporter,,n=user,r=abc"),
        ("SCRAM-SHA-1-PLUS", "n,,n=user,r=abc"),
        ("SCRAM-SHA-1-PLUS", "y,,n=user,r=abc"),
        ("SCRAM-SHA-1-PLUS", "p=tls-unique,,n=user,r=abc"),
        ("SCRAM-SHA-1-PLUS", "p=,,n=user,r=abc"),
        ("SCRAM-SHA-1", &format!("n,,n=user,r={}", &long[..NONCE_BYTES_MAX + 1])),
        ("SCRAM-SHA-1", &format!("n,,n={},r=abc", &long[..NAME_BYTES_MAX + 1])),
        ("SCRAM-SHA-1", &format!("n,,n=user,r=abc,x={long}")),
    ] {
        let started = Exchange::start(Mechanism::from_name(name).unwrap(), Some(first.as_bytes()));
        assert_eq!(condition(started), FailureCondition::MalformedRequest, "{name} {first:?}");
    }
}

#[test]
fn names_and_whom_to_act_as() {
    for (first, expected) in [
        ("n,,n=user,r=a", Ok("user@localhost")),
        ("n,,n=User,r=a,x=ignored", Ok("user@localhost")),
        ("n,a=user@localhost,n=user,r=a", Ok("user@localhost")),
        ("n,a=User@LOCALHOST,n=user,r=a", Ok("user@localhost")),
        ("n,,n=u=3Dr,r=a", Ok("u=r@localhost")),
        ("n,,n=u=2Cr,r=a", Ok("u,r@localhost")),
        ("n,,n=u=3D2C,r=a", Ok("u=2c@localhost")),
        ("n,,n=\u{aa},r=a", Ok("a@localhost")),
        ("n,,n=\u{6cc}\u{200c}\u{6cc},r=a", Ok("\u{6cc}\u{200c}\u{6cc}@localhost")),
        ("n,a=other@localhost,n=user,r=a", Err(FailureCondition::InvalidAuthzid)),
        ("n,a=user@elsewhere,n=user,r=a", Err(FailureCondition::InvalidAuthzid)),
        ("n,a=user@localhost/x,n=user,r=a", Err(FailureCondition::InvalidAuthzid)),
        ("n,a=user,n=user,r=a", Err(FailureCondition::InvalidAuthzid)),
        ("n,a=@,n=user,r=a", Err(FailureCondition::InvalidAuthzid)),
        ("n,,n=user@localhost,r=a", Err(FailureCondition::NotAuthorized)),
        ("n,,n=a b,r=a", Err(FailureCondition::NotAuthorized)),
        ("n,,n=\u{7},r=a", Err(FailureCondition::NotAuthorized)),
    ] {
        let scram = Mechanism::Scram { hash: Hash::Sha1, plus: false };
        let Ok(Next::Lookup(lookup)) = Exchange::start(scram, Some(first.as_bytes())) else {
            panic!("{first:?}");
        };
        let account = lookup.account("localhost").map_err(|failure| failure.condition);
        assert_eq!(account.as_ref().map(|jid| jid.as_str()).map_err(|c| *c), expected, "{first:?}");
        assert_eq!(authcid("SCRAM-SHA-1", first.as_bytes()).as_deref(), Some(lookup.username()));
    }
    assert_eq!(authcid("PLAIN", b"\0tim\0secret").as_deref(), Some("tim"));
    assert_eq!(authcid("PLAIN", b"tim"), None);
    assert_eq!(authcid("EXTERNAL", b"tim"), None);
}

#[test]
fn hostile_final_messages() {
    use FailureCondition::{MalformedRequest, NotAuthorized};
    let keys = keys(Hash::Sha1, "QSXCR+Q6sek8bf92");
    let nonce = "fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j";
    let proof = "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=";
    let long = "x".repeat(MESSAGE_BYTES_MAX);
    for (message, expected) in [
        (String::new(), MalformedRequest),
        (format!("c=biws,r={nonce}"), MalformedRequest),
        (format!("c=biws,r={nonce},p="), MalformedRequest),
        (format!("c=biws,r={nonce},p=!!!!"), MalformedRequest),
        (format!("c=biws,r={nonce},p=AAAA"), MalformedRequest),
        (format!("c=biws,r={nonce},p={proof},x=y"), MalformedRequest),
        (format!("c=biws,r={nonce},m=x,p={proof}"), MalformedRequest),
        (format!("c=biws,r={nonce},,p={proof}"), MalformedRequest),
        (format!("c=biws,r={nonce},x={long},p={proof}"), MalformedRequest),
        (format!("c=biws,r={nonce},p=AAAAAAAAAAAAAAAAAAAAAAAAAAA="), NotAuthorized),
        // A good proof is one for exactly this text.
        (format!("c=biws,r={nonce},x=y,p={proof}"), NotAuthorized),
        (format!("c=biws,r={nonce}x,p={proof}"), NotAuthorized),
        (format!("c=biws,r={},p={proof}", &nonce[..24]), NotAuthorized),
        (format!("c=eSws,r={nonce},p={proof}"), NotAuthorized),
        (format!("c=biw,r={nonce},p={proof}"), NotAuthorized),
        (format!("r={nonce},c=biws,p={proof}"), NotAuthorized),
    ] {
        let begun = begin("SCRAM-SHA-1", "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL", &keys, RFC5802_NONCE);
        let (_, exchange) = challenge(begun.unwrap());
        assert_eq!(condition(exchange.respond(message.as_bytes())), expected, "{message:?}");
    }
}

#[test]
fn unusable_keys_are_no_fault_of_the_client() {
    let first = "n,,n=user,r=abc";
    let good = rfc7677_keys(Hash::Sha256);
    let damaged = ScramKeys { stored_key: vec![0; 31], ..good.clone() };
    let endless = ScramKeys { iterations: u32::MAX, ..good.clone() };
    for (name, keys, nonce) in [
        ("SCRAM-SHA-1", &good, "x"),
        ("SCRAM-SHA-256", &damaged, "x"),
        ("SCRAM-SHA-256", &endless, "x"),
        ("SCRAM-SHA-256", &good, "a,b"),
        ("SCRAM-SHA-256", &good, ""),
    ] {
        assert_eq!(condition(begin(name, first, keys, nonce)), FailureCondition::TemporaryAuthFailure);
    }
}

#[test]
fn plain() {
    let keys = rfc7677_keys(Hash::Sha256);
    let login = |message: &str| match begin("PLAIN", message, &keys, "") {
        Ok(Next::Success { account, data: None }) => Ok(account.as_str().to_owned()),
        Ok(other) => panic!("{other:?}"),
        Err(failure) => Err(failure.condition),
    };
    assert_eq!(login("\0user\0pencil").as_deref(), Ok("user@localhost"));
    assert_eq!(login("user@localhost\0user\0pencil").as_deref(), Ok("user@localhost"));
    assert_eq!(login("other@localhost\0user\0pencil"), Err(FailureCondition::InvalidAuthzid));
    assert_eq!(login("\0user\0pencils"), Err(FailureCondition::NotAuthorized));
    assert_eq!(login("\0user\0"), Err(FailureCondition::MalformedRequest));
}

#[test]
fn an_empty_challenge_asks_for_the_initial_response() {
    let (data, exchange) = challenge(Exchange::start(Mechanism::Plain, None).unwrap());
    assert_eq!(data, "");
    assert!(matches!(exchange.respond(b"\0user\0pencil"), Ok(Next::Lookup(Lookup::Plain(_)))));
    assert_eq!(condition(Exchange::start(Mechanism::Plain, Some(b""))), FailureCondition::MalformedRequest);
}

#[test]
fn an_unknown_account_fails_like_a_wrong_password() {
    let fake = ScramKeys::fake(b"secret", "user@localhost", Hash::Sha256, 4096);
    let begun = begin("SCRAM-SHA-256", "n,,n=user,r=rOprNGfwEbeRWgbNEkqO", &fake, RFC7677_NONCE);
    let (sent, exchange) = challenge(begun.unwrap());
    assert!(sent.ends_with(",i=4096"));
    let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    assert_eq!(condition(exchange.respond(last.as_bytes())), FailureCondition::NotAuthorized);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        first in prop::collection::vec(any::<u8>(), 0..64),
        text in "([npyam=,]|n=|r=|a=|p=tls-exporter|=2C|\\PC){0,24}",
        last in "(c=biws|,r=ax|,p=|[a-zA-Z0-9+/=,]{0,12}|\\PC){0,8}",
    ) {
        for mechanism in Mechanism::ALL {
            let _ = Exchange::start(mechanism, Some(&first));
            let _ = Exchange::start(mechanism, Some(text.as_bytes()));
        }
        let fake = ScramKeys::fake(b"", "user@localhost", Hash::Sha1, 1);
        let (_, exchange) = challenge(begin("SCRAM-SHA-1", "n,,n=user,r=a", &fake, "x").unwrap());
        prop_assert!(exchange.respond(last.as_bytes()).is_err());
        let (_, exchange) = challenge(begin("SCRAM-SHA-1", "n,,n=user,r=a", &fake, "x").unwrap());
        prop_assert!(exchange.respond(&first).is_err());
    }
}
