//! XEP-0115: Entity Capabilities

use super::disco::{Identity, sorted};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// The verification string over identities without a language and features (XEP-0115 §5.1).
pub fn ver(identities: &[Identity<'_>], features: &[&str]) -> String {
    let mut identities = identities.to_vec();
    identities.sort_unstable_by_key(|identity| (identity.category, identity.kind, identity.name));
    let mut hash = Sha1::new();
    for Identity { category, kind, name } in identities {
        // CATEGORY '/' TYPE '/' LANG '/' NAME '<'; no identity here has a language.
        hash.update(format!("{category}/{kind}//{}<", name.unwrap_or_default()));
    }
    for feature in sorted(features) {
        hash.update(feature.as_bytes());
        hash.update(b"<");
    }
    STANDARD.encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification() {
        // XEP-0115 §5.2
        let identity = Identity { category: "client", kind: "pc", name: Some("Exodus 0.9.1") };
        let features = [
            "http://jabber.org/protocol/disco#items",
            "http://jabber.org/protocol/caps",
            "http://jabber.org/protocol/disco#info",
            "http://jabber.org/protocol/muc",
        ];
        assert_eq!(ver(&[identity], &features), "QgayPKawpkPSDYmwT/WM94uAlu0=");
    }
}
