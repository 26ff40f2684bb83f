//! From what an archive holds to the artifacts that it is evidence of.
//!
//! | Evidence | Says |
//! | --- | --- |
//! | each `pom.properties`, each `pom.xml` without one beside it | an artifact: the archive's own, or one that was merged into it |
//! | the manifest and the file's name | the archive's own artifact, if no descriptor is of it |
//!
//! Which descriptor is the archive's own is told by the file's name, or by there being one alone.

use std::collections::{HashMap, HashSet};

use super::file_name::FileName;
use super::groups;
use super::manifest::Manifest;
use super::pom::{self, Coordinates, Pom};
use crate::catalogers::MOST_DEPENDENCIES;
use crate::{Package, Requirement};

/// Descriptors of one archive; the largest merged applications have some hundred.
const MOST_DESCRIPTORS: usize = 5_000;

/// Bytes of a group, an artifact or a version.
const LONGEST_NAME: usize = 512;

/// What was found in one archive.
#[derive(Debug, Default)]
pub(super) struct Parts {
    manifest: Option<Manifest>,
    /// By directory, in their order.
    properties: Vec<(String, Coordinates)>,
    poms: HashMap<String, Described>,
    version: Option<String>,
    /// How many of the descriptors' dependencies were kept.
    dependencies: usize,
}

/// What a `pom.xml` says of its artifact.
#[derive(Debug, Default)]
struct Described {
    coordinates: Coordinates,
    licenses: Vec<String>,
    description: String,
    url: String,
    requires: Vec<Requirement>,
}

impl Parts {
    pub(super) fn manifest(&mut self, bytes: &[u8]) {
        self.manifest.get_or_insert_with(|| Manifest::parse(bytes));
    }

    pub(super) fn properties(&mut self, directory: &str, bytes: &[u8]) {
        if self.properties.len() < MOST_DESCRIPTORS {
            self.properties.push((directory.to_owned(), pom::properties(bytes)));
        }
    }

    pub(super) fn pom(&mut self, directory: &str, bytes: &[u8]) {
        if self.poms.len() >= MOST_DESCRIPTORS {
            return;
        }
        let (pom, _) = Pom::parse(&String::from_utf8_lossy(bytes));
        let requires = self.requires(&pom);
        let coordinates = pom.coordinates();
        let Pom { licenses, description, url, .. } = pom;
        let described = Described { coordinates, licenses, description, url, requires };
        self.poms.entry(directory.to_owned()).or_insert(described);
    }

    /// What is there when the project runs. Which version of it, the project does not decide alone: it may be another.
    fn requires(&mut self, pom: &Pom) -> Vec<Requirement> {
        let resolved = pom.resolved().into_iter();
        let needed = resolved.filter(|dependency| matches!(dependency.scope.as_str(), "compile" | "runtime"));
        let names = needed.filter_map(|dependency| {
            let Coordinates { group, artifact, version } = dependency.coordinates;
            let named = !group.is_empty() && !artifact.is_empty();
            let version = Some(version).filter(|version| !version.is_empty());
            named.then(|| Requirement { version, ..Requirement::of(format!("{group}/{artifact}")) })
        });
        let requires: Vec<_> = names.take(MOST_DEPENDENCIES - self.dependencies).collect();
        self.dependencies += requires.len();
        requires
    }

    /// A `version.properties` at the root, as single-archive applications keep it (Metabase: `tag=v0.50.1`).
    pub(super) fn version(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4096)]);
        let value = |key: &str| text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
        let version = value("tag").or_else(|| value("version")).map(str::trim).unwrap_or_default();
        let version = version.strip_prefix('v').unwrap_or(version);
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-+_".contains(c);
        if version.starts_with(|c: char| c.is_ascii_digit()) && version.chars().all(plain) {
            self.version = Some(version.to_owned());
        }
    }
}

/// The artifacts that the archive at `path` is evidence of, each once.
pub(super) fn packages(parts: Parts, path: &str) -> Vec<Package> {
    let manifest = parts.manifest.unwrap_or_default();
    // Instrumentation of New Relic's agent has the name and the version of what it instruments.
    if manifest.has("Weave-Classes") {
        return Vec::new();
    }
    let file = FileName::parse(path);
    let mut poms = parts.poms;
    let mut artifacts = Vec::new();
    for (directory, mut coordinates) in parts.properties {
        let described = poms.remove(&directory).unwrap_or_default();
        for (own, other) in [
            (&mut coordinates.group, &described.coordinates.group),
            (&mut coordinates.artifact, &described.coordinates.artifact),
            (&mut coordinates.version, &described.coordinates.version),
        ] {
            if own.is_empty() || own.contains("${") {
                own.clone_from(other);
            }
        }
        artifacts.push((coordinates, described));
    }
    let mut others: Vec<(String, Described)> = poms.into_iter().collect();
    others.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (_, mut described) in others {
        let mut coordinates = std::mem::take(&mut described.coordinates);
        // A version that only the parent knows is in the archive's name, if this is what the archive is.
        if coordinates.version.is_empty() && coordinates.artifact == file.name {
            file.version.clone_into(&mut coordinates.version);
        }
        artifacts.push((coordinates, described));
    }
    let mut seen = HashSet::new();
    artifacts.retain(|(coordinates, _)| is_whole(coordinates) && seen.insert(coordinates.clone()));

    let own = own_artifact(&artifacts, &file, &manifest);
    if let Some((_, described)) = own.and_then(|own| artifacts.get_mut(own))
        && described.licenses.is_empty()
    {
        described.licenses = manifest.licenses();
    }
    if own.is_none()
        && let Some(coordinates) = named(&file, &manifest, path, parts.version.as_deref(), !artifacts.is_empty())
            .filter(|coordinates| is_whole(coordinates) && !seen.contains(coordinates))
    {
        let described = Described {
            licenses: manifest.licenses(),
            description: manifest.first(&["Bundle-Description", "Long-Name"]).unwrap_or_default().to_owned(),
            url: manifest.first(&["Bundle-DocURL", "Url"]).unwrap_or_default().to_owned(),
            ..Described::default()
        };
        artifacts.push((coordinates, described));
    }
    artifacts.into_iter().map(|(coordinates, described)| package(coordinates, described)).collect()
}

fn package(coordinates: Coordinates, described: Described) -> Package {
    let optional = |text: String| (!text.is_empty()).then_some(text);
    Package {
        kind: "maven".to_owned(),
        namespace: Some(coordinates.group),
        name: coordinates.artifact,
        version: coordinates.version,
        licenses: described.licenses,
        description: optional(described.description),
        url: optional(described.url),
        requires: described.requires,
        ..Package::default()
    }
}

fn is_whole(coordinates: &Coordinates) -> bool {
    let Coordinates { group, artifact, version } = coordinates;
    [group, artifact, version]
        .into_iter()
        .all(|part| !part.is_empty() && part.len() <= LONGEST_NAME && !part.contains("${"))
}

/// Which of the artifacts the archive itself is.
fn own_artifact(artifacts: &[(Coordinates, Described)], file: &FileName<'_>, manifest: &Manifest) -> Option<usize> {
    // Builders of systems spell separators in their own way: Debian's `geronimo-interceptor-3.0-spec.jar` is
    // Maven's `geronimo-interceptor_3.0_spec`.
    let alike = |text: &str| text.replace(['_', '.'], "-");
    let stem = alike(file.stem);
    let likeness = |coordinates: &Coordinates| {
        let Coordinates { group, artifact, version } = coordinates;
        let named = |start: String| {
            let rest = stem.strip_prefix(&alike(&start))?;
            match rest.strip_prefix('-') {
                Some(rest) if rest.starts_with(&alike(version)) => Some(4),
                _ => rest.is_empty().then_some(3),
            }
        };
        // Quarkus and others put the group before the artifact.
        let exact = named(artifact.clone()).max(named(format!("{group}.{artifact}")));
        let agrees = file.version.is_empty() || file.version.starts_with(version.as_str());
        let related = artifact.starts_with(file.name) || file.name.ends_with(artifact.as_str());
        match exact.unwrap_or(0) {
            0 if file.name == artifact => 3,
            0 if manifest.first(&["Short-Name", "Extension-Name"]) == Some(artifact.as_str()) => 3,
            0 if related && agrees && !file.name.is_empty() => 2,
            0 if artifacts.len() == 1 && agrees => 1,
            score => score,
        }
    };
    let best = artifacts.iter().enumerate().map(|(index, (coordinates, _))| (likeness(coordinates), index));
    // The first of the best.
    best.filter(|(score, _)| *score > 0)
        .max_by_key(|(score, index)| (*score, usize::MAX - index))
        .map(|(_, index)| index)
}

/// The archive's own artifact by its manifest and its name. Without a version there is none. `merged`: it holds other
/// artifacts' descriptors.
fn named(
    file: &FileName<'_>,
    manifest: &Manifest,
    path: &str,
    version_file: Option<&str>,
    merged: bool,
) -> Option<Coordinates> {
    let plugin = path.len() > 4 && [".hpi", ".jpi"].iter().any(|end| super::ends_with(path, end));
    if plugin && let Some(artifact) = manifest.first(&["Short-Name", "Extension-Name"]).filter(|name| is_id(name)) {
        let version = manifest.first(&["Plugin-Version", "Implementation-Version"]).and_then(word);
        return Some(Coordinates {
            group: manifest.get("Group-Id").filter(|group| is_id(group)).unwrap_or("org.jenkins-ci.plugins").to_owned(),
            artifact: artifact.to_owned(),
            version: version.unwrap_or(file.version).to_owned(),
        });
    }
    let stated = ["Implementation-Version", "Specification-Version", "Plugin-Version", "Bundle-Version"];
    let version = match file.version {
        "" => manifest.first(&stated).and_then(word).or(version_file.filter(|_| manifest.has("Main-Class")))?,
        version => version,
    };
    let version = version.to_owned();
    if file.version.is_empty() {
        let titles = ["Implementation-Title", "Specification-Title", "Bundle-Name"];
        let title = manifest.first(&titles);
        // Build tools put the version into the name: without one, the file was renamed by somebody else.
        if let Some(title) = title.filter(|title| is_id(title) && title.starts_with(|c: char| c.is_ascii_lowercase())) {
            return Some(Coordinates { group: group(title, file, manifest), artifact: title.to_owned(), version });
        }
        if merged {
            return None;
        }
        let bundle = manifest.get("Implementation-Vendor-Id").or_else(|| {
            let (group, _) = manifest.symbolic_name()?.rsplit_once('.')?;
            Some(group)
        });
        if let (Some(title), Some(group)) = (title, bundle.filter(|group| is_id(group)))
            && is_strange(file.name, manifest)
        {
            return Some(Coordinates { group: group.to_owned(), artifact: title.to_owned(), version });
        }
    }
    let (group_before, artifact) = split_name(file.name);
    if !artifact.starts_with(char::is_alphanumeric) {
        return None;
    }
    // `org.glassfish.web.jakarta.servlet.jsp.jstl` says more than `jakarta.servlet.jsp.jstl` does.
    let symbolic = manifest.symbolic_name().and_then(|name| name.strip_suffix(artifact)?.strip_suffix('.'));
    let group_before = symbolic.filter(|group| group_before.is_some() && is_domain_like(group)).or(group_before);
    let group = group_before.map_or_else(|| group(artifact, file, manifest), str::to_owned);
    Some(Coordinates { group, artifact: artifact.to_owned(), version })
}

/// The first word: `1.4 1855 April 22 2006` → `1.4`; no version at all → `None`.
fn word(version: &str) -> Option<&str> {
    let word = version.split_whitespace().next()?.trim_matches('"');
    let known = word.contains(|c: char| c.is_ascii_digit());
    known.then_some(word)
}

/// Can be a group or an artifact: one word of the characters that Maven allows.
fn is_id(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// Whether no word of the file's name stands anywhere in the manifest's names: it was renamed (`app.jar`).
fn is_strange(name: &str, manifest: &Manifest) -> bool {
    let names = [
        "Implementation-Title",
        "Specification-Title",
        "Bundle-Name",
        "Bundle-SymbolicName",
        "Automatic-Module-Name",
        "Extension-Name",
        "Main-Class",
    ];
    let names: String = names.iter().filter_map(|name| manifest.get(name)).collect::<Vec<_>>().join(" ").to_lowercase();
    let mut words = name.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| word.len() > 2).peekable();
    words.peek().is_some() && !words.any(|word| names.contains(&word.to_lowercase()))
}

/// Top-level domains that groups begin with.
const DOMAINS: &[&str] = &[
    "com", "org", "net", "io", "dev", "edu", "gov", "eu", "de", "fr", "uk", "ch", "nl", "be", "se", "no", "jp", "cn",
    "ru", "br", "it", "at", "cz", "pl", "in", "us", "ca", "au", "me", "co", "tech", "app", "ai", "info", "cloud",
];

fn is_domain_like(text: &str) -> bool {
    is_id(text) && text.split_once('.').is_some_and(|(first, rest)| DOMAINS.contains(&first) && !rest.is_empty())
}

/// `org.jetbrains.kotlin.kotlin-stdlib` → `org.jetbrains.kotlin`, `kotlin-stdlib`: a group before the artifact, where
/// it is one. Eclipse's artifacts and those of Java EE have dots themselves.
fn split_name(name: &str) -> (Option<&str>, &str) {
    if let Some(rest) = ["javax.", "jakarta."].iter().find_map(|start| name.strip_prefix(start)) {
        let end = rest.strip_suffix("-api").map_or(name.len(), |_| name.len() - "-api".len());
        return (Some(&name[..end]), name);
    }
    match name.rsplit_once('.') {
        Some((group, _)) if name.starts_with("org.eclipse.") => (Some(group), name),
        Some((group, artifact)) if is_domain_like(group) && artifact.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            (Some(group), artifact)
        }
        _ => (None, name),
    }
}

/// The group of an artifact that is known by its manifest and its name only. The artifact itself if nothing says more:
/// groups from before the reverse domains are like that (`junit`, `commons-io`).
fn group(artifact: &str, file: &FileName<'_>, manifest: &Manifest) -> String {
    if let Some(group) = manifest.get("Group-Id").filter(|group| is_id(group)) {
        return group.to_owned();
    }
    if let Some(group) = groups::known(artifact).or_else(|| groups::known(file.name)) {
        return group.to_owned();
    }
    let symbolic = manifest.symbolic_name().filter(|name| is_domain_like(name));
    let symbolic = symbolic.map(|name| without_artifact(name, artifact));
    let vendor = manifest.get("Implementation-Vendor-Id").filter(|id| is_domain_like(id));
    match (symbolic, vendor) {
        // Apache's parent says `org.apache` for all, others the group: the longer one says more.
        (Some(symbolic), Some(vendor)) if symbolic.starts_with(vendor) => return symbolic.to_owned(),
        (_, Some(vendor)) => return vendor.to_owned(),
        (Some(symbolic), None) => return symbolic.to_owned(),
        (None, None) => {}
    }
    let others = [
        "Extension-Name",
        "Specification-Vendor",
        "Implementation-Vendor",
        "Implementation-Title",
        "Automatic-Module-Name",
    ];
    // `org.elasticsearch#server;8.14.3`
    let first_part = |value: &str| value.split(['#', ';', ' ']).next().unwrap_or_default().to_owned();
    let other = others.iter().filter_map(|name| manifest.get(name)).map(first_part).find(|value| is_domain_like(value));
    other.map_or_else(|| artifact.to_owned(), |other| without_artifact(&other, artifact).to_owned())
}

/// Takes the artifact off a name that Maven's bundle plugin made of group and artifact. What both share is in it
/// once: `org.apache.maven.core` is `maven-core` of `org.apache.maven`, `org.acme.guava` may be the group alone.
fn without_artifact<'a>(name: &'a str, artifact: &str) -> &'a str {
    let whole = name.strip_suffix(artifact).and_then(|group| group.strip_suffix('.'));
    if let Some(group) = whole {
        let is_group = !artifact.contains('-') && group.matches('.').count() < 2;
        return if is_group { name } else { group };
    }
    let Some((group, last)) = name.rsplit_once('.').filter(|(group, _)| group.contains('.')) else { return name };
    let hyphened = artifact.strip_suffix(last).is_some_and(|before| before.ends_with(['-', '.']));
    if hyphened { group } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(path: &str, manifest: &str, descriptors: &[(&str, &str)]) -> Vec<String> {
        let mut parts = Parts::default();
        if !manifest.is_empty() {
            parts.manifest(manifest.as_bytes());
        }
        for (path, text) in descriptors {
            let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
            match name {
                "pom.xml" => parts.pom(directory, text.as_bytes()),
                "version.properties" => parts.version(text.as_bytes()),
                _ => parts.properties(directory, text.as_bytes()),
            }
        }
        let id = |package: Package| format!("{}:{}:{}", package.namespace.unwrap(), package.name, package.version);
        packages(parts, path).into_iter().map(id).collect()
    }

    const QUUX: (&str, &str) =
        ("META-INF/maven/org.acme/quux/pom.properties", "groupId=org.acme\nartifactId=quux\nversion=1.2");
    const LIB: (&str, &str) =
        ("META-INF/maven/org.lib/lib/pom.properties", "groupId=org.lib\nartifactId=lib\nversion=3");
    const OTHER: (&str, &str) = ("META-INF/maven/org.lib/b/pom.properties", "groupId=org.lib\nartifactId=b\nversion=4");

    #[test]
    fn descriptors_name_the_archive_and_what_is_merged_into_it() {
        let title = "Implementation-Title: my-app\nImplementation-Version: 9\n";
        let check = |path: &str, descriptors: &[(&str, &str)], expected: &[&str]| {
            assert_eq!(ids(path, title, descriptors), expected, "{path}");
        };
        let (quux, lib, b) = ("org.acme:quux:1.2", "org.lib:lib:3", "org.lib:b:4");
        check("lib/quux-1.2.jar", &[QUUX], &[quux]);
        check("quux.jar", &[QUUX, LIB], &[quux, lib]);
        check("org.acme.quux-1.2-runner.jar", &[QUUX, LIB], &[quux, lib]);
        check("app.jar", &[QUUX], &[quux]);
        check("maven3-quux.jar", &[QUUX, LIB], &[quux, lib]);
        check("lib-2.0.jar", &[QUUX, LIB], &[quux, lib]);
        // The archive is another artifact than the one within it.
        check("app-9.jar", &[QUUX], &[quux, "app:app:9"]);
        check("app.jar", &[LIB, OTHER], &[lib, b, "my-app:my-app:9"]);
        check("app.jar", &[LIB, LIB], &[lib]);
    }

    #[test]
    fn a_pom_alone_names_an_artifact() {
        let pom = "<project><parent><groupId>org.acme</groupId><version>5</version></parent><artifactId>a</artifactId></project>";
        assert_eq!(ids("x.jar", "", &[("META-INF/maven/org.acme/a/pom.xml", pom)]), ["org.acme:a:5"]);
        let unknown = "<project><groupId>g</groupId><artifactId>a</artifactId><version>${revision}</version></project>";
        assert_eq!(ids("a-6.jar", "", &[("META-INF/maven/g/a/pom.xml", unknown)]), ["g:a:6"]);
        let beside = ("META-INF/maven/org.acme/quux/pom.xml", "<project><groupId>no</groupId></project>");
        assert_eq!(ids("x.jar", "", &[QUUX, beside]), ["org.acme:quux:1.2"]);
        let part = ("META-INF/maven/g/a/pom.properties", "artifactId=a\nversion=${v}");
        assert_eq!(ids("x.jar", "", &[part]), [""; 0]);
        let whole = ("META-INF/maven/g/a/pom.xml", "<project><groupId>g</groupId><version>7</version></project>");
        assert_eq!(ids("x.jar", "", &[part, whole]), ["g:a:7"]);
    }

    #[test]
    fn manifest_and_name_say_the_rest() {
        let check = |path: &str, manifest: &str, expected: &[&str]| {
            assert_eq!(ids(path, manifest, &[]), expected, "{path} {manifest}");
        };
        // One for each place that a group can come from.
        check("spring-core-5.3.4.jar", "Implementation-Title: spring-core", &["org.springframework:spring-core:5.3.4"]);
        check("spring-core.jar", "Implementation-Version: 5.3.4", &["org.springframework:spring-core:5.3.4"]);
        check("javax.inject-1.jar", "", &["javax.inject:javax.inject:1"]);
        check("javax.servlet-api-4.0.1.jar", "", &["javax.servlet:javax.servlet-api:4.0.1"]);
        check(
            "jakarta.servlet.jsp.jstl-2.0.0.jar",
            "Bundle-SymbolicName: org.glassfish.web.jakarta.servlet.jsp.jstl",
            &["org.glassfish.web:jakarta.servlet.jsp.jstl:2.0.0"],
        );
        check("guava-31.jar", "Bundle-SymbolicName: com.google.guava", &["com.google.guava:guava:31"]);
        check("jansi-2.4.0.jar", "Bundle-SymbolicName: org.fusesource.jansi", &["org.fusesource.jansi:jansi:2.4.0"]);
        check("org.jetbrains.kotlin.kotlin-stdlib-1.9.jar", "", &["org.jetbrains.kotlin:kotlin-stdlib:1.9"]);
        check("org.eclipse.sisu.inject-0.3.5.jar", "", &["org.eclipse.sisu:org.eclipse.sisu.inject:0.3.5"]);
        check(
            "failureaccess-1.0.1.jar",
            "Bundle-SymbolicName: com.google.guava.failureaccess;x=y",
            &["com.google.guava:failureaccess:1.0.1"],
        );
        check(
            "commons-compress-1.19.jar",
            "Implementation-Vendor-Id: org.apache\nBundle-SymbolicName: org.apache.commons.commons-compress",
            &["org.apache.commons:commons-compress:1.19"],
        );
        check(
            "guice.jar",
            "Bundle-SymbolicName: com.google.inject\nBundle-Version: 4.2.3",
            &["com.google.inject:guice:4.2.3"],
        );
        check(
            "elasticsearch-x-8.1.jar",
            "Implementation-Title: org.elasticsearch#server;8.1",
            &["org.elasticsearch:elasticsearch-x:8.1"],
        );
        check(
            "axis.jar",
            "Name: org/apache/axis\nImplementation-Version: 1.4 1855 April 22 2006",
            &["org.apache.axis:axis:1.4"],
        );
        check("commons-io-2.4.jar", "", &["commons-io:commons-io:2.4"]);
        // A renamed file goes by its manifest.
        check("app.jar", "Implementation-Title: my-service\nImplementation-Version: 3", &["my-service:my-service:3"]);
        check(
            "renamed.jar",
            "Implementation-Title: Quux Framework\nBundle-SymbolicName: org.acme.core\nBundle-Version: 2",
            &["org.acme:Quux Framework:2"],
        );
        check("quux.jar", "Implementation-Title: Quux Framework\nImplementation-Version: 2", &["quux:quux:2"]);
        // Nothing says a version.
        check("service.jar", "Manifest-Version: 1.0", &[]);
        check("service.jar", "Implementation-Title: service\nImplementation-Version: unspecified", &[]);
        check("newrelic-spring-1.0.jar", "Weave-Classes: a\nImplementation-Version: 2", &[]);
    }

    #[test]
    fn jenkins_plugins_have_attributes_of_their_own() {
        let manifest = "Group-Id: io.jenkins.plugins\nShort-Name: quux\nPlugin-Version: 1.0 (private-07/09/2020)\n";
        assert_eq!(ids("x.hpi", manifest, &[]), ["io.jenkins.plugins:quux:1.0"]);
        let old = "Extension-Name: quux\nImplementation-Version: 1.1\nPlugin-Version: 1.1";
        assert_eq!(ids("WEB-INF/plugins/quux.jpi", old, &[]), ["org.jenkins-ci.plugins:quux:1.1"]);
        assert_eq!(ids("quux.hpi", "Short-Name: quux", &[]), [""; 0]);
    }

    #[test]
    fn applications_may_keep_their_version_in_a_file() {
        let version = ("version.properties", "hash=1\ntag=v0.50.1\n");
        assert_eq!(ids("metabase.jar", "Main-Class: a.B", &[version]), ["metabase:metabase:0.50.1"]);
        assert_eq!(ids("metabase.jar", "", &[version]), [""; 0]);
        assert_eq!(ids("metabase.jar", "Main-Class: a.B", &[("version.properties", "version=${revision}")]), [""; 0]);
    }

    #[test]
    fn licenses_are_the_poms_or_the_manifests() {
        let licenses = |pom: &str| {
            let mut parts = Parts::default();
            parts.manifest(b"Bundle-License: MIT");
            parts.properties("META-INF/maven/org.acme/quux", QUUX.1.as_bytes());
            parts.pom("META-INF/maven/org.acme/quux", pom.as_bytes());
            packages(parts, "quux-1.2.jar").remove(0).licenses
        };
        assert_eq!(licenses("<project><licenses><license><name>BSD</name></license></licenses></project>"), ["BSD"]);
        assert_eq!(licenses("<project/>"), ["MIT"]);
    }
}
