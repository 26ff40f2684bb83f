//! A directory of the local file system, or one file, instead of an image.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::cataloger::Selection;
use crate::inflate::OverLimit;
use crate::read_layer::{Context, Gathered};
use crate::squash::{self, SquashLayer};
use crate::tar::TarError;
use crate::{Contents, EntryKind, Error, ErrorKind, File, ImageMetadata, Indexer, Result, Skipped, Source};

impl Indexer {
    /// Indexes what lies under `path` as if it were the root of an image: no layers, no configuration. `path` may be
    /// a single file. Symbolic links are not followed out of it, and other file systems mounted below it are read
    /// like the rest. Blocks.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`] if `path` cannot be read. What lies below it and cannot be read is
    /// [`ImageMetadata::skipped`] and costs nothing else.
    pub fn index_directory(&self, path: impl AsRef<Path>) -> Result<ImageMetadata> {
        let path = path.as_ref();
        let failed = |error: io::Error| Error::from_source(format!("read {}", path.display()), false, error);
        let mut scan = Scan { context: self.context(), gathered: Gathered::default(), size: 0 };
        let metadata = fs::metadata(path).map_err(failed)?;
        let scanned = if metadata.is_dir() {
            fs::read_dir(path).map_err(failed)?;
            scan.directory(path)
        } else {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            scan.entry(path, &name, &metadata)
        };
        scanned.map_err(|error| match error {
            TarError::Malformed(reason) => Error::new(ErrorKind::Malformed, reason),
            TarError::Stream(error) => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
                Some(OverLimit(message)) => Error::new(ErrorKind::LimitExceeded, message.clone()),
                None => failed(error),
            },
        })?;
        let Scan { gathered, size, .. } = scan;
        let layer =
            SquashLayer { entries: &gathered.entries, findings: &gathered.findings, skipped: &gathered.skipped };
        let mut squashed = squash::squash(&[layer], self.context().catalogers);
        for package in &mut squashed.packages {
            for location in &mut package.locations {
                location.layer = None;
            }
        }
        for repositories in &mut squashed.repositories {
            repositories.location.layer = None;
        }
        for vex in &mut squashed.vex {
            vex.location.layer = None;
        }
        Ok(ImageMetadata {
            format: ImageMetadata::FORMAT,
            indexer: self.version().to_owned(),
            source: Source::Directory { path: path.to_string_lossy().into_owned(), size },
            distro: squashed.distro,
            packages: squashed.packages,
            repositories: squashed.repositories,
            vex: squashed.vex,
            skipped: squashed.skipped,
        })
    }
}

struct Scan<'a> {
    context: Context<'a>,
    gathered: Gathered,
    size: u64,
}

impl Scan<'_> {
    /// Walks without recursion, in the order of the names: the result does not depend on the file system.
    fn directory(&mut self, root: &Path) -> Result<(), TarError> {
        let mut pending = vec![String::new()];
        while let Some(directory) = pending.pop() {
            let mut names = Vec::new();
            match fs::read_dir(root.join(&directory)) {
                Ok(entries) => names.extend(entries.flatten().map(|entry| entry.file_name())),
                Err(error) => self.unread(&directory, &error),
            }
            names.sort();
            let mut below = Vec::new();
            for name in names {
                let name = name.to_string_lossy();
                let relative = if directory.is_empty() { name.into_owned() } else { format!("{directory}/{name}") };
                let path = root.join(&relative);
                match fs::symlink_metadata(&path) {
                    Ok(metadata) => {
                        self.entry(&path, &relative, &metadata)?;
                        if metadata.is_dir() {
                            below.push(relative);
                        }
                    }
                    Err(error) => self.unread(&relative, &error),
                }
            }
            pending.extend(below.into_iter().rev());
        }
        Ok(())
    }

    fn unread(&mut self, path: &str, error: &io::Error) {
        let reason = error.to_string();
        self.gathered.skipped.push(Skipped { path: path.to_owned(), cataloger: String::new(), reason });
    }

    fn entry(&mut self, path: &Path, relative: &str, metadata: &fs::Metadata) -> Result<(), TarError> {
        let target;
        let kind = match metadata.file_type() {
            kind if kind.is_dir() => EntryKind::Directory,
            kind if kind.is_file() => EntryKind::File,
            kind if kind.is_symlink() => {
                target = fs::read_link(path).map(|target| target.to_string_lossy().into_owned()).unwrap_or_default();
                EntryKind::Symlink(&target)
            }
            _ => EntryKind::Special,
        };
        let size = if kind == EntryKind::File { metadata.len() } else { 0 };
        self.size += size;
        self.gathered
            .entries
            .push(relative, kind, size)
            .map_err(|_| TarError::Stream(io::Error::other(OverLimit("the names are over 4 GiB".into()))))?;
        if self.gathered.entries.len() as u64 > self.context.limits.entries {
            return Err(TarError::Stream(io::Error::other(OverLimit("too many entries (entries)".into()))));
        }
        if size > 0
            && let Err(error) = self.file(path, relative, metadata)?
        {
            self.unread(relative, &error);
        }
        Ok(())
    }

    /// The outer result ends the scan, the inner one concerns this file.
    fn file(&mut self, path: &Path, relative: &str, metadata: &fs::Metadata) -> Result<io::Result<()>, TarError> {
        let size = metadata.len();
        let mut selection = Selection::new();
        self.context.catalogers.select_by_path(relative, &mut selection);
        self.context.catalogers.select_one_below(relative, &mut self.gathered.chosen, &mut selection);
        let mut open = match fs::File::open(path) {
            Ok(open) => open,
            Err(_) if selection.is_empty() => return Ok(Ok(())),
            Err(error) => return Ok(Err(error)),
        };
        let mut bytes = Vec::new();
        let head = self.context.catalogers.leading_bytes() as u64;
        if let Err(error) = (&mut open).take(head).read_to_end(&mut bytes) {
            return Ok(Err(error));
        }
        self.context.catalogers.select_by_leading_bytes(&bytes, &mut selection);
        if selection.is_empty() {
            return Ok(Ok(()));
        }
        let file = File { path: relative, size, executable: metadata.permissions().mode() & 0o111 != 0 };
        let limit = self.context.held_size();
        if size > limit {
            let catalog = self.gathered.catalog(&self.context, &file, &selection, |catalog| {
                // Files can be read as often as need be.
                catalog(&mut Contents::passing(&mut fs::File::open(path)?, size, limit))
            });
            return match catalog {
                Err(TarError::Stream(error)) if error.get_ref().is_none_or(|inner| !inner.is::<OverLimit>()) => {
                    Ok(Err(error))
                }
                other => other.map(Ok),
            };
        }
        let _taken = self.context.budget.take(size);
        if let Err(error) = open.take(limit).read_to_end(&mut bytes) {
            return Ok(Err(error));
        }
        self.gathered.catalog(&self.context, &file, &selection, |catalog| catalog(&mut Contents::held(&bytes))).map(Ok)
    }
}
