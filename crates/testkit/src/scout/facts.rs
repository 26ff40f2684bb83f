//! Which entities there are, which attributes they have, and of what type those are: those of the last public client
//! (`docker/index-cli-plugin` `sbom/upload.go`).

use std::collections::BTreeMap;

use super::edn::Edn;

/// What an attribute holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Text,
    /// `sha256:` and 64 hexadecimal digits.
    Digest,
    Integer,
    Instant,
    /// One of these.
    Keyword(&'static [&'static str]),
    /// A vector of texts.
    Texts,
    /// A vector of vectors of two texts.
    Pairs,
    /// Texts that are added.
    Added,
    /// The name of an entity of this kind in the same transaction.
    Reference(&'static str),
    /// Names that are added.
    References(&'static str),
    /// Names that take the place of others.
    Set(&'static str),
}

use Type::{Added, Digest, Instant, Integer, Keyword, Pairs, Reference, References, Set, Text, Texts};

/// Whether an attribute must be there.
const MUST: bool = true;
const MAY: bool = false;

/// What the SBOM's state may be. The first two are those of the public client, the third follows the GraphQL schema.
pub(super) const STATES: &[&str] = &["sbom.state/INDEXING", "sbom.state/INDEXED", "sbom.state/INDEXING_FAILED"];

type Attributes = &'static [(&'static str, Type, bool)];

const KINDS: &[(&str, Attributes)] = &[
    (
        "docker/repository",
        &[
            ("docker.repository/host", Text, MUST),
            ("docker.repository/repository", Text, MUST),
            ("docker.repository/platforms", Added, MUST),
        ],
    ),
    (
        "docker/tag",
        &[
            ("docker.tag/name", Text, MUST),
            ("docker.tag/updated-at", Instant, MUST),
            ("docker.tag/repository", Reference("docker/repository"), MUST),
            ("docker.tag/digest", Digest, MUST),
            ("docker.tag/image", Reference("docker/image"), MUST),
        ],
    ),
    (
        "docker/platform",
        &[
            ("docker.platform/image", Reference("docker/image"), MUST),
            ("docker.platform/os", Text, MUST),
            ("docker.platform/architecture", Text, MUST),
            ("docker.platform/variant", Text, MAY),
        ],
    ),
    ("docker.image/label", &[("docker.image.label/name", Text, MUST), ("docker.image.label/value", Text, MUST)]),
    (
        "docker.image.environment/variable",
        &[
            ("docker.image.environment.variable/name", Text, MUST),
            ("docker.image.environment.variable/value", Text, MUST),
        ],
    ),
    (
        "docker.image/layer",
        &[
            ("docker.image.layer/ordinal", Integer, MUST),
            ("docker.image.layer/image-digest", Digest, MUST),
            ("docker.image.layer/blob", Reference("docker.image/blob"), MUST),
            ("docker.image.layer/created-at", Instant, MUST),
            ("docker.image.layer/created-by", Text, MUST),
            ("docker.image.layer/blob-digest", Digest, MUST),
            ("docker.image.layer/chain-id", Digest, MAY),
        ],
    ),
    (
        "docker.image/blob",
        &[
            ("docker.image.blob/size", Integer, MUST),
            ("docker.image.blob/digest", Digest, MUST),
            ("docker.image.blob/diff-id", Digest, MAY),
        ],
    ),
    (
        "docker/image",
        &[
            ("docker.image/digest", Digest, MUST),
            ("docker.image/created-at", Instant, MAY),
            ("docker.image/repository", Reference("docker/repository"), MAY),
            ("docker.image/repositories", References("docker/repository"), MAY),
            ("docker.image/tags", Added, MAY),
            ("docker.image/labels", Set("docker.image/label"), MAY),
            ("docker.image/ports", Pairs, MAY),
            ("docker.image/env", Pairs, MAY),
            ("docker.image/environment-variables", Set("docker.image.environment/variable"), MAY),
            ("docker.image/layers", Set("docker.image/layer"), MAY),
            ("docker.image/blob-digest", Digest, MAY),
            ("docker.image/diff-chain-id", Digest, MAY),
            ("docker.image/sha", Text, MAY),
            ("sbom/state", Keyword(STATES), MAY),
            ("sbom/version", Text, MAY),
            ("sbom/last-updated", Instant, MAY),
            ("sbom/package-count", Integer, MAY),
            ("artifact/dependencies", References("package/dependency"), MAY),
        ],
    ),
    (
        "package",
        &[
            ("package/url", Text, MUST),
            ("package/type", Text, MUST),
            ("package/namespace", Text, MAY),
            ("package/name", Text, MUST),
            ("package/version", Text, MUST),
            ("package/author", Text, MAY),
            ("package/licenses", Texts, MAY),
            ("package/description", Text, MAY),
            ("package/homepage", Text, MAY),
            ("package/size", Integer, MAY),
            ("package/advisory-url", Text, MUST),
        ],
    ),
    (
        "package/file",
        &[("package.file/id", Text, MUST), ("package.file/path", Text, MUST), ("package.file/digest", Digest, MUST)],
    ),
    (
        "package/dependency",
        &[
            ("package.dependency/scopes", Texts, MUST),
            ("package.dependency/parent", Reference("docker/image"), MUST),
            ("package.dependency/package", Reference("package"), MUST),
            ("package.dependency/files", Set("package/file"), MUST),
        ],
    ),
];

/// An entity that has the attributes of its kind.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fact {
    pub(super) kind: &'static str,
    attributes: BTreeMap<String, Edn>,
}

impl Fact {
    pub(super) fn get(&self, attribute: &str) -> Option<&Edn> {
        self.attributes.get(attribute)
    }

    /// A text; empty if there is none.
    pub(super) fn text(&self, attribute: &str) -> &str {
        self.get(attribute).and_then(Edn::as_str).unwrap_or_default()
    }

    /// A text that may not be there.
    pub(super) fn optional(&self, attribute: &str) -> Option<String> {
        self.get(attribute).and_then(Edn::as_str).map(str::to_owned)
    }

    /// The texts of a vector, or of what is added or set.
    pub(super) fn texts(&self, attribute: &str) -> Vec<&str> {
        let Some(value) = self.get(attribute) else { return Vec::new() };
        let values = value.as_vector().or_else(|| value.get("add").or(value.get("set"))?.as_vector());
        values.unwrap_or_default().iter().filter_map(Edn::as_str).collect()
    }
}

/// The entities of a transaction by their names.
pub(super) type Facts = BTreeMap<String, Fact>;

/// Reads a transaction: a vector of maps, each a known entity with a name of its own, attributes of the right types, and
/// names that lead to entities of the right kind.
pub(super) fn read(text: &str) -> Result<Facts, String> {
    let value = Edn::parse(text)?;
    let entities = value.as_vector().ok_or("the transaction is no vector")?;
    if entities.is_empty() {
        return Err("the transaction is empty".into());
    }
    let mut facts = Facts::new();
    for entity in entities {
        let (name, fact) = entity_of(entity)?;
        if facts.insert(name.clone(), fact).is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    for (name, fact) in &facts {
        for (attribute, kind, _) in attributes(fact.kind) {
            let (Reference(target) | References(target) | Set(target)) = kind else { continue };
            let named = match fact.get(attribute) {
                Some(Edn::String(one)) => vec![one.as_str()],
                _ => fact.texts(attribute),
            };
            for wanted in named {
                match facts.get(wanted) {
                    Some(found) if found.kind == *target => {}
                    Some(found) => {
                        return Err(format!("{attribute} of {name} names {wanted}, a {} and no {target}", found.kind));
                    }
                    None => return Err(format!("{attribute} of {name} names {wanted}, which is not there")),
                }
            }
        }
    }
    Ok(facts)
}

fn attributes(kind: &str) -> Attributes {
    KINDS.iter().find(|(known, _)| *known == kind).map_or(&[], |(_, attributes)| attributes)
}

fn entity_of(entity: &Edn) -> Result<(String, Fact), String> {
    let Edn::Map(entries) = entity else { return Err("an entity is no map".into()) };
    let mut entries = entries.clone();
    let kind = entries.remove("schema/entity-type").ok_or("an entity has no schema/entity-type")?;
    let kind = kind.as_keyword().ok_or("a schema/entity-type is no keyword")?.to_owned();
    let name = entries.remove("schema/entity").ok_or_else(|| format!("a {kind} has no schema/entity"))?;
    let name = name.as_str().filter(|name| name.len() > 1 && name.starts_with('$'));
    let name = name.ok_or_else(|| format!("the schema/entity of a {kind} does not begin with $"))?.to_owned();
    let Some((kind, known)) = KINDS.iter().find(|(known, _)| *known == kind) else {
        return Err(format!("{name} is a {kind}, which nobody knows"));
    };
    for (attribute, value) in &entries {
        let Some((_, expected, _)) = known.iter().find(|(known, ..)| known == attribute) else {
            return Err(format!("{name} has {attribute}, which a {kind} has not"));
        };
        if !is_of(value, *expected) {
            return Err(format!("{attribute} of {name} is {value:?}, not {expected:?}"));
        }
    }
    if let Some((missing, ..)) = known.iter().find(|(known, _, must)| *must && !entries.contains_key(*known)) {
        return Err(format!("{name} has no {missing}"));
    }
    Ok((name, Fact { kind, attributes: entries }))
}

fn is_of(value: &Edn, expected: Type) -> bool {
    let are_texts = |value: &Edn| value.as_vector().is_some_and(|all| all.iter().all(|one| one.as_str().is_some()));
    let only = |key: &str| match value {
        Edn::Map(entries) => entries.len() == 1 && entries.get(key).is_some_and(are_texts),
        _ => false,
    };
    match expected {
        Text | Reference(_) => value.as_str().is_some(),
        Digest => value.as_str().is_some_and(is_digest),
        Integer => value.as_integer().is_some_and(|number| number >= 0),
        Instant => matches!(value, Edn::Instant(_)),
        Keyword(known) => value.as_keyword().is_some_and(|keyword| known.contains(&keyword)),
        Texts => are_texts(value),
        Pairs => value.as_vector().is_some_and(|pairs| {
            pairs.iter().all(|pair| are_texts(pair) && pair.as_vector().is_some_and(|p| p.len() == 2))
        }),
        Added | References(_) => only("add"),
        Set(_) => only("set"),
    }
}

fn is_digest(text: &str) -> bool {
    let is_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(is_hex))
}
