//! What packages say of their licences, as SPDX licence expressions.
//!
//! Package managers hold anything from an expression to a sentence: `GPL-2+` (Debian, DEP 5), `GPLv2+ and MIT` (old
//! Fedora), `MIT BSD GPL2+` (old Alpine), `License :: OSI Approved :: MIT License` (PyPI), `Apache License, Version
//! 2.0`, a URL. Names are matched by what is left of them without punctuation, filler and a trailing `.0`, against
//! the identifiers and the full names of the SPDX licence list (<https://spdx.org/licenses/>, as the `spdx` crate
//! holds it) and a table of the spellings that neither covers. What stays unknown becomes a `LicenseRef-`, so that
//! the result is always a valid expression (SPDX 2.3, annex D) and nothing is guessed.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::OnceLock;

use spdx::identifiers::{EXCEPTIONS, LICENSES};

/// Bytes of one statement. Longer ones are licence texts, not names of licences.
const LONGEST: usize = 2048;

/// Bytes of a `LicenseRef-`.
const LONGEST_REFERENCE: usize = 100;

/// One SPDX expression for all of `statements`, each an identifier, an expression or free text, as the package's
/// evidence has it: all of them apply. `None` if they say nothing.
///
/// ```
/// use supercargo_index::license_expression;
///
/// let of = |statements: &[&str]| license_expression(statements.iter().copied());
/// assert_eq!(of(&["GPLv2+ and MIT"]).as_deref(), Some("GPL-2.0-or-later AND MIT"));
/// assert_eq!(of(&["Apache License, Version 2.0"]).as_deref(), Some("Apache-2.0"));
/// assert_eq!(of(&["MIT OR Apache-2.0", "Expat"]).as_deref(), Some("(MIT OR Apache-2.0) AND MIT"));
/// assert_eq!(of(&["Acme proprietary"]).as_deref(), Some("LicenseRef-Acme-proprietary"));
/// assert_eq!(of(&["UNKNOWN", ""]), None);
/// ```
pub fn license_expression<'a>(statements: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    for statement in statements {
        if let Some(part) = statement_expression(statement)
            && !parts.contains(&part)
        {
            parts.push(part);
        }
    }
    if parts.len() > 1 {
        for part in &mut parts {
            if part.contains(" OR ") {
                *part = format!("({part})");
            }
        }
    }
    (!parts.is_empty()).then(|| parts.join(" AND "))
}

/// The licences that an SPDX expression names, each once: `MIT`, `GPL-2.0-only WITH Classpath-exception-2.0`. None if it is
/// no expression.
///
/// ```
/// assert_eq!(supercargo_index::license_identifiers("MIT AND (MIT OR Apache-2.0)"), ["MIT", "Apache-2.0"]);
/// ```
pub fn license_identifiers(expression: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    if let Ok(expression) = spdx::Expression::parse(expression) {
        for requirement in expression.requirements() {
            let name = requirement.req.to_string();
            if !found.contains(&name) {
                found.push(name);
            }
        }
    }
    found
}

fn statement_expression(text: &str) -> Option<String> {
    let text = text.trim();
    // PyPI classifiers name the licence last.
    let text = text.rsplit(" :: ").next().unwrap_or(text);
    let nothing = ["", "unknown", "none", "noassertion", "n/a", "osi approved", "see license in license"];
    if nothing.contains(&text.to_ascii_lowercase().as_str()) || text.len() > LONGEST {
        return None;
    }
    if let Some(id) = identifier(text) {
        return Some(id);
    }
    let built = build(text).filter(|built| spdx::Expression::parse(built).is_ok());
    built.or_else(|| reference(text))
}

/// The words of an expression, put together again with canonical names.
fn build(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut run: Vec<&str> = Vec::new();
    let mut after_with = false;
    for token in tokens(text) {
        let operator = match token {
            "(" | ")" => token,
            "&" | "&&" | "," | ";" => "AND",
            "|" | "||" | "/" => "OR",
            word if word.eq_ignore_ascii_case("and") => "AND",
            word if word.eq_ignore_ascii_case("or") => "OR",
            word if word.eq_ignore_ascii_case("with") => "WITH",
            word => {
                run.push(word);
                continue;
            }
        };
        flush(&mut run, &mut after_with, &mut out)?;
        match operator {
            "(" => {
                if !out.is_empty() && !out.ends_with(['(', ' ']) {
                    return None;
                }
                out.push('(');
            }
            ")" => out.push(')'),
            // `GPL-2+, and MIT`: one of the two says it.
            _ if out.is_empty() || out.ends_with(' ') => {}
            "WITH" => {
                out.push_str(" WITH ");
                after_with = true;
            }
            operator => write!(out, " {operator} ").expect("a String takes what is written"),
        }
    }
    flush(&mut run, &mut after_with, &mut out)?;
    Some(out)
}

/// Writes the name that the words since the last operator make, or the names if each of them is one.
fn flush(run: &mut Vec<&str>, after_with: &mut bool, out: &mut String) -> Option<()> {
    let words = std::mem::take(run);
    if words.is_empty() {
        return Some(());
    }
    let name = words.join(" ");
    if std::mem::take(after_with) {
        out.push_str(&exception(&name)?);
        return Some(());
    }
    if let Some(id) = identifier(&name) {
        // Perl's licence is a choice of two.
        let (open, close) = if id.contains(" OR ") { ("(", ")") } else { ("", "") };
        out.extend([open, &id, close]);
        return Some(());
    }
    let each: Option<Vec<String>> = words.iter().map(|word| identifier(word)).collect();
    match each {
        Some(each) => out.push_str(&each.join(" AND ")),
        None => out.push_str(&reference(&name)?),
    }
    Some(())
}

fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = rest.chars().next()?;
        let alone = |c: char| matches!(c, '(' | ')' | ',' | ';' | '|' | '&' | '/');
        let end = if alone(first) {
            first.len_utf8()
        } else {
            rest.find(|c: char| c.is_whitespace() || alone(c)).unwrap_or(rest.len())
        };
        let (token, left) = rest.split_at(end);
        rest = left;
        Some(token)
    })
}

/// The identifier that a name stands for.
fn identifier(name: &str) -> Option<String> {
    if let Some(rest) = name.strip_prefix("LicenseRef-") {
        let valid = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
        return valid.then(|| name.to_owned());
    }
    let address = name.strip_prefix("https://").or_else(|| name.strip_prefix("http://"));
    let name = match address {
        Some(address) => URLS
            .iter()
            .find(|(known, _)| address.trim_start_matches("www.").starts_with(known))
            .map(|(_, id)| *id)
            .or_else(|| address.rsplit('/').find(|part| !part.is_empty()).map(|last| last.trim_end_matches(".html")))?,
        None => name,
    };
    let key = key(name);
    let known = names();
    if let Some(id) = known.get(key.as_str()) {
        return Some((*id).to_owned());
    }
    // Outside of the GNU family, "or later" is a plus behind the identifier.
    let earlier =
        key.strip_suffix('+').or_else(|| key.strip_suffix(" or later")).or_else(|| key.strip_suffix(" or newer"))?;
    known.get(earlier).map(|id| match id.strip_suffix("-only") {
        Some(base) => format!("{base}-or-later"),
        // `GPL+ or newer` says it twice.
        None if id.ends_with("-or-later") || id.contains(" OR ") => (*id).to_owned(),
        None => format!("{id}+"),
    })
}

fn exception(name: &str) -> Option<String> {
    let wanted = key(name);
    let known = EXCEPTIONS.iter().find(|exception| key(exception.name) == wanted).map(|exception| exception.name);
    let known = known.or(match wanted.as_str() {
        "exceptions" | "linking exception" => Some("GPL-3.0-linking-exception"),
        "openssl exception" => Some("cryptsetup-OpenSSL-exception"),
        "gcc exception" | "gcc runtime library exception" => Some("GCC-exception-3.1"),
        "classpath exception" => Some("Classpath-exception-2.0"),
        "autoconf exception" => Some("Autoconf-exception-3.0"),
        "bison exception" => Some("Bison-exception-2.2"),
        "font exception" => Some("Font-exception-2.0"),
        _ => None,
    });
    known.map(str::to_owned)
}

/// `LicenseRef-` and the text with what is not allowed there taken out.
fn reference(text: &str) -> Option<String> {
    let mut out = String::from("LicenseRef-");
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || c == '.' {
            out.push(c);
        } else if !out.ends_with('-') {
            out.push('-');
        }
        if out.len() >= LONGEST_REFERENCE {
            break;
        }
    }
    let out = out.trim_end_matches('-');
    (out.len() > "LicenseRef-".len()).then(|| out.to_owned())
}

/// What is left of a name for comparison: lower-case words, numbers apart from letters, without filler.
fn key(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut word = String::new();
    let mut last = ' ';
    let mut end_word = |word: &mut String| {
        let bare = word.trim_end_matches('.');
        let bare = bare.strip_suffix(".0").unwrap_or(bare);
        let plus = bare.strip_suffix(".0+").map(|bare| format!("{bare}+"));
        let bare = plus.as_deref().unwrap_or(bare);
        if !matches!(
            bare,
            "" | "the" | "license" | "licence" | "licenses" | "version" | "v" | "ver" | "software" | "gnu"
        ) {
            if !out.is_empty() && bare != "+" {
                out.push(' ');
            }
            out.push_str(bare);
        }
        word.clear();
    };
    for c in name.chars().map(|c| c.to_ascii_lowercase()) {
        let digit = |c: char| c.is_ascii_digit() || c == '.' || c == '+';
        if !c.is_ascii_alphanumeric() && c != '.' && c != '+' {
            end_word(&mut word);
        } else {
            if !word.is_empty() && digit(c) != digit(last) {
                end_word(&mut word);
            }
            word.push(c);
        }
        last = c;
    }
    end_word(&mut word);
    out
}

/// Identifiers by the [keys](key) of their names.
fn names() -> &'static HashMap<String, &'static str> {
    static NAMES: OnceLock<HashMap<String, &'static str>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let mut names = HashMap::with_capacity(LICENSES.len() * 2 + SPELLINGS.len());
        for (spelling, id) in SPELLINGS {
            names.insert(key(spelling), *id);
        }
        // Identifiers before full names, and those in use before those that they replaced.
        let current = |deprecated: bool| {
            LICENSES
                .iter()
                // In the crate's list, and no licence.
                .filter(|license| license.name != "NOASSERTION")
                .filter(move |license| (license.flags & spdx::flags::IS_DEPRECATED != 0) == deprecated)
        };
        for license in current(false) {
            names.entry(key(license.name)).or_insert(license.name);
        }
        for license in current(false) {
            names.entry(key(license.full_name)).or_insert(license.name);
        }
        for license in current(true) {
            let base = license.name.trim_end_matches('+');
            let id = spdx::gnu_license_id(base, license.name.ends_with('+')).map_or(license.name, |id| id.name);
            names.entry(key(license.name)).or_insert(id);
            names.entry(key(license.full_name)).or_insert(id);
        }
        names
    })
}

/// Spellings of package managers that are neither an identifier nor a full name.
const SPELLINGS: &[(&str, &str)] = &[
    ("Expat", "MIT"),
    ("MIT/X11", "MIT"),
    ("MIT/Expat", "MIT"),
    ("X11/MIT", "MIT"),
    ("Modern MIT", "MIT"),
    ("ASL 2.0", "Apache-2.0"),
    ("ASL 1.1", "Apache-1.1"),
    ("Apache", "Apache-2.0"),
    ("Apache Software License", "Apache-2.0"),
    ("Apache Public License 2.0", "Apache-2.0"),
    ("Apache2", "Apache-2.0"),
    ("AL2", "Apache-2.0"),
    ("BSD 2", "BSD-2-Clause"),
    ("2-clause BSD", "BSD-2-Clause"),
    ("Simplified BSD", "BSD-2-Clause"),
    ("FreeBSD", "BSD-2-Clause"),
    ("BSD 3", "BSD-3-Clause"),
    ("3-clause BSD", "BSD-3-Clause"),
    ("New BSD", "BSD-3-Clause"),
    ("Revised BSD", "BSD-3-Clause"),
    ("Modified BSD", "BSD-3-Clause"),
    ("BSD-3", "BSD-3-Clause"),
    ("BSD with advertising", "BSD-4-Clause"),
    ("4-clause BSD", "BSD-4-Clause"),
    ("GPL", "GPL-1.0-or-later"),
    ("GPL+", "GPL-1.0-or-later"),
    ("GPLv1+", "GPL-1.0-or-later"),
    ("GPLv2", "GPL-2.0-only"),
    ("GPLv2+", "GPL-2.0-or-later"),
    ("GPLv3", "GPL-3.0-only"),
    ("GPLv3+", "GPL-3.0-or-later"),
    ("General Public License v2 (GPLv2)", "GPL-2.0-only"),
    ("General Public License v2 or later (GPLv2+)", "GPL-2.0-or-later"),
    ("General Public License v3 (GPLv3)", "GPL-3.0-only"),
    ("General Public License v3 or later (GPLv3+)", "GPL-3.0-or-later"),
    ("General Public License (GPL)", "GPL-1.0-or-later"),
    ("LGPL", "LGPL-2.0-or-later"),
    ("LGPL+", "LGPL-2.0-or-later"),
    ("LGPLv2", "LGPL-2.0-only"),
    ("LGPLv2+", "LGPL-2.0-or-later"),
    ("LGPLv2.1", "LGPL-2.1-only"),
    ("LGPLv2.1+", "LGPL-2.1-or-later"),
    ("LGPLv3", "LGPL-3.0-only"),
    ("LGPLv3+", "LGPL-3.0-or-later"),
    ("Lesser General Public License v2 (LGPLv2)", "LGPL-2.0-only"),
    ("Lesser General Public License v2 or later (LGPLv2+)", "LGPL-2.0-or-later"),
    ("Lesser General Public License v3 (LGPLv3)", "LGPL-3.0-only"),
    ("Lesser General Public License v3 or later (LGPLv3+)", "LGPL-3.0-or-later"),
    ("Library or Lesser General Public License (LGPL)", "LGPL-2.0-or-later"),
    ("AGPLv3", "AGPL-3.0-only"),
    ("AGPLv3+", "AGPL-3.0-or-later"),
    ("Affero General Public License v3", "AGPL-3.0-only"),
    ("Affero General Public License v3 or later (AGPLv3+)", "AGPL-3.0-or-later"),
    ("GFDL", "GFDL-1.1-or-later"),
    ("GFDL-1.2", "GFDL-1.2-only"),
    ("GFDL-1.2+", "GFDL-1.2-or-later"),
    ("GFDL-1.3", "GFDL-1.3-only"),
    ("GFDL-1.3+", "GFDL-1.3-or-later"),
    ("MPLv1.1", "MPL-1.1"),
    ("MPLv2.0", "MPL-2.0"),
    ("Mozilla Public License 2.0 (MPL 2.0)", "MPL-2.0"),
    ("EPL", "EPL-1.0"),
    ("Eclipse Public License", "EPL-1.0"),
    ("Eclipse Public License v1.0", "EPL-1.0"),
    ("Eclipse Public License v2.0", "EPL-2.0"),
    ("Eclipse Distribution License v1.0", "BSD-3-Clause"),
    ("EDL 1.0", "BSD-3-Clause"),
    ("Python Software Foundation License", "PSF-2.0"),
    ("PSF", "PSF-2.0"),
    ("PSFL", "PSF-2.0"),
    ("PSF-2", "PSF-2.0"),
    ("Python", "PSF-2.0"),
    ("ISC License (ISCL)", "ISC"),
    ("zlib/libpng", "Zlib"),
    ("Artistic", "Artistic-1.0-Perl"),
    ("Artistic-2", "Artistic-2.0"),
    ("Artistic 2.0", "Artistic-2.0"),
    ("Perl", "Artistic-1.0-Perl OR GPL-1.0-or-later"),
    ("perl_5", "Artistic-1.0-Perl OR GPL-1.0-or-later"),
    ("Perl_5", "Artistic-1.0-Perl OR GPL-1.0-or-later"),
    ("Boost", "BSL-1.0"),
    ("Boost Software License - Version 1.0", "BSL-1.0"),
    ("CC0", "CC0-1.0"),
    ("CC0 1.0 Universal", "CC0-1.0"),
    ("CC0 1.0 Universal (CC0 1.0) Public Domain Dedication", "CC0-1.0"),
    ("Unlicense", "Unlicense"),
    ("The Unlicense (Unlicense)", "Unlicense"),
    ("WTFPL", "WTFPL"),
    ("Public Domain", "LicenseRef-public-domain"),
    ("public-domain", "LicenseRef-public-domain"),
    ("OpenLDAP", "OLDAP-2.8"),
    ("Vim", "Vim"),
    ("Ruby", "Ruby"),
    ("Ruby's", "Ruby"),
    ("SIL Open Font License 1.1", "OFL-1.1"),
    ("OFL", "OFL-1.1"),
    ("UCD", "Unicode-DFS-2016"),
    ("CDDL", "CDDL-1.0"),
    ("CDDL 1.0", "CDDL-1.0"),
    ("Historical Permission Notice and Disclaimer (HPND)", "HPND"),
    ("Go", "BSD-3-Clause"),
];

/// Addresses that licences are named by, where the last part of the path is not their name.
const URLS: &[(&str, &str)] = &[
    ("apache.org/licenses/license-2.0", "Apache-2.0"),
    ("apache.org/licenses/LICENSE-2.0", "Apache-2.0"),
    ("eclipse.org/legal/epl-v10", "EPL-1.0"),
    ("eclipse.org/legal/epl-2.0", "EPL-2.0"),
    ("eclipse.org/legal/epl-v20", "EPL-2.0"),
    ("eclipse.org/org/documents/edl-v10", "BSD-3-Clause"),
    ("gnu.org/licenses/old-licenses/lgpl-2.1", "LGPL-2.1-only"),
    ("gnu.org/licenses/old-licenses/gpl-2.0", "GPL-2.0-only"),
    ("gnu.org/licenses/lgpl", "LGPL-3.0-only"),
    ("gnu.org/licenses/gpl", "GPL-3.0-only"),
    ("gnu.org/copyleft/lesser", "LGPL-3.0-only"),
    ("creativecommons.org/publicdomain/zero/1.0", "CC0-1.0"),
    ("raw.githubusercontent.com/dotnet/core-setup/master/LICENSE.TXT", "MIT"),
    ("github.com/dotnet/corefx/blob/master/LICENSE.TXT", "MIT"),
    ("mozilla.org/MPL/2.0", "MPL-2.0"),
    ("mozilla.org/en-US/MPL/2.0", "MPL-2.0"),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn statements_become_expressions() {
        let check = |statement: &str, expected: &str| {
            let found = license_expression([statement]);
            assert_eq!(found.as_deref(), Some(expected), "{statement}");
            assert!(spdx::Expression::parse(expected).is_ok(), "{expected} is no expression");
        };
        // What is an expression stays one.
        check("MIT", "MIT");
        check("mit", "MIT");
        check("MIT OR Apache-2.0", "MIT OR Apache-2.0");
        check("(MIT AND Zlib) OR BSD-3-Clause", "(MIT AND Zlib) OR BSD-3-Clause");
        check("GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0");
        check("GPL-2.0", "GPL-2.0-only");
        check("LGPL-2.1+", "LGPL-2.1-or-later");
        check("LicenseRef-Acme", "LicenseRef-Acme");
        check("MIT/Apache-2.0", "MIT OR Apache-2.0");
        // Debian (DEP 5).
        check("GPL-2+", "GPL-2.0-or-later");
        check("GPL-3", "GPL-3.0-only");
        check("LGPL-2.1", "LGPL-2.1-only");
        check("Expat", "MIT");
        check("BSD-3-clause", "BSD-3-Clause");
        check("Apache-2", "Apache-2.0");
        check("GPL-2+ or Artistic-2", "GPL-2.0-or-later OR Artistic-2.0");
        check("GPL-2+, and Expat", "GPL-2.0-or-later AND MIT");
        check("GPL-3+ with Bison exception", "GPL-3.0-or-later WITH Bison-exception-2.2");
        check("public-domain", "LicenseRef-public-domain");
        check("BSD-variant", "LicenseRef-BSD-variant");
        // Fedora before 2022, Alpine of old.
        check("GPLv2+ and LGPLv2+ and MIT", "GPL-2.0-or-later AND LGPL-2.0-or-later AND MIT");
        check("ASL 2.0", "Apache-2.0");
        check("(GPL+ or Artistic) and BSD", "(GPL-1.0-or-later OR Artistic-1.0-Perl) AND LicenseRef-BSD");
        check("MIT BSD GPL2+", "LicenseRef-MIT-BSD-GPL2");
        check("MIT GPL2+", "MIT AND GPL-2.0-or-later");
        check("GPL-2.0-or-later MPL-1.1", "GPL-2.0-or-later AND MPL-1.1");
        // Sentences, classifiers, addresses.
        check("Apache License, Version 2.0", "Apache-2.0");
        check("The Apache Software License, Version 2.0", "Apache-2.0");
        check("The MIT License (MIT)", "LicenseRef-The-MIT-License-MIT");
        check("License :: OSI Approved :: MIT License", "MIT");
        check("License :: OSI Approved :: GNU General Public License v3 or later (GPLv3+)", "GPL-3.0-or-later");
        check("License :: OSI Approved :: Python Software Foundation License", "PSF-2.0");
        check("https://opensource.org/licenses/MIT", "MIT");
        check("http://www.apache.org/licenses/LICENSE-2.0.txt", "Apache-2.0");
        check("GNU Lesser General Public License v2.1 or later", "LGPL-2.1-or-later");
        check("Apache-2.0+", "Apache-2.0+");
        check("Acme (all rights reserved)", "LicenseRef-Acme-all-rights-reserved");
    }

    #[test]
    fn what_says_nothing_is_nothing() {
        // SPDX's word for "nobody says" stands alone or not at all; in an expression it would be a licence.
        let mixed = license_expression(["MIT AND NOASSERTION"]);
        assert_eq!(mixed.as_deref(), Some("MIT AND LicenseRef-NOASSERTION"));
        for text in ["", "  ", "UNKNOWN", "NOASSERTION", "()", "((((", "--", "License :: OSI Approved"] {
            assert_eq!(license_expression([text]), None, "{text}");
        }
        assert_eq!(license_expression([&*"x".repeat(LONGEST + 1)]), None);
    }

    #[test]
    fn later_said_twice_is_said_once() {
        for text in ["GPL+ or newer", "GPLv1+ or later", "GPL-1.0-or-later or later", "GPL-1.0-or-later+"] {
            assert_eq!(license_expression([text]).as_deref(), Some("GPL-1.0-or-later"), "{text}");
        }
    }

    #[test]
    fn nesting_is_harmless() {
        let deep = format!("{}MIT{}", "(".repeat(1000), ")".repeat(1000));
        assert!(license_expression([&*deep]).is_some());
    }

    proptest! {
        #[test]
        fn the_result_is_always_an_expression(statements in proptest::collection::vec("[ -~é]{0,40}", 0..4)) {
            if let Some(expression) = license_expression(statements.iter().map(String::as_str)) {
                prop_assert!(spdx::Expression::parse(&expression).is_ok(), "{expression}");
            }
        }

        #[test]
        fn of_words_too(words in proptest::collection::vec("(MIT|GPL-2\\+|and|or|with|\\(|\\)|Foo|,|/)", 0..12)) {
            let text = words.join(" ");
            if let Some(expression) = license_expression([&*text]) {
                prop_assert!(spdx::Expression::parse(&expression).is_ok(), "{text}: {expression}");
            }
        }
    }
}
