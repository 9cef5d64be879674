//! Namespace declarations in scope while an element is parsed (Namespaces in XML 1.0).

use super::chars::is_namespace_name;
use super::fault::Fault;
use super::limits::StreamNamespaces;
use super::span::{Attr, Ns, Span};
use crate::escape::decode_attr;
use crate::ns;
use smallvec::SmallVec;
use std::borrow::Cow;

const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

/// One declaration.
#[derive(Clone, Copy)]
struct Binding {
    /// Empty for the default namespace.
    prefix: Span,
    ns: Ns,
    /// Depth of the element that declares it.
    depth: u16,
}

/// The declarations of the open elements, innermost last.
#[derive(Default)]
pub(super) struct Scope {
    bindings: SmallVec<[Binding; 4]>,
}

impl Scope {
    pub(super) fn len(&self) -> usize {
        self.bindings.len()
    }

    /// Takes in the declaration that `attr` is; `depth` is that of its element.
    pub(super) fn declare(
        &mut self,
        bytes: &[u8],
        attr: &Attr,
        depth: u16,
        names: &StreamNamespaces,
    ) -> Result<(), Fault> {
        let prefix = match attr.prefix_len {
            0 => Span::EMPTY,
            _ => attr.local_span(), // `xmlns:prefix`
        };
        let raw = attr.value.of(bytes);
        let name = match attr.plain {
            true => Cow::Borrowed(raw),
            false => match std::str::from_utf8(raw) {
                Ok(text) => Cow::Owned(decode_attr(text).into_owned().into_bytes()),
                Err(_) => return Err(Fault::Utf8),
            },
        };
        let is_xml = &*name == ns::XML.as_bytes();
        match prefix.of(bytes) {
            // Namespaces in XML §3: `xml` may be declared, but only as what it is.
            b"xml" if is_xml => return Ok(()),
            b"xml" => return Err(Fault::PrefixXml),
            b"xmlns" => return Err(Fault::PrefixXmlns),
            _ if is_xml || &*name == XMLNS.as_bytes() => return Err(Fault::ReservedNamespace),
            b"" => {}
            _ if name.is_empty() => return Err(Fault::EmptyPrefix),
            _ => {}
        }
        if !is_namespace_name(&name) {
            return Err(Fault::NotAUri);
        }
        let ns = match &*name {
            b"" => Ns::None,
            n if n == names.content.as_str().as_bytes() => Ns::Content,
            _ if attr.plain => Ns::Here(attr.value),
            _ => Ns::Escaped(attr.value),
        };
        self.bindings.push(Binding { prefix, ns, depth });
        Ok(())
    }

    /// Forgets what elements at `depth` and deeper declared.
    #[inline]
    pub(super) fn close(&mut self, depth: u16) {
        while self.bindings.last().is_some_and(|binding| binding.depth >= depth) {
            self.bindings.pop();
        }
    }

    /// The namespace of element names without a prefix.
    pub(super) fn default_ns(&self, names: &StreamNamespaces) -> Ns {
        match self.bindings.iter().rev().find(|binding| binding.prefix.is_empty()) {
            Some(binding) => binding.ns,
            None => names.default_ns(),
        }
    }

    /// The namespace that `prefix` stands for.
    pub(super) fn resolve(&self, bytes: &[u8], prefix: &[u8], names: &StreamNamespaces) -> Result<Ns, Fault> {
        let here = self.bindings.iter().rev().find(|binding| binding.prefix.of(bytes) == prefix);
        match here {
            Some(binding) => Ok(binding.ns),
            None if prefix == b"xml" => Ok(Ns::Xml),
            None => names.resolve(prefix).ok_or(Fault::Undeclared),
        }
    }

    /// Whether two attributes' prefixes stand for one namespace.
    pub(super) fn same(&self, bytes: &[u8], a: Ns, b: Ns, names: &StreamNamespaces) -> bool {
        a.name(bytes, names) == b.name(bytes, names)
    }
}
