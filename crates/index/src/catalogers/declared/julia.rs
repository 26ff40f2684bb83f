//! What a Julia project is built from: `Manifest.toml`.
//!
//! Source of the format: <https://pkgdocs.julialang.org/v1/toml-files/#Manifest.toml>.
//!
//! | | Format 1 | Format 2, since Julia 1.6.2 |
//! | --- | --- | --- |
//! | packages | `[[Name]]` | `[[deps.Name]]` |
//! | Julia's version | not said | `julia_version` |
//!
//! Packages of the standard library have no `version` (and nothing that says where they are from): it is that of
//! Julia, or unknown. Two packages may share a name; the UUID tells them apart.

use toml::{Table, Value};

use crate::catalogers::language::julia::package;
use crate::catalogers::{check_count, field};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Reads `Manifest.toml`.
#[derive(Debug)]
pub(crate) struct JuliaManifest;

impl Cataloger for JuliaManifest {
    fn name(&self) -> &'static str {
        "julia-manifest"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        // Since 1.11 a project may have one for each version: `Manifest-v1.11.toml`.
        Interest::new().path("**/Manifest.toml").path("**/JuliaManifest.toml").path("**/Manifest-v*.toml")
    }

    fn catalog(&self, _file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let manifest: Table = field::toml(contents)?;
        let julia = manifest.get("julia_version").and_then(Value::as_str).unwrap_or_default();
        let packages = match manifest.get("deps") {
            Some(Value::Table(packages)) => packages,
            _ => &manifest,
        };
        for (name, entries) in packages {
            for entry in entries.as_array().into_iter().flatten() {
                let text = |key: &str| entry.get(key).and_then(Value::as_str);
                let is_standard = ["path", "repo-url", "git-tree-sha1"].iter().all(|key| entry.get(key).is_none());
                let version = text("version").unwrap_or(if is_standard { julia } else { "" });
                if let Some(package) = package(name, text("uuid").unwrap_or_default(), version) {
                    check_count(findings)?;
                    findings.package(package);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::testing;

    const QUUX: &str = "\
julia_version = \"1.9.0\"
manifest_format = \"2.0\"
project_hash = \"f00\"

[[deps.Dates]]
deps = [\"Printf\"]
uuid = \"ade2ca70-3891-5945-98fb-dc099432e06a\"

[[deps.Local]]
path = \"../Local\"
uuid = \"01234567-89ab-cdef-0123-456789abcde0\"

[[deps.Quux]]
git-tree-sha1 = \"16b6dbc4cf7caee4e1e75c49485ec67b667098a0\"
uuid = \"01234567-89ab-cdef-0123-456789abcdef\"
version = \"2.4.1\"

    [deps.Quux.extensions]
    QuuxExt = \"Dates\"

[[deps.Twin]]
uuid = \"01234567-89ab-cdef-0123-456789abcde1\"
version = \"1.0.0\"
[[deps.Twin]]
uuid = \"01234567-89ab-cdef-0123-456789abcde2\"
version = \"1.0.0\"
";

    #[test]
    fn both_formats() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(testing::brief(&JuliaManifest, "app/Manifest.toml", text), expected);
        };
        check(QUUX, &["Dates 1.9.0?", "Local?", "Quux 2.4.1?", "Twin 1.0.0?", "Twin 1.0.0?"]);
        let first = "[[Dates]]\nuuid = \"ade2ca70-3891-5945-98fb-dc099432e06a\"\n\n[[Quux]]\ndeps = [\"Dates\"]\n\
            uuid = \"01234567-89ab-cdef-0123-456789abcdef\"\nversion = \"0.1.0\"\n\n[Quux.deps]\nDates = \"x\"\n";
        check(&first.replace("deps = [\"Dates\"]\n", ""), &["Dates?", "Quux 0.1.0?"]);
        check("[[deps]]\nname = \"a\"\n", &[]);
        check("julia_version = \"1.9.0\"\nmanifest_format = \"2.0\"\n\n[deps]\n", &[]);
        check("", &[]);
        assert!(testing::find(&JuliaManifest, "Manifest.toml", b"= 1").is_err());
        assert!(testing::wants(JuliaManifest, "app/Manifest-v1.11.toml"));
    }

    proptest! {
        #[test]
        fn mutations_never_panic(change: (usize, u8, usize)) {
            testing::mutate(&JuliaManifest, "Manifest.toml", QUUX, change);
        }
    }
}
