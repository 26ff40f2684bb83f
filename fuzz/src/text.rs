//! Small grammars: versions, ranges of versions, licences.

use std::cmp::Ordering;

use supercargo_index::license_expression;
use supercargo_index::version::{self, VersionRange};

use crate::{Target, literals, seeds};

/// A type of package for each order of versions.
const KINDS: [&str; 8] = ["deb", "rpm", "apk", "pypi", "maven", "gem", "npm", "generic"];

pub(crate) fn targets() -> Vec<Target> {
    let mut targets: Vec<_> = KINDS.iter().map(|kind| order(kind)).collect();
    let words = literals::sources("crates/index/src/version");
    targets.push(Target {
        name: "version/range".into(),
        run: Box::new(|bytes| {
            let text = String::from_utf8_lossy(bytes);
            let Ok(range) = text.parse::<VersionRange>() else { return };
            for kind in KINDS {
                let _ = range.matches(kind, "1.2.3");
            }
            let again: VersionRange = range.to_string().parse().expect("a range is read back");
            assert_eq!(again, range);
        }),
        seeds: Box::new(|| vec![b">=2.0-beta9, <2.17.1".to_vec(), b"1.2*".to_vec(), b"*".to_vec()]),
        words,
    });
    let words = literals::sources("crates/index/src/license.rs");
    targets.push(Target {
        name: "license".into(),
        run: Box::new(license),
        seeds: Box::new({
            let words = words.clone();
            move || {
                let mut samples = seeds::documents(&words);
                samples.push(b"GPLv2+ and MIT\nApache License, Version 2.0".to_vec());
                samples.push(b"(MIT OR Apache-2.0) AND GPL-2.0-only WITH Classpath-exception-2.0".to_vec());
                samples
            }
        }),
        words,
    });
    targets
}

/// Three versions: their order is total.
fn order(kind: &'static str) -> Target {
    let words = literals::sources("crates/index/src/version");
    Target {
        name: format!("version/{kind}"),
        run: Box::new(move |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let mut lines = text.split('\n');
            let [a, b, c] = std::array::from_fn(|_| lines.next().unwrap_or_default());
            let compare = |x: &str, y: &str| version::compare(kind, x, y);
            let (ab, bc, ac) = (compare(a, b), compare(b, c), compare(a, c));
            assert_eq!(compare(b, a), ab.reverse(), "{a:?} and {b:?}");
            assert_eq!(compare(c, b), bc.reverse(), "{b:?} and {c:?}");
            let expected = match (ab, bc) {
                (Ordering::Equal, order) | (order, Ordering::Equal) => Some(order),
                (x, y) if x == y => Some(x),
                _ => None,
            };
            assert!(expected.is_none_or(|expected| expected == ac), "{a:?}, {b:?}, {c:?}: {ab:?}, {bc:?}, {ac:?}");
        }),
        seeds: Box::new(|| {
            let samples = [
                "1.0\n1.0-1\n1:1.0~rc1",
                "1.0.0-alpha.1\n1.0.0\nv1.0.0+b",
                "1_rc1-r1\n1_p2\n01",
                "1!2.dev1\n2\n2.post",
            ];
            samples.iter().map(|sample| sample.as_bytes().to_vec()).collect()
        }),
        words,
    }
}

/// Every line is a statement.
fn license(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Some(expression) = license_expression(text.split('\n')) else { return };
    let again = license_expression([expression.as_str()]);
    // Statements are read up to a length; the expression of many is not one of those.
    if expression.len() < 2048 {
        assert_eq!(again.as_deref(), Some(expression.as_str()), "of {text:?}");
    }
}
