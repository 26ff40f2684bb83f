//! Packs of SWI-Prolog, from the `pack.pl` of each.
//!
//! A `pack.pl` is a list of facts: `name(quux).`, `version('1.2.0').`. `pack_install/1` unpacks into
//! `…/swi-prolog/pack/<name>`; a `pack.pl` elsewhere is that of a project. Source of the format:
//! <https://www.swi-prolog.org/pldoc/man?section=packs>.

use crate::catalogers::field;
use crate::catalogers::terms::{self, Syntax, Term};
use crate::package::{Evidence, Package};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Bytes of a `pack.pl`: twenty lines.
const LONGEST: usize = 1 << 20;

/// Reads `pack.pl`.
#[derive(Debug)]
pub(crate) struct Swipl;

impl Cataloger for Swipl {
    fn name(&self) -> &'static str {
        "swipl"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/pack.pl")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let text = field::text(contents, LONGEST)?;
        // Perl has the extension, too.
        let Ok(facts) = terms::parse(&text, Syntax::Prolog) else { return Ok(()) };
        let value = |name: &str| {
            facts.windows(2).find_map(|pair| match pair {
                [Term::Text(head), Term::Tuple(arguments)] if head == name => arguments.first()?.text(),
                _ => None,
            })
        };
        let (Some(name), Some(version)) = (value("name").and_then(field::word), value("version").and_then(field::word))
        else {
            return Ok(());
        };
        let mut above = file.directory().rsplit('/');
        let is_installed = above.next() == Some(&*name) && above.next() == Some("pack");
        findings.package(Package {
            kind: "swiplpack".to_owned(),
            name,
            version,
            licenses: value("license").and_then(field::line).into_iter().collect(),
            author: value("author").and_then(field::line),
            description: value("title").and_then(field::line),
            url: value("home").and_then(field::word),
            evidence: if is_installed { Evidence::Installed } else { Evidence::Declared },
            ..Package::default()
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::testing;

    const PATH: &str = "root/.local/share/swi-prolog/pack/quux/pack.pl";
    const QUUX: &str = "\
% The quux. name(other).
name(quux).
version('2.4.1').
title('name(x). Quuxes').
author( 'Ann', 'ann@example.org' ).
home( 'https://quux.example.org' ).
requires(prolog >= '9.0.0').
/* version('9'). */
";

    #[test]
    fn reads_every_field() {
        assert_eq!(
            testing::packages(&Swipl, PATH, QUUX),
            [Package {
                kind: "swiplpack".into(),
                name: "quux".into(),
                version: "2.4.1".into(),
                author: Some("Ann".into()),
                description: Some("name(x). Quuxes".into()),
                url: Some("https://quux.example.org".into()),
                ..Package::default()
            }]
        );
        assert_eq!(testing::brief(&Swipl, "app/pack.pl", QUUX), ["quux 2.4.1?"]);
        assert_eq!(testing::brief(&Swipl, PATH, "name(quux)."), [""; 0]);
        assert_eq!(testing::brief(&Swipl, PATH, "my ($x, $y) = @_; print \"a"), [""; 0]);
    }

    proptest! {
        #[test]
        fn mutations_never_panic(change: (usize, u8, usize)) {
            testing::mutate(&Swipl, PATH, QUUX, change);
        }
    }
}
