//! Who depends on whom: what each package requires, met by a package that lies where it would be looked for.
//!
//! Of the many names under which a system's packages can be required only those are noted that somebody does require.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use foldhash::fast::RandomState;

use super::merge::{Found, directory};
use super::ownership::merged;
use super::packages::DISTRO_PACKAGES;
use super::tree::{NodeId, NodeKind, Tree};
use crate::catalogers::system;
use crate::package::Requirement;
use crate::{Evidence, Package};

/// Directories in which a Node.js package is looked for, from the innermost one outwards.
const MOST_ANCESTORS: usize = 64;

/// Names that are looked up in directories, for all Node.js packages of an image: about a second. A large workspace of
/// pnpm takes a million.
const MOST_STEPS: usize = 50_000_000;

/// Catalogers whose packages are installed nowhere.
const NOT_SET_UP: [&str; 2] = [system::PACKAGE_FILE, system::RPM_FILE];

type Map<K, V> = HashMap<K, V, RandomState>;

/// A name that is known, and where: names and places by their numbers.
#[derive(PartialEq, Eq, Hash)]
struct Known<'a> {
    name: u32,
    version: Option<&'a str>,
    place: u32,
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

/// The dependencies of each package, by the package URLs of `purls`, which are those of `found`.
pub(super) fn resolve<'a>(
    found: &[Found<'a>],
    purls: &'a [String],
    tree: &Tree<'_>,
) -> Map<&'a str, BTreeSet<&'a str>> {
    let mut dependencies: Map<&str, BTreeSet<&str>> = Map::default();
    if found.iter().all(|found| found.package.requires.is_empty()) {
        return dependencies;
    }
    let offers = Offers::of(found);
    let mut modules = Modules::of(found, tree);
    for (number, one) in found.iter().enumerate().filter(|(_, one)| is_set_up(one)) {
        let requires = &one.package.requires;
        let met: Vec<usize> = match one.package.kind.as_str() {
            "npm" => modules.load(&one.location.path, requires),
            _ => offers.meet(one),
        };
        for met in met.into_iter().filter(|&met| purls[met] != purls[number]) {
            dependencies.entry(&purls[number]).or_default().insert(&purls[met]);
        }
    }
    dependencies
}

fn is_set_up(found: &Found<'_>) -> bool {
    found.package.evidence == Evidence::Installed && !NOT_SET_UP.contains(&found.cataloger)
}

/// What may be required, and where.
struct Offers<'f> {
    /// The names that are required, by type.
    names: Map<(&'f str, Cow<'f, str>), u32>,
    /// Where something lies that has one of the names.
    places: Map<Place<'f>, u32>,
    known: Map<Known<'f>, usize>,
}

impl<'f> Offers<'f> {
    fn of(found: &'f [Found<'_>]) -> Self {
        let mut offers = Self { names: Map::default(), places: Map::default(), known: Map::default() };
        let mut has_paths = false;
        for package in found.iter().map(|found| found.package).filter(|package| package.kind != "npm") {
            for required in &package.requires {
                for name in std::iter::once(&required.name).chain(&required.or) {
                    has_paths |= name.starts_with('/');
                    let number = u32::try_from(offers.names.len()).expect("fewer names than bytes");
                    offers.names.entry((&package.kind, spelled(&package.kind, name))).or_insert(number);
                }
            }
        }
        for (number, one) in found.iter().enumerate() {
            let package = one.package;
            if !is_set_up(one) || package.kind == "npm" {
                continue;
            }
            // The places are found out with the first name that somebody requires.
            let mut placed = Vec::new();
            let mut known = |name: &str, version| {
                let Some(&name) = offers.names.get(&(package.kind.as_str(), Cow::Borrowed(name))) else { return };
                if placed.is_empty() {
                    placed.extend(places(one).map(|place| {
                        let next = u32::try_from(offers.places.len()).expect("fewer places than bytes");
                        *offers.places.entry(place).or_insert(next)
                    }));
                }
                for &place in &placed {
                    for version in [None, version].into_iter().take(1 + usize::from(version.is_some())) {
                        offers.known.entry(Known { name, version, place }).or_insert(number);
                    }
                }
            };
            known(&spelled(&package.kind, &qualified(package)), Some(&package.version));
            for name in &package.provides {
                known(&spelled(&package.kind, name), None);
            }
            if has_paths && DISTRO_PACKAGES.contains(&package.kind.as_str()) {
                for path in &package.files {
                    known(merged(path), None);
                }
            }
        }
        offers
    }

    /// The packages that meet what `by` requires.
    fn meet(&self, by: &Found<'_>) -> Vec<usize> {
        let kind = by.package.kind.as_str();
        if by.package.requires.is_empty() {
            return Vec::new();
        }
        let places: Vec<u32> = places(by)
            .flat_map(|place| [false, true].map(|below| Place { below, ..place }))
            .filter_map(|place| self.places.get(&place).copied())
            .collect();
        let meets = |required: &Requirement| {
            let mut names = std::iter::once(&required.name).chain(&required.or);
            names.find_map(|name| {
                let &name = self.names.get(&(kind, spelled(kind, name)))?;
                let asked_for = required.version.as_deref();
                let exactly = asked_for.and_then(|version| self.nearest(&places, name, Some(version)));
                exactly.or_else(|| self.nearest(&places, name, None))
            })
        };
        by.package.requires.iter().filter_map(meets).collect()
    }

    fn nearest(&self, places: &[u32], name: u32, version: Option<&str>) -> Option<usize> {
        places.iter().find_map(|&place| self.known.get(&Known { name, version, place }).copied())
    }
}

/// What Node.js would load.
struct Modules<'f, 't> {
    tree: &'t Tree<'t>,
    /// Packages by their manifest.
    manifests: Map<NodeId, usize>,
    /// The `node_modules` in a directory.
    directories: Map<&'f str, Option<NodeId>>,
    /// Steps that may still be taken.
    steps: usize,
}

impl<'f, 't> Modules<'f, 't> {
    fn of(found: &'f [Found<'_>], tree: &'t Tree<'t>) -> Self {
        let npm = found.iter().enumerate().filter(|(_, one)| one.package.kind == "npm" && is_set_up(one));
        let manifests = npm.filter_map(|(number, one)| Some((tree.resolve(&one.location.path)?, number))).collect();
        Self { tree, manifests, directories: Map::default(), steps: MOST_STEPS }
    }

    /// What is required by the package of this manifest: of each name the nearest, outwards. pnpm and workspaces have
    /// links there.
    fn load(&mut self, manifest: &'f str, requires: &'f [Requirement]) -> Vec<usize> {
        if requires.is_empty() {
            return Vec::new();
        }
        let Self { tree, manifests, directories, steps } = self;
        let ancestors =
            std::iter::successors(Some(directory(manifest)), |path| path.rsplit_once('/').map(|(parent, _)| parent))
                .filter(|path| !path.ends_with("/node_modules"))
                .take(MOST_ANCESTORS);
        let with_modules: Vec<NodeId> = ancestors
            .filter_map(|ancestor| {
                *directories.entry(ancestor).or_insert_with(|| {
                    let modules = tree.resolve(&format!("{ancestor}/node_modules"))?;
                    (tree.kind(modules) == NodeKind::Directory).then_some(modules)
                })
            })
            .collect();
        let mut load = |name: &str| {
            let path = format!("{name}/package.json");
            // Node.js takes the first, even if it is no package that was found.
            let manifest = with_modules.iter().find_map(|&modules| tree.resolve_from(modules, &path, steps))?;
            manifests.get(&manifest).copied()
        };
        requires.iter().filter_map(|required| load(&required.name)).collect()
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
        let mut tree = Tree::new(0);
        for (path, package) in packages {
            merge.package(package, "test", path, 0);
            tree.put(&path[1..], NodeKind::File, Tree::NOTHING);
        }
        for (from, to) in links {
            tree.put(&from[1..], NodeKind::Symlink(to), Tree::NOTHING);
        }
        let found = merge.finish(&tree).packages;
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
    fn package_files_take_no_part() {
        let check = |by: &str, on: &str, expected: bool| {
            let (tool, library) = (package("deb", "tool", &["lib"]), package("deb", "lib", &[]));
            let mut merge = Merge::default();
            merge.package(&tool, by, "/var/lib/dpkg/status", 0);
            merge.package(&library, on, "/srv/lib.deb", 0);
            let found = merge.finish(&Tree::new(0)).packages;
            assert_eq!(found.iter().any(|package| !package.depends_on.is_empty()), expected, "{by} {on}");
        };
        check("dpkg", "dpkg", true);
        check("dpkg", system::PACKAGE_FILE, false);
        check(system::PACKAGE_FILE, "dpkg", false);
        check(system::RPM_FILE, "dpkg", false);
    }

    #[test]
    fn the_search_for_modules_ends() {
        let (app, module) = (package("npm", "app", &["quux"]), package("npm", "quux", &[]));
        let paths = ["/app/package.json", "/app/node_modules/quux/package.json"];
        let mut tree = Tree::new(0);
        let found = [&app, &module].into_iter().zip(paths).map(|(package, path)| {
            tree.put(&path[1..], NodeKind::File, Tree::NOTHING);
            let location = crate::Location { path: path.to_owned(), within: None, layer: Some(0) };
            Found { package, cataloger: "npm", location }
        });
        let found: Vec<_> = found.collect();
        let load = |steps| Modules { steps, ..Modules::of(&found, &tree) }.load(paths[0], &app.requires);
        assert_eq!((load(2), load(1)), (vec![1], vec![]));
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
        let relative = ("/app/node_modules/.pnpm/app@1/node_modules/quux", "../../quux@1/node_modules/quux");
        check("/app/node_modules/.pnpm/app@1/node_modules/app", &[store], &[relative], &["app@1 -> quux@1"]);
        check("/app", &["/packages/x"], &[("/app/node_modules/@acme/x", "/packages/x")], &["app@1 -> quux@1"]);
        check(
            "/app",
            &["/deps/node_modules/quux"],
            &[("/app/node_modules", "/deps/node_modules")],
            &["app@1 -> quux@1"],
        );
        check("/app", &[], &[("/app/node_modules/quux", "quux")], &[]);
    }
}
