//! Secrets from files and from the environment. Never from flags: every user of a machine can read those.

use std::path::Path;

use supercargo_engine::events::Secret;

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
) -> Result<Vec<Secret>, String> {
    let (text, origin) = match (file, environment.text(variable)) {
        (Some(path), _) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("{flag}: failed to read {}: {error}", path.display()))?;
            (text, path.display().to_string())
        }
        (None, Some(text)) => (text, variable.to_owned()),
        (None, None) => return Ok(Vec::new()),
    };
    let secrets: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if secrets.is_empty() {
        return Err(format!("{flag}: there is no secret in {origin}"));
    }
    if secrets.len() > 2 {
        return Err(format!("{flag}: {origin} has {} lines; two are enough for a rotation", secrets.len()));
    }
    if secrets.iter().any(|secret| secret.len() < LENGTH) {
        return Err(format!("{flag}: a secret in {origin} has fewer than {LENGTH} characters"));
    }
    Ok(secrets.into_iter().map(Secret::new).collect())
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
                    assert_eq!(secrets.len(), expected.len());
                    let mut pairs = secrets.iter().zip(expected);
                    assert!(pairs.all(|(secret, text)| secret.matches(text.as_bytes())), "{contents:?}");
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
}
