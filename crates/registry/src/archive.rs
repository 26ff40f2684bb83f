//! Images in a tar file, as `docker save`, `skopeo` and their like write them. Nothing is unpacked.
//!
//! Two formats are read, and both in one file, as Docker 25 and later write them:
//!
//! - **OCI archive**: an OCI layout in a tar.
//! - **docker archive**: `manifest.json` with the names of configurations and layers. It has no image manifest
//!   and no blob digests, so a manifest is made: in an uncompressed layer's place stands its diff ID, which *is*
//!   the digest of its bytes; a compressed layer (Bazel, jib and kaniko write such) is hashed once when the file
//!   is opened. The manifest's digest is stable for a file, and no registry knows it.

mod docker;
mod entries;

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use oci_spec::image::Digest;

use crate::layout::repository_of;
use crate::local::{BlobFiles, Entry, LocalRegistry, SeekRead, entries_of_index};
use crate::{Error, ErrorKind, Result};
use entries::{Extent, TarEntries};

/// Bytes of an `index.json` or a `manifest.json`.
const INDEX_SIZE: u64 = 64 << 20;

/// The images of a tar file.
pub type ArchiveRegistry = LocalRegistry<ArchiveBlobs>;

/// Where in a tar file the blobs are.
pub struct ArchiveBlobs {
    file: TarFile,
    extents: HashMap<String, Extent>,
    /// Documents that are made rather than found.
    made: HashMap<String, Bytes>,
}

impl ArchiveRegistry {
    /// Reads the file's table of contents. It may be compressed with gzip, at the price of inflating it again
    /// up to each blob that is read.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if it is no tar, or a tar without images.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        tokio::task::spawn_blocking(move || {
            Self::open_blocking(&path)
                .map_err(|error| error.during(format_args!("open the archive {}", path.display())))
        })
        .await
        .map_err(Error::from_join)?
    }

    fn open_blocking(path: &Path) -> Result<Self> {
        let file = TarFile::new(path)?;
        let table = TarEntries::read(&file)?;
        let fallback = repository_of(path);
        let mut blobs = ArchiveBlobs { extents: table.blobs(), file, made: HashMap::new() };
        let mut entries: Vec<Entry> = Vec::new();
        if let Some(index) = table.find("index.json") {
            entries = entries_of_index(&blobs.file.read(index, INDEX_SIZE)?, &fallback)?;
            // An index that names nothing of what is here is some other tool's file.
            entries.retain(|entry| blobs.extents.contains_key(entry.descriptor.digest().as_ref()));
        }
        if entries.is_empty() {
            let Some(manifest) = table.find("manifest.json") else {
                return Err(Error::new(ErrorKind::Malformed, "it holds neither index.json nor manifest.json"));
            };
            let manifest = blobs.file.read(manifest, INDEX_SIZE)?;
            entries = docker::entries(&manifest, &table, &mut blobs, &fallback)?;
        }
        Ok(Self::from_parts("archive", path.display().to_string(), entries, blobs))
    }
}

impl BlobFiles for ArchiveBlobs {
    fn open(&self, digest: &Digest) -> io::Result<Option<(Box<dyn SeekRead>, u64)>> {
        if let Some(bytes) = self.made.get(digest.as_ref()) {
            return Ok(Some((Box::new(Cursor::new(bytes.clone())), bytes.len() as u64)));
        }
        match self.extents.get(digest.as_ref()) {
            Some(extent) => Ok(Some((Box::new(Window::new(self.file.clone(), *extent)), extent.length))),
            None => Ok(None),
        }
    }
}

impl fmt::Debug for ArchiveBlobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArchiveBlobs").field("file", &self.file).finish_non_exhaustive()
    }
}

/// A tar file, plain or compressed.
#[derive(Clone, Debug)]
pub(crate) struct TarFile {
    path: PathBuf,
    compressed: bool,
}

impl TarFile {
    fn new(path: &Path) -> Result<Self> {
        let failed = |error: io::Error| Error::new(ErrorKind::Io, "read the file").with_source(error);
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            return Err(Error::new(ErrorKind::Malformed, "it is not a regular file"));
        }
        let mut magic = Vec::new();
        File::open(path).map_err(failed)?.take(6).read_to_end(&mut magic).map_err(failed)?;
        let unsupported = |name: &str| {
            Err(Error::new(ErrorKind::Unsupported, format!("it is compressed with {name}"))
                .with_hint("decompress it first; gzip is read as it is"))
        };
        match magic.as_slice() {
            [0x28, 0xb5, 0x2f, 0xfd, ..] => unsupported("zstd"),
            [0xfd, b'7', b'z', b'X', b'Z', ..] => unsupported("xz"),
            [b'B', b'Z', b'h', ..] => unsupported("bzip2"),
            _ => Ok(Self { path: path.to_owned(), compressed: magic.starts_with(&[0x1f, 0x8b]) }),
        }
    }

    /// The tar's bytes from `offset` on.
    fn reader(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        let mut file = File::open(&self.path)?;
        if !self.compressed {
            file.seek(SeekFrom::Start(offset))?;
            return Ok(Box::new(file));
        }
        let mut inflated = flate2::read::MultiGzDecoder::new(io::BufReader::with_capacity(1 << 16, file));
        let skipped = io::copy(&mut Read::take(&mut inflated, offset), &mut io::sink())?;
        if skipped < offset {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Box::new(inflated))
    }

    /// A small file of the tar, whole.
    fn read(&self, extent: Extent, limit: u64) -> Result<Bytes> {
        if extent.length > limit {
            return Err(Error::new(ErrorKind::LimitExceeded, format!("read a document: more than {limit} bytes")));
        }
        let mut bytes = Vec::new();
        self.reader(extent.offset)
            .and_then(|reader| reader.take(extent.length).read_to_end(&mut bytes))
            .map_err(|error| Error::new(ErrorKind::Io, "read the file").with_source(error))?;
        Ok(bytes.into())
    }
}

/// One file of the tar as a reader of its own. It is opened at the first read, where it was last moved to.
struct Window {
    file: TarFile,
    extent: Extent,
    position: u64,
    reader: Option<Box<dyn Read + Send>>,
}

impl Window {
    fn new(file: TarFile, extent: Extent) -> Self {
        Self { file, extent, position: 0, reader: None }
    }
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.extent.length.saturating_sub(self.position);
        let room = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        if room == 0 {
            return Ok(0);
        }
        if self.reader.is_none() {
            self.reader = Some(self.file.reader(self.extent.offset + self.position)?);
        }
        let reader = self.reader.as_mut().expect("it was opened above");
        let count = reader.read(&mut buffer[..room])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
            SeekFrom::End(delta) => self.extent.length.checked_add_signed(delta),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        self.reader = None;
        Ok(self.position)
    }
}
