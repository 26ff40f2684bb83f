//! What is asked at a terminal, at a real one: a pair of pseudo-terminals, at the other end of which somebody types.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;
use supercargo_tests::{binary, eventually, supercargo_with};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(20);
const NAME: &str = "prod";
/// What the key Control-D sends: the end of input.
const END: &[u8] = b"\x04";

/// A terminal with a program at it.
struct Terminal {
    controller: File,
    program: Child,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Starts a program at a new terminal; its input is that, too, unless it is `given` another.
    fn start(mut command: Command, given: Option<Stdio>) -> Result<Self> {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&controller)?;
        unlockpt(&controller)?;
        let name = ptsname(&controller, Vec::new())?;
        let path = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
        let line = OpenOptions::new().read(true).write(true).open(path)?;
        let input = match given {
            Some(input) => input,
            None => line.try_clone()?.into(),
        };
        let program = command.stdin(input).stdout(line.try_clone()?).stderr(line).spawn()?;
        // The command holds the program's end, which must close with the program.
        drop(command);
        let (controller, shown) = (File::from(controller), Arc::new(Mutex::new(Vec::new())));
        let (mut screen, seen) = (controller.try_clone()?, Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            loop {
                match screen.read(&mut buffer) {
                    Ok(length) if length > 0 => {
                        seen.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..length]);
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    // Linux says so when the other end has closed.
                    _ => return,
                }
            }
        });
        Ok(Self { controller, program, shown })
    }

    /// What is on the screen, with the ends of lines as files have them.
    fn shown(&self) -> String {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&shown).replace("\r\n", "\n")
    }

    /// Waits for the question, and types the answer.
    async fn answer(&mut self, keys: &[u8]) -> Result<()> {
        let look = async || {
            ensure!(self.shown().contains("[y/N]"), "{}", self.shown());
            Ok(())
        };
        eventually("the question is asked", LIMIT, look).await?;
        self.controller.write_all(keys)?;
        Ok(())
    }

    async fn end(&mut self) -> Result<ExitStatus> {
        let program = Mutex::new(&mut self.program);
        let look = async || {
            let mut program = program.lock().unwrap_or_else(PoisonError::into_inner);
            program.try_wait()?.context("it has not ended")
        };
        Ok(eventually("the program ends", LIMIT, look).await?.0)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Of a test that failed; one that has ended is not hit any more.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// An integration of somebody.
struct Desk {
    folder: TempDir,
}

impl Desk {
    async fn new() -> Result<Self> {
        let desk = Self { folder: tempfile::tempdir()? };
        let create = ["integration", "create", "ecr", NAME, "--account", "123456789012", "--region", "eu-west-1"];
        desk.run(&create).await?;
        Ok(desk)
    }

    async fn run(&self, arguments: &[&str]) -> Result<String> {
        let data = self.folder.path().join("data");
        let ran = supercargo_with(&[("SUPERCARGO_DATA", data.to_str().context("a path")?)], arguments).await?;
        ensure!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
        Ok(String::from_utf8(ran.stdout)?)
    }

    /// How many integrations there are.
    async fn count(&self) -> Result<usize> {
        let all: Value = serde_json::from_str(&self.run(&["integration", "list", "-o", "json"]).await?)?;
        Ok(all.as_array().context("a list")?.len())
    }

    fn remove(&self, more: &[&str]) -> Result<Command> {
        let mut command = Command::new(binary("supercargo")?);
        command
            .args(["integration", "remove", NAME])
            .args(more)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("SUPERCARGO_DATA", self.folder.path().join("data"));
        Ok(command)
    }
}

#[tokio::test]
async fn nothing_is_removed_before_somebody_has_said_yes() -> Result<()> {
    let desk = Desk::new().await?;
    for keys in [&b"n\n"[..], b"\n", END, b"yes please\n", b"no\ny\n"] {
        let mut terminal = Terminal::start(desk.remove(&[])?, None)?;
        terminal.answer(keys).await?;
        let status = terminal.end().await?;
        let shown = terminal.shown();
        ensure!(status.code() == Some(1), "{keys:?}: {status}: {shown}");
        eventually("it says so", LIMIT, async || {
            ensure!(terminal.shown().contains("nothing is removed"), "{}", terminal.shown());
            Ok(())
        })
        .await?;
        ensure!(shown.contains("What is known of its images stays"), "{shown}");
        ensure!(desk.count().await? == 1, "{keys:?} has removed it");
    }

    let mut terminal = Terminal::start(desk.remove(&["--delete-data"])?, None)?;
    terminal.answer(b"y\n").await?;
    let status = terminal.end().await?;
    ensure!(status.success(), "{status}: {}", terminal.shown());
    let remains = "aws cloudformation delete-stack --region eu-west-1 --stack-name SupercargoECRIntegration";
    eventually("what remains is told", LIMIT, async || {
        let shown = terminal.shown();
        ensure!(shown.contains("WHAT IS KNOWN OF ITS IMAGES IS DELETED") && shown.contains(remains), "{shown}");
        Ok(())
    })
    .await?;
    ensure!(desk.count().await? == 0, "it is still there");
    Ok(())
}

/// An answer that nobody gave after the question was read is none.
#[tokio::test]
async fn a_file_or_a_pipe_does_not_say_yes() -> Result<()> {
    let desk = Desk::new().await?;
    let answers = desk.folder.path().join("answers");
    std::fs::write(&answers, "y\ny\n")?;
    let mut terminal = Terminal::start(desk.remove(&[])?, Some(File::open(&answers)?.into()))?;
    let status = terminal.end().await?;
    ensure!(status.code() == Some(2), "{status}: {}", terminal.shown());
    eventually("it says what to do", LIMIT, async || {
        ensure!(terminal.shown().contains("--yes"), "{}", terminal.shown());
        Ok(())
    })
    .await?;
    let ran = desk.remove(&[])?.stdin(File::open(&answers)?).output()?;
    ensure!(ran.status.code() == Some(2), "{ran:?}");
    ensure!(desk.count().await? == 1, "it was removed");

    let ran = desk.remove(&["--yes"])?.stdin(Stdio::null()).output()?;
    ensure!(ran.status.success(), "{ran:?}");
    ensure!(desk.count().await? == 0, "it is still there");
    Ok(())
}
