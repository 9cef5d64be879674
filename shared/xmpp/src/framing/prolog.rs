//! What stands before the first stanza: the XML declaration and the stream header.

use super::chars::{SPACE, is};
use super::fault::Fault;
use super::limits::{Content, DefaultNs, StreamNamespaces};
use super::span::{Ns, Parsed};
use crate::escape::decode_attr;
use crate::ns;

/// A stream header (RFC 6120 §4.7), values as an application sees them, nothing prepared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamHeader {
    /// `to`
    pub to: Option<Box<str>>,
    /// `from`
    pub from: Option<Box<str>>,
    /// `id`
    pub id: Option<Box<str>>,
    /// `version`
    pub version: Option<Box<str>>,
    /// `xml:lang`
    pub lang: Option<Box<str>>,
}

/// Reads an XML declaration at the very start of a stream (XML 1.0 §2.8). Gives its length, or
/// none while it is incomplete.
pub(super) fn xml_declaration(bytes: &[u8]) -> Result<Option<usize>, Fault> {
    const START: &[u8] = b"<?xml";
    let there = &bytes[..bytes.len().min(START.len())];
    if there != &START[..there.len()] {
        return Err(Fault::ProcessingInstruction);
    }
    match bytes.get(START.len()) {
        None => return Ok(None),
        Some(&byte) if is(byte, SPACE) => {}
        Some(_) => return Err(Fault::ProcessingInstruction),
    }
    let Some(end) = memchr::memmem::find(bytes, b"?>") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes[START.len()..end]).map_err(|_| Fault::Utf8)?;
    let mut rest = text;
    // XMLDecl: version, then encoding, then standalone; only the first is required.
    let version = pseudo_attribute(&mut rest, "version")?.ok_or(Fault::DeclarationSyntax)?;
    let digits = version.strip_prefix("1.").unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::DeclarationVersion);
    }
    if let Some(encoding) = pseudo_attribute(&mut rest, "encoding")?
        && !encoding.eq_ignore_ascii_case("UTF-8")
    {
        return Err(Fault::Encoding); // RFC 6120 §11.6
    }
    if let Some(standalone) = pseudo_attribute(&mut rest, "standalone")?
        && !matches!(standalone, "yes" | "no")
    {
        return Err(Fault::DeclarationSyntax);
    }
    if !rest.bytes().all(|byte| is(byte, SPACE)) {
        return Err(Fault::DeclarationSyntax);
    }
    Ok(Some(end + 2))
}

/// Takes ` name = 'value'` off the start of `rest`, if it is there.
fn pseudo_attribute<'t>(rest: &mut &'t str, name: &str) -> Result<Option<&'t str>, Fault> {
    let space = |c: char| c.is_ascii() && is(c as u8, SPACE);
    let Some(after) = rest.trim_start_matches(space).strip_prefix(name) else {
        return Ok(None);
    };
    if !rest.starts_with(space) {
        return Err(Fault::DeclarationSyntax);
    }
    let value =
        after.trim_start_matches(space).strip_prefix('=').map(|after| after.trim_start_matches(space));
    let quote = value.and_then(|value| value.chars().next()).filter(|c| matches!(c, '\'' | '"'));
    let (Some(value), Some(quote)) = (value, quote) else {
        return Err(Fault::DeclarationSyntax);
    };
    let (value, after) = value[1..].split_once(quote).ok_or(Fault::DeclarationSyntax)?;
    *rest = after;
    Ok(Some(value))
}

/// Reads the header's start tag: what it says, and the namespaces it puts in scope.
pub(super) fn stream_header(
    xml: &str,
    parsed: &Parsed,
    content: Content,
) -> Result<(StreamHeader, StreamNamespaces), Fault> {
    let bytes = xml.as_bytes();
    let unknown = StreamNamespaces::bare(content);
    if *parsed.ns.name(bytes, &unknown) != *ns::STREAMS.as_bytes() {
        return Err(Fault::StreamNamespace); // RFC 6120 §4.8.1
    }
    let prefix_at =
        parsed.name.start as usize - usize::from(parsed.prefix_len) - usize::from(parsed.prefix_len > 0);
    let prefix = &xml[prefix_at..prefix_at + usize::from(parsed.prefix_len)];
    if !matches!(prefix, "" | "stream") {
        return Err(Fault::StreamPrefix); // RFC 6120 §4.8.5
    }
    if parsed.name.text(xml) != "stream" {
        return Err(Fault::NoHeader);
    }
    if xml.ends_with("/>") {
        return Err(Fault::EmptyHeader);
    }
    let mut header = StreamHeader { to: None, from: None, id: None, version: None, lang: None };
    let mut names = StreamNamespaces { prefix_free: prefix.is_empty(), ..unknown };
    let mut others = Vec::new();
    for attr in &parsed.attrs {
        let value = || decode_attr(attr.value.text(xml));
        let field = match attr.name_span().text(xml) {
            "to" => &mut header.to,
            "from" => &mut header.from,
            "id" => &mut header.id,
            "version" => &mut header.version,
            "xml:lang" => &mut header.lang,
            "xmlns" => {
                names.default = default_ns(&value(), content)?;
                continue;
            }
            "xmlns:stream" if value() == ns::STREAMS => {
                names.stream_prefix = true;
                continue;
            }
            "xmlns:xml" => continue,
            _ if attr.prefix(bytes) == b"xmlns" => {
                others.push((Box::from(attr.local_span().text(xml)), Box::from(value())));
                continue;
            }
            _ => continue,
        };
        *field = Some(value().into());
    }
    if others.len() > StreamNamespaces::PREFIXES_MAX {
        return Err(Fault::TooManyPrefixes);
    }
    names.prefixes = (!others.is_empty()).then(|| others.into_boxed_slice());
    Ok((header, names))
}

fn default_ns(name: &str, content: Content) -> Result<DefaultNs, Fault> {
    match name {
        "" => Ok(DefaultNs::None),
        ns::STREAMS => Ok(DefaultNs::Streams), // RFC 6120 §4.8.2, prefix-free canonicalization
        name if name == content.as_str() => Ok(DefaultNs::Content),
        _ => Err(Fault::ContentNamespace), // RFC 6120 §4.8.3
    }
}

impl Parsed {
    /// Whether the element is `name` in the content namespace.
    pub(super) fn is_content(&self) -> bool {
        self.ns == Ns::Content
    }
}
