//! TCP, or TLS on it.

use bus::envelope::TlsFacts;
use runtime::tls::Certificates;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::rustls::{ProtocolVersion, ServerConfig, ServerConnection};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// RFC 9266 §2
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// What bytes go through.
pub enum Transport {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Handshake(Box<Handshake>),
    /// The socket is closed.
    Gone,
}

/// A TLS handshake under way.
pub struct Handshake {
    accept: Accept<TcpStream>,
    certificates: Arc<Certificates>,
    /// The domain whose certificate is served where the client asks for none (STARTTLS).
    domain: Option<Arc<str>>,
}

impl Handshake {
    fn begin(
        tcp: TcpStream,
        config: Arc<ServerConfig>,
        certificates: Arc<Certificates>,
        domain: Option<Arc<str>>,
    ) -> Transport {
        let accept = TlsAcceptor::from(config).accept(tcp);
        Transport::Handshake(Box::new(Handshake { accept, certificates, domain }))
    }

    /// TLS comes first (XEP-0368).
    pub fn direct(tcp: TcpStream, certificates: Arc<Certificates>) -> Transport {
        Handshake::begin(tcp, certificates.direct(), certificates, None)
    }

    /// TLS for a stream to `domain`.
    pub fn starttls(tcp: TcpStream, certificates: Arc<Certificates>, domain: Arc<str>) -> Transport {
        Handshake::begin(tcp, certificates.starttls(&domain), certificates, Some(domain))
    }
}

impl Transport {
    /// Goes on with the handshake, if there is one; then the transport is TLS.
    pub fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<TlsFacts>> {
        let Transport::Handshake(handshake) = self else {
            return Poll::Pending;
        };
        let tls = ready!(Pin::new(&mut handshake.accept).poll(cx))?;
        let facts = facts(tls.get_ref().1, &handshake.certificates, handshake.domain.as_deref());
        *self = Transport::Tls(Box::new(tls));
        Poll::Ready(Ok(facts))
    }

    pub fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(into);
        let read = match self {
            Transport::Tcp(tcp) => Pin::new(tcp).poll_read(cx, &mut buffer),
            Transport::Tls(tls) => Pin::new(&mut **tls).poll_read(cx, &mut buffer),
            Transport::Handshake(_) => Poll::Pending,
            Transport::Gone => Poll::Ready(Ok(())),
        };
        read.map_ok(|()| buffer.filled().len())
    }

    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Transport::Tcp(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Transport::Tls(tls) => Pin::new(&mut **tls).poll_write(cx, bytes),
            Transport::Handshake(_) | Transport::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Transport::Tls(tls) => Pin::new(&mut **tls).poll_flush(cx),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Closes our direction; under TLS with `close_notify` before.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Transport::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Transport::Tls(tls) => Pin::new(&mut **tls).poll_shutdown(cx),
            Transport::Handshake(_) | Transport::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Whether a handshake is under way.
    pub fn is_handshake(&self) -> bool {
        matches!(self, Transport::Handshake(_))
    }

    /// The socket.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Transport::Tcp(tcp) => Some(tcp.as_fd()),
            Transport::Tls(tls) => Some(tls.get_ref().0.as_fd()),
            Transport::Handshake(_) | Transport::Gone => None,
        }
    }
}

/// What SASL may want to know of the TLS session.
fn facts(session: &ServerConnection, certificates: &Certificates, domain: Option<&str>) -> TlsFacts {
    let is_13 = session.protocol_version() == Some(ProtocolVersion::TLSv1_3);
    // Under TLS 1.2 the exporter is unique only with the extended master secret (RFC 9266 §4.2),
    // which `runtime::tls` requires.
    let exporter = session.export_keying_material([0; 32], EXPORTER_LABEL, Some(&[])).ok();
    TlsFacts {
        version: if is_13 { "TLSv1.3" } else { "TLSv1.2" },
        exporter,
        end_point: certificates.end_point(session.server_name(), domain),
    }
}
