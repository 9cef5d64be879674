//! The three stanzas and their types.

/// Which stanza, and its type (RFC 6120 §8.1, RFC 6121 §5.2.2, §4.7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `<message/>`
    Message(MessageType),
    /// `<presence/>`
    Presence(PresenceType),
    /// `<iq/>`
    Iq(IqType),
}

/// RFC 6121 §5.2.2. An unknown or missing type is `Normal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// One-to-one chat.
    Chat,
    /// The answer to a message that could not be delivered.
    Error,
    /// From or to a room.
    Groupchat,
    /// An alert, no reply expected.
    Headline,
    /// Outside of a conversation; the default.
    Normal,
}

/// RFC 6121 §4.7.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PresenceType {
    /// No `type`: available.
    Available,
    /// An error.
    Error,
    /// A server asks for the current presence.
    Probe,
    /// A request to see the recipient's presence.
    Subscribe,
    /// The request is granted.
    Subscribed,
    /// Going away.
    Unavailable,
    /// The sender no longer wants the recipient's presence.
    Unsubscribe,
    /// The request is denied, or the grant taken back.
    Unsubscribed,
}

/// RFC 6120 §8.2.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IqType {
    /// Request for information.
    Get,
    /// Request for a change.
    Set,
    /// The answer.
    Result,
    /// The answer that it failed.
    Error,
}

/// The three stanzas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StanzaName {
    Message,
    Presence,
    Iq,
}

impl StanzaName {
    pub(crate) fn from_name(name: &str) -> Option<StanzaName> {
        match name {
            "message" => Some(StanzaName::Message),
            "presence" => Some(StanzaName::Presence),
            "iq" => Some(StanzaName::Iq),
            _ => None,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            StanzaName::Message => "message",
            StanzaName::Presence => "presence",
            StanzaName::Iq => "iq",
        }
    }
}

impl Kind {
    /// The kind that the element's name and `type` make. None for a type that RFC 6120 §8.2.3
    /// (IQ) or RFC 6121 §4.7.1 (presence) does not know.
    pub(crate) fn of(name: StanzaName, kind: Option<&str>) -> Option<Kind> {
        Some(match name {
            StanzaName::Message => Kind::Message(match kind {
                Some("chat") => MessageType::Chat,
                Some("error") => MessageType::Error,
                Some("groupchat") => MessageType::Groupchat,
                Some("headline") => MessageType::Headline,
                _ => MessageType::Normal, // RFC 6121 §5.2.2
            }),
            StanzaName::Presence => Kind::Presence(match kind {
                None => PresenceType::Available,
                Some("error") => PresenceType::Error,
                Some("probe") => PresenceType::Probe,
                Some("subscribe") => PresenceType::Subscribe,
                Some("subscribed") => PresenceType::Subscribed,
                Some("unavailable") => PresenceType::Unavailable,
                Some("unsubscribe") => PresenceType::Unsubscribe,
                Some("unsubscribed") => PresenceType::Unsubscribed,
                Some(_) => return None,
            }),
            StanzaName::Iq => Kind::Iq(match kind? {
                "get" => IqType::Get,
                "set" => IqType::Set,
                "result" => IqType::Result,
                "error" => IqType::Error,
                _ => return None,
            }),
        })
    }

    pub(crate) fn name(self) -> StanzaName {
        match self {
            Kind::Message(_) => StanzaName::Message,
            Kind::Presence(_) => StanzaName::Presence,
            Kind::Iq(_) => StanzaName::Iq,
        }
    }

    /// The value of `type`; none where it is the default.
    pub fn type_str(self) -> Option<&'static str> {
        match self {
            Kind::Message(MessageType::Chat) => Some("chat"),
            Kind::Message(MessageType::Error) => Some("error"),
            Kind::Message(MessageType::Groupchat) => Some("groupchat"),
            Kind::Message(MessageType::Headline) => Some("headline"),
            Kind::Message(MessageType::Normal) => None,
            Kind::Presence(PresenceType::Available) => None,
            Kind::Presence(PresenceType::Error) => Some("error"),
            Kind::Presence(PresenceType::Probe) => Some("probe"),
            Kind::Presence(PresenceType::Subscribe) => Some("subscribe"),
            Kind::Presence(PresenceType::Subscribed) => Some("subscribed"),
            Kind::Presence(PresenceType::Unavailable) => Some("unavailable"),
            Kind::Presence(PresenceType::Unsubscribe) => Some("unsubscribe"),
            Kind::Presence(PresenceType::Unsubscribed) => Some("unsubscribed"),
            Kind::Iq(IqType::Get) => Some("get"),
            Kind::Iq(IqType::Set) => Some("set"),
            Kind::Iq(IqType::Result) => Some("result"),
            Kind::Iq(IqType::Error) => Some("error"),
        }
    }

    /// Whether the type is `error`.
    pub fn is_error(self) -> bool {
        self.type_str() == Some("error")
    }

    /// The error of the same stanza.
    pub fn to_error(self) -> Kind {
        match self {
            Kind::Message(_) => Kind::Message(MessageType::Error),
            Kind::Presence(_) => Kind::Presence(PresenceType::Error),
            Kind::Iq(_) => Kind::Iq(IqType::Error),
        }
    }
}
