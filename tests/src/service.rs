//! Programs that run beside a test.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::eventually;

/// Lines of a log that a failed test shows.
const SHOWN: usize = 60;

/// A running program. It is killed, by its own process ID, when this value goes.
#[derive(Debug)]
pub struct Service {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Service {
    /// Starts `command`. What it prints is added to the file `log`.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let open = || -> Result<File> {
            OpenOptions::new().create(true).append(true).open(log).with_context(|| format!("open {}", log.display()))
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(open()?)
            .stderr(open()?)
            .spawn()
            .with_context(|| format!("start {name} ({})", command.get_program().display()))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// Its process ID.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it printed so far, also before a restart with the same log.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The end of its log, for a person to read.
    pub fn last_lines(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let from = lines.len().saturating_sub(SHOWN);
        format!("the last lines of {}:\n  {}", self.name, lines[from..].join("\n  "))
    }

    /// That it still runs.
    ///
    /// # Errors
    ///
    /// How it ended, with the end of its log.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait().context("ask for the state of a process")? {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}; {}", self.name, self.last_lines()),
        }
    }

    /// Ends it as `kill -9` does.
    ///
    /// # Errors
    ///
    /// If it had ended before.
    pub fn kill(mut self) -> Result<()> {
        self.check()?;
        self.child.kill().context("kill a process")?;
        self.child.wait().context("wait for a process")?;
        Ok(())
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    ///
    /// If it does not end within `limit`.
    pub async fn stop(mut self, limit: Duration) -> Result<ExitStatus> {
        // The shell's own `kill`: a bare machine need not have the program.
        let sent = Command::new("sh").arg("-c").arg(format!("kill -TERM {}", self.id())).status();
        sent.context("send SIGTERM")?;
        let name = self.name.clone();
        let (status, _) =
            eventually(&format!("{name} has ended"), limit, async || self.child.try_wait()?.context("it runs"))
                .await
                .with_context(|| self.last_lines())?;
        Ok(status)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Both fail if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "the report of the test that fails is where this is looked for")]
            {
                eprintln!("{}", self.last_lines());
            }
        }
    }
}
