//! The list of packages that Azure Linux (CBL-Mariner) leaves in images that have no rpm database.
//!
//! `var/lib/rpmmanifest/container-manifest-2`, one package a line, fields parted by tabs:
//!
//! | Field | | Field | |
//! | --- | --- | --- | --- |
//! | 0 | name | 5 | epoch, or `(none)` |
//! | 1 | version-release | 6 | size once installed, bytes |
//! | 2 | time of installation | 7 | architecture |
//! | 3 | time of build | 8 | epoch, 0 for none |
//! | 4 | vendor | 9 | file name of the source package |
//!
//! It is what `rpm --query --all --query-format …` prints:
//! <https://github.com/microsoft/azurelinux/blob/3.0/toolkit/docs/how_it_works/5_misc.md>.

use super::package::{Facts, describe};
use crate::catalogers::check_count;
use crate::{Findings, Problem};

/// Reads the list. A line that is none is left out and told at the end.
pub(super) fn read(text: &str, findings: &mut Findings) -> Result<(), Problem> {
    let mut problem = None;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let mut fields = line.split('\t');
        let mut next =
            || fields.next().map(|field| Some(field.trim()).filter(|field| !matches!(*field, "" | "(none)")));
        let (
            Some(name),
            Some(version),
            _,
            _,
            Some(vendor),
            Some(epoch),
            Some(size),
            Some(arch),
            Some(number),
            Some(source),
        ) = (next(), next(), next(), next(), next(), next(), next(), next(), next(), next())
        else {
            problem.get_or_insert("rpm manifest: a line has too few fields");
            continue;
        };
        if name == Some("gpg-pubkey") {
            continue;
        }
        check_count(findings)?;
        let owned = |field: Option<&str>| field.map(str::to_owned);
        let package = describe(Facts {
            name: owned(name).unwrap_or_default(),
            version: owned(version).unwrap_or_default(),
            arch: owned(arch),
            epoch: number.or(epoch).and_then(|epoch| epoch.parse().ok()),
            source: owned(source),
        });
        match package {
            Some(mut package) => {
                package.vendor = owned(vendor);
                package.installed_size = size.and_then(|size| size.parse().ok());
                findings.package(package);
            }
            None => _ = problem.get_or_insert("rpm manifest: a line has no name or no version"),
        }
    }
    problem.map_or(Ok(()), |reason| Err(Problem::malformed(reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)], sound: bool) -> Vec<crate::Package> {
        let mut findings = Findings::default();
        assert_eq!(read(text, &mut findings).is_ok(), sound, "{text:?}");
        let found: Vec<_> = findings.packages().iter().map(|p| (p.name.as_str(), p.version.as_str())).collect();
        assert_eq!(found, expected, "{text:?}");
        findings.packages().to_vec()
    }

    const QUUX: &str =
        "quux-libs\t2.4-1.azl3\t1700000000\t1690000000\tExample Corp\t(none)\t4096\tx86_64\t0\tquux-2.4-1.azl3.src.rpm";

    #[test]
    fn lines_are_packages() {
        let package = check(&format!("{QUUX}\n\n"), &[("quux-libs", "2.4-1.azl3")], true).remove(0);
        assert_eq!(package.vendor.as_deref(), Some("Example Corp"));
        assert_eq!(package.installed_size, Some(4096));
        assert_eq!(package.qualifiers["arch"], "x86_64");
        assert_eq!(package.qualifiers["upstream"], "quux-2.4-1.azl3.src.rpm");
        assert_eq!(package.qualifiers.get("epoch"), None);
        assert_eq!(package.source.map(|source| source.name).as_deref(), Some("quux"));
        // The last line need not end; more fields may come one day.
        check(&format!("{QUUX}\r\n{QUUX}\tmore"), &[("quux-libs", "2.4-1.azl3"); 2], true);
        let key = "gpg-pubkey\t3135ce90-5e6fda74\t1\t1\t(none)\t(none)\t0\t(none)\t0\t(none)";
        check(&format!("{key}\n{QUUX}"), &[("quux-libs", "2.4-1.azl3")], true);
        check("", &[], true);
    }

    #[test]
    fn the_epoch_is_that_of_either_field() {
        let epoch = |text: &str| check(text, &[("quux-libs", "2.4-1.azl3")], true)[0].qualifiers.get("epoch").cloned();
        assert_eq!(epoch(&QUUX.replace("(none)", "2").replace("\t0\t", "\t2\t")).as_deref(), Some("2"));
        assert_eq!(epoch(&QUUX.replace("\t0\t", "\t2\t")).as_deref(), Some("2"));
        assert_eq!(epoch(&QUUX.replace("\t0\t", "\t(none)\t")), None);
    }

    #[test]
    fn a_broken_line_hides_no_other() {
        check(&format!("quux\t1-1\t5\n{QUUX}"), &[("quux-libs", "2.4-1.azl3")], false);
        check(&format!("{}\n{QUUX}", QUUX.replace("2.4-1.azl3\t", "\t")), &[("quux-libs", "2.4-1.azl3")], false);
        check("no list at all\n", &[], false);
    }
}
