//! SBOMs for [Dependency-Track](https://docs.dependencytrack.org): a project for each tag.
//!
//! The requests are those of its OpenAPI document: `PUT /api/v1/bom` with the BOM in base64, `POST /api/v1/bom` as a
//! form where that would be too long, `GET /api/v1/project/lookup`, `PATCH` and `DELETE /api/v1/project/{uuid}`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use supercargo_registry::index::Platform;
use supercargo_registry::{Outbound, OutboundConfig, Secret};
use url::Url;

use super::http_sink::{Call, is_success, refusal, secret_header, send, shown};
use super::{
    Consignment, DocumentFormat, Gone, IndexedImage, News, Order, Outcome, Preview, Sink, SinkCapabilities, Template,
};
use crate::{Error, ErrorKind, Result};

static API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Bytes of a BOM that go into a JSON string. Its reader stops at strings of 20 million characters, and base64 makes
/// four of three.
const JSON_LIMIT: usize = 14_000_000;

/// How a Dependency-Track server is used.
#[derive(Clone, Debug)]
pub struct DependencyTrackConfig {
    /// Where its API is, without `/api`.
    pub url: Url,
    /// The API key of a team with the permission `BOM_UPLOAD`, and what else the keys below need.
    pub api_key: Secret,
    /// The project's name.
    pub project: Template,
    /// The project's version.
    pub version: Template,
    /// The platform whose images are uploaded, unless name or version tell platforms apart: a project has one BOM.
    pub platform: Platform,
    /// Have projects made that are not there; the team needs `PROJECT_CREATION_UPLOAD`.
    pub auto_create: bool,
    /// What becomes of a project whose tag is gone.
    pub on_delete: OnDelete,
    /// The way there.
    pub transport: OutboundConfig,
}

/// What becomes of a project whose tag is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDelete {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is marked as inactive; the team needs `PORTFOLIO_MANAGEMENT`.
    Deactivate,
    /// It is deleted with its history; the team needs `PORTFOLIO_MANAGEMENT`.
    Delete,
}

/// A Dependency-Track server.
#[derive(Debug)]
pub struct DependencyTrackSink {
    client: Outbound,
    api: Url,
    key: HeaderValue,
    config: DependencyTrackConfig,
}

/// A project as it is looked up.
#[derive(Deserialize)]
struct Project {
    uuid: String,
}

impl DependencyTrackSink {
    /// A server. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] if it must not be called at that address, or the key is none.
    pub fn new(config: DependencyTrackConfig) -> Result<Self> {
        let client = super::http_client(&config.transport, &config.url)?;
        let mut api = config.url.clone();
        api.set_path(&format!("{}/api/v1/", api.path().trim_end_matches('/')));
        api.set_query(None);
        let key = secret_header(&config.api_key)?;
        Ok(Self { client, api, key, config })
    }

    fn call(&self, method: Method, path: &str) -> Call {
        let mut url = self.api.clone();
        url.set_path(&format!("{}{path}", url.path()));
        Call::new(method, url).header(API_KEY.clone(), self.key.clone())
    }

    fn concerns(&self, platform: &Platform) -> bool {
        self.config.project.has_platform()
            || self.config.version.has_platform()
            || self.config.platform.accepts(platform)
    }

    /// The projects of an image: one for each of its tags.
    fn projects(&self, consignment: &Consignment, tags: &[String], platform: &Platform) -> Vec<(String, String)> {
        let name = |tag: &String| {
            (self.config.project.fill(consignment, tag, platform), self.config.version.fill(consignment, tag, platform))
        };
        let mut projects: Vec<_> = tags.iter().map(name).collect();
        projects.sort();
        projects.dedup();
        projects
    }

    async fn upload(&self, name: &str, version: &str, bom: &Bytes) -> Result<()> {
        let call = if bom.len() <= JSON_LIMIT {
            let body = json!({
                "projectName": name,
                "projectVersion": version,
                "autoCreate": self.config.auto_create,
                "bom": STANDARD.encode(bom),
            });
            self.call(Method::PUT, "bom").body(body.to_string())
        } else {
            let mut call = self.call(Method::POST, "bom").body(self.form(name, version, bom));
            call.content_type = FORM;
            call
        };
        let answer = send(&self.client, call).await?;
        if is_success(answer.status()) {
            return Ok(());
        }
        let error = refusal(&format!("upload to {} as {name} {version}", shown(&self.api)), &answer);
        // It has no such project and may not make one. Others may be there.
        let kind = if answer.status() == StatusCode::NOT_FOUND { ErrorKind::Rejected } else { error.kind() };
        Err(Error::new(kind, error.to_string()).with_retry_after(error.retry_after()))
    }

    /// A form (RFC 7578) with the BOM as it is.
    fn form(&self, name: &str, version: &str, bom: &Bytes) -> Vec<u8> {
        let mut form = Vec::with_capacity(bom.len() + 1024);
        let auto_create = self.config.auto_create.to_string();
        for (field, value) in [("projectName", name), ("projectVersion", version), ("autoCreate", &auto_create)] {
            form.extend_from_slice(
                format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n")
                    .as_bytes(),
            );
        }
        let head = "Content-Disposition: form-data; name=\"bom\"; filename=\"bom.json\"\r\n\
            Content-Type: application/vnd.cyclonedx+json";
        form.extend_from_slice(format!("--{BOUNDARY}\r\n{head}\r\n\r\n").as_bytes());
        form.extend_from_slice(bom);
        form.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        form
    }

    async fn indexed(&self, consignment: &Consignment, image: &IndexedImage) -> Result<Outcome> {
        let Some(platform) = image.metadata.image().map(|image| &image.platform) else { return Ok(Outcome::Ignored) };
        let projects = self.projects(consignment, &image.tags, platform);
        if !self.concerns(platform) || projects.is_empty() {
            return Ok(Outcome::Ignored);
        }
        let bom = DocumentFormat::CycloneDx.write_untagged(image)?;
        for (name, version) in projects {
            self.upload(&name, &version, &bom).await?;
        }
        Ok(Outcome::Delivered)
    }

    async fn gone(&self, consignment: &Consignment, gone: &Gone) -> Result<Outcome> {
        let tags = gone.tag.as_ref().map_or(gone.tags.as_slice(), std::slice::from_ref);
        // Of what is gone the platform is not known any more; only one that is configured can be meant.
        let projects = self.projects(consignment, tags, &self.config.platform);
        let mut outcome = Outcome::Unchanged;
        for (name, version) in projects {
            if let Some(project) = self.look_up(&name, &version).await? {
                self.retire(&project).await?;
                outcome = Outcome::Delivered;
            }
        }
        Ok(outcome)
    }

    async fn look_up(&self, name: &str, version: &str) -> Result<Option<Project>> {
        let mut call = self.call(Method::GET, "project/lookup");
        call.url.query_pairs_mut().append_pair("name", name).append_pair("version", version);
        let answer = send(&self.client, call).await?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(None),
            status if is_success(status) => serde_json::from_slice(answer.body()).map(Some).map_err(|error| {
                Error::new(ErrorKind::Unreachable, format!("look up {name} {version}")).with_source(error)
            }),
            _ => Err(refusal(&format!("look up {name} {version} at {}", shown(&self.api)), &answer)),
        }
    }

    async fn retire(&self, project: &Project) -> Result<()> {
        let path = format!("project/{}", project.uuid);
        let call = match self.config.on_delete {
            OnDelete::Delete => self.call(Method::DELETE, &path),
            OnDelete::Keep | OnDelete::Deactivate => {
                self.call(Method::PATCH, &path).body(json!({ "active": false }).to_string())
            }
        };
        let answer = send(&self.client, call).await?;
        // 304: it is inactive already. 404: somebody else has deleted it.
        let is_done = matches!(answer.status(), StatusCode::NOT_MODIFIED | StatusCode::NOT_FOUND);
        if is_done || is_success(answer.status()) {
            return Ok(());
        }
        Err(refusal(&format!("retire a project at {}", shown(&self.api)), &answer))
    }
}

/// No JSON document has such a line.
const BOUNDARY: &str = "supercargo-7d9f2c41-bom";
const FORM: &str = "multipart/form-data; boundary=supercargo-7d9f2c41-bom";

#[async_trait::async_trait]
impl Sink for DependencyTrackSink {
    fn kind(&self) -> &'static str {
        "dependency-track"
    }

    fn capabilities(&self) -> SinkCapabilities {
        SinkCapabilities { gone: self.config.on_delete != OnDelete::Keep, order: Order::Repository }
    }

    async fn deliver(&self, consignment: &Consignment) -> Result<Outcome> {
        match &consignment.news {
            News::Indexed(image) => self.indexed(consignment, image).await,
            News::Gone(gone) => self.gone(consignment, gone).await,
        }
    }

    fn preview(&self, consignment: &Consignment) -> Result<Preview> {
        let News::Indexed(image) = &consignment.news else {
            return Ok(Preview { target: shown(&self.api), body: Bytes::new() });
        };
        let platform = image.metadata.image().map(|image| image.platform.clone()).unwrap_or_default();
        let projects = self.projects(consignment, &image.tags, &platform);
        let names: Vec<String> = projects.iter().map(|(name, version)| format!("{name} {version}")).collect();
        let target = format!("PUT {}bom as {}", self.api, names.join(", "));
        if !self.concerns(&platform) || projects.is_empty() {
            return Ok(Preview { target, body: Bytes::new() });
        }
        Ok(Preview { target, body: DocumentFormat::CycloneDx.write_untagged(image)? })
    }
}
