//! SPDX 2.x in its tag-value spelling (<https://spdx.github.io/spdx-spec/v2.3/>): `Tag: value` lines, values over
//! several lines between `<text>` and `</text>`. `PackageName` begins a package, `FileName` and the like end it.

use std::borrow::Cow;

use super::MOST_ENTRIES;
use super::claim::{Claim, is_said};
use super::spdx::{Element, Relations, claims, reference, source};
use crate::Problem;

/// Reads a document.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Claim<'_>>, Problem> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => return Err(Problem::malformed("SPDX tag-value: it is not UTF-8")),
    };
    let mut relations = Relations::default();
    let mut elements: Vec<Element<'_>> = Vec::new();
    let mut in_package = false;
    let mut rest = text;
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        rest = after;
        if line.starts_with('#') {
            continue;
        }
        let Some((tag, value)) = line.split_once(':') else { continue };
        let mut value = value.trim();
        if let Some(first) = value.strip_prefix("<text>") {
            value = match first.split_once("</text>") {
                Some((whole, _)) => whole.trim(),
                // The rest of the document is one slice, so the value ends where the closing tag begins.
                None => {
                    let Some(end) = rest.find("</text>") else { break };
                    let (more, after) = rest.split_at(end);
                    rest = after.split_once('\n').map_or("", |(_, after)| after);
                    if first.trim().is_empty() { more.trim() } else { first.trim() }
                }
            };
        }
        match tag.trim() {
            "PackageName" => {
                if elements.len() == MOST_ENTRIES {
                    return Err(Problem::malformed(format!("SPDX tag-value: more than {MOST_ENTRIES} packages")));
                }
                in_package = true;
                elements.push(Element::default());
                if let Some(element) = elements.last_mut() {
                    element.claim.name = Some(Cow::Borrowed(value));
                }
            }
            "FileName" | "SnippetSPDXID" | "LicenseID" => in_package = false,
            "Relationship" => relate(&mut relations, value),
            tag if in_package => {
                if let Some(element) = elements.last_mut() {
                    field(element, tag, value);
                }
            }
            _ => {}
        }
    }
    Ok(claims(elements, &relations))
}

fn relate<'a>(relations: &mut Relations<'a>, value: &'a str) {
    let mut words = value.split_ascii_whitespace();
    if let (Some(from), Some(relationship), Some(to)) = (words.next(), words.next(), words.next()) {
        relations.relate(from.into(), relationship, to.into());
    }
}

fn field<'a>(element: &mut Element<'a>, tag: &str, value: &'a str) {
    if value.is_empty() {
        return;
    }
    let claim = &mut element.claim;
    let value = Cow::Borrowed(value);
    match tag {
        "SPDXID" => element.id = value,
        "PackageVersion" => claim.version = Some(value),
        "PackageSupplier" => claim.supplier = Some(value),
        "PackageOriginator" => claim.originator = Some(value),
        "PackageHomePage" => claim.url = Some(value),
        "PackageSummary" => claim.description = Some(value),
        "PackageDescription" if claim.description.is_none() => claim.description = Some(value),
        "PackageSourceInfo" => claim.source = source(&value),
        "PrimaryPackagePurpose" => element.purpose = Some(value),
        // What the package declares is the better word, and comes second.
        "PackageLicenseDeclared" if is_said(&value) => claim.licenses = vec![value],
        "PackageLicenseConcluded" if claim.licenses.is_empty() && is_said(&value) => claim.licenses.push(value),
        "ExternalRef" => {
            let text: &'a str = match value {
                Cow::Borrowed(text) => text,
                Cow::Owned(_) => return,
            };
            let mut words = text.split_ascii_whitespace();
            if let (Some(_category), Some(kind), Some(locator)) = (words.next(), words.next(), words.next()) {
                reference(element, kind, locator.into());
            }
        }
        _ => {}
    }
}
