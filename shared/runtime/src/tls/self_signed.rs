//! The certificate of the first start: encrypts, but vouches for nobody.

use super::certificate::TlsError;
use crate::Clock;
use crate::secret::write_whole;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
};
use std::path::Path;

/// How long it is valid: nobody renews it by itself, and nothing trusts it for its date.
const VALID_YEARS: i32 = 10;

/// Makes certificate and key where the certificate is missing.
pub(super) fn make_if_missing(
    certificate: &Path,
    key: &Path,
    domains: &[String],
    clock: &Clock,
) -> Result<(), TlsError> {
    if certificate.exists() {
        return Ok(());
    }
    let (certificate_pem, key_pem) =
        make(domains, clock).map_err(|error| TlsError::Setup(error.to_string()))?;
    // The key first: whoever finds the certificate finds its key.
    write(key, &key_pem, 0o600)?;
    write(certificate, &certificate_pem, 0o644)?;
    tracing::info!(file = %certificate.display(), "made a self-signed certificate");
    Ok(())
}

fn make(domains: &[String], clock: &Clock) -> Result<(String, String), rcgen::Error> {
    let ascii = |domain: &String| idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.clone());
    let mut params = CertificateParams::new(domains.iter().map(ascii).collect::<Vec<_>>())?;
    params.distinguished_name = DistinguishedName::new();
    if let Some(first) = domains.first() {
        params.distinguished_name.push(DnType::CommonName, ascii(first));
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let year = 1970 + (clock.now_ms() / 1_000 / 31_556_952) as i32;
    // From last year, for clients whose clock is behind.
    params.not_before = rcgen::date_time_ymd(year - 1, 1, 1);
    params.not_after = rcgen::date_time_ymd(year + VALID_YEARS, 1, 1);
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), TlsError> {
    write_whole(path, text, mode).map_err(|reason| TlsError::Write { path: path.to_owned(), reason })
}
