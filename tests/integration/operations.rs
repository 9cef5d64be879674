//! The process as its operator meets it: command line, configuration, administration, health.

use crate::client::{Client, PASSWORD};
use crate::scram::Scram;
use crate::server::{Server, binary};
use std::net::TcpListener;
use std::process::{Command, Output};
use tempfile::TempDir;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs the binary in an empty directory and without an environment.
fn waystation(args: &[&str], environment: &[(&str, &str)]) -> Output {
    let dir = TempDir::with_prefix("waystation-test-").unwrap();
    let mut command = Command::new(binary());
    command.args(args).current_dir(dir.path()).env_clear().envs(environment.iter().copied());
    command.output().unwrap()
}

/// Not zero, nothing but one line, which holds these words.
fn expect_refusal(output: &Output, words: &[&str]) {
    let complaint = text(&output.stderr);
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(complaint.trim_end().lines().count(), 1, "one clear line: {complaint}");
    for word in words {
        assert!(complaint.contains(word), "{word:?} is missing: {complaint}");
    }
}

#[test]
fn health_and_metrics() {
    let server = Server::with_users(&[], &["romeo"]);
    assert_eq!(server.http_get("/healthz").unwrap().0, 200);
    assert_eq!(server.http_get("/readyz").unwrap().0, 200);
    assert_eq!(server.http_get("/nothing").unwrap().0, 404);
    let _romeo = server.online("romeo", "orchard");
    let (status, body) = server.http_get("/metrics").unwrap();
    assert_eq!(status, 200);
    assert!(body.lines().any(|l| l.starts_with("waystation_")), "{body}");
}

#[test]
fn configuration_that_is_good() {
    assert!(waystation(&["check-config"], &[]).status.success());
    let good = waystation(
        &["check-config", "--set", "c2s.allow_plaintext=true"],
        &[("WAYSTATION__LOG__COMMIT_INTERVAL_MS", "5")],
    );
    assert!(good.status.success(), "{good:?}");
}

#[test]
fn configuration_that_is_not() {
    expect_refusal(&waystation(&["check-config", "--set", "c2s.no_such_key=1"], &[]), &["c2s.no_such_key"]);
    expect_refusal(&waystation(&["check-config", "--set", "nosuch.key=1"], &[]), &["nosuch"]);
    expect_refusal(&waystation(&["--set", "c2s.depth_max=0"], &[]), &["c2s.depth_max"]);
    expect_refusal(&waystation(&["run", "--set", "c2s.starttls=nonsense"], &[]), &["c2s.starttls"]);
    let from_environment = waystation(&["check-config"], &[("WAYSTATION__C2S__DEPTH_MAX", "many")]);
    expect_refusal(&from_environment, &["C2S__DEPTH_MAX"]);
    expect_refusal(&waystation(&["check-config"], &[("WAYSTATION__C2S__NO_SUCH", "1")]), &["NO_SUCH"]);
    let dir = TempDir::with_prefix("waystation-test-").unwrap();
    let file = dir.path().join("waystation.toml");
    std::fs::write(&file, "[c2s]\nno_such_key = 1\n").unwrap();
    expect_refusal(&waystation(&["check-config", "--config", file.to_str().unwrap()], &[]), &["no_such_key"]);
    expect_refusal(&waystation(&["check-config", "--config", "missing.toml"], &[]), &["missing.toml"]);
}

#[test]
fn the_command_line_wins_over_the_environment_over_the_file() {
    let dir = TempDir::with_prefix("waystation-test-").unwrap();
    let file = dir.path().join("waystation.toml");
    let file = file.to_str().unwrap();
    // Good by itself, but not beside c2s.outbound_bytes_max: tells which source was heard last.
    let (bad, good) = ("16000000", "20000");
    let accepted = |in_file: &str, in_environment: Option<&str>, on_command_line: Option<&str>| {
        std::fs::write(file, format!("[c2s]\nstanza_bytes_max = {in_file}\n")).unwrap();
        let setting = on_command_line.map(|value| format!("c2s.stanza_bytes_max={value}"));
        let mut args = vec!["check-config", "--config", file];
        args.extend(setting.iter().flat_map(|setting| ["--set", setting]));
        let environment: Vec<_> =
            in_environment.iter().map(|value| ("WAYSTATION__C2S__STANZA_BYTES_MAX", *value)).collect();
        waystation(&args, &environment).status.success()
    };
    assert!(accepted(good, None, None));
    assert!(!accepted(bad, None, None));
    assert!(accepted(bad, Some(good), None));
    assert!(!accepted(good, Some(bad), None));
    assert!(accepted(bad, Some(bad), Some(good)));
    assert!(!accepted(good, Some(good), Some(bad)));
}

#[test]
fn a_port_in_use() {
    let server = Server::start(&[]);
    let dir = TempDir::with_prefix("waystation-test-").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let output = Command::new(binary())
        .args(["run", "--data-dir"])
        .arg(dir.path())
        .args(["--set", &format!("c2s.starttls={address}")])
        .args(["--set", "c2s.direct_tls=[]", "--set", "http.listen=[]"])
        .args(["--set", "operations.listen=[]", "--set", "admin.listen=[]"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let complaint = text(&output.stderr);
    let last = complaint.trim_end().lines().last().unwrap_or_default();
    assert!(last.contains(&address.to_string()) && last.contains("in use"), "{complaint}");
    // And a data directory in use: two processes on one database would break both.
    let output = Command::new(binary())
        .args(["run", "--data-dir"])
        .arg(server.data_dir())
        .args(["--set", "c2s.starttls=127.0.0.1:0", "--set", "c2s.direct_tls=[]", "--set", "http.listen=[]"])
        .args(["--set", "operations.listen=[]", "--set", "admin.listen=[]"])
        .output()
        .unwrap();
    assert!(!output.status.success(), "a second server on the same data");
}

#[test]
fn first_start_says_what_listens_where() {
    let server = Server::start(&[]);
    let log = server.log();
    for address in [server.c2s, server.direct_tls, server.operations] {
        assert!(log.contains(&address.to_string()), "{address}: {log}");
    }
    assert!(log.contains("ctl user add"), "{log}");
    for file in ["certificate.pem", "key.pem"] {
        assert!(server.data_dir().join(file).is_file(), "{file}");
    }
    let secret = std::fs::metadata(server.data_dir().join("key.pem")).unwrap();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&secret.permissions()) & 0o077,
        0,
        "only the owner reads it"
    );
}

#[test]
fn restarted_with_nothing_lost() {
    let mut server = Server::with_users(&[], &["romeo", "juliet"]);
    server.login("romeo", "orchard").close();
    server.stop();
    server.restart();
    server.login("juliet", "balcony").close();
}

#[test]
fn accounts() {
    let server = Server::with_users(&[], &["romeo", "juliet"]);
    let again = server.ctl_with_input(&["user", "add", "romeo@localhost", "--password-stdin"], "x");
    expect_refusal(&again, &["romeo@localhost"]);
    let elsewhere =
        server.ctl_with_input(&["user", "add", "romeo@elsewhere.example", "--password-stdin"], "x");
    expect_refusal(&elsewhere, &["elsewhere.example"]);
    let malformed = server.ctl_with_input(&["user", "add", "ro meo@localhost", "--password-stdin"], "x");
    expect_refusal(&malformed, &[]);

    let list = server.ctl(&["user", "list"]);
    assert!(list.status.success(), "{list:?}");
    let list = text(&list.stdout);
    assert!(list.contains("romeo@localhost") && list.contains("juliet@localhost"), "{list}");

    let changed =
        server.ctl_with_input(&["user", "passwd", "romeo@localhost", "--password-stdin"], "another");
    assert!(changed.status.success(), "{changed:?}");
    let mut client = Client::connect(server.c2s);
    client.open();
    client.scram("SCRAM-SHA-256", Scram::new("SCRAM-SHA-256", "romeo", PASSWORD, None)).unwrap_err();
    client.scram("SCRAM-SHA-256", Scram::new("SCRAM-SHA-256", "romeo", "another", None)).unwrap();

    // Who is removed is thrown out.
    let mut juliet = server.online("juliet", "balcony");
    let removed = server.ctl(&["user", "delete", "juliet@localhost"]);
    assert!(removed.status.success(), "{removed:?}");
    juliet.expect_stream_error("not-authorized");
    let mut client = Client::connect(server.c2s);
    client.open();
    client.scram("SCRAM-SHA-256", Scram::new("SCRAM-SHA-256", "juliet", PASSWORD, None)).unwrap_err();
    expect_refusal(&server.ctl(&["user", "delete", "juliet@localhost"]), &["juliet@localhost"]);
}

#[test]
fn sessions_and_nodes() {
    let server = Server::with_users(&[], &["romeo", "juliet"]);
    let mut orchard = server.online("romeo", "orchard");
    let mut home = server.login("romeo", "home");
    let mut juliet = server.online("juliet", "balcony");
    orchard.sync();
    let list = text(&server.ctl(&["session", "list"]).stdout);
    for jid in ["romeo@localhost/orchard", "romeo@localhost/home", "juliet@localhost/balcony"] {
        assert!(list.contains(jid), "{jid}: {list}");
    }
    let own = text(&server.ctl(&["session", "list", "juliet@localhost"]).stdout);
    assert!(own.contains("juliet@localhost/balcony") && !own.contains("romeo@localhost"), "{own}");

    assert!(server.ctl(&["session", "kick", "romeo@localhost/home"]).status.success());
    home.expect_stream_error("policy-violation");
    orchard.sync();
    assert!(server.ctl(&["session", "kick", "romeo@localhost"]).status.success());
    orchard.expect_stream_error("policy-violation");
    juliet.sync();
    expect_refusal(&server.ctl(&["session", "kick", "romeo@localhost/home"]), &["romeo@localhost/home"]);

    let nodes = server.ctl(&["node", "list"]);
    assert!(nodes.status.success(), "{nodes:?}");
    assert!(text(&nodes.stdout).contains("test"), "the node's name: {nodes:?}");
}

#[test]
fn administration_asks_for_the_token() {
    let server = Server::start(&[]);
    let token = server.data_dir().join("admin-token");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&token).unwrap().permissions());
    assert_eq!(mode & 0o077, 0, "only the owner reads it");
    let kept = std::fs::read(&token).unwrap();
    std::fs::write(&token, "0000000000000000000000000000000000000000000000000000").unwrap();
    expect_refusal(&server.ctl(&["user", "list"]), &["token"]);
    std::fs::write(&token, kept).unwrap();
    assert!(server.ctl(&["user", "list"]).status.success());
}

#[test]
fn secrets_are_not_logged() {
    let server = Server::with_users(&["telemetry.level=trace"], &["romeo"]);
    let mut client = Client::connect(server.c2s);
    client.starttls();
    client.open();
    client.plain("romeo", PASSWORD);
    client.open();
    client.bind("orchard");
    client.send("<message to='romeo@localhost'><body>a very private matter</body></message>");
    client.sync();
    let log = server.log();
    let token = std::fs::read_to_string(server.data_dir().join("admin-token")).unwrap();
    for secret in [PASSWORD, token.trim(), "a very private matter"] {
        assert!(!log.contains(secret), "{secret:?} is in the log");
    }
}
