//! OpenVEX documents: what somebody says of vulnerabilities in an image.
//!
//! Source of the format: <https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md>, versions 0.0.1 to 0.2.0. The
//! older ones name a vulnerability, products and subcomponents by plain strings, and have the subcomponents beside
//! the products. A document may come in an in-toto statement, as attestations do.
//!
//! [`parse`] takes the shape of a document and checks it; whom to believe is its reader's to decide.

use std::borrow::Cow;

use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::Problem;
use crate::lenient::{Text, bounded};

/// Bytes of a document. Public ones for whole distributions stay under 5 MiB.
const LONGEST_DOCUMENT: usize = 32 << 20;

/// Statements of a document.
const MOST_STATEMENTS: usize = 50_000;

/// Products of a statement, subcomponents of a product, and aliases of a vulnerability.
const MOST_ITEMS: usize = 10_000;

/// Values of a document, told by its commas. An empty one costs the document two bytes and its reader dozens.
const MOST_VALUES: usize = 1_000_000;

/// Statements without meaning that are named.
const MOST_REJECTED: usize = 20;

/// An OpenVEX document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct VexDocument {
    /// Its `@id`, an IRI.
    pub id: String,
    /// Who wrote it, as written; nothing vouches for that.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// The author's role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// When it was issued, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// When it was last changed, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_updated: Option<String>,
    /// Raised with every change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// What wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tooling: Option<String>,
    /// What it says, in its order.
    pub statements: Vec<VexStatement>,
    /// Statements that say nothing by the rules of the format, each with the reason. No more than 20 are named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<String>,
}

/// One statement: a vulnerability, products, and how these stand to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VexStatement {
    /// The vulnerability's name: `CVE-2024-3094`.
    pub vulnerability: String,
    /// Other names of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// What the statement is about. Empty if the document says it of what it is attached to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub products: Vec<VexProduct>,
    /// How the products stand to the vulnerability.
    pub status: VexStatus,
    /// Why a product is not affected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<VexJustification>,
    /// Why it is not affected, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impact_statement: Option<String>,
    /// What to do if it is affected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_statement: Option<String>,
    /// How the status was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_notes: Option<String>,
    /// When the statement was made, as written; the document's time where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
}

/// A product, or a component of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct VexProduct {
    /// Its `@id`: an IRI, most often a package URL.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Its package URL: the identifier of that name, else an `@id` that is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
    /// CPE names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cpes: Vec<String>,
    /// The components of the product that the statement is about; without any it is about the product.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(no_recursion))]
    pub subcomponents: Vec<VexProduct>,
}

/// How a product stands to a vulnerability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum VexStatus {
    /// Nothing needs to be done.
    NotAffected,
    /// Something should be done.
    Affected,
    /// These versions have a fix.
    Fixed,
    /// Not known yet.
    UnderInvestigation,
}

/// Why a product is not affected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum VexJustification {
    /// The vulnerable component is not in it.
    ComponentNotPresent,
    /// The component is, without the vulnerable code.
    VulnerableCodeNotPresent,
    /// The code is there and never runs.
    VulnerableCodeNotInExecutePath,
    /// It runs, out of an attacker's reach.
    VulnerableCodeCannotBeControlledByAdversary,
    /// Something built in keeps it from harm.
    InlineMitigationsAlreadyExist,
}

/// Reads an OpenVEX document. `None` if the bytes are JSON and something else.
///
/// # Errors
///
/// [`Problem::Malformed`] if they are no JSON or break the format as a whole, [`Problem::TooLarge`] past the bounds.
/// A statement that is no use (an unknown status; `not_affected` without a reason) costs itself only: see
/// [`VexDocument::rejected`].
///
/// # Examples
///
/// ```
/// let document = supercargo_index::vex::parse(br#"{
///     "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.org/vex/1", "author": "Ann",
///     "statements": [{"vulnerability": {"name": "CVE-2024-3094"}, "status": "fixed",
///                     "products": [{"@id": "pkg:deb/debian/xz-utils@5.4.1"}]}]
/// }"#)?.expect("is OpenVEX");
/// assert_eq!(document.statements[0].vulnerability, "CVE-2024-3094");
/// # Ok::<(), supercargo_index::Problem>(())
/// ```
pub fn parse(bytes: &[u8]) -> Result<Option<VexDocument>, Problem> {
    if bytes.len() > LONGEST_DOCUMENT {
        return Err(Problem::TooLarge { size: bytes.len() as u64, limit: LONGEST_DOCUMENT as u64 });
    }
    if memchr::memchr_iter(b',', bytes).count() > MOST_VALUES {
        return Err(Problem::malformed(format!("vex: it has more than {MOST_VALUES} values")));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let raw: RawDocument<'_> =
        serde_json::from_slice(bytes).map_err(|error| Problem::malformed(format!("vex: {error}")))?;
    let raw = match raw.predicate {
        Some(predicate) if raw.context.is_none() => *predicate,
        _ => raw,
    };
    let is_openvex = raw.context.as_deref().is_some_and(|context| context.contains("openvex.dev/ns"));
    Ok(is_openvex.then(|| raw.document()))
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct RawDocument<'a> {
    #[serde(rename = "@context", deserialize_with = "context")]
    context: Option<Cow<'a, str>>,
    #[serde(rename = "@id")]
    id: Text<'a>,
    author: Text<'a>,
    role: Text<'a>,
    timestamp: Text<'a>,
    last_updated: Text<'a>,
    version: Text<'a>,
    tooling: Text<'a>,
    #[serde(deserialize_with = "bounded::<_, _, MOST_STATEMENTS>")]
    statements: Vec<RawStatement<'a>>,
    predicate: Option<Box<RawDocument<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct RawStatement<'a> {
    vulnerability: RawVulnerability<'a>,
    #[serde(deserialize_with = "bounded::<_, _, MOST_ITEMS>")]
    products: Vec<RawProduct<'a>>,
    #[serde(deserialize_with = "bounded::<_, _, MOST_ITEMS>")]
    subcomponents: Vec<RawProduct<'a>>,
    status: Text<'a>,
    justification: Text<'a>,
    impact_statement: Text<'a>,
    action_statement: Text<'a>,
    status_notes: Text<'a>,
    timestamp: Text<'a>,
}

#[derive(Default)]
struct RawVulnerability<'a> {
    name: Text<'a>,
    id: Text<'a>,
    aliases: Vec<Text<'a>>,
}

#[derive(Default)]
struct RawProduct<'a> {
    id: Text<'a>,
    purl: Text<'a>,
    cpes: Vec<String>,
    subcomponents: Vec<RawProduct<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for RawVulnerability<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(bound(deserialize = "'de: 'a"))]
        struct Fields<'a> {
            #[serde(default)]
            name: Text<'a>,
            #[serde(default, rename = "@id")]
            id: Text<'a>,
            #[serde(default, deserialize_with = "bounded::<_, _, MOST_ITEMS>")]
            aliases: Vec<Text<'a>>,
        }
        Ok(match StringOr::deserialize(deserializer)? {
            StringOr::String(name) => Self { name: Text(Some(name)), ..Self::default() },
            StringOr::Other(Fields { name, id, aliases }) => Self { name, id, aliases },
            StringOr::Nothing => Self::default(),
        })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawProduct<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(bound(deserialize = "'de: 'a"))]
        struct Fields<'a> {
            #[serde(default, rename = "@id")]
            id: Text<'a>,
            #[serde(default)]
            identifiers: Identifiers<'a>,
            #[serde(default, deserialize_with = "bounded::<_, _, MOST_ITEMS>")]
            subcomponents: Vec<RawProduct<'a>>,
        }
        #[derive(Default, Deserialize)]
        #[serde(default, bound(deserialize = "'de: 'a"))]
        struct Identifiers<'a> {
            purl: Text<'a>,
            cpe22: Text<'a>,
            cpe23: Text<'a>,
        }
        Ok(match StringOr::<Fields<'a>>::deserialize(deserializer)? {
            StringOr::String(id) => Self { id: Text(Some(id)), ..Self::default() },
            StringOr::Other(Fields { id, identifiers, subcomponents }) => Self {
                id,
                purl: identifiers.purl,
                cpes: [identifiers.cpe23, identifiers.cpe22].into_iter().filter_map(Text::owned).collect(),
                subcomponents,
            },
            StringOr::Nothing => Self::default(),
        })
    }
}

/// What one version of the format has as a string and another as an object.
enum StringOr<'a, T> {
    String(Cow<'a, str>),
    Other(T),
    Nothing,
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for StringOr<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<'a, T>(std::marker::PhantomData<(&'a (), T)>);
        impl<'de: 'a, 'a, T: Deserialize<'de>> Visitor<'de> for Either<'a, T> {
            type Value = StringOr<'a, T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string or an object")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(StringOr::String(text.into()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(StringOr::String(text.to_owned().into()))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(StringOr::Nothing)
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(StringOr::Other)
            }
        }
        deserializer.deserialize_any(Either(std::marker::PhantomData))
    }
}

/// A JSON-LD context: a string, or a list with one that is known.
fn context<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'de, str>>, D::Error> {
    struct Context;
    impl<'de> Visitor<'de> for Context {
        type Value = Option<Cow<'de, str>>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a context")
        }

        fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
            Ok(Some(text.into()))
        }

        fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Some(text.to_owned().into()))
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut found: Option<Cow<'de, str>> = None;
            while let Some(item) = seq.next_element::<Text<'de>>()? {
                found = found.or(item.0.filter(|text| text.contains("openvex.dev/ns")));
            }
            Ok(found)
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(None)
        }
    }
    deserializer.deserialize_any(Context)
}

impl RawDocument<'_> {
    fn document(self) -> VexDocument {
        let mut document = VexDocument {
            id: self.id.owned().unwrap_or_default(),
            author: self.author.owned().unwrap_or_default(),
            role: self.role.owned(),
            timestamp: self.timestamp.owned(),
            last_updated: self.last_updated.owned(),
            // A number since 0.2.0, a string before.
            version: self.version.owned().and_then(|version| version.parse().ok()),
            tooling: self.tooling.owned(),
            ..VexDocument::default()
        };
        for (number, statement) in self.statements.into_iter().enumerate() {
            match statement.statement(document.timestamp.as_deref()) {
                Ok(statement) => document.statements.push(statement),
                Err(reason) if document.rejected.len() < MOST_REJECTED => {
                    document.rejected.push(format!("statement {number}: {reason}"));
                }
                Err(_) => {}
            }
        }
        document
    }
}

impl RawStatement<'_> {
    fn statement(self, issued: Option<&str>) -> Result<VexStatement, &'static str> {
        let RawVulnerability { name, id, aliases } = self.vulnerability;
        let Some(vulnerability) = name.owned().or_else(|| id.owned()) else { return Err("it names no vulnerability") };
        let status = match self.status.0.as_deref() {
            Some("not_affected") => VexStatus::NotAffected,
            Some("affected") => VexStatus::Affected,
            Some("fixed") => VexStatus::Fixed,
            Some("under_investigation") => VexStatus::UnderInvestigation,
            _ => return Err("its status is none that is known"),
        };
        let justification = match self.justification.0.as_deref() {
            Some("component_not_present") => Some(VexJustification::ComponentNotPresent),
            Some("vulnerable_code_not_present") => Some(VexJustification::VulnerableCodeNotPresent),
            Some("vulnerable_code_not_in_execute_path") => Some(VexJustification::VulnerableCodeNotInExecutePath),
            Some("vulnerable_code_cannot_be_controlled_by_adversary") => {
                Some(VexJustification::VulnerableCodeCannotBeControlledByAdversary)
            }
            Some("inline_mitigations_already_exist") => Some(VexJustification::InlineMitigationsAlreadyExist),
            Some(_) => return Err("its justification is none that is known"),
            None => None,
        };
        let impact_statement = self.impact_statement.owned();
        if status == VexStatus::NotAffected && justification.is_none() && impact_statement.is_none() {
            return Err("not_affected without a justification or an impact statement");
        }
        let mut products: Vec<VexProduct> = self.products.into_iter().filter_map(RawProduct::product).collect();
        let common: Vec<VexProduct> = self.subcomponents.into_iter().filter_map(RawProduct::product).collect();
        // Before 0.2.0 the subcomponents are those of every product. Copies must not multiply what a document holds.
        if common.len().saturating_mul(products.len()) > MOST_ITEMS {
            return Err("it has too many products and subcomponents");
        }
        for product in &mut products {
            product.subcomponents.extend(common.iter().cloned());
        }
        Ok(VexStatement {
            vulnerability,
            aliases: aliases.into_iter().filter_map(Text::owned).collect(),
            products,
            status,
            justification,
            impact_statement,
            action_statement: self.action_statement.owned(),
            status_notes: self.status_notes.owned(),
            timestamp: self.timestamp.owned().or_else(|| issued.map(str::to_owned)),
        })
    }
}

impl RawProduct<'_> {
    /// One without any identifier is none. Components have no components.
    fn product(self) -> Option<VexProduct> {
        let id = self.id.owned().unwrap_or_default();
        let purl = self.purl.owned().or_else(|| id.starts_with("pkg:").then(|| id.clone()));
        if id.is_empty() && purl.is_none() && self.cpes.is_empty() {
            return None;
        }
        let subcomponents = self.subcomponents.into_iter().filter_map(|component| {
            let component = RawProduct { subcomponents: Vec::new(), ..component };
            component.product()
        });
        Some(VexProduct { id, purl, cpes: self.cpes, subcomponents: subcomponents.collect() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All fields of the format, by the specification's tables.
    const DOCUMENT: &str = r#"{
        "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://acme.example/vex/7", "author": "Acme PSIRT",
        "role": "Document Creator", "timestamp": "2026-01-08T18:02:03Z", "last_updated": "2026-02-01T00:00:00Z",
        "version": 3, "tooling": "vexctl",
        "statements": [
            {"vulnerability": {"@id": "https://nvd.nist.gov/vuln/detail/CVE-2026-1", "name": "CVE-2026-1", "aliases": ["GHSA-x"]},
             "timestamp": "2026-01-09T00:00:00Z", "status_notes": "seen",
             "products": [{"@id": "pkg:oci/app@sha256%3A1f", "identifiers": {"cpe23": "cpe:2.3:a:acme:app:1"}, "hashes": {"sha-256": "1f"},
                           "subcomponents": [{"@id": "pkg:deb/debian/quux@1"}, {"identifiers": {"purl": "pkg:npm/a@1"}}]}],
             "status": "not_affected", "justification": "vulnerable_code_not_in_execute_path", "impact_statement": "never runs"},
            {"vulnerability": {"name": "CVE-2026-2"}, "products": [{"@id": "pkg:npm/b@1"}], "status": "affected", "action_statement": "update"},
            {"vulnerability": {"name": "CVE-2026-3"}, "status": "not_affected"},
            {"vulnerability": {"name": "CVE-2026-4"}, "status": "harmless"},
            {"vulnerability": {}, "status": "fixed"},
            {"vulnerability": {"name": "CVE-2026-5"}, "status": "not_affected", "justification": "because"}
        ]
    }"#;

    fn read(text: &str) -> VexDocument {
        parse(text.as_bytes()).expect("is JSON").expect("is OpenVEX")
    }

    #[test]
    fn every_field_is_read() {
        let document = read(DOCUMENT);
        assert_eq!(document.id, "https://acme.example/vex/7");
        assert_eq!(document.author, "Acme PSIRT");
        assert_eq!((document.role.as_deref(), document.version), (Some("Document Creator"), Some(3)));
        assert_eq!(document.tooling.as_deref(), Some("vexctl"));
        let product = |id: &str| VexProduct { id: id.into(), purl: Some(id.into()), ..VexProduct::default() };
        assert_eq!(
            document.statements,
            [
                VexStatement {
                    vulnerability: "CVE-2026-1".into(),
                    aliases: vec!["GHSA-x".into()],
                    products: vec![VexProduct {
                        cpes: vec!["cpe:2.3:a:acme:app:1".into()],
                        subcomponents: vec![
                            product("pkg:deb/debian/quux@1"),
                            VexProduct { purl: Some("pkg:npm/a@1".into()), ..VexProduct::default() },
                        ],
                        ..product("pkg:oci/app@sha256%3A1f")
                    }],
                    status: VexStatus::NotAffected,
                    justification: Some(VexJustification::VulnerableCodeNotInExecutePath),
                    impact_statement: Some("never runs".into()),
                    action_statement: None,
                    status_notes: Some("seen".into()),
                    timestamp: Some("2026-01-09T00:00:00Z".into()),
                },
                VexStatement {
                    vulnerability: "CVE-2026-2".into(),
                    aliases: Vec::new(),
                    products: vec![product("pkg:npm/b@1")],
                    status: VexStatus::Affected,
                    justification: None,
                    impact_statement: None,
                    action_statement: Some("update".into()),
                    status_notes: None,
                    timestamp: Some("2026-01-08T18:02:03Z".into()),
                },
            ]
        );
        assert_eq!(
            document.rejected,
            [
                "statement 2: not_affected without a justification or an impact statement",
                "statement 3: its status is none that is known",
                "statement 4: it names no vulnerability",
                "statement 5: its justification is none that is known",
            ]
        );
    }

    #[test]
    fn documents_of_the_first_version_are_read() {
        let document = read(
            r#"{"@context": "https://openvex.dev/ns", "@id": "x", "author": "Ann", "version": "1", "statements": [
                {"vulnerability": "CVE-2026-1", "products": ["pkg:oci/a@1", "pkg:oci/b@1"], "subcomponents": ["pkg:npm/c@1"], "status": "fixed"}]}"#,
        );
        assert_eq!(document.version, Some(1));
        let statement = &document.statements[0];
        assert_eq!(statement.vulnerability, "CVE-2026-1");
        for product in &statement.products {
            assert_eq!(product.subcomponents[0].purl.as_deref(), Some("pkg:npm/c@1"));
        }
        assert_eq!(statement.products.len(), 2);
    }

    #[test]
    fn statements_and_lists_of_contexts_are_known() {
        let statement = format!(r#"{{"_type": "https://in-toto.io/Statement/v1", "predicate": {DOCUMENT}}}"#);
        assert_eq!(read(&statement), read(DOCUMENT));
        let list =
            DOCUMENT.replace(r#""https://openvex.dev/ns/v0.2.0""#, r#"[{"a": 1}, "https://openvex.dev/ns/v0.2.0"]"#);
        assert_eq!(read(&list), read(DOCUMENT));
    }

    #[test]
    fn other_json_is_none() {
        for text in ["{}", r#"{"@context": "https://schema.org"}"#, r#"{"@context": {"x": 1}, "statements": null}"#] {
            assert_eq!(parse(text.as_bytes()).expect("is JSON"), None, "{text}");
        }
        for text in ["", "[", r#"{"@context": "https://openvex.dev/ns", "statements": {}}"#] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn bounds_hold() {
        let nested = format!("{}{}", r#"{"predicate":"#.repeat(100_000), "}".repeat(100_000));
        assert!(parse(nested.as_bytes()).is_err());
        let components = |depth: usize| {
            let open = r#"{"@id": "a", "subcomponents": ["#.repeat(depth);
            format!(
                r#"{{"@context": "https://openvex.dev/ns", "statements": [{{"vulnerability": "x", "status": "fixed", "products": [{open}{}]}}]}}"#,
                "]}".repeat(depth)
            )
        };
        let document = read(&components(5));
        assert_eq!(document.statements[0].products[0].subcomponents[0].subcomponents, [], "one level is kept");
        assert!(parse(components(100_000).as_bytes()).is_err());
        let strings = vec![r#""pkg:npm/a@1""#; 200].join(",");
        let product = format!(
            r#"{{"@context": "https://openvex.dev/ns", "statements": [
                {{"vulnerability": "x", "status": "fixed", "products": [{strings}], "subcomponents": [{strings}]}}]}}"#
        );
        assert_eq!(read(&product).rejected, ["statement 0: it has too many products and subcomponents"]);
        let many = format!(
            r#"{{"@context": "https://openvex.dev/ns", "statements": [{}]}}"#,
            vec![r#"{"status":"x"}"#; 50_001].join(",")
        );
        assert!(parse(many.as_bytes()).is_err());
        let named = format!(
            r#"{{"@context": "https://openvex.dev/ns", "statements": [{}]}}"#,
            vec![r#"{"status":"x"}"#; 100].join(",")
        );
        assert_eq!(read(&named).rejected.len(), MOST_REJECTED);
    }

    #[test]
    fn documents_survive_being_stored() {
        let document = read(DOCUMENT);
        let stored = serde_json::to_string(&document).unwrap();
        assert_eq!(serde_json::from_str::<VexDocument>(&stored).unwrap(), document);
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0..DOCUMENT.len(), byte: u8) {
            let mut text = DOCUMENT.as_bytes().to_vec();
            text[at] = byte;
            let _ = parse(&text);
        }
    }
}
