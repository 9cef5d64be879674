//! The configuration from outside: every source, their order, and every kind of mistake.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use runtime::config::{Config, Source, Sources};
use std::path::PathBuf;

/// A configuration from a file's text, the environment and `--set`.
fn sources(
    file: Option<&str>,
    environment: &[(&str, &str)],
    settings: &[&str],
) -> (Sources, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let file = file.map(|text| {
        let path = dir.path().join("waystation.toml");
        std::fs::write(&path, text).unwrap();
        path
    });
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let settings = settings.iter().map(|setting| (*setting).to_owned());
    (Sources { file, environment: environment.collect(), settings: settings.collect() }, dir)
}

fn load(file: Option<&str>, environment: &[(&str, &str)], settings: &[&str]) -> Config {
    let (sources, _dir) = sources(file, environment, settings);
    Config::load(&sources).unwrap().0
}

/// The message of a configuration that must not load: always one line.
fn mistake(file: Option<&str>, environment: &[(&str, &str)], settings: &[&str]) -> String {
    let (sources, dir) = sources(file, environment, settings);
    let message = Config::load(&sources).unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message:?}");
    message.replace(&dir.path().display().to_string(), "DIR")
}

#[test]
fn nothing_set_is_a_configuration() {
    let config = load(None, &[], &[]);
    assert_eq!(config.domains.hosts, ["localhost"]);
    assert_eq!(config.c2s.starttls, ["[::]:5222".parse().unwrap()]);
    assert_eq!(config.admin.listen, ["127.0.0.1:9601".parse().unwrap()]);
    assert!(!config.c2s.allow_plaintext && !config.registration.enabled);
    assert!(!config.node.name.is_empty() && config.node.embedded());
    assert_eq!(config.admin_token_file(), PathBuf::from("waystation-data/admin-token"));
}

#[test]
fn each_source_wins_over_the_one_before_it() {
    let file = Some("[log]\ncommit_interval_ms = 1\nsettle_after_seconds = 1\nretention_days = 1\n");
    let environment =
        [("WAYSTATION__LOG__SETTLE_AFTER_SECONDS", "2"), ("WAYSTATION__LOG__RETENTION_DAYS", "2")];
    let (sources, _dir) = sources(file, &environment, &["log.retention_days=3"]);
    let (config, provenance) = Config::load(&sources).unwrap();
    let log = config.log;
    assert_eq!((log.commit_interval_ms, log.settle_after_seconds, log.retention_days), (1, 2, 3));
    assert!(matches!(provenance.of("log.commit_interval_ms"), Source::File(_)));
    let variable = "WAYSTATION__LOG__SETTLE_AFTER_SECONDS".to_owned();
    assert_eq!(provenance.of("log.settle_after_seconds"), Source::Environment(variable));
    assert_eq!(provenance.of("log.retention_days"), Source::CommandLine);
    assert_eq!(provenance.of("c2s.starttls"), Source::Default);

    // A stronger source mends what a weaker one says, but not a key that does not exist.
    let mended = load(Some("[log]\nretention_days = -1\n"), &[], &["log.retention_days=3"]);
    assert_eq!(mended.log.retention_days, 3);
    mistake(Some("[log]\nretention = 1\n"), &[], &["log.retention_days=3"]);
}

#[test]
fn every_key_can_come_from_every_source() {
    // Not at its default, so that it shows.
    for (section, key) in Config::keys() {
        let default = Config::default().get(section, key.name).unwrap();
        let name = format!("{section}.{}", key.name);
        let file = format!("[{section}]\n{} = {default}\n", key.name);
        let text = match &default {
            toml::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let variable = format!("WAYSTATION__{}__{}", section.to_uppercase(), key.name.to_uppercase());
        for loaded in [
            load(Some(&file), &[], &[]),
            load(None, &[(&variable, &text)], &[]),
            load(None, &[], &[&format!("{name}={text}")]),
        ] {
            assert_eq!(loaded, load(None, &[], &[]), "{name}");
        }
        // The source is heeded, not passed over.
        if !matches!(default, toml::Value::String(_)) {
            assert!(mistake(None, &[(&variable, "\u{1}")], &[]).starts_with(&name), "{name}");
            assert!(mistake(None, &[], &[&format!("{name}=\u{1}")]).starts_with(&name), "{name}");
            let file = format!("[{section}]\n{} = 1.5\n", key.name);
            assert!(mistake(Some(&file), &[], &[]).starts_with(&name), "{name}");
        }
    }
}

#[test]
fn lists_are_written_in_two_ways_as_text() {
    let hosts = |text: &str| load(None, &[], &[&format!("domains.hosts={text}")]).domains.hosts;
    assert_eq!(hosts("a.example, b.example"), ["a.example", "b.example"]);
    assert_eq!(hosts(r#"["a.example", "b.example"]"#), ["a.example", "b.example"]);
    let addresses = |text: &str| load(None, &[], &[&format!("c2s.starttls={text}")]).c2s.starttls;
    assert_eq!(
        addresses("[::1]:1,127.0.0.1:2"),
        ["[::1]:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap()]
    );
    assert_eq!(addresses(""), []);
    assert_eq!(addresses("[]"), []);
}

#[test]
fn domains_are_prepared_and_listed_once() {
    let config = load(Some("[domains]\nhosts = [\"Example.COM\", \"example.com\"]\n"), &[], &[]);
    assert_eq!(config.domains.hosts, ["example.com"]);
}

#[test]
fn certificates_are_tables() {
    let file = "[[tls.certificates]]\nhosts = [\"A.example\"]\ncertificate = \"a.pem\"\nkey = \"a.key\"\n";
    let certificates = load(Some(file), &[], &[]).tls.certificates;
    assert_eq!(certificates[0].hosts, ["a.example"]);
    let message = mistake(Some(&file.replace("key =", "kye =")), &[], &[]);
    assert!(message.contains("tls.certificates") && message.contains("a list of tables"), "{message}");
}

#[test]
fn unknown_keys_are_told_from_every_source() {
    let cases = [
        (
            mistake(Some("[c2s]\nalow_plaintext = true\n"), &[], &[]),
            "unknown configuration key c2s.alow_plaintext (DIR/waystation.toml); did you mean c2s.allow_plaintext?",
        ),
        (
            mistake(None, &[("WAYSTATION__C2S__ALLOW_PLAIN_TEXT", "true")], &[]),
            "unknown configuration key c2s.allow_plain_text (environment, WAYSTATION__C2S__ALLOW_PLAIN_TEXT); \
             did you mean c2s.allow_plaintext?",
        ),
        (
            mistake(None, &[], &["registraton.enabled=true"]),
            "unknown configuration key registraton.enabled (command line); did you mean registration.enabled?",
        ),
        (
            mistake(None, &[], &["c2s.hosts=a"]),
            "unknown configuration key c2s.hosts (command line); did you mean domains.hosts?",
        ),
        (
            mistake(None, &[], &["colour.of.the.sky=blue"]),
            "unknown configuration key colour.of.the.sky (command line)",
        ),
        (
            mistake(Some("[tsl]\nversion_min = \"1.3\"\n"), &[], &[]),
            "unknown configuration key tsl (DIR/waystation.toml); did you mean [tls]?",
        ),
        (
            mistake(None, &[("WAYSTATION__C2S", "1")], &[]),
            "unknown configuration key c2s (environment, WAYSTATION__C2S); did you mean [c2s]?",
        ),
        (
            mistake(Some("allow_plaintext = true\n"), &[], &[]),
            "unknown configuration key allow_plaintext (DIR/waystation.toml); did you mean c2s.allow_plaintext?",
        ),
    ];
    for (message, expected) in cases {
        assert_eq!(message, expected);
    }
}

#[test]
fn impossible_values_say_what_is_allowed() {
    let cases = [
        (
            mistake(None, &[], &["c2s.stanza_bytes_max=9999"]),
            "c2s.stanza_bytes_max = 9999 (command line): expected a whole number from 10000 to 16777216",
        ),
        (
            mistake(None, &[("WAYSTATION__C2S__STANZA_BYTES_MAX", "many")], &[]),
            "c2s.stanza_bytes_max = many (environment, WAYSTATION__C2S__STANZA_BYTES_MAX): \
             expected a whole number from 10000 to 16777216",
        ),
        (
            mistake(Some("[c2s]\nallow_plaintext = \"yes\"\n"), &[], &[]),
            "c2s.allow_plaintext = \"yes\" (DIR/waystation.toml): expected true or false",
        ),
        (
            mistake(None, &[], &["operations.listen=9600"]),
            "operations.listen = 9600 (command line): expected a list of addresses with ports, such as \
             [\"127.0.0.1:5222\", \"[::]:5222\"]",
        ),
        (mistake(Some("c2s = 1\n"), &[], &[]), "c2s = 1 (DIR/waystation.toml): expected a section, [c2s]"),
        (
            mistake(None, &[], &["domains.hosts="]),
            "domains.hosts =  (command line): expected at least one domain",
        ),
        (
            mistake(None, &[], &["domains.hosts=a@b"]),
            "domains.hosts = a@b (command line): \"a@b\" is no domain name",
        ),
        (
            mistake(None, &[], &["router.partitions=1000"]),
            "router.partitions = 1000 (command line): expected a power of two",
        ),
        (
            mistake(None, &[], &["session.resume_seconds_max=100"]),
            "session.resume_seconds_default = 300 (default): expected at most session.resume_seconds_max",
        ),
        (
            mistake(None, &[], &["tls.certificate=a.pem"]),
            "tls.key = \"\" (default): expected a path, since tls.certificate is set",
        ),
        (
            mistake(None, &[], &["tls.version_min=1.1"]),
            "tls.version_min = 1.1 (command line): expected 1.2 or 1.3",
        ),
        (
            mistake(None, &[], &["node.roles=gateway,rooter"]),
            "node.roles = gateway,rooter (command line): expected all, or a list of gateway, router and proxy",
        ),
        (
            mistake(None, &[], &["admin.listen=127.0.0.1:9600"]),
            "admin.listen = 127.0.0.1:9600 (command line): 127.0.0.1:9600 is already taken by operations.listen",
        ),
        (
            mistake(None, &[], &["telemetry.level=loud=very"]),
            "telemetry.level = loud=very (command line): expected error, warn, info, debug or trace",
        ),
        (
            mistake(None, &[], &["c2s.allow_plaintext"]),
            "--set c2s.allow_plaintext: expected section.key=value",
        ),
    ];
    for (message, expected) in cases {
        assert_eq!(message, expected);
    }
    let message = mistake(None, &[], &["sasl.mechanisms=SCRAM-MD5"]);
    assert!(message.contains("no SCRAM-MD5; expected some of SCRAM-SHA-512-PLUS"), "{message}");
}

#[test]
fn a_file_that_is_no_toml_or_is_missing_is_named() {
    let message = mistake(Some("[c2s]\n\nallow_plaintext = maybe\n"), &[], &[]);
    assert!(message.starts_with("DIR/waystation.toml:3: "), "{message}");
    let sources = Sources { file: Some("/nowhere/w.toml".into()), ..Sources::default() };
    let message = Config::load(&sources).unwrap_err().to_string();
    assert!(
        message.starts_with("cannot read the configuration file /nowhere/w.toml: No such file"),
        "{message}"
    );
}
