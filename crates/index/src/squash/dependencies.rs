//! Who depends on whom: what each package requires, met by a package that lies where it would be looked for.
//!
//! Of the many names under which a system's packages can be required only those are noted that somebody does require.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use foldhash::fast::RandomState;

use super::merge::{Found, directory};
use super::ownership::merged;
use super::packages::DISTRO_PACKAGES;
use crate::package::Requirement;
use crate::{Evidence, Package};

/// Directories in which a Node.js package is looked for, from the innermost one outwards.
const MOST_ANCESTORS: usize = 64;

const NODE_MODULES: &str = "/node_modules/";

/// Catalogers of package files that lie in the image and are installed nowhere.
const NOT_SET_UP: [&str; 2] = ["package-file", "rpm-file"];

type Map<K, V> = HashMap<K, V, RandomState>;

/// A name that is known, and where.
#[derive(PartialEq, Eq, Hash)]
struct Known<'a> {
    name: u32,
    version: Option<&'a str>,
    place: Place<'a>,
}

/// Where something lies, or is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Place<'a> {
    path: &'a str,
    /// Where in the archive that lies there.
    within: &'a str,
    /// It lies in a directory below.
    below: bool,
}

/// The dependencies of each package, by the package URLs of `purls`, which are those of `found`. `real_path` follows
/// the links in a path to a file.
pub(super) fn resolve<'a>(
    found: &[Found<'a>],
    purls: &'a [String],
    real_path: impl Fn(&str) -> Option<String>,
) -> Map<&'a str, BTreeSet<&'a str>> {
    let mut dependencies: Map<&str, BTreeSet<&str>> = Map::default();
    if found.iter().all(|found| found.package.requires.is_empty()) {
        return dependencies;
    }
    let index = Index::of(found);
    for (number, one) in found.iter().enumerate().filter(|(_, one)| is_set_up(one)) {
        for required in &one.package.requires {
            let met = match one.package.kind.as_str() {
                "npm" => index.module(&one.location.path, &required.name, &real_path),
                _ => index.meets(one, required),
            };
            if let Some(met) = met.filter(|&met| purls[met] != purls[number]) {
                dependencies.entry(&purls[number]).or_default().insert(&purls[met]);
            }
        }
    }
    dependencies
}

fn is_set_up(found: &Found<'_>) -> bool {
    found.package.evidence == Evidence::Installed && !NOT_SET_UP.contains(&found.cataloger)
}

struct Index<'f> {
    /// The names that are required, by type.
    names: Map<(&'f str, Cow<'f, str>), u32>,
    known: Map<Known<'f>, usize>,
    /// Node.js packages, by the directory that their `node_modules` lies in and their own below that.
    modules: Map<(&'f str, &'f str), usize>,
    /// Node.js packages by their evidence file.
    manifests: Map<&'f str, usize>,
}

impl<'f> Index<'f> {
    fn of(found: &'f [Found<'_>]) -> Self {
        let mut index =
            Self { names: Map::default(), known: Map::default(), modules: Map::default(), manifests: Map::default() };
        let mut has_paths = false;
        for package in found.iter().map(|found| found.package).filter(|package| package.kind != "npm") {
            for required in &package.requires {
                for name in std::iter::once(&required.name).chain(&required.or) {
                    has_paths |= name.starts_with('/');
                    let number = u32::try_from(index.names.len()).expect("fewer names than bytes");
                    index.names.entry((&package.kind, spelled(&package.kind, name))).or_insert(number);
                }
            }
        }
        for (number, one) in found.iter().enumerate() {
            let package = one.package;
            if !is_set_up(one) {
                continue;
            }
            if package.kind == "npm" {
                index.manifests.entry(&one.location.path).or_insert(number);
                if let Some(module) = directory(&one.location.path).rsplit_once(NODE_MODULES) {
                    index.modules.entry(module).or_insert(number);
                }
                continue;
            }
            index.note(&qualified(package), Some(&package.version), one, number);
            for name in &package.provides {
                index.note(name, None, one, number);
            }
            if has_paths && DISTRO_PACKAGES.contains(&package.kind.as_str()) {
                for path in &package.files {
                    if let Some(&name) = index.names.get(&(package.kind.as_str(), Cow::Borrowed(merged(path)))) {
                        index.place(name, None, one, number);
                    }
                }
            }
        }
        index
    }

    fn note(&mut self, name: &str, version: Option<&'f str>, found: &'f Found<'_>, number: usize) {
        let kind = found.package.kind.as_str();
        if let Some(&name) = self.names.get(&(kind, spelled(kind, name))) {
            self.place(name, version, found, number);
        }
    }

    fn place(&mut self, name: u32, version: Option<&'f str>, found: &'f Found<'_>, number: usize) {
        for place in places(found) {
            for version in [None, version].into_iter().take(1 + usize::from(version.is_some())) {
                self.known.entry(Known { name, version, place }).or_insert(number);
            }
        }
    }

    /// The package that meets what `by` requires.
    fn meets(&self, by: &Found<'_>, required: &Requirement) -> Option<usize> {
        let kind = by.package.kind.as_str();
        let mut names = std::iter::once(&required.name).chain(&required.or);
        names.find_map(|name| {
            let &name = self.names.get(&(kind, spelled(kind, name)))?;
            let nearest = |version| {
                let places = places(by).flat_map(|place| [false, true].map(|below| Place { below, ..place }));
                places.into_iter().find_map(|place| self.known.get(&Known { name, version, place }).copied())
            };
            let asked_for = required.version.as_deref();
            asked_for.and_then(|version| nearest(Some(version))).or_else(|| nearest(None))
        })
    }

    /// The package that Node.js would load in the package of this manifest: the nearest of that name, outwards.
    fn module(&self, manifest: &str, name: &str, real_path: impl Fn(&str) -> Option<String>) -> Option<usize> {
        let mut ancestors =
            std::iter::successors(Some(directory(manifest)), |path| path.rsplit_once('/').map(|(parent, _)| parent))
                .filter(|path| !path.ends_with("/node_modules"))
                .take(MOST_ANCESTORS);
        ancestors.find_map(|ancestor| {
            self.modules.get(&(ancestor, name)).copied().or_else(|| {
                // pnpm and workspaces have a link there.
                let manifest = real_path(&format!("{ancestor}{NODE_MODULES}{name}/package.json"))?;
                self.manifests.get(manifest.as_str()).copied()
            })
        })
    }
}

/// Where a package lies and looks, the nearest first.
fn places<'a>(found: &'a Found<'_>) -> impl Iterator<Item = Place<'a>> {
    let nowhere = Place { path: "", within: "", below: false };
    if DISTRO_PACKAGES.contains(&found.package.kind.as_str()) {
        let architecture = found.package.qualifiers.get("arch").map_or("", String::as_str);
        return [Place { path: architecture, ..nowhere }, nowhere, nowhere, nowhere, nowhere].into_iter().take(2);
    }
    let path = found.location.path.as_str();
    let within = found.location.within.as_deref().unwrap_or_default();
    let beside = within.rfind(['/', ':']).map_or("", |end| &within[..end]);
    let own = directory(path);
    // The root directory makes no neighbours.
    let above = Some(directory(own)).filter(|above| !above.is_empty()).unwrap_or(own);
    let places = [
        Place { path, within, ..nowhere },
        Place { path, within: beside, ..nowhere },
        Place { path, ..nowhere },
        Place { path: own, ..nowhere },
        Place { path: above, below: true, ..nowhere },
    ];
    places.into_iter().take(5)
}

/// A name as all who use it spell it.
fn spelled<'a>(kind: &str, name: &'a str) -> Cow<'a, str> {
    match kind {
        // Paths are compared as those of owned files are.
        _ if name.starts_with('/') => merged(name).into(),
        "pypi" => {
            let mut spelled = String::with_capacity(name.len());
            for c in name.chars() {
                match c {
                    '-' | '_' | '.' if spelled.ends_with('-') => {}
                    '-' | '_' | '.' => spelled.push('-'),
                    c => spelled.push(c.to_ascii_lowercase()),
                }
            }
            spelled.into()
        }
        "nuget" | "composer" => name.to_ascii_lowercase().into(),
        _ => name.into(),
    }
}

/// The name by which a package is required.
fn qualified(package: &Package) -> Cow<'_, str> {
    match package.namespace.as_deref().filter(|_| !DISTRO_PACKAGES.contains(&package.kind.as_str())) {
        Some(namespace) if !namespace.is_empty() => format!("{namespace}/{}", package.name).into(),
        _ => (&package.name).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::merge::Merge;
    use super::*;

    /// A package that lies at `path` and needs `requires`: a name, `name version`, or several with a bar between.
    fn package(kind: &str, name: &str, requires: &[&str]) -> Package {
        let requirement = |text: &&str| {
            let (text, version) = text.split_once(' ').map_or((*text, None), |(name, version)| (name, Some(version)));
            let mut names = text.split('|').map(str::to_owned);
            let name = names.next().unwrap_or_default();
            Requirement { name, version: version.map(str::to_owned), or: names.collect() }
        };
        let (name, version) = name.split_once('@').unwrap_or((name, "1"));
        Package {
            kind: kind.into(),
            name: name.into(),
            version: version.into(),
            requires: requires.iter().map(requirement).collect(),
            ..Package::default()
        }
    }

    /// `name -> name name`, a line for each package that depends on something.
    fn graph(packages: &[(&str, Package)]) -> Vec<String> {
        graph_with_links(packages, &[])
    }

    fn graph_with_links(packages: &[(&str, Package)], links: &[(&str, &str)]) -> Vec<String> {
        let mut merge = Merge::default();
        for (path, package) in packages {
            merge.package(package, "test", path, 0);
        }
        let follow =
            |path: &str| links.iter().find_map(|(from, to)| path.strip_prefix(from).map(|rest| format!("{to}{rest}")));
        let found = merge.finish(follow).packages;
        let short =
            |purl: &str| purl.split('?').next().unwrap_or_default().split_once('/').expect("a type").1.to_owned();
        let dependents = found.iter().filter(|package| !package.depends_on.is_empty());
        dependents
            .map(|package| {
                let on: Vec<_> = package.depends_on.iter().map(|purl| short(purl)).collect();
                format!("{} -> {}", short(&package.purl), on.join(" "))
            })
            .collect()
    }

    #[test]
    fn the_system_is_one_whole() {
        let arch = |package: Package, arch: &str| Package {
            qualifiers: [("arch".to_owned(), arch.to_owned())].into(),
            ..package
        };
        let status = "/var/lib/dpkg/status";
        let provider = Package {
            provides: vec!["mail".into(), "/usr/bin/mail".into()],
            files: vec!["usr/sbin/sendmail".into()],
            ..package("deb", "exim@4", &[])
        };
        let quux = package("deb", "quux", &["gone|libc|exim", "mail", "quux", "absent"]);
        assert_eq!(
            graph(&[
                (status, arch(quux.clone(), "amd64")),
                (status, arch(package("deb", "libc@3", &[]), "i386")),
                ("/var/lib/dpkg/status.d/libc", arch(package("deb", "libc@2", &["/sbin/sendmail"]), "amd64")),
                (status, arch(provider, "all")),
                (status, package("rpm", "libc", &["/bin/mail"])),
            ]),
            ["libc@2 -> exim@4", "quux@1 -> exim@4 libc@2"]
        );
        let declared = Package { evidence: Evidence::Declared, ..package("deb", "libc", &[]) };
        assert!(graph(&[(status, quux), (status, declared)]).is_empty());
    }

    #[test]
    fn languages_look_in_the_neighbourhood() {
        let check = |by: &str, at: &[&str], expected: &str| {
            let mut packages = vec![(by, package("pypi", "quux", &["Foo_.bar"]))];
            packages.extend(
                at.iter()
                    .enumerate()
                    .map(|(number, &path)| (path, package("pypi", &format!("foo.Bar@{}", number + 1), &[]))),
            );
            let expected: Vec<_> = expected.split_terminator('\n').map(str::to_owned).collect();
            assert_eq!(graph(&packages), expected, "{by} {at:?}");
        };
        let quux = "/lib/site-packages/quux-1.dist-info/METADATA";
        check(quux, &["/lib/site-packages/foo-1.dist-info/METADATA"], "quux@1 -> foo.bar@1");
        check(quux, &["/lib/site-packages/foo-1.egg-info"], "quux@1 -> foo.bar@1");
        check(quux, &["/venv/foo-1.dist-info/METADATA", "/lib/site-packages/foo.egg-info"], "quux@1 -> foo.bar@2");
        check(quux, &["/lib/foo-1.egg-info", "/lib/site-packages/a/b/METADATA", "/METADATA"], "");
        check("/app/METADATA", &["/foo/METADATA"], "");
        check("/app/METADATA", &["/app/foo/METADATA", "/app/other"], "quux@1 -> foo.bar@2");
    }

    #[test]
    fn a_file_with_many_packages_comes_first_and_the_version_that_was_asked_for() {
        let graph = graph(&[
            ("/app/a.deps.json", package("nuget", "App", &["quux 2", "Foo"])),
            ("/app/b.deps.json", package("nuget", "Quux@2", &[])),
            ("/app/a.deps.json", package("nuget", "Quux@1", &["foo 9"])),
            ("/app/b.deps.json", package("nuget", "Foo@2", &[])),
            ("/app/a.deps.json", package("nuget", "Foo@1", &[])),
        ]);
        assert_eq!(graph, ["App@1 -> Foo@1 Quux@2", "Quux@1 -> Foo@1"]);
        let namespaced = |requires: &[&str]| Package {
            namespace: Some("org.acme".into()),
            ..package("maven", if requires.is_empty() { "lib" } else { "app" }, requires)
        };
        let jar = "/app.jar";
        let graph = super::tests::graph(&[(jar, namespaced(&["org.acme/lib", "lib"])), (jar, namespaced(&[]))]);
        assert_eq!(graph, ["org.acme/app@1 -> org.acme/lib@1"]);
    }

    #[test]
    fn what_lies_nearest_in_an_archive_comes_first() {
        let at = |within: &str, package: Package| Package { within: Some(within.into()), ..package };
        let check =
            |by: &str, at_places: &[&str], expected: &str| {
                let mut packages = vec![("/app.ear", at(by, package("maven", "quux", &["lib 7"])))];
                packages.extend(at_places.iter().enumerate().map(|(number, place)| {
                    ("/app.ear", at(place, package("maven", &format!("lib@{}", number + 1), &[])))
                }));
                assert_eq!(graph(&packages), [format!("quux@1 -> {expected}")], "{by} {at_places:?}");
            };
        check("a.war:WEB-INF/lib/q.jar", &["lib.jar", "a.war:WEB-INF/lib/l.jar"], "lib@2");
        check("a.war:WEB-INF/lib/q.jar", &["a.war:WEB-INF/lib/l.jar", "a.war:WEB-INF/lib/q.jar"], "lib@2");
        check("a.war:WEB-INF/lib/q.jar", &["b.war:WEB-INF/lib/l.jar", "x.jar"], "lib@1");
    }

    #[test]
    fn modules_are_found_as_node_finds_them() {
        let at = |path: &str| format!("{path}/package.json");
        let packages = |by: &str, modules: &[&str]| -> Vec<(String, Package)> {
            let by = (at(by), package("npm", "app", &["quux", "@acme/x"]));
            let modules = modules
                .iter()
                .enumerate()
                .map(|(number, path)| (at(path), package("npm", &format!("quux@{}", number + 1), &[])));
            std::iter::once(by).chain(modules).collect()
        };
        let check = |by: &str, modules: &[&str], links: &[(&str, &str)], expected: &[&str]| {
            let packages = packages(by, modules);
            let packages: Vec<_> = packages.iter().map(|(path, package)| (&**path, package.clone())).collect();
            assert_eq!(graph_with_links(&packages, links), expected, "{by} {modules:?} {links:?}");
        };
        check("/app", &["/node_modules/quux", "/app/node_modules/quux"], &[], &["app@1 -> quux@2"]);
        check("/app/node_modules/app", &["/node_modules/quux", "/app/node_modules/quux"], &[], &["app@1 -> quux@2"]);
        check("/app/node_modules/@acme/app", &["/app/node_modules/@acme/x"], &[], &["app@1 -> quux@1"]);
        check("/app", &["/app/node_modules/z/node_modules/quux", "/quux", "/app/quux"], &[], &[]);
        check("/node_modules/node_modules", &["/node_modules/quux"], &[], &["app@1 -> quux@1"]);
        let store = "/app/node_modules/.pnpm/quux@1/node_modules/quux";
        let link = ("/app/node_modules/.pnpm/app@1/node_modules/quux", store);
        check("/app/node_modules/.pnpm/app@1/node_modules/app", &[store], &[link], &["app@1 -> quux@1"]);
        check("/app", &["/packages/x"], &[("/app/node_modules/@acme/x", "/packages/x")], &["app@1 -> quux@1"]);
    }
}
