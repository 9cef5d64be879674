//! Which certificate is shown to whom, and its renewal while clients are connected.

use crate::client::{Client, DOMAIN, PATIENCE};
use crate::server::Server;
use crate::tls;
use rcgen::{CertifiedKey, KeyPair};
use rustls::pki_types::CertificateDer;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn new_certificate(host: &str) -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed([host.to_owned()]).unwrap()
}

fn write(certificate: &CertifiedKey<KeyPair>, file: &Path, key: &Path) {
    std::fs::write(file, certificate.cert.pem()).unwrap();
    std::fs::write(key, certificate.signing_key.serialize_pem()).unwrap();
}

/// What a client sees that asks for this host.
fn seen(server: &Server, host: &str) -> CertificateDer<'static> {
    let mut client = Client::connect(server.direct_tls);
    client.secure_to(tls::any_certificate(), host);
    client.tls().peer_certificates().unwrap()[0].clone()
}

#[test]
fn renewed_on_sighup() {
    let server = Server::with_users(&[], &["romeo"]);
    let mut romeo = server.online("romeo", "orchard");
    let before = seen(&server, DOMAIN);
    assert_eq!(before, seen(&server, DOMAIN), "the certificate stays as it is");
    let renewed = new_certificate(DOMAIN);
    write(&renewed, &server.data_dir().join("certificate.pem"), &server.data_dir().join("key.pem"));
    server.signal("HUP");
    let deadline = Instant::now() + PATIENCE;
    while seen(&server, DOMAIN) != *renewed.cert.der() {
        assert!(Instant::now() < deadline, "the new certificate was not loaded");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Who is connected stays.
    romeo.sync();
}

#[test]
fn a_renewal_that_is_broken_changes_nothing() {
    let server = Server::start(&[]);
    let before = seen(&server, DOMAIN);
    std::fs::write(server.data_dir().join("certificate.pem"), "no certificate").unwrap();
    server.signal("HUP");
    let deadline = Instant::now() + PATIENCE;
    while !server.log().contains("certificate.pem")
        || !server.log().contains("WARN") && !server.log().contains("ERROR")
    {
        assert!(Instant::now() < deadline, "the log does not tell: {}", server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(seen(&server, DOMAIN), before);
}

#[test]
fn chosen_by_the_name_the_client_asks_for() {
    // RFC 6066 §3.
    let dir = TempDir::with_prefix("waystation-test-").unwrap();
    let (file, key) = (dir.path().join("other.pem"), dir.path().join("other.key"));
    let other = new_certificate("other.example");
    write(&other, &file, &key);
    let setting = format!(
        "tls.certificates=[{{ hosts = [\"other.example\"], certificate = {:?}, key = {:?} }}]",
        file.to_str().unwrap(),
        key.to_str().unwrap()
    );
    let server = Server::start(&["domains.hosts=localhost,other.example", &setting]);
    assert_eq!(seen(&server, "other.example"), *other.cert.der());
    assert_ne!(seen(&server, DOMAIN), *other.cert.der());
}
