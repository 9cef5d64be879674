//! A client that says exactly what a test wants said.

use super::PATIENCE;
use super::owner::PASSWORD;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme, SupportedProtocolVersion,
};

pub const HEADER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
                          to='localhost' version='1.0'>";
pub const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

pub struct Client<S> {
    pub socket: S,
    /// Read and not yet asked for.
    buffer: String,
}

pub async fn connect(address: SocketAddr) -> Client<TcpStream> {
    let socket = TcpStream::connect(address).await.unwrap();
    Client { socket, buffer: String::new() }
}

/// Logged in with a resource.
pub async fn bound(address: SocketAddr) -> Client<TcpStream> {
    let mut client = connect(address).await;
    client.bind("alice").await;
    client
}

pub fn auth(user: &str, password: &str) -> String {
    let initial = STANDARD.encode(format!("\0{user}\0{password}"));
    format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{initial}</auth>")
}

pub const BIND: &str = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub async fn send(&mut self, text: &str) {
        timeout(PATIENCE, self.socket.write_all(text.as_bytes())).await.expect("a write").unwrap();
    }

    /// Reads up to and including `end`.
    pub async fn until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.buffer.find(end) {
                let rest = self.buffer.split_off(at + end.len());
                return std::mem::replace(&mut self.buffer, rest);
            }
            let mut bytes = [0; 4096];
            let read = timeout(PATIENCE, self.socket.read(&mut bytes)).await;
            let read = read.unwrap_or_else(|_| panic!("no {end:?} in {:?}", self.buffer)).unwrap();
            assert!(read > 0, "closed, and no {end:?} in {:?}", self.buffer);
            self.buffer.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        }
    }

    /// Reads all there is until the server closes.
    pub async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        // A connection that is reset has no more to say either.
        let _ = timeout(PATIENCE, self.socket.read_to_end(&mut bytes)).await.expect("the end");
        std::mem::take(&mut self.buffer) + std::str::from_utf8(&bytes).unwrap()
    }

    pub async fn ask(&mut self, text: &str, end: &str) -> String {
        self.send(text).await;
        self.until(end).await
    }

    pub async fn open(&mut self) -> String {
        self.ask(HEADER, "</stream:features>").await
    }

    pub async fn login(&mut self, user: &str) {
        self.open().await;
        self.ask(&auth(user, PASSWORD), "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>").await;
        self.open().await;
    }

    pub async fn bind(&mut self, user: &str) {
        self.login(user).await;
        self.ask(BIND, "</iq>").await;
    }
}

pub const TLS13: &SupportedProtocolVersion = &tokio_rustls::rustls::version::TLS13;
pub const TLS12: &SupportedProtocolVersion = &tokio_rustls::rustls::version::TLS12;

/// TLS with whatever certificate there is.
pub async fn tls(
    client: Client<TcpStream>,
    version: &'static SupportedProtocolVersion,
) -> Client<TlsStream<TcpStream>> {
    assert!(client.buffer.is_empty(), "unread before TLS: {}", client.buffer);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let socket = TlsConnector::from(Arc::new(config)).connect(name, client.socket).await.unwrap();
    Client { socket, buffer: String::new() }
}

#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
