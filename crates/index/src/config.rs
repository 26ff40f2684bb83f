//! The image configuration, read leniently: builders have written `null` wherever a list or a map may stand.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::Digest;

/// An image's configuration (image-spec `config.md`, and Docker's v1 image format before it).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct ImageConfig {
    /// When the image was made, RFC 3339, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// CPU architecture, in Go's words: `amd64`, `arm64`, …
    #[serde(deserialize_with = "null_default")]
    pub architecture: String,
    /// Operating system, in Go's words: `linux`, `windows`, …
    #[serde(deserialize_with = "null_default")]
    pub os: String,
    /// Operating system version (Windows).
    #[serde(rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// CPU variant: `v7`, `v8`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// What a container of this image runs with.
    #[serde(deserialize_with = "null_default")]
    pub config: RunConfig,
    /// The layers' diff IDs.
    #[serde(deserialize_with = "null_default")]
    pub rootfs: RootFs,
    /// The instructions that made the image, oldest first.
    #[serde(deserialize_with = "null_default")]
    pub history: Vec<History>,
}

/// What a container runs with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, rename_all = "PascalCase")]
pub struct RunConfig {
    /// User and group.
    #[serde(deserialize_with = "null_default")]
    pub user: String,
    /// `NAME=value` strings.
    #[serde(deserialize_with = "null_default")]
    pub env: Vec<String>,
    /// The program.
    #[serde(deserialize_with = "null_default")]
    pub entrypoint: Vec<String>,
    /// Its arguments.
    #[serde(deserialize_with = "null_default")]
    pub cmd: Vec<String>,
    /// Working directory.
    #[serde(deserialize_with = "null_default")]
    pub working_dir: String,
    /// Labels.
    #[serde(deserialize_with = "null_default")]
    pub labels: BTreeMap<String, String>,
    /// `port/protocol` keys; the values carry nothing.
    #[serde(deserialize_with = "null_default")]
    pub exposed_ports: BTreeMap<String, serde_json::Value>,
    /// Paths; the values carry nothing.
    #[serde(deserialize_with = "null_default")]
    pub volumes: BTreeMap<String, serde_json::Value>,
    /// Signal that stops a container.
    #[serde(deserialize_with = "null_default")]
    pub stop_signal: String,
}

/// The layers' diff IDs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct RootFs {
    /// Lowest layer first.
    #[serde(deserialize_with = "null_default")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub diff_ids: Vec<Digest>,
}

/// One instruction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct History {
    /// When, RFC 3339, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// A comment; BuildKit writes `buildkit.dockerfile.v0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// It made no layer.
    #[serde(deserialize_with = "null_default")]
    pub empty_layer: bool,
}

fn null_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
