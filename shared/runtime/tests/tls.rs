//! TLS with real handshakes: which certificate is served, what is agreed on, and reloading.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use runtime::Clock;
use runtime::config::tls::{HostCertificate, Tls, TlsVersion};
use runtime::tls::{CertStore, install_provider};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use sha2::{Digest, Sha256, Sha384};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::{TlsAcceptor, TlsConnector};

fn domains(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn open(tls: &Tls, dir: &Path, names: &[&str]) -> CertStore {
    install_provider();
    CertStore::open(tls, dir, &domains(names), Clock::System).unwrap()
}

/// What a client saw.
struct Seen {
    certificate: CertificateDer<'static>,
    alpn: Option<Vec<u8>>,
    version: rustls::ProtocolVersion,
    /// What the server takes for the name that the client asked for.
    server_name: Option<String>,
}

/// Takes whatever it is served.
#[derive(Debug)]
struct Anything;

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

fn anything(versions: &[&'static rustls::SupportedProtocolVersion]) -> ClientConfig {
    ClientConfig::builder_with_protocol_versions(versions)
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anything))
        .with_no_client_auth()
}

const ALL: &[&rustls::SupportedProtocolVersion] = rustls::ALL_VERSIONS;

async fn handshake(server: Arc<ServerConfig>, client: ClientConfig, name: &str) -> std::io::Result<Seen> {
    let (near, far) = tokio::io::duplex(1 << 16);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connecting = TlsConnector::from(Arc::new(client)).connect(name, near);
    let (connected, accepted) = tokio::join!(connecting, TlsAcceptor::from(server).accept(far));
    let (connected, accepted) = (connected?, accepted?);
    let client = connected.get_ref().1;
    Ok(Seen {
        certificate: client.peer_certificates().unwrap()[0].clone().into_owned(),
        alpn: client.alpn_protocol().map(<[u8]>::to_vec),
        version: client.protocol_version().unwrap(),
        server_name: accepted.get_ref().1.server_name().map(str::to_owned),
    })
}

fn certificate(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path).unwrap()
}

/// Writes a certificate for a name, signed with P-256 or P-384.
fn make(dir: &Path, name: &str, algorithm: &'static rcgen::SignatureAlgorithm) -> HostCertificate {
    let file = name.replace('*', "any");
    let (pem, key_file) = (dir.join(format!("{file}.pem")), dir.join(format!("{file}.key")));
    let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
    let made = rcgen::CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(&pem, made.pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    HostCertificate { hosts: vec![name.to_owned()], certificate: pem, key: key_file }
}

#[tokio::test]
async fn the_first_start_makes_a_certificate_that_names_the_domains() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&Tls::default(), dir.path(), &["localhost", "bücher.example"]);
    let made = certificate(&dir.path().join("certificate.pem"));
    let key_mode = dir.path().join("key.pem").metadata().unwrap().permissions().mode();
    assert_eq!(key_mode & 0o777, 0o600);

    // A client that is told to trust it finds both names in it.
    let mut roots = RootCertStore::empty();
    roots.add(made.clone()).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    for name in ["localhost", "xn--bcher-kva.example"] {
        let seen = handshake(store.current().direct(), client.clone(), name).await.unwrap();
        assert_eq!(seen.certificate, made);
    }
    assert!(handshake(store.current().direct(), client, "other.example").await.is_err());

    // The second start keeps it.
    open(&Tls::default(), dir.path(), &["localhost"]);
    assert_eq!(certificate(&dir.path().join("certificate.pem")), made);
}

#[tokio::test]
async fn direct_tls_agrees_on_xmpp_and_starttls_on_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let certificates = open(&Tls::default(), dir.path(), &["localhost"]).current();
    let mut client = anything(ALL);
    client.alpn_protocols = vec![b"xmpp-client".to_vec()];
    let direct = handshake(certificates.direct(), client.clone(), "localhost").await.unwrap();
    assert_eq!(direct.alpn.as_deref(), Some(&b"xmpp-client"[..]));
    let starttls = handshake(certificates.starttls("localhost"), client.clone(), "localhost").await.unwrap();
    assert_eq!(starttls.alpn, None);
    // Another protocol on the XMPP port is an attack across protocols (RFC 7301 §3.2).
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    assert!(handshake(certificates.direct(), client, "localhost").await.is_err());
}

#[tokio::test]
async fn old_versions_are_as_configured() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&Tls::default(), dir.path(), &["localhost"]);
    let seen = handshake(store.current().direct(), anything(ALL), "localhost").await.unwrap();
    assert_eq!(seen.version, rustls::ProtocolVersion::TLSv1_3);
    let old = || anything(&[&rustls::version::TLS12]);
    assert!(handshake(store.current().direct(), old(), "localhost").await.is_ok());
    store.reload(&Tls { version_min: TlsVersion::Tls13, ..Tls::default() }).unwrap();
    assert!(handshake(store.current().direct(), old(), "localhost").await.is_err());
}

#[tokio::test]
async fn the_name_asked_for_chooses_the_certificate_and_its_hash() {
    let dir = tempfile::tempdir().unwrap();
    let exact = make(dir.path(), "chat.example.com", &rcgen::PKCS_ECDSA_P256_SHA256);
    let wildcard = make(dir.path(), "*.example.com", &rcgen::PKCS_ECDSA_P384_SHA384);
    let tls = Tls { certificates: vec![exact.clone(), wildcard.clone()], ..Tls::default() };
    let certificates = open(&tls, dir.path(), &["localhost", "chat.example.com"]).current();
    let main = certificate(&dir.path().join("certificate.pem"));
    let (exact, wildcard) = (certificate(&exact.certificate), certificate(&wildcard.certificate));
    let sha256 = |der: &CertificateDer<'_>| Sha256::digest(der).to_vec();
    // RFC 5929 §4.1: the hash of the certificate's signature.
    let sha384 = |der: &CertificateDer<'_>| Sha384::digest(der).to_vec();

    // The name asked for, the stream's domain, what is served and its hash. An address is no name.
    for (name, domain, served, hash) in [
        ("chat.example.com", "localhost", &exact, sha256(&exact)),
        ("CHAT.example.com", "localhost", &exact, sha256(&exact)),
        ("talk.example.com", "localhost", &wildcard, sha384(&wildcard)),
        ("a.talk.example.com", "localhost", &main, sha256(&main)),
        ("localhost", "chat.example.com", &exact, sha256(&exact)),
        ("localhost", "localhost", &main, sha256(&main)),
        ("127.0.0.1", "chat.example.com", &exact, sha256(&exact)),
        ("127.0.0.1", "localhost", &main, sha256(&main)),
    ] {
        let seen = handshake(certificates.starttls(domain), anything(ALL), name).await.unwrap();
        assert_eq!(&seen.certificate, served, "{name} on a stream to {domain}");
        let end_point = certificates.end_point(seen.server_name.as_deref(), Some(domain)).unwrap();
        assert_eq!(*end_point, *hash, "{name} on a stream to {domain}");
    }
    let seen = handshake(certificates.direct(), anything(ALL), "127.0.0.1").await.unwrap();
    assert_eq!(seen.certificate, main);
    assert_eq!(*certificates.end_point(None, None).unwrap(), *sha256(&main));
}

#[tokio::test]
async fn no_hash_is_defined_for_ed25519() {
    let dir = tempfile::tempdir().unwrap();
    let made = make(dir.path(), "localhost", &rcgen::PKCS_ED25519);
    let tls = Tls { certificate: made.certificate, key: made.key, ..Tls::default() };
    assert_eq!(open(&tls, dir.path(), &["localhost"]).current().end_point(None, None), None);
}

#[tokio::test]
async fn reloading_takes_effect_for_new_connections_only() {
    let dir = tempfile::tempdir().unwrap();
    let made = make(dir.path(), "localhost", &rcgen::PKCS_ECDSA_P256_SHA256);
    let tls = Tls { certificate: made.certificate.clone(), key: made.key.clone(), ..Tls::default() };
    let store = open(&tls, dir.path(), &["localhost"]);
    let (before, old) = (store.current(), certificate(&made.certificate));
    make(dir.path(), "localhost", &rcgen::PKCS_ECDSA_P256_SHA256);
    let new = certificate(&made.certificate);
    store.reload(&tls).unwrap();
    let served = |config| async { handshake(config, anything(ALL), "localhost").await.unwrap().certificate };
    assert_eq!(served(store.current().direct()).await, new);
    assert_eq!(served(before.direct()).await, old);
    assert_eq!(*before.end_point(None, None).unwrap(), *Sha256::digest(&old));

    // What cannot be used leaves in place what can.
    std::fs::write(&made.key, "no key").unwrap();
    let error = store.reload(&tls).unwrap_err().to_string();
    assert!(error.contains(&made.key.display().to_string()) && !error.contains('\n'), "{error}");
    assert_eq!(served(store.current().direct()).await, new);
}

#[tokio::test]
async fn a_key_of_another_certificate_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let one = make(dir.path(), "one.example", &rcgen::PKCS_ECDSA_P256_SHA256);
    let two = make(dir.path(), "two.example", &rcgen::PKCS_ECDSA_P256_SHA256);
    let tls = Tls { certificate: one.certificate.clone(), key: two.key.clone(), ..Tls::default() };
    install_provider();
    let refused = CertStore::open(&tls, dir.path(), &domains(&["one.example"]), Clock::System);
    let error = refused.err().unwrap().to_string();
    assert!(error.starts_with(&format!("cannot use {}", one.certificate.display())), "{error}");
}
