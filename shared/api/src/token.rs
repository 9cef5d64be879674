//! The token that every call carries.

use subtle::ConstantTimeEq;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// The client's side: adds the token to each call.
#[derive(Clone)]
pub struct Bearer(MetadataValue<Ascii>);

impl Bearer {
    /// From a token.
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
    /// From the token.
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
