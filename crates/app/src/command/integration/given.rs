//! What several of the commands are given.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use supercargo_engine::integration::{Credentials, Login};
use supercargo_engine::registry::Secret;

use crate::{Error, Result};

/// Where the registry's side finds this installation.
#[derive(Args, Clone, Debug)]
pub(super) struct PublicUrlArgs {
    /// Address at which the registry reaches the server, such as https://supercargo.example.com
    #[arg(long, value_name = "URL", env = "SUPERCARGO_PUBLIC_URL", hide_env_values = true)]
    public_url: Option<String>,
}

impl PublicUrlArgs {
    pub(super) fn given(&self) -> Option<&str> {
        self.public_url.as_deref()
    }
}

/// Credentials, by files: every user of a machine can read a command line.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct LoginArgs {
    /// User at the registry, with --password-file
    #[arg(long, value_name = "NAME", requires = "password_file", help_heading = "Credentials")]
    user: Option<String>,

    /// File with the user's password; - for standard input
    #[arg(long, value_name = "FILE", requires = "user", help_heading = "Credentials")]
    password_file: Option<PathBuf>,

    /// File with a token that needs no user; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "user", help_heading = "Credentials")]
    token_file: Option<PathBuf>,

    /// User at the product's own API, where it is not that of the registry, with --api-password-file
    #[arg(long, value_name = "NAME", requires = "api_password_file", help_heading = "Credentials")]
    api_user: Option<String>,

    /// File with that user's password; - for standard input
    #[arg(long, value_name = "FILE", requires = "api_user", help_heading = "Credentials")]
    api_password_file: Option<PathBuf>,

    /// File with a token for that API; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "api_user", help_heading = "Credentials")]
    api_token_file: Option<PathBuf>,

    /// File with what the queue of the events is signed in to with: a signature, a connection string or an account's key of Azure Storage; - for standard input
    #[arg(long, value_name = "FILE", help_heading = "Credentials")]
    queue_secret_file: Option<PathBuf>,
}

impl LoginArgs {
    /// Whether there are any.
    pub(super) fn is_given(&self) -> bool {
        let Self { user, token_file, api_user, api_token_file, queue_secret_file, .. } = self;
        let is_login = user.is_some() || token_file.is_some() || api_user.is_some() || api_token_file.is_some();
        is_login || queue_secret_file.is_some()
    }

    /// What the files hold.
    ///
    /// # Errors
    ///
    /// The files that cannot be read.
    pub(super) fn read(&self) -> Result<Logins> {
        let registry = login("", self.user.as_deref(), self.password_file.as_deref(), self.token_file.as_deref())?;
        let api =
            login("api-", self.api_user.as_deref(), self.api_password_file.as_deref(), self.api_token_file.as_deref())?;
        let queue = self.queue_secret_file.as_ref().map(|file| secret("--queue-secret-file", file)).transpose()?;
        Ok(Logins { registry, api, queue: queue.map(Secret::from) })
    }
}

/// Credentials that were given.
#[derive(Debug)]
pub(super) struct Logins {
    registry: Option<Login>,
    api: Option<Login>,
    queue: Option<Secret>,
}

impl Logins {
    /// Puts those that are there in the place of those that were.
    pub(super) fn apply(self, credentials: &mut Credentials) {
        credentials.registry = self.registry.or(credentials.registry.take());
        credentials.api = self.api.or(credentials.api.take());
        credentials.queue = self.queue.or(credentials.queue.take());
    }
}

fn login(of: &str, user: Option<&str>, password: Option<&Path>, token: Option<&Path>) -> Result<Option<Login>> {
    Ok(match (user, password, token) {
        (Some(user), Some(file), _) => Some(Login::basic(user, secret(&format!("--{of}password-file"), file)?)),
        (_, _, Some(file)) => Some(Login::Bearer { token: secret(&format!("--{of}token-file"), file)?.into() }),
        _ => None,
    })
}

/// The one secret of a file. Unlike those that are made here it may be short: it is somebody else's.
pub(super) fn secret(flag: &str, file: &Path) -> Result<String> {
    let (read, name) = if file == Path::new("-") {
        let mut text = String::new();
        (std::io::stdin().read_to_string(&mut text).map(|_| text), "standard input".to_owned())
    } else {
        (std::fs::read_to_string(file), file.display().to_string())
    };
    let text = read.map_err(|error| Error::usage(vec![format!("{flag}: failed to read {name}: {error}")]))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() || secret.contains('\n') {
        return Err(Error::usage(vec![format!("{flag}: {name} does not hold a secret on one line")]));
    }
    Ok(secret.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_one_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let check = |contents: &str, expected: Option<&str>| {
            std::fs::write(&path, contents).unwrap();
            assert_eq!(secret("--password-file", &path).ok().as_deref(), expected, "{contents:?}");
        };
        check("hunter2\n", Some("hunter2"));
        check("with blanks \r\n", Some("with blanks "));
        check("", None);
        check("\n", None);
        check("two\nlines\n", None);
        assert!(
            secret("--password-file", &folder.path().join("none")).unwrap_err().to_string().contains("--password-file")
        );
    }
}
