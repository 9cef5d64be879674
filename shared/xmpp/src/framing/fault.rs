//! Everything that can be wrong with a stream's bytes: small, so that the parser's steps return it
//! in a register.

use crate::error::{StreamCondition, StreamError};

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $condition:ident, $text:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Fault { $($(#[$doc])* $name,)* }

        impl From<Fault> for StreamError {
            #[cold]
            fn from(fault: Fault) -> StreamError {
                match fault { $(Fault::$name => StreamError::new(StreamCondition::$condition, $text),)* }
            }
        }
    };
}

faults! {
    // XML 1.0
    Control = NotWellFormed, "a control character";
    NonCharacter = NotWellFormed, "a character that XML excludes";
    CdataEndInText = NotWellFormed, "]]> in text";
    Name = NotWellFormed, "a name that is none";
    EndTag = NotWellFormed, "an end tag that does not match";
    Slash = NotWellFormed, "a / in a start tag";
    NoSpace = NotWellFormed, "no white space before an attribute";
    NoValue = NotWellFormed, "an attribute without a value";
    NoQuotes = NotWellFormed, "an attribute's value without quotes";
    LessInValue = NotWellFormed, "a < in an attribute's value";
    AttributeTwice = NotWellFormed, "an attribute is there twice";
    Reference = NotWellFormed, "a reference that is none";
    TextBeforeHeader = NotWellFormed, "text before the stream header";
    NoElement = NotWellFormed, "no element";
    SecondElement = NotWellFormed, "more than one element";
    Unclosed = NotWellFormed, "an element that is not closed";
    // Namespaces in XML 1.0
    Undeclared = NotWellFormed, "a namespace prefix is not declared";
    PrefixXml = NotWellFormed, "the prefix xml is reserved";
    PrefixXmlns = NotWellFormed, "the prefix xmlns is reserved";
    ReservedNamespace = NotWellFormed, "a reserved namespace is declared";
    EmptyPrefix = NotWellFormed, "a prefix is declared empty";
    // The XML declaration
    DeclarationVersion = NotWellFormed, "an XML version that is none";
    DeclarationSyntax = NotWellFormed, "an XML declaration that is none";
    // RFC 6120 §11.1
    ProcessingInstruction = RestrictedXml, "a processing instruction";
    Markup = RestrictedXml, "a comment or a declaration";
    Entity = RestrictedXml, "an entity that is not predefined";
    // RFC 6120 §11.6, §4.9.3.22
    Encoding = UnsupportedEncoding, "only UTF-8 is spoken here";
    Utf8 = UnsupportedEncoding, "invalid UTF-8";
    // RFC 6120 §4.8
    StreamNamespace = InvalidNamespace, "not the stream namespace";
    ContentNamespace = InvalidNamespace, "not the content namespace";
    StreamPrefix = BadNamespacePrefix, "use the prefix stream";
    ContentPrefix = BadNamespacePrefix, "a prefix for the content namespace";
    // What is XML and no stream (RFC 6120 §4.9.3.1)
    EmptyHeader = BadFormat, "the stream header is an empty element";
    NoHeader = BadFormat, "not a stream header";
    TextBetween = BadFormat, "text between stanzas";
    // Limits (RFC 6120 §4.9.3.14)
    StanzaTooBig = PolicyViolation, "a stanza is too big";
    HeaderTooBig = PolicyViolation, "the stream header is too big";
    TooManyPrefixes = PolicyViolation, "the stream header declares too many prefixes";
    TooDeep = PolicyViolation, "elements are nested too deep";
    TooManyAttributes = PolicyViolation, "an element has too many attributes";
    TooManyChildren = PolicyViolation, "an element has too many children";
    TooManyDeclarations = PolicyViolation, "too many namespaces are declared";
    NameNotPortable = PolicyViolation, "a name with a character that not every parser takes";
    NotAUri = PolicyViolation, "a namespace name that is no URI";
    NameTooLong = PolicyViolation, "a name is too long";
    EndTagTooLong = PolicyViolation, "an end tag is too long";
}
