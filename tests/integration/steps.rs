//! The steps of a client from its first byte to a bound resource.

use crate::client::{Client, DOMAIN, Event, PASSWORD, PATIENCE, Socket};
use crate::scram::Scram;
use crate::tls;
use crate::xml::Element;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::{ClientConnection, StreamOwned};
use std::net::SocketAddr;

impl Client {
    /// Logs `user` in without TLS and binds `resource`.
    pub fn login(address: SocketAddr, user: &str, resource: &str) -> Client {
        let mut client = Client::connect(address);
        client.authenticate(user, PASSWORD);
        client.bind(resource);
        client
    }

    /// Opens a stream; returns its features.
    pub fn open(&mut self) -> Element {
        self.open_to(DOMAIN)
    }

    pub fn open_to(&mut self, domain: &str) -> Element {
        self.send(&header(domain));
        self.expect_header();
        self.expect("<stream:features/>")
    }

    /// The server's stream header.
    pub fn expect_header(&mut self) -> Element {
        match self.next() {
            Event::Open(element) => element,
            other => self.fail(&format!("wanted a stream header, got {other:?}")),
        }
    }

    /// STARTTLS on an open stream, or TLS from the first byte.
    pub fn secure(&mut self, config: rustls::ClientConfig) {
        self.secure_to(config, DOMAIN);
    }

    /// The same to a host of another name.
    pub fn secure_to(&mut self, config: rustls::ClientConfig, host: &str) {
        let Socket::Plain(socket) = std::mem::replace(&mut self.socket, Socket::Gone) else {
            panic!("TLS inside of TLS")
        };
        socket.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
        let connection = tls::connection(config, host);
        let mut stream = StreamOwned::new(connection, socket);
        while stream.conn.is_handshaking() {
            if let Err(error) = stream.conn.complete_io(&mut stream.sock) {
                self.fail(&format!("TLS handshake: {error}"));
            }
        }
        self.socket = Socket::Tls(Box::new(stream));
    }

    pub fn starttls(&mut self) {
        self.open();
        self.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        self.expect("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        self.secure(tls::any_certificate());
    }

    /// The TLS session, where there is one.
    pub fn tls(&self) -> &ClientConnection {
        match &self.socket {
            Socket::Tls(stream) => &stream.conn,
            _ => panic!("no TLS on this connection"),
        }
    }

    /// SCRAM-SHA-1 from the stream header to the features of the new stream.
    pub fn authenticate(&mut self, user: &str, password: &str) -> Element {
        self.open();
        let scram = Scram::new("SCRAM-SHA-1", user, password, None);
        if let Err(failure) = self.scram("SCRAM-SHA-1", scram) {
            self.fail(&format!("login of {user} refused: {failure}"));
        }
        self.open()
    }

    /// A SCRAM exchange on an open stream; `Err` holds the `<failure/>`.
    pub fn scram(&mut self, mechanism: &str, mut scram: Scram) -> Result<(), Element> {
        let sasl = "urn:ietf:params:xml:ns:xmpp-sasl";
        self.send(&format!("<auth xmlns='{sasl}' mechanism='{mechanism}'>{}</auth>", scram.first()));
        let challenge = self.next_element();
        if challenge.name != "challenge" {
            return Err(challenge);
        }
        let response = scram.respond(&challenge.text);
        self.send(&format!("<response xmlns='{sasl}'>{response}</response>"));
        let outcome = self.next_element();
        if outcome.name != "success" {
            return Err(outcome);
        }
        scram.verify(&outcome.text);
        Ok(())
    }

    /// PLAIN on an open stream; the answer is for the test to judge.
    pub fn plain(&mut self, user: &str, password: &str) -> Element {
        let response = BASE64.encode(format!("\0{user}\0{password}"));
        self.send(&format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{response}</auth>"
        ));
        self.next_element()
    }

    pub fn bind(&mut self, resource: &str) {
        self.send(&format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
             <resource>{resource}</resource></bind></iq>"
        ));
        let result = self.expect(
            "<iq type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>*</jid></bind></iq>",
        );
        self.jid = result.children[0].children[0].text.clone();
        self.captures.insert("self".to_owned(), self.jid.clone());
    }
}

/// The header that opens a client's stream.
pub fn header(domain: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' xml:lang='en' \
         xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
    )
}
