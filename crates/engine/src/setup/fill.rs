//! Templates: texts with places that code fills.
//!
//! `@name@` is such a place. `#@if OPTION` and `#@end`, on lines of their own, enclose what is there with an option only.
//! Neither means anything to CloudFormation, ARM, Terraform or a shell.

use std::collections::{BTreeMap, BTreeSet};

/// What goes into the places of a template.
pub(super) type Values = BTreeMap<&'static str, String>;

/// What stands for itself in every format that there are templates of: inside double quotes of JSON, YAML and HCL, inside
/// single quotes of a shell. ARNs, addresses, host names, hexadecimal digits.
fn is_plain(value: &str) -> bool {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-._~:/?=&%+,".contains(character);
    !value.is_empty() && value.chars().all(plain)
}

/// `template` with its places filled, and with what `options` ask for.
///
/// # Errors
///
/// The places for which there is no value, or one that does not stand for itself.
pub(super) fn fill(template: &str, values: &Values, options: &BTreeSet<&str>) -> Result<String, Vec<String>> {
    let (mut text, mut problems) = (String::with_capacity(template.len() + 512), BTreeSet::new());
    let mut wanted = vec![true];
    for line in template.split_inclusive('\n') {
        match line.trim() {
            "#@end" => {
                wanted.pop();
            }
            other => match other.strip_prefix("#@if ") {
                Some(option) => wanted.push(options.contains(option)),
                None if wanted.iter().all(|wanted| *wanted) => fill_line(line, values, &mut text, &mut problems),
                None => {}
            },
        }
    }
    if problems.is_empty() { Ok(text) } else { Err(problems.into_iter().collect()) }
}

fn fill_line(line: &str, values: &Values, text: &mut String, problems: &mut BTreeSet<String>) {
    let mut rest = line;
    while let Some((before, name, after)) = next_place(rest) {
        text.push_str(before);
        match values.get(name) {
            Some(value) if is_plain(value) || COMPOSED.contains(&name) => text.push_str(value),
            Some(value) => {
                problems.insert(format!("{name}: {value:?} cannot stand in a template"));
            }
            None => {
                problems.insert(format!("{name}: it is not known"));
            }
        }
        rest = after;
    }
    text.push_str(rest);
}

/// Places that are filled with what was put together of plain values.
const COMPOSED: [&str; 2] = ["body", "repository-keys"];

/// The text before the first place, its name, and the text after it.
pub(super) fn next_place(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(start) = text.get(from..)?.find('@').map(|at| from + at) {
        let rest = text.get(start + 1..)?;
        let end = rest.find(|character: char| !character.is_ascii_lowercase() && character != '-')?;
        if end > 0 && rest[end..].starts_with('@') {
            return Some((&text[..start], &rest[..end], &rest[end + 1..]));
        }
        from = start + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&'static str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
    }

    #[test]
    fn places_and_options() {
        let template =
            "a: @one@@two-parts@ @ @x me@example.com\n#@if more\nb: @one@\n  #@if most\nc\n#@end\n#@end\nd\n";
        let known = values(&[("one", "1"), ("two-parts", "2")]);
        let filled = |options: &[&str]| fill(template, &known, &options.iter().copied().collect());
        assert_eq!(filled(&[]).unwrap(), "a: 12 @ @x me@example.com\nd\n");
        assert_eq!(filled(&["more"]).unwrap(), "a: 12 @ @x me@example.com\nb: 1\nd\n");
        assert_eq!(filled(&["most"]).unwrap(), "a: 12 @ @x me@example.com\nd\n");
        assert_eq!(filled(&["more", "most"]).unwrap(), "a: 12 @ @x me@example.com\nb: 1\nc\nd\n");
    }

    #[test]
    fn what_is_missing_or_would_break_out_is_refused() {
        let check = |value: &str, fits: bool| {
            let filled = fill("\"@one@\"", &values(&[("one", value)]), &BTreeSet::new());
            assert_eq!(filled.is_ok(), fits, "{value:?}");
        };
        check("arn:aws:iam::123456789012:role/supercargo", true);
        check("https://a.test/v1/events/event-grid/x?secret=00ff", true);
        for value in ["", "a\"b", "a'b", "a\nb", "${var.x}", "a b", "[x]", "@two@", "{{resolve:x}}", "%{", "a\\"] {
            check(value, false);
        }
        let problems = fill("@one@ @two@ @two@", &Values::new(), &BTreeSet::new()).unwrap_err();
        assert_eq!(problems, ["one: it is not known", "two: it is not known"]);
    }
}
