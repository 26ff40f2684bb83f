//! The binaries under test.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::process::Command;

/// Set by `tests/run`, which has built the binaries with the tests. Otherwise they are built here.
const BUILT: &str = "SUPERCARGO_TESTS_BUILT";

/// The binaries that are started.
const BINARIES: [&str; 5] =
    ["supercargo", "supercargo-watch", "supercargo-server", "supercargo-lambda", "supercargo-azure-function"];

/// Where a binary of this workspace is: beside this test, as cargo puts them.
///
/// # Errors
///
/// If it cannot be built.
pub fn binary(name: &str) -> Result<PathBuf> {
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| folder().map_err(|error| format!("{error:#}")));
    match folder {
        Ok(folder) => Ok(folder.join(name)),
        Err(message) => bail!("{message}"),
    }
}

fn folder() -> Result<PathBuf> {
    // target/<profile>/deps/it-<hash>
    let test = std::env::current_exe().context("find this test")?;
    let folder = test.parent().and_then(Path::parent).context("a test lies in target/<profile>/deps")?.to_owned();
    if std::env::var_os(BUILT).is_none() {
        build(&folder)?;
    }
    for name in BINARIES {
        let file = folder.join(name);
        ensure!(file.is_file(), "{} is missing: tests/run builds it", file.display());
    }
    Ok(folder)
}

/// Builds the binaries in the profile of this test. cargo has nothing to do if they are fresh.
fn build(folder: &Path) -> Result<()> {
    // Cargo calls the folder of its profile `dev` by another name.
    let profile = match folder.file_name().and_then(OsStr::to_str).context("a folder without a name")? {
        "debug" => "dev",
        name => name,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = std::process::Command::new(cargo);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).args(["build", "--quiet", "--workspace"]);
    command.args(["--profile", profile]).args(BINARIES.iter().flat_map(|name| ["--bin", name]));
    let status = command.status().context("run cargo")?;
    ensure!(status.success(), "cargo could not build {}", BINARIES.join(" and "));
    Ok(())
}

/// Runs `supercargo` to its end, in a home directory without configuration.
///
/// # Errors
///
/// If it cannot be started.
pub async fn supercargo<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Result<Output> {
    supercargo_with(&[], arguments).await
}

/// The same with variables in its environment.
///
/// # Errors
///
/// If it cannot be started.
pub async fn supercargo_with<A: AsRef<OsStr>>(
    variables: &[(&str, &str)],
    arguments: impl IntoIterator<Item = A>,
) -> Result<Output> {
    let home = tempfile::tempdir()?;
    let mut command = Command::new(binary("supercargo")?);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.path())
        .envs(variables.iter().copied())
        .kill_on_drop(true);
    command.output().await.context("run supercargo")
}
