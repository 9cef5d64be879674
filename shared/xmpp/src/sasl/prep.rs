//! SASLprep (RFC 4013).

use icu_normalizer::ComposingNormalizer;
use std::borrow::Cow;
use stringprep::tables::{commonly_mapped_to_nothing, non_ascii_space_character, unassigned_code_point};

/// Prepares a password or a name; none when it has a prohibited character or nothing is left.
///
/// Characters that Unicode 3.2 did not know are allowed, as in a "query" (RFC 4013 §2.5): people
/// have emoji in their passwords, and clients send what they derived from them.
pub fn prepare(text: &str) -> Option<Cow<'_, str>> {
    let prepared = stringprep::saslprep(text).ok().or_else(|| prepare_query(text).map(Cow::Owned))?;
    (!prepared.is_empty()).then_some(prepared)
}

/// SASLprep without its last step, the check for unassigned characters.
fn prepare_query(text: &str) -> Option<String> {
    let mapped = text
        .chars()
        .filter(|c| !commonly_mapped_to_nothing(*c))
        .map(|c| if non_ascii_space_character(c) { ' ' } else { c });
    let mapped: String = ComposingNormalizer::new_nfkc().normalize_iter(mapped).collect();
    let assigned: String = mapped.chars().filter(|c| !unassigned_code_point(*c)).collect();
    stringprep::saslprep(&assigned).is_ok().then_some(mapped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        for (text, expected) in [
            // RFC 4013 §3
            ("I\u{ad}X", Some("IX")),
            ("user", Some("user")),
            ("USER", Some("USER")),
            ("\u{aa}", Some("a")),
            ("\u{2168}", Some("IX")),
            ("\u{7}", None),
            ("\u{627}\u{31}", None),
            ("a\u{a0}b", Some("a b")),
            ("correct 🫠 horse", Some("correct 🫠 horse")),
            ("🫠\u{7}", None),
            ("🫠\u{a0}\u{aa}", Some("🫠 a")),
            ("", None),
            ("\u{ad}", None),
        ] {
            assert_eq!(prepare(text).as_deref(), expected, "{text:?}");
        }
    }
}
