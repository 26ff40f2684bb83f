//! What `supercargo config` keeps for this user: `settings.json` in the user's configuration folder.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Environment;

#[derive(Default, Deserialize, Serialize)]
struct Settings {
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<String>,
}

fn path(environment: &Environment) -> Option<PathBuf> {
    Some(environment.config_directory()?.join("settings.json"))
}

fn read(environment: &Environment) -> Result<Settings, String> {
    let Some(path) = path(environment) else { return Ok(Settings::default()) };
    match std::fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Settings::default()),
        Err(error) => Err(format!("failed to read {}: {error}", path.display())),
    }
}

/// The organization that is meant where none is named.
///
/// # Errors
///
/// If the file is there and cannot be read.
pub(crate) fn organization(environment: &Environment) -> Result<Option<String>, String> {
    Ok(read(environment)?.organization)
}

/// Names the organization; an empty name takes it back.
///
/// # Errors
///
/// If the file cannot be written.
pub(crate) fn set_organization(environment: &Environment, organization: &str) -> Result<(), String> {
    let path = path(environment).ok_or("neither XDG_CONFIG_HOME nor HOME is set")?;
    let mut settings = read(environment)?;
    settings.organization = (!organization.is_empty()).then(|| organization.to_owned());
    let failed = |error: std::io::Error| format!("failed to write {}: {error}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let text = serde_json::to_string_pretty(&settings).map_err(|error| error.to_string())?;
    crate::command::write_file(&path, |writer| writeln!(writer, "{text}")).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organization_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment::default().with("XDG_CONFIG_HOME", folder.path());
        assert_eq!(organization(&environment), Ok(None));
        set_organization(&environment, "acme").unwrap();
        assert_eq!(organization(&environment), Ok(Some("acme".to_owned())));
        set_organization(&environment, "").unwrap();
        assert_eq!(organization(&environment), Ok(None));
        assert_eq!(organization(&Environment::default()), Ok(None));
        assert!(set_organization(&Environment::default(), "acme").is_err());
    }
}
