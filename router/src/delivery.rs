//! Which resources get a message (RFC 6121 §8.5).

use crate::account::Account;
use bus::SessionId;
use smallvec::SmallVec;
use xmpp::stanza::MessageType;
use xmpp::{Jid, Stanza};

/// What becomes of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// These sessions get it; when there is none it waits in the log, if it is kept, or is gone.
    Deliver(SmallVec<[SessionId; 2]>),
    /// The sender gets `service-unavailable`.
    Refuse,
    /// Nobody gets to know.
    Ignore,
}

/// Decides on a message to the account or one of its resources. `keep` says whether it is
/// something to store.
pub fn message(account: &Account, stanza: &Stanza, kind: MessageType, keep: bool) -> Verdict {
    if let Some(resource) = stanza.to().and_then(Jid::resource) {
        // §8.5.3.1: whatever the resource's presence or priority.
        if let Some(session) = account.resource(resource) {
            return Verdict::Deliver(SmallVec::from_slice(&[session.id]));
        }
        // §8.5.3.2.1
        return match kind {
            MessageType::Normal | MessageType::Chat => to_bare(account, kind, keep),
            MessageType::Groupchat => Verdict::Refuse,
            MessageType::Headline | MessageType::Error => Verdict::Ignore,
        };
    }
    to_bare(account, kind, keep)
}

/// §8.5.2
fn to_bare(account: &Account, kind: MessageType, keep: bool) -> Verdict {
    match kind {
        // §8.5.2.1.1 and §8.5.2.2.1: never to several by the server's choice.
        MessageType::Groupchat => Verdict::Refuse,
        MessageType::Error => Verdict::Ignore,
        // All resources that want messages at all.
        MessageType::Headline => match account.reachable().map(|s| s.id).collect::<SmallVec<_>>() {
            none if none.is_empty() => Verdict::Ignore,
            all => Verdict::Deliver(all),
        },
        // The most available ones: every resource that has the highest priority.
        MessageType::Chat | MessageType::Normal => {
            let highest = account.reachable().filter_map(|s| s.available()).map(|a| a.priority).max();
            let sessions: SmallVec<[SessionId; 2]> = account
                .reachable()
                .filter(|s| s.available().map(|a| a.priority) == highest)
                .map(|s| s.id)
                .collect();
            // §8.5.2.2.1: with nobody there it waits; a chat state or the like is of no use later.
            if sessions.is_empty() && !keep { Verdict::Ignore } else { Verdict::Deliver(sessions) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::account;
    use xmpp::stanza::Kind;

    /// Each line: what is addressed | sessions as `resource:priority` | chat, normal, groupchat,
    /// headline, error: `-` ignored, `!` refused, `~` kept for later, or who gets it.
    const TABLE: &str = "
        bare  |                          | ~       | ~       | ! | -     | -
        bare  | a:-                      | ~       | ~       | ! | -     | -
        bare  | a:-1                     | ~       | ~       | ! | -     | -
        bare  | a:0                      | a       | a       | ! | a     | -
        bare  | a:0 b:-1                 | a       | a       | ! | a     | -
        bare  | a:0 b:5                  | b       | b       | ! | a b   | -
        bare  | a:5 b:5 c:1              | a b     | a b     | ! | a b c | -
        bare  | a:-1 b:-                 | ~       | ~       | ! | -     | -
        full  | x:0                      | x       | x       | x | x     | x
        full  | x:-1                     | x       | x       | x | x     | x
        full  | x:-                      | x       | x       | x | x     | x
        full  | x:0 a:9                  | x       | x       | x | x     | x
        full  | a:0                      | a       | a       | ! | -     | -
        full  | a:-1                     | ~       | ~       | ! | -     | -
        full  |                          | ~       | ~       | ! | -     | -
    ";

    /// RFC 6121 §8.5.2 and §8.5.3, every message type with every kind of address and resource.
    #[test]
    fn rfc_6121_8_5() {
        use MessageType as M;
        for line in TABLE.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let account = account(cells[1]);
            let to = if cells[0] == "full" { "juliet@example.com/x" } else { "juliet@example.com" };
            let kinds = [M::Chat, M::Normal, M::Groupchat, M::Headline, M::Error];
            for (kind, want) in kinds.into_iter().zip(&cells[2..]) {
                for keep in [true, false] {
                    let to = Jid::parse(to).unwrap();
                    let stanza = Stanza::new(Kind::Message(kind), None, Some(&to), None, "<body>hi</body>");
                    let got = match message(&account, &stanza, kind, keep) {
                        Verdict::Refuse => "!".to_owned(),
                        Verdict::Ignore if *want == "~" && !keep => "~".to_owned(),
                        Verdict::Ignore => "-".to_owned(),
                        Verdict::Deliver(none) if none.is_empty() => "~".to_owned(),
                        Verdict::Deliver(some) => {
                            let name = |id: &SessionId| account.session(*id).unwrap().resource().to_owned();
                            some.iter().map(name).collect::<Vec<_>>().join(" ")
                        }
                    };
                    assert_eq!(got, *want, "{kind:?}, kept: {keep}, in: {line}");
                }
            }
        }
    }
}
