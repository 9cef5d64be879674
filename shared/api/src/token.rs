//! The token that every call carries.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use subtle::ConstantTimeEq;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// Random bytes of a token that is made here.
const RANDOM_BYTES: usize = 32;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("cannot read the admin token {path}: {reason}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write the admin token {path}: {reason}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// The file holds something that cannot be sent, or nothing.
    #[error("the admin token in {0} must be one line of printable ASCII")]
    Unusable(PathBuf),
}

/// Reads the token of a running node.
///
/// # Errors
/// When the file cannot be read or holds no token.
pub fn read(path: &Path) -> Result<String, TokenError> {
    let text =
        std::fs::read_to_string(path).map_err(|reason| TokenError::Read { path: path.to_owned(), reason })?;
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(TokenError::Unusable(path.to_owned()));
    }
    Ok(token.to_owned())
}

/// Reads the token, making a random one where the file is missing: readable for its owner only.
///
/// # Errors
/// When the file can be neither read nor made.
pub fn read_or_make(path: &Path) -> Result<String, TokenError> {
    match read(path) {
        Err(TokenError::Read { reason, .. }) if reason.kind() == io::ErrorKind::NotFound => {
            make(path).map_err(|reason| TokenError::Write { path: path.to_owned(), reason })?;
            read(path)
        }
        other => other,
    }
}

fn make(path: &Path) -> io::Result<()> {
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let mut text = data_encoding::HEXLOWER.encode(&random);
    text.push('\n');
    // Whole or not at all: a crash must not leave a shorter token behind.
    let scratch = path.with_extension("new");
    let _ = std::fs::remove_file(&scratch);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&scratch)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&scratch, path)
}

/// The client's side: adds the token to each call.
#[derive(Clone)]
pub struct Bearer(MetadataValue<Ascii>);

impl Bearer {
    /// From what [`read`] gave.
    ///
    /// # Errors
    /// When it holds characters that a header cannot.
    pub fn new(token: &str) -> Result<Bearer, tonic::metadata::errors::InvalidMetadataValue> {
        let mut value: MetadataValue<Ascii> = format!("Bearer {token}").parse()?;
        value.set_sensitive(true);
        Ok(Bearer(value))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// The server's side: refuses calls without the token.
#[derive(Clone)]
pub struct TokenCheck(std::sync::Arc<str>);

impl TokenCheck {
    /// From what [`read_or_make`] gave.
    pub fn new(token: &str) -> TokenCheck {
        TokenCheck(token.into())
    }
}

impl Interceptor for TokenCheck {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let header = request.metadata().get("authorization");
        let given = header.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        // In constant time, so that the token cannot be guessed byte by byte.
        match given.is_some_and(|given| bool::from(given.ct_eq(self.0.as_bytes()))) {
            true => Ok(request),
            false => Err(Status::unauthenticated("the admin token is missing or wrong")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_token_is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin-token");
        let token = read_or_make(&path).unwrap();
        assert_eq!(token.len(), 2 * RANDOM_BYTES);
        assert_eq!(read_or_make(&path).unwrap(), token);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn an_empty_file_is_no_token() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin-token");
        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(read_or_make(&path), Err(TokenError::Unusable(_))));
    }

    #[test]
    fn only_the_token_passes() {
        let mut check = TokenCheck::new("secret");
        let pass = |check: &mut TokenCheck, token: &str| {
            check.call(Bearer::new(token).unwrap().call(Request::new(())).unwrap()).is_ok()
        };
        assert!(pass(&mut check, "secret"));
        assert!(!pass(&mut check, "secre") && !pass(&mut check, "secret2") && !pass(&mut check, ""));
        assert!(check.call(Request::new(())).is_err());
    }
}
