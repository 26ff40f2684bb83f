//! Records of packages into packages, each once.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::merge::Found;
use crate::package::{Distro, SourcePackage, Supplement};
use crate::purl::{self, Purl};
use crate::{Evidence, ImagePackage, Location, Package, license_expression};

/// Package types whose namespace is the distribution.
pub(super) const DISTRO_PACKAGES: &[&str] = &["deb", "apk", "rpm", "alpm", "opkg"];

/// Packages by package URL.
#[derive(Debug, Default)]
pub(super) struct Packages {
    by_purl: BTreeMap<String, Merged>,
    /// Package URLs by what they are the same package by, however they are spelled. Only what documents claim is
    /// looked up here.
    by_identity: HashMap<String, Vec<String>>,
}

#[derive(Debug)]
struct Merged {
    package: ImagePackage,
    /// Readers take the first location for the main one, so those of better evidence stay in front.
    locations: BTreeSet<(Evidence, Location)>,
}

impl Packages {
    /// Adds a record and returns its package URL. Those of better evidence come first.
    pub(super) fn add(&mut self, found: &Found<'_>, supplements: &[&Supplement], distro: Option<&Distro>) -> String {
        let mut package = found.package.clone();
        (package.within, package.requires, package.provides) = (None, Vec::new(), Vec::new());
        // A package file of another family than the distribution's says nothing of the distribution.
        let distro = distro.filter(|distro| purl::is_native(&package.kind, distro));
        for supplement in supplements {
            package.licenses.extend(supplement.licenses.iter().cloned());
            package.files.extend(supplement.files.iter().cloned());
            package.qualifiers.extend(supplement.qualifiers.clone());
        }
        let mut licenses = HashSet::new();
        package.licenses.retain(|license| !license.is_empty() && licenses.insert(license.clone()));
        if package.namespace.is_none() && DISTRO_PACKAGES.contains(&package.kind.as_str()) {
            package.namespace =
                distro.map(|distro| purl::vendor(&package.kind, distro).to_owned()).filter(|id| !id.is_empty());
        }
        let evidence = package.evidence;
        let mut purl = Purl::of(&package, distro).to_string();
        let identity = identity(&package, &purl);
        if evidence == Evidence::Claimed
            && !self.by_purl.contains_key(&purl)
            && let Some(known) = self.by_identity.get(&identity)
            && let Some(same) = known.iter().find(|known| self.is_same(known, &package))
        {
            purl.clone_from(same);
        }
        // What is known by better evidence keeps its own parent, or none.
        let is_known = self.by_purl.get(&purl).is_some_and(|known| known.package.package.evidence < evidence);
        // A package that is built from a source of its own name and version is its own parent.
        let parent = package
            .source
            .as_ref()
            .filter(|source| !is_known && (source.name != package.name || source.version != package.version))
            .map(|source| self.add_source(&package, source, distro));
        let merged = match self.by_purl.get_mut(&purl) {
            Some(merged) => {
                // What is found is not completed by what somebody says.
                if !is_known || evidence != Evidence::Claimed {
                    complete(&mut merged.package.package, package);
                }
                merged
            }
            None => {
                self.by_identity.entry(identity).or_default().push(purl.clone());
                self.by_purl.entry(purl.clone()).or_insert(Merged::new(purl.clone(), package))
            }
        };
        let entry = &mut merged.package;
        entry.parent = entry.parent.take().or(parent);
        merged.locations.insert((evidence, found.location.clone()));
        if !entry.catalogers.iter().any(|name| name == found.cataloger) {
            entry.catalogers.push(found.cataloger.to_owned());
        }
        purl
    }

    /// Adds what packages depend on.
    pub(super) fn depend<'a>(&mut self, dependencies: impl IntoIterator<Item = (&'a str, BTreeSet<&'a str>)>) {
        for (purl, on) in dependencies {
            if let Some(merged) = self.by_purl.get_mut(purl) {
                merged.package.depends_on = on.into_iter().map(str::to_owned).collect();
            }
        }
    }

    /// All of them, by package URL.
    pub(super) fn finish(self) -> Vec<ImagePackage> {
        let finished = self.by_purl.into_values().map(|Merged { mut package, locations }| {
            let mut seen = HashSet::new();
            package.locations = locations.into_iter().map(|(_, location)| location).collect();
            package.locations.retain(|location| seen.insert(location.clone()));
            package.license = license_expression(package.package.licenses.iter().map(String::as_str));
            package
        });
        finished.collect()
    }

    /// Whether a claim is about the package of this URL, whose [`identity`] it has. Documents leave out what is not
    /// worth telling to them, and add where a file came from.
    fn is_same(&self, purl: &str, claim: &Package) -> bool {
        const TELLING: [&str; 3] = ["arch", "classifier", "platform"];
        let Some(known) = self.by_purl.get(purl) else { return false };
        TELLING.iter().all(|key| {
            let (known, claimed) = (known.package.package.qualifiers.get(*key), claim.qualifiers.get(*key));
            known.is_none() || claimed.is_none() || known == claimed
        })
    }

    /// Adds the source package of `binary` and returns its package URL.
    fn add_source(&mut self, binary: &Package, source: &SourcePackage, distro: Option<&Distro>) -> String {
        let rpm = binary.kind == "rpm";
        let mut qualifiers = BTreeMap::from([("arch".to_owned(), if rpm { "src" } else { "source" }.to_owned())]);
        if rpm {
            // rpm names a source package by its file, which does not say these; they are those of what it was built
            // into.
            let shared = ["epoch", "rpmmod"].into_iter().filter_map(|key| binary.qualifiers.get_key_value(key));
            qualifiers.extend(shared.map(|(key, value)| (key.clone(), value.clone())));
        }
        let package = Package {
            kind: binary.kind.clone(),
            namespace: binary.namespace.clone(),
            name: source.name.clone(),
            version: source.version.clone(),
            qualifiers,
            author: binary.author.clone(),
            evidence: binary.evidence,
            ..Package::default()
        };
        let purl = Purl::of(&package, distro).to_string();
        self.by_purl.entry(purl.clone()).or_insert_with(|| Merged::new(purl.clone(), package));
        purl
    }
}

impl Merged {
    fn new(purl: String, package: Package) -> Self {
        let package = ImagePackage {
            purl,
            package,
            license: None,
            parent: None,
            owner: None,
            depends_on: Vec::new(),
            locations: Vec::new(),
            catalogers: Vec::new(),
        };
        Self { package, locations: BTreeSet::new() }
    }
}

/// Adds to `package` what another record of the same package knows and it does not.
fn complete(package: &mut Package, other: Package) {
    let Package { source, licenses, author, vendor, signing_key, cpes, description, url, files, .. } = other;
    let Package { size, installed_size, .. } = other;
    package.source = package.source.take().or(source);
    package.author = package.author.take().or(author);
    package.vendor = package.vendor.take().or(vendor);
    package.signing_key = package.signing_key.take().or(signing_key);
    package.description = package.description.take().or(description);
    package.url = package.url.take().or(url);
    package.size = package.size.or(size);
    package.installed_size = package.installed_size.or(installed_size);
    for (list, more) in [(&mut package.licenses, licenses), (&mut package.cpes, cpes), (&mut package.files, files)] {
        if list.is_empty() {
            *list = more;
        } else if !more.is_empty() {
            let known: HashSet<String> = list.iter().cloned().collect();
            list.extend(more.into_iter().filter(|one| !known.contains(one)));
        }
    }
    // The best evidence counts; what is needed by one record for more than development is needed.
    package.evidence = package.evidence.min(other.evidence);
    package.dev &= other.dev;
}

/// Type, namespace, name and version in canonical spelling. The namespace of a distribution's package is left out
/// (documents disagree on it), and so is the epoch (some have it as a qualifier).
pub(crate) fn identity(package: &Package, purl: &str) -> String {
    if DISTRO_PACKAGES.contains(&package.kind.as_str()) {
        let version = match package.version.split_once(':') {
            Some((epoch, version)) if epoch.bytes().all(|byte| byte.is_ascii_digit()) => version,
            _ => &package.version,
        };
        return format!("{}/{}@{version}", package.kind, package.name);
    }
    let plain = purl.split(['?', '#']).next().unwrap_or(purl);
    match package.kind.as_str() {
        // Some write a module's version without its `v`.
        "golang" => plain.replacen("@v", "@", 1),
        // pip takes names for the same that package URLs do not.
        "pypi" => {
            let name = package.name.to_ascii_lowercase().replace(['_', '.'], "-");
            format!("pypi/{name}@{}", package.version)
        }
        _ => plain.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::merge::Merge;
    use super::super::tree::Tree;
    use super::*;

    fn package(kind: &str, name: &str, version: &str, qualifiers: &[(&str, &str)], evidence: Evidence) -> Package {
        let qualifiers = qualifiers.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        Package {
            kind: kind.into(),
            name: name.into(),
            version: version.into(),
            qualifiers,
            evidence,
            ..Package::default()
        }
    }

    fn merge(packages: &[Package]) -> Vec<ImagePackage> {
        let debian = Distro { id: "debian".into(), version_id: "12".into(), ..Distro::default() };
        let mut merge = Merge::default();
        merge.distro("/etc/os-release", &debian);
        for (number, package) in packages.iter().enumerate() {
            // The paths count down: what is known best must not be told by the alphabet.
            merge.package(package, "test", &format!("/{}", 9 - number), 0);
        }
        merge.finish(&Tree::new(0)).packages
    }

    #[test]
    fn the_best_evidence_of_a_package_is_kept_and_the_places_are_joined() {
        let check = |claim: Package, joined: bool| {
            let installed = package("deb", "libc6", "1:2.36-9", &[("arch", "amd64")], Evidence::Installed);
            let text = format!("{claim:?}");
            let mut merged = merge(&[claim, installed]);
            merged.retain(|package| !package.locations.is_empty());
            assert_eq!(merged.len(), if joined { 1 } else { 2 }, "{text}");
            if joined {
                assert_eq!(merged[0].purl, "pkg:deb/debian/libc6@1:2.36-9?arch=amd64&distro=debian-12");
                assert_eq!(merged[0].package.evidence, Evidence::Installed);
                let paths: Vec<_> = merged[0].locations.iter().map(|location| &*location.path).collect();
                assert_eq!(paths, ["/8", "/9"], "the installed one is first");
                assert_eq!(merged[0].parent, None);
            }
        };
        let claim = |version: &str, qualifiers: &[(&str, &str)]| Package {
            source: Some(SourcePackage { name: "glibc".into(), version: "2.36".into() }),
            ..package("deb", "libc6", version, qualifiers, Evidence::Claimed)
        };
        check(claim("1:2.36-9", &[("arch", "amd64")]), true);
        check(claim("1:2.36-9", &[("arch", "amd64"), ("distro", "debian-12.1")]), true);
        check(claim("1:2.36-9", &[]), true);
        check(claim("2.36-9", &[("arch", "amd64"), ("epoch", "1")]), true);
        check(claim("1:2.36-9", &[("arch", "i386")]), false);
        check(claim("1:2.36-8", &[("arch", "amd64")]), false);
        check(Package { namespace: Some("ubuntu".into()), ..claim("1:2.36-9", &[]) }, true);
        check(Package { kind: "apk".into(), ..claim("1:2.36-9", &[]) }, false);
    }

    #[test]
    fn claims_are_joined_however_they_spell_a_package() {
        let check = |installed: (&str, &str, &str), claim: Package, joined: bool| {
            let (kind, name, version) = installed;
            let installed = package(kind, name, version, &[], Evidence::Installed);
            let text = format!("{claim:?}");
            assert_eq!(merge(&[claim, installed]).len(), if joined { 1 } else { 2 }, "{text}");
        };
        let claim = |kind, name, version, qualifiers| package(kind, name, version, qualifiers, Evidence::Claimed);
        check(("pypi", "Foo.Bar", "1"), claim("pypi", "foo-bar", "1", &[("file_name", "x.whl")]), true);
        check(("golang", "stdlib", "v1.22.1"), claim("golang", "stdlib", "1.22.1", &[]), true);
        check(("npm", "a", "1"), claim("npm", "a", "1", &[("package-id", "12")]), true);
        check(("npm", "a", "1"), Package { namespace: Some("@b".into()), ..claim("npm", "a", "1", &[]) }, false);
        // A lock file's variants stay apart.
        let declared = package("gem", "a", "1", &[("platform", "x86_64-linux")], Evidence::Declared);
        check(("gem", "a", "1"), declared, false);
        let variants = ["x86_64-linux", "java"]
            .map(|platform| package("gem", "a", "1", &[("platform", platform)], Evidence::Claimed));
        assert_eq!(merge(&variants).len(), 2);
    }
}
