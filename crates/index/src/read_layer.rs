//! One layer, one pass.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read};

use crate::budget::{Budget, Buffer};
use crate::capture::{Capturing, Seen};
use crate::cataloger::{Chosen, LEADING_BYTES, Selection};
use crate::inflate::{BlobFacts, Cancelled, Chunks, Hasher, Helped, Inflated, Inflater, OverLimit, Stop};
use crate::paths::normalise;
use crate::tar::{EndsWithin, TarError, TarReader, TypeFlag};
use crate::tee::tee;
use crate::{
    Catalogers, Contents, Descriptor, DiffIds, Entries, EntryKind, Error, ErrorKind, File, FileFindings, Findings,
    LayerIndex, LayerReading, Limits, Problem, Result, Skipped,
};

/// Files up to this are read into memory without asking the budget: they come and go too fast to matter.
const SMALL: u64 = 1 << 20;

/// Bytes of a file that are asked for at a time.
const PIECE: usize = 1 << 20;

/// Reads one layer: verifies its digest, inflates it, walks its tar, and lets the catalogers look at what they want.
///
/// `descriptor` is the layer's in the manifest: `reader` must give exactly the bytes that have its digest and size.
/// The compression is told from the bytes; gzip, zstd and none are known. The stream is read to its end, past the
/// end of the tar. Blocks: call it on a thread of its own.
///
/// # Errors
///
/// - [`ErrorKind::DigestMismatch`] if the bytes are not those of the descriptor, whatever else is wrong with them.
/// - [`ErrorKind::Malformed`] if they are, and are no archive that a container runtime could unpack.
/// - [`ErrorKind::LimitExceeded`] with the name of the limit.
/// - [`ErrorKind::Unsupported`] for encrypted layers and other compressions.
/// - [`ErrorKind::Source`] if the reader fails.
///
/// # Examples
///
/// ```
/// use supercargo_index::{Catalogers, Descriptor, Limits, read_layer};
/// # use sha2::{Digest as _, Sha256};
///
/// let tar = [0; 1024]; // an empty archive
/// # let digest: String = Sha256::digest(tar).iter().map(|b| format!("{b:02x}")).collect();
/// # let digest: supercargo_index::Digest = format!("sha256:{digest}").parse().unwrap();
/// let descriptor = Descriptor::new("application/vnd.oci.image.layer.v1.tar".into(), 1024, digest);
/// let layer = read_layer(&tar[..], &descriptor, &Catalogers::all(), &Limits::default())?;
/// assert!(layer.entries.is_empty());
/// # Ok::<(), supercargo_index::Error>(())
/// ```
pub fn read_layer(
    reader: impl Read,
    descriptor: &Descriptor,
    catalogers: &Catalogers,
    limits: &Limits,
) -> Result<LayerIndex> {
    let budget = &Budget::new(limits.buffered);
    let context = Context { catalogers, limits, budget, diff_ids: DiffIds::Verified, captures: false };
    context.read(reader, descriptor, Box::new(|_| false))
}

/// What the layers of one run share.
pub(crate) struct Context<'a> {
    pub(crate) catalogers: &'a Catalogers,
    pub(crate) limits: &'a Limits,
    pub(crate) budget: &'a Budget,
    pub(crate) diff_ids: DiffIds,
    /// Contents are kept for an upgrade of the catalogers.
    pub(crate) captures: bool,
}

impl Context<'_> {
    /// Bytes of a file that is held whole while it is read.
    pub(crate) fn held_size(&self) -> u64 {
        self.limits.file_size.min(self.limits.buffered)
    }

    /// As [`read_layer`]; `stop` is told of progress and may end the work.
    pub(crate) fn read(&self, reader: impl Read, descriptor: &Descriptor, stop: Stop) -> Result<LayerIndex> {
        let read = self.open(reader, descriptor, stop).and_then(|inflater| self.walk(inflater, descriptor));
        read.map_err(|error| error.with_context(format_args!("read layer {}", descriptor.digest())))
    }

    /// As [`read`](Self::read), with inflation on a thread of its own from when `is_idle` says that there is a
    /// processor for it.
    pub(crate) fn read_with_help(
        &self,
        reader: impl Read + Send,
        descriptor: &Descriptor,
        stop: Stop,
        is_idle: impl Fn() -> bool,
    ) -> Result<LayerIndex> {
        let read = self.open(reader, descriptor, stop).and_then(|inflater| {
            std::thread::scope(|scope| self.walk(Helped::new(scope, inflater, is_idle), descriptor))
        });
        read.map_err(|error| error.with_context(format_args!("read layer {}", descriptor.digest())))
    }

    fn open<R: Read>(&self, reader: R, descriptor: &Descriptor, stop: Stop) -> Result<Inflater<R>> {
        if descriptor.media_type().to_string().ends_with("+encrypted") {
            return Err(Error::new(ErrorKind::Unsupported, "it is encrypted"));
        }
        let Some(hasher) = Hasher::like(descriptor.digest()) else {
            let message = format!("its digest algorithm {} is not known", descriptor.digest().algorithm());
            return Err(Error::new(ErrorKind::Unsupported, message));
        };
        Inflater::open(reader, hasher, descriptor.size(), self.limits, stop).map_err(|error| match error.kind() {
            io::ErrorKind::Unsupported => Error::new(ErrorKind::Unsupported, format!("{error} is not supported")),
            _ if is::<Cancelled>(&error) => Error::new(ErrorKind::Cancelled, "cancelled"),
            _ => Error::from_source("receive its first bytes", true, error),
        })
    }

    fn walk(&self, chunks: impl Chunks, descriptor: &Descriptor) -> Result<LayerIndex> {
        let mut stream = Inflated::new(chunks, self.diff_ids);
        let mut walk = Walk::new(self);
        let walked = walk.entries(&mut stream).and_then(|()| stream.drain().map_err(TarError::Stream));
        let (inflated_size, diff_id, blob) = stream.finish();
        // Whoever gave up waiting does not want to hear of half a digest.
        if let Err(TarError::Stream(error)) = &walked
            && is::<Cancelled>(error)
        {
            return Err(Error::new(ErrorKind::Cancelled, "cancelled"));
        }
        check_blob(&blob, descriptor)?;
        if let Some(error) = blob.failure {
            return Err(Error::from_source("receive its bytes", true, error));
        }
        walked.map_err(|error| match error {
            TarError::Malformed(reason) => Error::new(ErrorKind::Malformed, reason),
            TarError::Stream(error) => stream_error(error),
        })?;
        Ok(LayerIndex {
            format: LayerIndex::FORMAT,
            digest: blob.digest,
            diff_id,
            size: blob.read,
            inflated_size,
            reading: LayerReading::Whole,
            entries: walk.index.entries,
            findings: walk.index.findings,
            skipped: walk.index.skipped,
            catalogers: self.catalogers.versions().to_vec(),
            captures: walk.captures.and_then(|captures| captures.finish(self.catalogers.leading())),
        })
    }
}

/// That the blob is the one of the descriptor, unless its source failed.
fn check_blob(blob: &BlobFacts, descriptor: &Descriptor) -> Result<()> {
    if blob.failure.is_some() {
        return Ok(());
    }
    if blob.read != descriptor.size() {
        let more = if blob.read > descriptor.size() { "more than " } else { "" };
        let read = blob.read.min(descriptor.size());
        let message = format!("it has {more}{read} bytes where the manifest says {}", descriptor.size());
        return Err(Error::new(ErrorKind::DigestMismatch, message));
    }
    if blob.digest != *descriptor.digest() {
        return Err(Error::new(ErrorKind::DigestMismatch, format!("its bytes have the digest {}", blob.digest)));
    }
    Ok(())
}

fn is<E: std::error::Error + 'static>(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<E>())
}

pub(crate) fn stream_error(error: io::Error) -> Error {
    if let Some(OverLimit(message)) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
        return Error::new(ErrorKind::LimitExceeded, message.clone());
    }
    if is::<EndsWithin>(&error) {
        return Error::new(ErrorKind::Malformed, EndsWithin.to_string());
    }
    // The blob is whole and has its digest, so this is the decoder's word on what it holds.
    Error::new(ErrorKind::Malformed, "inflate it").with_source(error)
}

/// Entries and findings under way. Directory scans build the same.
#[derive(Default)]
pub(crate) struct Gathered {
    pub(crate) entries: Entries,
    pub(crate) findings: Vec<FileFindings>,
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) chosen: Chosen,
    /// Packages and VEX statements.
    packages: usize,
}

impl Gathered {
    /// Lets the selected catalogers read a file.
    pub(crate) fn catalog(
        &mut self,
        context: &Context<'_>,
        file: &File<'_>,
        selection: &[(usize, bool)],
        mut contents: impl FnMut(&mut dyn FnMut(&mut Contents<'_>) -> Result<(), Problem>) -> Result<(), Problem>,
    ) -> Result<(), TarError> {
        for &selected in selection {
            let cataloger = context.catalogers.get(selected.0);
            let mut findings = Findings::default();
            let result = contents(&mut |contents| cataloger.catalog(file, contents, &mut findings));
            self.record(context, file, selected, findings, result)?;
        }
        Ok(())
    }

    /// As [`catalog`](Self::catalog), for a file that is not held: it passes all of them at once.
    fn catalog_passing(
        &mut self,
        context: &Context<'_>,
        file: &File<'_>,
        selection: &Selection,
        reader: &mut dyn Read,
        limit: u64,
    ) -> Result<(), TarError> {
        let tasks = selection.iter().map(|&(index, _)| {
            move |reader: &mut dyn Read| {
                let mut findings = Findings::default();
                let mut contents = Contents::passing(reader, file.size, limit);
                let result = context.catalogers.get(index).catalog(file, &mut contents, &mut findings);
                (findings, result)
            }
        });
        let outcomes = tee(reader, tasks)?;
        for (&selected, outcome) in selection.iter().zip(outcomes) {
            let unread = || (Findings::default(), Err(Problem::TooLarge { size: file.size, limit }));
            let (findings, result) = outcome.unwrap_or_else(unread);
            self.record(context, file, selected, findings, result)?;
        }
        Ok(())
    }

    /// Writes down that nobody was let read a file.
    fn refuse(
        &mut self,
        context: &Context<'_>,
        file: &File<'_>,
        selection: &Selection,
        reason: &str,
    ) -> Result<(), TarError> {
        for &selected in selection {
            self.record(context, file, selected, Findings::default(), Err(Problem::malformed(reason)))?;
        }
        Ok(())
    }

    fn record(
        &mut self,
        context: &Context<'_>,
        file: &File<'_>,
        (index, by_content): (usize, bool),
        findings: Findings,
        result: Result<(), Problem>,
    ) -> Result<(), TarError> {
        let cataloger = context.catalogers.get(index).name();
        self.packages += findings.packages.len();
        self.packages += findings.vex.iter().map(|document| document.statements.len()).sum::<usize>();
        if self.packages > context.limits.packages {
            let message = format!("more than {} packages (packages)", context.limits.packages);
            return Err(TarError::Stream(io::Error::other(OverLimit(message))));
        }
        if !findings.is_empty() {
            self.findings.push(FileFindings {
                path: file.path.to_owned(),
                cataloger: cataloger.to_owned(),
                by_content,
                packages: findings.packages,
                supplements: findings.supplements,
                distro: findings.distro,
                repositories: findings.repositories,
                vex: findings.vex,
            });
        }
        match result {
            Ok(()) => {}
            Err(Problem::Stream(error)) => return Err(TarError::Stream(error)),
            // A file that only looked like a database is no gap in what was seen.
            Err(_) if by_content => {}
            Err(problem) => self.skipped.push(Skipped {
                path: file.path.to_owned(),
                cataloger: cataloger.to_owned(),
                reason: problem.to_string(),
            }),
        }
        Ok(())
    }

    fn count(&mut self, context: &Context<'_>, packages: usize) -> Result<(), TarError> {
        self.packages += packages;
        if self.packages > context.limits.packages {
            let message = format!("more than {} packages (packages)", context.limits.packages);
            return Err(TarError::Stream(io::Error::other(OverLimit(message))));
        }
        Ok(())
    }

    /// Adds what was found before.
    pub(crate) fn keep(
        &mut self,
        context: &Context<'_>,
        findings: impl IntoIterator<Item = FileFindings>,
        skipped: impl IntoIterator<Item = Skipped>,
    ) -> Result<(), TarError> {
        for findings in findings {
            self.count(context, findings.packages.len())?;
            self.findings.push(findings);
        }
        self.skipped.extend(skipped);
        Ok(())
    }

    /// Takes back what was found in a file of this path: a later entry of the same layer stands in its place.
    fn forget(&mut self, path: &str) {
        self.findings.retain(|findings| findings.path != path);
        self.skipped.retain(|skipped| skipped.path != path);
    }
}

/// The entries of a layer on their way into its index, whether from the tar or from a table of contents.
pub(crate) struct Walk<'a> {
    context: &'a Context<'a>,
    pub(crate) index: Gathered,
    small: Vec<u8>,
    large: Buffer,
    /// Whether the file at hand is stored with holes.
    sparse: bool,
    /// Files that something was found in, to notice one that is written twice.
    found: std::collections::HashSet<String>,
    captures: Option<Capturing>,
    /// Bytes of sparse files that may still be made of holes: a header of 512 bytes can claim any number of them.
    holes: u64,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(context: &'a Context<'a>) -> Self {
        Self {
            context,
            index: Gathered::default(),
            small: Vec::new(),
            large: context.budget.buffer(),
            sparse: false,
            found: Default::default(),
            captures: context.captures.then(|| Capturing::new(context.limits)),
            holes: context.limits.file_size,
        }
    }

    fn entries<C: Chunks>(&mut self, stream: &mut Inflated<C>) -> Result<(), TarError> {
        let head_length = self.context.catalogers.leading_bytes();
        let mut selection = Selection::new();
        let mut tar = TarReader::new(stream, self.context.limits);
        while let Some(entry) = tar.next()? {
            let Some(path) = self.place(&entry.path, entry.kind, &entry.target, entry.size)? else { continue };
            self.large.yield_to_others();
            selection.clear();
            self.context.catalogers.select_by_path(&path, &mut selection);
            self.context.catalogers.select_one_below(&path, &mut self.index.chosen, &mut selection);
            if entry.sparse.is_none() {
                self.context.catalogers.select_by_leading_bytes(tar.peek(head_length)?, &mut selection);
            }
            if selection.is_empty() {
                continue;
            }
            let file = File { path: &path, size: entry.size, executable: entry.mode & 0o111 != 0 };
            self.sparse = entry.sparse.is_some();
            if self.sparse {
                let holes = entry.size.saturating_sub(entry.stored);
                let Some(left) = self.holes.checked_sub(holes) else {
                    let reason = format!("{holes} bytes of holes are over what the layer may still have (file_size)");
                    self.index.refuse(self.context, &file, &selection, &reason)?;
                    self.found.insert(path);
                    continue;
                };
                self.holes = left;
            }
            if entry.size > self.context.held_size()
                && let Some(captures) = &mut self.captures
            {
                let (executable, sparse) = (file.executable, self.sparse);
                let (entry, bytes) = (self.index.entries.len() - 1, tar.peek(LEADING_BYTES)?);
                captures.add(Seen { entry, executable, sparse, bytes, held: false, by: &selection });
            }
            match &entry.sparse {
                Some(map) => self.file(&mut BufReader::new(map.expand(&mut tar, entry.size)), &file, &selection)?,
                None => self.file(&mut tar, &file, &selection)?,
            }
        }
        Ok(())
    }

    /// Adds an entry by what is written of it. Gives its path if it is a file with contents.
    pub(crate) fn place(
        &mut self,
        path: &[u8],
        kind: TypeFlag,
        target: &[u8],
        size: u64,
    ) -> Result<Option<String>, TarError> {
        let Some((path, kind)) = classify(kind, normalise(path)) else { return Ok(None) };
        let target = match kind {
            TypeFlag::HardLink => normalise(target),
            TypeFlag::Symlink => String::from_utf8_lossy(target).into_owned(),
            _ => String::new(),
        };
        let (kind, size) = match kind {
            TypeFlag::Directory => (EntryKind::Directory, 0),
            TypeFlag::HardLink => (EntryKind::HardLink(&target), 0),
            TypeFlag::Symlink => (EntryKind::Symlink(&target), 0),
            TypeFlag::Other(WHITEOUT) => (EntryKind::Whiteout, 0),
            TypeFlag::Other(OPAQUE) => (EntryKind::Opaque, 0),
            TypeFlag::File | TypeFlag::Contiguous => (EntryKind::File, size),
            _ => (EntryKind::Special, 0),
        };
        self.index
            .entries
            .push(&path, kind, size)
            .map_err(|_| TarError::Stream(io::Error::other(OverLimit("the layer's names are over 4 GiB".into()))))?;
        if !matches!(kind, EntryKind::Whiteout | EntryKind::Opaque) && self.found.remove(&path) {
            self.index.forget(&path);
        }
        Ok((kind == EntryKind::File && size > 0).then_some(path))
    }

    /// Lets the selected catalogers read a file.
    pub(crate) fn file(
        &mut self,
        reader: &mut dyn BufRead,
        file: &File<'_>,
        selection: &Selection,
    ) -> Result<(), TarError> {
        let before = (self.index.findings.len(), self.index.skipped.len());
        self.catalog(reader, file, selection)?;
        if before != (self.index.findings.len(), self.index.skipped.len()) {
            self.found.insert(file.path.to_owned());
        }
        Ok(())
    }

    /// Of those who want a file, who still does after a look at how it begins. Small ones are not worth the question.
    fn recognised<'s>(&self, file: &File<'_>, selection: &'s Selection, head: &[u8]) -> Cow<'s, [(usize, bool)]> {
        let catalogers = self.context.catalogers;
        let is_refused = |&(index, by_content): &(usize, bool)| by_content && !catalogers.get(index).recognises(head);
        if file.size <= SMALL || !selection.iter().any(is_refused) {
            return Cow::Borrowed(selection);
        }
        selection.iter().copied().filter(|wanted| !is_refused(wanted)).collect()
    }

    fn catalog(&mut self, reader: &mut dyn BufRead, file: &File<'_>, selection: &Selection) -> Result<(), TarError> {
        let limit = self.context.held_size();
        if file.size > limit {
            return self.index.catalog_passing(self.context, file, selection, reader, limit);
        }
        let recognised = self.recognised(file, selection, reader.fill_buf()?);
        if recognised.is_empty() {
            if let Some(captures) = &mut self.captures {
                let (entry, bytes) = (self.index.entries.len() - 1, reader.fill_buf()?);
                let (executable, sparse) = (file.executable, self.sparse);
                captures.add(Seen { entry, executable, sparse, bytes, held: false, by: selection });
            }
            return Ok(());
        }
        let selection = &*recognised;
        let memory = if file.size > SMALL { self.large.for_file(file.size) } else { &mut self.small };
        let filled = fill(memory, file.size, reader)?;
        let bytes = &memory[..filled];
        if let Some(captures) = &mut self.captures {
            let entry = self.index.entries.len() - 1;
            let (executable, sparse) = (file.executable, self.sparse);
            captures.add(Seen { entry, executable, sparse, bytes, held: true, by: selection });
        }
        self.index.catalog(self.context, file, selection, |catalog| catalog(&mut Contents::held(bytes)))
    }
}

/// Puts a file of `size` bytes at the beginning of `memory`. Says how many bytes there were.
///
/// What is there from the file before is written over and not cleared, and a new piece is made when its bytes come:
/// a size is a claim.
fn fill(memory: &mut Vec<u8>, size: u64, reader: &mut dyn BufRead) -> io::Result<usize> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let mut filled = 0;
    while filled < size {
        let end = filled + PIECE.min(size - filled);
        if memory.len() < end {
            memory.resize(end, 0);
        }
        match reader.read(&mut memory[filled..end]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Stand-ins for type flags that no archive has, for the two sorts of whiteout.
const WHITEOUT: u8 = 1;
const OPAQUE: u8 = 2;

/// The path and the sort of an entry, whiteouts recognised by their names (image-spec `layer.md`, "Whiteouts").
/// `None` for entries that are nothing in the image: the root itself, and aufs's own records.
pub(crate) fn classify(kind: TypeFlag, path: String) -> Option<(String, TypeFlag)> {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", &path));
    if let Some(hidden) = name.strip_prefix(".wh.") {
        if hidden == ".wh..opq" {
            return Some((directory.to_owned(), TypeFlag::Other(OPAQUE)));
        }
        // `.wh..wh.` begins aufs's own records (`.wh..wh.aufs`, `.wh..wh.plnk`); runtimes skip them.
        // What names no entry (`.wh.`, `.wh...`) hides nothing.
        if hidden.starts_with(".wh.") || matches!(hidden, "" | "." | "..") {
            return None;
        }
        let path = if directory.is_empty() { hidden.to_owned() } else { format!("{directory}/{hidden}") };
        return Some((path, TypeFlag::Other(WHITEOUT)));
    }
    if path.is_empty() {
        return None;
    }
    Some((path, kind))
}
