//! The directory that a watcher keeps its data in.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};

/// A directory for the database and what belongs to it, readable by its owner only.
#[derive(Clone, Debug)]
pub struct DataDirectory {
    path: PathBuf,
}

impl DataDirectory {
    /// The directory at `path`; it is made, with the directories above it, if it is not there.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if it cannot be made or its permissions cannot be set.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let failed = |error| {
            Error::new(ErrorKind::Unavailable, "create data directory").with_context(path.display()).with_source(error)
        };
        if !path.is_dir() {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(&path).map_err(failed)?;
        }
        Ok(Self { path })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where its database is.
    pub fn database(&self) -> PathBuf {
        self.path.join("supercargo.db")
    }

    /// Takes the directory for one watcher, until the answer is dropped or the process ends.
    ///
    /// The database itself may be opened by many processes. The lock is there because two watchers with the same
    /// directory are almost always a mistake: they would share the work, and each would take the other for its
    /// own crashed predecessor.
    ///
    /// # Errors
    /// [`ErrorKind::Locked`] if another process has it.
    pub fn lock(&self) -> Result<DirectoryLock> {
        let path = self.path.join("supercargo.lock");
        let failed = |kind| Error::new(kind, "lock data directory").with_context(self.path.display());
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(|error| failed(ErrorKind::Unavailable).with_source(error))?;
        match file.try_lock() {
            Ok(()) => Ok(DirectoryLock { _file: file }),
            Err(TryLockError::WouldBlock) => {
                let told = format!("{}: another process is using it", self.path.display());
                Err(Error::new(ErrorKind::Locked, "lock data directory").with_context(told))
            }
            Err(TryLockError::Error(error)) => Err(failed(ErrorKind::Unavailable).with_source(error)),
        }
    }
}

/// A [`DataDirectory`] that is this process's alone.
#[derive(Debug)]
pub struct DirectoryLock {
    /// The operating system lets go of the lock with the file.
    _file: File,
}
