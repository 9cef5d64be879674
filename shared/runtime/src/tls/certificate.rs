//! One certificate with its key, and what is read out of it.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::signature_algorithm::SignatureAlgorithm;
use x509_parser::x509::AlgorithmIdentifier;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or is no PEM.
    #[error("cannot read {path}: {reason}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {reason}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// Certificate and key do not go together or are of a kind that is not supported.
    #[error("cannot use {certificate} with {key}: {reason}")]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        reason: String,
    },
    /// The TLS library refuses the settings.
    #[error("cannot set up TLS: {0}")]
    Setup(String),
}

/// A certificate with its key.
#[derive(Debug)]
pub(super) struct Identity {
    /// Its file, for messages.
    pub file: PathBuf,
    /// What the TLS library serves.
    pub certified: Arc<CertifiedKey>,
    /// Hash for `tls-server-end-point`, where one is defined.
    pub end_point: Option<Arc<[u8]>>,
    /// Until when it is valid, in seconds since the Unix epoch.
    pub not_after: i64,
    /// The DNS names it is for.
    pub names: Vec<String>,
}

impl Identity {
    /// Reads a certificate with its chain, and its key.
    pub fn read(certificate: &Path, key: &Path) -> Result<Identity, TlsError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |error: rustls::pki_types::pem::Error| TlsError::Read { path, reason: plain(error) }
        };
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(unreadable(certificate))?;
        let private = PrivateKeyDer::from_pem_file(key).map_err(unreadable(key))?;
        let Some(leaf) = chain.first().cloned() else {
            return Err(TlsError::Read {
                path: certificate.to_owned(),
                reason: "it has no certificate".to_owned(),
            });
        };
        let pair = |reason: String| TlsError::Pair {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            reason,
        };
        let certified = CertifiedKey::from_der(chain, private, &super::provider())
            .map_err(|error| pair(error.to_string()))?;
        let (_, parsed) = X509Certificate::from_der(&leaf).map_err(|error| pair(error.to_string()))?;
        Ok(Identity {
            file: certificate.to_owned(),
            certified: Arc::new(certified),
            end_point: end_point(&leaf, &parsed).map(Arc::from),
            not_after: parsed.validity().not_after.timestamp(),
            names: names(&parsed),
        })
    }
}

fn plain(error: rustls::pki_types::pem::Error) -> String {
    use rustls::pki_types::pem::Error;
    match error {
        Error::Io(error) => error.to_string(),
        Error::NoItemsFound => "it holds nothing of the kind in PEM form".to_owned(),
        other => format!("it is no valid PEM: {other:?}"),
    }
}

/// RFC 5929 §4.1: the hash that the certificate's signature uses, but SHA-256 instead of MD5 and
/// SHA-1; undefined where the signature uses none or several.
fn end_point(der: &[u8], certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    let algorithm = &certificate.signature_algorithm;
    let hash = match algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.10" => pss_hash(algorithm)?,
        signature => hash_of(signature)?,
    };
    Some(match hash {
        Hash::Sha224 => Sha224::digest(der).to_vec(),
        Hash::Sha256 => Sha256::digest(der).to_vec(),
        Hash::Sha384 => Sha384::digest(der).to_vec(),
        Hash::Sha512 => Sha512::digest(der).to_vec(),
    })
}

enum Hash {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// The hash of a signature algorithm or of a digest algorithm.
fn hash_of(oid: &str) -> Option<Hash> {
    match oid {
        // md5WithRSAEncryption, sha1WithRSAEncryption, ecdsa-with-SHA1, SHA-1 itself
        "1.2.840.113549.1.1.4" | "1.2.840.113549.1.1.5" | "1.2.840.10045.4.1" | "1.3.14.3.2.26" => {
            Some(Hash::Sha256)
        }
        "1.2.840.113549.1.1.14" | "1.2.840.10045.4.3.1" | "2.16.840.1.101.3.4.2.4" => Some(Hash::Sha224),
        "1.2.840.113549.1.1.11" | "1.2.840.10045.4.3.2" | "2.16.840.1.101.3.4.2.1" => Some(Hash::Sha256),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" | "2.16.840.1.101.3.4.2.2" => Some(Hash::Sha384),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" | "2.16.840.1.101.3.4.2.3" => Some(Hash::Sha512),
        _ => None,
    }
}

/// The hash among the parameters of RSASSA-PSS.
fn pss_hash(algorithm: &AlgorithmIdentifier<'_>) -> Option<Hash> {
    match SignatureAlgorithm::try_from(algorithm) {
        Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) => {
            hash_of(&parameters.hash_algorithm_oid().to_id_string())
        }
        _ => None,
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let dns = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    };
    alternatives.value.general_names.iter().filter_map(dns).collect()
}
