//! The first transaction: repository, tags, platform, configuration, layers.

use std::collections::HashSet;

use jiff::Timestamp;
use supercargo_index::{Digest, ImageLayer, chain_ids, scout};

use super::{EnvironmentValues, IMAGE, ImageUpload, Packages, REPOSITORY};
use crate::edn::Value;
use crate::transaction::Entity;

/// What stands in the place of a value that is not sent; the indexer writes the same where it takes secrets out.
const REDACTED: &str = "<redacted>";
/// The label that names the commit (image-spec `annotations.md`).
const REVISION: &str = "org.opencontainers.image.revision";

impl ImageUpload<'_> {
    pub(super) fn image_entities(&self) -> Vec<Entity> {
        let created = time(self.image.config.created.as_deref());
        let platform = &self.image.platform;
        let mut entities = vec![
            Entity::new("docker/repository", REPOSITORY)
                .with("docker.repository/host", self.repository.host.as_str())
                .with("docker.repository/repository", self.repository.name.as_str())
                .with_added("docker.repository/platforms", [platform.to_string()]),
        ];
        let updated = self.pushed_at.or(created).unwrap_or(self.indexed_at);
        let mut tags: Vec<&str> = self.tags.iter().map(String::as_str).collect();
        let mut seen = HashSet::new();
        tags.retain(|tag| seen.insert(*tag));
        entities.extend(tags.iter().enumerate().map(|(at, tag)| {
            Entity::new("docker/tag", format!("$tag-{at}"))
                .with("docker.tag/name", *tag)
                .with("docker.tag/updated-at", updated)
                .with("docker.tag/repository", REPOSITORY)
                .with("docker.tag/digest", self.image.digest.to_string())
                .with("docker.tag/image", IMAGE)
        }));
        let labels = self.labels();
        let variables = self.variables();
        let (layers, blobs) = self.layers(created);
        let mut image = self
            .image_entity()
            .with_some("docker.image/created-at", created)
            .with("docker.image/repository", REPOSITORY)
            .with_added("docker.image/repositories", [REPOSITORY]);
        if !tags.is_empty() {
            image = image.with_added("docker.image/tags", tags.iter().copied());
        }
        let run = &self.image.config.config;
        image = image
            .with_set("docker.image/labels", names(&labels))
            // Go writes the empty object that stands behind each port as `{}`.
            .with("docker.image/ports", run.exposed_ports.keys().map(|port| pair(port, "{}")).collect::<Value>())
            .with("docker.image/env", self.environment().map(|(name, value)| pair(name, value)).collect::<Value>())
            .with_set("docker.image/environment-variables", names(&variables))
            .with_set("docker.image/layers", names(&layers))
            .with_some("docker.image/blob-digest", self.blob_chain().last().map(Digest::to_string))
            .with_some("docker.image/diff-chain-id", self.diff_chain().last().map(Digest::to_string))
            .with_some("docker.image/sha", run.labels.get(REVISION).filter(|sha| !sha.is_empty()).map(String::as_str));
        if self.packages == Packages::Sent {
            let count = self.artifacts().len();
            image = image
                .with("sbom/state", Value::Keyword("sbom.state/INDEXING"))
                .with("sbom/version", scout::SBOM_VERSION)
                .with("sbom/last-updated", self.indexed_at)
                .with("sbom/package-count", i64::try_from(count).unwrap_or(i64::MAX));
        }
        let platform = Entity::new("docker/platform", "$platform")
            .with("docker.platform/image", IMAGE)
            .with("docker.platform/os", platform.os.as_str())
            .with("docker.platform/architecture", platform.architecture.as_str())
            .with_some("docker.platform/variant", platform.variant.as_deref());
        entities.extend(labels.into_iter().chain(variables).chain(layers).chain(blobs));
        entities.extend([image, platform]);
        entities
    }

    fn labels(&self) -> Vec<Entity> {
        let labels = self.image.config.config.labels.iter().enumerate();
        labels
            .map(|(at, (name, value))| {
                Entity::new("docker.image/label", format!("$label-{at}"))
                    .with("docker.image.label/name", name.as_str())
                    .with("docker.image.label/value", value.as_str())
            })
            .collect()
    }

    /// Names and values of environment variables, the value whatever stands behind the first `=`.
    fn environment(&self) -> impl Iterator<Item = (&str, &str)> {
        self.image.config.config.env.iter().map(|variable| {
            let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
            match self.environment {
                EnvironmentValues::Redacted if !value.is_empty() => (name, REDACTED),
                _ => (name, value),
            }
        })
    }

    fn variables(&self) -> Vec<Entity> {
        let variables = self.environment().enumerate();
        variables
            .map(|(at, (name, value))| {
                Entity::new("docker.image.environment/variable", format!("$variable-{at}"))
                    .with("docker.image.environment.variable/name", name)
                    .with("docker.image.environment.variable/value", value)
            })
            .collect()
    }

    fn layers(&self, created: Option<Timestamp>) -> (Vec<Entity>, Vec<Entity>) {
        let (blob_chain, diff_chain) = (self.blob_chain(), self.diff_chain());
        let mut entities = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        for (at, layer) in self.image.layers.iter().enumerate() {
            let blob = format!("$blob-{}", layer.digest.digest());
            let history = layer.ordinal.and_then(|ordinal| self.image.config.history.get(ordinal as usize));
            let made = history.and_then(|history| time(history.created.as_deref())).or(created);
            entities.0.push(
                Entity::new("docker.image/layer", format!("$layer-{at}"))
                    // The index among all instructions. Without a history that fits, the layers are all that can be counted.
                    .with("docker.image.layer/ordinal", layer.ordinal.map_or(at as i64, i64::from))
                    .with("docker.image.layer/image-digest", self.image.digest.to_string())
                    .with("docker.image.layer/blob", blob.as_str())
                    .with("docker.image.layer/created-at", made.unwrap_or(self.indexed_at))
                    .with(
                        "docker.image.layer/created-by",
                        history.and_then(|history| history.created_by.as_deref()).unwrap_or_default(),
                    )
                    .with("docker.image.layer/blob-digest", blob_chain[at].to_string())
                    .with_some("docker.image.layer/chain-id", diff_chain.get(at).map(Digest::to_string)),
            );
            // An image may have the same layer twice; an entity has its name once.
            if seen.insert(&layer.digest) {
                entities.1.push(
                    Entity::new("docker.image/blob", blob)
                        .with("docker.image.blob/size", i64::try_from(layer.size).unwrap_or(i64::MAX))
                        .with("docker.image.blob/digest", layer.digest.to_string())
                        .with_some("docker.image.blob/diff-id", layer.diff_id.as_ref().map(Digest::to_string)),
                );
            }
        }
        entities
    }

    fn blob_chain(&self) -> Vec<Digest> {
        chain_ids(self.image.layers.iter().map(|layer| &layer.digest))
    }

    /// Up to the first layer whose diff ID is not known.
    fn diff_chain(&self) -> Vec<Digest> {
        chain_ids(self.image.layers.iter().map_while(|layer: &ImageLayer| layer.diff_id.as_ref()))
    }
}

fn names(entities: &[Entity]) -> impl Iterator<Item = &str> {
    entities.iter().map(Entity::name)
}

fn pair(name: &str, value: &str) -> Value {
    [name, value].into_iter().collect()
}

/// A time of a configuration. Builders that want the same bytes every time write the year 1, which is no time.
fn time(text: Option<&str>) -> Option<Timestamp> {
    text?.parse::<Timestamp>().ok().filter(|time| *time >= Timestamp::UNIX_EPOCH)
}
