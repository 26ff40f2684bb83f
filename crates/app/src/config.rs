//! The configuration file: one TOML file for `supercargo-watch` and `supercargo-server`.
//!
//! What a flag can say, the file says under a key of the same name, and becomes that flag's default; so a flag wins
//! over its environment variable, which wins over the file. Registries, event sources and sinks are tables; those of
//! the file count unless a flag or a variable names others. Paths are relative to the file's folder.
//!
//! Everything that is wrong is told at once, each with file, line and key.

mod read;
pub(crate) mod settings;
pub(crate) mod table;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use self::settings::Setting;
pub(crate) use self::table::Table;

/// A configuration file, read and taken apart. The default is that of no file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    /// What becomes the default of a flag.
    pub(crate) settings: Vec<Setting>,
    /// `[[registry]]`.
    pub(crate) registries: Vec<Table>,
    /// `[[event-source]]`.
    pub(crate) sources: Vec<Table>,
    /// `[sink.NAME]`, each with its name.
    pub(crate) sinks: Vec<(String, Table)>,
}

impl Config {
    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// Everything in it that has no meaning; what a flag or an adapter thinks of the values comes later.
    pub(crate) fn read(path: &Path) -> Result<Self, Vec<String>> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| vec![format!("--config: failed to read {}: {error}", path.display())])?;
        read::read(path, &text)
    }
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    file: Arc<Path>,
    line: usize,
}

impl Origin {
    /// The folder that relative paths begin in.
    pub(crate) fn folder(&self) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).to_owned()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}
