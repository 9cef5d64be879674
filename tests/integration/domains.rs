//! Several domains in one service: each has its accounts, and they can talk to each other.

use crate::client::{Client, PASSWORD};
use crate::scram::Scram;
use crate::server::Server;

fn login(server: &Server, user: &str, domain: &str) -> Client {
    let mut client = Client::connect(server.c2s);
    client.open_to(domain);
    client.scram("SCRAM-SHA-1", Scram::new("SCRAM-SHA-1", user, PASSWORD, None)).unwrap();
    client.open_to(domain);
    client.bind("home");
    client.send("<presence/>");
    client.expect("<presence from='{self}'/>");
    client
}

#[test]
fn accounts_of_two_domains() {
    let server = Server::start(&["domains.hosts=montague.example,capulet.example"]);
    for jid in ["romeo@montague.example", "juliet@capulet.example"] {
        let added = server.ctl_with_input(&["user", "add", jid, "--password-stdin"], PASSWORD);
        assert!(added.status.success(), "{added:?}");
    }
    let mut romeo = login(&server, "romeo", "montague.example");
    let mut juliet = login(&server, "juliet", "capulet.example");
    romeo.send("<message to='juliet@capulet.example' type='chat' id='1'><body>x</body></message>");
    juliet.expect("<message from='romeo@montague.example/home' id='1'/>");
    juliet.send("<iq type='get' to='montague.example' id='2'><ping xmlns='urn:xmpp:ping'/></iq>");
    juliet.expect("<iq type='result' from='montague.example' id='2'/>");

    // An account of the one is none of the other.
    let mut client = Client::connect(server.c2s);
    client.open_to("montague.example");
    client.scram("SCRAM-SHA-1", Scram::new("SCRAM-SHA-1", "juliet", PASSWORD, None)).unwrap_err();
    let mut client = Client::connect(server.c2s);
    client.send(&crate::steps::header("localhost"));
    client.expect_stream_error("host-unknown");
}
