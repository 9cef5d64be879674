//! `[domains]`: whom this service speaks for.

use super::section::section;
use super::{Broken, broken};

section! {
    /// The domains that this service speaks for.
    Domains "domains" {
        /// Domains whose accounts live here. The first one is the default.
        hosts: Vec<String> = vec!["localhost".to_owned()];
    }
}

impl Domains {
    pub(super) fn check(&mut self) -> Result<(), Broken> {
        let mut prepared: Vec<String> = Vec::new();
        for host in &self.hosts {
            let Ok(jid) = xmpp::Jid::from_parts(None, host, None) else {
                return broken("domains.hosts", &format!("{host:?} is no domain name"));
            };
            if !prepared.iter().any(|known| known == jid.domain()) {
                prepared.push(jid.domain().to_owned());
            }
        }
        if prepared.is_empty() {
            return broken("domains.hosts", "expected at least one domain");
        }
        self.hosts = prepared;
        Ok(())
    }
}
