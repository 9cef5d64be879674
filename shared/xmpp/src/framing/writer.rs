//! Stream headers, errors and features as text.

use super::limits::Content;
use crate::error::StreamError;
use crate::escape::escape_attr;
use crate::ns;

/// The XML declaration that stands before a stream header (RFC 6120 §11.5).
pub const XML_DECLARATION: &str = "<?xml version='1.0'?>";

/// The end of a stream (RFC 6120 §4.4).
pub const STREAM_END: &str = "</stream:stream>";

/// The end of a WebSocket stream (RFC 7395 §3.6).
pub const WEBSOCKET_CLOSE: &str = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";

/// What a stream header says (RFC 6120 §4.7).
#[derive(Debug, Clone, Copy, Default)]
pub struct HeaderOut<'a> {
    /// `id`: of the stream, in a response.
    pub id: Option<&'a str>,
    /// `from`
    pub from: Option<&'a str>,
    /// `to`
    pub to: Option<&'a str>,
    /// `xml:lang`
    pub lang: Option<&'a str>,
}

/// Appends the XML declaration and a stream header.
pub fn stream_header(into: &mut String, header: HeaderOut<'_>, content: Content) {
    into.push_str(XML_DECLARATION);
    into.push_str("<stream:stream xmlns='");
    into.push_str(content.as_str());
    into.push_str("' xmlns:stream='");
    into.push_str(ns::STREAMS);
    into.push('\'');
    header_attributes(into, header);
    into.push('>');
}

/// Appends the `<open/>` of a WebSocket stream (RFC 7395 §3.4).
pub fn websocket_open(into: &mut String, header: HeaderOut<'_>) {
    into.push_str("<open xmlns='");
    into.push_str(ns::FRAMING);
    into.push('\'');
    header_attributes(into, header);
    into.push_str("/>");
}

fn header_attributes(into: &mut String, header: HeaderOut<'_>) {
    let attributes = [
        ("id", header.id),
        ("from", header.from),
        ("to", header.to),
        ("version", Some("1.0")),
        ("xml:lang", header.lang),
    ];
    for (name, value) in attributes {
        if let Some(value) = value {
            into.push(' ');
            into.push_str(name);
            into.push_str("='");
            escape_attr(value, into);
            into.push('\'');
        }
    }
}

/// Appends a stream error (RFC 6120 §4.9.2). With `declare` it declares the prefix `stream` itself,
/// for a WebSocket frame.
pub fn stream_error(into: &mut String, error: &StreamError, declare: bool) {
    into.push_str("<stream:error");
    if declare {
        declare_stream(into);
    }
    into.push('>');
    error.write(into);
    into.push_str("</stream:error>");
}

/// Appends stream features: `features` are whole elements (RFC 6120 §4.3.2).
pub fn stream_features(into: &mut String, features: &str, declare: bool) {
    into.push_str("<stream:features");
    if declare {
        declare_stream(into);
    }
    if features.is_empty() {
        into.push_str("/>");
        return;
    }
    into.push('>');
    into.push_str(features);
    into.push_str("</stream:features>");
}

fn declare_stream(into: &mut String) {
    into.push_str(" xmlns:stream='");
    into.push_str(ns::STREAMS);
    into.push('\'');
}

/// A canonical stanza for a WebSocket frame, which has to declare its namespace (RFC 7395 §3.3.3).
pub fn websocket_stanza(into: &mut String, xml: &str) {
    let name_end = xml.find([' ', '/', '>']).unwrap_or(xml.len());
    into.push_str(&xml[..name_end]);
    into.push_str(" xmlns='jabber:client'");
    into.push_str(&xml[name_end..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::StreamCondition;

    fn written(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn headers() {
        let header = HeaderOut { id: Some("i<d"), from: Some("localhost"), to: None, lang: Some("en") };
        assert_eq!(
            written(|out| stream_header(out, header, Content::Client)),
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams' id='i&lt;d' from='localhost' version='1.0' xml:lang='en'>"
        );
        assert_eq!(
            written(|out| websocket_open(out, header)),
            "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' id='i&lt;d' from='localhost' version='1.0' xml:lang='en'/>"
        );
    }

    #[test]
    fn errors_and_features() {
        let error = StreamError { content: Some("a.b:1".into()), ..StreamCondition::SeeOtherHost.into() };
        assert_eq!(
            written(|out| stream_error(out, &error, false)),
            "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>a.b:1</see-other-host></stream:error>"
        );
        let error = StreamError::new(StreamCondition::PolicyViolation, "too <big>");
        assert_eq!(
            written(|out| stream_error(out, &error, true)),
            "<stream:error xmlns:stream='http://etherx.jabber.org/streams'>\
             <policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
             <text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>too &lt;big&gt;</text></stream:error>"
        );
        assert_eq!(written(|out| stream_features(out, "", false)), "<stream:features/>");
        assert_eq!(
            written(|out| stream_features(out, "<x/>", false)),
            "<stream:features><x/></stream:features>"
        );
    }

    #[test]
    fn websocket_stanzas_declare_their_namespace() {
        for (xml, framed) in [
            ("<message/>", "<message xmlns='jabber:client'/>"),
            ("<iq id='1'><x/></iq>", "<iq xmlns='jabber:client' id='1'><x/></iq>"),
            ("<presence>x</presence>", "<presence xmlns='jabber:client'>x</presence>"),
        ] {
            assert_eq!(written(|out| websocket_stanza(out, xml)), framed);
        }
    }
}
