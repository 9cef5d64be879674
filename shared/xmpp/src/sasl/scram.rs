//! SCRAM (RFC 5802, RFC 7677), with and without channel binding.

use super::{
    Failure, FailureCondition, Hash, NAME_BYTES_MAX, NONCE_BYTES_MAX, ScramKeys, malformed, text_of,
};
use base64::prelude::{BASE64_STANDARD, Engine};
use std::fmt;
use subtle::ConstantTimeEq;

/// The channel bindings this server can check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindingType {
    /// RFC 9266
    TlsExporter,
    /// RFC 5929 §4
    TlsServerEndPoint,
}

impl BindingType {
    /// Both, the stronger first.
    pub const ALL: [BindingType; 2] = [BindingType::TlsExporter, BindingType::TlsServerEndPoint];

    /// Its registered name, as in XEP-0440.
    pub fn as_str(self) -> &'static str {
        match self {
            BindingType::TlsExporter => "tls-exporter",
            BindingType::TlsServerEndPoint => "tls-server-end-point",
        }
    }

    fn from_name(name: &str) -> Option<BindingType> {
        BindingType::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// What a connection's TLS session gives to bind to, and what the client was told of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Binding<'a> {
    /// Data for `tls-exporter`.
    pub exporter: Option<&'a [u8]>,
    /// Data for `tls-server-end-point`.
    pub end_point: Option<&'a [u8]>,
    /// Whether a `-PLUS` mechanism was offered: a client that has not seen it met an attacker.
    pub offered: bool,
}

impl<'a> Binding<'a> {
    fn data(&self, kind: BindingType) -> Option<&'a [u8]> {
        match kind {
            BindingType::TlsExporter => self.exporter,
            BindingType::TlsServerEndPoint => self.end_point,
        }
    }
}

/// The flag that says what the client knows of channel binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flag {
    /// `n`: it does not support it.
    Unsupported,
    /// `y`: it does, and thinks that the server does not.
    Unseen,
    /// `p`: it uses it.
    Used(BindingType),
}

/// The client's first message.
#[derive(Debug, Clone)]
pub struct ClientFirst {
    hash: Hash,
    flag: Flag,
    authzid: Option<String>,
    username: String,
    nonce: String,
    message: String,
    /// Where the GS2 header ends in `message`.
    bare_at: usize,
}

impl ClientFirst {
    /// Parses the initial response to `SCRAM-<hash>` or, with `plus`, to `SCRAM-<hash>-PLUS`.
    ///
    /// # Errors
    /// `malformed-request`, also for a channel binding that does not fit the mechanism or is not
    /// known: with `not-authorized` a client would ask its user for another password.
    pub fn parse(hash: Hash, plus: bool, message: &[u8]) -> Result<ClientFirst, Failure> {
        let first = ClientFirst::parse_any(hash, message)?;
        match (plus, first.flag) {
            (true, Flag::Used(_)) | (false, Flag::Unsupported | Flag::Unseen) => Ok(first),
            (true, _) => Err(malformed("a -PLUS mechanism needs channel binding")),
            (false, Flag::Used(_)) => Err(malformed("channel binding needs a -PLUS mechanism")),
        }
    }

    fn parse_any(hash: Hash, message: &[u8]) -> Result<ClientFirst, Failure> {
        let message = text_of(message)?;
        let mut parts = message.split(',');
        let (Some(flag_part), Some(authzid_part)) = (parts.next(), parts.next()) else {
            return Err(malformed("no GS2 header"));
        };
        let flag = parse_flag(flag_part)?;
        let authzid = match (authzid_part, authzid_part.strip_prefix("a=")) {
            ("", _) => None,
            (_, Some(name)) => Some(decode_name(name)?),
            _ => return Err(malformed("no GS2 header")),
        };
        let bare_at = flag_part.len() + 1 + authzid_part.len() + 1;
        // RFC 5802 §5.1: an `m` in the place of the name is a mandatory extension, and fails.
        let name = parts.next().and_then(|part| part.strip_prefix("n="));
        let username = decode_name(name.ok_or_else(|| malformed("no name"))?)?;
        let nonce = parts.next().and_then(|part| part.strip_prefix("r="));
        let nonce = nonce.filter(|nonce| is_nonce(nonce) && nonce.len() <= NONCE_BYTES_MAX);
        let nonce = nonce.ok_or_else(|| malformed("no nonce"))?.to_owned();
        parts.try_for_each(check_extension)?;
        Ok(ClientFirst { hash, flag, authzid, username, nonce, message: message.to_owned(), bare_at })
    }

    /// The name as sent, decoded but not prepared.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// Whom to act as, decoded but not prepared; none means the user itself.
    pub fn authzid(&self) -> Option<&str> {
        self.authzid.as_deref()
    }

    /// The hash function whose keys are needed.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The server's first message, and what to wait for. `server_nonce` is fresh and random, at
    /// least 18 bytes of printable ASCII without a comma.
    ///
    /// # Errors
    /// `not-authorized` on a downgrade, `malformed-request` where there is no such channel to bind
    /// to, `temporary-auth-failure` when the keys are for another hash or damaged.
    pub fn challenge(
        self,
        keys: &ScramKeys,
        server_nonce: &str,
        binding: &Binding<'_>,
    ) -> Result<(Vec<u8>, AwaitFinal), Failure> {
        if keys.hash != self.hash || !keys.is_sound() || !is_nonce(server_nonce) {
            return Err(FailureCondition::TemporaryAuthFailure.into());
        }
        let mut channel = self.message.as_bytes()[..self.bare_at].to_vec();
        match self.flag {
            Flag::Unsupported => {}
            // RFC 5802 §6: someone took the -PLUS mechanisms out of what was offered.
            Flag::Unseen if binding.offered => {
                return Err(Failure::new(
                    FailureCondition::NotAuthorized,
                    "the server does support channel binding",
                ));
            }
            Flag::Unseen => {}
            Flag::Used(kind) => {
                let data = binding.data(kind);
                channel.extend(data.ok_or_else(|| malformed("this channel binding is not available"))?);
            }
        }
        let nonce = self.nonce + server_nonce;
        let salt = BASE64_STANDARD.encode(&keys.salt);
        let server_first = format!("r={nonce},s={salt},i={}", keys.iterations);
        let awaited = AwaitFinal {
            hash: self.hash,
            stored_key: keys.stored_key.clone(),
            server_key: keys.server_key.clone(),
            exchanged: format!("{},{server_first},", &self.message[self.bare_at..]),
            expected: format!("c={},r={nonce}", BASE64_STANDARD.encode(&channel)),
        };
        Ok((server_first.into_bytes(), awaited))
    }
}

/// The state between the server's first message and the client's last.
#[derive(Clone)]
pub struct AwaitFinal {
    hash: Hash,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
    /// The messages so far, each with a comma behind it: how AuthMessage begins.
    exchanged: String,
    /// How the client's last message has to begin: channel binding and nonce, byte for byte.
    expected: String,
}

impl AwaitFinal {
    /// Checks the client's last message and gives the server's.
    ///
    /// # Errors
    /// `malformed-request` or `not-authorized`; from the latter nobody can tell whether the
    /// account, the channel, the nonce or the password was wrong.
    pub fn finish(&self, message: &[u8]) -> Result<Vec<u8>, Failure> {
        let message = text_of(message)?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or_else(|| malformed("no proof"))?;
        let proof = BASE64_STANDARD.decode(proof).ok().filter(|proof| proof.len() == self.hash.size());
        let proof = proof.ok_or_else(|| malformed("the proof is not base64 of a hash"))?;

        let extensions = without_proof.strip_prefix(self.expected.as_str());
        let extensions = extensions.ok_or(FailureCondition::NotAuthorized)?;
        match extensions.strip_prefix(',') {
            Some(extensions) => extensions.split(',').try_for_each(check_extension)?,
            None if extensions.is_empty() => {}
            // A longer nonce than the one that was given out.
            None => return Err(FailureCondition::NotAuthorized.into()),
        }

        let auth_message = [self.exchanged.as_bytes(), without_proof.as_bytes()];
        let mut client_key = self.hash.hmac(&self.stored_key, &auth_message);
        client_key.iter_mut().zip(&proof).for_each(|(byte, proof)| *byte ^= proof);
        if !bool::from(self.hash.digest(&client_key).ct_eq(&self.stored_key)) {
            return Err(FailureCondition::NotAuthorized.into());
        }
        let signature = self.hash.hmac(&self.server_key, &auth_message);
        Ok(format!("v={}", BASE64_STANDARD.encode(signature)).into_bytes())
    }
}

impl fmt::Debug for AwaitFinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwaitFinal").field("hash", &self.hash).finish_non_exhaustive()
    }
}

fn parse_flag(flag: &str) -> Result<Flag, Failure> {
    match flag {
        "n" => Ok(Flag::Unsupported),
        "y" => Ok(Flag::Unseen),
        _ => {
            let name = flag.strip_prefix("p=").ok_or_else(|| malformed("no GS2 header"))?;
            let kind = BindingType::from_name(name);
            Ok(Flag::Used(kind.ok_or_else(|| malformed("unknown channel binding type"))?))
        }
    }
}

/// Decodes a `saslname` (RFC 5802 §7).
fn decode_name(encoded: &str) -> Result<String, Failure> {
    if encoded.is_empty() || encoded.len() > 3 * NAME_BYTES_MAX || encoded.contains('\0') {
        return Err(malformed("the name is empty, too long or has a NUL"));
    }
    let mut pieces = encoded.split('=');
    let mut name = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (c, rest) = match (piece.strip_prefix("2C"), piece.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(malformed("a = in the name is not escaped")),
        };
        name.push(c);
        name.push_str(rest);
    }
    if name.len() > NAME_BYTES_MAX { Err(malformed("the name is too long")) } else { Ok(name) }
}

/// `printable`: what a nonce is made of.
fn is_nonce(nonce: &str) -> bool {
    !nonce.is_empty() && nonce.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}

/// Optional extensions are ignored, whatever they say; mandatory ones fail (RFC 5802 §5.1).
fn check_extension(part: &str) -> Result<(), Failure> {
    match part.as_bytes() {
        [b'm', b'=', ..] => Err(malformed("a mandatory extension is not known")),
        [name, b'=', _, ..] if name.is_ascii_alphabetic() => Ok(()),
        _ => Err(malformed("an extension is no attribute")),
    }
}
