//! Declared licences as the two formats want them: SPDX expressions where they are such, names where they are not.

use std::collections::HashMap;

use ::spdx::expression::{ExprNode, Operator};
use ::spdx::{AdditionItem, Expression, LicenseItem, ParseMode};

/// Longer texts are not read as expressions: they are licence texts, or an attack.
const LONGEST_EXPRESSION: usize = 16 * 1024;

/// A declared licence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum License {
    /// One identifier of the SPDX licence list.
    Id(&'static str),
    /// A valid expression in its canonical spelling.
    Expression {
        text: String,
        /// Its outermost operator is OR, so it needs parentheses beside AND.
        is_choice: bool,
        /// The `LicenseRef-…` in it, whole.
        references: Vec<String>,
    },
    /// Anything else, as it was written.
    Name(String),
}

/// The licences of a document's packages, each text read once.
#[derive(Debug, Default)]
pub(super) struct Licenses<'a>(HashMap<&'a str, Option<License>>);

impl<'a> Licenses<'a> {
    pub(super) fn read(&mut self, declared: &'a [String]) -> Vec<License> {
        declared.iter().filter_map(|text| self.0.entry(text).or_insert_with(|| read(text)).clone()).collect()
    }
}

/// `None` for what says nothing.
fn read(text: &str) -> Option<License> {
    let text = text.trim();
    if matches!(text, "" | "NOASSERTION" | "NONE") {
        return None;
    }
    // A text that is wholly unknown keeps its words: both formats have a place for them.
    let known =
        crate::license_expression([text]).filter(|known| known.contains(' ') || !known.starts_with("LicenseRef-"));
    let read = known.and_then(|known| expression(&known)).or_else(|| expression(text));
    Some(read.unwrap_or_else(|| License::Name(text.to_owned())))
}

fn expression(text: &str) -> Option<License> {
    // Deprecated identifiers (`GPL-2.0`, `GPL-2.0+`) are still on the list.
    let mode = ParseMode { allow_deprecated: true, allow_postfix_plus_on_gpl: true, ..ParseMode::STRICT };
    if text.len() > LONGEST_EXPRESSION {
        return None;
    }
    let parsed = Expression::parse_mode(text, mode).ok()?;
    let mut references = Vec::new();
    let mut stack: Vec<(String, Option<Operator>)> = Vec::new();
    for node in parsed.iter() {
        match node {
            ExprNode::Req(requirement) => {
                let requirement = &requirement.req;
                match &requirement.license {
                    // The crate has a few bases of identifiers that are none on their own.
                    LicenseItem::Spdx { id, .. } if id.name == "NOASSERTION" || id.name.ends_with("-invariants") => {
                        return None;
                    }
                    LicenseItem::Spdx { .. } => {}
                    // What another document or SPDX 3 defines cannot be defined in ours.
                    LicenseItem::Other(other) if other.doc_ref.is_some() => return None,
                    LicenseItem::Other(other) => references.push(other.to_string()),
                }
                if matches!(&requirement.addition, Some(AdditionItem::Other(_))) {
                    return None;
                }
                stack.push((requirement.to_string(), None));
            }
            ExprNode::Op(operator) => {
                let (right, left) = (stack.pop()?, stack.pop()?);
                let side = |(text, inner): (String, Option<Operator>)| {
                    let loose = *operator == Operator::And && inner == Some(Operator::Or);
                    if loose { format!("({text})") } else { text }
                };
                let mut joined = side(left);
                joined.push_str(if *operator == Operator::And { " AND " } else { " OR " });
                joined.push_str(&side(right));
                stack.push((joined, Some(*operator)));
            }
        }
    }
    let (text, operator) = stack.pop()?;
    match ::spdx::license_id(&text).filter(|id| operator.is_none() && id.name == text) {
        Some(id) => Some(License::Id(id.name)),
        None => Some(License::Expression { text, is_choice: operator == Some(Operator::Or), references }),
    }
}

/// Joins licences that all apply. `name` gives the reference for one that is no expression.
pub(super) fn all_of(licenses: &[License], mut name: impl FnMut(&str) -> String) -> Option<String> {
    let mut parts: Vec<String> = Vec::with_capacity(licenses.len());
    for license in licenses {
        let part = match license {
            License::Id(id) => (*id).to_owned(),
            License::Expression { text, is_choice: true, .. } if licenses.len() > 1 => format!("({text})"),
            License::Expression { text, .. } => text.clone(),
            License::Name(text) => name(text),
        };
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    // A choice that stands alone after all keeps its parentheses, which is valid.
    (!parts.is_empty()).then(|| parts.join(" AND "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expression(text: &str, is_choice: bool, references: &[&str]) -> Option<License> {
        let references = references.iter().map(|&reference| reference.to_owned()).collect();
        Some(License::Expression { text: text.to_owned(), is_choice, references })
    }

    #[test]
    fn licences_are_identifiers_expressions_or_names() {
        let check = |text: &str, expected: Option<License>| assert_eq!(read(text), expected, "{text}");
        check("MIT", Some(License::Id("MIT")));
        check(" GPL-2.0 ", Some(License::Id("GPL-2.0-only")));
        check("mit or Apache-2.0", expression("MIT OR Apache-2.0", true, &[]));
        check("MIT or Apache-2.0", expression("MIT OR Apache-2.0", true, &[]));
        check("((MIT))", Some(License::Id("MIT")));
        check("(MIT OR ISC) AND Zlib", expression("(MIT OR ISC) AND Zlib", false, &[]));
        check("MIT OR ISC AND Zlib", expression("MIT OR ISC AND Zlib", true, &[]));
        check(
            "GPL-2.0-only WITH Classpath-exception-2.0",
            expression("GPL-2.0-only WITH Classpath-exception-2.0", false, &[]),
        );
        check("LicenseRef-Acme AND MIT", expression("LicenseRef-Acme AND MIT", false, &["LicenseRef-Acme"]));
        check("DocumentRef-x:LicenseRef-y", Some(License::Name("DocumentRef-x:LicenseRef-y".into())));
        check("GFDL-1.3-invariants", Some(License::Name("GFDL-1.3-invariants".into())));
        check("GPL-2+", Some(License::Id("GPL-2.0-or-later")));
        check("Public Domain", Some(License::Name("Public Domain".into())));
        check("NOASSERTION", None);
        check("  ", None);
    }

    #[test]
    fn licences_that_all_apply_are_joined() {
        let read = |texts: &[&str]| texts.iter().filter_map(|text| read(text)).collect::<Vec<_>>();
        let check = |texts: &[&str], expected: Option<&str>| {
            assert_eq!(all_of(&read(texts), |_| "LicenseRef-n".into()).as_deref(), expected, "{texts:?}");
        };
        check(&["MIT OR ISC"], Some("MIT OR ISC"));
        check(&["MIT OR ISC", "Zlib", "odd"], Some("(MIT OR ISC) AND Zlib AND LicenseRef-n"));
        check(&["MIT", "MIT"], Some("MIT"));
        check(&[], None);
    }

    #[test]
    fn deep_and_long_expressions_are_survived() {
        let deep = format!("{}MIT{}", "(".repeat(8000), ")".repeat(8000));
        assert_eq!(read(&deep), Some(License::Id("MIT")));
        let long = vec!["MIT"; 2000].join(" AND ");
        assert!(matches!(read(&long), Some(License::Expression { .. })));
        let longer = "(".repeat(1 << 20);
        assert_eq!(read(&longer), Some(License::Name(longer.clone())));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(text in "(MIT|ISC|LicenseRef-a|\\(|\\)| AND | OR | WITH |\\+|GPL-2.0){0,12}") {
            if let Some(License::Expression { text, is_choice, references }) = read(&text) {
                prop_assert_eq!(read(&text), Some(License::Expression { text, is_choice, references }));
            }
        }
    }
}
