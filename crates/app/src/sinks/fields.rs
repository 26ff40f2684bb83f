//! Keys and values, taken one by one; what nobody took makes no sense.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use supercargo_engine::registry::Secret;

use super::SinkConfig;
use crate::{Environment, flag};

/// The fields of a sink. Every reader notes what is wrong and goes on, so that all of it is told.
pub(crate) struct Fields<'a> {
    environment: &'a Environment,
    folder: PathBuf,
    fields: BTreeMap<String, String>,
    asked: Vec<&'static str>,
    problems: Vec<String>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(config: &SinkConfig, environment: &'a Environment) -> Self {
        let mut problems = Vec::new();
        let mut fields = BTreeMap::new();
        for (key, value) in &config.fields {
            if fields.insert(key.clone(), value.clone()).is_some() {
                problems.push(format!("{key}: it is there twice"));
            }
        }
        Self { environment, folder: config.folder.clone(), fields, asked: Vec::new(), problems }
    }

    pub(crate) fn refuse(&mut self, key: &str, message: impl Display) {
        self.problems.push(format!("{key}: {message}"));
    }

    pub(crate) fn text(&mut self, key: &'static str) -> Option<String> {
        self.asked.push(key);
        self.fields.remove(key).filter(|value| !value.is_empty())
    }

    /// A value that must be there.
    pub(crate) fn required(&mut self, key: &'static str) -> Option<String> {
        let found = self.text(key);
        if found.is_none() {
            self.refuse(key, "it is missing");
        }
        found
    }

    /// A value in its own form.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(&mut self, key: &'static str) -> Option<T> {
        let text = self.text(key)?;
        text.parse().map_err(|error| self.refuse(key, error)).ok()
    }

    pub(crate) fn switch(&mut self, key: &'static str) -> Option<bool> {
        let text = self.text(key)?;
        flag::parse(&text).map(|flag| flag.is_set()).map_err(|error| self.refuse(key, error)).ok()
    }

    /// A path; one that is relative begins where the others of its file do.
    pub(crate) fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        let path = self.text(key)?;
        Some(self.folder.join(path))
    }

    pub(crate) fn file(&mut self, key: &'static str) -> Option<Vec<u8>> {
        let path = self.path(key)?;
        let read = std::fs::read(&path);
        read.map_err(|error| self.refuse(key, format_args!("failed to read {}: {error}", path.display()))).ok()
    }

    /// A secret, by the file or the variable that has it; never by the flag itself, which every user of the machine
    /// can read.
    pub(crate) fn secret(&mut self, file_key: &'static str, variable_key: &'static str) -> Option<Secret> {
        if let Some(bytes) = self.file(file_key) {
            // Asked for, so that it is known.
            let _ = self.text(variable_key);
            return match String::from_utf8(bytes) {
                Ok(text) if !text.trim().is_empty() => Some(Secret::from(text.trim().to_owned())),
                _ => {
                    self.refuse(file_key, "there is no secret in it");
                    None
                }
            };
        }
        let name = self.text(variable_key)?;
        let found = self.environment.text(&name);
        if found.is_none() {
            self.refuse(variable_key, format_args!("{name} is not set"));
        }
        found.map(Secret::from)
    }

    /// Whatever is left whose key `wanted` wants, as secrets; `NAME-file` is NAME with what is in that file.
    #[cfg(feature = "files")]
    pub(crate) fn rest(&mut self, wanted: impl Fn(&str) -> bool) -> Vec<(String, Secret)> {
        let keys: Vec<String> = self.fields.keys().filter(|key| wanted(key)).cloned().collect();
        let mut found = Vec::new();
        for key in keys {
            let Some(value) = self.fields.remove(&key) else { continue };
            let Some(name) = key.strip_suffix("-file") else {
                found.push((key, Secret::from(value)));
                continue;
            };
            let path = self.folder.join(value);
            match std::fs::read_to_string(&path) {
                Ok(text) => found.push((name.to_owned(), Secret::from(text.trim().to_owned()))),
                Err(error) => self.refuse(&key, format_args!("failed to read {}: {error}", path.display())),
            }
        }
        found
    }

    /// All that was wrong, keys that nobody asked for among it.
    pub(crate) fn end(mut self) -> Vec<String> {
        self.asked.sort_unstable();
        self.asked.dedup();
        for key in self.fields.keys() {
            let known = self.asked.join(", ");
            self.problems.push(format!("{key}: there is no such key; there are {known}"));
        }
        self.problems
    }
}
