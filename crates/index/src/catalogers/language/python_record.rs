//! What stands beside the metadata of an installed Python distribution: the files that it owns, and where it came
//! from if not from an index.
//!
//! | File of `*.dist-info` | | Source |
//! | --- | --- | --- |
//! | `RECORD` | CSV: path from the directory above (or absolute), hash, size | <https://packaging.python.org/en/latest/specifications/recording-installed-packages/> |
//! | `direct_url.json` | `url`, and `vcs_info` or `archive_info` | <https://packaging.python.org/en/latest/specifications/direct-url/> |
//!
//! Bytecode is left out: it doubles the list and says nothing that its source does not. A directory (`dir_info`,
//! `file:`) is the machine of somebody who built the image, and says nothing either.

use serde::Deserialize;

use crate::package::Supplement;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Files of one distribution. The largest (machine learning frameworks) have some 15 000 besides their bytecode.
const MOST_FILES: usize = 20_000;

/// Bytes of the paths of one distribution; the directories above it are repeated in each.
const MOST_PATH_BYTES: usize = 4 << 20;

/// Bytes of a `direct_url.json`.
const LONGEST_DIRECT_URL: usize = 64 << 10;

/// Reads `RECORD` and `direct_url.json` files.
#[derive(Debug)]
pub(crate) struct PythonRecord;

impl Cataloger for PythonRecord {
    fn name(&self) -> &'static str {
        "python-record"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/*.dist-info/RECORD").path("**/*.dist-info/direct_url.json")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let text = contents.text()?;
        let mut supplement = Supplement { kind: "pypi".to_owned(), beside: true, ..Supplement::default() };
        if file.name() == "RECORD" {
            let above = file.directory().rsplit_once('/').map_or("", |(above, _)| above);
            supplement.files = owned_files(above, &text);
        } else if let Some((key, value)) = origin(&text) {
            supplement.qualifiers.insert(key.to_owned(), value);
        }
        if !supplement.files.is_empty() || !supplement.qualifiers.is_empty() {
            findings.supplement(supplement);
        }
        Ok(())
    }
}

fn owned_files(above: &str, record: &str) -> Vec<String> {
    let mut files = Vec::new();
    let mut bytes = 0;
    for path in record.lines().filter_map(first_field) {
        if path.ends_with(".pyc") {
            continue;
        }
        let Some(path) = resolve(above, &path) else { continue };
        bytes += path.len();
        if files.len() >= MOST_FILES || bytes > MOST_PATH_BYTES {
            break;
        }
        files.push(path);
    }
    files
}

/// The first field of a line of CSV; a quoted one may hold commas and doubled quotes.
fn first_field(line: &str) -> Option<String> {
    let field = match line.strip_prefix('"') {
        Some(quoted) => {
            let end = quoted.find("\",").or_else(|| quoted.strip_suffix('"').map(str::len))?;
            quoted[..end].replace("\"\"", "\"")
        }
        None => line.split(',').next()?.to_owned(),
    };
    (!field.is_empty()).then_some(field)
}

/// `path` seen from the directory `above`, from the image's root; `None` if it leads out of the image.
fn resolve(above: &str, path: &str) -> Option<String> {
    let mut segments: Vec<&str> = if path.starts_with('/') { Vec::new() } else { above.split('/').collect() };
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => _ = segments.pop()?,
            segment => segments.push(segment),
        }
    }
    Some(segments.join("/").trim_start_matches('/').to_owned()).filter(|path| !path.is_empty())
}

/// Where the distribution came from, as a package URL qualifier.
fn origin(text: &str) -> Option<(&'static str, String)> {
    #[derive(Deserialize)]
    struct DirectUrl {
        url: String,
        vcs_info: Option<VcsInfo>,
        archive_info: Option<serde::de::IgnoredAny>,
    }
    #[derive(Deserialize)]
    struct VcsInfo {
        vcs: String,
        commit_id: String,
    }

    let text = text.get(..LONGEST_DIRECT_URL.min(text.len()))?;
    let direct: DirectUrl = serde_json::from_str(text).ok()?;
    let (scheme, rest) = direct.url.split_once("://")?;
    if scheme == "file" {
        return None;
    }
    // Whoever built the image may have had to sign in.
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = rest[..end].rfind('@').map_or(0, |at| at + 1);
    let url = format!("{scheme}://{}", rest[host..].split(['?', '#']).next().unwrap_or_default());
    match (direct.vcs_info, direct.archive_info) {
        (Some(VcsInfo { vcs, commit_id }), _) => Some(("vcs_url", format!("{vcs}+{url}@{commit_id}"))),
        (None, Some(_)) => Some(("download_url", url)),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(name: &str, text: &str) -> Vec<Supplement> {
        let path = format!("opt/venv/lib/python3/site-packages/a-1.dist-info/{name}");
        let file = File { path: &path, size: text.len() as u64, executable: false };
        let mut findings = Findings::default();
        PythonRecord.catalog(&file, &mut Contents::held(text.as_bytes()), &mut findings).expect("has no way to fail");
        findings.supplements().to_vec()
    }

    const RECORD: &str = "\
../../../bin/a,sha256=AA,10
a/__init__.py,sha256=AA,10
a/__pycache__/__init__.cpython-311.pyc,,
\"a/b,\"\"c\"\".txt\",sha256=AA,10
a-1.dist-info/RECORD,,
/etc/a.conf,,
../../../../../../../etc/shadow,,
,,
";

    #[test]
    fn records_name_files_from_the_root() {
        let found = read("RECORD", RECORD);
        assert!(found[0].beside && found[0].kind == "pypi" && found[0].name.is_empty());
        let site = "opt/venv/lib/python3/site-packages";
        let expected = [
            "opt/venv/bin/a".to_owned(),
            format!("{site}/a/__init__.py"),
            format!("{site}/a/b,\"c\".txt"),
            format!("{site}/a-1.dist-info/RECORD"),
            "etc/a.conf".to_owned(),
        ];
        assert_eq!(found[0].files, expected);
        assert_eq!(read("RECORD", ""), []);
        assert_eq!(resolve("", "a/../b"), Some("b".into()));
        assert_eq!(resolve("a", ".."), None);
    }

    #[test]
    fn records_are_bounded() {
        let many = "a/b.py,,\n".repeat(MOST_FILES + 10);
        assert_eq!(read("RECORD", &many)[0].files.len(), MOST_FILES);
        let long = format!("{},,\n", "a".repeat(MOST_PATH_BYTES / 2));
        assert_eq!(read("RECORD", &long.repeat(4))[0].files.len(), 1);
    }

    #[test]
    fn origins_are_told_without_credentials() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let found = origin(text);
            assert_eq!(found.as_ref().map(|(key, value)| (*key, &**value)), expected, "{text}");
        };
        check(
            r#"{"url": "https://user:secret@example.org/a.git",
                "vcs_info": {"vcs": "git", "requested_revision": "main", "commit_id": "0123"}}"#,
            Some(("vcs_url", "git+https://example.org/a.git@0123")),
        );
        check(
            r#"{"url": "https://example.org/a@b/a-1.whl?token=secret#sha256=00", "archive_info": {"hash": "sha256=00"}}"#,
            Some(("download_url", "https://example.org/a@b/a-1.whl")),
        );
        check(r#"{"url": "file:///tmp/a", "archive_info": {}}"#, None);
        check(r#"{"url": "https://example.org/a", "dir_info": {"editable": true}}"#, None);
        check("{", None);
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0..RECORD.len(), byte: u8) {
            let mut text = RECORD.as_bytes().to_vec();
            text[at] = byte;
            read("RECORD", &String::from_utf8_lossy(&text));
            origin(&String::from_utf8_lossy(&text));
        }
    }
}
