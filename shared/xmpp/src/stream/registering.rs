//! XEP-0077: In-Band Registration, before login.

use super::before_login;
use super::output::{Output, Secret};
use crate::error::{StanzaCondition, StanzaError, StreamError};
use crate::stanza::{IqType, Kind, RawStanza};
use crate::{Jid, Stanza, ns};

const FORM: &str = "<query xmlns='jabber:iq:register'><instructions>Choose a name and a password.</instructions>\
                    <username/><password/></query>";

/// Takes an IQ of a client that has not logged in. Gives what the owner is asked, if anything: the
/// IQ's id, the account, the password.
///
/// # Errors
/// Any other stanza is one before login.
pub(super) fn request(
    raw: &RawStanza<'_>,
    domain: &Jid,
    out: &mut Output,
) -> Result<Option<(String, Jid, Secret)>, StreamError> {
    let Ok(stanza) = raw.stamp(domain) else {
        return Err(before_login());
    };
    let Some(query) = stanza.child("query", ns::REGISTER) else {
        return Err(before_login());
    };
    let to_us = stanza.to().is_none_or(|to| to == domain);
    match stanza.kind() {
        Kind::Iq(IqType::Get) if to_us => {
            reply(out, &stanza.result_reply(FORM));
            Ok(None)
        }
        Kind::Iq(IqType::Set) if to_us => match fields(&query.to_element(), domain) {
            Ok((account, password)) => {
                Ok(Some((stanza.id().unwrap_or_default().to_owned(), account, password)))
            }
            Err(error) => {
                if let Some(answer) = stanza.error_reply(&error) {
                    reply(out, &answer);
                }
                Ok(None)
            }
        },
        _ => Err(before_login()),
    }
}

/// XEP-0077 §3.1.
fn fields(query: &crate::Element, domain: &Jid) -> Result<(Jid, Secret), StanzaError> {
    let field =
        |name| query.child(name, ns::REGISTER).map(crate::Element::text).filter(|text| !text.is_empty());
    if query.child("remove", ns::REGISTER).is_some() {
        return Err(StanzaCondition::UnexpectedRequest.into()); // §3.2: for who has logged in
    }
    let (Some(username), Some(password)) = (field("username"), field("password")) else {
        return Err(StanzaError::new(StanzaCondition::NotAcceptable, "a name and a password are needed"));
    };
    let account = Jid::from_parts(Some(&username), domain.domain(), None)
        .map_err(|why| StanzaError::new(StanzaCondition::JidMalformed, why.to_string()))?;
    Ok((account, Secret(password.into_bytes())))
}

/// Appends the answer to a registration.
pub(super) fn answer(out: &mut Output, id: &str, domain: &str, result: &Result<(), StanzaError>) {
    let from = super::domain_jid(domain).ok();
    let (kind, inner) = match result {
        Ok(()) => (IqType::Result, String::new()),
        Err(error) => (IqType::Error, error.to_xml()),
    };
    reply(out, &Stanza::new(Kind::Iq(kind), from.as_ref(), None, Some(id), &inner));
}

fn reply(out: &mut Output, stanza: &Stanza) {
    out.bytes.extend_from_slice(stanza.with_to(None).xml());
}
