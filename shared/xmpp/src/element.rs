//! A small owned XML tree for payloads that a feature looks into. Not on the path of messages.

use crate::error::{StreamCondition, StreamError};
use crate::{escape, ns};
use quick_xml::NsReader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, PrefixDeclaration, ResolveResult};
use std::borrow::Cow;

pub use crate::escape::{escape_attr, escape_text};

/// How deep a tree may be. The reader's limit is lower; this one holds for other sources.
pub const DEPTH_MAX: usize = 256;

/// An element with its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    name: Cow<'static, str>,
    ns: Cow<'static, str>,
    attrs: Vec<(Cow<'static, str>, String)>,
    nodes: Vec<Node>,
}

/// A piece of an element's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A child element.
    Element(Element),
    /// Character data, references resolved.
    Text(String),
}

impl Element {
    /// An element without attributes and content.
    pub fn new(name: impl Into<Cow<'static, str>>, ns: impl Into<Cow<'static, str>>) -> Element {
        Element { name: name.into(), ns: ns.into(), attrs: Vec::new(), nodes: Vec::new() }
    }

    /// Parses one element. `default_ns` is the namespace of names without a prefix where the
    /// element does not declare one.
    ///
    /// # Errors
    /// `not-well-formed`, `restricted-xml` for what RFC 6120 §11.1 forbids, `policy-violation`
    /// when it is deeper than [`DEPTH_MAX`].
    pub fn parse(xml: &str, default_ns: &str) -> Result<Element, StreamError> {
        Element::parse_in(xml, default_ns, std::iter::empty())
    }

    /// The same, with prefixes that are declared around the element.
    ///
    /// # Errors
    /// As [`Element::parse`].
    pub fn parse_in<'p>(
        xml: &str,
        default_ns: &str,
        prefixes: impl Iterator<Item = (&'p str, &'p str)>,
    ) -> Result<Element, StreamError> {
        let mut reader = NsReader::from_str(xml);
        let resolver = reader.resolver_mut();
        // The resolver holds names as they are written in XML.
        let mut escaped = String::new();
        escape_attr(default_ns, &mut escaped);
        resolver.add(PrefixDeclaration::Default, Namespace(&escaped)).map_err(ill)?;
        for (prefix, name) in prefixes {
            escaped.clear();
            escape_attr(name, &mut escaped);
            resolver.add(PrefixDeclaration::Named(prefix), Namespace(&escaped)).map_err(ill)?;
        }
        read_tree(&mut reader)
    }

    /// Local name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Namespace name; empty for none.
    pub fn ns(&self) -> &str {
        &self.ns
    }

    /// Whether it has this name and namespace.
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.name == name && self.ns == ns
    }

    /// The value of an attribute: `name` without a prefix, `xml:lang`, or `{namespace}name`.
    pub fn attr(&self, name: &str) -> Option<&str> {
        self.attrs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All attributes, with names as in [`Element::attr`].
    pub fn attrs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attrs.iter().map(|(key, value)| (key.as_ref(), value.as_str()))
    }

    /// Content in order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Child elements in order.
    pub fn children(&self) -> impl Iterator<Item = &Element> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The first child element with this name and namespace.
    pub fn child(&self, name: &str, ns: &str) -> Option<&Element> {
        self.children().find(|child| child.is(name, ns))
    }

    /// The text directly inside.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for node in &self.nodes {
            if let Node::Text(text) = node {
                out.push_str(text);
            }
        }
        out
    }

    /// Adds an attribute or replaces its value. Names are as in [`Element::attr`].
    pub fn set_attr(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        match self.attrs.iter_mut().find(|(key, _)| *key == name) {
            Some((_, old)) => *old = value,
            None => self.attrs.push((name, value)),
        }
    }

    /// Appends a child element.
    pub fn push(&mut self, child: Element) {
        self.nodes.push(Node::Element(child));
    }

    /// The same with an attribute.
    #[must_use]
    pub fn with_attr(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Element {
        self.set_attr(name, value);
        self
    }

    /// The same with a child after its content.
    #[must_use]
    pub fn with_child(mut self, child: Element) -> Element {
        self.push(child);
        self
    }

    /// The same with children after its content.
    #[must_use]
    pub fn with_children(mut self, children: impl IntoIterator<Item = Element>) -> Element {
        self.nodes.extend(children.into_iter().map(Node::Element));
        self
    }

    /// The same with text after its content.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Element {
        self.nodes.push(Node::Text(text.into()));
        self
    }

    /// The element as XML for a place where `parent_ns` is the default namespace.
    pub fn to_xml(&self, parent_ns: &str) -> String {
        let mut out = String::new();
        self.write(&mut out, parent_ns);
        out
    }

    /// Appends [`Element::to_xml`].
    pub fn write(&self, into: &mut String, parent_ns: &str) {
        into.push('<');
        into.push_str(&self.name);
        if self.ns != parent_ns {
            push_attr(into, "xmlns", &self.ns);
        }
        let mut declared = 0;
        for (key, value) in &self.attrs {
            // `{namespace}name` needs a prefix of its own.
            match key.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
                None => push_attr(into, key, value),
                Some((ns, name)) => {
                    push_attr(into, &format!("xmlns:ns{declared}"), ns);
                    push_attr(into, &format!("ns{declared}:{name}"), value);
                    declared += 1;
                }
            }
        }
        if self.nodes.is_empty() {
            into.push_str("/>");
            return;
        }
        into.push('>');
        for node in &self.nodes {
            match node {
                Node::Element(child) => child.write(into, &self.ns),
                Node::Text(text) => escape_text(text, into),
            }
        }
        into.push_str("</");
        into.push_str(&self.name);
        into.push('>');
    }
}

fn push_attr(into: &mut String, name: &str, value: &str) {
    into.push(' ');
    into.push_str(name);
    into.push_str("='");
    escape_attr(value, into);
    into.push('\'');
}

fn ill(error: impl std::fmt::Display) -> StreamError {
    StreamError::new(StreamCondition::NotWellFormed, error.to_string())
}

/// Reads until the first element is closed; only white space may stand around it.
fn read_tree(reader: &mut NsReader<&[u8]>) -> Result<Element, StreamError> {
    let mut open: Vec<Element> = Vec::new();
    let mut root: Option<Element> = None;
    loop {
        let event = reader.read_event().map_err(ill)?;
        let closed = match event {
            Event::Start(ref tag) => {
                if open.len() == DEPTH_MAX {
                    return Err(StreamError::new(
                        StreamCondition::PolicyViolation,
                        "elements are nested too deep",
                    ));
                }
                open.push(read_tag(reader, tag)?);
                continue;
            }
            Event::Empty(ref tag) => read_tag(reader, tag)?,
            Event::End(_) => open.pop().ok_or_else(|| ill("an end tag without a start tag"))?,
            Event::Text(text) => {
                push_text(&mut open, &text.xml10_content())?;
                continue;
            }
            Event::CData(text) => {
                push_text(&mut open, &text.xml10_content())?;
                continue;
            }
            Event::GeneralRef(reference) => {
                // quick-xml hands out the name without `&` and `;`.
                let whole = format!("&{};", reference.into_inner());
                let (c, _) = escape::parse_reference(&whole).ok_or_else(|| {
                    StreamError::new(StreamCondition::RestrictedXml, "an entity that is not predefined")
                })?;
                push_text(&mut open, c.encode_utf8(&mut [0; 4]))?;
                continue;
            }
            Event::Comment(_) | Event::PI(_) | Event::DocType(_) | Event::Decl(_) => {
                return Err(StreamCondition::RestrictedXml.into()); // RFC 6120 §11.1
            }
            Event::Eof => break,
        };
        match open.last_mut() {
            Some(parent) => parent.push(closed),
            None if root.is_none() => root = Some(closed),
            None => return Err(ill("a second element")),
        }
    }
    if !open.is_empty() {
        return Err(ill("an element that is not closed"));
    }
    root.ok_or_else(|| ill("no element"))
}

fn push_text(open: &mut [Element], text: &str) -> Result<(), StreamError> {
    let Some(parent) = open.last_mut() else {
        return if text.bytes().all(|b| b.is_ascii_whitespace()) {
            Ok(())
        } else {
            Err(ill("text outside of the element"))
        };
    };
    match parent.nodes.last_mut() {
        Some(Node::Text(before)) => before.push_str(text),
        _ if text.is_empty() => {}
        _ => parent.nodes.push(Node::Text(text.to_owned())),
    }
    Ok(())
}

fn read_tag(reader: &NsReader<&[u8]>, tag: &BytesStart<'_>) -> Result<Element, StreamError> {
    let (resolved, local) = reader.resolver().resolve_element(tag.name());
    let mut element = Element::new(intern(local.into_inner()), intern(&namespace(resolved)?));
    for attr in tag.attributes() {
        let attr = attr.map_err(ill)?;
        if attr.key.as_namespace_binding().is_some() {
            continue;
        }
        let value = attr.normalized_value(XmlVersion::Explicit1_0).map_err(ill)?.into_owned();
        let (resolved, local) = reader.resolver().resolve_attribute(attr.key);
        let ns = namespace(resolved)?;
        let local = local.into_inner();
        let key = match ns.as_ref() {
            "" => intern(local),
            ns::XML => Cow::Owned(format!("xml:{local}")),
            ns => Cow::Owned(format!("{{{ns}}}{local}")),
        };
        if element.attr(&key).is_some() {
            return Err(ill("an attribute is there twice"));
        }
        element.attrs.push((key, value));
    }
    Ok(element)
}

fn namespace(resolved: ResolveResult<'_>) -> Result<Cow<'_, str>, StreamError> {
    match resolved {
        // quick-xml hands out the value of the declaration as it was written.
        ResolveResult::Bound(Namespace(name)) => Ok(escape::decode_attr(name)),
        ResolveResult::Unbound => Ok(Cow::Borrowed("")),
        ResolveResult::Unknown(prefix) => Err(ill(format!("the prefix {prefix} is not declared"))),
    }
}

/// Names that come often need no allocation.
fn intern(name: &str) -> Cow<'static, str> {
    const KNOWN: &[&str] = &[
        "",
        "id",
        "to",
        "from",
        "type",
        "jid",
        "name",
        "node",
        "query",
        "item",
        "group",
        "x",
        "value",
        "var",
        "field",
        "feature",
        "identity",
        "category",
        "r",
        "a",
        "h",
        "auth",
        "response",
        "mechanism",
        "resource",
        "bind",
        ns::CLIENT,
        ns::SM,
        ns::SASL,
        ns::ROSTER,
        ns::DISCO_INFO,
        ns::DISCO_ITEMS,
        ns::BIND,
        ns::FORM,
    ];
    match KNOWN.iter().find(|known| **known == name) {
        Some(known) => Cow::Borrowed(known),
        None => Cow::Owned(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes() {
        let xml = "<query xmlns='jabber:iq:roster' ver='a&amp;b'><item jid='x@y'>\
                   <group>A&lt;B</group></item><x xmlns='urn:x' xml:lang='de'/>t</query>";
        let element = Element::parse(xml, ns::CLIENT).unwrap();
        assert!(element.is("query", ns::ROSTER));
        assert_eq!(element.attr("ver"), Some("a&b"));
        let item = element.child("item", ns::ROSTER).unwrap();
        assert_eq!(item.child("group", ns::ROSTER).unwrap().text(), "A<B");
        assert_eq!(element.child("x", "urn:x").unwrap().attr("xml:lang"), Some("de"));
        assert_eq!(element.text(), "t");
        assert_eq!(element.to_xml(ns::CLIENT), xml);
        assert_eq!(element.to_xml(ns::ROSTER), xml.replace(" xmlns='jabber:iq:roster'", ""));
    }

    #[test]
    fn prefixes_become_namespaces() {
        let element = Element::parse("<a:x xmlns:a='urn:a&amp;' a:k='1' k='2'><y/></a:x>", "urn:d").unwrap();
        assert!(element.is("x", "urn:a&"));
        assert_eq!(element.attr("{urn:a&}k"), Some("1"));
        assert_eq!(element.attr("k"), Some("2"));
        assert!(element.child("y", "urn:d").is_some());
        assert_eq!(Element::parse(&element.to_xml("urn:d"), "urn:d").unwrap(), element);
        let around = [("p", "urn:p")];
        assert!(Element::parse_in("<p:x/>", "urn:d", around.into_iter()).unwrap().is("x", "urn:p"));
    }

    #[test]
    fn refuses() {
        let deep = "<a>".repeat(DEPTH_MAX + 1);
        for (xml, condition) in [
            ("<a>", StreamCondition::NotWellFormed),
            ("", StreamCondition::NotWellFormed),
            ("<a/><b/>", StreamCondition::NotWellFormed),
            ("<a/>x", StreamCondition::NotWellFormed),
            ("<a></b>", StreamCondition::NotWellFormed),
            ("<p:a/>", StreamCondition::NotWellFormed),
            ("<a k='1' k='2'/>", StreamCondition::NotWellFormed),
            ("<a><!-- c --></a>", StreamCondition::RestrictedXml),
            ("<a>&foo;</a>", StreamCondition::RestrictedXml),
            (deep.as_str(), StreamCondition::PolicyViolation),
        ] {
            assert_eq!(Element::parse(xml, "").unwrap_err().condition, condition, "{xml}");
        }
    }

    #[test]
    fn text_is_joined_and_builders_build() {
        let element = Element::parse("<a>1&amp;<![CDATA[<2>]]>3</a>", "").unwrap();
        assert_eq!(element.nodes(), [Node::Text("1&<2>3".into())]);
        let built = Element::new("a", "urn:a")
            .with_attr("k", "v")
            .with_attr("k", "w")
            .with_text("<")
            .with_child(Element::new("b", "urn:b"));
        assert_eq!(built.to_xml(""), "<a xmlns='urn:a' k='w'>&lt;<b xmlns='urn:b'/></a>");
    }
}
