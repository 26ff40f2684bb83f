//! The order of versions, as each ecosystem defines it, and ranges of versions.
//!
//! | Package URL type | Scheme |
//! | --- | --- |
//! | `deb` | Debian policy 5.6.12, deb-version(7) |
//! | `rpm`, `alpm` | rpmvercmp with epochs, rpm-version(7) |
//! | `apk`, `ebuild` | apk-tools 3 `version.c`, after Gentoo's package manager specification |
//! | `pypi` | PEP 440 |
//! | `maven`, `jenkins` | Maven's version order specification |
//! | `gem` | `Gem::Version` |
//! | `npm`, `cargo`, `golang`, `nuget`, `composer`, `hex`, `pub`, `swift` | semantic versioning 2.0.0, leniently |
//! | anything else | numbers by value, words by letters, words such as `rc` before the release |
//!
//! Every order is total over all strings: what a scheme calls invalid has a place too. Two spellings of one
//! version are equal (`1.0` and `1.0.0` to Maven), and numbers may have any length.
//!
//! # Examples
//!
//! ```
//! use std::cmp::Ordering;
//! use supercargo_index::version::{self, VersionRange};
//!
//! assert_eq!(version::compare("deb", "1.0~rc1-1", "1.0-1"), Ordering::Less);
//! assert_eq!(version::compare("maven", "2.0-beta9", "2.0"), Ordering::Less);
//!
//! let range: VersionRange = ">=2.0-beta9, <2.17.1".parse()?;
//! assert!(range.matches("maven", "2.14.1"));
//! assert!(!range.matches("maven", "2.17.1"));
//! # Ok::<(), supercargo_index::Error>(())
//! ```

mod apk;
mod deb;
mod gem;
mod generic;
mod maven;
mod number;
mod pypi;
mod range;
mod rpm;
mod semver;

use std::cmp::Ordering;

pub use range::VersionRange;

/// Compares two versions of a package of this package URL type.
pub fn compare(kind: &str, a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    match kind {
        "deb" => deb::compare(a, b),
        "rpm" | "alpm" => rpm::compare(a, b),
        "apk" | "ebuild" => apk::compare(a, b),
        "pypi" => pypi::compare(a, b),
        "maven" | "jenkins" => maven::compare(a, b),
        "gem" => gem::compare(a, b),
        "npm" | "cargo" | "golang" | "nuget" | "composer" | "hex" | "pub" | "swift" => semver::compare(a, b),
        _ => generic::compare(a, b),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Asserts that the versions stand in strictly ascending order, each before all that follow.
    pub(super) fn ascending(kind: &str, versions: &[&str]) {
        for (i, a) in versions.iter().enumerate() {
            for (j, b) in versions.iter().enumerate() {
                assert_eq!(compare(kind, a, b), i.cmp(&j), "{kind}: {a} and {b}");
            }
        }
    }

    /// Asserts that all of these are the same version.
    pub(super) fn equal(kind: &str, versions: &[&str]) {
        for a in versions {
            for b in versions {
                assert_eq!(compare(kind, a, b), Ordering::Equal, "{kind}: {a} and {b}");
            }
        }
    }

    const KINDS: [&str; 9] = ["deb", "rpm", "apk", "pypi", "maven", "gem", "npm", "golang", "generic"];

    /// Strings near enough to versions that every branch is reached.
    fn version() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => "[0-9]{1,2}",
            2 => "[.~^+:_!-]",
            2 => proptest::sample::select(vec![
                "0", "00", "01", "a", "b", "m", "alpha", "beta", "milestone", "rc", "cr", "snapshot", "final", "ga", "sp",
                "release", "pre", "post", "dev", "r", "rev", "_p", "_rc", "_git", "-r1", "v", "el9", "x", "é", "",
            ]).prop_map(str::to_owned),
        ];
        proptest::collection::vec(piece, 0..7).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn orders_are_total(a in version(), b in version(), c in version()) {
            for kind in KINDS {
                prop_assert_eq!(compare(kind, &a, &b), compare(kind, &b, &a).reverse(), "{}", kind);
                prop_assert_eq!(compare(kind, &a, &a.clone()), Ordering::Equal, "{}", kind);
                let mut sorted = [&a, &b, &c];
                sorted.sort_by(|x, y| compare(kind, x, y));
                let [x, y, z] = sorted;
                let (xy, yz, xz) = (compare(kind, x, y), compare(kind, y, z), compare(kind, x, z));
                prop_assert_eq!(xz, xy.then(yz), "{}: {} {} {}", kind, x, y, z);
            }
        }

        #[test]
        fn any_text_can_be_compared(a in "\\PC{0,20}", b in "\\PC{0,20}") {
            for kind in KINDS {
                prop_assert_eq!(compare(kind, &a, &b), compare(kind, &b, &a).reverse(), "{}", kind);
            }
        }
    }

    #[test]
    fn long_versions_are_no_trouble() {
        let digits = "9".repeat(1 << 17);
        let dots = "1.".repeat(1 << 16);
        let letters = "-a1".repeat(1 << 16);
        for kind in KINDS {
            for text in [&digits, &dots, &letters] {
                compare(kind, text, &format!("{text}1"));
            }
            assert_eq!(compare(kind, &digits, "1"), Ordering::Greater, "{kind}");
        }
    }
}
