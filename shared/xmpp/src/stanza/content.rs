//! What a message is worth: the one place that decides it, for the archive, offline storage,
//! carbons and push alike.

use super::{Kind, MessageType};
use crate::ns;

/// What a message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Content {
    /// It says something that must not get lost: text, encrypted or not, a receipt, a marker, a
    /// reaction, a retraction, a call, an invitation, or whatever its sender asks to store.
    pub content: bool,
    /// It has a `<body/>`: something for a human to read.
    pub body: bool,
    /// It is a chat state and nothing else (XEP-0085).
    pub chat_state_only: bool,
}

/// What the sender asks for (XEP-0334). All false in an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hints {
    /// Keep it, though it does not look like content.
    pub store: bool,
    /// Keep it nowhere.
    pub no_store: bool,
    /// Keep it in no archive; to keep it until it is delivered is fine.
    pub no_permanent_store: bool,
    /// Send it to nobody but whom it is addressed to.
    pub no_copy: bool,
}

/// Decides by the names and namespaces of the children.
pub(super) fn classify<'n>(kind: Kind, children: impl Iterator<Item = (&'n [u8], &'n [u8])>) -> Content {
    let mut found = Content::default();
    let mut chat_states = false;
    let mut others = false;
    // An error never is content: it answers something that was.
    if !matches!(kind, Kind::Message(_)) || kind == Kind::Message(MessageType::Error) {
        return found;
    }
    for (name, ns) in children {
        match Payload::of(name, ns) {
            Payload::Body => {
                found.body = true;
                found.content = true;
            }
            Payload::Content => found.content = true,
            Payload::ChatState => {
                chat_states = true;
                continue;
            }
            // They accompany a chat state without making it more.
            Payload::Companion => continue,
            Payload::Other => {}
        }
        others = true;
    }
    found.chat_state_only = chat_states && !others;
    found
}

/// Reads the hints among the children.
pub(super) fn hints<'n>(kind: Kind, children: impl Iterator<Item = (&'n [u8], &'n [u8])>) -> Hints {
    let mut hints = Hints::default();
    if !matches!(kind, Kind::Message(_)) || kind == Kind::Message(MessageType::Error) {
        return hints;
    }
    for (name, _) in children.filter(|(_, ns)| *ns == ns::HINTS.as_bytes()) {
        match name {
            b"store" => hints.store = true,
            b"no-store" => hints.no_store = true,
            b"no-permanent-store" => hints.no_permanent_store = true,
            b"no-copy" => hints.no_copy = true,
            _ => {}
        }
    }
    hints
}

enum Payload {
    Body,
    Content,
    ChatState,
    Companion,
    Other,
}

impl Payload {
    fn of(name: &[u8], namespace: &[u8]) -> Payload {
        const MARKERS: &[u8] = b"urn:xmpp:chat-markers:";
        const OMEMO: &[u8] = b"urn:xmpp:omemo:";
        match name {
            b"body" if namespace == ns::CLIENT.as_bytes() => Payload::Body,
            b"store" if namespace == ns::HINTS.as_bytes() => Payload::Content,
            _ if namespace == ns::HINTS.as_bytes() => Payload::Companion,
            b"thread" if namespace == ns::CLIENT.as_bytes() => Payload::Companion,
            b"origin-id" | b"stanza-id" if namespace == ns::SID.as_bytes() => Payload::Companion,
            b"encryption" if namespace == ns::EME.as_bytes() => Payload::Content,
            // XEP-0384 and the version that is deployed; XEP-0374 and the historical XEP-0027.
            b"encrypted"
                if namespace.starts_with(OMEMO) || namespace == b"eu.siacs.conversations.axolotl" =>
            {
                Payload::Content
            }
            b"openpgp" if namespace == b"urn:xmpp:openpgp:0" => Payload::Content,
            b"x" if namespace == b"jabber:x:encrypted" => Payload::Content,
            b"received" if namespace == ns::RECEIPTS.as_bytes() => Payload::Content,
            // A request for a receipt or a marker asks for something about content beside it.
            b"markable" if namespace.starts_with(MARKERS) => Payload::Companion,
            b"request" if namespace == ns::RECEIPTS.as_bytes() => Payload::Companion,
            _ if namespace.starts_with(MARKERS) => Payload::Content,
            b"reactions" if namespace == ns::REACTIONS.as_bytes() => Payload::Content,
            b"retract"
                if namespace == ns::RETRACT.as_bytes() || namespace == b"urn:xmpp:message-retract:0" =>
            {
                Payload::Content
            }
            _ if namespace == ns::JINGLE_MESSAGE.as_bytes() => Payload::Content,
            b"x" if namespace == ns::CONFERENCE.as_bytes() => Payload::Content,
            _ if namespace == ns::CHAT_STATES.as_bytes() => Payload::ChatState,
            _ => Payload::Other,
        }
    }
}
