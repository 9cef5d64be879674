//! Stream errors (RFC 6120 §4.9) and stanza errors (§8.3), as values.

use crate::escape::escape_text;
use crate::ns;
use std::borrow::Cow;
use std::fmt;

macro_rules! conditions {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every condition, for tests and tables.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The element's local name.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            /// The condition with this element name.
            pub fn from_name(name: &str) -> Option<$name> {
                match name { $($text => Some($name::$variant),)* _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.as_str()) }
        }
    };
}

pub(crate) use conditions;

conditions! {
    /// RFC 6120 §4.9.3.
    StreamCondition {
        /// §4.9.3.1
        BadFormat = "bad-format",
        /// §4.9.3.2
        BadNamespacePrefix = "bad-namespace-prefix",
        /// §4.9.3.3
        Conflict = "conflict",
        /// §4.9.3.4
        ConnectionTimeout = "connection-timeout",
        /// §4.9.3.5
        HostGone = "host-gone",
        /// §4.9.3.6
        HostUnknown = "host-unknown",
        /// §4.9.3.7
        ImproperAddressing = "improper-addressing",
        /// §4.9.3.8
        InternalServerError = "internal-server-error",
        /// §4.9.3.9
        InvalidFrom = "invalid-from",
        /// §4.9.3.10
        InvalidNamespace = "invalid-namespace",
        /// §4.9.3.11
        InvalidXml = "invalid-xml",
        /// §4.9.3.12
        NotAuthorized = "not-authorized",
        /// §4.9.3.13
        NotWellFormed = "not-well-formed",
        /// §4.9.3.14
        PolicyViolation = "policy-violation",
        /// §4.9.3.15
        RemoteConnectionFailed = "remote-connection-failed",
        /// §4.9.3.16
        Reset = "reset",
        /// §4.9.3.17
        ResourceConstraint = "resource-constraint",
        /// §4.9.3.18
        RestrictedXml = "restricted-xml",
        /// §4.9.3.19
        SeeOtherHost = "see-other-host",
        /// §4.9.3.20
        SystemShutdown = "system-shutdown",
        /// §4.9.3.21
        UndefinedCondition = "undefined-condition",
        /// §4.9.3.22
        UnsupportedEncoding = "unsupported-encoding",
        /// §4.9.3.23
        UnsupportedFeature = "unsupported-feature",
        /// §4.9.3.24
        UnsupportedStanzaType = "unsupported-stanza-type",
        /// §4.9.3.25
        UnsupportedVersion = "unsupported-version",
    }
}

conditions! {
    /// RFC 6120 §8.3.3.
    StanzaCondition {
        /// §8.3.3.1
        BadRequest = "bad-request",
        /// §8.3.3.2
        Conflict = "conflict",
        /// §8.3.3.3
        FeatureNotImplemented = "feature-not-implemented",
        /// §8.3.3.4
        Forbidden = "forbidden",
        /// §8.3.3.5
        Gone = "gone",
        /// §8.3.3.6
        InternalServerError = "internal-server-error",
        /// §8.3.3.7
        ItemNotFound = "item-not-found",
        /// §8.3.3.8
        JidMalformed = "jid-malformed",
        /// §8.3.3.9
        NotAcceptable = "not-acceptable",
        /// §8.3.3.10
        NotAllowed = "not-allowed",
        /// §8.3.3.11
        NotAuthorized = "not-authorized",
        /// §8.3.3.12
        PolicyViolation = "policy-violation",
        /// §8.3.3.13
        RecipientUnavailable = "recipient-unavailable",
        /// §8.3.3.14
        Redirect = "redirect",
        /// §8.3.3.15
        RegistrationRequired = "registration-required",
        /// §8.3.3.16
        RemoteServerNotFound = "remote-server-not-found",
        /// §8.3.3.17
        RemoteServerTimeout = "remote-server-timeout",
        /// §8.3.3.18
        ResourceConstraint = "resource-constraint",
        /// §8.3.3.19
        ServiceUnavailable = "service-unavailable",
        /// §8.3.3.20
        SubscriptionRequired = "subscription-required",
        /// §8.3.3.21
        UndefinedCondition = "undefined-condition",
        /// §8.3.3.22
        UnexpectedRequest = "unexpected-request",
    }
}

conditions! {
    /// RFC 6120 §8.3.2: what the sender may do about it.
    ErrorType {
        /// Retry after providing credentials.
        Auth = "auth",
        /// Do not retry.
        Cancel = "cancel",
        /// Proceed; it was only a warning.
        Continue = "continue",
        /// Retry after changing the data.
        Modify = "modify",
        /// Retry after waiting.
        Wait = "wait",
    }
}

/// A stream error: it ends the stream that gets it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stream error {condition}{}", .text.as_deref().map(|t| format!(": {t}")).unwrap_or_default())]
pub struct StreamError {
    /// The defined condition.
    pub condition: StreamCondition,
    /// Text for a developer or a log, in English.
    pub text: Option<Cow<'static, str>>,
    /// Content of the condition's element: the host of `see-other-host`.
    pub content: Option<Box<str>>,
}

impl StreamError {
    /// An error with a text that says what was wrong.
    pub fn new(condition: StreamCondition, text: impl Into<Cow<'static, str>>) -> StreamError {
        StreamError { condition, text: Some(text.into()), content: None }
    }
}

impl From<StreamCondition> for StreamError {
    fn from(condition: StreamCondition) -> StreamError {
        StreamError { condition, text: None, content: None }
    }
}

/// A stanza error: the answer to one stanza.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stanza error {condition} ({kind})")]
pub struct StanzaError {
    /// What the sender may do.
    pub kind: ErrorType,
    /// The defined condition.
    pub condition: StanzaCondition,
    /// Text for a developer or a log, in English.
    pub text: Option<Cow<'static, str>>,
    /// An application-specific condition: a whole element.
    pub extra: Option<Box<str>>,
}

impl StanzaError {
    /// An error with a text that says what was wrong.
    pub fn new(condition: StanzaCondition, text: impl Into<Cow<'static, str>>) -> StanzaError {
        StanzaError { text: Some(text.into()), ..StanzaError::from(condition) }
    }

    /// The same with another error type than the condition's usual one.
    pub fn with_kind(self, kind: ErrorType) -> StanzaError {
        StanzaError { kind, ..self }
    }
}

impl From<StanzaCondition> for StanzaError {
    /// With the error type that RFC 6120 §8.3.3 recommends for the condition.
    fn from(condition: StanzaCondition) -> StanzaError {
        use StanzaCondition as C;
        let kind = match condition {
            C::BadRequest | C::JidMalformed | C::NotAcceptable | C::PolicyViolation | C::Redirect => {
                ErrorType::Modify
            }
            C::Forbidden | C::NotAuthorized | C::RegistrationRequired | C::SubscriptionRequired => {
                ErrorType::Auth
            }
            C::RecipientUnavailable
            | C::RemoteServerTimeout
            | C::ResourceConstraint
            | C::UnexpectedRequest => ErrorType::Wait,
            C::Conflict
            | C::FeatureNotImplemented
            | C::Gone
            | C::InternalServerError
            | C::ItemNotFound
            | C::NotAllowed
            | C::RemoteServerNotFound
            | C::ServiceUnavailable
            | C::UndefinedCondition => ErrorType::Cancel,
        };
        StanzaError { kind, condition, text: None, extra: None }
    }
}

impl StreamError {
    /// Appends what stands inside `<stream:error/>` (RFC 6120 §4.9.2).
    pub fn write(&self, into: &mut String) {
        condition(into, self.condition.as_str(), ns::STREAM_ERRORS, self.content.as_deref());
        if let Some(text) = &self.text {
            error_text(into, text, ns::STREAM_ERRORS);
        }
    }
}

impl StanzaError {
    /// The `<error/>` element for a place where the content namespace is the default
    /// (RFC 6120 §8.3.2).
    pub fn to_xml(&self) -> String {
        let mut out = String::with_capacity(160);
        self.write(&mut out);
        out
    }

    /// Appends [`StanzaError::to_xml`].
    pub fn write(&self, into: &mut String) {
        into.push_str("<error type='");
        into.push_str(self.kind.as_str());
        into.push_str("'>");
        condition(into, self.condition.as_str(), ns::STANZA_ERRORS, None);
        if let Some(text) = &self.text {
            error_text(into, text, ns::STANZA_ERRORS);
        }
        if let Some(extra) = &self.extra {
            into.push_str(extra);
        }
        into.push_str("</error>");
    }
}

fn condition(into: &mut String, name: &str, ns: &str, content: Option<&str>) {
    into.push('<');
    into.push_str(name);
    into.push_str(" xmlns='");
    into.push_str(ns);
    match content {
        None => into.push_str("'/>"),
        Some(content) => {
            into.push_str("'>");
            escape_text(content, into);
            into.push_str("</");
            into.push_str(name);
            into.push('>');
        }
    }
}

fn error_text(into: &mut String, text: &str, ns: &str) {
    into.push_str("<text xmlns='");
    into.push_str(ns);
    into.push_str("' xml:lang='en'>");
    escape_text(text, into);
    into.push_str("</text>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanza_errors_are_written() {
        let error = StanzaError::new(StanzaCondition::ItemNotFound, "no <such> thing");
        assert_eq!(
            error.to_xml(),
            "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
             <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>no &lt;such&gt; thing</text></error>"
        );
        let error = StanzaError {
            extra: Some("<too-many xmlns='urn:x'/>".into()),
            ..StanzaError::from(StanzaCondition::ResourceConstraint)
        };
        assert_eq!(
            error.with_kind(ErrorType::Modify).to_xml(),
            "<error type='modify'><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><too-many xmlns='urn:x'/></error>"
        );
    }

    #[test]
    fn conditions_have_the_names_of_the_rfc() {
        for condition in StreamCondition::ALL {
            assert_eq!(StreamCondition::from_name(condition.as_str()), Some(*condition));
        }
        for condition in StanzaCondition::ALL {
            assert_eq!(StanzaCondition::from_name(condition.as_str()), Some(*condition));
        }
        assert_eq!(
            (StreamCondition::ALL.len(), StanzaCondition::ALL.len(), ErrorType::ALL.len()),
            (25, 22, 5)
        );
    }
}
