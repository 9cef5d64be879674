//! The comparison of an element with a pattern, which is an element with blanks.

use crate::xml::Element;
use std::collections::BTreeMap;

/// Names that a pattern has caught so far (`{name}`), to compare with or to send later.
pub type Captures = BTreeMap<String, String>;

/// Namespace of the instructions inside of patterns.
const TEST_NS: &str = "urn:test";

/// Compares `element` with `pattern`; `Err` says what differs.
///
/// Name, namespace and every attribute and child the pattern shows must be there; others may be.
/// As a value, `*` is anything, `{name}` is caught on its first use and compared afterwards, `-` is
/// an attribute that must not be there. `<not xmlns='urn:test'>..</not>` holds children that must
/// not be there, `<nothing-else xmlns='urn:test'/>` forbids any that are not shown.
pub fn matches(pattern: &Element, element: &Element, captures: &mut Captures) -> Result<(), String> {
    let at = |why: String| Err(format!("<{}>: {why}", pattern.name));
    if pattern.name != element.name || pattern.ns != element.ns {
        return at(format!("got <{} xmlns='{}'>, want namespace '{}'", element.name, element.ns, pattern.ns));
    }
    for (name, want) in &pattern.attrs {
        match (want.as_str(), element.attr(name)) {
            ("-", None) => {}
            (_, Some(got)) if value_matches(want, got, captures) => {}
            (_, got) => return at(format!("attribute {name}: got {got:?}, want {want:?}")),
        }
    }
    let want = pattern.text.trim();
    if !want.is_empty() && !value_matches(want, element.text.trim(), captures) {
        return at(format!("text: got {:?}, want {want:?}", element.text));
    }
    let mut left: Vec<&Element> = element.children.iter().collect();
    let mut only = false;
    for child in &pattern.children {
        if child.is("nothing-else", TEST_NS) {
            only = true;
        } else if child.is("not", TEST_NS) {
            if let Some(found) = child.children.iter().find_map(|unwanted| {
                element.children.iter().find(|c| matches(unwanted, c, &mut captures.clone()).is_ok())
            }) {
                return at(format!("must not hold {found}"));
            }
        } else {
            let mut why = "missing".to_owned();
            let found = left.iter().position(|candidate| {
                let mut trial = captures.clone();
                match matches(child, candidate, &mut trial) {
                    Ok(()) => {
                        *captures = trial;
                        true
                    }
                    Err(reason) => {
                        if candidate.name == child.name {
                            why = reason;
                        }
                        false
                    }
                }
            });
            match found {
                Some(index) => drop(left.remove(index)),
                None => return at(format!("child <{}>: {why}", child.name)),
            }
        }
    }
    match left.first() {
        Some(extra) if only => at(format!("holds {extra} too")),
        _ => Ok(()),
    }
}

fn value_matches(want: &str, got: &str, captures: &mut Captures) -> bool {
    if want == "*" {
        return !got.is_empty();
    }
    match want.strip_prefix('{').and_then(|w| w.strip_suffix('}')) {
        Some(name) => captures.entry(name.to_owned()).or_insert_with(|| got.to_owned()) == got,
        None => want == got,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, element: &str) -> Result<Captures, String> {
        let mut captures = Captures::new();
        matches(&Element::parse(pattern), &Element::parse(element), &mut captures).map(|()| captures)
    }

    #[test]
    fn patterns() {
        assert!(check("<a><b/></a>", "<a><c/><b x='1'/></a>").is_ok());
        assert!(check("<a>x&lt;y</a>", "<a>x<![CDATA[<]]>y</a>").is_ok());
        assert!(check("<a><b/><b/></a>", "<a><b/></a>").is_err());
        assert!(check("<a x='-'/>", "<a x='1'/>").is_err());
        assert!(check("<a x='*'/>", "<a/>").is_err());
        assert!(check("<a xmlns='other'/>", "<a/>").is_err());
        assert!(check("<a>text</a>", "<a>other</a>").is_err());
        assert!(
            check("<a><not xmlns='urn:test'><b xmlns='jabber:client'/></not></a>", "<a><b/></a>").is_err()
        );
        assert!(check("<a><b/><nothing-else xmlns='urn:test'/></a>", "<a><b/><c/></a>").is_err());
        assert!(check("<a x='{id}'><b y='{id}'/></a>", "<a x='1'><b y='2'/></a>").is_err());
        assert_eq!(check("<a x='{id}'/>", "<a x='7'/>").unwrap()["id"], "7");
    }
}
