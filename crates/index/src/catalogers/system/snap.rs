//! Snaps, and the Debian packages that a snap was made from.
//!
//! | File | Holds |
//! | --- | --- |
//! | `meta/snap.yaml` | the snap: `name`, `version`, `type`, `base`, `architectures`, `license`, `summary` |
//! | `usr/share/snappy/dpkg.yaml` | a base snap's packages: `packages: [<name>[:<architecture>]=<version>]` |
//! | `snap/manifest.yaml` | the packages a snap was primed with: `primed-stage-packages`, in the same form |
//!
//! Source: Snapcraft's documentation of the three. A snap has no dpkg database, and its packages are Ubuntu's,
//! whatever system it lies in. `snap/snapcraft.yaml` is a recipe without versions and is not read.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::catalogers::check_count;
use crate::package::Package;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Bytes of a file. The manifest of the largest snaps, parts and all, stays under 1 MiB.
const LONGEST: usize = 16 << 20;

/// Reads what snaps say of themselves.
#[derive(Debug)]
pub(crate) struct Snap;

impl Cataloger for Snap {
    fn name(&self) -> &'static str {
        "snap"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/meta/snap.yaml").path("**/usr/share/snappy/dpkg.yaml").path("**/snap/manifest.yaml")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        if contents.whole()?.len() > LONGEST {
            return Err(Problem::malformed(format!("{} of more than {LONGEST} bytes", file.name())));
        }
        let text = contents.text()?;
        // Depth, nodes and what aliases unfold to are bounded by the parser's default budget.
        let document: Document = serde_saphyr::from_str(&text)
            .map_err(|error| Problem::malformed(format!("{}: {}", file.name(), first_line(&error.to_string()))))?;
        if file.name() == "snap.yaml" {
            findings.package(document.snap());
            return Ok(());
        }
        for package in document.packages.iter().chain(&document.primed_stage_packages) {
            if let Some(package) = debian(package, &document.architectures) {
                check_count(findings)?;
                findings.package(package);
            }
        }
        Ok(())
    }
}

/// All three files; none shares a field with another that would mean something else there.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Document {
    name: String,
    version: String,
    #[serde(rename = "type")]
    kind: String,
    base: String,
    license: String,
    summary: String,
    architectures: Vec<String>,
    packages: Vec<String>,
    primed_stage_packages: Vec<String>,
}

impl Document {
    /// The snap, or a package without a name (which is dropped).
    fn snap(self) -> Package {
        if self.version.is_empty() {
            return Package::default();
        }
        let arch = match &*self.architectures {
            [arch] if arch != "all" => arch.clone(),
            _ => String::new(),
        };
        let qualifiers: BTreeMap<_, _> = [("arch", arch), ("base", self.base), ("type", self.kind)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        let optional = |text: String| (!text.is_empty()).then_some(text);
        Package {
            kind: "snap".to_owned(),
            name: self.name,
            version: self.version,
            qualifiers,
            licenses: optional(self.license).into_iter().collect(),
            description: optional(self.summary),
            ..Package::default()
        }
    }
}

/// `libssl1.1:amd64=1.1.1f-1ubuntu2`; without an architecture it is the snap's, if that has one only.
fn debian(text: &str, architectures: &[String]) -> Option<Package> {
    let (name, version) = text.split_once('=')?;
    let (name, arch) = name.trim().split_once(':').unwrap_or((name.trim(), ""));
    let arch = match architectures {
        [only] if arch.is_empty() => only,
        _ => arch,
    };
    let version = version.trim();
    let invalid = |text: &str| text.is_empty() || text.contains(char::is_whitespace);
    if invalid(name) || invalid(version) {
        return None;
    }
    let mut package = Package {
        kind: "deb".to_owned(),
        namespace: Some("ubuntu".to_owned()),
        name: name.to_owned(),
        version: version.to_owned(),
        ..Package::default()
    };
    if !arch.is_empty() {
        package.qualifiers.insert("arch".to_owned(), arch.to_owned());
    }
    Some(package)
}

/// A parser's message goes on with an excerpt of the file.
fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(path: &str, text: &[u8]) -> (Vec<Package>, Result<(), Problem>) {
        let file = File { path, size: text.len() as u64, executable: false };
        let mut findings = Findings::default();
        let result = Snap.catalog(&file, &mut Contents::held(text), &mut findings);
        (findings.packages().to_vec(), result)
    }

    const SNAP: &str = "\
name: quux
version: 24.10
summary: Quux, the snap
description: |
  More
  words
license: GPL-3.0
base: core24
architectures:
  - arm64
apps:
  quux: {command: bin/quux, plugs: [home]}
";

    #[test]
    fn reads_a_snap() {
        let qualifiers = [("arch", "arm64"), ("base", "core24")];
        let expected = Package {
            kind: "snap".into(),
            name: "quux".into(),
            // Unquoted it is a number to YAML; snapd takes it as it is written.
            version: "24.10".into(),
            qualifiers: qualifiers.into_iter().map(|(key, value)| (key.into(), value.into())).collect(),
            licenses: vec!["GPL-3.0".into()],
            description: Some("Quux, the snap".into()),
            ..Package::default()
        };
        assert_eq!(read("snap/quux/12/meta/snap.yaml", SNAP.as_bytes()).0, [expected]);
        let check = |text: &str, expected: usize| {
            let (found, result) = read("snap/quux/12/meta/snap.yaml", text.as_bytes());
            assert!(result.is_ok(), "{text}: {result:?}");
            assert_eq!(found.len(), expected, "{text}");
        };
        check("name: quux\nversion: '1'\narchitectures: [amd64, arm64]\ntype: os\n", 1);
        check("name: quux\n", 0);
        check("version: 1\n", 0);
        assert!(read("snap/quux/12/meta/snap.yaml", b"name: [").1.is_err());
        assert!(read("snap/quux/12/meta/snap.yaml", b"just words").1.is_err());
    }

    #[test]
    fn reads_the_packages_it_was_made_from() {
        let check = |path: &str, text: &str, expected: &[&str]| {
            let (found, result) = read(path, text.as_bytes());
            assert!(result.is_ok(), "{path}: {result:?}");
            let found: Vec<_> = found
                .iter()
                .map(|p| format!("{} {} {}", p.name, p.version, p.qualifiers.get("arch").map_or("", |arch| arch)))
                .collect();
            assert_eq!(found, expected, "{path}");
        };
        check(
            "snap/core20/1/usr/share/snappy/dpkg.yaml",
            "package-repositories:\n- {type: apt, ppa: x/y}\npackages:\n- adduser=3.118ubuntu2\n- libssl1.1:amd64=1.1.1f-1\n- broken\n- =1\n- a=\n",
            &["adduser 3.118ubuntu2 ", "libssl1.1 1.1.1f-1 amd64"],
        );
        check(
            "snap/quux/1/snap/manifest.yaml",
            "name: quux\nversion: 1\narchitectures: [arm64]\nprimed-stage-packages:\n- libc6=2.35-0ubuntu3\nparts: {a: {stage-packages: [b]}}\n",
            &["libc6 2.35-0ubuntu3 arm64"],
        );
        // Some other program's.
        check("srv/snap/manifest.yaml", "kind: ConfigMap\n", &[]);
    }

    #[test]
    fn aliases_do_not_multiply() {
        let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for (one, before) in "bcdefghij".chars().zip("abcdefghi".chars()) {
            bomb.push_str(&format!("{one}: &{one} [{}]\n", vec![format!("*{before}"); 9].join(",")));
        }
        bomb.push_str("packages: *j\n");
        assert!(read("usr/share/snappy/dpkg.yaml", bomb.as_bytes()).1.is_err());
        let deep = format!("name: a\nversion: 1\nx: {}", "[".repeat(100_000));
        assert!(read("meta/snap.yaml", deep.as_bytes()).1.is_err());
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0..SNAP.len(), byte: u8, cut in 0..SNAP.len()) {
            let mut text = SNAP.as_bytes().to_vec();
            text[at] = byte;
            text.truncate(cut);
            let _ = read("meta/snap.yaml", &text);
        }
    }
}
