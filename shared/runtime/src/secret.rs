//! Secrets of the data directory: random texts that are made at the first start.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Random bytes of a secret that is made here; its text has two characters for each.
pub const RANDOM_BYTES: usize = 32;

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read {path}: {reason}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write {path}: {reason}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// The file holds something else.
    #[error("{0} must hold one line of printable ASCII")]
    Unusable(PathBuf),
}

/// Reads a secret.
///
/// # Errors
/// When the file cannot be read or holds none.
pub fn read(path: &Path) -> Result<String, SecretError> {
    let text = std::fs::read_to_string(path)
        .map_err(|reason| SecretError::Read { path: path.to_owned(), reason })?;
    let secret = text.trim();
    if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(SecretError::Unusable(path.to_owned()));
    }
    Ok(secret.to_owned())
}

/// Reads a secret, making a random one where the file is missing: readable for its owner only.
///
/// # Errors
/// When the file can be neither read nor made.
pub fn read_or_make(path: &Path) -> Result<String, SecretError> {
    match read(path) {
        Err(SecretError::Read { reason, .. }) if reason.kind() == io::ErrorKind::NotFound => {
            make(path).map_err(|reason| SecretError::Write { path: path.to_owned(), reason })?;
            read(path)
        }
        other => other,
    }
}

/// A key that follows from a secret, whatever its length.
pub fn key(secret: &str) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(secret.as_bytes()).into()
}

fn make(path: &Path) -> io::Result<()> {
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    write_whole(path, &format!("{text}\n"), 0o600)
}

/// Writes a whole file or none: a crash must not leave half a key behind.
pub(crate) fn write_whole(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let scratch = path.with_extension("new");
    let _ = std::fs::remove_file(&scratch);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&scratch)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&scratch, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let secret = read_or_make(&path).unwrap();
        assert_eq!(secret.len(), 2 * RANDOM_BYTES);
        assert_eq!(read_or_make(&path).unwrap(), secret);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn an_empty_file_is_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(read_or_make(&path), Err(SecretError::Unusable(_))));
    }
}
