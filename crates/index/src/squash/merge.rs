//! Findings of visible files into packages, each once.

use std::collections::HashMap;

use super::packages::Packages;
use super::tree::Tree;
use super::{Squashed, assemblies, dependencies, ownership};
use crate::catalogers::system::os_release;
use crate::layer::FileFindings;
use crate::package::{Distro, Supplement};
use crate::{ImageVex, Location, Package, Repositories};

#[derive(Debug, Default)]
pub(super) struct Merge<'a> {
    packages: Vec<Found<'a>>,
    supplements: Vec<&'a Supplement>,
    /// Those about what lies in one directory, by that directory.
    beside: HashMap<String, Vec<&'a Supplement>>,
    distros: Vec<(String, &'a Distro)>,
    repositories: Vec<Repositories>,
    vex: Vec<ImageVex>,
}

#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) package: &'a Package,
    pub(super) cataloger: &'a str,
    pub(super) location: Location,
}

impl<'a> Merge<'a> {
    pub(super) fn package(&mut self, package: &'a Package, cataloger: &'a str, path: &str, layer: u32) {
        let location = Location { path: path.to_owned(), within: package.within.clone(), layer: Some(layer) };
        self.packages.push(Found { package, cataloger, location });
    }

    pub(super) fn facts(&mut self, findings: &'a FileFindings, path: &str, layer: u32) {
        for supplement in &findings.supplements {
            if supplement.beside {
                self.beside.entry(directory(path).to_owned()).or_default().push(supplement);
            } else {
                self.supplements.push(supplement);
            }
        }
        if let Some(distro) = &findings.distro {
            self.distro(path, distro);
        }
        for document in &findings.vex {
            let location = Location { path: path.to_owned(), within: None, layer: Some(layer) };
            self.vex.push(ImageVex { location, document: document.clone() });
        }
        if !findings.repositories.is_empty() {
            let location = Location { path: path.to_owned(), within: None, layer: Some(layer) };
            self.repositories.push(Repositories { location, ids: findings.repositories.clone() });
        }
    }

    pub(super) fn distro(&mut self, path: &str, distro: &'a Distro) {
        self.distros.push((path.to_owned(), distro));
    }

    /// `tree` is what all that was found lies in.
    pub(super) fn finish(mut self, tree: &Tree<'_>) -> Squashed {
        let rank = |path: &str| os_release::PATHS.iter().position(|known| path[1..] == **known);
        self.distros.sort_by(|(a, _), (b, _)| (rank(a).is_none(), rank(a), a).cmp(&(rank(b).is_none(), rank(b), b)));
        let distro = self.distros.first().map(|(_, distro)| (*distro).clone());

        let mut supplements: HashMap<(&str, &str), Vec<&Supplement>> = HashMap::new();
        for supplement in &self.supplements {
            supplements.entry((&supplement.kind, &supplement.name)).or_default().push(supplement);
        }
        assemblies::attribute(&mut self.packages);
        // The best evidence first: of several records of a package the first one tells what it is.
        self.packages.sort_by_key(|found| found.package.evidence);
        let mut packages = Packages::default();
        let mut purls = Vec::with_capacity(self.packages.len());
        for found in &self.packages {
            let named = supplements.get(&(found.package.kind.as_str(), found.package.name.as_str()));
            let beside = self.beside.get(directory(&found.location.path)).into_iter().flatten();
            let beside = beside.filter(|supplement| supplement.kind == found.package.kind);
            let about: Vec<&Supplement> = named.into_iter().flatten().chain(beside).copied().collect();
            purls.push(packages.add(found, &about, distro.as_ref()));
        }
        packages.depend(dependencies::resolve(&self.packages, &purls, tree));
        let mut packages = packages.finish();
        ownership::settle(&mut packages);
        // What is installed first, then the source packages that it was built from, then what is part of another.
        packages.sort_by_key(|package| (package.owner.is_some(), package.locations.is_empty()));
        self.repositories.sort_by(|a, b| a.location.cmp(&b.location));
        self.vex.sort_by(|a, b| a.location.cmp(&b.location));
        Squashed { distro, packages, repositories: self.repositories, vex: self.vex, skipped: Vec::new() }
    }
}

/// The path of the directory that holds the file.
pub(super) fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Evidence;
    use crate::package::SourcePackage;

    #[test]
    fn what_lies_beside_a_package_is_about_it_alone() {
        let package = Package { kind: "pypi".into(), name: "a".into(), version: "1".into(), ..Package::default() };
        let record = |kind: &str, file: &str| FileFindings {
            path: String::new(),
            cataloger: String::new(),
            by_content: false,
            packages: Vec::new(),
            supplements: vec![Supplement {
                kind: kind.into(),
                beside: true,
                qualifiers: [("vcs_url".to_owned(), file.to_owned())].into(),
                files: vec![file.to_owned()],
                ..Supplement::default()
            }],
            distro: None,
            repositories: Vec::new(),
            vex: Vec::new(),
        };
        let (mine, other, npm) = (record("pypi", "mine"), record("pypi", "other"), record("npm", "npm"));
        let mut merge = Merge::default();
        merge.package(&package, "python", "/lib/a-1.dist-info/METADATA", 0);
        merge.facts(&mine, "/lib/a-1.dist-info/RECORD", 0);
        merge.facts(&other, "/venv/a-1.dist-info/RECORD", 0);
        merge.facts(&npm, "/lib/a-1.dist-info/npm", 0);
        let found = merge.finish(&Tree::new(0)).packages;
        assert_eq!(found[0].package.files, ["mine"]);
        assert_eq!(found[0].purl, "pkg:pypi/a@1?vcs_url=mine");
    }

    #[test]
    fn records_of_one_package_complete_each_other() {
        let package = |evidence, license: &str, files: &[&str]| Package {
            kind: "ebuild".into(),
            name: "quux".into(),
            version: "1".into(),
            licenses: vec![license.into()],
            files: files.iter().map(|&file| file.into()).collect(),
            evidence,
            dev: true,
            ..Package::default()
        };
        let first = Package { url: Some("https://a/".into()), ..package(Evidence::Declared, "MIT", &[]) };
        let second = Package {
            url: Some("https://b/".into()),
            description: Some("quux".into()),
            installed_size: Some(9),
            dev: false,
            ..package(Evidence::Installed, "MIT", &["a", "b"])
        };
        let third = package(Evidence::Claimed, "Zlib", &["b", "c"]);
        let mut merge = Merge::default();
        for (package, path) in [(&first, "/1"), (&second, "/2"), (&third, "/3")] {
            merge.package(package, "portage", path, 0);
        }
        let found = merge.finish(&Tree::new(0)).packages;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].locations.len(), 3);
        assert_eq!(
            found[0].package,
            Package {
                url: Some("https://b/".into()),
                description: Some("quux".into()),
                installed_size: Some(9),
                licenses: vec!["MIT".into()],
                dev: false,
                ..package(Evidence::Installed, "", &["a", "b"])
            }
        );
    }

    #[test]
    fn a_place_within_an_archive_is_the_locations() {
        let package = |within: &str| Package {
            kind: "maven".into(),
            namespace: Some("org.acme".into()),
            name: "quux".into(),
            version: "1".into(),
            within: Some(within.into()),
            ..Package::default()
        };
        let packages = [package("lib/a.jar"), package("lib/b.jar"), package("lib/a.jar")];
        let mut merge = Merge::default();
        for package in &packages {
            merge.package(package, "java", "/app.war", 0);
        }
        let merged = merge.finish(&Tree::new(0)).packages;
        assert_eq!(merged.len(), 1);
        assert_eq!(merged[0].package.within, None);
        let within: Vec<_> = merged[0].locations.iter().filter_map(|location| location.within.as_deref()).collect();
        assert_eq!(within, ["lib/a.jar", "lib/b.jar"]);
    }

    fn merge(packages: &[Package], distro: &Distro, repositories: &[&str]) -> Squashed {
        let findings = FileFindings {
            path: "usr/lib/os-release".to_owned(),
            cataloger: "os-release".to_owned(),
            by_content: false,
            packages: Vec::new(),
            supplements: Vec::new(),
            distro: Some(distro.clone()),
            repositories: repositories.iter().map(|&id| id.to_owned()).collect(),
            vex: Vec::new(),
        };
        let mut merge = Merge::default();
        for package in packages {
            merge.package(package, "rpm", "/var/lib/rpm/rpmdb.sqlite", 1);
        }
        merge.facts(&findings, "/usr/lib/os-release", 2);
        merge.finish(&Tree::new(0))
    }

    fn perl() -> Package {
        let qualifier = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        Package {
            kind: "rpm".into(),
            name: "perl-libs".into(),
            version: "5.32.1-473.el8".into(),
            qualifiers: [("arch", "x86_64"), ("epoch", "4"), ("rpmmod", "perl:5.32")].map(qualifier).into(),
            source: Some(SourcePackage { name: "perl".into(), version: "5.32.1-473.el8".into() }),
            ..Package::default()
        }
    }

    fn purls(squashed: &Squashed) -> Vec<&str> {
        squashed.packages.iter().map(|package| package.purl.as_str()).collect()
    }

    /// As Red Hat's own advisories name a package and its source.
    #[test]
    fn an_rpm_and_its_source_share_epoch_and_module() {
        let rhel = Distro { id: "rhel".into(), version_id: "8.10".into(), ..Distro::default() };
        let squashed = merge(&[perl()], &rhel, &[]);
        let source = "pkg:rpm/redhat/perl@5.32.1-473.el8?arch=src&distro=rhel-8.10&epoch=4&rpmmod=perl:5.32";
        let binary = "pkg:rpm/redhat/perl-libs@5.32.1-473.el8?arch=x86_64&distro=rhel-8.10&epoch=4&rpmmod=perl:5.32";
        assert_eq!(purls(&squashed), [binary, source]);
        assert_eq!(squashed.packages[0].parent.as_deref(), Some(source));
    }

    #[test]
    fn a_package_file_of_another_family_is_none_of_the_distribution() {
        let debian = Distro { id: "debian".into(), version_id: "12".into(), ..Distro::default() };
        let squashed = merge(&[Package { source: None, ..perl() }], &debian, &[]);
        assert_eq!(purls(&squashed), ["pkg:rpm/perl-libs@5.32.1-473.el8?arch=x86_64&epoch=4&rpmmod=perl:5.32"]);
    }

    #[test]
    fn repositories_keep_their_place() {
        let squashed = merge(&[], &Distro::default(), &["baseos", "appstream"]);
        let location = Location { path: "/usr/lib/os-release".into(), within: None, layer: Some(2) };
        assert_eq!(squashed.repositories, [Repositories { location, ids: vec!["baseos".into(), "appstream".into()] }]);
    }
}
