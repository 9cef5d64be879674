//! What happens at the same time: a message must not fall between two states of its recipient.

use crate::server::Server;
use std::time::Duration;

#[test]
fn a_message_while_its_recipient_arrives() {
    let server = Server::with_users(&[], &["romeo", "juliet"]);
    let mut romeo = server.login("romeo", "orchard");
    for round in 0..200 {
        let mut juliet = server.login("juliet", "balcony");
        // Not one after the other: each round another part of the one meets another of the other.
        if round % 2 == 0 {
            juliet.send("<presence/>");
        }
        romeo.send(&format!(
            "<message to='juliet@localhost' type='chat' id='{round}'><body>x</body></message>"
        ));
        if round % 2 == 1 {
            std::thread::sleep(Duration::from_micros(round * 7));
            juliet.send("<presence/>");
        }
        juliet.expect_any_order(&["<presence/>", &format!("<message id='{round}'/>")]);
        juliet.close();
    }
}

#[test]
fn a_message_while_its_recipient_leaves() {
    let server = Server::with_users(&[], &["romeo", "juliet"]);
    let mut romeo = server.login("romeo", "orchard");
    let mut received = Vec::new();
    for round in 0..200 {
        let mut juliet = server.login("juliet", "balcony");
        juliet.send("<enable xmlns='urn:xmpp:sm:3'/><presence/>");
        romeo.send(&format!(
            "<message to='juliet@localhost' type='chat' id='{round}'><body>x</body></message>"
        ));
        std::thread::sleep(Duration::from_micros(round * 7));
        juliet.cut();
        romeo.sync();
        received.push(round.to_string());
    }
    // Nothing was acknowledged: everything is still there, in order.
    let mut juliet = server.login("juliet", "balcony");
    juliet.send("<presence/>");
    juliet.expect("<presence from='{self}'/>");
    for id in received {
        juliet.expect(&format!("<message id='{id}'/>"));
    }
    juliet.expect_nothing();
}
