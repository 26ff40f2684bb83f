//! The JSON documents of an image, with their fields in a fixed order.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{Descriptor, Platform};

/// An image manifest, OCI or Docker schema 2.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ManifestDocument<'a> {
    pub(super) schema_version: u8,
    pub(super) media_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) artifact_type: Option<&'a str>,
    pub(super) config: &'a Descriptor,
    pub(super) layers: Vec<&'a Descriptor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<&'a Descriptor>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: &'a BTreeMap<String, String>,
}

/// An image index or manifest list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IndexDocument<'a> {
    pub(super) schema_version: u8,
    pub(super) media_type: &'a str,
    pub(super) manifests: Vec<Descriptor>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: &'a BTreeMap<String, String>,
}

/// An image configuration (image-spec `config.md`).
#[derive(Debug, Serialize)]
pub(super) struct ConfigDocument<'a> {
    pub(super) created: &'a str,
    #[serde(flatten)]
    pub(super) platform: &'a Platform,
    pub(super) config: &'a RunDocument,
    pub(super) rootfs: RootfsDocument<'a>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) history: &'a [HistoryDocument],
}

/// How a container of the image is run.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RunDocument {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) env: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) entrypoint: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) cmd: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) working_dir: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) labels: BTreeMap<String, String>,
}

/// The layers by the digests of their plain tars.
#[derive(Debug, Serialize)]
pub(super) struct RootfsDocument<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
    pub(super) diff_ids: Vec<&'a str>,
}

/// The instruction that made a layer, or made none.
#[derive(Debug, Clone, Serialize)]
pub(super) struct HistoryDocument {
    pub(super) created: String,
    pub(super) created_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) comment: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) empty_layer: bool,
}
