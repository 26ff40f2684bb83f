//! The key that seals the credentials of integrations.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use supercargo_engine::integration::{Key, Vault};

use crate::Environment;

/// The key's file in the data directory.
const FILE: &str = "key";
const VARIABLE: &str = "SUPERCARGO_KEY";

/// The vault of the key in `file`, else of the variable, else of the data directory, where it is made if need be.
///
/// # Errors
///
/// What is wrong, with where it is from.
pub(super) fn vault(file: Option<&Path>, data: &Path, environment: &Environment) -> Result<Vault, String> {
    match (file, environment.text(VARIABLE)) {
        (Some(file), _) => of_text(&read(file)?, &format!("--key-file: {}", file.display())),
        (None, Some(text)) => of_text(&text, VARIABLE),
        (None, None) => {
            let path = data.join(FILE);
            if !path.is_file() {
                make(&path)?;
            }
            of_text(&read(&path)?, &path.display().to_string())
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("failed to read {}: {error}", path.display()))
}

/// One key, or two while one is replaced, the new one first.
fn of_text(text: &str, origin: &str) -> Result<Vault, String> {
    let words: Vec<&str> = text.split([',', '\n', ' ']).map(str::trim).filter(|word| !word.is_empty()).collect();
    let key = |word: &str| Key::from_base64(word).map_err(|error| format!("{origin}: failed to {error}"));
    match words[..] {
        [only] => Ok(Vault::new(key(only)?)),
        [new, former] => Ok(Vault::new(key(new)?).with_former(key(former)?)),
        _ => Err(format!("{origin}: it holds {} keys; there is one, or two while one is replaced", words.len())),
    }
}

/// Makes a key, for its owner alone to read. Of two processes that make one at the same time, the first one's counts.
fn make(path: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("failed to write {}: {error}", path.display());
    let key = Key::generate().map_err(|error| format!("failed to {error}"))?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // Written beside it and then named, so that nobody reads half of it.
    let draft = path.with_extension(format!("{}", std::process::id()));
    let mut file = options.open(&draft).map_err(failed)?;
    let written = writeln!(file, "{}", key.to_base64()).and_then(|()| file.sync_all());
    let named = written.and_then(|()| match std::fs::hard_link(&draft, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    let removed = std::fs::remove_file(&draft);
    named.and(removed).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_kept_from_others() {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment::default();
        let data = folder.path().join("data");
        let sealed = vault(None, &data, &environment).unwrap().seal(b"hunter2", "a.test").unwrap();
        assert_eq!(vault(None, &data, &environment).unwrap().open(&sealed, "a.test").unwrap(), b"hunter2");
        make(&data.join(FILE)).unwrap();
        assert_eq!(vault(None, &data, &environment).unwrap().open(&sealed, "a.test").unwrap(), b"hunter2");
        assert_eq!(std::fs::read_dir(&data).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(data.join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_key_comes_from_a_file_or_a_variable_and_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let (old, new) = (Key::generate().unwrap(), Key::generate().unwrap());
        let environment = Environment::default().with(VARIABLE, old.to_base64());
        let sealed = vault(None, &data, &environment).unwrap().seal(b"hunter2", "a.test").unwrap();
        let file = folder.path().join("keys");
        std::fs::write(&file, format!("{}\n{}\n", new.to_base64(), old.to_base64())).unwrap();
        let both = vault(Some(&file), &data, &environment).unwrap();
        assert_eq!(both.open(&sealed, "a.test").unwrap(), b"hunter2");
        assert!(!data.exists(), "no key is made where one is given");
        for text in ["", "hunter2", &format!("{0},{0},{0}", old.to_base64())] {
            std::fs::write(&file, text).unwrap();
            let problem = vault(Some(&file), &data, &environment).unwrap_err();
            assert!(problem.contains("--key-file") && !problem.contains("hunter2"), "{problem}");
        }
    }
}
