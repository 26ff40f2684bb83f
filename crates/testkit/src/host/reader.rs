//! Reading files of this machine: regular ones, within limits.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Directory entries that one search looks at, so that a huge tree does not hold up the demo.
pub(super) const VISIT_LIMIT: usize = 20_000;

/// Reads files as long as the budget lasts.
pub(super) struct Reader {
    left: u64,
}

impl Reader {
    pub(super) fn new(budget: u64) -> Self {
        Self { left: budget }
    }

    /// The contents of a regular file of at most `limit` bytes, or nothing.
    pub(super) fn read(&mut self, path: &Path, limit: u64) -> Option<Vec<u8>> {
        let metadata = fs::symlink_metadata(path).ok()?;
        if !metadata.is_file() || metadata.len() > limit.min(self.left) {
            return None;
        }
        let mut contents = Vec::new();
        // A file can grow between the look and the reading.
        fs::File::open(path).ok()?.take(limit.min(self.left)).read_to_end(&mut contents).ok()?;
        self.left = self.left.saturating_sub(contents.len() as u64);
        Some(contents)
    }
}

/// The directories in `path`, sorted, without symbolic links; none if it cannot be read.
pub(super) fn directories(path: &Path) -> Vec<PathBuf> {
    children(path, fs::FileType::is_dir)
}

/// The regular files in `path`, sorted, without symbolic links; none if it cannot be read.
pub(super) fn files(path: &Path) -> Vec<PathBuf> {
    children(path, fs::FileType::is_file)
}

fn children(path: &Path, wanted: fn(&fs::FileType) -> bool) -> Vec<PathBuf> {
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) {
        return Vec::new();
    }
    let Ok(listing) = fs::read_dir(path) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = listing
        .flatten()
        .take(VISIT_LIMIT)
        .filter(|entry| entry.file_type().is_ok_and(|kind| wanted(&kind)))
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}
