//! Packages of chiselled Ubuntu images, which have slices of Debian packages and no dpkg database.
//!
//! `var/lib/chisel/manifest.wall` is zstd over JSON lines, sorted. Source: chisel's `public/manifest` and `jsonwall`.
//!
//! | `kind` | Fields of use | |
//! | --- | --- | --- |
//! | `package` | `name`, `version`, `arch` | a package that something was cut from |
//! | `path` | `path`, `slices`: `<package>_<slice>` | a file, and who it is of; directories end in a slash |
//! | `slice`, `content` | | the same, the other way round: not read |
//!
//! Licences come with `usr/share/doc/<package>/copyright`, which [`dpkg`](super::dpkg) reads.

use std::collections::HashMap;
use std::io::{BufRead as _, Read as _};

use serde::Deserialize;

use super::unpack;
use crate::catalogers::MOST_PACKAGES;
use crate::package::Package;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Inflated bytes. A manifest has about 300 for each file of the image; a large JRE stays under 1 MiB.
const LONGEST: u64 = 32 << 20;

/// Bytes of one line.
const LONGEST_LINE: u64 = 1 << 20;

/// Packages that one path is of. Shared directories have a few dozen slices.
const MOST_OWNERS: usize = 256;

/// Bytes of all owned paths. One hostile line could name one long path and thousands of slices.
const MOST_PATH_BYTES: usize = 64 << 20;

/// Reads chisel's manifest.
#[derive(Debug)]
pub(crate) struct Chisel;

impl Cataloger for Chisel {
    fn name(&self) -> &'static str {
        "chisel"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/chisel/manifest.wall")
    }

    fn catalog(&self, _file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let mut packages = Vec::new();
        let read = read(contents.whole()?, &mut packages);
        packages.into_iter().for_each(|package| findings.package(package));
        read
    }
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    arch: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    slices: Vec<String>,
}

fn read(bytes: &[u8], packages: &mut Vec<Package>) -> Result<(), Problem> {
    let broken = |error: std::io::Error| Problem::malformed(format!("chisel manifest: {error}"));
    let mut lines = unpack::open(bytes).map_err(broken)?.take(LONGEST);
    let mut by_name: HashMap<String, usize> = HashMap::new();
    let mut path_bytes = 0;
    let mut line = Vec::new();
    let mut first = true;
    loop {
        line.clear();
        (&mut lines).take(LONGEST_LINE).read_until(b'\n', &mut line).map_err(broken)?;
        if lines.limit() == 0 {
            return Err(Problem::malformed(format!("chisel manifest: more than {LONGEST} bytes")));
        }
        if line.is_empty() {
            return Ok(());
        }
        if std::mem::take(&mut first) {
            // The header names the format; a file without it is somebody else's.
            if !line.starts_with(b"{\"jsonwall\"") {
                return Ok(());
            }
            continue;
        }
        let line: Line =
            serde_json::from_slice(&line).map_err(|error| Problem::malformed(format!("chisel manifest: {error}")))?;
        match &*line.kind {
            "package" if !line.name.is_empty() && !line.version.is_empty() => {
                if packages.len() >= MOST_PACKAGES {
                    return Err(Problem::malformed(format!("more than {MOST_PACKAGES} packages in one file")));
                }
                by_name.insert(line.name.clone(), packages.len());
                packages.push(package(line));
            }
            "path" if !line.path.ends_with('/') => {
                let path = line.path.trim_start_matches('/');
                for slice in line.slices.iter().take(MOST_OWNERS) {
                    let owner = slice.split('_').next().and_then(|name| by_name.get(name));
                    let Some(owner) = owner.and_then(|&index| packages.get_mut(index)) else { continue };
                    // Two slices of one package may share a file.
                    if owner.files.last().is_none_or(|last| last != path) && path_bytes + path.len() <= MOST_PATH_BYTES
                    {
                        path_bytes += path.len();
                        owner.files.push(path.to_owned());
                    }
                }
            }
            _ => {}
        }
    }
}

fn package(line: Line) -> Package {
    let mut package = Package { kind: "deb".to_owned(), name: line.name, version: line.version, ..Package::default() };
    if !line.arch.is_empty() {
        package.qualifiers.insert("arch".to_owned(), line.arch);
    }
    package
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> (Vec<Package>, Result<(), Problem>) {
        let file = File { path: "var/lib/chisel/manifest.wall", size: bytes.len() as u64, executable: false };
        let mut findings = Findings::default();
        let result = Chisel.catalog(&file, &mut Contents::held(bytes), &mut findings);
        (findings.packages().to_vec(), result)
    }

    /// In the form that chisel 1.1 writes.
    const WALL: &str = r#"{"jsonwall":"1.0","schema":"1.0","count":8}
{"kind":"content","slice":"libquux2_libs","path":"/usr/lib/libquux.so.2"}
{"kind":"package","name":"libquux2","version":"1:2.4-1ubuntu3","sha256":"00","arch":"arm64"}
{"kind":"package","name":"quux","version":"1:2.4-1ubuntu3","sha256":"00","arch":"arm64"}
{"kind":"path","path":"/usr/lib/","mode":"0755","slices":["libquux2_libs","quux_bins"]}
{"kind":"path","path":"/usr/lib/libquux.so.2","mode":"0644","slices":["libquux2_core","libquux2_libs","quux_x"],"sha256":"00","size":9}
{"kind":"path","path":"/usr/lib/libquux.so","mode":"0644","slices":["libquux2_libs","gone_libs"],"link":"libquux.so.2"}
{"kind":"slice","name":"libquux2_libs"}
"#;

    #[test]
    fn reads_packages_and_what_they_own() {
        let package = |name: &str, files: &[&str]| Package {
            kind: "deb".into(),
            name: name.into(),
            version: "1:2.4-1ubuntu3".into(),
            qualifiers: [("arch".into(), "arm64".into())].into(),
            files: files.iter().map(|&file| file.into()).collect(),
            ..Package::default()
        };
        let expected = [
            package("libquux2", &["usr/lib/libquux.so.2", "usr/lib/libquux.so"]),
            package("quux", &["usr/lib/libquux.so.2"]),
        ];
        for bytes in [WALL.as_bytes().to_vec(), zstd::encode_all(WALL.as_bytes(), 19).unwrap()] {
            let (found, result) = read(&bytes);
            assert!(result.is_ok());
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_is_no_manifest_holds_nothing() {
        for text in ["", "{}\n", "brick\n", r#"{"kind":"package","name":"a","version":"1"}"#] {
            let (found, result) = read(text.as_bytes());
            assert!(found.is_empty() && result.is_ok(), "{text}");
        }
    }

    #[test]
    fn a_broken_manifest_keeps_what_came_before() {
        let cut = WALL.split_once("{\"kind\":\"path\"").unwrap().0;
        let (found, result) = read(format!("{cut}{{\"kind\":").as_bytes());
        assert_eq!(found.len(), 2);
        assert!(result.unwrap_err().to_string().starts_with("chisel manifest: "));
        let packed = zstd::encode_all(WALL.as_bytes(), 19).unwrap();
        assert!(read(&packed[..packed.len() - 9]).1.is_err());
    }

    #[test]
    fn a_bomb_is_refused() {
        let header = "{\"jsonwall\":\"1.0\",\"schema\":\"1.0\",\"count\":8}\n";
        let line = |length: usize| format!("{{\"kind\":\"content\",\"path\":\"{}\"}}\n", "x".repeat(length));
        let wall = |lines: String| zstd::encode_all(format!("{header}{lines}").as_bytes(), 1).unwrap();
        let (_, result) = read(&wall(line(1_000_000).repeat(40)));
        assert!(result.unwrap_err().to_string().contains("more than"));
        assert!(read(&wall(line(2_000_000))).1.is_err());
        assert!(read(&wall(line(900_000))).1.is_ok());
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0..WALL.len(), byte: u8, cut in 0..WALL.len(), packed: bool) {
            let mut text = WALL.as_bytes().to_vec();
            text.truncate(cut.max(1));
            if packed {
                text = zstd::encode_all(&*text, 1).unwrap();
            }
            let length = text.len();
            text[at % length] = byte;
            let _ = read(&text);
        }
    }
}
