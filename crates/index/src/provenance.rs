//! How an image was built, by the word of its builder.
//!
//! SLSA provenance v0.2 and v1 (<https://slsa.dev/spec/>) with the fields that BuildKit adds (moby/buildkit
//! `docs/attestations/slsa-definitions.md`, `solver/llbsolver/provenance/types`). Under `mode=max` it holds the whole
//! build: which steps made which layers, and from which lines of the Dockerfile each step came.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Digest;

/// Steps that are followed to a stage's base, and lines kept for one layer: more is no Dockerfile.
const MOST_STEPS: usize = 10_000;

/// Bytes of a Dockerfile that are kept.
const DOCKERFILE_SIZE: usize = 1 << 20;

/// How an image was built.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Provenance {
    /// Who built it: a URI, often that of a CI run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub builder: Option<String>,
    /// How it says so: a URI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_type: Option<String>,
    /// How much BuildKit put in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<ProvenanceMode>,
    /// Repository of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Commit of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// When the build began, RFC 3339, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<String>,
    /// Path of the Dockerfile within the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
    /// Its text, under `mode=max`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dockerfile_text: Option<String>,
    /// What went into the build: images, source, downloads.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub materials: Vec<Material>,
    /// The image that the last stage is built from, where the steps of the build tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<Material>,
}

/// How much BuildKit put into its provenance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum ProvenanceMode {
    /// Materials and sources.
    Min,
    /// The steps of the build, too.
    Max,
}

/// One thing that went into a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Material {
    /// What it is: `pkg:docker/alpine@3.20?platform=linux%2Famd64`, the URL of a Git repository, …
    pub uri: String,
    /// `algorithm:hex`, the first that is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Lines of a Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SourceLines {
    /// First and last line of each range, counted from one.
    pub ranges: Vec<(u32, u32)>,
}

/// What a provenance predicate says, and what it says of single layers.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) provenance: Provenance,
    /// By the digest of the layer's blob.
    pub(crate) lines: HashMap<String, SourceLines>,
}

/// Whether a predicate of this type is provenance.
pub(crate) fn is_provenance(predicate_type: &str) -> bool {
    predicate_type.starts_with("https://slsa.dev/provenance/")
}

/// Reads a predicate of either version. Fields that are missing or of another shape are left out.
pub(crate) fn parse(predicate: &str) -> serde_json::Result<Parsed> {
    let root: Value = serde_json::from_str(predicate)?;
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let first = |pointers: &[&str]| pointers.iter().find_map(|pointer| root.pointer(pointer).and_then(text));
    let buildkit = root
        .pointer("/runDetails/metadata/buildkit_metadata")
        .or_else(|| root.pointer("/metadata/https:~1~1mobyproject.org~1buildkit@v1#metadata"));
    let steps = root
        .pointer("/buildDefinition/internalParameters/buildConfig")
        .or_else(|| root.pointer("/buildConfig"))
        .filter(|config| config.get("llbDefinition").is_some());
    let materials: Vec<Material> = root
        .pointer("/buildDefinition/resolvedDependencies")
        .or_else(|| root.pointer("/materials"))
        .and_then(Value::as_array)
        .map(|materials| materials.iter().take(MOST_STEPS).filter_map(material).collect())
        .unwrap_or_default();
    let build_type = first(&["/buildDefinition/buildType", "/buildType"]);
    let is_buildkit = build_type.as_ref().is_some_and(|kind| kind.contains("buildkit"));
    let vcs = |key: &str| buildkit.and_then(|metadata| metadata.get("vcs")?.get(key)).and_then(text);
    let config_source = |key: &str| {
        first(&[
            &format!("/buildDefinition/externalParameters/configSource/{key}"),
            &format!("/invocation/configSource/{key}"),
        ])
    };
    let info = buildkit.and_then(|metadata| metadata.pointer("/source/infos/0"));
    let mut parsed = Parsed {
        provenance: Provenance {
            builder: first(&["/runDetails/builder/id", "/builder/id"]),
            mode: is_buildkit.then_some(if steps.is_some() { ProvenanceMode::Max } else { ProvenanceMode::Min }),
            source: config_source("uri").or_else(|| vcs("source")),
            revision: config_source("digest/sha1").or_else(|| vcs("revision")),
            started: first(&["/runDetails/metadata/startedOn", "/metadata/buildStartedOn"]),
            finished: first(&["/runDetails/metadata/finishedOn", "/metadata/buildFinishedOn"]),
            dockerfile: config_source("path")
                .or_else(|| config_source("entryPoint"))
                .or_else(|| info.and_then(|info| text(info.get("filename")?))),
            dockerfile_text: info.and_then(|info| dockerfile(info.get("data")?)),
            base: None,
            materials,
            build_type,
        },
        lines: HashMap::new(),
    };
    let graph = steps.map(Graph::of).unwrap_or_default();
    parsed.provenance.base = graph.base(&parsed.provenance.materials);
    if let Some(metadata) = buildkit {
        parsed.lines = lines(metadata);
    }
    Ok(parsed)
}

fn material(value: &Value) -> Option<Material> {
    let digests = value.get("digest").and_then(Value::as_object);
    let digest = digests.and_then(|digests| digests.iter().next());
    let digest = digest.and_then(|(algorithm, hex)| Some(format!("{algorithm}:{}", hex.as_str()?)));
    Some(Material { uri: value.get("uri")?.as_str()?.to_owned(), digest })
}

fn dockerfile(data: &Value) -> Option<String> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(data.as_str()?).ok()?;
    (bytes.len() <= DOCKERFILE_SIZE).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// The steps of a build: `llbDefinition`, a list of vertices whose inputs are `step:output`.
#[derive(Default)]
struct Graph<'a> {
    steps: HashMap<&'a str, &'a Value>,
    last: Option<&'a str>,
}

impl<'a> Graph<'a> {
    fn of(config: &'a Value) -> Self {
        let steps = config.get("llbDefinition").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let id = |step: &'a Value| step.get("id").and_then(Value::as_str);
        Self {
            steps: steps.iter().filter_map(|step| Some((id(step)?, step))).collect(),
            // The result is the vertex without an operation, which BuildKit writes last.
            last: steps.last().and_then(id),
        }
    }

    /// Follows the file system of the last stage to the image that it began with. The first input of an operation
    /// is what it works on: an `exec`'s root mount, a `file`'s base; what is copied from comes after it.
    fn base(&self, materials: &[Material]) -> Option<Material> {
        let mut step = *self.steps.get(self.last?)?;
        for _ in 0..MOST_STEPS {
            let identifier = step.pointer("/op/Op/source/identifier").or_else(|| step.pointer("/op/source/identifier"));
            if let Some(image) =
                identifier.and_then(Value::as_str).and_then(|text| text.strip_prefix("docker-image://"))
            {
                let digest = image.rsplit_once('@').map(|(_, digest)| digest);
                let listed = materials.iter().find(|material| {
                    material.uri.starts_with("pkg:docker/") && material.digest.as_deref() == digest && digest.is_some()
                });
                return Some(listed.cloned().unwrap_or_else(|| Material {
                    uri: format!("docker-image://{image}"),
                    digest: digest.map(str::to_owned),
                }));
            }
            let input = step.get("inputs")?.get(0)?.as_str()?;
            step = self.steps.get(input.split(':').next().unwrap_or(input))?;
        }
        None
    }
}

/// The lines of each layer: `layers` says which step's output a layer is, `source.locations` where a step comes from.
fn lines(metadata: &Value) -> HashMap<String, SourceLines> {
    let mut lines = HashMap::new();
    let Some(layers) = metadata.get("layers").and_then(Value::as_object) else { return lines };
    let mut shortest: BTreeMap<&str, usize> = BTreeMap::new();
    for (output, chains) in layers {
        let step = output.split(':').next().unwrap_or(output);
        let locations = metadata.pointer(&format!("/source/locations/{step}"));
        let Some(lines_of_step) = locations.and_then(source_lines) else { continue };
        for chain in chains.as_array().into_iter().flatten() {
            let Some(chain) = chain.as_array() else { continue };
            // The layers of a step's output, its own last. The same layer ends the chain of one step only, and lies
            // within the chains of those after it.
            let Some(own) = chain.last().and_then(|layer| layer.get("digest")).and_then(Value::as_str) else {
                continue;
            };
            let length = shortest.entry(own).or_insert(usize::MAX);
            if chain.len() < *length {
                *length = chain.len();
                lines.insert(own.to_owned(), lines_of_step.clone());
            }
        }
    }
    lines
}

fn source_lines(locations: &Value) -> Option<SourceLines> {
    let mut ranges = Vec::new();
    for location in locations.get("locations")?.as_array()?.iter().take(MOST_STEPS) {
        // Only the first file's text is kept, so only its lines mean something.
        if location.get("sourceIndex").and_then(Value::as_i64).unwrap_or(0) != 0 {
            continue;
        }
        for range in location.get("ranges").and_then(Value::as_array).into_iter().flatten().take(MOST_STEPS) {
            let line = |end: &str| u32::try_from(range.get(end)?.get("line")?.as_u64()?).ok();
            if let (Some(start), Some(end)) = (line("start"), line("end")) {
                ranges.push((start, end.max(start)));
            }
        }
    }
    ranges.sort_unstable();
    ranges.dedup();
    (!ranges.is_empty()).then_some(SourceLines { ranges })
}

/// The image that a material names: its name without tag, its tag, its digest.
pub(crate) fn image_of(material: &Material) -> Option<(String, Option<String>, Option<Digest>)> {
    let digest = material.digest.as_ref().and_then(|digest| digest.parse().ok());
    let name = if let Some(rest) = material.uri.strip_prefix("pkg:docker/") {
        let rest = rest.split(['?', '#']).next().unwrap_or(rest);
        percent_decode(rest)
    } else {
        let rest = material.uri.strip_prefix("docker-image://")?;
        let (rest, _) = rest.split_once("@sha256:").unwrap_or((rest, ""));
        match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => format!("{name}@{tag}"),
            _ => rest.to_owned(),
        }
    };
    let (name, tag) = match name.split_once('@') {
        Some((name, tag)) if !tag.starts_with("sha256:") => (name.to_owned(), Some(tag.to_owned())),
        Some((name, _)) => (name.to_owned(), None),
        None => (name, None),
    };
    (!name.is_empty()).then_some((name, tag, digest))
}

fn percent_decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const ALPINE: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

    /// Two stages: one that compiles in golang, one from alpine that copies the result and runs a command.
    fn build_config() -> Value {
        json!({ "llbDefinition": [
            {"id": "step0", "op": {"Op": {"source": {"identifier": format!("docker-image://docker.io/library/alpine:3.20@{ALPINE}")}}}},
            {"id": "step1", "op": {"Op": {"source": {"identifier": "docker-image://docker.io/library/golang:1.23@sha256:22"}}}},
            {"id": "step2", "op": {"Op": {"exec": {}}}, "inputs": ["step1:0"]},
            {"id": "step3", "op": {"Op": {"file": {}}}, "inputs": ["step0:0", "step2:0"]},
            {"id": "step4", "op": {"Op": {"exec": {}}}, "inputs": ["step3:0"]},
            {"id": "step5", "op": {"Op": null}, "inputs": ["step4:0"]},
        ]})
    }

    fn buildkit_metadata() -> Value {
        use base64::Engine as _;
        let dockerfile = "FROM golang:1.23 AS build\nRUN go build\nFROM alpine:3.20\nCOPY --from=build /a /a\nRUN true \\\n  && true\n";
        let at = |start: u32, end: u32| json!({"locations": [{"ranges": [{"start": {"line": start}, "end": {"line": end}}]}]});
        json!({
            "vcs": {"source": "https://example.org/app.git", "revision": "abc"},
            "source": {
                "infos": [{"filename": "Dockerfile", "data": base64::engine::general_purpose::STANDARD.encode(dockerfile)}],
                "locations": {"step0": at(3, 3), "step3": at(4, 4), "step4": at(5, 6)},
            },
            "layers": {
                "step0:0": [[{"digest": "sha256:base"}]],
                "step3:0": [[{"digest": "sha256:base"}, {"digest": "sha256:copied"}]],
                "step4:0": [[{"digest": "sha256:base"}, {"digest": "sha256:copied"}, {"digest": "sha256:run"}]],
            },
        })
    }

    fn materials() -> Value {
        json!([
            {"uri": "pkg:docker/golang@1.23?platform=linux%2Famd64", "digest": {"sha256": "22"}},
            {"uri": "pkg:docker/alpine@3.20?platform=linux%2Famd64", "digest": {"sha256": &ALPINE[7..]}},
        ])
    }

    fn check(predicate: &Value) {
        let Parsed { provenance, lines } = parse(&predicate.to_string()).unwrap();
        assert_eq!(provenance.builder.as_deref(), Some("https://ci.example.org/run/1"));
        assert_eq!(provenance.mode, Some(ProvenanceMode::Max));
        assert_eq!(provenance.source.as_deref(), Some("https://example.org/app.git"));
        assert_eq!(provenance.revision.as_deref(), Some("abc"));
        assert_eq!(provenance.started.as_deref(), Some("2026-01-02T03:04:05Z"));
        assert_eq!(provenance.dockerfile.as_deref(), Some("build/Dockerfile"));
        assert!(provenance.dockerfile_text.unwrap().contains("FROM alpine:3.20"));
        let base = provenance.base.unwrap();
        assert_eq!(base.uri, "pkg:docker/alpine@3.20?platform=linux%2Famd64");
        let (name, tag, digest) = image_of(&base).unwrap();
        assert_eq!((name.as_str(), tag.as_deref()), ("alpine", Some("3.20")));
        assert_eq!(digest.unwrap().to_string(), ALPINE);
        let of = |digest: &str| lines.get(digest).map(|lines| lines.ranges.as_slice());
        assert_eq!(of("sha256:base"), Some(&[(3, 3)][..]));
        assert_eq!(of("sha256:copied"), Some(&[(4, 4)][..]));
        assert_eq!(of("sha256:run"), Some(&[(5, 6)][..]));
    }

    #[test]
    fn version_1_under_mode_max() {
        check(&json!({
            "buildDefinition": {
                "buildType": "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md",
                "externalParameters": {"configSource": {"path": "build/Dockerfile"}},
                "internalParameters": {"buildConfig": build_config()},
                "resolvedDependencies": materials(),
            },
            "runDetails": {
                "builder": {"id": "https://ci.example.org/run/1"},
                "metadata": {"startedOn": "2026-01-02T03:04:05Z", "buildkit_metadata": buildkit_metadata()},
            },
        }));
    }

    #[test]
    fn version_0_2_under_mode_max() {
        check(&json!({
            "builder": {"id": "https://ci.example.org/run/1"},
            "buildType": "https://mobyproject.org/buildkit@v1",
            "materials": materials(),
            "invocation": {"configSource": {"entryPoint": "build/Dockerfile"}},
            "buildConfig": build_config(),
            "metadata": {
                "buildStartedOn": "2026-01-02T03:04:05Z",
                "https://mobyproject.org/buildkit@v1#metadata": buildkit_metadata(),
            },
        }));
    }

    #[test]
    fn mode_min_names_materials_only() {
        let predicate = json!({"buildType": "https://mobyproject.org/buildkit@v1", "materials": materials()});
        let Parsed { provenance, lines } = parse(&predicate.to_string()).unwrap();
        assert_eq!(provenance.mode, Some(ProvenanceMode::Min));
        assert_eq!((provenance.materials.len(), provenance.base, lines.len()), (2, None, 0));
    }

    #[test]
    fn images_are_named_in_either_way() {
        let check = |uri: &str, name: &str, tag: Option<&str>| {
            let (found, found_tag, _) = image_of(&Material { uri: uri.into(), digest: None }).unwrap();
            assert_eq!((found.as_str(), found_tag.as_deref()), (name, tag), "{uri}");
        };
        check("pkg:docker/docker/buildkit-syft-scanner@stable-1", "docker/buildkit-syft-scanner", Some("stable-1"));
        check("pkg:docker/registry.example.org%3A5000/team/base@1", "registry.example.org:5000/team/base", Some("1"));
        check("docker-image://registry.example.org:5000/base", "registry.example.org:5000/base", None);
        check("docker-image://docker.io/library/alpine:3@sha256:11", "docker.io/library/alpine", Some("3"));
    }

    #[test]
    fn a_cycle_of_steps_ends() {
        let config = json!({"llbDefinition": [{"id": "a", "inputs": ["b:0"]}, {"id": "b", "inputs": ["a:0"]}]});
        assert_eq!(Graph::of(&config).base(&[]), None);
    }

    proptest! {
        #[test]
        fn never_panics(text in "[{}\\[\\]\":,a-z0-9@/]{0,200}") {
            let _ = parse(&text);
        }
    }
}
