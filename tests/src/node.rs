//! Programs of Node.js.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

/// A program of those that `tests/node-requirements.txt` lists; the first call installs them.
///
/// # Errors
///
/// Why it could not be installed.
pub async fn node_program(name: &str) -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("node");
    let output = Command::new(script).output().await.context("run tests/node")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()).join(name))
}
