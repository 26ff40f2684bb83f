//! Transactions, taken in: in order, or not at all.

use std::collections::BTreeMap;

use http::request::Parts;
use serde::Deserialize;

use super::edn::Edn;
use super::facts::{self, Fact, Facts};
use super::model::{
    Model, ScoutImage, ScoutLayer, ScoutPackage, ScoutPackageFile, ScoutRepository, ScoutTag, ScoutTransaction,
};
use crate::sha256;

/// The most packages that one transaction may tell of: as many as the public client's.
const MOST_PACKAGES: usize = 20;

/// The envelope (`atomist-skills/go-skill` `internal/types.go`).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    api_version: String,
    correlation_id: String,
    team: Team,
    #[serde(rename = "type")]
    kind: String,
    entities: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Team {
    id: String,
}

/// Takes a transaction in and remembers what became of it.
pub(super) fn take(model: &mut Model, team: &str, parts: &Parts, body: &[u8]) -> Result<(), String> {
    let envelope: Envelope = serde_json::from_slice(body).map_err(|error| format!("the envelope: {error}"))?;
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let ordering_key = header("x-atomist-ordering-key").to_owned();
    let refusal = check(&envelope, team, header("x-atomist-correlation-id"), &ordering_key)
        .and_then(|()| facts::read(&envelope.entities))
        .and_then(|facts| apply(model, &envelope.correlation_id, &facts))
        .err();
    model.transactions.push(ScoutTransaction {
        team: team.to_owned(),
        correlation_id: envelope.correlation_id,
        ordering_key,
        entities: envelope.entities,
        refusal: refusal.clone(),
    });
    refusal.map_or(Ok(()), Err)
}

fn check(envelope: &Envelope, team: &str, correlation_id: &str, ordering_key: &str) -> Result<(), String> {
    let is = |what: &str, found: &str, expected: &str| {
        if found == expected { Ok(()) } else { Err(format!("{what} is {found:?}, not {expected:?}")) }
    };
    is("api_version", &envelope.api_version, "2")?;
    is("type", &envelope.kind, "facts_ingestion")?;
    is("team.id", &envelope.team.id, team)?;
    is("x-atomist-correlation-id", correlation_id, &envelope.correlation_id)?;
    is("x-atomist-ordering-key", ordering_key, &envelope.correlation_id)?;
    let parts: Vec<usize> = envelope.correlation_id.split('-').map(str::len).collect();
    let is_uuid = parts == [8, 4, 4, 4, 12];
    if is_uuid { Ok(()) } else { Err(format!("correlation_id {:?} is no UUID", envelope.correlation_id)) }
}

fn apply(model: &mut Model, upload: &str, facts: &Facts) -> Result<(), String> {
    let of = |kind: &str| facts.values().filter(move |fact| fact.kind == kind).collect::<Vec<_>>();
    let [image] = of("docker/image")[..] else {
        return Err("the transaction does not tell of exactly one image".into());
    };
    let key = (upload.to_owned(), image.text("docker.image/digest").to_owned());
    if !of("docker/repository").is_empty() {
        begin(model, &key, image, facts)?;
    } else if !model.images.contains_key(&key.1) {
        return Err(format!("image {} was not told of before", key.1));
    }
    let dependencies = of("package/dependency");
    if !dependencies.is_empty() {
        add_packages(model, &key, image, &dependencies, facts)?;
    }
    if let Some(state) = image.get("sbom/state").and_then(Edn::as_keyword) {
        set_state(model, &key, state)?;
    }
    Ok(())
}

/// The first transaction of an upload.
fn begin(model: &mut Model, key: &(String, String), image: &Fact, facts: &Facts) -> Result<(), String> {
    let told = image_of(image, facts)?;
    let first = facts.values().find(|fact| fact.kind == "docker/repository");
    let repository = first.ok_or("there is no repository")?;
    let (host, name) = (repository.text("docker.repository/host"), repository.text("docker.repository/repository"));
    if repository.texts("docker.repository/platforms") != [told.platform.as_str()] {
        return Err("the repository's platform is not the image's".into());
    }
    // What is told of is filed and enabled by itself, as far as the release notes of docker scout 1.15 tell.
    if !model.repositories.iter().any(|known| known.host == host && known.name == name) {
        model.repositories.push(ScoutRepository::new(host, name).with_enabled());
    }
    let known = model.images.entry(key.1.clone()).or_default();
    let mut repositories = std::mem::take(&mut known.repositories);
    repositories.extend(told.repositories.clone());
    let mut tags = std::mem::take(&mut known.tags);
    tags.retain(|tag| !told.tags.iter().any(|new| new.repository == tag.repository && new.name == tag.name));
    tags.extend(told.tags.clone());
    let states = std::mem::take(&mut known.states);
    let packages = std::mem::take(&mut known.packages);
    *known = ScoutImage { repositories, tags, states, packages, ..told };
    Ok(())
}

fn image_of(image: &Fact, facts: &Facts) -> Result<ScoutImage, String> {
    let digest = image.text("docker.image/digest");
    for needed in ["docker.image/repository", "docker.image/repositories", "docker.image/layers", "docker.image/env"] {
        if image.get(needed).is_none() {
            return Err(format!("the image has no {needed}"));
        }
    }
    let named = |name: &str| facts.get(name);
    let repository = |name: &str| {
        let found = named(name)?;
        Some(format!("{}/{}", found.text("docker.repository/host"), found.text("docker.repository/repository")))
    };
    let mut tags = Vec::new();
    for fact in facts.values().filter(|fact| fact.kind == "docker/tag") {
        if fact.text("docker.tag/digest") != digest {
            return Err("a tag points to another image".into());
        }
        tags.push(ScoutTag {
            repository: repository(fact.text("docker.tag/repository")).ok_or("a tag has no repository")?,
            name: fact.text("docker.tag/name").to_owned(),
            updated_at: instant(fact, "docker.tag/updated-at")?,
        });
    }
    let mut names: Vec<&str> = tags.iter().map(|tag| tag.name.as_str()).collect();
    let mut listed = image.texts("docker.image/tags");
    names.sort_unstable();
    listed.sort_unstable();
    if names != listed {
        return Err(format!("the image lists the tags {listed:?}, and there are {names:?}"));
    }
    let platforms: Vec<&Fact> = facts.values().filter(|fact| fact.kind == "docker/platform").collect();
    let [platform] = platforms[..] else { return Err("there is not exactly one platform".into()) };
    let mut name = format!("{}/{}", platform.text("docker.platform/os"), platform.text("docker.platform/architecture"));
    if let Some(variant) = platform.optional("docker.platform/variant") {
        name.push_str(&format!("/{variant}"));
    }
    let labels = named_all(image, "docker.image/labels", facts);
    let environment = pairs(image, "docker.image/env");
    let variables = named_all(image, "docker.image/environment-variables", facts).into_iter().map(|variable| {
        let text = |name: &str| variable.text(&format!("docker.image.environment.variable/{name}")).to_owned();
        (text("name"), text("value"))
    });
    if variables.collect::<Vec<_>>() != environment {
        return Err("the environment is told in two ways that differ".into());
    }
    Ok(ScoutImage {
        digest: digest.to_owned(),
        repositories: image.texts("docker.image/repositories").into_iter().filter_map(repository).collect(),
        tags,
        platform: name,
        created_at: instant(image, "docker.image/created-at").ok(),
        labels: labels
            .iter()
            .map(|label| {
                (label.text("docker.image.label/name").to_owned(), label.text("docker.image.label/value").to_owned())
            })
            .collect(),
        environment,
        ports: pairs(image, "docker.image/ports").into_iter().map(|(port, _)| port).collect(),
        revision: image.optional("docker.image/sha"),
        layers: layers_of(image, facts)?,
        packages: Vec::new(),
        states: Vec::new(),
        package_count: image.get("sbom/package-count").and_then(Edn::as_integer),
        sbom_version: image.optional("sbom/version"),
        indexed_at: instant(image, "sbom/last-updated").ok(),
    })
}

/// The layers, each with the chain IDs that it must have (image-spec `config.md`, "Layer ChainID").
fn layers_of(image: &Fact, facts: &Facts) -> Result<Vec<ScoutLayer>, String> {
    let mut layers = Vec::new();
    let (mut blob_chain, mut diff_chain) = (String::new(), String::new());
    for fact in named_all(image, "docker.image/layers", facts) {
        let blob = facts.get(fact.text("docker.image.layer/blob")).ok_or("a layer has no blob")?;
        let layer = ScoutLayer {
            ordinal: fact.get("docker.image.layer/ordinal").and_then(Edn::as_integer).unwrap_or_default(),
            digest: blob.text("docker.image.blob/digest").to_owned(),
            diff_id: blob.optional("docker.image.blob/diff-id"),
            size: blob.get("docker.image.blob/size").and_then(Edn::as_integer).unwrap_or_default(),
            created_by: fact.text("docker.image.layer/created-by").to_owned(),
            created_at: instant(fact, "docker.image.layer/created-at")?,
        };
        if layers.last().is_some_and(|below: &ScoutLayer| below.ordinal >= layer.ordinal) {
            return Err("the layers' ordinals do not rise".into());
        }
        if fact.text("docker.image.layer/image-digest") != image.text("docker.image/digest") {
            return Err("a layer is another image's".into());
        }
        blob_chain = chain(&blob_chain, &layer.digest);
        if fact.text("docker.image.layer/blob-digest") != blob_chain {
            return Err("a layer's blob-digest is not the chain ID of the blobs up to it".into());
        }
        if let Some(diff_id) = &layer.diff_id {
            diff_chain = chain(&diff_chain, diff_id);
            if fact.text("docker.image.layer/chain-id") != diff_chain {
                return Err("a layer's chain-id is not that of the diff IDs up to it".into());
            }
        }
        layers.push(layer);
    }
    if image.text("docker.image/blob-digest") != blob_chain || image.text("docker.image/diff-chain-id") != diff_chain {
        return Err("the image's chain IDs are not those of its last layer".into());
    }
    Ok(layers)
}

fn chain(below: &str, digest: &str) -> String {
    if below.is_empty() { digest.to_owned() } else { sha256(format!("{below} {digest}").as_bytes()) }
}

/// A transaction in the middle of an upload.
fn add_packages(
    model: &mut Model,
    key: &(String, String),
    image: &Fact,
    dependencies: &[&Fact],
    facts: &Facts,
) -> Result<(), String> {
    let known = model.images.get_mut(&key.1).ok_or("packages come before their image")?;
    if known.state() != Some("INDEXING") {
        return Err(format!("packages come while the image is {:?}", known.state()));
    }
    let told = model.uploads.get(key).ok_or("packages come with another ID than the image's")?;
    if dependencies.len() > MOST_PACKAGES {
        return Err(format!("{} packages come at once", dependencies.len()));
    }
    let listed = image.texts("artifact/dependencies");
    if listed.len() != dependencies.len() {
        return Err(format!("the image lists {} dependencies of {}", listed.len(), dependencies.len()));
    }
    let mut told = told.clone();
    let mut here: BTreeMap<String, ScoutPackage> = BTreeMap::new();
    for dependency in dependencies {
        let package = package_of(dependency, facts)?;
        if !package.files.iter().all(|file| known.layers.iter().any(|layer| layer.digest == file.digest)) {
            return Err(format!("{} is in a layer that the image has not", package.purl));
        }
        let purl = package.purl.clone();
        // A transaction that is sent again says the same again.
        if told.get(&purl).is_some_and(|before| *before != package) {
            return Err(format!("{purl} is told of twice, and not in the same way"));
        }
        if here.insert(purl.clone(), package).is_some() {
            return Err(format!("{purl} is there twice"));
        }
    }
    told.append(&mut here);
    known.packages = told.values().cloned().collect();
    model.uploads.insert(key.clone(), told);
    Ok(())
}

fn package_of(dependency: &Fact, facts: &Facts) -> Result<ScoutPackage, String> {
    let fact = facts.get(dependency.text("package.dependency/package")).ok_or("a dependency has no package")?;
    let purl = fact.text("package/url").to_owned();
    if !purl.starts_with("pkg:") || !fact.text("package/advisory-url").starts_with("adv:") {
        return Err(format!("{purl:?} or its advisory-url is none"));
    }
    if dependency.texts("package.dependency/scopes") != ["provided"] {
        return Err(format!("the scope of {purl} is not provided"));
    }
    let mut files = Vec::new();
    for file in named_all(dependency, "package.dependency/files", facts) {
        let (path, digest) = (file.text("package.file/path"), file.text("package.file/digest"));
        let id = sha256(format!("{purl} {path} {digest}").as_bytes());
        if id.strip_prefix("sha256:") != Some(file.text("package.file/id")) {
            return Err(format!("the ID of {path} of {purl} is not the hash of what it is made of"));
        }
        files.push(ScoutPackageFile { path: path.to_owned(), digest: digest.to_owned() });
    }
    files.sort_unstable();
    Ok(ScoutPackage {
        kind: fact.text("package/type").to_owned(),
        namespace: fact.optional("package/namespace"),
        name: fact.text("package/name").to_owned(),
        version: fact.text("package/version").to_owned(),
        author: fact.optional("package/author"),
        licenses: fact.texts("package/licenses").into_iter().map(str::to_owned).collect(),
        description: fact.optional("package/description"),
        url: fact.optional("package/homepage"),
        size: fact.get("package/size").and_then(Edn::as_integer),
        advisory_url: fact.text("package/advisory-url").to_owned(),
        files,
        purl,
    })
}

fn set_state(model: &mut Model, key: &(String, String), state: &str) -> Result<(), String> {
    let state = state.rsplit('/').next().unwrap_or(state);
    let image = model.images.get_mut(&key.1).ok_or("a state comes before its image")?;
    match state {
        "INDEXING" => {
            // The same upload from its beginning again goes on with what it has told.
            let told = model.uploads.entry(key.clone()).or_default();
            image.packages = told.values().cloned().collect();
        }
        "INDEXED" => {
            let told = model.uploads.get(key).ok_or("the image is indexed under another ID than it began with")?;
            if image.package_count != i64::try_from(told.len()).ok() {
                return Err(format!("{:?} packages were announced, and {} came", image.package_count, told.len()));
            }
        }
        _ => {}
    }
    image.states.push(state.to_owned());
    Ok(())
}

fn named_all<'a>(fact: &Fact, attribute: &str, facts: &'a Facts) -> Vec<&'a Fact> {
    fact.texts(attribute).into_iter().filter_map(|name| facts.get(name)).collect()
}

fn pairs(fact: &Fact, attribute: &str) -> Vec<(String, String)> {
    let pairs = fact.get(attribute).and_then(Edn::as_vector).unwrap_or_default();
    let text = |pair: &[Edn], at: usize| pair.get(at).and_then(Edn::as_str).unwrap_or_default().to_owned();
    pairs.iter().filter_map(Edn::as_vector).map(|pair| (text(pair, 0), text(pair, 1))).collect()
}

fn instant(fact: &Fact, attribute: &str) -> Result<jiff::Timestamp, String> {
    match fact.get(attribute) {
        Some(Edn::Instant(time)) => Ok(*time),
        _ => Err(format!("there is no {attribute}")),
    }
}
