//! Programs that do one thing and end.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use supercargo_testkit::{Artifact, write_layout};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// A user name and a password.
pub type Login<'a> = (&'a str, &'a str);

/// Where a program is.
///
/// # Errors
///
/// What to do if it is missing.
pub(crate) fn find(program: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian has servers in folders that users need not have in their path.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/bin".into()]);
    match folders.map(|folder| folder.join(program)).find(|file| file.is_file()) {
        Some(file) => Ok(file),
        None => bail!("{program} is not installed: tests/run installs what the tests need"),
    }
}

async fn run<A: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = A>) -> Result<Output> {
    let mut command = Command::new(find(program)?);
    command.args(arguments).kill_on_drop(true);
    let output = command.output().await.with_context(|| format!("run {program}"))?;
    ensure!(
        output.status.success(),
        "{program} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(output)
}

/// Runs skopeo.
///
/// # Errors
///
/// What it complains of.
pub async fn skopeo<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Result<()> {
    // The trust policy is a file that not every machine has.
    let arguments: Vec<A> = arguments.into_iter().collect();
    let all = std::iter::once(OsStr::new("--insecure-policy")).chain(arguments.iter().map(AsRef::as_ref));
    run("skopeo", all).await?;
    Ok(())
}

/// The manifest behind a reference such as `127.0.0.1:5000/team/app:1.0`, as skopeo gets it.
///
/// # Errors
///
/// What skopeo complains of.
pub async fn manifest(reference: &str) -> Result<Value> {
    let image = format!("docker://{reference}");
    let output = run("skopeo", ["inspect", "--raw", "--tls-verify=false", &image]).await?;
    serde_json::from_slice(&output.stdout).with_context(|| format!("read the manifest of {reference}"))
}

/// Runs umoci.
///
/// # Errors
///
/// What it complains of.
pub async fn umoci<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Result<()> {
    run("umoci", arguments).await?;
    Ok(())
}

/// Runs openssl and gives what it prints.
///
/// # Errors
///
/// What it complains of.
pub async fn openssl<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Result<Vec<u8>> {
    Ok(run("openssl", arguments).await?.stdout)
}

/// The Python interpreter that has what `tests/python-requirements.txt` lists; the first call installs it.
///
/// # Errors
///
/// Why it could not be installed.
pub async fn python() -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
    let output = Command::new(script).output().await.context("run tests/python")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8(output.stdout)?.trim().into())
}

/// Runs a Python program with these arguments; what it prints.
///
/// # Errors
///
/// What it complains of.
pub async fn run_python(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(python().await?).arg("-c").arg(program).args(arguments).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs a Python program that reads JSON on its standard input; the JSON that it prints, if it prints some.
///
/// # Errors
///
/// If it fails; what it complains of is on standard error.
pub async fn ask_python(program: &str, given: &Value) -> Result<Value> {
    let mut child = Command::new(python().await?)
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    child.stdin.take().context("the program has an input")?.write_all(given.to_string().as_bytes()).await?;
    let output = child.wait_with_output().await?;
    ensure!(output.status.success(), "the Python program failed");
    if output.stdout.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&output.stdout).context("read what the program printed")
}

/// The HMAC of `body`, in hexadecimal digits, as `openssl` computes it. `algorithm` is one of its digests: `sha256`.
///
/// # Errors
///
/// What it complains of.
pub async fn hmac(algorithm: &str, secret: &str, body: &str) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("signed");
    std::fs::write(&file, body)?;
    let digest = format!("-{algorithm}");
    let arguments = ["dgst", &digest, "-hmac", secret, "-hex", "-r"].map(OsStr::new);
    let text = String::from_utf8(openssl(arguments.into_iter().chain([file.as_os_str()])).await?)?;
    Ok(text.split_whitespace().next().context("openssl printed nothing")?.to_owned())
}

/// Pushes `artifact` with skopeo, as a build machine does.
///
/// # Errors
///
/// What skopeo complains of.
pub async fn push(artifact: &dyn Artifact, host: &str, image: &str, login: Option<Login<'_>>) -> Result<()> {
    let layout = tempfile::tempdir()?;
    write_layout(artifact, layout.path(), "pushed")?;
    copy_layout(layout.path(), "pushed", host, image, login).await
}

async fn copy_layout(layout: &Path, tag: &str, host: &str, image: &str, login: Option<Login<'_>>) -> Result<()> {
    let mut arguments: Vec<String> =
        ["copy", "--quiet", "--all", "--preserve-digests", "--dest-tls-verify=false"].map(str::to_owned).to_vec();
    if let Some((user, password)) = login {
        arguments.push(format!("--dest-creds={user}:{password}"));
    }
    arguments.push(format!("oci:{}:{tag}", layout.display()));
    arguments.push(format!("docker://{host}/{image}"));
    skopeo(arguments).await.with_context(|| format!("push {host}/{image}"))
}
