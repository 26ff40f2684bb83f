//! Conda packages, from the record that conda, mamba and micromamba keep of each in an environment.
//!
//! `<environment>/conda-meta/<name>-<version>-<build>.json` is a `PrefixRecord`: the package's entry of the channel's
//! index, and what was linked. Source of the format:
//! <https://docs.conda.io/projects/conda/en/stable/dev-guide/api/conda/models/records/index.html>
//!
//! | Field | Becomes |
//! | --- | --- |
//! | `name`, `version`, `license`, `size` | the same |
//! | `build` | qualifier `build` |
//! | `channel` | qualifier `channel`: `conda-forge`, or the last part of a URL before the platform |
//! | `subdir` | qualifier `subdir`: `linux-64`, `noarch` |
//! | `fn` | qualifier `type`: `conda` or `tar.bz2`, its extension |
//! | `url` | home page is not recorded; this is where it was fetched |
//! | `depends` | what it requires: `python >=3.9,<4`, of which the first word |
//! | `files` | owned files, under the environment's directory |

use serde::Deserialize;

use crate::catalogers::field::{self, Few, Scalar};
use crate::package::{Package, Requirement};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Bytes of a record. The largest, of packages with 70 000 files, have about 20 MiB.
const LONGEST: usize = 32 << 20;

/// Owned files of one package. The largest real ones have 70 000.
const MOST_FILES: usize = 200_000;

/// Packages that one needs. Metapackages name some hundreds.
const MOST_DEPENDENCIES: usize = 4096;

/// Linux's `PATH_MAX`.
const LONGEST_PATH: usize = 4096;

/// Bytes of all owned paths of one package: a deep environment and many short names make far more than the record.
const MOST_PATH_BYTES: usize = 64 << 20;

/// Platforms that end a channel's URL: <https://docs.conda.io/projects/conda/en/stable/dev-guide/deep-dives/context.html>.
const PLATFORMS: &[&str] = &["noarch", "linux-", "osx-", "win-", "freebsd-", "emscripten-", "wasi-", "zos-"];

/// Reads `conda-meta/*.json`.
#[derive(Debug)]
pub(crate) struct Conda;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Record {
    name: Scalar,
    version: Scalar,
    build: Scalar,
    channel: Scalar,
    subdir: Scalar,
    r#fn: Scalar,
    license: Scalar,
    size: Option<u64>,
    depends: Few<Scalar, MOST_DEPENDENCIES>,
    files: Few<Scalar, MOST_FILES>,
}

impl Cataloger for Conda {
    fn name(&self) -> &'static str {
        "conda"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/conda-meta/*.json")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let record: Record = serde_json::from_str(&field::text(contents, LONGEST)?)
            .map_err(|error| Problem::malformed(format!("json: {error}")))?;
        let (Some(name), Some(version)) = (field::word(record.name.text()), field::word(record.version.text())) else {
            return Ok(());
        };
        let mut package = Package {
            kind: "conda".to_owned(),
            name,
            version,
            licenses: field::line(record.license.text()).into_iter().collect(),
            size: record.size,
            requires: record
                .depends
                .0
                .iter()
                .filter_map(|depends| required(depends.text()))
                .map(Requirement::of)
                .collect(),
            files: owned(file.directory().trim_end_matches("conda-meta"), &record.files),
            ..Package::default()
        };
        let archive = record.r#fn.text();
        let kind = ["conda", "tar.bz2"].into_iter().find(|kind| archive.ends_with(&format!(".{kind}")));
        let qualifiers = [
            ("build", record.build.text()),
            ("channel", channel(record.channel.text())),
            ("subdir", record.subdir.text()),
            ("type", kind.unwrap_or_default()),
        ];
        for (key, value) in qualifiers {
            if let Some(value) = field::word(value) {
                package.qualifiers.insert(key.to_owned(), value);
            }
        }
        findings.package(package);
        Ok(())
    }
}

/// `python` of `conda-forge::python[version='>=3.9']` and of `python >=3.9,<4`.
fn required(depends: &str) -> Option<&str> {
    let depends = depends.rsplit_once("::").map_or(depends, |(_, depends)| depends);
    depends.trim_start().split([' ', '[', '=', '<', '>', '!', '~']).next().filter(|name| !name.is_empty())
}

/// `main` of `https://repo.anaconda.com/pkgs/main/linux-64`, `conda-forge` of `conda-forge/noarch` and of itself.
fn channel(text: &str) -> &str {
    let text = text.trim_end_matches('/');
    let channel = match text.rsplit_once('/') {
        Some((channel, last)) if PLATFORMS.iter().any(|platform| last.starts_with(platform)) => channel,
        _ => text,
    };
    channel.rsplit('/').next().unwrap_or(channel)
}

fn owned(environment: &str, files: &Few<Scalar, MOST_FILES>) -> Vec<String> {
    let mut bytes = 0;
    let inside = |path: &str| !path.is_empty() && !path.starts_with('/') && !path.split('/').any(|part| part == "..");
    files
        .0
        .iter()
        .map(Scalar::text)
        .filter(|path| inside(path) && environment.len() + path.len() <= LONGEST_PATH)
        .take_while(|path| {
            bytes += environment.len() + path.len();
            bytes <= MOST_PATH_BYTES
        })
        .map(|path| format!("{environment}{path}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::testing;

    const PATH: &str = "opt/conda/envs/quux/conda-meta/quux-2.4.1-h1_0.json";
    const QUUX: &str = r#"{"name": "quux", "version": "2.4.1", "build": "h1_0", "build_number": 0, "size": 4096,
        "channel": "https://conda.anaconda.org/conda-forge/linux-64", "subdir": "linux-64", "depends":
        ["libc >=2", "conda-forge::foo-bar[version='>=3']", "baz=1.0=h1", "", 7],
        "fn": "quux-2.4.1-h1_0.conda", "license": "MIT AND BSD-3-Clause", "features": "", "noarch": null,
        "files": ["bin/quux", "lib/python3.12/site-packages/quux.py", "/etc/passwd", "../up"],
        "paths_data": {"paths": [{"_path": "bin/quux", "sha256": "00"}], "paths_version": 1}, "link": {"type": 1}}"#;

    #[test]
    fn reads_every_field() {
        let qualifiers = [("build", "h1_0"), ("channel", "conda-forge"), ("subdir", "linux-64"), ("type", "conda")];
        assert_eq!(
            testing::packages(&Conda, PATH, QUUX),
            [Package {
                kind: "conda".into(),
                name: "quux".into(),
                version: "2.4.1".into(),
                qualifiers: qualifiers.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
                licenses: vec!["MIT AND BSD-3-Clause".into()],
                size: Some(4096),
                requires: ["libc", "foo-bar", "baz", "7"].map(Requirement::of).into(),
                files: vec![
                    "opt/conda/envs/quux/bin/quux".into(),
                    "opt/conda/envs/quux/lib/python3.12/site-packages/quux.py".into()
                ],
                ..Package::default()
            }]
        );
    }

    #[test]
    fn the_channel_is_named_in_short() {
        let check = |text: &str, expected: &str| assert_eq!(channel(text), expected, "{text}");
        check("https://repo.anaconda.com/pkgs/main/linux-64", "main");
        check("https://conda.anaconda.org/conda-forge/noarch/", "conda-forge");
        check("https://conda.anaconda.org/conda-forge", "conda-forge");
        check("conda-forge/osx-arm64", "conda-forge");
        check("defaults", "defaults");
        check("<unknown>", "<unknown>");
        check("", "");
    }

    #[test]
    fn a_record_has_a_name_and_a_version() {
        let check = |text: &str, expected: &[&str]| assert_eq!(testing::brief(&Conda, PATH, text), expected, "{text}");
        check(r#"{"name": "a", "version": "1.0"}"#, &["a 1.0"]);
        check(r#"{"name": "a", "version": "1.0", "license": ["MIT"], "size": null, "channel": {}}"#, &["a 1.0"]);
        check(r#"{"name": "a"}"#, &[]);
        check(r#"{"specs": []}"#, &[]);
        assert!(testing::find(&Conda, PATH, b"{").is_err());
    }

    #[test]
    fn environments_lie_anywhere() {
        assert!(testing::wants(Conda, "opt/conda/conda-meta/a-1-0.json"));
        assert!(testing::wants(Conda, "conda-meta/a-1-0.json"));
        assert!(!testing::wants(Conda, "opt/conda/conda-meta/history"));
        assert!(!testing::wants(Conda, "opt/conda/conda-meta/cache/a.json"));
    }

    #[test]
    fn owned_paths_are_bounded() {
        let directory = "d/".repeat(1500);
        let path = format!("{directory}conda-meta/a.json");
        let files = vec!["\"f\""; MOST_FILES + 10].join(",");
        let text = format!(r#"{{"name": "a", "version": "1", "files": [{files}]}}"#);
        let total: usize = testing::packages(&Conda, &path, &text)[0].files.iter().map(String::len).sum();
        assert!(total <= MOST_PATH_BYTES && total > MOST_PATH_BYTES / 2, "{total}");
    }

    proptest! {
        #[test]
        fn mutations_never_panic(change: (usize, u8, usize)) {
            testing::mutate(&Conda, PATH, QUUX, change);
        }
    }
}
