//! What the process was started with. Nothing else in supercargo reads environment variables.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// The environment variables, taken once at the start.
#[derive(Clone, Default)]
pub struct Environment {
    variables: HashMap<String, OsString>,
}

impl Environment {
    /// Those of this process.
    pub fn of_process() -> Self {
        Self {
            variables: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
                .collect(),
        }
    }

    /// The same with one more, for tests.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// A variable; an empty one is as good as none.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let value = self.variables.get(name)?.to_str()?;
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// A variable that names a file.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        let value = self.variables.get(name)?;
        (!value.is_empty()).then(|| value.into())
    }

    /// The user's home directory.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        self.path("HOME")
    }

    /// Whether colours are wanted, by <https://no-color.org>.
    pub fn wants_color(&self) -> bool {
        self.text("NO_COLOR").is_none() && self.text("TERM").as_deref() != Some("dumb")
    }

    /// The user's directory for what outlives a restart (XDG Base Directory Specification, `XDG_STATE_HOME`).
    pub(crate) fn state_directory(&self) -> Option<PathBuf> {
        // The specification has relative paths ignored.
        let state = self.path("XDG_STATE_HOME").filter(|path| path.is_absolute());
        Some(state.or_else(|| Some(self.home()?.join(".local/state")))?.join("supercargo"))
    }

    /// The user's directory for configuration (XDG Base Directory Specification, `XDG_CONFIG_HOME`).
    pub(crate) fn config_directory(&self) -> Option<PathBuf> {
        let config = self.path("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
        Some(config.or_else(|| Some(self.home()?.join(".config")))?.join("supercargo"))
    }

    /// The variables whose names begin with one of `prefixes`.
    #[cfg(feature = "files")]
    pub(crate) fn with_prefixes(&self, prefixes: &[&str]) -> Vec<(String, String)> {
        let wanted = |name: &&String| prefixes.iter().any(|prefix| name.starts_with(prefix));
        let names = self.variables.keys().filter(wanted);
        names.filter_map(|name| Some((name.clone(), self.text(name)?))).collect()
    }

    /// docker's configuration file.
    pub(crate) fn docker_config(&self) -> Option<PathBuf> {
        let folder = self.path("DOCKER_CONFIG").or_else(|| Some(self.home()?.join(".docker")))?;
        Some(folder.join("config.json"))
    }
}

/// Names alone: values are secrets too often.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_directory() {
        let check = |variables: &[(&str, &str)], expected: Option<&str>| {
            let environment =
                variables.iter().fold(Environment::default(), |all, (name, value)| all.with(*name, *value));
            assert_eq!(environment.state_directory(), expected.map(PathBuf::from), "{variables:?}");
        };
        check(&[("HOME", "/home/me")], Some("/home/me/.local/state/supercargo"));
        check(&[("HOME", "/home/me"), ("XDG_STATE_HOME", "/var/state")], Some("/var/state/supercargo"));
        check(&[("HOME", "/home/me"), ("XDG_STATE_HOME", "state")], Some("/home/me/.local/state/supercargo"));
        check(&[("HOME", "")], None);
    }

    #[test]
    fn colours_and_docker() {
        assert!(Environment::default().with("NO_COLOR", "").wants_color());
        assert!(!Environment::default().with("NO_COLOR", "1").wants_color());
        assert!(!Environment::default().with("TERM", "dumb").wants_color());
        let environment = Environment::default().with("HOME", "/h").with("DOCKER_CONFIG", "/d");
        assert_eq!(environment.docker_config(), Some("/d/config.json".into()));
        assert!(!format!("{:?}", environment.with("TOKEN", "hunter2")).contains("hunter2"));
    }
}
