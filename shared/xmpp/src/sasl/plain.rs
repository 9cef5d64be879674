//! PLAIN (RFC 4616).

use super::{Failure, NAME_BYTES_MAX, PASSWORD_BYTES_MAX, malformed, text_of};
use std::fmt;

/// A client's only message. Its debug form does not show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Plain {
    /// Whom to act as; none means the user itself.
    pub authzid: Option<String>,
    /// Who logs in.
    pub authcid: String,
    /// The password as sent.
    pub password: String,
}

impl Plain {
    /// Parses `[authzid] NUL authcid NUL password`.
    ///
    /// # Errors
    /// `malformed-request`
    pub fn parse(message: &[u8]) -> Result<Plain, Failure> {
        let mut parts = text_of(message)?.split('\0');
        let (Some(authzid), Some(authcid), Some(password), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed("PLAIN takes three parts with a NUL between them"));
        };
        if authcid.is_empty() || password.is_empty() {
            return Err(malformed("the name or the password is empty"));
        }
        if authzid.len() > NAME_BYTES_MAX
            || authcid.len() > NAME_BYTES_MAX
            || password.len() > PASSWORD_BYTES_MAX
        {
            return Err(malformed("the name or the password is too long"));
        }
        Ok(Plain {
            authzid: (!authzid.is_empty()).then(|| authzid.to_owned()),
            authcid: authcid.to_owned(),
            password: password.to_owned(),
        })
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plain")
            .field("authzid", &self.authzid)
            .field("authcid", &self.authcid)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        for (message, expected) in [
            ("\0tim\0tanstaaftanstaaf", Some((None, "tim", "tanstaaftanstaaf"))),
            ("Ursel\0Kurt\0xipj3plmq", Some((Some("Ursel"), "Kurt", "xipj3plmq"))),
            ("\0a\0b c,=", Some((None, "a", "b c,="))),
            ("", None),
            ("\0", None),
            ("\0\0", None),
            ("\0a\0", None),
            ("\0\0b", None),
            ("a\0b", None),
            ("\0a\0b\0", None),
            ("\0a\0b\0c", None),
            (&format!("\0{long}\0b"), None),
            (&format!("\0a\0{long}"), None),
            (&format!("{long}\0a\0b"), None),
        ] {
            let expected = expected.map(|(authzid, authcid, password): (Option<&str>, &str, &str)| Plain {
                authzid: authzid.map(str::to_owned),
                authcid: authcid.to_owned(),
                password: password.to_owned(),
            });
            assert_eq!(Plain::parse(message.as_bytes()).ok(), expected, "{message:?}");
        }
        assert!(Plain::parse(b"\0a\xff\0b").is_err());
        assert!(Plain::parse(&[b'x'; super::super::MESSAGE_BYTES_MAX + 1]).is_err());
    }

    #[test]
    fn the_password_is_not_shown() {
        let plain = Plain::parse(b"\0tim\0secret").unwrap();
        assert_eq!(format!("{plain:?}"), "Plain { authzid: None, authcid: \"tim\", .. }");
    }
}
