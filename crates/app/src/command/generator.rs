//! BuildKit's SBOM generator protocol (moby/buildkit `docs/attestations/sbom-protocol.md`): with an image of supercargo,
//! `docker buildx build --sbom=generator=IMAGE …` attaches its SBOMs to what is built.
//!
//! | Variable | |
//! | --- | --- |
//! | `BUILDKIT_SCAN_SOURCE` | the root file system of the build's result |
//! | `BUILDKIT_SCAN_SOURCE_EXTRAS` | a directory of further root file systems, if there are any |
//! | `BUILDKIT_SCAN_DESTINATION` | the directory to write `<name>.spdx.json` to, one for each of them |
//!
//! BuildKit takes each file as a bundle of in-toto statements, and fills in what they are about.

use std::io::Write;
use std::path::{Path, PathBuf};

use supercargo_engine::index::{Indexer, spdx};

use super::index::write_file;
use crate::{Environment, Error, Output, Result};

/// What BuildKit asks for.
#[derive(Debug)]
pub(super) struct Request {
    destination: PathBuf,
    source: PathBuf,
    extras: Option<PathBuf>,
}

impl Request {
    /// Of the variables that are set; `None` if none is.
    pub(super) fn of(environment: &Environment) -> Result<Option<Self>> {
        let destination = environment.path("BUILDKIT_SCAN_DESTINATION");
        let source = environment.path("BUILDKIT_SCAN_SOURCE");
        let extras = environment.path("BUILDKIT_SCAN_SOURCE_EXTRAS");
        match (destination, source) {
            (None, None) => Ok(None),
            (Some(destination), Some(source)) => Ok(Some(Self { destination, source, extras })),
            (destination, _) => {
                let missing = if destination.is_none() { "BUILDKIT_SCAN_DESTINATION" } else { "BUILDKIT_SCAN_SOURCE" };
                Err(Error::usage(vec![format!("{missing} is not set, and BuildKit's protocol asks for it")]))
            }
        }
    }

    /// Writes an SBOM of each file system.
    pub(super) fn answer(&self, declared: bool, output: &mut Output) -> Result<()> {
        let mut roots = vec![self.source.clone()];
        // A directory that is not there is as good as none, says the protocol.
        if let Some(entries) = self.extras.as_ref().and_then(|extras| std::fs::read_dir(extras).ok()) {
            let mut extras: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
            extras.sort();
            roots.extend(extras);
        }
        for root in roots {
            let metadata = Indexer::new()
                .index_directory(&root)
                .map_err(|error| Error::failed(format!("index {}", root.display()), error))?;
            super::index::warn(&metadata, output);
            let path = self.destination.join(format!("{}.spdx.json", name_of(&root)));
            let options = spdx::Options { declared, ..spdx::Options::default() };
            let statement = |writer: &mut dyn Write| {
                writer.write_all(
                    br#"{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document","subject":[],"predicate":"#,
                )?;
                spdx::write(&metadata, &options, &mut *writer)?;
                writer.write_all(b"}\n")
            };
            write_file(&path, statement).map_err(|error| Error::io(format!("write {}", path.display()), error))?;
        }
        Ok(())
    }
}

fn name_of(root: &Path) -> String {
    root.file_name().map_or_else(|| "sbom".to_owned(), |name| name.to_string_lossy().into_owned())
}
