//! What is known of a connection until its resource is bound.

use bus::envelope::{Origin, TlsFacts};
use std::net::SocketAddr;
use std::sync::Arc;
use xmpp::Jid;

/// What is known of a connection until its resource is bound.
pub struct Negotiation {
    pub address: SocketAddr,
    pub domain: Option<Arc<str>>,
    lang: Option<Arc<str>>,
    tls: Option<TlsFacts>,
    /// All of this as the owner is told it; made anew when something changes.
    origin: Option<Arc<Origin>>,
    /// Who has logged in.
    pub account: Option<Jid>,
    /// Bytes that came before the login.
    pub bytes: usize,
}

impl Negotiation {
    pub fn new(address: SocketAddr) -> Negotiation {
        Negotiation { address, domain: None, lang: None, tls: None, origin: None, account: None, bytes: 0 }
    }

    pub fn opened(&mut self, domain: Arc<str>, lang: Option<Arc<str>>) {
        (self.domain, self.lang, self.origin) = (Some(domain), lang, None);
    }

    pub fn secured(&mut self, tls: TlsFacts) {
        (self.tls, self.origin) = (Some(tls), None);
    }

    /// What the owner is told of the connection.
    pub fn origin(&mut self) -> Arc<Origin> {
        let Negotiation { address, domain, lang, tls, origin, .. } = self;
        let make = || {
            Arc::new(Origin {
                address: *address,
                domain: domain.clone().unwrap_or_else(|| Arc::from("")),
                lang: lang.clone(),
                tls: tls.clone(),
            })
        };
        origin.get_or_insert_with(make).clone()
    }
}
