//! PRECIS: which characters may be in which string class (RFC 8264), the mappings of the two
//! profiles that addresses use (RFC 8265), and the bidi rule (RFC 5893).
//!
//! The classes are derived from the Unicode properties of today, as RFC 8264 §8 prescribes, and
//! not read from a table of an old version: names with a recent emoji are in daily use.

use icu_normalizer::{ComposingNormalizer, ComposingNormalizerBorrowed};
use icu_properties::props::{
    BidiClass, CanonicalCombiningClass, DefaultIgnorableCodePoint, GeneralCategory, JoiningType, Script,
};
use icu_properties::{CodePointMapData, CodePointSetData};

const NFC: ComposingNormalizerBorrowed<'static> = ComposingNormalizer::new_nfc();
const NFKC: ComposingNormalizerBorrowed<'static> = ComposingNormalizer::new_nfkc();

/// The derived property (RFC 8264 §8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Derived {
    /// Valid in both classes.
    Valid,
    /// Valid in the FreeformClass only.
    Free,
    /// Valid where a rule on its neighbours holds (RFC 5892 appendix A).
    Context,
    /// Valid nowhere. Unassigned ones too.
    Disallowed,
}

/// Width mapping, case mapping and NFC (RFC 8265 §3.3.2).
pub(super) fn map_username(text: &str) -> String {
    let mut mapped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\u{3000}' | '\u{ff01}'..='\u{ffee}') {
            // NFKC goes a step further than the width mapping with half-width jamo, which are
            // disallowed otherwise; stringprep does the same.
            mapped.extend(NFKC.normalize_iter(std::iter::once(c)).flat_map(char::to_lowercase));
        } else {
            // Character by character: `str::to_lowercase` treats a final sigma specially, PRECIS
            // does not (RFC 7622 §3.5, examples 9 to 11).
            mapped.extend(c.to_lowercase());
        }
    }
    NFC.normalize(&mapped).into_owned()
}

/// Mapping of spaces and NFC (RFC 8265 §4.2.2).
pub(super) fn map_opaque(text: &str) -> String {
    let spaced = text.chars().map(|c| match category(c) {
        GeneralCategory::SpaceSeparator => ' ',
        _ => c,
    });
    NFC.normalize_iter(spaced).collect()
}

/// Whether every character is allowed by the IdentifierClass where it stands.
pub(super) fn is_identifier(text: &str) -> bool {
    text.char_indices().all(|(at, c)| match derived(c) {
        Derived::Valid => true,
        Derived::Context => is_in_context(text, at, c),
        Derived::Free | Derived::Disallowed => false,
    })
}

/// Whether `c`, which is at byte `at` of `text`, is allowed there by the FreeformClass.
pub(super) fn is_freeform(text: &str, at: usize, c: char) -> bool {
    match derived(c) {
        Derived::Valid | Derived::Free => true,
        Derived::Context => is_in_context(text, at, c),
        Derived::Disallowed => false,
    }
}

/// RFC 8264 §8, in its order. The RFC's Unassigned, Controls and noncharacters are all caught by
/// their category at the end.
fn derived(c: char) -> Derived {
    match c {
        // RFC 5892 §2.6, Exceptions
        '\u{df}' | '\u{3c2}' | '\u{6fd}' | '\u{6fe}' | '\u{f0b}' | '\u{3007}' => Derived::Valid,
        '\u{b7}' | '\u{375}' | '\u{5f3}' | '\u{5f4}' | '\u{30fb}' => Derived::Context,
        '\u{660}'..='\u{669}' | '\u{6f0}'..='\u{6f9}' => Derived::Context,
        '\u{640}' | '\u{7fa}' | '\u{302e}' | '\u{302f}' => Derived::Disallowed,
        '\u{3031}'..='\u{3035}' | '\u{303b}' => Derived::Disallowed,
        '\u{21}'..='\u{7e}' => Derived::Valid,
        '\u{200c}' | '\u{200d}' => Derived::Context,
        // Old Hangul jamo: Hangul_Syllable_Type L, V and T
        '\u{1100}'..='\u{11ff}' | '\u{a960}'..='\u{a97c}' => Derived::Disallowed,
        '\u{d7b0}'..='\u{d7c6}' | '\u{d7cb}'..='\u{d7fb}' => Derived::Disallowed,
        _ if CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c) => Derived::Disallowed,
        _ if has_compat(c) => Derived::Free,
        _ => derived_by_category(c),
    }
}

fn derived_by_category(c: char) -> Derived {
    use GeneralCategory as G;
    match category(c) {
        // LetterDigits
        G::LowercaseLetter | G::UppercaseLetter | G::OtherLetter | G::ModifierLetter => Derived::Valid,
        G::DecimalNumber | G::NonspacingMark | G::SpacingMark => Derived::Valid,
        // OtherLetterDigits
        G::TitlecaseLetter | G::LetterNumber | G::OtherNumber | G::EnclosingMark => Derived::Free,
        G::SpaceSeparator => Derived::Free,
        G::MathSymbol | G::CurrencySymbol | G::ModifierSymbol | G::OtherSymbol => Derived::Free,
        G::ConnectorPunctuation | G::DashPunctuation | G::OtherPunctuation => Derived::Free,
        G::OpenPunctuation | G::ClosePunctuation => Derived::Free,
        G::InitialPunctuation | G::FinalPunctuation => Derived::Free,
        _ => Derived::Disallowed,
    }
}

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

fn script(c: char) -> Script {
    CodePointMapData::<Script>::new().get(c)
}

fn joining(c: char) -> JoiningType {
    CodePointMapData::<JoiningType>::new().get(c)
}

fn bidi(c: char) -> BidiClass {
    CodePointMapData::<BidiClass>::new().get(c)
}

/// RFC 8264 §9.17
fn has_compat(c: char) -> bool {
    !NFKC.is_normalized(c.encode_utf8(&mut [0; 4]))
}

/// RFC 5892 appendix A.
fn is_in_context(text: &str, at: usize, c: char) -> bool {
    let before = text[..at].chars().next_back();
    let after = text[at + c.len_utf8()..].chars().next();
    match c {
        // A.1
        '\u{200c}' => before.is_some_and(is_virama) || is_between_joined(text, at, c),
        // A.2
        '\u{200d}' => before.is_some_and(is_virama),
        // A.3
        '\u{b7}' => before == Some('l') && after == Some('l'),
        // A.4
        '\u{375}' => after.is_some_and(|c| script(c) == Script::Greek),
        // A.5, A.6
        '\u{5f3}' | '\u{5f4}' => before.is_some_and(|c| script(c) == Script::Hebrew),
        // A.7
        '\u{30fb}' => {
            text.chars().any(|c| matches!(script(c), Script::Hiragana | Script::Katakana | Script::Han))
        }
        // A.8
        '\u{660}'..='\u{669}' => !text.contains(|c| matches!(c, '\u{6f0}'..='\u{6f9}')),
        // A.9
        '\u{6f0}'..='\u{6f9}' => !text.contains(|c| matches!(c, '\u{660}'..='\u{669}')),
        _ => false,
    }
}

fn is_virama(c: char) -> bool {
    CodePointMapData::<CanonicalCombiningClass>::new().get(c) == CanonicalCombiningClass::Virama
}

/// `(Joining_Type:{L,D})(Joining_Type:T)*` ZWNJ `(Joining_Type:T)*(Joining_Type:{R,D})`
fn is_between_joined(text: &str, at: usize, c: char) -> bool {
    let is_opaque = |c: &char| joining(*c) != JoiningType::Transparent;
    let before = text[..at].chars().rev().find(is_opaque).map(joining);
    let after = text[at + c.len_utf8()..].chars().find(is_opaque).map(joining);
    matches!(before, Some(JoiningType::LeftJoining | JoiningType::DualJoining))
        && matches!(after, Some(JoiningType::RightJoining | JoiningType::DualJoining))
}

/// RFC 5893 §2, which only concerns text with right-to-left characters.
pub(super) fn satisfies_bidi_rule(text: &str) -> bool {
    use BidiClass as B;
    let is_rtl = |class: B| matches!(class, B::RightToLeft | B::ArabicLetter | B::ArabicNumber);
    if text.is_ascii() || !text.chars().any(|c| is_rtl(bidi(c))) {
        return true;
    }
    let first = text.chars().next().map(bidi);
    let last = text.chars().rev().map(bidi).find(|class| *class != B::NonspacingMark);
    let is_neutral = |class: B| {
        matches!(
            class,
            B::EuropeanNumber
                | B::EuropeanSeparator
                | B::CommonSeparator
                | B::EuropeanTerminator
                | B::OtherNeutral
                | B::BoundaryNeutral
                | B::NonspacingMark
        )
    };
    // A left-to-right start (rules 5 and 6) cannot hold a right-to-left character, so only rules
    // 1 to 4 are left.
    let has_number = |number: B| text.chars().any(|c| bidi(c) == number);
    matches!(first, Some(B::RightToLeft | B::ArabicLetter))
        && text.chars().map(bidi).all(|class| is_rtl(class) || is_neutral(class))
        && matches!(last, Some(B::RightToLeft | B::ArabicLetter | B::EuropeanNumber | B::ArabicNumber))
        && !(has_number(B::EuropeanNumber) && has_number(B::ArabicNumber))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_properties() {
        for (c, expected) in [
            ('a', Derived::Valid),
            ('~', Derived::Valid),
            (' ', Derived::Free),
            ('é', Derived::Valid),
            ('ß', Derived::Valid),
            ('\u{a0}', Derived::Free),
            ('♚', Derived::Free),
            ('Ⅳ', Derived::Free),
            ('ﬁ', Derived::Free),
            ('🫠', Derived::Free),
            ('中', Derived::Valid),
            ('\u{1}', Derived::Disallowed),
            ('\u{85}', Derived::Disallowed),
            ('\u{ad}', Derived::Disallowed),
            ('\u{200b}', Derived::Disallowed),
            ('\u{1100}', Derived::Disallowed),
            ('\u{2028}', Derived::Disallowed),
            ('\u{e000}', Derived::Disallowed),
            ('\u{fdd0}', Derived::Disallowed),
            ('\u{ffff}', Derived::Disallowed),
            ('\u{378}', Derived::Disallowed),
            ('\u{e0001}', Derived::Disallowed),
            ('\u{200d}', Derived::Context),
        ] {
            assert_eq!(derived(c), expected, "{c:?}");
        }
    }

    #[test]
    fn contextual_rules() {
        for (text, expected) in [
            ("l\u{b7}l", true),
            ("a\u{b7}l", false),
            ("\u{375}α", true),
            ("\u{375}a", false),
            ("א\u{5f3}", true),
            ("a\u{5f4}", false),
            ("ア\u{30fb}", true),
            ("a\u{30fb}", false),
            ("\u{661}\u{662}", true),
            ("\u{661}\u{6f2}", false),
            ("\u{6f1}\u{6f2}", true),
            ("क\u{94d}\u{200d}ष", true),
            ("a\u{200d}b", false),
            ("ب\u{200c}ب", true),
            ("ا\u{200c}ب", false),
        ] {
            assert_eq!(is_identifier(text), expected, "{text:?}");
        }
    }

    #[test]
    fn bidi_rule() {
        for (text, expected) in [
            ("abc", true),
            ("éa", true),
            ("אבג", true),
            ("אב1", true),
            ("אבa", false),
            ("aאב", false),
            ("1אב", false),
            ("אב-", false),
            ("אב\u{5b0}", true),
            ("ا1\u{661}", false),
            ("ا\u{661}", true),
        ] {
            assert_eq!(satisfies_bidi_rule(text), expected, "{text:?}");
        }
    }
}
