//! What a document says of one package, whatever its format.

use std::borrow::Cow;

use packageurl::PackageUrl;

use crate::package::{Evidence, Package, SourcePackage};

/// Names and versions that are longer are not such.
const LONGEST_NAME: usize = 1024;

/// Package URLs with long qualifiers (download addresses, checksums) stay far below.
const LONGEST_PURL: usize = 8192;

/// Licences and CPE names of one package. Tools that guess CPE names write some dozens.
const MOST_FACTS: usize = 256;

/// Types whose `upstream` qualifier names the source package.
const WITH_SOURCE: [&str; 4] = ["deb", "apk", "rpm", "alpm"];

/// A package, as a document has it.
#[derive(Debug, Default)]
pub(super) struct Claim<'a> {
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) version: Option<Cow<'a, str>>,
    /// Used without a package URL only.
    pub(super) kind: Option<&'static str>,
    pub(super) namespace: Option<Cow<'a, str>>,
    pub(super) purl: Option<Cow<'a, str>>,
    pub(super) cpes: Vec<Cow<'a, str>>,
    pub(super) licenses: Vec<Cow<'a, str>>,
    /// Who distributes it: `Organization: Name (mail)`, or the name alone.
    pub(super) supplier: Option<Cow<'a, str>>,
    /// Who made it, likewise.
    pub(super) originator: Option<Cow<'a, str>>,
    pub(super) description: Option<Cow<'a, str>>,
    pub(super) url: Option<Cow<'a, str>>,
    /// Name and version of the source package.
    pub(super) source: Option<(Cow<'a, str>, Cow<'a, str>)>,
}

impl Claim<'_> {
    pub(super) fn package(self) -> Option<Package> {
        let purl = self.purl.as_deref().and_then(purl);
        let mut package = match &purl {
            Some(purl) => Package {
                kind: purl.ty().to_owned(),
                namespace: purl.namespace().map(str::to_owned),
                name: purl.name().to_owned(),
                version: purl.version().map(str::to_owned).or_else(|| plain(self.version)).unwrap_or_default(),
                qualifiers: purl.qualifiers().iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
                ..Package::default()
            },
            None => Package {
                kind: self.kind.unwrap_or("generic").to_owned(),
                namespace: plain(self.namespace),
                name: plain(self.name)?,
                version: plain(self.version).unwrap_or_default(),
                ..Package::default()
            },
        };
        if package.name.len() > LONGEST_NAME || package.version.len() > LONGEST_NAME {
            return None;
        }
        package.evidence = Evidence::Claimed;
        package.source = self
            .source
            .and_then(|(name, version)| source(plain(Some(name))?, plain(Some(version)), &package.version))
            .or_else(|| upstream(&package));
        package.licenses = facts(self.licenses);
        package.cpes = facts(self.cpes);
        package.author = self.originator.as_deref().and_then(actor);
        package.vendor = self.supplier.as_deref().and_then(actor);
        package.description = plain(self.description).and_then(|text| text.lines().next().map(str::to_owned));
        package.url = plain(self.url).filter(|url| url.starts_with("http://") || url.starts_with("https://"));
        Some(package)
    }
}

/// A package URL; `None` for what breaks the grammar or the rules of its type.
fn purl(text: &str) -> Option<PackageUrl<'static>> {
    let text = text.trim();
    if text.len() > LONGEST_PURL || !text.starts_with("pkg:") {
        return None;
    }
    text.parse().ok()
}

/// SPDX has two words for nothing.
pub(super) fn is_said(text: &str) -> bool {
    !matches!(text, "" | "NOASSERTION" | "NONE")
}

fn plain(text: Option<Cow<'_, str>>) -> Option<String> {
    text.map(Cow::into_owned).filter(|text| is_said(text))
}

fn facts(texts: Vec<Cow<'_, str>>) -> Vec<String> {
    let mut facts: Vec<String> = Vec::new();
    for text in texts.into_iter().take(MOST_FACTS) {
        if is_said(&text) && !facts.iter().any(|other| *other == text) {
            facts.push(text.into_owned());
        }
    }
    facts
}

/// `Organization: Name (mail)` as `Name <mail>`, `Name ()` as `Name`.
fn actor(text: &str) -> Option<String> {
    let text = text.trim();
    let name = ["Organization:", "Person:", "Tool:"].iter().find_map(|kind| text.strip_prefix(kind));
    let name = name.unwrap_or(text).trim();
    if !is_said(name) || name.len() > LONGEST_NAME {
        return None;
    }
    let (name, mail) = match name.strip_suffix(')').and_then(|name| name.rsplit_once('(')) {
        Some((name, mail)) if mail.trim().is_empty() || mail.contains('@') => (name.trim(), mail.trim()),
        _ => (name, ""),
    };
    match (name, mail) {
        ("", "") => None,
        (name, "") => Some(name.to_owned()),
        ("", mail) => Some(mail.to_owned()),
        (name, mail) => Some(format!("{name} <{mail}>")),
    }
}

fn source(name: String, version: Option<String>, binary_version: &str) -> Option<SourcePackage> {
    let version = version.unwrap_or_else(|| binary_version.to_owned());
    (name.len() <= LONGEST_NAME && version.len() <= LONGEST_NAME).then_some(SourcePackage { name, version })
}

/// The `upstream` qualifier: `name`, `name@version`, or an rpm's `name-version-release.src.rpm`.
fn upstream(package: &Package) -> Option<SourcePackage> {
    let upstream = package.qualifiers.get("upstream").filter(|_| WITH_SOURCE.contains(&package.kind.as_str()))?;
    if let Some(stem) = upstream.strip_suffix(".src.rpm") {
        let (rest, release) = stem.rsplit_once('-')?;
        let (name, version) = rest.rsplit_once('-')?;
        return source(name.to_owned(), Some(format!("{version}-{release}")), "");
    }
    match upstream.split_once('@') {
        Some((name, version)) => source(name.to_owned(), Some(version.to_owned()), ""),
        None => source(upstream.clone(), None, &package.version),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_kind() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(actor(text).as_deref(), expected, "{text}");
        check("Organization: Acme, Inc.", Some("Acme, Inc."));
        check("Person: Ann (ann@example.org)", Some("Ann <ann@example.org>"));
        check("Person: Ann ()", Some("Ann"));
        check("Organization: Acme (Europe)", Some("Acme (Europe)"));
        check("Acme", Some("Acme"));
        check("NOASSERTION", None);
        check("Organization: ", None);
    }

    #[test]
    fn source_packages_come_from_the_qualifier() {
        let check = |purl: &str, expected: Option<(&str, &str)>| {
            let package = Claim { purl: Some(purl.into()), ..Claim::default() }.package().expect("is a purl");
            let source = package.source.as_ref().map(|source| (&*source.name, &*source.version));
            assert_eq!(source, expected, "{purl}");
        };
        check("pkg:apk/alpine/ssl_client@1.36-r1?upstream=busybox", Some(("busybox", "1.36-r1")));
        check("pkg:deb/debian/libc6@2.36?upstream=glibc%402.35", Some(("glibc", "2.35")));
        check("pkg:rpm/fedora/bash@5.2-1?upstream=bash-a-5.2-2.fc40.src.rpm", Some(("bash-a", "5.2-2.fc40")));
        check("pkg:rpm/fedora/bash@5.2-1?upstream=bash.src.rpm", None);
        check("pkg:npm/a@1?upstream=b", None);
    }

    #[test]
    fn a_claim_needs_a_name() {
        let none = |claim: Claim<'_>| assert_eq!(claim.package(), None);
        none(Claim::default());
        none(Claim { purl: Some("npm/a@1".into()), ..Claim::default() });
        none(Claim { name: Some("NOASSERTION".into()), ..Claim::default() });
        none(Claim { name: Some("x".repeat(2000).into()), ..Claim::default() });
        none(Claim { purl: Some(format!("pkg:npm/{}@1", "x".repeat(10_000)).into()), ..Claim::default() });
        let fallback = Claim { purl: Some("pkg:a b/c".into()), name: Some("c".into()), ..Claim::default() };
        let package = fallback.package().expect("has a name");
        assert_eq!((&*package.kind, &*package.name), ("generic", "c"));
    }
}
