//! Running the developer tools.

use std::ffi::OsStr;
use std::io;
use std::process::{Output, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use azure_identity::Executor;

/// Longest wait for a tool. The Azure CLI takes seconds; one that waits for a person would wait for ever.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a tool that must not ask anybody, and ends with whoever asked for it.
#[derive(Debug)]
pub(super) struct Tool;

#[async_trait]
impl Executor for Tool {
    async fn run(&self, program: &OsStr, args: &[&OsStr]) -> io::Result<Output> {
        let mut command = tokio::process::Command::new(program);
        command.args(args).stdin(Stdio::null()).kill_on_drop(true);
        match tokio::time::timeout(PATIENCE, command.output()).await {
            Ok(output) => output,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer")),
        }
    }
}
