//! Java runtimes, from the `release` file at their root.
//!
//! Source of the format: OpenJDK's `make/ReleaseFile.gmk`, and what vendors add (Adoptium's `sbin/build.sh`):
//! `NAME="value"` lines.
//!
//! | Field | |
//! | --- | --- |
//! | `JAVA_RUNTIME_VERSION` | `21.0.4+7-LTS`, `1.8.0_411-b25`: the version, where it is given |
//! | `FULL_VERSION` | the same, Adoptium; with OpenJ9 another one's |
//! | `JAVA_VERSION` | `21.0.4`, `1.8.0_411` |
//! | `IMPLEMENTOR` | `Eclipse Adoptium`, `Azul Systems, Inc.`, `Oracle Corporation` |
//! | `IMAGE_TYPE` | `JDK`, `JRE` |
//! | `SOURCE_REPO`, `BUILD_SOURCE_REPO` | repositories, Adoptium |
//!
//! All but Oracle's and Azul's are builds of OpenJDK and are known to vulnerability databases by that name.

use crate::package::Package;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Bytes of a `release` file; the list of modules makes some KiB.
const LONGEST_FILE: usize = 512 << 10;

/// Bytes of one value.
const LONGEST_VALUE: usize = 512;

/// Reads `release` files.
#[derive(Debug)]
pub(crate) struct Jvm;

impl Cataloger for Jvm {
    fn name(&self) -> &'static str {
        "jvm"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/release")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        // Others have files of this name, too; only one with a Java version is meant.
        if file.size > LONGEST_FILE as u64 {
            return Ok(());
        }
        let text = contents.text()?;
        if let Some(package) = Release::parse(&text).package(file.path) {
            findings.package(package);
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Release<'a> {
    runtime_version: &'a str,
    full_version: &'a str,
    java_version: &'a str,
    implementor: &'a str,
    image_type: &'a str,
    source_repo: &'a str,
    build_source_repo: &'a str,
}

impl<'a> Release<'a> {
    fn parse(text: &'a str) -> Self {
        let mut release = Self::default();
        for line in text.lines() {
            let Some((name, value)) = line.split_once('=') else { continue };
            let value = value.trim().trim_matches('"');
            let field = match name.trim() {
                "JAVA_RUNTIME_VERSION" => &mut release.runtime_version,
                "FULL_VERSION" => &mut release.full_version,
                "JAVA_VERSION" => &mut release.java_version,
                "IMPLEMENTOR" => &mut release.implementor,
                "IMAGE_TYPE" => &mut release.image_type,
                "SOURCE_REPO" => &mut release.source_repo,
                "BUILD_SOURCE_REPO" => &mut release.build_source_repo,
                _ => continue,
            };
            if value.len() <= LONGEST_VALUE {
                *field = value;
            }
        }
        release
    }

    fn package(&self, path: &str) -> Option<Package> {
        let version = self.version()?;
        let (vendor, product) = self.product(path);
        let mut package = Package {
            kind: "generic".to_owned(),
            namespace: Some(vendor.to_owned()),
            name: product.to_owned(),
            version: version.to_owned(),
            vendor: Some(self.implementor.to_owned()).filter(|vendor| !vendor.is_empty()),
            cpes: self.cpes(vendor, product, version),
            ..Package::default()
        };
        let repository = [self.source_repo, self.build_source_repo].into_iter().find(|address| !address.is_empty());
        if let Some(repository) = repository {
            package.qualifiers.insert("repository_url".to_owned(), repository.to_owned());
        }
        Some(package)
    }

    /// The most exact version that is Java's: OpenJ9 has its own in `FULL_VERSION`.
    fn version(&self) -> Option<&'a str> {
        if self.runtime_version.is_empty() && self.java_version.is_empty() {
            return None;
        }
        let major = |version: &'a str| version.split('.').next();
        let full = Some(self.full_version).filter(|full| major(full) == major(self.java_version));
        [self.runtime_version, full.unwrap_or_default(), self.java_version]
            .into_iter()
            .find(|version| !version.is_empty())
    }

    fn product(&self, path: &str) -> (&'static str, &'static str) {
        let implementor = self.implementor.to_ascii_lowercase();
        let kit = if self.is_runtime_only() { "jre" } else { "jdk" };
        if implementor.contains("azul") || path.contains("zulu") {
            ("azul", "zulu")
        } else if implementor.contains("sun microsystems") {
            ("sun", kit)
        } else if implementor.contains("oracle") || path.contains("oracle") {
            ("oracle", kit)
        } else {
            ("oracle", "openjdk")
        }
    }

    fn is_runtime_only(&self) -> bool {
        self.image_type.eq_ignore_ascii_case("jre")
    }

    fn cpes(&self, vendor: &str, product: &str, version: &str) -> Vec<String> {
        let names: &[(&str, &str)] = match (vendor, product) {
            ("azul", _) => &[("azul", "zulu"), ("oracle", "openjdk")],
            ("sun", "jre") => &[("sun", "jre")],
            ("sun", _) => &[("sun", "jre"), ("sun", "jdk")],
            ("oracle", "jre") => &[("oracle", "java_se"), ("oracle", "jre")],
            ("oracle", "jdk") => &[("oracle", "java_se"), ("oracle", "jre"), ("oracle", "jdk")],
            _ => &[("oracle", "openjdk")],
        };
        // `1.8.0_411-b25` is update 411 of 1.8.0; since JEP 223 the build follows a plus sign.
        let (short, update) = match version.split_once('_') {
            Some((short, rest)) => (short, rest.split('-').next().unwrap_or_default()),
            None => (version.split('+').next().unwrap_or_default(), ""),
        };
        let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-');
        if short.is_empty() || !plain(short) || !plain(update) {
            return Vec::new();
        }
        let short = short.replace('-', "\\-");
        let update = match update.trim_start_matches('0') {
            "" => "*".to_owned(),
            update => format!("update{}", update.replace('-', "\\-")),
        };
        names
            .iter()
            .map(|(vendor, product)| format!("cpe:2.3:a:{vendor}:{product}:{short}:{update}:*:*:*:*:*:*"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::purl::Purl;

    fn read(path: &str, text: &str) -> Option<Package> {
        let file = File { path, size: text.len() as u64, executable: false };
        let mut findings = Findings::default();
        Jvm.catalog(&file, &mut Contents::held(text.as_bytes()), &mut findings).unwrap();
        findings.packages().first().cloned()
    }

    /// Expected: what syft 1.18.1 says of the same files, but for the slashes of the qualifier, which it leaves unescaped.
    fn check(path: &str, text: &str, purl: &str, cpes: &[&str]) {
        let package = read(path, text).unwrap();
        assert_eq!(Purl::of(&package, None).to_string(), purl, "{text}");
        let long: Vec<String> = cpes.iter().map(|cpe| format!("cpe:2.3:a:{cpe}:*:*:*:*:*:*")).collect();
        assert_eq!(package.cpes, long, "{text}");
    }

    #[test]
    fn vendors_have_their_names() {
        check(
            "opt/java/openjdk/release",
            "IMPLEMENTOR=\"Eclipse Adoptium\"\nJAVA_RUNTIME_VERSION=\"21.0.4+7-LTS\"\nJAVA_VERSION=\"21.0.4\"\n\
             FULL_VERSION=\"bogus\"\nSOURCE_REPO=\"https://github.com/adoptium/jdk21u.git\"\nIMAGE_TYPE=\"JDK\"\n",
            "pkg:generic/oracle/openjdk@21.0.4%2B7-LTS?repository_url=https:%2F%2Fgithub.com%2Fadoptium%2Fjdk21u.git",
            &["oracle:openjdk:21.0.4:*"],
        );
        check(
            "usr/lib/jvm/zulu17/release",
            "IMPLEMENTOR=\"Azul Systems, Inc.\"\nJAVA_VERSION=\"17.0.1\"\nFULL_VERSION=\"17.0.1+12\"",
            "pkg:generic/azul/zulu@17.0.1%2B12",
            &["azul:zulu:17.0.1:*", "oracle:openjdk:17.0.1:*"],
        );
        check(
            "usr/lib/jvm/jdk-1.8-oracle-x64/release",
            "JAVA_VERSION=\"1.8.0_411\"\nJAVA_RUNTIME_VERSION=\"1.8.0_411-b25\"\n",
            "pkg:generic/oracle/jdk@1.8.0_411-b25",
            &["oracle:java_se:1.8.0:update411", "oracle:jre:1.8.0:update411", "oracle:jdk:1.8.0:update411"],
        );
        check(
            "jre/release",
            "IMPLEMENTOR=\"Oracle Corporation\"\r\nJAVA_VERSION=\"1.8.0_05\"\r\nIMAGE_TYPE=\"JRE\"\r\n",
            "pkg:generic/oracle/jre@1.8.0_05",
            &["oracle:java_se:1.8.0:update5", "oracle:jre:1.8.0:update5"],
        );
        // OpenJ9: the full version is the virtual machine's.
        check(
            "j9/release",
            "JAVA_VERSION=\"11.0.9\"\nFULL_VERSION=\"0.23.0\"",
            "pkg:generic/oracle/openjdk@11.0.9",
            &["oracle:openjdk:11.0.9:*"],
        );
    }

    #[test]
    fn other_release_files_are_left_alone() {
        assert!(read("etc/release", "NAME=\"Acme Linux\"\nVERSION=1\n").is_none());
        assert!(read("a/release", "JAVA_VERSION=\"\"\nFULL_VERSION=\"1\"").is_none());
        assert_eq!(read("a/release", "JAVA_VERSION=\"1:2\"").unwrap().cpes, [""; 0]);
    }

    proptest! {
        #[test]
        fn never_panics(text in "[A-Z_=\"0-9.+\u{e9}\n-]{0,80}") {
            read("a/release", &format!("JAVA_VERSION={text}"));
        }
    }
}
