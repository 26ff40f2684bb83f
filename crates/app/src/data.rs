//! The data directory and the store in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use supercargo_engine::store::{DataDirectory, DirectoryLock, SqliteOptions, SqliteStore, Store};

use crate::watch::args::DataArgs;
use crate::{Environment, Error, ErrorKind, Result};

/// The database's file in the data directory.
const DATABASE: &str = "supercargo.db";

impl DataArgs {
    /// The directory that is meant.
    ///
    /// # Errors
    ///
    /// If none is named and the environment names no home.
    pub(crate) fn directory(&self, environment: &Environment) -> Result<PathBuf> {
        self.data.clone().or_else(|| environment.state_directory()).ok_or_else(|| {
            Error::usage(vec!["--data: name a directory, for neither XDG_STATE_HOME nor HOME is set".to_owned()])
        })
    }
}

/// A store, and the directory that is this process's alone while it lives.
#[derive(Debug)]
pub(crate) struct OwnedStore {
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) directory: DataDirectory,
    _lock: DirectoryLock,
}

/// Opens the store of a watcher; makes it if it is not there.
///
/// # Errors
///
/// If another watcher has the directory, or the database cannot be opened.
pub(crate) async fn own(path: PathBuf) -> Result<OwnedStore> {
    let failed = |error| Error::from(error).during(format!("use the data directory {}", path.display()));
    let directory = DataDirectory::create(path.clone()).map_err(failed)?;
    let lock = directory.lock().map_err(failed)?;
    let store = SqliteStore::open(SqliteOptions::new(directory.database())).await.map_err(failed)?;
    Ok(OwnedStore { store: Arc::new(store), directory, _lock: lock })
}

/// Opens the store beside whoever runs on it; makes it if it is not there, so that what is to be watched can be said
/// before the first start.
///
/// # Errors
///
/// If the database cannot be opened.
pub(crate) async fn make(path: &Path) -> Result<Arc<dyn Store>> {
    let failed = |error| Error::from(error).during(format!("use the data directory {}", path.display()));
    let directory = DataDirectory::create(path.to_owned()).map_err(failed)?;
    let store = SqliteStore::open(SqliteOptions::new(directory.database())).await.map_err(failed)?;
    Ok(Arc::new(store))
}

/// Whether a watcher has been at work in this directory.
pub(crate) fn is_there(path: &Path) -> bool {
    path.join(DATABASE).is_file()
}

/// Opens the store of a watcher to look into it, beside the watcher if it runs.
///
/// # Errors
///
/// [`ErrorKind::NotFound`] if there is none.
pub(crate) async fn look(path: PathBuf) -> Result<Arc<dyn Store>> {
    // Asked before, because opening it would make an empty one.
    let database = path.join(DATABASE);
    if !is_there(&path) {
        return Err(Error::new(ErrorKind::NotFound, format!("find a store in {}", path.display()))
            .with_hint("start supercargo-watch to make one, or name its directory with --data"));
    }
    let store = SqliteStore::open(SqliteOptions::new(database)).await?;
    Ok(Arc::new(store))
}
