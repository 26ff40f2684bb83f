//! What carton pins for a Perl project: `cpanfile.snapshot`.
//!
//! Source of the format: `Carton::Snapshot::Parser` in <https://github.com/perl-carton/carton>. Under `DISTRIBUTIONS`
//! each distribution with its version is indented by two spaces, and what belongs to it by more: `pathname` (whose
//! third part is the publisher), `provides`, `requirements`.

use crate::catalogers::language::perl::{publisher, split};
use crate::catalogers::{check_count, field};
use crate::package::{Evidence, Package};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Bytes of a snapshot. Each module of a distribution has a line, 400 distributions have 1 MiB.
const LONGEST: usize = 16 << 20;

/// Reads `cpanfile.snapshot`.
#[derive(Debug)]
pub(crate) struct Carton;

impl Cataloger for Carton {
    fn name(&self) -> &'static str {
        "carton"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/cpanfile.snapshot")
    }

    fn catalog(&self, _file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let text = field::text(contents, LONGEST)?;
        let mut package = Package::default();
        for line in text.lines() {
            let depth = line.len() - line.trim_start_matches(' ').len();
            let line = line.trim();
            if depth == 2 && !line.starts_with('#') {
                check_count(findings)?;
                findings.package(std::mem::replace(&mut package, distribution(line).unwrap_or_default()));
            } else if depth == 4
                && let Some(pathname) = line.strip_prefix("pathname:")
            {
                package.namespace = publisher(pathname.trim());
            }
        }
        findings.package(package);
        Ok(())
    }
}

fn distribution(line: &str) -> Option<Package> {
    let (name, version) = split(line)?;
    Some(Package {
        kind: "cpan".to_owned(),
        name: field::word(name)?,
        version: field::word(version)?,
        evidence: Evidence::Declared,
        ..Package::default()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::testing;

    const QUUX: &str = "\
# carton snapshot format: version 1.0
DISTRIBUTIONS
  Quux-Core-2.41
    pathname: A/AN/ANN/Quux-Core-2.41.tar.gz
    provides:
      Quux::Core 2.41
      Quux::Core::Util undef
    requirements:
      ExtUtils::MakeMaker 0
      perl 5.010
  libquux-perl-v6.72.1
    pathname: B/BO/BOB/libquux-perl-v6.72.1.tar.gz
    requirements:
      Quux-Core-9 0
";

    #[test]
    fn distributions_are_indented_by_two() {
        assert_eq!(testing::brief(&Carton, "cpanfile.snapshot", QUUX), ["Quux-Core 2.41?", "libquux-perl v6.72.1?"]);
        let publishers =
            testing::packages(&Carton, "cpanfile.snapshot", QUUX).into_iter().map(|p| p.namespace.unwrap());
        assert_eq!(publishers.collect::<Vec<_>>(), ["ANN", "BOB"]);
        assert_eq!(testing::brief(&Carton, "cpanfile.snapshot", "DISTRIBUTIONS\n  no version\n"), [""; 0]);
    }

    proptest! {
        #[test]
        fn mutations_never_panic(change: (usize, u8, usize)) {
            testing::mutate(&Carton, "cpanfile.snapshot", QUUX, change);
        }
    }
}
