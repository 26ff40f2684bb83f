//! CloudEvents 1.0 over HTTP (`cloudevents/spec`, http-protocol-binding.md).

use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

/// The attributes of an event that providers use, and its data.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct CloudEvent {
    pub(crate) id: Option<String>,
    pub(crate) source: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) time: Option<String>,
    #[serde(default)]
    pub(crate) data: Value,
}

impl CloudEvent {
    /// Reads an event: its attributes from the headers (binary mode) if they are there, else from the body
    /// (structured mode).
    pub(crate) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, serde_json::Error> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let Some(kind) = header("ce-type") else { return serde_json::from_slice(body) };
        let data = if body.is_empty() { Value::Null } else { serde_json::from_slice(body)? };
        Ok(Self { id: header("ce-id"), source: header("ce-source"), kind, time: header("ce-time"), data })
    }

    /// Source and identifier, which together name an event.
    pub(crate) fn key(&self) -> Option<String> {
        let id = self.id.as_deref().filter(|id| !id.is_empty())?;
        Some(format!("{}/{id}", self.source.as_deref().unwrap_or_default()))
    }
}
