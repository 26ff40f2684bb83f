//! Paket's files.
//!
//! `paket.lock`: <https://fsprojects.github.io/Paket/lock-file.html>. Sections without indent (`NUGET`, `GITHUB`, and
//! more after each `GROUP name`), within them `remote:` at two spaces, packages at four, what they ask for at six:
//!
//! ```text
//! NUGET
//!   remote: https://api.nuget.org/v3/index.json
//!     NUnit (2.6.4)
//!       NUnit.Console (>= 3.0)
//! GITHUB
//!   remote: fsharp/FAKE
//!     src/app/FAKE/Cli.fs (0123456789abcdef0123456789abcdef01234567)
//! ```
//!
//! `paket.dependencies`: <https://fsprojects.github.io/Paket/dependencies-file.html>. A line each:
//! `nuget NUnit ~> 2.6.3`, `github fsharp/FAKE:5.20.4 path`. The version is the lower bound, if it has any.

use super::package;
use crate::catalogers::check_count;
use crate::package::{Evidence, Package};
use crate::{Findings, Problem};

pub(super) fn lock(text: &str, findings: &mut Findings) -> Result<(), Problem> {
    let (mut section, mut remote) = ("", "");
    for line in text.lines().map(str::trim_end) {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let rest = &line[indent..];
        match indent {
            0 if !rest.is_empty() => (section, remote) = (rest, ""),
            2 => {
                if let Some(of) = rest.strip_prefix("remote:") {
                    remote = of.trim();
                }
            }
            4 => {
                // `NUnit (2.6.4)`, with settings behind it: ` - restriction: >= net45`.
                let Some((name, rest)) = rest.split_once(" (") else { continue };
                let Some((version, _)) = rest.split_once(')') else { continue };
                if version.contains(['<', '>', '=', '~']) {
                    continue;
                }
                check_count(findings)?;
                match section {
                    "NUGET" => findings.package(package(name, version)),
                    // The name is a file of the repository, or the repository itself.
                    "GITHUB" => findings.package(repository(if remote.is_empty() { name } else { remote }, version)),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn dependencies(text: &str, findings: &mut Findings) -> Result<(), Problem> {
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (source, Some(name)) = (words.next(), words.next()) else { continue };
        let found = match source {
            Some("nuget") => {
                let bound = words.find(|word| !word.trim_start_matches(['<', '>', '=', '~', '!', '@']).is_empty());
                let version = bound.map(|word| word.trim_start_matches(['<', '>', '=', '~', '!', '@']));
                package(
                    name,
                    version.filter(|version| version.starts_with(|c: char| c.is_ascii_digit())).unwrap_or_default(),
                )
            }
            Some("github") => {
                let (name, reference) = name.split_once(':').unwrap_or((name, ""));
                repository(name, reference)
            }
            _ => continue,
        };
        check_count(findings)?;
        findings.package(found);
    }
    Ok(())
}

/// A repository of GitHub; its package URL's version is a tag or a commit.
fn repository(full_name: &str, version: &str) -> Package {
    let Some((owner, name)) = full_name.split_once('/') else { return Package::default() };
    Package {
        kind: "github".to_owned(),
        namespace: Some(owner.to_owned()),
        evidence: Evidence::Declared,
        ..package(name, version)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::list;

    const LOCK: &str = "\
REDIRECTS: ON
NUGET
  remote: https://api.nuget.org/v3/index.json
    NUnit (2.6.4)
      NUnit.Console (>= 3.0)
    FSharp.Core (4.5) - restriction: >= net45
    Not.Resolved (>= 1.0)
    Broken (1.0

GROUP Build
NUGET
  remote: https://api.nuget.org/v3/index.json
    FAKE (5.20.4)
GITHUB
  remote: fsharp/FAKE
    src/app/FAKE/Cli.fs (0123456789abcdef0123456789abcdef01234567)
HTTP
  remote: https://example.org
    file.fs (/file.fs)
";

    #[test]
    fn lock_files() {
        assert_eq!(
            list("app/paket.lock", LOCK).unwrap(),
            [
                "nuget NUnit 2.6.4",
                "nuget FSharp.Core 4.5",
                "nuget FAKE 5.20.4",
                "github fsharp/FAKE 0123456789abcdef0123456789abcdef01234567",
            ]
        );
        assert_eq!(list("app/paket.lock", "GITHUB\n    acme/quux (v1)\n").unwrap(), ["github acme/quux v1"]);
    }

    #[test]
    fn dependencies() {
        let check = |line: &str, expected: &[&str]| {
            assert_eq!(list("app/paket.dependencies", line).unwrap(), expected, "{line}");
        };
        check("nuget NUnit ~> 2.6.3", &["nuget NUnit 2.6.3"]);
        check("  nuget NUnit >= 8.0.5 lowest_matching: true", &["nuget NUnit 8.0.5"]);
        check("nuget NUnit ==1.0", &["nuget NUnit 1.0"]);
        check("nuget NUnit", &["nuget NUnit "]);
        check("nuget NUnit prerelease", &["nuget NUnit "]);
        check("github acme/quux", &["github acme/quux "]);
        check("github acme/quux:2.13.5 file.fs", &["github acme/quux 2.13.5"]);
        check("// nuget NUnit 1\n# nuget NUnit 1\nsource https://x\ngroup Build\ngist acme/1\nnuget", &[]);
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0..LOCK.len(), byte: u8, cut in 0..LOCK.len()) {
            let mut text = LOCK.as_bytes().to_vec();
            text[at] = byte;
            text.truncate(cut);
            _ = list("paket.lock", &String::from_utf8_lossy(&text));
            _ = list("paket.dependencies", &String::from_utf8_lossy(&text));
        }
    }
}
