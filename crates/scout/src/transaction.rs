//! Facts, and the transactions that carry them.

use std::fmt;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::edn::Value;

/// One entity: a flat set of attributes with a name that others in the same transaction refer to it by.
///
/// ```
/// use supercargo_scout::Entity;
///
/// let image = Entity::new("docker/image", "$image").with("docker.image/digest", "sha256:0").with_added("docker.image/tags", ["1.0"]);
/// assert_eq!(
///     image.to_edn().to_string(),
///     r#"{:schema/entity-type :docker/image :schema/entity "$image" :docker.image/digest "sha256:0" :docker.image/tags {:add ["1.0"]}}"#
/// );
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Entity {
    kind: &'static str,
    name: String,
    attributes: Vec<(&'static str, Value)>,
}

impl Entity {
    /// An entity of the kind `namespace/name`, known as `name` within its transaction: `$` and something unique.
    pub fn new(kind: &'static str, name: impl Into<String>) -> Self {
        Self { kind, name: name.into(), attributes: Vec::new() }
    }

    /// The same with an attribute.
    #[must_use]
    pub fn with(mut self, attribute: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push((attribute, value.into()));
        self
    }

    /// The same with an attribute, if there is a value for it.
    #[must_use]
    pub fn with_some(self, attribute: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(attribute, value),
            None => self,
        }
    }

    /// The same with values that are added to those that the service has of a many-valued attribute.
    #[must_use]
    pub fn with_added<V: Into<Value>>(self, attribute: &'static str, values: impl IntoIterator<Item = V>) -> Self {
        let values: Value = values.into_iter().collect();
        self.with(attribute, Value::Map(vec![("add", values)]))
    }

    /// The same with values that take the place of those that the service has.
    #[must_use]
    pub fn with_set<V: Into<Value>>(self, attribute: &'static str, values: impl IntoIterator<Item = V>) -> Self {
        let values: Value = values.into_iter().collect();
        self.with(attribute, Value::Map(vec![("set", values)]))
    }

    /// What it is, `namespace/name`.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Its name within its transaction.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As a map.
    pub fn to_edn(&self) -> Value {
        let mut entries =
            vec![("schema/entity-type", Value::Keyword(self.kind)), ("schema/entity", self.name.clone().into())];
        entries.extend(self.attributes.iter().cloned());
        Value::Map(entries)
    }
}

/// Entities that the service takes together.
#[derive(Clone, Debug, PartialEq)]
pub struct Transaction {
    /// What it does in the course of an upload.
    pub step: Step,
    /// The entities.
    pub entities: Vec<Entity>,
}

impl Transaction {
    /// Facts of one's own.
    pub fn new(entities: Vec<Entity>) -> Self {
        Self { step: Step::Facts, entities }
    }

    /// As it is sent: a vector of maps, one on each line.
    pub fn to_edn(&self) -> String {
        let mut text = String::from("[");
        for (at, entity) in self.entities.iter().enumerate() {
            text.push_str(if at == 0 { "" } else { "\n " });
            text.push_str(&entity.to_edn().to_string());
        }
        text.push(']');
        text
    }
}

/// What a transaction does in the course of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// It tells of the image: repository, tags, platform, configuration, layers.
    Image,
    /// It tells of packages.
    Packages,
    /// It says that all packages were told.
    Indexed,
    /// It says that the packages will not come.
    Failed,
    /// Something else.
    Facts,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Image => "image",
            Self::Packages => "packages",
            Self::Indexed => "indexed",
            Self::Failed => "failed",
            Self::Facts => "facts",
        })
    }
}

/// The ID that all transactions of one upload have: the service keeps their order by it, and Docker's support can find
/// them by it. Made of what is delivered, so that a delivery that is repeated has the same.
///
/// ```
/// use supercargo_scout::CorrelationId;
///
/// let id = CorrelationId::of("delivery 7");
/// assert_eq!(id, CorrelationId::of("delivery 7"));
/// assert_eq!(id.as_str().len(), 36);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CorrelationId(String);

impl CorrelationId {
    /// The ID of the delivery with this name: a UUID of version 8 (RFC 9562), from the name's SHA-256.
    pub fn of(delivery: &str) -> Self {
        let hash = Sha256::new().chain_update("supercargo-scout\0").chain_update(delivery).finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let (a, b, c, d, e) = (&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
        Self(format!("{a}-{b}-{c}-{d}-{e}"))
    }

    /// The UUID's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_of_version_8() {
        let id = CorrelationId::of("x").to_string();
        let parts: Vec<&str> = id.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert!(parts[2].starts_with('8') && "89ab".contains(&parts[3][..1]), "{id}");
        assert_ne!(CorrelationId::of("x"), CorrelationId::of("y"));
    }
}
