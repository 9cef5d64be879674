//! A child element, looked into without building a tree where a look is enough.

use super::Parts;
use crate::escape::{decode_attr, decode_text};
use crate::{Element, ns};
use std::borrow::Cow;

/// A child element of a stanza.
#[derive(Clone, Copy)]
pub struct Child<'a> {
    /// Local name.
    pub name: &'a str,
    /// Namespace name.
    pub ns: &'a str,
    /// The element as it stands in the stanza.
    pub xml: &'a str,
    pub(super) stanza: &'a Parts,
}

impl<'a> Child<'a> {
    /// Whether it has this name and namespace.
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.name == name && self.ns == ns
    }

    /// The child as a tree, namespaces resolved.
    pub fn to_element(&self) -> Element {
        let start_tag = self.stanza.text(self.stanza.start_tag());
        let prefixes: Vec<(&str, Cow<'_, str>)> = Attributes::of(start_tag)
            .filter_map(|(name, value)| Some((name.strip_prefix("xmlns:")?, decode_attr(value))))
            .collect();
        let prefixes = prefixes.iter().map(|(prefix, name)| (*prefix, name.as_ref()));
        Element::parse_in(self.xml, ns::CLIENT, prefixes)
            .unwrap_or_else(|_| Element::new(self.name.to_owned(), self.ns.to_owned()))
    }

    /// The text directly inside, entities resolved.
    pub fn text(&self) -> String {
        let mut attributes = Attributes::of(self.xml);
        attributes.by_ref().for_each(drop);
        let Some(content) = attributes.rest.strip_prefix('>') else {
            return String::new(); // an empty-element tag
        };
        match content.split_once('<') {
            Some((text, markup)) if markup.starts_with('/') => decode_text(text).into_owned(),
            _ => self.to_element().text(),
        }
    }

    /// An attribute of the child, entities resolved. The name is as it is written, with its prefix.
    pub fn attr(&self, name: &str) -> Option<Cow<'a, str>> {
        Attributes::of(self.xml).find(|(there, _)| *there == name).map(|(_, value)| decode_attr(value))
    }
}

/// The attributes of the start tag of a well-formed element: name and value as they are written.
pub(super) struct Attributes<'a> {
    /// What follows; in the end `>` or `/>` and the content.
    rest: &'a str,
}

impl<'a> Attributes<'a> {
    pub(super) fn of(xml: &'a str) -> Attributes<'a> {
        let name_end = xml.find(|c: char| c.is_ascii_whitespace() || matches!(c, '>' | '/'));
        Attributes { rest: &xml[name_end.unwrap_or(xml.len())..] }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        self.rest = self.rest.trim_ascii_start();
        if self.rest.starts_with(['>', '/']) {
            return None;
        }
        let (name, after) = self.rest.split_once('=')?;
        let after = after.trim_ascii_start();
        let quote = after.chars().next()?;
        let (value, rest) = after.get(1..)?.split_once(quote)?;
        self.rest = rest;
        Some((name.trim_ascii_end(), value))
    }
}
