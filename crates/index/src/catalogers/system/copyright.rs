//! Licences from `usr/share/doc/<package>/copyright`.
//!
//! | Shape | What is taken |
//! | --- | --- |
//! | machine-readable debian/copyright 1.0 (begins with `Format:`) | the synopsis, that is the first line, of each `License` field |
//! | free text | `License: <one word>` lines |
//! | either | the names in `/usr/share/common-licenses/<name>` |
//!
//! Source: <https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/>.

use std::collections::BTreeSet;

use memchr::{memchr_iter, memmem};

/// Licences of one package. The kernel's copyright file names about 60.
const MOST: usize = 256;

/// Bytes of one synopsis. What is longer is a licence's text gone astray.
const LONGEST: usize = 200;

/// The licences that a copyright file names, sorted, each once.
pub(super) fn licenses(bytes: &[u8]) -> Vec<String> {
    let mut found = BTreeSet::new();
    let machine_readable = begins_with_field(bytes.trim_ascii_start(), b"Format:")
        || begins_with_field(bytes.trim_ascii_start(), b"Format-Specification:");
    let mut start = 0;
    for end in memchr_iter(b'\n', bytes).chain([bytes.len()]) {
        let line = &bytes[start..end];
        start = end + 1;
        // By its first letter, before anything that costs more: nearly all lines fail here.
        if matches!(line.first(), Some(b'L' | b'l')) && begins_with_field(line, b"License:") {
            let synopsis = line[b"License:".len()..].trim_ascii();
            if machine_readable || !synopsis.contains(&b' ') {
                add(&mut found, synopsis);
            }
        }
    }
    const COMMON: &[u8] = b"/usr/share/common-licenses/";
    for at in memmem::find_iter(bytes, COMMON) {
        let name = &bytes[at + COMMON.len()..];
        let length = name.iter().take(LONGEST).take_while(|b| b.is_ascii_alphanumeric() || b"._+-".contains(b)).count();
        // The full stop of the sentence is no part of the name.
        let end = name[..length].iter().rposition(|&b| b != b'.').map_or(0, |last| last + 1);
        add(&mut found, &name[..end]);
    }
    found.into_iter().collect()
}

fn begins_with_field(line: &[u8], field: &[u8]) -> bool {
    line.get(..field.len()).is_some_and(|head| head.eq_ignore_ascii_case(field))
}

fn add(found: &mut BTreeSet<String>, name: &[u8]) {
    let nothing = name.is_empty() || name.eq_ignore_ascii_case(b"none");
    if !nothing && name.len() <= LONGEST && found.len() < MOST {
        found.insert(String::from_utf8_lossy(name).into_owned());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn takes_short_names() {
        let check = |text: &str, expected: &[&str]| assert_eq!(licenses(text.as_bytes()), expected, "{text}");
        check(
            "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\n\
             License: GPL-2+ or Artistic\n\nFiles: debian/*\nLicense: Expat\n Permission is hereby granted\n\n\
             License: GPL-2+ or Artistic\n See /usr/share/common-licenses/GPL-2.\n",
            &["Expat", "GPL-2", "GPL-2+ or Artistic"],
        );
        check("License: MIT\r\nlicense: LGPL-2.1+", &["LGPL-2.1+", "MIT"]);
        check("License: this is a sentence\nLicense: none\nLicense:\n\n  text", &[]);
        check("see `/usr/share/common-licenses/LGPL-2.1', /usr/share/common-licenses/.", &["LGPL-2.1"]);
        check(" License: MIT\n", &[]);
        check("", &[]);
    }

    #[test]
    fn is_bounded() {
        let many: String = (0..10_000).map(|i| format!("License: X{i}\n")).collect();
        assert_eq!(licenses(many.as_bytes()).len(), MOST);
        assert_eq!(licenses(format!("License: {}", "x".repeat(100_000)).as_bytes()), [""; 0]);
    }

    proptest! {
        #[test]
        fn never_panics(text in proptest::collection::vec(any::<u8>(), 0..400)) {
            licenses(&text);
        }
    }
}
