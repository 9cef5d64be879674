//! TLS: certificates, chosen by the name the client asks for and reloadable while running.
//!
//! A connection takes the [`Certificates`] of the moment and keeps them through its handshake, so
//! that the hash it binds to (RFC 5929) is that of the certificate it was served, whatever is
//! reloaded meanwhile.

mod certificate;
mod self_signed;

pub use certificate::TlsError;

use crate::config::tls::{Tls, TlsVersion};
use crate::{Clock, metrics};
use certificate::Identity;
use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The protocol that direct TLS agrees on (XEP-0368 §5).
const ALPN: &[u8] = b"xmpp-client";

/// Installs the provider of cryptography for this process. May be called again.
pub fn install_provider() {
    // An error means that it is installed already.
    let _ = aws_lc_rs::default_provider().install_default();
}

/// The certificates of this process and where they come from.
pub struct CertStore {
    data_dir: PathBuf,
    domains: Vec<String>,
    clock: Clock,
    current: RwLock<Arc<Certificates>>,
}

impl CertStore {
    /// Reads the certificates. Where none is configured and the data directory has none, makes a
    /// self-signed one for `domains`, with its key readable for the owner only.
    ///
    /// # Errors
    /// When a file cannot be read, written or used.
    pub fn open(tls: &Tls, data_dir: &Path, domains: &[String], clock: Clock) -> Result<CertStore, TlsError> {
        if tls.certificate.as_os_str().is_empty() {
            self_signed::make_if_missing(&certificate_file(data_dir), &key_file(data_dir), domains, &clock)?;
        }
        let current = Certificates::read(tls, data_dir)?;
        current.report(domains, &clock);
        Ok(CertStore {
            data_dir: data_dir.to_owned(),
            domains: domains.to_vec(),
            clock,
            current: RwLock::new(Arc::new(current)),
        })
    }

    /// Reads everything again. Connections that are open keep what they have.
    ///
    /// # Errors
    /// When a file cannot be read or used; what was there stays in use.
    pub fn reload(&self, tls: &Tls) -> Result<(), TlsError> {
        let read = Certificates::read(tls, &self.data_dir)?;
        read.report(&self.domains, &self.clock);
        *self.current.write() = Arc::new(read);
        Ok(())
    }

    /// The certificates of this moment.
    pub fn current(&self) -> Arc<Certificates> {
        self.current.read().clone()
    }
}

fn certificate_file(data_dir: &Path) -> PathBuf {
    data_dir.join("certificate.pem")
}

fn key_file(data_dir: &Path) -> PathBuf {
    data_dir.join("key.pem")
}

/// Certificates that were read together. They do not change.
pub struct Certificates {
    table: Arc<Table>,
    direct: Arc<ServerConfig>,
    /// One for each identity of the table, which is what it falls back to.
    starttls: Vec<Arc<ServerConfig>>,
}

impl Certificates {
    fn read(tls: &Tls, data_dir: &Path) -> Result<Certificates, TlsError> {
        let main = match tls.certificate.as_os_str().is_empty() {
            true => Identity::read(&certificate_file(data_dir), &key_file(data_dir))?,
            false => Identity::read(&tls.certificate, &tls.key)?,
        };
        let mut table = Table { identities: vec![main], by_host: HashMap::new() };
        for entry in &tls.certificates {
            table.identities.push(Identity::read(&entry.certificate, &entry.key)?);
            for host in &entry.hosts {
                let host = idna::domain_to_ascii(host).unwrap_or_else(|_| host.clone());
                table.by_host.insert(host, table.identities.len() - 1);
            }
        }
        let table = Arc::new(table);
        let config = |fallback, alpn: &[&[u8]]| server_config(tls.version_min, &table, fallback, alpn);
        let direct = config(0, &[ALPN])?;
        let starttls = (0..table.identities.len()).map(|fallback| config(fallback, &[]));
        Ok(Certificates { direct, starttls: starttls.collect::<Result<_, _>>()?, table: table.clone() })
    }

    /// For direct TLS. Without a name from the client it gets the main certificate.
    pub fn direct(&self) -> Arc<ServerConfig> {
        self.direct.clone()
    }

    /// For STARTTLS on a stream to `domain`. Without a name from the client it gets the
    /// certificate of that domain.
    pub fn starttls(&self, domain: &str) -> Arc<ServerConfig> {
        self.starttls[self.table.find(domain).unwrap_or(0)].clone()
    }

    /// The hash for `tls-server-end-point` of the certificate that was served: `server_name` is
    /// what the client asked for, `domain` what [`Certificates::starttls`] was given. None where
    /// RFC 5929 §4.1 does not say which hash to use.
    pub fn end_point(&self, server_name: Option<&str>, domain: Option<&str>) -> Option<Arc<[u8]>> {
        let fallback = domain.and_then(|domain| self.table.find(domain)).unwrap_or(0);
        self.table.served(server_name, fallback).end_point.clone()
    }

    /// Logs what an operator should know, and sets the metric of the certificates' ends.
    fn report(&self, domains: &[String], clock: &Clock) {
        let now = i64::try_from(clock.now_ms() / 1_000).unwrap_or(i64::MAX);
        for domain in domains {
            let ascii = idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.clone());
            let identity = self.table.served(Some(&ascii), 0);
            metrics::certificate_expiry(domain, identity.not_after);
            if !identity.names.iter().any(|name| matches(name, &ascii)) {
                tracing::warn!(%domain, file = %identity.file.display(), "the certificate does not name this domain");
            }
            if identity.not_after < now {
                tracing::warn!(%domain, file = %identity.file.display(), "the certificate has expired");
            }
        }
    }
}

fn server_config(
    oldest: TlsVersion,
    table: &Arc<Table>,
    fallback: usize,
    alpn: &[&[u8]],
) -> Result<Arc<ServerConfig>, TlsError> {
    let versions: &[&rustls::SupportedProtocolVersion] = match oldest {
        TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::Tls13 => &[&rustls::version::TLS13],
    };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .map_err(|error| TlsError::Setup(error.to_string()))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Resolver { table: table.clone(), fallback }));
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    // Clients stay connected for hours: a stored TLS session costs more than the rare handshake
    // it saves, and a ticket is a key that outlives its connection.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    // Without it two sessions of TLS 1.2 can be made to share their secret (RFC 7627 §1), and then
    // channel binding binds to nothing (RFC 9266 §4.2).
    config.require_ems = true;
    Ok(Arc::new(config))
}

/// The provider of the process, or the same one where none is installed (tests).
fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()))
}

/// Which certificate is for whom. The first one is the main certificate.
#[derive(Debug)]
struct Table {
    identities: Vec<Identity>,
    by_host: HashMap<String, usize>,
}

impl Table {
    /// The certificate for a name: an exact one, then a wildcard.
    fn find(&self, name: &str) -> Option<usize> {
        let ascii = idna::domain_to_ascii(name).unwrap_or_else(|_| name.to_ascii_lowercase());
        if let Some(found) = self.by_host.get(&ascii) {
            return Some(*found);
        }
        let (_, parent) = ascii.split_once('.')?;
        self.by_host.get(&format!("*.{parent}")).copied()
    }

    fn served(&self, server_name: Option<&str>, fallback: usize) -> &Identity {
        let index = server_name.and_then(|name| self.find(name)).unwrap_or(fallback);
        &self.identities[index]
    }
}

/// Whether a name in a certificate stands for a host (RFC 6125 §6.4).
fn matches(name: &str, host: &str) -> bool {
    let parent = host.split_once('.').map(|(_, parent)| parent);
    name.eq_ignore_ascii_case(host)
        || name.strip_prefix("*.").is_some_and(|rest| parent.is_some_and(|p| rest.eq_ignore_ascii_case(p)))
}

/// Answers a handshake: by the name asked for, else with the fallback.
#[derive(Debug)]
struct Resolver {
    table: Arc<Table>,
    fallback: usize,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.table.served(hello.server_name(), self.fallback).certified.clone())
    }
}
