//! Addresses as tables, and that preparing is stable.

use super::*;
use proptest::prelude::*;

fn parse(text: &str) -> Result<String, JidError> {
    Jid::parse(text).map(|jid| jid.as_str().to_owned())
}

#[test]
fn prepared() {
    for (text, expected) in [
        // RFC 7622 §3.5, table 1
        ("juliet@example.com", "juliet@example.com"),
        ("juliet@example.com/foo", "juliet@example.com/foo"),
        ("juliet@example.com/foo bar", "juliet@example.com/foo bar"),
        ("juliet@example.com/foo@bar", "juliet@example.com/foo@bar"),
        ("foo\\20bar@example.com", "foo\\20bar@example.com"),
        ("fussball@example.com", "fussball@example.com"),
        ("fu\u{df}ball@example.com", "fu\u{df}ball@example.com"),
        ("\u{3c0}@example.com", "\u{3c0}@example.com"),
        ("\u{3a3}@example.com/foo", "\u{3c3}@example.com/foo"),
        ("\u{3c3}@example.com/foo", "\u{3c3}@example.com/foo"),
        ("\u{3c2}@example.com/foo", "\u{3c2}@example.com/foo"),
        ("king@example.com/\u{265a}", "king@example.com/\u{265a}"),
        ("example.com", "example.com"),
        ("example.com/foobar", "example.com/foobar"),
        ("a.example.com/b@example.net", "a.example.com/b@example.net"),
        ("juliet@example.com/ foo", "juliet@example.com/ foo"),
        // the localpart
        ("Juliet@EXAMPLE.com/Balcony", "juliet@example.com/Balcony"),
        ("ＪＵＬＩＥＴ@example.com", "juliet@example.com"),
        ("J\u{fc}rgen@example.com", "j\u{fc}rgen@example.com"),
        ("ju\u{308}rgen@example.com", "j\u{fc}rgen@example.com"),
        ("\u{130}@example.com", "i\u{307}@example.com"),
        ("\u{212a}@example.com", "k@example.com"),
        ("ΑΣ@example.com", "ασ@example.com"),
        ("Привет@example.com", "привет@example.com"),
        ("אבג@example.com", "אבג@example.com"),
        ("ju\u{ad}li\u{200b}et@example.com", "juliet@example.com"),
        ("ﾌﾟ@example.com", "プ@example.com"),
        // the domainpart
        ("localhost", "localhost"),
        ("example.com.", "example.com"),
        ("a@example.com./r", "a@example.com/r"),
        ("example.com\u{3002}", "example.com"),
        ("example\u{3002}com", "example.com"),
        ("127.0.0.1", "127.0.0.1"),
        ("a@[::1]/r", "a@[::1]/r"),
        ("[2001:DB8:0::0001]", "[2001:db8::1]"),
        ("B\u{dc}CHER.example", "b\u{fc}cher.example"),
        ("bu\u{308}cher.example", "b\u{fc}cher.example"),
        ("xn--bcher-kva.example", "b\u{fc}cher.example"),
        ("XN--BCHER-KVA.example", "b\u{fc}cher.example"),
        ("fa\u{df}.example", "fa\u{df}.example"),
        ("ＥＸＡＭＰＬＥ.com", "example.com"),
        ("r3---sn-1.example", "r3---sn-1.example"),
        // the resourcepart
        ("a.b/R\u{e9}sume\u{301}", "a.b/R\u{e9}sum\u{e9}"),
        ("a.b/x\u{a0}y\u{3000}z", "a.b/x y z"),
        ("a.b/\u{fb01}", "a.b/\u{fb01}"),
        ("a.b/🫠", "a.b/🫠"),
        ("a.b/❤\u{fe0f}", "a.b/❤"),
        ("a.b/👩\u{200d}💻", "a.b/👩💻"),
        ("a.b/x·y・z", "a.b/x·y・z"),
        ("a.b/مح\u{640}مد", "a.b/مح\u{640}مد"),
        ("a.b/c/d", "a.b/c/d"),
    ] {
        assert_eq!(parse(text).as_deref(), Ok(expected), "{text:?}");
    }
}

#[test]
fn refused() {
    use JidError::{Domain, Empty, Local, Resource};
    for (text, expected) in [
        // RFC 7622 §3.5, table 2
        ("\"juliet\"@example.com", Local),
        ("foo bar@example.com", Local),
        ("@example.com/", Empty),
        ("henry\u{2163}@example.com", Local),
        ("\u{265a}@example.com", Local),
        ("juliet@", Empty),
        ("/foobar", Empty),
        // empty parts
        ("", Empty),
        ("@", Empty),
        (".", Empty),
        ("a.b/", Empty),
        ("\u{ad}@a.b", Empty),
        ("a.b/\u{200b}", Empty),
        // forbidden in a localpart, in the end
        ("a&b@c.d", Local),
        ("a'b@c.d", Local),
        ("a:b@c.d", Local),
        ("a<b@c.d", Local),
        ("a>b@c.d", Local),
        ("a＠b@c.d", Local),
        ("a／b@c.d", Local),
        ("a\u{0}b@c.d", Local),
        ("a\u{7f}b@c.d", Local),
        ("a\u{a0}b@c.d", Local),
        ("a\u{3000}b@c.d", Local),
        ("a\u{e000}b@c.d", Local),
        ("a🫠@c.d", Local),
        ("אa@c.d", Local),
        // forbidden in a domainpart
        ("a@b@c", Domain),
        ("ex ample.com", Domain),
        ("ex_ample.com", Domain),
        ("a..b", Domain),
        (".a", Domain),
        ("a..", Domain),
        ("-a.b", Domain),
        ("a-.b", Domain),
        ("xn--.com", Domain),
        ("xn--a.com", Domain),
        ("xn--bcher-kvaa\u{fc}.com", Domain),
        ("\u{2100}.com", Domain),
        ("a／b.com", Domain),
        ("\u{2603}.com", Domain),
        ("\u{301}a.com", Domain),
        ("אa.com", Domain),
        ("[::1", Domain),
        ("[::g]", Domain),
        ("::1", Domain),
        ("[fe80::1%25eth0]", Domain),
        ("[]", Domain),
        // forbidden in a resourcepart
        ("a.b/\u{1}", Resource),
        ("a.b/a\nb", Resource),
        ("a.b/\u{7f}", Resource),
        ("a.b/\u{85}", Resource),
        ("a.b/\u{2028}", Resource),
        ("a.b/\u{202e}", Resource),
        ("a.b/\u{e000}", Resource),
        ("a.b/\u{fdd0}", Resource),
        ("a.b/\u{e0041}", Resource),
    ] {
        assert_eq!(parse(text), Err(expected), "{text:?}");
    }
}

#[test]
fn lengths_count_after_preparation() {
    let x = |n| "x".repeat(n);
    for (text, expected) in [
        (format!("{}@a.b/{}", x(1023), x(1023)), None),
        (format!("{}@a.b", x(1024)), Some(JidError::TooLong)),
        (format!("a.b/{}", x(1024)), Some(JidError::TooLong)),
        (format!("{}@a.b", "é".repeat(511)), None),
        (format!("{}@a.b", "é".repeat(512)), Some(JidError::TooLong)),
        (format!("{}@a.b", "Ｘ".repeat(1023)), None),
        (format!("{}@a.b", "Ｘ".repeat(1024)), Some(JidError::TooLong)),
        (format!("a.b/{}", "e\u{301}".repeat(511)), None),
        (format!("a.b/{}", "\u{200b}".repeat(100_000)), Some(JidError::TooLong)),
        (x(63), None),
        (x(64), Some(JidError::Domain)),
        (format!("{}.{}", "a.".repeat(126), "a"), Some(JidError::Domain)),
        (format!("{}{}", "a.".repeat(126), "a"), None),
        (format!("{}{}", "a.".repeat(127), "a"), Some(JidError::Domain)),
        ("a.".repeat(600), Some(JidError::TooLong)),
        (x(1_000_000), Some(JidError::TooLong)),
        (format!("{}.a", "ü".repeat(60)), Some(JidError::Domain)),
    ] {
        assert_eq!(Jid::parse(&text).err(), expected, "{} bytes", text.len());
    }
}

#[test]
fn parts() {
    let jid = Jid::parse("Juliet@Example.com/Balcony/2").unwrap();
    assert_eq!(
        (jid.local(), jid.domain(), jid.resource()),
        (Some("juliet"), "example.com", Some("Balcony/2"))
    );
    assert_eq!(jid.bare_str(), "juliet@example.com");
    assert_eq!(jid.to_bare().as_str(), "juliet@example.com");
    assert_eq!(jid.to_domain().as_str(), "example.com");
    assert_eq!(jid.with_resource("x").unwrap().as_str(), "juliet@example.com/x");
    assert_eq!(jid.with_resource(""), Err(JidError::Empty));
    let domain = jid.to_domain();
    assert_eq!((domain.local(), domain.domain(), domain.resource()), (None, "example.com", None));
    assert!(domain.is_bare() && jid.is_full());
    assert_eq!(Jid::from_parts(Some(""), "a", None), Err(JidError::Empty));
    assert_eq!(Jid::from_parts(Some("a"), "a/b", None), Err(JidError::Domain));
    assert_eq!(Jid::from_parts(Some("a"), "b", Some("")), Err(JidError::Empty));
    assert_eq!(size_of::<Jid>(), 24);
}

fn assert_stable(text: &str) {
    if let Ok(jid) = Jid::parse(text) {
        assert_eq!(Jid::parse(jid.as_str()), Ok(jid.clone()), "{text:?}");
        let parts = Jid::from_parts(jid.local(), jid.domain(), jid.resource());
        assert_eq!(parts, Ok(jid.clone()), "{text:?}");
        assert!(jid.local().is_none_or(|part| part.len() <= PART_BYTES_MAX));
    }
}

#[test]
fn every_character_is_stable_in_every_part() {
    for c in '\u{0}'..=char::MAX {
        assert_stable(&format!("{c}@a"));
        assert_stable(&format!("a/{c}"));
        // UTS 46 in a debug build takes too long for all.
        if u32::from(c) < 0x3_0000 {
            assert_stable(&format!("{c}.a"));
        }
    }
}

proptest! {
    #[test]
    fn preparing_twice_changes_nothing(text in ".*") {
        assert_stable(&text);
        assert_stable(&format!("{text}@a"));
        assert_stable(&format!("a/{text}"));
        assert_stable(&format!("{text}.a"));
    }

    #[test]
    fn preparing_marks_and_scripts_twice_changes_nothing(
        text in "[a-zßςΣſKİ\u{300}-\u{345}\u{5d0}-\u{5ea}\u{627}-\u{64a}\u{660}\u{6f0}\u{915}\u{94d}\
            \u{200b}-\u{200d}\u{1100}\u{1161}\u{11a8}\u{ac00}\u{ff71}\u{ff9e}\u{ffa1}\u{ffc2}\u{1f80}-\u{1fff}\
            .\u{3002}・·❤\u{fe0f}]{0,8}"
    ) {
        assert_stable(&format!("{text}@a"));
        assert_stable(&format!("a/{text}"));
        assert_stable(&format!("{text}.a"));
    }
}
