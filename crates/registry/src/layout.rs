//! An OCI image layout: a folder with `index.json` and `blobs/` (image-spec `image-layout.md`).

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use oci_spec::image::{Digest, DigestAlgorithm};

use crate::local::{BlobFiles, LocalRegistry, SeekRead, entries_of_index};
use crate::{Error, ErrorKind, Repository, Result};

/// Bytes of an `index.json`.
const INDEX_SIZE: u64 = 64 << 20;

/// The images of an OCI layout folder.
pub type LayoutRegistry = LocalRegistry<LayoutBlobs>;

/// The `blobs` folder of a layout.
#[derive(Debug)]
pub struct LayoutBlobs {
    root: PathBuf,
}

impl LayoutRegistry {
    /// Reads the folder's index. Images without a full name are in a repository named like the folder.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if there is no `index.json`; [`ErrorKind::Malformed`] if it is none.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        tokio::task::spawn_blocking(move || Self::open_blocking(&path)).await.map_err(Error::from_join)?
    }

    fn open_blocking(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        let read = || -> Result<_> {
            let file = path.join("index.json");
            let failed = |error: io::Error| Error::new(ErrorKind::Io, "open index.json").with_source(error);
            if std::fs::metadata(&file).map_err(failed)?.len() > INDEX_SIZE {
                return Err(Error::new(
                    ErrorKind::LimitExceeded,
                    format!("read index.json: more than {INDEX_SIZE} bytes"),
                ));
            }
            let bytes = std::fs::read(&file).map_err(failed)?;
            entries_of_index(&bytes, &repository_of(path))
        };
        let entries = read().map_err(|error| error.during(format_args!("open the OCI layout {shown}")))?;
        Ok(Self::from_parts("oci-dir", shown, entries, LayoutBlobs { root: path.to_owned() }))
    }
}

impl BlobFiles for LayoutBlobs {
    /// The path is made of a parsed digest alone, which holds letters and digits: it cannot leave the folder.
    fn open(&self, digest: &Digest) -> io::Result<Option<(Box<dyn SeekRead>, u64)>> {
        if matches!(digest.algorithm(), DigestAlgorithm::Other(_)) {
            return Ok(None);
        }
        let path = self.root.join("blobs").join(digest.algorithm().as_ref()).join(digest.digest());
        // Asked before it is opened: opening a pipe would wait for a writer.
        let metadata = match std::fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            metadata => metadata?,
        };
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a regular file"));
        }
        let file = File::open(path)?;
        Ok(Some((Box::new(file), metadata.len())))
    }
}

/// A repository's name for what a path holds.
pub(crate) fn repository_of(path: &Path) -> Repository {
    let name =
        path.canonicalize().ok().and_then(|path| path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    Repository::nearest(&name.unwrap_or_default())
}
