//! XEP-0030: Service Discovery

use crate::{Element, ns};

/// What an entity is (XEP-0030 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity<'a> {
    /// `category`, from the registry.
    pub category: &'a str,
    /// `type`, from the registry.
    pub kind: &'a str,
    /// `name`, for a human.
    pub name: Option<&'a str>,
}

/// The answer to a disco#info query, with the node it asked for.
pub fn info(identities: &[Identity<'_>], features: &[&str], node: Option<&str>) -> Element {
    let mut query = query(ns::DISCO_INFO, node);
    for identity in identities {
        let mut element = Element::new("identity", ns::DISCO_INFO)
            .with_attr("category", identity.category)
            .with_attr("type", identity.kind);
        if let Some(name) = identity.name {
            element.set_attr("name", name);
        }
        query.push(element);
    }
    for feature in sorted(features) {
        query.push(Element::new("feature", ns::DISCO_INFO).with_attr("var", feature));
    }
    query
}

/// The answer to a disco#items query: JIDs with their names.
pub fn items<'a>(items: impl IntoIterator<Item = (&'a str, Option<&'a str>)>, node: Option<&str>) -> Element {
    let mut query = query(ns::DISCO_ITEMS, node);
    for (jid, name) in items {
        let mut element = Element::new("item", ns::DISCO_ITEMS).with_attr("jid", jid);
        if let Some(name) = name {
            element.set_attr("name", name);
        }
        query.push(element);
    }
    query
}

fn query(ns: &'static str, node: Option<&str>) -> Element {
    let mut query = Element::new("query", ns);
    if let Some(node) = node {
        query.set_attr("node", node);
    }
    query
}

/// Each feature once, in the order of XEP-0115 §5.1 (by bytes).
pub(super) fn sorted<'a>(features: &[&'a str]) -> Vec<&'a str> {
    let mut features = features.to_vec();
    features.sort_unstable();
    features.dedup();
    features
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let identity = Identity { category: "server", kind: "im", name: Some("W") };
        assert_eq!(
            info(&[identity], &["b", "a", "b"], Some("n")).to_xml(ns::CLIENT),
            "<query xmlns='http://jabber.org/protocol/disco#info' node='n'>\
             <identity category='server' type='im' name='W'/><feature var='a'/><feature var='b'/></query>"
        );
        assert_eq!(
            items([("a.b", None), ("c.d", Some("<C>"))], None).to_xml(ns::CLIENT),
            "<query xmlns='http://jabber.org/protocol/disco#items'>\
             <item jid='a.b'/><item jid='c.d' name='&lt;C&gt;'/></query>"
        );
    }
}
