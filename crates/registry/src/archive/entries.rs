//! A tar's table of contents, read once.

use std::collections::HashMap;
use std::io::{self, Read, Seek};
use std::path::{Component, Path};

use tar::EntryType;

use super::TarFile;
use crate::digest::parse_digest;
use crate::{Error, ErrorKind, Result};

/// Entries that a tar of images may have. A layout of 10 000 images stays below.
const ENTRIES: usize = 1_000_000;
/// Links that lead on to links.
const LINKS: usize = 8;

/// Where a file's bytes are in the tar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

#[derive(Clone, Debug)]
enum Item {
    File(Extent),
    /// A link's target, from the tar's root. Old `docker save` stores a layer once and links to it.
    Link(String),
}

/// Names of a tar and what they lead to. Of two entries with one name the last counts, as when unpacking.
#[derive(Debug)]
pub(crate) struct TarEntries(HashMap<String, Item>);

impl TarEntries {
    pub(crate) fn read(file: &TarFile) -> Result<Self> {
        let malformed = |error: io::Error| Error::new(ErrorKind::Malformed, "read it as a tar").with_source(error);
        let mut items = HashMap::new();
        if file.compressed {
            let mut archive = tar::Archive::new(file.reader(0).map_err(malformed)?);
            for entry in archive.entries().map_err(malformed)? {
                note(&mut items, &entry.map_err(malformed)?)?;
            }
        } else {
            let mut archive = tar::Archive::new(std::fs::File::open(&file.path).map_err(malformed)?);
            for entry in seekable(&mut archive).map_err(malformed)? {
                note(&mut items, &entry.map_err(malformed)?)?;
            }
        }
        if items.is_empty() {
            return Err(Error::new(ErrorKind::Malformed, "it is an empty tar, or none"));
        }
        Ok(Self(items))
    }

    /// The file that `name` leads to, through links within the tar.
    pub(crate) fn find(&self, name: &str) -> Option<Extent> {
        let mut name = normalise("", name)?;
        for _ in 0..LINKS {
            match self.0.get(&name)? {
                Item::File(extent) => return Some(*extent),
                Item::Link(target) => name.clone_from(target),
            }
        }
        None
    }

    /// The files under `blobs/` by their digests.
    pub(crate) fn blobs(&self) -> HashMap<String, Extent> {
        let mut blobs = HashMap::new();
        for name in self.0.keys() {
            let Some((algorithm, encoded)) = name.strip_prefix("blobs/").and_then(|rest| rest.split_once('/')) else {
                continue;
            };
            if let (Ok(digest), Some(extent)) = (parse_digest(&format!("{algorithm}:{encoded}")), self.find(name)) {
                blobs.insert(digest.to_string(), extent);
            }
        }
        blobs
    }
}

/// Skips over contents instead of reading them.
fn seekable<R: Read + Seek>(archive: &mut tar::Archive<R>) -> io::Result<tar::Entries<'_, R>> {
    archive.entries_with_seek()
}

fn note<R: Read>(items: &mut HashMap<String, Item>, entry: &tar::Entry<'_, R>) -> Result<()> {
    if items.len() >= ENTRIES {
        return Err(Error::new(ErrorKind::LimitExceeded, format!("read it as a tar: more than {ENTRIES} entries")));
    }
    let path = entry.path_bytes();
    // Names outside UTF-8 are none of an image's.
    let Some(name) = std::str::from_utf8(&path).ok().and_then(|path| normalise("", path)) else { return Ok(()) };
    let link = || entry.link_name_bytes().and_then(|target| String::from_utf8(target.into_owned()).ok());
    let item = match entry.header().entry_type() {
        EntryType::Regular | EntryType::Continuous => {
            Some(Item::File(Extent { offset: entry.raw_file_position(), length: entry.size() }))
        }
        EntryType::Link => link().and_then(|target| normalise("", &target)).map(Item::Link),
        EntryType::Symlink => {
            let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
            link().and_then(|target| normalise(folder, &target)).map(Item::Link)
        }
        _ => None,
    };
    if let Some(item) = item {
        items.insert(name, item);
    }
    Ok(())
}

/// `path` within `folder`, as a name from the tar's root; `None` if it leads out of it.
fn normalise(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> =
        if path.starts_with('/') { Vec::new() } else { folder.split('/').filter(|part| !part.is_empty()).collect() };
    for component in Path::new(path).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::ParentDir => drop(parts.pop()?),
            Component::CurDir | Component::RootDir => {}
            Component::Prefix(_) => return None,
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check = |folder: &str, path: &str, expected: Option<&str>| {
            assert_eq!(normalise(folder, path).as_deref(), expected, "{folder} {path}");
        };
        check("", "./manifest.json", Some("manifest.json"));
        check("", "/manifest.json", Some("manifest.json"));
        check("abc", "../def/layer.tar", Some("def/layer.tar"));
        check("abc", "../../etc/shadow", None);
        check("", "../x", None);
        check("", ".", None);
        check("a/b", "c//d/./e", Some("a/b/c/d/e"));
    }
}
