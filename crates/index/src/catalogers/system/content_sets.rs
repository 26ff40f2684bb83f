//! Which repositories the system's packages came from: what Red Hat's advisories are to be matched by.
//!
//! | File | Holds |
//! | --- | --- |
//! | `root/buildinfo/content_manifests/*.json` | `content_sets`, an array of repository IDs: images built by Red Hat |
//! | `usr/share/buildinfo/*.json` | the same; bootable images and those of Konflux |
//! | `var/lib/dnf/history.sqlite` | the repositories that dnf installed from: table `repo`, `libdnf/transaction/sql` |
//! | `usr/lib/sysimage/libdnf5/transaction_history.sqlite` | the same of dnf 5 |
//!
//! Each file speaks of what was installed up to its layer, so the sets are kept apart, each with its place. They are
//! facts of the image and not of single packages: a content manifest does not say which package is of which
//! repository, and a qualifier would give one package another package URL in every image.
//!
//! `root/buildinfo/Dockerfile-*` and `labels.json` are not read: they repeat the labels of the image's configuration,
//! which the result holds whole.
//!
//! Format: `atomic_reactor/schemas/content_manifest.json` of
//! <https://github.com/containerbuildsystem/atomic-reactor>.

use serde::Deserialize;

use crate::catalogers::sqlite;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Repositories of one file. Real ones name some dozen.
const MOST_REPOSITORIES: usize = 10_000;

/// Longest ID that is kept.
const LONGEST_ID: usize = 512;

/// Reads content manifests and dnf's history.
#[derive(Debug)]
pub(super) struct ContentSets;

#[derive(Deserialize)]
struct ContentManifest {
    #[serde(default)]
    content_sets: Vec<String>,
}

impl Cataloger for ContentSets {
    fn name(&self) -> &'static str {
        "content-sets"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new()
            .path("root/buildinfo/content_manifests/*.json")
            .path("usr/share/buildinfo/*.json")
            .path("var/lib/dnf/history.sqlite")
            .path("usr/lib/sysimage/libdnf5/transaction_history.sqlite")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        if file.name().ends_with(".json") {
            let manifest: ContentManifest = serde_json::from_str(&contents.text()?)
                .map_err(|error| Problem::malformed(format!("content manifest: {error}")))?;
            return manifest.content_sets.into_iter().try_for_each(|id| add(findings, id));
        }
        let Some(database) = sqlite::Database::open(contents.whole()?)? else { return Ok(()) };
        let Some(root) = database.table("repo")? else { return Ok(()) };
        database.rows(root, |row| match row.values().nth(1) {
            // dnf's own stand-ins for what came from no repository: `@System`, `@commandline`.
            Some(sqlite::Value::Text([b'@', ..])) => Ok(()),
            Some(sqlite::Value::Text(id)) if id.len() <= LONGEST_ID => {
                add(findings, String::from_utf8_lossy(id).into_owned())
            }
            _ => Ok(()),
        })
    }
}

fn add(findings: &mut Findings, id: String) -> Result<(), Problem> {
    if findings.repositories().len() >= MOST_REPOSITORIES {
        return Err(Problem::malformed(format!("more than {MOST_REPOSITORIES} repositories in one file")));
    }
    if !id.is_empty() && id.len() <= LONGEST_ID {
        findings.repository(id);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogers::sqlite::tests::{Cell, database};

    fn read(path: &str, bytes: &[u8]) -> (Vec<String>, Result<(), Problem>) {
        let file = File { path, size: bytes.len() as u64, executable: false };
        let mut findings = Findings::default();
        let result = ContentSets.catalog(&file, &mut Contents::held(bytes), &mut findings);
        (findings.repositories().to_vec(), result)
    }

    #[test]
    fn content_manifests_name_repositories() {
        let check = |text: &str, expected: &[&str], sound: bool| {
            let (found, result) = read("root/buildinfo/content_manifests/quux-1-2.json", text.as_bytes());
            assert_eq!((found, result.is_ok()), (expected.iter().map(|&id| id.to_owned()).collect(), sound), "{text}");
        };
        check(
            r#"{"metadata": {"icm_version": 1, "image_layer_index": 2}, "from_dnf_hint": true,
                "content_sets": ["quux-1-for-x86_64-rpms", "", "quux-1-extras"], "image_contents": [{"purl": "x"}]}"#,
            &["quux-1-for-x86_64-rpms", "quux-1-extras"],
            true,
        );
        check(r#"{"name": "quux", "cpe": "cpe:/a:example:quux:1"}"#, &[], true);
        check(r#"{"content_sets": "one"}"#, &[], false);
        check("{", &[], false);
        let many = format!(r#"{{"content_sets": [{}"a"]}}"#, r#""a","#.repeat(MOST_REPOSITORIES));
        assert!(read("a.json", many.as_bytes()).1.is_err());
    }

    #[test]
    fn dnf_knows_what_it_installed_from() {
        let rows: Vec<Vec<Cell>> = ["baseos", "@System", "", "appstream"]
            .iter()
            .map(|id| vec![Cell::Null, Cell::Text((*id).to_owned())])
            .collect();
        let history = database(512, &[("trans", vec![]), ("repo", rows)]);
        let (found, result) = read("var/lib/dnf/history.sqlite", &history);
        result.unwrap();
        assert_eq!(found, ["baseos", "appstream"]);
        assert!(read("var/lib/dnf/history.sqlite", b"").1.is_ok());
        assert!(read("var/lib/dnf/history.sqlite", &database(512, &[("other", vec![])])).1.is_ok());
    }
}
