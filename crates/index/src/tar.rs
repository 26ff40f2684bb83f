//! A tar reader that sees what a container runtime sees.
//!
//! Runtimes read layers with Go's `archive/tar`, so its rules decide wherever archives are ambiguous: which size
//! counts when a PAX record and the header differ, what a lone zero block means, that global PAX headers and
//! whatever follows the end-of-archive marker are ignored. A reader with other rules can be shown other files than
//! the runtime (CVE-2025-62518 is one of that kind).
//!
//! Formats: POSIX.1-2017 `pax`, "Extended Header"; GNU tar manual, "Basic Tar Format" and "Storing Sparse Files".

mod header;
mod pax;
mod sparse;

use std::io::{BufRead, Read};

pub(crate) use header::TypeFlag;
use header::{BLOCK, Header};
use pax::Pax;
pub(crate) use sparse::SparseMap;

use crate::inflate::{Chunks, Inflated, OverLimit};
use crate::{Limits, Problem};

/// An entry, its contents not yet read.
#[derive(Debug)]
pub(crate) struct TarEntry {
    /// The path as written.
    pub(crate) path: Vec<u8>,
    pub(crate) kind: TypeFlag,
    /// The link target as written.
    pub(crate) target: Vec<u8>,
    pub(crate) mode: u64,
    /// Bytes of the file as a reader of it sees them.
    pub(crate) size: u64,
    /// Bytes of it in the archive.
    pub(crate) stored: u64,
    pub(crate) sparse: Option<SparseMap>,
}

/// Why the walk ended early.
#[derive(Debug)]
pub(crate) enum TarError {
    Malformed(String),
    Stream(std::io::Error),
}

/// The archive ends where an entry's bytes should be: what a reader of the entry is told.
#[derive(Debug)]
pub(crate) struct EndsWithin;

impl std::fmt::Display for EndsWithin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the archive ends within a file")
    }
}

impl std::error::Error for EndsWithin {}

impl From<std::io::Error> for TarError {
    fn from(error: std::io::Error) -> Self {
        Self::Stream(error)
    }
}

impl From<Problem> for TarError {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Stream(error) => Self::Stream(error),
            other => Self::Malformed(other.to_string()),
        }
    }
}

/// Walks the entries of an archive.
pub(crate) struct TarReader<'a, C> {
    stream: &'a mut Inflated<C>,
    /// Bytes of the present entry that were not read yet, and the padding after it.
    left: u64,
    padding: u64,
    entries: u64,
    entry_limit: u64,
    header_limit: u64,
    path_limit: usize,
}

impl<'a, C: Chunks> TarReader<'a, C> {
    pub(crate) fn new(stream: &'a mut Inflated<C>, limits: &Limits) -> Self {
        Self {
            stream,
            left: 0,
            padding: 0,
            entries: 0,
            entry_limit: limits.entries,
            header_limit: limits.extension_header,
            path_limit: limits.path_length.min(usize::from(u16::MAX)),
        }
    }

    /// The next entry; `None` at the end of the archive. What is left of the one before is passed over.
    pub(crate) fn next(&mut self) -> Result<Option<TarEntry>, TarError> {
        let mut pax: Option<Pax> = None;
        let mut long_path: Option<Vec<u8>> = None;
        let mut long_target: Option<Vec<u8>> = None;
        loop {
            self.pass_over()?;
            let Some(header) = self.header()? else {
                return if pax.is_some() || long_path.is_some() || long_target.is_some() {
                    Err(TarError::Malformed("the archive ends after an extension header".into()))
                } else {
                    Ok(None)
                };
            };
            self.entries += 1;
            if self.entries > self.entry_limit {
                let message = format!("the layer has more than {} entries (entries)", self.entry_limit);
                return Err(TarError::Stream(std::io::Error::other(OverLimit(message))));
            }
            match header.kind {
                TypeFlag::PaxHeader => pax = Some(Pax::parse(&self.extension(&header)?)?),
                // Go hands these out as entries of their own and runtimes ignore them.
                TypeFlag::PaxGlobal => self.begin(header.size),
                TypeFlag::GnuLongPath => long_path = Some(until_nul(self.extension(&header)?)),
                TypeFlag::GnuLongTarget => long_target = Some(until_nul(self.extension(&header)?)),
                _ => return self.entry(header, pax.take().unwrap_or_default(), long_path, long_target).map(Some),
            }
        }
    }

    fn entry(
        &mut self,
        header: Header,
        pax: Pax,
        long_path: Option<Vec<u8>>,
        long_target: Option<Vec<u8>>,
    ) -> Result<TarEntry, TarError> {
        let mut entry = TarEntry {
            path: header.path,
            kind: header.kind,
            target: header.target,
            mode: header.mode,
            size: pax.size.unwrap_or(header.size),
            stored: 0,
            sparse: None,
        };
        // Go's order: PAX records first, GNU long names over them.
        if let Some(path) = long_path.or(pax.path) {
            entry.path = path;
        }
        if let Some(target) = long_target.or(pax.target) {
            entry.target = target;
        }
        if entry.kind == TypeFlag::OldFile {
            entry.kind = if entry.path.ends_with(b"/") { TypeFlag::Directory } else { TypeFlag::File };
        }
        if entry.kind.has_no_contents() {
            entry.size = 0;
        }
        entry.stored = entry.size;
        self.begin(entry.stored);
        if header.kind == TypeFlag::GnuSparse {
            let (map, size) = sparse::old_gnu(&header.block, self.stream)?;
            entry.kind = TypeFlag::File;
            entry.sparse = Some(map);
            entry.size = size;
        } else if let Some(sparse) = pax.sparse
            && matches!(entry.kind, TypeFlag::File | TypeFlag::Contiguous)
        {
            let map = match sparse.map {
                Some(map) => map,
                None => sparse::in_contents(self)?,
            };
            if let Some(path) = sparse.path {
                entry.path = path;
            }
            entry.size = sparse.size;
            entry.sparse = Some(map);
        }
        if let Some(map) = &entry.sparse {
            map.check(entry.size, self.left)?;
        }
        for name in [&entry.path, &entry.target] {
            if name.len() > self.path_limit {
                let message =
                    format!("a name of {} bytes is over the limit of {} (path_length)", name.len(), self.path_limit);
                return Err(TarError::Stream(std::io::Error::other(OverLimit(message))));
            }
        }
        Ok(entry)
    }

    /// The next header; `None` at the end of the archive.
    fn header(&mut self) -> Result<Option<Header>, TarError> {
        let mut zero_blocks = 0;
        loop {
            let block = self.stream.peek(BLOCK)?;
            if block.is_empty() {
                return Ok(None);
            }
            let Some(block) = block.first_chunk::<BLOCK>() else {
                return Err(TarError::Malformed("the archive ends within a header".into()));
            };
            if block.iter().any(|&byte| byte != 0) {
                if zero_blocks > 0 {
                    return Err(TarError::Malformed("a zero block stands before a header".into()));
                }
                let header = Header::parse(block);
                self.stream.consume(BLOCK);
                return header.map(Some);
            }
            self.stream.consume(BLOCK);
            zero_blocks += 1;
            if zero_blocks == 2 {
                return Ok(None);
            }
        }
    }

    fn begin(&mut self, stored: u64) {
        self.left = stored;
        self.padding = stored.wrapping_neg() % BLOCK as u64;
    }

    fn pass_over(&mut self) -> Result<(), TarError> {
        if !self.stream.skip(self.left)? {
            return Err(TarError::Malformed(EndsWithin.to_string()));
        }
        // Go accepts an archive that ends where only padding is left to come.
        self.stream.skip(self.padding)?;
        (self.left, self.padding) = (0, 0);
        Ok(())
    }

    fn extension(&mut self, header: &Header) -> Result<Vec<u8>, TarError> {
        if header.size > self.header_limit {
            let message = format!(
                "an extension header of {} bytes is over {} (extension_header)",
                header.size, self.header_limit
            );
            return Err(TarError::Stream(std::io::Error::other(OverLimit(message))));
        }
        self.begin(header.size);
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        if bytes.len() as u64 == header.size {
            Ok(bytes)
        } else {
            Err(TarError::Malformed("the archive ends within an extension header".into()))
        }
    }

    /// Up to `n` of the present entry's bytes, without passing over them.
    pub(crate) fn peek(&mut self, n: usize) -> std::io::Result<&[u8]> {
        let n = usize::try_from(self.left).unwrap_or(usize::MAX).min(n);
        self.stream.peek(n)
    }
}

/// The present entry's bytes as they are stored.
impl<C: Chunks> Read for TarReader<'_, C> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if n == 0 {
            return Ok(0);
        }
        let n = self.stream.read(&mut buffer[..n])?;
        if n == 0 {
            return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, EndsWithin));
        }
        self.left -= n as u64;
        Ok(n)
    }
}

/// The same without copying: what was inflated last.
impl<C: Chunks> BufRead for TarReader<'_, C> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let window = self.stream.window()?;
        if window.is_empty() {
            return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, EndsWithin));
        }
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        Ok(&window[..window.len().min(left)])
    }

    fn consume(&mut self, n: usize) {
        self.stream.consume(n);
        self.left -= n as u64;
    }
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = memchr::memchr(0, &bytes) {
        bytes.truncate(end);
    }
    bytes
}
