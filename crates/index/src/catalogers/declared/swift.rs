//! What a Swift or Objective-C project is built from: `Package.resolved`, `Podfile.lock`.
//!
//! `Package.resolved` of the Swift package manager is JSON in three versions (`PinsStore` in
//! <https://github.com/swiftlang/swift-package-manager>):
//!
//! | Version | List of pins | Name | Address |
//! | --- | --- | --- | --- |
//! | 1 | `object.pins` | `package` | `repositoryURL` |
//! | 2, 3 | `pins` | `identity` | `location`; none for a package of a registry, whose identity is `scope.name` |
//!
//! A pin's `state` has a `version`, or only a `branch` or a `revision`, which are no versions. The package URL is made
//! of the address: `pkg:swift/github.com/apple/swift-nio@2.0.0`.
//!
//! `Podfile.lock` of CocoaPods is YAML: `PODS` lists `Name (version)` and `Name/Part (version)`, those with
//! dependencies as keys of maps. Source: <https://guides.cocoapods.org/using/using-cocoapods.html>.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use crate::catalogers::field::{self, Few, Scalar};
use crate::catalogers::{MOST_PACKAGES, check_count};
use crate::package::{Evidence, Package};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Reads `Package.resolved` and `Podfile.lock`.
#[derive(Debug)]
pub(crate) struct Swift;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Resolved {
    object: Pins,
    pins: Few<Pin, MOST_PACKAGES>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pins {
    pins: Few<Pin, MOST_PACKAGES>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Pin {
    package: Scalar,
    #[serde(rename = "repositoryURL")]
    repository_url: Scalar,
    identity: Scalar,
    location: Scalar,
    state: State,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct State {
    version: Scalar,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "UPPERCASE")]
struct Podfile {
    pods: Few<Pod, MOST_PACKAGES>,
}

/// `Name (version)`
#[derive(Debug, Default)]
struct Pod(String);

impl Cataloger for Swift {
    fn name(&self) -> &'static str {
        "swift"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/Package.resolved").path("**/Podfile.lock")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        if file.name() == "Podfile.lock" {
            let podfile: Podfile = field::yaml(contents)?;
            for pod in podfile.pods.0 {
                check_count(findings)?;
                findings.package(pod.package().unwrap_or_default());
            }
            return Ok(());
        }
        let resolved: Resolved = field::json(contents)?;
        for pin in resolved.object.pins.0.iter().chain(&resolved.pins.0) {
            check_count(findings)?;
            findings.package(pin.package().unwrap_or_default());
        }
        Ok(())
    }
}

impl Pin {
    fn package(&self) -> Option<Package> {
        let either =
            |a: &'_ Scalar, b: &'_ Scalar| Some(a).filter(|a| !a.text().is_empty()).unwrap_or(b).text().to_owned();
        let own = either(&self.identity, &self.package);
        let (namespace, name) = match repository(&either(&self.location, &self.repository_url)) {
            Some((namespace, name)) => (Some(namespace), name),
            // A package of a registry.
            None => match own.split_once('.') {
                Some((scope, name)) => (Some(scope.to_owned()), name.to_owned()),
                None => (None, own),
            },
        };
        Some(Package {
            kind: "swift".to_owned(),
            namespace,
            name: field::word(&name)?,
            version: field::word(self.state.version.text()).unwrap_or_default(),
            evidence: Evidence::Declared,
            ..Package::default()
        })
    }
}

/// `github.com/apple` and `swift-nio` of `https://github.com/apple/swift-nio.git`, `git@github.com:apple/swift-nio`
/// and the like.
fn repository(address: &str) -> Option<(String, String)> {
    let address = address.trim_end_matches('/');
    let path = match address.split_once("://") {
        Some(("file", _)) => return None,
        Some((_, rest)) => {
            let (host, path) = rest.split_once('/')?;
            format!("{}/{path}", host.rsplit('@').next()?)
        }
        // What ssh takes: `user@host:path`.
        None => {
            let (host, path) = address.split_once('@')?.1.split_once(':')?;
            format!("{host}/{path}")
        }
    };
    let (namespace, name) = path.strip_suffix(".git").unwrap_or(&path).rsplit_once('/')?;
    (field::is_word(namespace) && field::is_word(name)).then(|| (namespace.to_owned(), name.to_owned()))
}

impl Pod {
    fn package(&self) -> Option<Package> {
        let (name, version) = self.0.split_once(" (")?;
        Some(Package {
            kind: "cocoapods".to_owned(),
            name: field::word(name)?,
            version: field::word(version.trim_end().strip_suffix(')')?)?,
            evidence: Evidence::Declared,
            ..Package::default()
        })
    }
}

impl<'de> Deserialize<'de> for Pod {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Pod;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a pod, or a map of one to what it depends on")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Pod, E> {
                Ok(Pod(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pod, A::Error> {
                let mut pod = Pod::default();
                while let Some((key, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                    pod.0 = key;
                }
                Ok(pod)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::testing;

    const RESOLVED: &str = r#"{"originHash": "f00", "version": 3, "pins": [
        {"identity": "quux", "kind": "remoteSourceControl", "location": "https://github.com/acme/quux.git",
         "state": {"revision": "f00", "version": "2.4.1"}},
        {"identity": "branched", "kind": "remoteSourceControl", "location": "git@gitlab.example:acme/deep/Branched.git",
         "state": {"branch": "main", "revision": "f00"}},
        {"identity": "acme.registered", "kind": "registry", "location": "", "state": {"version": "1.0.0"}},
        {"identity": "local", "kind": "localSourceControl", "location": "/src/local", "state": {"version": "0.1.0"}}]}"#;
    const PODS: &str = "\
PODS:
  - Quux (2.4.1):
    - Quux/Core (= 2.4.1)
    - Other
  - Quux/Core (2.4.1)
  - \"Other (0.9.0-beta)\"
  - Broken

DEPENDENCIES:
  - Quux (~> 2.0)

SPEC CHECKSUMS:
  Quux: 0123

PODFILE CHECKSUM: 4567
COCOAPODS: 1.12.0
";

    fn show(path: &str, text: &str) -> Vec<String> {
        let packages = testing::packages(&Swift, path, text);
        assert!(packages.iter().all(|package| package.evidence == Evidence::Declared));
        packages.iter().map(|p| format!("{} {} {}", p.namespace.as_deref().unwrap_or("-"), p.name, p.version)).collect()
    }

    #[test]
    fn resolved_packages_are_known_by_their_address() {
        let expected = [
            "github.com/acme quux 2.4.1",
            "gitlab.example/acme/deep Branched ",
            "acme registered 1.0.0",
            "- local 0.1.0",
        ];
        assert_eq!(show("app/Package.resolved", RESOLVED), expected);
        let first = r#"{"object": {"pins": [{"package": "Quux", "repositoryURL": "ssh://git@github.com/acme/Quux/",
            "state": {"branch": null, "revision": "f00", "version": "2.4.1"}}]}, "version": 1}"#;
        assert_eq!(show("app/Package.resolved", first), ["github.com/acme Quux 2.4.1"]);
        assert_eq!(show("app/Package.resolved", r#"{"pins": [{}, {"state": {}}], "object": {}}"#), [""; 0]);
        assert!(testing::find(&Swift, "Package.resolved", b"").is_err());
    }

    #[test]
    fn pods_have_parts() {
        let expected = ["- Quux 2.4.1", "- Quux/Core 2.4.1", "- Other 0.9.0-beta"];
        assert_eq!(show("app/Podfile.lock", PODS), expected);
        assert_eq!(show("app/Podfile.lock", "PODFILE CHECKSUM: 0\n"), [""; 0]);
    }

    #[test]
    fn a_part_of_a_pod_stays_one_name() {
        let purls: Vec<_> = testing::packages(&Swift, "Podfile.lock", PODS)
            .iter()
            .map(|package| crate::purl::Purl::of(package, None).to_string())
            .collect();
        assert_eq!(purls[..2], ["pkg:cocoapods/Quux@2.4.1", "pkg:cocoapods/Quux%2FCore@2.4.1"]);
    }

    proptest! {
        #[test]
        fn mutations_never_panic(change: (usize, u8, usize)) {
            testing::mutate(&Swift, "Package.resolved", RESOLVED, change);
            testing::mutate(&Swift, "Podfile.lock", PODS, change);
        }
    }
}
