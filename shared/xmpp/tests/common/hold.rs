//! The reader beside rxml and quick-xml, over the same bytes.

use super::HEADER;
use rxml::{Event, Parse, Parser};
use xmpp::element::Node;
use xmpp::error::StreamCondition;
use xmpp::framing::{Frame, Limits, Reader};
use xmpp::{Element, Jid, Stanza, ns};

/// What a parser makes of the first-level elements in a stream with the usual header: those that
/// are complete, and whether it then found something wrong.
struct Verdict {
    elements: Vec<String>,
    error: Option<String>,
    closed: bool,
}

/// A tree as text: attributes sorted, text joined, namespaces by name.
fn show(element: &Element, out: &mut String) {
    let mut attrs: Vec<_> = element.attrs().collect();
    attrs.sort_unstable();
    out.push_str(&format!("({{{}}}{} {attrs:?} ", element.ns(), element.name()));
    let mut text = String::new();
    for node in element.nodes() {
        match node {
            Node::Text(more) => text.push_str(more),
            Node::Element(child) => {
                out.push_str(&format!("{text:?}"));
                text.clear();
                show(child, out);
            }
        }
    }
    out.push_str(&format!("{text:?})"));
}

fn shown(element: &Element) -> String {
    let mut out = String::new();
    show(element, &mut out);
    out
}

fn by_rxml(xml: &[u8]) -> Verdict {
    let mut stream = [HEADER.as_bytes(), xml].concat();
    // rxml wants a line feed after a carriage return; XML 1.0 §2.11 makes one of it.
    for at in 0..stream.len() {
        if stream[at] == b'\r' && stream.get(at + 1) != Some(&b'\n') {
            stream[at] = b'\n';
        }
    }
    let mut input = &stream[..];
    let mut parser = Parser::new();
    // The first is the stream itself.
    let mut open: Vec<Element> = Vec::new();
    let mut verdict = Verdict { elements: Vec::new(), error: None, closed: false };
    loop {
        let event = match parser.parse(&mut input, false) {
            Ok(Some(event)) => event,
            Ok(None) | Err(rxml::error::EndOrError::NeedMoreData) => return verdict,
            Err(error) => {
                verdict.error = Some(format!("{error:?}"));
                return verdict;
            }
        };
        match event {
            Event::XmlDeclaration(..) => {}
            Event::StartElement(_, (ns, name), attrs) => {
                let mut element = Element::new(name.to_string(), ns.as_str().to_owned());
                for ((ns, name), value) in attrs.iter() {
                    let key = match ns.as_str() {
                        "" => name.to_string(),
                        ns::XML => format!("xml:{name}"),
                        ns => format!("{{{ns}}}{name}"),
                    };
                    element.set_attr(key, value.clone());
                }
                open.push(element);
            }
            Event::Text(_, text) => {
                if let [_, .., parent] = &mut open[..] {
                    *parent = parent.clone().with_text(text);
                }
            }
            Event::EndElement(_) => {
                let element = open.pop().unwrap();
                match &mut open[..] {
                    [] => verdict.closed = true,
                    [_stream] => verdict.elements.push(shown(&element)),
                    [.., parent] => parent.push(element),
                }
            }
        }
    }
}

/// What is between the start and end tag of two shown trees is the same.
fn ours(xml: &[u8]) -> (Verdict, Option<StreamCondition>) {
    let mut reader = Reader::new(Limits::default());
    let mut verdict = Verdict { elements: Vec::new(), error: None, closed: false };
    assert!(matches!(reader.next(HEADER.as_bytes()), Ok((_, Some(Frame::Header(_))))));
    let mut input = xml;
    loop {
        match reader.next(input) {
            Ok((used, Some(frame))) => {
                input = &input[used..];
                match frame {
                    Frame::Nonza(element) => verdict.elements.push(shown(&element)),
                    Frame::Stanza(raw) => {
                        let tree =
                            Element::parse_in(raw.xml(), ns::CLIENT, [("stream", ns::STREAMS)].into_iter());
                        let tree = tree.expect("quick-xml reads what the reader lets through");
                        verdict.elements.push(shown(&tree));
                        let stamped = raw.stamp(&Jid::parse("me@here/r").unwrap());
                        check_canonical(&stamped.unwrap_or_else(|(stanza, _)| stanza), &tree);
                    }
                    Frame::Close => verdict.closed = true,
                    Frame::Header(_) => panic!("a second header"),
                }
            }
            Ok((_, None)) => return (verdict, None),
            Err(error) => {
                verdict.error = Some(error.to_string());
                return (verdict, Some(error.condition));
            }
        }
    }
}

/// The canonical form is well-formed by itself, means the same, and is read as what it is.
fn check_canonical(stanza: &Stanza, sent: &Element) {
    let text = std::str::from_utf8(stanza.xml()).unwrap();
    let tree = Element::parse(text, ns::CLIENT).expect("quick-xml reads a canonical stanza");
    assert_eq!(tree.name(), sent.name());
    assert_eq!(tree.ns(), ns::CLIENT);
    assert_eq!(tree.attr("from"), Some("me@here/r"));
    let own = |name: &&str| !matches!(*name, "from" | "to" | "type");
    for (name, value) in sent.attrs().filter(|(name, _)| own(name)) {
        assert_eq!(tree.attr(name), Some(value), "{name} of {text}");
    }
    assert_eq!(stanza.id(), sent.attr("id"));
    assert_eq!(stanza.lang(), sent.attr("xml:lang"));
    let content = |element: &Element| {
        let mut bare = Element::new("x", "");
        element.children().for_each(|child| bare.push(child.clone()));
        shown(&bare) + &element.text()
    };
    assert_eq!(content(&tree), content(sent), "{text}");
    let children: Vec<_> = stanza.children().map(|child| shown(&child.to_element())).collect();
    assert_eq!(children, sent.children().map(shown).collect::<Vec<_>>(), "{text}");
    for (child, tree) in stanza.children().zip(tree.children()) {
        assert_eq!((child.name, child.ns), (tree.name(), tree.ns()), "{text}");
        assert_eq!(child.text(), tree.text(), "{text}");
        for (name, value) in tree.attrs().filter(|(name, _)| !name.starts_with('{')) {
            assert_eq!(child.attr(name).as_deref(), Some(value), "{name} in {text}");
        }
    }
    let again = Stanza::parse(stanza.xml().clone()).expect("a canonical stanza is one");
    assert_eq!(again.xml(), stanza.xml());
    assert_eq!(again.kind(), stanza.kind());
    check_changes(stanza, &tree);
}

/// Changes of a stanza give what a tree would.
fn check_changes(stanza: &Stanza, tree: &Element) {
    let parse = |stanza: &Stanza| {
        let text = std::str::from_utf8(stanza.xml()).unwrap();
        let listed: Vec<_> =
            stanza.children().map(|c| (c.name.to_owned(), c.ns.to_owned(), c.text())).collect();
        let tree = Element::parse(text, ns::CLIENT).unwrap();
        let there: Vec<_> =
            tree.children().map(|c| (c.name().to_owned(), c.ns().to_owned(), c.text())).collect();
        assert_eq!(listed, there, "{text}");
        assert_eq!(stanza.xml(), Stanza::parse(stanza.xml().clone()).unwrap().xml());
        assert_eq!(stanza.id(), tree.attr("id"));
        assert_eq!(stanza.lang(), tree.attr("xml:lang"));
        tree
    };
    let other = Jid::parse("somebody@else.where/o'clock").unwrap();
    let moved = stanza.with_to(Some(&other)).with_from(None);
    let mut expected = tree.clone().with_attr("to", other.as_str());
    expected.set_attr("from", "");
    assert_eq!(shown(&parse(&moved).with_attr("from", "")), shown(&expected));
    let added = stanza.with_child("<delay xmlns='urn:xmpp:delay&amp;'>x</delay><b/>");
    let expected = tree
        .clone()
        .with_child(Element::new("delay", "urn:xmpp:delay&").with_text("x"))
        .with_child(Element::new("b", ns::CLIENT));
    assert_eq!(shown(&parse(&added)), shown(&expected));
    let thinned = added.without(|child| child.name == "b" || child.ns == "urn:a");
    let left = parse(&thinned);
    let expected: Vec<_> =
        expected.children().filter(|c| c.name() != "b" && c.ns() != "urn:a").map(shown).collect();
    assert_eq!(left.children().map(shown).collect::<Vec<_>>(), expected);
}

/// Panics where they do not agree about first-level elements after the usual header.
pub fn hold_against(xml: &[u8]) {
    let (ours, condition) = ours(xml);
    let rxml = by_rxml(xml);
    if rxml_is_narrow(rxml.error.as_deref(), xml) {
        return;
    }
    let text = xml.escape_ascii();
    assert!(ours.elements.len() <= rxml.elements.len(), "let through: {text}\n{:?}", rxml.error);
    assert_eq!(ours.elements, rxml.elements[..ours.elements.len()], "{text}");
    if ours.closed {
        assert!(rxml.closed, "{text}");
        return;
    }
    use StreamCondition as C;
    match condition {
        None => {}
        Some(C::NotWellFormed | C::RestrictedXml | C::UnsupportedEncoding) => {
            // It may have to see the end of something first.
            let ended = [xml, b"'>\">]]>;</never>"].concat();
            let refused = by_rxml(&ended).error.is_some() || rxml_is_lenient(ours.error.as_deref(), xml);
            assert!(refused, "refused: {text}\n{:?}", ours.error);
        }
        // XML it is, but nothing for a stream.
        Some(C::BadFormat | C::BadNamespacePrefix | C::PolicyViolation) => {}
        Some(other) => panic!("{other}: {text}"),
    }
}

/// Where rxml refuses what XML 1.0 has: a character reference with many zeros in front.
fn rxml_is_narrow(error: Option<&str>, xml: &[u8]) -> bool {
    let has = |piece: &str| memchr::memmem::find(xml, piece.as_bytes()).is_some();
    error == Some("Error(UndeclaredEntity)") && (has("&#00") || has("&#x00"))
}

/// Where rxml lets through what XML 1.0 does not.
fn rxml_is_lenient(error: Option<&str>, xml: &[u8]) -> bool {
    let has = |piece: &str| memchr::memmem::find(xml, piece.as_bytes()).is_some();
    match error.and_then(|error| error.split_once(": ")) {
        // A namespace declared twice in one tag, once as empty.
        Some((_, "an attribute is there twice")) => has("xmlns"),
        _ => false,
    }
}
