//! Julia packages, from the `Project.toml` of each.
//!
//! Source of the format: <https://pkgdocs.julialang.org/v1/toml-files/#Project.toml>.
//!
//! | Path | Is evidence of |
//! | --- | --- |
//! | `<depot>/packages/<name>/<slug>/Project.toml` | an installed package |
//! | `share/julia/stdlib/v1.10/<name>/Project.toml` | a package of the standard library |
//! | elsewhere | a project's manifest: declared |
//!
//! Packages are known by name and UUID; the UUID becomes the qualifier that the type definition of package URLs asks
//! for. What a project is built from stands in its manifest: see `declared::julia`.

use serde::Deserialize;

use crate::catalogers::field::{self, Few, Scalar};
use crate::package::{Evidence, Package};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Reads `Project.toml`.
#[derive(Debug)]
pub(crate) struct Julia;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Project {
    name: Scalar,
    uuid: Scalar,
    version: Scalar,
    license: Scalar,
    desc: Scalar,
    authors: Few<Scalar, 64>,
}

impl Cataloger for Julia {
    fn name(&self) -> &'static str {
        "julia"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/Project.toml").path("**/JuliaProject.toml")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let installed = unpacked(file.directory());
        let project: Project = match field::toml(contents) {
            Ok(project) => project,
            Err(Problem::Malformed(_)) if installed.is_none() => return Ok(()),
            Err(problem) => return Err(problem),
        };
        let Some(mut package) = package(project.name.text(), project.uuid.text(), project.version.text()) else {
            return Ok(());
        };
        let is_installed = installed == Some(&*package.name);
        if is_installed {
            package.evidence = Evidence::Installed;
        } else if package.version.is_empty() {
            return Ok(());
        }
        package.licenses = field::line(project.license.text()).into_iter().collect();
        package.description = field::line(project.desc.text());
        package.author = project.authors.0.first().and_then(|author| field::line(author.text()));
        findings.package(package);
        Ok(())
    }
}

/// The name of the package that Julia keeps in this directory.
fn unpacked(directory: &str) -> Option<&str> {
    let mut segments = directory.rsplit('/');
    let (own, parent, grandparent) = (segments.next()?, segments.next()?, segments.next()?);
    match (grandparent, parent) {
        ("packages", name) => Some(name),
        ("stdlib", version) if version.starts_with('v') => Some(own),
        _ => None,
    }
}

/// A declared package, if the name and the UUID can be such.
pub(in crate::catalogers) fn package(name: &str, uuid: &str, version: &str) -> Option<Package> {
    let is_uuid = uuid.len() == 36 && uuid.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    Some(Package {
        kind: "julia".to_owned(),
        name: field::word(name)?,
        version: field::word(version).unwrap_or_default(),
        qualifiers: [("uuid".to_owned(), is_uuid.then(|| uuid.to_ascii_lowercase())?)].into(),
        evidence: Evidence::Declared,
        ..Package::default()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::testing;

    const PATH: &str = "root/.julia/packages/Quux/x1Yz2/Project.toml";
    const QUUX: &str = "\
name = \"Quux\"
uuid = \"01234567-89ab-cdef-0123-456789ABCDEF\"
license = \"MIT\"
authors = [\"Ann Example <ann@example.org>\", \"Bob\"]
version = \"2.4.1\"

[deps]
Dates = \"ade2ca70-3891-5945-98fb-dc099432e06a\"

[compat]
julia = \"1.6\"
";

    #[test]
    fn reads_every_field() {
        assert_eq!(
            testing::packages(&Julia, PATH, QUUX),
            [Package {
                kind: "julia".into(),
                name: "Quux".into(),
                version: "2.4.1".into(),
                qualifiers: [("uuid".into(), "01234567-89ab-cdef-0123-456789abcdef".into())].into(),
                licenses: vec!["MIT".into()],
                author: Some("Ann Example <ann@example.org>".into()),
                ..Package::default()
            }]
        );
    }

    #[test]
    fn where_it_lies_decides() {
        let check = |path: &str, text: &str, expected: &[&str]| {
            assert_eq!(testing::brief(&Julia, path, text), expected, "{path}: {text}");
        };
        let no_version = QUUX.replace("version", "x_version");
        check("usr/share/julia/stdlib/v1.8/Quux/Project.toml", &no_version, &["Quux"]);
        check("app/Project.toml", &no_version, &[]);
        check("app/Project.toml", QUUX, &["Quux 2.4.1?"]);
        check("root/.julia/packages/Quux/x1Yz2/test/Project.toml", "[deps]\n", &[]);
        check("root/.julia/packages/Other/x1Yz2/Project.toml", QUUX, &["Quux 2.4.1?"]);
        check("app/Project.toml", "name = \"a\"\nuuid = \"b\"\nversion = \"1\"\n", &[]);
        check("app/Project.toml", "= 1", &[]);
        assert!(testing::find(&Julia, PATH, b"= 1").is_err());
    }

    proptest! {
        #[test]
        fn mutations_never_panic(change: (usize, u8, usize)) {
            testing::mutate(&Julia, PATH, QUUX, change);
        }
    }
}
