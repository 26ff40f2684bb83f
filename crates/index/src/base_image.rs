//! The image that another one was built on.

use serde::{Deserialize, Serialize};

use crate::inflate::Hasher;
use crate::provenance::{self, Provenance};
use crate::{Digest, ImageConfig};

/// The image that another one was built on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BaseImage {
    /// Its name without tag or digest, as whoever names it spells it: `alpine`, `registry.example.com/team/base`.
    pub name: String,
    /// Its tag when the image was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Digest of its manifest, or of an index that leads to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub digest: Option<Digest>,
    /// How many of the image's layers are its, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<u32>,
    /// How it is known.
    pub evidence: BaseEvidence,
}

/// How a base image is known, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum BaseEvidence {
    /// The build's provenance names it.
    Provenance,
    /// The image's annotations or labels name it.
    Label,
    /// It is the known image with the most layers that the image begins with.
    Layers,
}

const NAME: &str = "org.opencontainers.image.base.name";
const DIGEST: &str = "org.opencontainers.image.base.digest";

/// Images that take part in a build and are no base: the frontend that reads the Dockerfile, SBOM scanners.
const HELPERS: &[&str] = &[
    "docker/dockerfile",
    "docker/dockerfile-upstream",
    "docker/buildkit-syft-scanner",
    "docker/scout-sbom-indexer",
    "tonistiigi/binfmt",
];

/// The base that provenance names: that of the last stage, or the only image there is.
pub(crate) fn by_provenance(provenance: &Provenance) -> Option<BaseImage> {
    let image = |material| {
        let (name, tag, digest) = provenance::image_of(material)?;
        Some(BaseImage { name, tag, digest, layers: None, evidence: BaseEvidence::Provenance })
    };
    if let Some(base) = &provenance.base {
        return image(base);
    }
    let mut images = provenance.materials.iter().filter_map(image).filter(|image| {
        let name = image.name.strip_prefix("docker.io/").unwrap_or(&image.name);
        !HELPERS.contains(&name)
    });
    // With several, nothing says which of them is the last stage's.
    images.next().filter(|_| images.next().is_none())
}

/// The base that the image's annotations name (image-spec `annotations.md`), or its labels by the same names.
pub(crate) fn by_annotation(
    annotations: Option<&std::collections::HashMap<String, String>>,
    config: &ImageConfig,
) -> Option<BaseImage> {
    let get = |key: &str| annotations.and_then(|map| map.get(key)).or_else(|| config.config.labels.get(key));
    let name = get(NAME).filter(|name| !name.is_empty())?;
    let (name, _) = name.split_once('@').unwrap_or((name, ""));
    let (name, tag) = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag.to_owned())),
        _ => (name, None),
    };
    let digest = get(DIGEST).and_then(|digest| digest.parse().ok());
    Some(BaseImage { name: name.to_owned(), tag, digest, layers: None, evidence: BaseEvidence::Label })
}

/// The chain ID of each prefix of `diff_ids`, the shortest first (image-spec `config.md`, "Layer ChainID").
/// Two images that share a chain ID share the layers up to it.
///
/// ```
/// let layer: supercargo_index::Digest =
///     "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".parse().unwrap();
/// let chain = supercargo_index::chain_ids([&layer, &layer]);
/// assert_eq!(chain[0], layer);
/// assert_eq!(chain.len(), 2);
/// ```
pub fn chain_ids<'a>(diff_ids: impl IntoIterator<Item = &'a Digest>) -> Vec<Digest> {
    let mut chain: Vec<Digest> = Vec::new();
    for diff_id in diff_ids {
        let next = match chain.last() {
            None => diff_id.clone(),
            Some(below) => {
                let mut hasher = Hasher::sha256();
                hasher.update(format!("{below} {diff_id}").as_bytes());
                hasher.finish()
            }
        };
        chain.push(next);
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Material;

    #[test]
    fn chain_ids_are_those_of_the_specification() {
        // Second source: printf 'sha256:aaa… sha256:bbb…' | sha256sum
        let layer = |letter: &str| format!("sha256:{}", letter.repeat(64)).parse::<Digest>().unwrap();
        let chain = chain_ids([&layer("a"), &layer("b")]);
        assert_eq!(chain[1].to_string(), "sha256:ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116fd146c");
        assert!(chain_ids([]).is_empty());
    }

    #[test]
    fn provenance_names_a_base_if_there_is_no_doubt() {
        let check = |uris: &[&str], expected: Option<&str>| {
            let materials = uris.iter().map(|&uri| Material { uri: uri.into(), digest: None }).collect();
            let provenance = Provenance { materials, ..Provenance::default() };
            assert_eq!(by_provenance(&provenance).map(|base| base.name).as_deref(), expected, "{uris:?}");
        };
        check(&["pkg:docker/alpine@3"], Some("alpine"));
        check(&["pkg:docker/docker/dockerfile@1", "pkg:docker/alpine@3", "https://example.org/a.git"], Some("alpine"));
        check(&["pkg:docker/golang@1", "pkg:docker/alpine@3"], None);
        check(&[], None);
    }

    #[test]
    fn annotations_go_before_labels() {
        let mut config = ImageConfig::default();
        config.config.labels.insert(NAME.into(), "registry.example.org:5000/base".into());
        let base = by_annotation(None, &config).unwrap();
        assert_eq!((base.name.as_str(), base.tag), ("registry.example.org:5000/base", None));
        let annotations = [(NAME.to_owned(), "docker.io/library/debian:12".to_owned())].into();
        let base = by_annotation(Some(&annotations), &config).unwrap();
        assert_eq!((base.name.as_str(), base.tag.as_deref()), ("docker.io/library/debian", Some("12")));
        assert_eq!(by_annotation(None, &ImageConfig::default()), None);
    }
}
