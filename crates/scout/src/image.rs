//! Images as the service knows them.

use serde::{Deserialize, Serialize};
use serde_json::json;
use supercargo_index::Digest;

use crate::Result;
use crate::client::ScoutClient;
use crate::graphql::Operation;

const INDEX_IMAGE: Operation = Operation {
    purpose: "have an image indexed",
    name: "IndexImage",
    document: include_str!("graphql/index_image.graphql"),
    field: "indexImage",
};
const SUMMARIES: Operation = Operation {
    purpose: "read summaries of images",
    name: "ImageSummaries",
    document: include_str!("graphql/image_summaries.graphql"),
    field: "imageSummariesByDigest",
};

/// Images that are asked for in one call. The schema names no bound.
const AT_A_TIME: usize = 100;

/// What the service knows of an image, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ImageSummary {
    /// The image's digest.
    pub digest: String,
    /// How far its SBOM is.
    pub sbom_state: SbomState,
    /// Its vulnerabilities; `None` if it was not analysed.
    pub vulnerability_report: Option<VulnerabilityReport>,
}

/// How far an image's SBOM is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum SbomState {
    /// There is none.
    None,
    /// It is on its way.
    Indexing,
    /// It is there.
    Indexed,
    /// It will not come.
    IndexingFailed,
    /// It cannot be made.
    IndexingUnavailable,
    /// In a way that the schema did not know in 2025.
    #[serde(other)]
    Other,
}

/// How many vulnerabilities there are, by severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VulnerabilityReport {
    /// Critical ones.
    pub critical: i64,
    /// High ones.
    pub high: i64,
    /// Medium ones.
    pub medium: i64,
    /// Low ones.
    pub low: i64,
    /// Those of unknown severity.
    pub unspecified: i64,
    /// All of them.
    pub total: i64,
}

#[derive(Deserialize)]
struct Indexed {
    digest: String,
}

impl ScoutClient {
    /// Asks the service to index an image by itself, which it can if it can pull it. Returns the digest that it indexes.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn index_image(&self, repository: &str, digest: &Digest, tags: &[String]) -> Result<String> {
        let image = json!({"digest": digest.to_string(), "repository": repository, "tags": tags});
        let Indexed { digest } =
            self.graphql_some(&INDEX_IMAGE, json!({"context": self.context(), "image": image})).await?;
        Ok(digest)
    }

    /// What the service knows of images. Those that it does not know are left out.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn image_summaries(&self, digests: &[Digest]) -> Result<Vec<ImageSummary>> {
        let mut summaries = Vec::with_capacity(digests.len());
        for digests in digests.chunks(AT_A_TIME) {
            let digests: Vec<String> = digests.iter().map(Digest::to_string).collect();
            let variables = json!({"context": self.context(), "digests": digests});
            summaries.extend(self.graphql_some::<Vec<ImageSummary>>(&SUMMARIES, variables).await?);
        }
        Ok(summaries)
    }
}
