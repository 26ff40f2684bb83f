//! One layer: entries, the tar they make, and its compression.

use std::collections::BTreeMap;
use std::io::Write as _;

use bytes::Bytes;
use flate2::GzBuilder;
use tar::{EntryType, Header};

use super::seekable::{self, Members};

/// When everything in a layer was last changed (2024-01-01T00:00:00Z): a fixed time, so that the
/// same entries give the same digest on every machine and every day.
const CHANGED: u64 = 1_704_067_200;

/// The room for a name in a tar header; longer names take a GNU `@LongLink` entry.
const NAME_ROOM: usize = 100;

/// How a layer is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// A plain tar.
    None,
    /// gzip, what nearly every image has.
    #[default]
    Gzip,
    /// zstd.
    Zstd,
    /// gzip with a table of contents: eStargz. The layer gets a landmark and the table as further entries.
    EStargz,
    /// eStargz in which small files share a gzip member.
    EStargzMerged,
    /// zstd with a table of contents: zstd:chunked.
    ZstdChunked,
}

/// A packed layer.
pub(crate) struct Packed {
    pub(crate) bytes: Bytes,
    /// What it inflates to.
    pub(crate) tar: Bytes,
    /// What its descriptor must say.
    pub(crate) annotations: BTreeMap<String, String>,
}

impl Compression {
    /// Packs `tar`. The result depends on nothing but the input and the version of the packer.
    pub(crate) fn pack(self, tar: &Bytes) -> Packed {
        let bytes = match self {
            Self::EStargz => return seekable::estargz(tar, Members::OfOneChunk),
            Self::EStargzMerged => return seekable::estargz(tar, Members::Merged),
            Self::ZstdChunked => return seekable::zstd_chunked(tar),
            Self::None => tar.clone(),
            Self::Gzip => {
                // A fixed "operating system" byte and no time: the header must not tell where it was made.
                let mut packer = GzBuilder::new().operating_system(255).write(Vec::new(), flate2::Compression::new(6));
                packer.write_all(tar).expect("writing into memory does not fail");
                packer.finish().expect("writing into memory does not fail").into()
            }
            Self::Zstd => zstd::encode_all(&tar[..], 3).expect("packing from memory into memory does not fail").into(),
        };
        Packed { bytes, tar: tar.clone(), annotations: BTreeMap::new() }
    }

    /// What the media type of an OCI layer ends with.
    pub(crate) fn oci_suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip | Self::EStargz | Self::EStargzMerged => "+gzip",
            Self::Zstd | Self::ZstdChunked => "+zstd",
        }
    }

    /// What the media type of a Docker layer ends with.
    pub(crate) fn docker_suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip | Self::EStargz | Self::EStargzMerged => ".gzip",
            Self::Zstd | Self::ZstdChunked => ".zstd",
        }
    }
}

/// What an [`Entry`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A file with these contents.
    File(Bytes),
    /// A directory.
    Directory,
    /// A symbolic link to this target, as written.
    Symlink(String),
    /// A hard link to this path of the same layer.
    HardLink(String),
    /// A named pipe: an entry that has no contents and must not be opened.
    Fifo,
    /// Bytes that are put into the tar as they are, for entries that no tar program writes.
    Raw(Bytes),
}

/// One entry of a layer's tar.
///
/// Names are written as given: `./`, a leading `/` and `..` stay, because foreign images have them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name, with `/` between its parts.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits.
    pub mode: u32,
}

impl Entry {
    /// A file with mode 0644.
    pub fn file(path: impl Into<String>, contents: impl Into<Bytes>) -> Self {
        Self { path: path.into(), kind: EntryKind::File(contents.into()), mode: 0o644 }
    }

    /// A file with mode 0755.
    pub fn executable(path: impl Into<String>, contents: impl Into<Bytes>) -> Self {
        Self { mode: 0o755, ..Self::file(path, contents) }
    }

    /// The path and the header type, link target and contents that go with it.
    fn write(&self, tar: &mut Vec<u8>) {
        let (kind, link, contents): (EntryType, &str, &[u8]) = match &self.kind {
            EntryKind::Raw(bytes) => return tar.extend_from_slice(bytes),
            EntryKind::File(bytes) => (EntryType::Regular, "", bytes),
            EntryKind::Directory => (EntryType::Directory, "", b""),
            EntryKind::Symlink(target) => (EntryType::Symlink, target, b""),
            EntryKind::HardLink(target) => (EntryType::Link, target, b""),
            EntryKind::Fifo => (EntryType::Fifo, "", b""),
        };
        if link.len() > NAME_ROOM {
            write_member(tar, EntryType::GNULongLink, "././@LongLink", "", 0o644, &terminated(link));
        }
        if self.path.len() > NAME_ROOM {
            write_member(tar, EntryType::GNULongName, "././@LongLink", "", 0o644, &terminated(&self.path));
        }
        write_member(tar, kind, &self.path, link, self.mode, contents);
    }
}

/// A GNU long name ends with a zero byte.
fn terminated(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

/// Writes a header, the contents and the padding to the next block of 512 bytes.
///
/// `tar::Builder` is not used because it refuses the names that hostile images have.
pub(super) fn write_member(tar: &mut Vec<u8>, kind: EntryType, path: &str, link: &str, mode: u32, contents: &[u8]) {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(CHANGED);
    header.set_size(contents.len() as u64);
    let fields = header.as_old_mut();
    fill(&mut fields.name, path);
    fill(&mut fields.linkname, link);
    header.set_cksum();
    tar.extend_from_slice(header.as_bytes());
    tar.extend_from_slice(contents);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

fn fill(field: &mut [u8; NAME_ROOM], text: &str) {
    let length = text.len().min(NAME_ROOM);
    field[..length].copy_from_slice(&text.as_bytes()[..length]);
}

/// A layer in the making.
///
/// # Examples
///
/// ```
/// use supercargo_testkit::{Compression, Layer};
///
/// let layer = Layer::new()
///     .file("etc/motd", "welcome\n")
///     .symlink("etc/greeting", "motd")
///     .whiteout("etc/issue")
///     .with_compression(Compression::Zstd);
/// assert_eq!(layer.entries().len(), 3);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layer {
    entries: Vec<Entry>,
    whole: Option<Bytes>,
    compression: Compression,
}

impl Layer {
    /// An empty layer, packed with gzip.
    pub fn new() -> Self {
        Self::default()
    }

    /// A layer from the bytes of a whole tar, or of something that only claims to be one.
    pub fn from_tar(tar: impl Into<Bytes>) -> Self {
        Self { whole: Some(tar.into()), ..Self::default() }
    }

    /// Sets how the layer is packed.
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Adds entries in their order.
    pub fn with_entries(mut self, entries: impl IntoIterator<Item = Entry>) -> Self {
        self.entries.extend(entries);
        self
    }

    /// Adds a file.
    pub fn file(self, path: impl Into<String>, contents: impl Into<Bytes>) -> Self {
        self.with_entries([Entry::file(path, contents)])
    }

    /// Adds an executable file.
    pub fn executable(self, path: impl Into<String>, contents: impl Into<Bytes>) -> Self {
        self.with_entries([Entry::executable(path, contents)])
    }

    /// Adds a directory; the name gets its closing `/` as tar programs write it.
    pub fn directory(self, path: impl Into<String>) -> Self {
        let mut path = path.into();
        if !path.ends_with('/') {
            path.push('/');
        }
        self.with_entries([Entry { path, kind: EntryKind::Directory, mode: 0o755 }])
    }

    /// Adds a symbolic link.
    pub fn symlink(self, path: impl Into<String>, target: impl Into<String>) -> Self {
        self.with_entries([Entry { path: path.into(), kind: EntryKind::Symlink(target.into()), mode: 0o777 }])
    }

    /// Adds a hard link to another path of this layer.
    pub fn hard_link(self, path: impl Into<String>, target: impl Into<String>) -> Self {
        self.with_entries([Entry { path: path.into(), kind: EntryKind::HardLink(target.into()), mode: 0o644 }])
    }

    /// Marks `path` of a lower layer as removed: `etc/motd` writes `etc/.wh.motd`.
    pub fn whiteout(self, path: &str) -> Self {
        let marker = match path.rsplit_once('/') {
            Some((directory, name)) => format!("{directory}/.wh.{name}"),
            None => format!(".wh.{path}"),
        };
        self.file(marker, "")
    }

    /// Hides everything that lower layers have in `directory`.
    pub fn opaque(self, directory: &str) -> Self {
        self.file(format!("{}/.wh..wh..opq", directory.trim_end_matches('/')), "")
    }

    /// Adds bytes to the tar as they are. They should be a multiple of 512.
    pub fn raw(self, bytes: impl Into<Bytes>) -> Self {
        self.with_entries([Entry { path: String::new(), kind: EntryKind::Raw(bytes.into()), mode: 0 }])
    }

    /// The entries so far.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn compression(&self) -> Compression {
        self.compression
    }

    /// The tar of this layer, ended by two zero blocks.
    pub fn tar(&self) -> Bytes {
        if let Some(whole) = &self.whole {
            return whole.clone();
        }
        let mut tar = Vec::new();
        for entry in &self.entries {
            entry.write(&mut tar);
        }
        tar.resize(tar.len() + 1024, 0);
        tar.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(layer: &Layer) -> Vec<(String, EntryType, Option<String>)> {
        let tar = layer.tar();
        let mut archive = tar::Archive::new(&tar[..]);
        let entries = archive.entries().unwrap();
        entries
            .map(|entry| {
                let entry = entry.unwrap();
                let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
                let link = entry.link_name_bytes().map(|name| String::from_utf8(name.into_owned()).unwrap());
                (path, entry.header().entry_type(), link)
            })
            .collect()
    }

    #[test]
    fn names_and_links_are_read_back_as_written() {
        let long = format!("deep/{}/file", "x".repeat(180));
        let layer = Layer::new()
            .directory("usr/lib")
            .file("./etc/a", "a")
            .file("/absolute", "b")
            .file("../outside", "c")
            .file(long.clone(), "d")
            .symlink("lib", "usr/lib")
            .symlink("far", long.clone())
            .hard_link("etc/b", "etc/a")
            .whiteout("etc/old")
            .whiteout("top")
            .opaque("var/lib/");
        let names: Vec<_> = listing(&layer).into_iter().map(|(path, _, link)| (path, link)).collect();
        let expected: Vec<(String, Option<String>)> = vec![
            ("usr/lib/".into(), None),
            ("./etc/a".into(), None),
            ("/absolute".into(), None),
            ("../outside".into(), None),
            (long.clone(), None),
            ("lib".into(), Some("usr/lib".into())),
            ("far".into(), Some(long)),
            ("etc/b".into(), Some("etc/a".into())),
            ("etc/.wh.old".into(), None),
            (".wh.top".into(), None),
            ("var/lib/.wh..wh..opq".into(), None),
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn packed_layers_unpack_to_the_tar() {
        let layer = Layer::new().file("a", vec![7; 100_000]);
        let tar = layer.tar();
        let mut unpacked = Vec::new();
        std::io::copy(&mut flate2::read::GzDecoder::new(&Compression::Gzip.pack(&tar).bytes[..]), &mut unpacked)
            .unwrap();
        assert_eq!(unpacked, tar);
        assert_eq!(zstd::decode_all(&Compression::Zstd.pack(&tar).bytes[..]).unwrap(), tar);
        assert_eq!(Compression::None.pack(&tar).bytes, tar);
    }
}
