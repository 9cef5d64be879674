//! A small XML reader for what the server sends.
//!
//! It shares no code with the server's reader, keeps every namespace resolved, and fails loudly on
//! anything that does not belong into an XMPP stream.

use std::collections::BTreeMap;
use std::fmt;

/// An element with its namespace resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    pub name: String,
    pub ns: String,
    /// Attribute names as written (`xml:lang`), without `xmlns` declarations, in document order.
    pub attrs: Vec<(String, String)>,
    pub children: Vec<Element>,
    /// All character data directly inside, joined.
    pub text: String,
}

/// What stands at the start of the bytes received.
#[derive(Debug)]
pub enum Piece {
    /// `<stream:stream ...>`, without an end.
    Open(Element),
    /// One complete child of the stream.
    Child(Element),
    /// `</stream:stream>`.
    Close,
    /// White space between stanzas.
    Space,
}

impl Element {
    pub fn attr(&self, name: &str) -> Option<&str> {
        self.attrs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|c| c.name == name)
    }

    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.name == name && self.ns == ns
    }

    /// Reads one element from text written in a test; `jabber:client` is the default namespace.
    pub fn parse(text: &str) -> Element {
        match next_piece(text.trim().as_bytes()).expect("well-formed XML in a test") {
            Some((Piece::Child(element), used)) => {
                assert_eq!(used, text.trim().len(), "one element at a time: {text}");
                element
            }
            other => panic!("not one element: {text}: {other:?}"),
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} xmlns='{}'", self.name, self.ns)?;
        for (name, value) in &self.attrs {
            write!(f, " {name}='{}'", escape(value))?;
        }
        f.write_str(">")?;
        f.write_str(&escape(&self.text))?;
        for child in &self.children {
            write!(f, "{child}")?;
        }
        write!(f, "</{}>", self.name)
    }
}

/// Text made safe for an attribute or for character data.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&apos;")
}

/// The start of a long text, for messages.
pub fn shorten(text: &str) -> String {
    const SHOWN_CHARS: usize = 600;
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}... ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

/// Takes one piece off the front of `bytes`. `Ok(None)`: more bytes are needed.
pub fn next_piece(bytes: &[u8]) -> Result<Option<(Piece, usize)>, String> {
    let mut reader = Reader { bytes, at: 0 };
    match reader.piece() {
        Ok(piece) => Ok(Some((piece, reader.at))),
        Err(Stop::Incomplete) => Ok(None),
        Err(Stop::Broken(why)) => Err(why),
    }
}

enum Stop {
    Incomplete,
    Broken(String),
}

fn broken<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Broken(why.into()))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

struct Tag {
    prefix: String,
    name: String,
    attrs: Vec<(String, String)>,
    empty: bool,
}

type Scope = BTreeMap<String, String>;

impl Reader<'_> {
    fn piece(&mut self) -> Result<Piece, Stop> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_whitespace()) {
            self.at += 1;
        }
        if self.at > start {
            return Ok(Piece::Space);
        }
        if self.starts_with("<?xml ") {
            self.until("?>")?;
        }
        if self.starts_with("</") {
            let name = self.until(">")?;
            return match name.as_str() {
                "</stream:stream" => Ok(Piece::Close),
                other => broken(format!("unexpected {other}>")),
            };
        }
        let mut scope = Scope::from([
            (String::new(), "jabber:client".to_owned()),
            ("stream".to_owned(), "http://etherx.jabber.org/streams".to_owned()),
            ("xml".to_owned(), "http://www.w3.org/XML/1998/namespace".to_owned()),
        ]);
        let tag = self.start_tag()?;
        if tag.prefix == "stream" && tag.name == "stream" {
            return Ok(Piece::Open(open(tag, &mut scope)?));
        }
        Ok(Piece::Child(self.element(tag, &scope, 0)?))
    }

    fn element(&mut self, tag: Tag, outer: &Scope, depth: usize) -> Result<Element, Stop> {
        if depth > 100 {
            return broken("deeper than any test sends");
        }
        let (qualified, empty) = (qualified(&tag), tag.empty);
        let mut scope = outer.clone();
        let mut element = open(tag, &mut scope)?;
        if empty {
            return Ok(element);
        }
        loop {
            let text = self.until_byte(b'<')?;
            element.text.push_str(&unescape(&text)?);
            if self.starts_with("<![CDATA[") {
                let section = self.until("]]>")?;
                element.text.push_str(section.trim_start_matches("<![CDATA["));
                continue;
            }
            if self.starts_with("</") {
                let end = self.until(">")?;
                if end.trim_start_matches("</").trim_end() != qualified {
                    return broken(format!("{end}> closes <{qualified}>"));
                }
                return Ok(element);
            }
            let tag = self.start_tag()?;
            element.children.push(self.element(tag, &scope, depth + 1)?);
        }
    }

    /// Reads `<name a='b'>`, with a `>` inside of quotes taken for what it is.
    fn start_tag(&mut self) -> Result<Tag, Stop> {
        match self.peek() {
            None => return Err(Stop::Incomplete),
            Some(b'<') => self.at += 1,
            Some(other) => return broken(format!("{:?} where a tag should start", char::from(other))),
        }
        if self.peek().is_some_and(|b| b == b'!' || b == b'?') {
            return broken("a comment, declaration or processing instruction");
        }
        let (prefix, name) = split_name(&self.name()?);
        let mut attrs = Vec::new();
        loop {
            self.spaces();
            match self.peek() {
                None => return Err(Stop::Incomplete),
                Some(b'>') => {
                    self.at += 1;
                    return Ok(Tag { prefix, name, attrs, empty: false });
                }
                Some(b'/') => {
                    self.at += 1;
                    return match self.peek() {
                        None => Err(Stop::Incomplete),
                        Some(b'>') => {
                            self.at += 1;
                            Ok(Tag { prefix, name, attrs, empty: true })
                        }
                        Some(_) => broken("a lone / in a tag"),
                    };
                }
                Some(_) => attrs.push(self.attribute()?),
            }
        }
    }

    fn attribute(&mut self) -> Result<(String, String), Stop> {
        let name = self.name()?;
        self.spaces();
        match self.peek() {
            None => return Err(Stop::Incomplete),
            Some(b'=') => self.at += 1,
            Some(_) => return broken(format!("attribute {name} without a value")),
        }
        self.spaces();
        let quote = self.peek().ok_or(Stop::Incomplete)?;
        if quote != b'\'' && quote != b'"' {
            return broken(format!("attribute {name} without quotes"));
        }
        self.at += 1;
        let value = self.until_byte(quote)?;
        self.at += 1;
        Ok((name, unescape(&value)?))
    }

    fn name(&mut self) -> Result<String, Stop> {
        let start = self.at;
        while let Some(byte) = self.peek() {
            if byte.is_ascii_whitespace() || b"/>='\"<".contains(&byte) {
                break;
            }
            self.at += 1;
        }
        match (self.peek(), self.at - start) {
            (None, _) => Err(Stop::Incomplete),
            (_, 0) => broken("a name is missing"),
            _ => self.text(start, self.at),
        }
    }

    fn spaces(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn starts_with(&self, what: &str) -> bool {
        self.bytes[self.at..].starts_with(what.as_bytes())
    }

    /// Everything before `end`, which is consumed too.
    fn until(&mut self, end: &str) -> Result<String, Stop> {
        let rest = &self.bytes[self.at..];
        let Some(found) = rest.windows(end.len()).position(|w| w == end.as_bytes()) else {
            return Err(Stop::Incomplete);
        };
        let text = self.text(self.at, self.at + found)?;
        self.at += found + end.len();
        Ok(text)
    }

    /// Everything before the next `end`, which stays.
    fn until_byte(&mut self, end: u8) -> Result<String, Stop> {
        let rest = &self.bytes[self.at..];
        let Some(found) = rest.iter().position(|b| *b == end) else { return Err(Stop::Incomplete) };
        let text = self.text(self.at, self.at + found)?;
        self.at += found;
        Ok(text)
    }

    fn text(&self, from: usize, to: usize) -> Result<String, Stop> {
        match std::str::from_utf8(&self.bytes[from..to]) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => broken(format!("not UTF-8: {error}")),
        }
    }
}

fn qualified(tag: &Tag) -> String {
    if tag.prefix.is_empty() { tag.name.clone() } else { format!("{}:{}", tag.prefix, tag.name) }
}

/// Applies the namespace declarations of a tag and resolves its name.
fn open(tag: Tag, scope: &mut Scope) -> Result<Element, Stop> {
    let mut attrs: Vec<(String, String)> = Vec::new();
    for (name, value) in tag.attrs {
        if name == "xmlns" {
            scope.insert(String::new(), value);
        } else if let Some(prefix) = name.strip_prefix("xmlns:") {
            scope.insert(prefix.to_owned(), value);
        } else if attrs.iter().any(|(n, _)| *n == name) {
            return broken(format!("attribute {name} twice"));
        } else {
            attrs.push((name, value));
        }
    }
    let Some(ns) = scope.get(&tag.prefix) else {
        return broken(format!("prefix {} is not declared", tag.prefix));
    };
    Ok(Element { ns: ns.clone(), name: tag.name, attrs, children: Vec::new(), text: String::new() })
}

fn split_name(name: &str) -> (String, String) {
    match name.split_once(':') {
        Some((prefix, local)) => (prefix.to_owned(), local.to_owned()),
        None => (String::new(), name.to_owned()),
    }
}

fn unescape(text: &str) -> Result<String, Stop> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let Some(end) = rest[at..].find(';') else { return broken(format!("a lone & in {text:?}")) };
        let name = &rest[at + 1..at + end];
        out.push(match name {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            other => match numeric(other) {
                Some(c) => c,
                None => return broken(format!("entity &{other};")),
            },
        });
        rest = &rest[at + end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn numeric(name: &str) -> Option<char> {
    let digits = name.strip_prefix('#')?;
    let code = match digits.strip_prefix('x') {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    char::from_u32(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_stream_piece_by_piece() {
        let bytes =
            b"<?xml version='1.0'?><stream:stream xmlns:stream='s' id='a>b'><a xmlns='n'>x&lt;<b/></a>";
        let (piece, used) = next_piece(bytes).unwrap().unwrap();
        assert!(matches!(piece, Piece::Open(e) if e.attr("id") == Some("a>b") && e.ns == "s"));
        let rest = &bytes[used..];
        for end in 0..rest.len() {
            assert!(next_piece(&rest[..end]).unwrap().is_none(), "{end} bytes are not enough");
        }
        let (piece, used) = next_piece(rest).unwrap().unwrap();
        assert!(matches!(piece, Piece::Child(e) if e.text == "x<" && e.children[0].ns == "n"));
        assert_eq!(used, rest.len());
    }

    #[test]
    fn refuses_what_a_server_must_not_send() {
        for bad in
            ["<a><!-- --></a>", "<a b=c/>", "<a></b>", "<a>&unknown;</a>", "<p:a/>", "<a x='1' x='2'/>"]
        {
            assert!(next_piece(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
