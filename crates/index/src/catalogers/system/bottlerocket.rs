//! Packages of Bottlerocket, from the inventory that its build leaves in place of a package database.
//!
//! `usr/share/bottlerocket/application-inventory.json`: an object whose `Content` is an array of packages with
//! `Name`, `Version`, `Release`, `Epoch` (since 2024, as text), `Architecture`, `Publisher`, `Url` and `Summary`.
//! They are rpm packages, and Bottlerocket's advisories name them by epoch, version and release. Format:
//! <https://github.com/bottlerocket-os/twoliter> `twoliter/embedded/rpm2img`, and
//! <https://bottlerocket.dev/en/os/latest/#/concepts/sw-inventory/>.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::rpm::package::{Facts, describe};
use crate::catalogers::check_count;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Reads Bottlerocket's inventory.
#[derive(Debug)]
pub(super) struct Bottlerocket;

#[derive(Deserialize)]
struct Inventory<'a> {
    #[serde(rename = "Content", borrow, default)]
    content: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Application {
    name: String,
    version: String,
    release: Option<String>,
    epoch: Option<String>,
    architecture: Option<String>,
    publisher: Option<String>,
    url: Option<String>,
    summary: Option<String>,
}

impl Cataloger for Bottlerocket {
    fn name(&self) -> &'static str {
        "bottlerocket"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/usr/share/bottlerocket/application-inventory.json")
    }

    fn catalog(&self, _file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let text = contents.text()?;
        let malformed = |error: serde_json::Error| Problem::malformed(format!("bottlerocket inventory: {error}"));
        let inventory: Inventory<'_> = serde_json::from_str(&text).map_err(malformed)?;
        let mut problem = None;
        for application in inventory.content {
            check_count(findings)?;
            match serde_json::from_str::<Application>(application.get()) {
                Ok(application) => findings.packages.extend(application.package()),
                Err(error) => _ = problem.get_or_insert_with(|| malformed(error)),
            }
        }
        problem.map_or(Ok(()), Err)
    }
}

impl Application {
    fn package(self) -> Option<crate::Package> {
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        let version = match some(self.release) {
            Some(release) => format!("{}-{release}", self.version),
            None => self.version,
        };
        let epoch = self.epoch.and_then(|epoch| epoch.parse().ok());
        let facts = Facts { name: self.name, version, arch: some(self.architecture), epoch, source: None };
        let mut package = describe(facts)?;
        package.vendor = some(self.publisher);
        package.description = some(self.summary);
        package.url = some(self.url);
        Some(package)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Package;

    fn read(text: &str) -> (Vec<Package>, Result<(), Problem>) {
        let file = File { path: "application-inventory.json", size: text.len() as u64, executable: false };
        let mut findings = Findings::default();
        let result = Bottlerocket.catalog(&file, &mut Contents::held(text.as_bytes()), &mut findings);
        (findings.packages().to_vec(), result)
    }

    #[test]
    fn applications_are_packages() {
        let (packages, result) = read(
            r#"{"Content": [
                {"Name": "quuxd", "Publisher": "Example Kit", "Version": "2.4", "Release": "1.1700000000.abcdef.br1",
                 "Epoch": "1", "InstalledTime": "2025-01-01T00:00:00Z", "ApplicationType": "Unspecified",
                 "Architecture": "aarch64", "Url": "https://quux.example.org/", "Summary": "The quux daemon"},
                {"Name": "old", "Version": "1.0", "Release": "1.br1", "Architecture": "aarch64"},
                {"Name": "zero", "Version": "1.0", "Epoch": "0"},
                {"Name": "", "Version": "1.0"},
                {"Version": "1.0"}]}"#,
        );
        result.unwrap();
        assert_eq!(
            packages[0],
            Package {
                kind: "rpm".into(),
                name: "quuxd".into(),
                version: "2.4-1.1700000000.abcdef.br1".into(),
                qualifiers: [("arch".into(), "aarch64".into()), ("epoch".into(), "1".into())].into(),
                vendor: Some("Example Kit".into()),
                description: Some("The quux daemon".into()),
                url: Some("https://quux.example.org/".into()),
                ..Package::default()
            }
        );
        let rest: Vec<_> = packages[1..].iter().map(|p| (&*p.name, &*p.version, p.qualifiers.len())).collect();
        assert_eq!(rest, [("old", "1.0-1.br1", 1), ("zero", "1.0", 0)]);
    }

    #[test]
    fn what_is_broken_hides_nothing_else() {
        let (packages, result) = read(r#"{"Content": [{"Name": 1}, {"Name": "a", "Version": "1"}]}"#);
        assert_eq!((packages.len(), result.is_err()), (1, true));
        assert!(read("").1.is_err());
        assert!(read(&"[".repeat(100_000)).1.is_err());
        assert!(read(&format!("{{\"Content\":[{}", "{\"a\":".repeat(100_000))).1.is_err());
        assert!(read("{}").1.is_ok());
    }
}
