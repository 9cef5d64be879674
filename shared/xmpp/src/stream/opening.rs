//! A stream header is due: the first one, or the one after TLS or SASL (RFC 6120 §4.7, §4.3.3).

use super::output::{Command, Output};
use super::{Authenticating, Binding, Common, Input, Standing, Stream, features};
use crate::Jid;
use crate::error::{StreamCondition, StreamError};
use crate::framing::writer::{self, HeaderOut};
use crate::framing::{Content, StreamHeader};
use std::sync::Arc;

/// Longest `xml:lang` that is kept; BCP 47 §4.4.1 asks for 35.
const LANG_BYTES_MAX: usize = 64;

/// A stream of which the header is due.
pub struct Opening {
    common: Common,
    /// The account, once the client has logged in.
    account: Option<Jid>,
    id: Box<str>,
}

impl Opening {
    pub(super) fn new(common: Common, account: Option<Jid>, id: String) -> Opening {
        Opening { common, account, id: id.into_boxed_str() }
    }

    pub(super) fn standing(&self) -> Standing {
        let settings = &self.common.settings;
        let from = self.common.domain.clone().unwrap_or_else(|| settings.default_domain());
        Standing::HeaderDue { id: self.id.clone(), from }
    }

    pub(super) fn handle(self: Box<Self>, input: Input<'_>, out: &mut Output) -> Result<Stream, StreamError> {
        match input {
            Input::Header(header) => self.open(header, out),
            Input::End(error) => Err(error),
            Input::Gone => {
                out.command(Command::Close(None));
                Ok(Stream::Closed)
            }
            // Before a header the reader hands out nothing else; an owner's late answer is for an
            // exchange that is over.
            _ => Ok(Stream::Opening(self)),
        }
    }

    fn open(mut self, header: &StreamHeader, out: &mut Output) -> Result<Stream, StreamError> {
        check_version(header.version.as_deref())?;
        let domain = self.domain(header.to.as_deref())?;
        let lang = header.lang.as_deref().filter(|lang| is_lang(lang));
        // RFC 6120 §4.7.1: the header's own `from` is echoed, as far as it is an address.
        let from = header.from.as_deref().and_then(|from| Jid::parse(from).ok());
        respond(out, &self.id, &domain, from.as_ref(), lang);

        self.common.lang = lang.map(Arc::from);
        self.common.domain = Some(domain.clone());
        out.command(Command::Opened { domain: domain.clone(), lang: self.common.lang.clone() });
        match self.account {
            None => {
                out.write(|text| features::before_login(text, &self.common));
                Ok(Stream::Authenticating(Box::new(Authenticating::new(self.common, domain))))
            }
            Some(account) => {
                out.write(|text| features::after_login(text, &self.common.settings));
                Ok(Stream::Binding(Box::new(Binding::new(self.common.lang, account))))
            }
        }
    }

    /// The hosted domain that the header means.
    fn domain(&self, to: Option<&str>) -> Result<Arc<str>, StreamError> {
        let Some(to) = to else {
            return Err(StreamError::new(StreamCondition::HostUnknown, "the stream header says no 'to'"));
        };
        let jid = Jid::parse(to).map_err(|_| {
            StreamError::new(StreamCondition::ImproperAddressing, "the stream header's 'to' is no address")
        })?;
        // RFC 6120 §4.7.2: a domain, nothing else.
        let named =
            (jid.is_bare() && jid.local().is_none()).then(|| self.common.settings.domain(jid.domain()));
        let domain = named.flatten().ok_or_else(|| {
            StreamError::new(
                StreamCondition::HostUnknown,
                "the stream header's 'to' is no domain of this server",
            )
        })?;
        match &self.common.domain {
            // TLS vouched for one domain, SASL was spoken with it: neither holds for another.
            Some(before) if *before != domain => Err(StreamError::new(
                StreamCondition::HostUnknown,
                "the stream was opened to another domain before",
            )),
            _ => Ok(domain),
        }
    }
}

/// RFC 6120 §4.7.5: we speak 1.0, and so does everybody who speaks more.
fn check_version(version: Option<&str>) -> Result<(), StreamError> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    let supported = version
        .and_then(|version| version.split_once('.'))
        .and_then(|(major, minor)| number(major).zip(number(minor)))
        .is_some_and(|(major, _)| major >= 1);
    match supported {
        true => Ok(()),
        false => Err(StreamError::new(StreamCondition::UnsupportedVersion, "version 1.0 is spoken here")),
    }
}

fn is_lang(lang: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !lang.is_empty() && lang.len() <= LANG_BYTES_MAX && lang.bytes().all(known)
}

/// Appends a response header (RFC 6120 §4.7).
pub(super) fn respond(out: &mut Output, id: &str, from: &str, to: Option<&Jid>, lang: Option<&str>) {
    let header = HeaderOut {
        id: Some(id),
        from: Some(from),
        to: to.map(Jid::bare_str),
        // §4.7.4: texts of ours are in English where nothing else was asked for.
        lang: Some(lang.unwrap_or("en")),
    };
    out.write(|text| writer::stream_header(text, header, Content::Client));
}
