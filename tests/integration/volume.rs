//! Much at once, with the limits as they are by default: it takes longer, and all of it arrives.

use crate::client::Client;
use crate::server::Server;

/// Large, but within `c2s.stanza_bytes_max`.
fn large(number: usize) -> String {
    let body = "w".repeat(200_000);
    format!("<message to='juliet@localhost' type='chat' id='{number}'><body>{body}</body></message>")
}

fn expect_all(client: &mut Client, count: usize) {
    for number in 0..count {
        client.expect(&format!("<message id='{number}'/>"));
    }
    client.expect_nothing();
}

#[test]
fn large_messages_wait_for_an_absent_account() {
    const COUNT: usize = 30;
    let server = Server::with_users(&[], &["romeo", "juliet"]);
    let mut romeo = server.login("romeo", "orchard");
    (0..COUNT).for_each(|number| romeo.send(&large(number)));
    romeo.sync();
    let mut juliet = server.online("juliet", "balcony");
    expect_all(&mut juliet, COUNT);
}

#[test]
fn large_messages_wait_for_a_broken_session() {
    const COUNT: usize = 30;
    let server = Server::with_users(&[], &["romeo", "juliet"]);
    let mut romeo = server.login("romeo", "orchard");
    let mut juliet = server.login("juliet", "balcony");
    juliet.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
    juliet.expect("<enabled xmlns='urn:xmpp:sm:3' id='{session}' resume='true'/>");
    juliet.send("<presence/>");
    juliet.expect("<presence from='{self}'/>");
    juliet.send("<a xmlns='urn:xmpp:sm:3' h='1'/>");
    juliet.cut();
    (0..COUNT).for_each(|number| romeo.send(&large(number)));
    romeo.sync();
    let session = juliet.captures["session"].clone();
    let mut juliet = Client::connect(server.c2s);
    juliet.authenticate("juliet", crate::client::PASSWORD);
    juliet.send(&format!("<resume xmlns='urn:xmpp:sm:3' h='1' previd='{session}'/>"));
    juliet.expect("<resumed xmlns='urn:xmpp:sm:3' previd='*'/>");
    // It has to acknowledge: no more than a bounded number and size are under way.
    for number in 0..COUNT {
        juliet.expect(&format!("<message id='{number}'/>"));
        juliet.send(&format!("<a xmlns='urn:xmpp:sm:3' h='{}'/>", number + 2));
    }
    juliet.expect_nothing();
}

#[test]
fn many_messages_wait_for_an_absent_account() {
    const COUNT: usize = 5_000;
    let server = Server::with_users(&[], &["romeo", "juliet"]);
    let mut romeo = server.login("romeo", "orchard");
    for number in 0..COUNT {
        romeo.send(&format!(
            "<message to='juliet@localhost' type='chat' id='{number}'><body>x</body></message>"
        ));
    }
    romeo.sync();
    let mut juliet = server.online("juliet", "balcony");
    expect_all(&mut juliet, COUNT);
}

#[test]
fn a_large_roster() {
    const COUNT: usize = 1_000;
    let server = Server::with_users(&[], &["romeo"]);
    let mut romeo = server.login("romeo", "orchard");
    for number in 0..COUNT {
        romeo.send(&format!(
            "<iq type='set' id='s{number}'><query xmlns='jabber:iq:roster'>\
             <item jid='contact{number}@localhost' name='{number}'/></query></iq>"
        ));
        romeo.expect(&format!("<iq type='result' id='s{number}'/>"));
    }
    romeo.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>");
    let roster = romeo.expect("<iq type='result' id='r'><query xmlns='jabber:iq:roster'/></iq>");
    assert_eq!(roster.children[0].children.len(), COUNT);
}
