//! Secrets from files and from the environment. Never from flags: every user of a machine can read those.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use crate::Environment;

/// Shorter secrets can be guessed by whoever can try a few million times.
const LENGTH: usize = 16;

/// The secrets of a file, one per line, or else of a variable. None if neither is there.
///
/// # Errors
///
/// What is wrong, under the name of the flag.
pub(crate) fn read(
    flag: &str,
    file: Option<&Path>,
    variable: &str,
    environment: &Environment,
) -> Result<Vec<String>, String> {
    let found = match (file, environment.text(variable)) {
        (Some(path), _) => of_file(path),
        (None, Some(_)) => of_variable(variable, environment),
        (None, None) => return Ok(Vec::new()),
    };
    found.map_err(|problem| format!("{flag}: {problem}"))
}

/// The one or two secrets of a file.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn of_file(path: &Path) -> Result<Vec<String>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("failed to read {}: {error}", path.display()))?;
    lines(&text, &path.display().to_string())
}

/// The one or two secrets of a variable.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn of_variable(variable: &str, environment: &Environment) -> Result<Vec<String>, String> {
    match environment.text(variable) {
        Some(text) => lines(&text, variable),
        None => Err(format!("{variable} is not set")),
    }
}

fn lines(text: &str, origin: &str) -> Result<Vec<String>, String> {
    let secrets: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if secrets.is_empty() {
        return Err(format!("there is no secret in {origin}"));
    }
    if secrets.len() > 2 {
        return Err(format!("{origin} has {} lines; two are enough for a rotation", secrets.len()));
    }
    if secrets.iter().any(|secret| secret.len() < LENGTH) {
        return Err(format!("a secret in {origin} has fewer than {LENGTH} characters"));
    }
    Ok(secrets.into_iter().map(str::to_owned).collect())
}

/// Makes a secret of 256 random bits and keeps it in `path`, for its owner alone to read.
///
/// # Errors
///
/// If it cannot be written.
pub(crate) fn make(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("failed to write {}: {error}", path.display());
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| format!("failed to get random bytes: {error}"))?;
    let mut secret = String::new();
    for byte in bytes {
        let _ = write!(secret, "{byte:02x}");
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    if let Some(folder) = path.parent() {
        builder.create(folder).map_err(failed)?;
    }
    let mut file = options.open(path).map_err(failed)?;
    writeln!(file, "{secret}").and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_files_and_variables() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let environment = Environment::default().with("V", "from-the-environment");
        let check = |contents: Option<&str>, expected: Result<&[&str], &str>| {
            if let Some(contents) = contents {
                std::fs::write(&path, contents).unwrap();
            }
            let file = contents.map(|_| path.as_path());
            match (read("--flag", file, "V", &environment), expected) {
                (Ok(secrets), Ok(expected)) => {
                    assert_eq!(secrets, expected, "{contents:?}");
                }
                (Err(message), Err(part)) => assert!(message.contains(part), "{message}"),
                (found, _) => panic!("{contents:?}: {found:?}"),
            }
        };
        check(None, Ok(&["from-the-environment"]));
        check(Some("a-secret-of-some-length\n"), Ok(&["a-secret-of-some-length"]));
        check(
            Some("the-new-long-secret\n\nthe-old-long-secret\n"),
            Ok(&["the-new-long-secret", "the-old-long-secret"]),
        );
        check(Some("\n"), Err("no secret"));
        check(Some("short"), Err("fewer than"));
        check(Some("aaaaaaaaaaaaaaaa\nbbbbbbbbbbbbbbbb\ncccccccccccccccc"), Err("3 lines"));
        assert!(read("--flag", Some(Path::new("/no/such/file")), "V", &environment).unwrap_err().contains("--flag"));
        assert!(read("--flag", None, "W", &environment).unwrap().is_empty());
    }

    #[test]
    fn a_made_secret_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets/main");
        let secret = make(&path).unwrap();
        assert_eq!((secret.len(), of_file(&path).unwrap()), (64, vec![secret]));
        assert!(make(&path).is_err(), "it is not replaced");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
