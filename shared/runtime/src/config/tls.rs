//! `[tls]`: certificates and versions.

use super::section::section;
use super::value::{Item, Value, words};
use super::{Broken, broken};
use std::path::PathBuf;
use toml::Value as Toml;

section! {
    /// Certificates and versions. Certificates are read again on SIGHUP.
    Tls "tls" {
        /// PEM file with the certificate and its chain. Empty: `certificate.pem` in the data
        /// directory, self-signed and made at the first start.
        certificate: PathBuf = PathBuf::new();
        /// PEM file with the private key. Empty: `key.pem` in the data directory.
        key: PathBuf = PathBuf::new();
        /// Further certificates, chosen by the name that the client asks for (SNI): tables with
        /// `hosts` (`*.example.com` is possible), `certificate` and `key`.
        certificates: Vec<HostCertificate> = Vec::new();
        /// Oldest version of TLS that is spoken.
        version_min: TlsVersion = TlsVersion::Tls12;
    }
}

words! {
    /// A version of TLS.
    TlsVersion { Tls12 = "1.2", Tls13 = "1.3" }
}

/// A certificate for some hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCertificate {
    /// The names it is served for, in lower case.
    pub hosts: Vec<String>,
    /// PEM file with the certificate and its chain.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

impl Value for HostCertificate {
    const EXPECTED: &'static str = "a table with hosts, certificate and key";

    fn from_toml(value: &Toml) -> Option<Self> {
        let table = value.as_table()?;
        let hosts: Vec<String> = Value::from_toml(table.get("hosts")?)?;
        // Exactly these three: a key misspelt must not be passed over.
        (table.len() == 3 && !hosts.is_empty()).then_some(())?;
        Some(HostCertificate {
            hosts: hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            certificate: Value::from_toml(table.get("certificate")?)?,
            key: Value::from_toml(table.get("key")?)?,
        })
    }

    fn from_text(text: &str) -> Option<Self> {
        let table: toml::Table = toml::from_str(&format!("item = {text}")).ok()?;
        Self::from_toml(table.get("item")?)
    }

    fn to_toml(&self) -> Toml {
        let mut table = toml::Table::new();
        table.insert("hosts".to_owned(), self.hosts.to_toml());
        table.insert("certificate".to_owned(), self.certificate.to_toml());
        table.insert("key".to_owned(), self.key.to_toml());
        Toml::Table(table)
    }
}

impl Item for HostCertificate {
    const LIST_EXPECTED: &'static str = "a list of tables with hosts, certificate and key, such as \
         [{ hosts = [\"example.com\"], certificate = \"example.pem\", key = \"example.key\" }]";
}

impl Tls {
    pub(super) fn check(&mut self) -> Result<(), Broken> {
        match (self.certificate.as_os_str().is_empty(), self.key.as_os_str().is_empty()) {
            (false, true) => broken("tls.key", "expected a path, since tls.certificate is set"),
            (true, false) => broken("tls.certificate", "expected a path, since tls.key is set"),
            _ => Ok(()),
        }
    }
}
