//! Stream features (RFC 6120 §4.3.2), in the order that XEP-0170 recommends.

use super::{Channel, Common, Settings};
use crate::escape::escape_attr;
use crate::framing::writer;
use crate::ns;

/// Before login: TLS, SASL, registration.
pub(super) fn before_login(into: &mut String, common: &Common) {
    let mut features = String::with_capacity(512);
    if !common.channel.is_tls() {
        empty(&mut features, "starttls", ns::TLS);
        if !common.settings.allow_plaintext {
            // RFC 6120 §5.4.1: nothing else can be negotiated before.
            features.truncate(features.len() - 2);
            features.push_str("><required/></starttls>");
        }
    }
    if common.settings.admits(common.channel) {
        mechanisms(&mut features, common);
        if common.settings.registration {
            empty(&mut features, "register", ns::REGISTER_FEATURE);
        }
    }
    writer::stream_features(into, &features, false);
}

/// RFC 6120 §6.4.1, XEP-0440 §3.
fn mechanisms(features: &mut String, common: &Common) {
    let policy = common.settings.policy(common.channel);
    let start = features.len();
    features.push_str("<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>");
    let empty = features.len();
    for mechanism in policy.offered() {
        features.push_str("<mechanism>");
        features.push_str(mechanism.as_str());
        features.push_str("</mechanism>");
    }
    if features.len() == empty {
        return features.truncate(start); // §6.4.1: there is at least one.
    }
    features.push_str("</mechanisms>");
    if let Channel::Tls { exporter, end_point } = common.channel
        && policy.offers_channel_binding()
    {
        features.push_str("<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>");
        for (there, name) in [(exporter, "tls-exporter"), (end_point, "tls-server-end-point")] {
            if there {
                features.push_str("<channel-binding type='");
                features.push_str(name);
                features.push_str("'/>");
            }
        }
        features.push_str("</sasl-channel-binding>");
    }
}

/// After login: a resource, and what comes with it.
pub(super) fn after_login(into: &mut String, settings: &Settings) {
    let mut features = String::with_capacity(512);
    empty(&mut features, "bind", ns::BIND);
    // RFC 3921 §3: clients of that age wait for it, the others read that they need not.
    features.push_str("<session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>");
    empty(&mut features, "sm", ns::SM);
    empty(&mut features, "ver", ns::ROSTER_VER);
    empty(&mut features, "sub", ns::PRE_APPROVAL);
    if let Some(caps) = &settings.caps {
        features.push_str("<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='");
        escape_attr(&caps.node, &mut features);
        features.push_str("' ver='");
        escape_attr(&caps.ver, &mut features);
        features.push_str("'/>");
    }
    writer::stream_features(into, &features, false);
}

fn empty(into: &mut String, name: &str, ns: &str) {
    into.push('<');
    into.push_str(name);
    into.push_str(" xmlns='");
    into.push_str(ns);
    into.push_str("'/>");
}
