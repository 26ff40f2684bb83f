//! Tables whose keys somebody else knows: registries, event sources, sinks.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Origin;

/// A table. A list is a text with commas, as in a flag.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// Its first line.
    pub(crate) at: Origin,
    fields: BTreeMap<String, Field>,
}

#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) value: String,
    pub(crate) at: Origin,
}

impl Table {
    pub(super) fn new(at: Origin) -> Self {
        Self { at, fields: BTreeMap::new() }
    }

    pub(super) fn insert(&mut self, key: String, field: Field) {
        self.fields.insert(key, field);
    }

    /// Takes a key out.
    pub(crate) fn take(&mut self, key: &str) -> Option<Field> {
        self.fields.remove(key)
    }

    /// Takes a key out that names a file.
    pub(crate) fn take_path(&mut self, key: &str) -> Option<(PathBuf, Origin)> {
        let field = self.take(key)?;
        // Joining an absolute path gives that path.
        Some((field.at.folder().join(&field.value), field.at))
    }

    /// Makes the values of these keys paths that do not depend on where the program was started.
    pub(crate) fn resolve_paths(&mut self, keys: &[&str]) {
        for (_, field) in self.fields.iter_mut().filter(|(key, _)| keys.contains(&key.as_str())) {
            field.value = field.at.folder().join(&field.value).display().to_string();
        }
    }

    /// What is left.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &Field)> {
        self.fields.iter().map(|(key, field)| (key.as_str(), field))
    }

    /// Where a key is, or the table if it has no such key.
    pub(crate) fn origin(&self, key: &str) -> &Origin {
        self.fields.get(key).map_or(&self.at, |field| &field.at)
    }

    /// The table as one value of a flag: `key=value` fields, each in quotes (RFC 4180).
    pub(crate) fn record(&self) -> String {
        let field = |(key, field): (&str, &Field)| format!("\"{key}={}\"", field.value.replace('"', "\"\""));
        self.fields().map(field).collect::<Vec<_>>().join(",")
    }
}
