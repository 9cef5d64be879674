//! The client's side of SCRAM (RFC 5802, RFC 7677), written apart from the server's.

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::num::NonZeroU32;

/// One exchange.
pub struct Scram {
    hash: Hash,
    gs2: String,
    binding: Vec<u8>,
    first_bare: String,
    nonce: String,
    password: String,
    server_signature: Vec<u8>,
}

struct Hash {
    digest: &'static digest::Algorithm,
    hmac: hmac::Algorithm,
    pbkdf2: pbkdf2::Algorithm,
}

impl Scram {
    /// `mechanism` as advertised; `binding` is the channel binding's name and data, for `-PLUS`.
    pub fn new(mechanism: &str, user: &str, password: &str, binding: Option<(&str, &[u8])>) -> Scram {
        let hash = match mechanism.trim_end_matches("-PLUS") {
            "SCRAM-SHA-1" => Hash {
                digest: &digest::SHA1_FOR_LEGACY_USE_ONLY,
                hmac: hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                pbkdf2: pbkdf2::PBKDF2_HMAC_SHA1,
            },
            "SCRAM-SHA-256" => {
                Hash { digest: &digest::SHA256, hmac: hmac::HMAC_SHA256, pbkdf2: pbkdf2::PBKDF2_HMAC_SHA256 }
            }
            "SCRAM-SHA-512" => {
                Hash { digest: &digest::SHA512, hmac: hmac::HMAC_SHA512, pbkdf2: pbkdf2::PBKDF2_HMAC_SHA512 }
            }
            other => panic!("no such SCRAM mechanism: {other}"),
        };
        let gs2 = match binding {
            Some((name, _)) => format!("p={name},,"),
            None => "n,,".to_owned(),
        };
        let nonce = BASE64.encode(random_bytes());
        Scram {
            hash,
            gs2,
            binding: binding.map(|(_, data)| data.to_vec()).unwrap_or_default(),
            first_bare: format!("n={},r={nonce}", user.replace('=', "=3D").replace(',', "=2C")),
            nonce,
            password: password.to_owned(),
            server_signature: Vec::new(),
        }
    }

    /// The same exchange with another GS2 header, to see it refused.
    pub fn with_gs2(mut self, gs2: &str) -> Scram {
        gs2.clone_into(&mut self.gs2);
        self
    }

    /// The initial response, in Base64.
    pub fn first(&self) -> String {
        BASE64.encode(format!("{}{}", self.gs2, self.first_bare))
    }

    /// The answer to the server's challenge, both in Base64.
    pub fn respond(&mut self, challenge: &str) -> String {
        let server_first = decode(challenge);
        let field = |name: &str| {
            let found = server_first.split(',').find_map(|f| f.strip_prefix(name)?.strip_prefix('='));
            found.unwrap_or_else(|| panic!("no {name}= in {server_first}"))
        };
        let (nonce, salt) = (field("r"), BASE64.decode(field("s")).expect("a salt in Base64"));
        assert!(nonce.starts_with(&self.nonce) && nonce.len() > self.nonce.len(), "nonce of the server");
        let iterations: NonZeroU32 = field("i").parse().expect("a number of iterations");
        let mut salted = vec![0; self.hash.digest.output_len()];
        pbkdf2::derive(self.hash.pbkdf2, iterations, &salt, self.password.as_bytes(), &mut salted);

        let binding = [self.gs2.as_bytes(), &self.binding].concat();
        let without_proof = format!("c={},r={nonce}", BASE64.encode(binding));
        let auth_message = format!("{},{server_first},{without_proof}", self.first_bare);
        let client_key = self.hmac(&salted, b"Client Key");
        let stored_key = digest::digest(self.hash.digest, &client_key);
        let signature = self.hmac(stored_key.as_ref(), auth_message.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        self.server_signature = self.hmac(&self.hmac(&salted, b"Server Key"), auth_message.as_bytes());
        BASE64.encode(format!("{without_proof},p={}", BASE64.encode(proof)))
    }

    /// Checks that the server knows the password too.
    pub fn verify(&self, success: &str) {
        let want = format!("v={}", BASE64.encode(&self.server_signature));
        assert_eq!(decode(success), want, "signature of the server");
    }

    fn hmac(&self, key: &[u8], data: &[u8]) -> Vec<u8> {
        hmac::sign(&hmac::Key::new(self.hash.hmac, key), data).as_ref().to_vec()
    }
}

/// The text of a challenge or of a success.
pub fn decode(base64: &str) -> String {
    let bytes = BASE64.decode(base64.trim()).expect("Base64 from the server");
    String::from_utf8(bytes).expect("UTF-8 from the server")
}

fn random_bytes() -> [u8; 18] {
    let mut bytes = [0; 18];
    aws_lc_rs::rand::fill(&mut bytes).expect("random bytes of the operating system");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677 §3.
    #[test]
    fn example_of_rfc_7677() {
        let mut scram = Scram::new("SCRAM-SHA-256", "user", "pencil", None);
        scram.nonce = "rOprNGfwEbeRWgbNEkqO".to_owned();
        scram.first_bare = "n=user,r=rOprNGfwEbeRWgbNEkqO".to_owned();
        let challenge =
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let answer = decode(&scram.respond(&BASE64.encode(challenge)));
        assert!(answer.ends_with("p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), "{answer}");
        scram.verify(&BASE64.encode("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
    }
}
