//! Maven's manifest, `pom.xml`: the project and its dependencies.
//!
//! Source of the format: <https://maven.apache.org/pom.html>. Read within the one file: properties, the parent's
//! coordinates, `dependencyManagement`. A version that only a parent or a bill of materials says stays empty; nothing
//! is fetched. What is merely managed, what plugins and inactive profiles need, is no dependency.
//! Nor are the `*.pom` files of a local repository read: they tell of artifacts whose archives lie beside them.

use crate::catalogers::check_count;
use crate::catalogers::language::java::pom::{Coordinates, Pom};
use crate::package::{Evidence, Package};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Bytes of a `pom.xml`; Maven's largest have some hundred KiB.
const LONGEST_FILE: usize = 8 << 20;

/// Reads `pom.xml`.
#[derive(Debug)]
pub(crate) struct Maven;

impl Cataloger for Maven {
    fn name(&self) -> &'static str {
        "maven"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/pom.xml")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        // Of an unpacked archive: it tells of the artifact, which is the other cataloger's to read.
        if file.path.contains("META-INF/maven/") {
            return Ok(());
        }
        if file.size > LONGEST_FILE as u64 {
            return Err(Problem::TooLarge { size: file.size, limit: LONGEST_FILE as u64 });
        }
        let (pom, problem) = Pom::parse(&contents.text()?);
        if !pom.is_project {
            return Ok(());
        }
        let licenses = pom.licenses.clone();
        findings.package(Package { licenses, ..package(pom.coordinates(), false) });
        for dependency in pom.resolved() {
            check_count(findings)?;
            findings.package(package(dependency.coordinates, dependency.scope == "test"));
        }
        problem.map_or(Ok(()), |reason| Err(Problem::malformed(format!("pom.xml: {reason}"))))
    }
}

/// One without a name is dropped.
pub(super) fn package(coordinates: Coordinates, dev: bool) -> Package {
    Package {
        kind: "maven".to_owned(),
        namespace: Some(coordinates.group).filter(|group| !group.is_empty()),
        name: coordinates.artifact,
        version: coordinates.version,
        evidence: Evidence::Declared,
        dev,
        ..Package::default()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// `group:artifact:version`, with a star for what is needed for development only.
    pub(in crate::catalogers::declared) fn read(
        cataloger: &dyn Cataloger,
        path: &str,
        text: &str,
    ) -> (Vec<String>, Option<String>) {
        let file = File { path, size: text.len() as u64, executable: false };
        let mut findings = Findings::default();
        let problem = cataloger.catalog(&file, &mut Contents::held(text.as_bytes()), &mut findings).err();
        let line = |package: &Package| {
            assert_eq!((package.kind.as_str(), package.evidence), ("maven", Evidence::Declared));
            let group = package.namespace.as_deref().unwrap_or_default();
            format!("{group}:{}:{}{}", package.name, package.version, if package.dev { "*" } else { "" })
        };
        (findings.packages().iter().map(line).collect(), problem.map(|problem| problem.to_string()))
    }

    const POM: &str = "<project><groupId>org.acme</groupId><artifactId>app</artifactId><version>1</version>
        <dependencies>
          <dependency><groupId>junit</groupId><artifactId>junit</artifactId><version>4.12</version><scope>test</scope></dependency>
          <dependency><groupId>g</groupId><artifactId>${project.artifactId}-lib</artifactId><version>${v}</version></dependency>
        </dependencies></project>";

    #[test]
    fn a_project_names_itself_and_its_dependencies() {
        let expected = ["org.acme:app:1", "junit:junit:4.12*", "g:app-lib:"];
        let (packages, problem) = read(&Maven, "src/pom.xml", POM);
        assert_eq!((problem, packages), (None, expected.map(str::to_owned).to_vec()));
        assert!(read(&Maven, "x/META-INF/maven/org.acme/app/pom.xml", POM).0.is_empty());
        let (packages, problem) = read(&Maven, "pom.xml", POM.strip_suffix("</project>").unwrap());
        assert_eq!((packages.len(), problem.as_deref()), (3, Some("pom.xml: 1 elements are not closed")));
    }

    #[test]
    fn other_xml_is_left_alone() {
        for text in ["", "no xml", "<html><body>x</body></html>", "<!DOCTYPE x>"] {
            assert_eq!(read(&Maven, "pom.xml", text), (vec![], None), "{text}");
        }
    }
}
