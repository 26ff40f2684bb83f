//! Lock files of Gradle.
//!
//! | File | Line | Source of the format |
//! | --- | --- | --- |
//! | `gradle.lockfile`, `buildscript-gradle.lockfile` | `group:artifact:version=configuration,…`; `empty=…` | <https://docs.gradle.org/current/userguide/dependency_locking.html> |
//! | `gradle/dependency-locks/*.lockfile` | `group:artifact:version`, one file a configuration | the same, before Gradle 7 |
//! | `versions.lock` | `group:artifact:version (3 constraints: hash)`; below `[Test dependencies]` those of tests | <https://github.com/palantir/gradle-consistent-versions> |
//! | `gradle/verification-metadata.xml` | `<component group= name= version=>` | <https://docs.gradle.org/current/userguide/dependency_verification.html> |

use quick_xml::Reader;
use quick_xml::events::Event;

use super::maven::package;
use crate::catalogers::check_count;
use crate::catalogers::language::java::pom::Coordinates;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Bytes of a line, and of an attribute.
const LONGEST_LINE: usize = 64 << 10;
const LONGEST_VALUE: usize = 512;

/// Attributes of one element that are looked at; a component has three.
const MOST_ATTRIBUTES: usize = 16;

/// Reads Gradle's lock files.
#[derive(Debug)]
pub(crate) struct Gradle;

impl Cataloger for Gradle {
    fn name(&self) -> &'static str {
        "gradle"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new()
            .path("**/gradle.lockfile")
            .path("**/buildscript-gradle.lockfile")
            .path("**/gradle/dependency-locks/*.lockfile")
            .path("**/versions.lock")
            .path("**/gradle/verification-metadata.xml")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let text = contents.text()?;
        if file.name() == "verification-metadata.xml" {
            return components(&text, findings);
        }
        let mut tests = false;
        for line in text.lines().map(str::trim).filter(|line| line.len() <= LONGEST_LINE) {
            tests |= line == "[Test dependencies]";
            if line.starts_with('#') {
                continue;
            }
            let (id, configurations) = line.split_once('=').unwrap_or((line, ""));
            let id = id.split_once('(').map_or(id, |(id, _)| id).trim();
            let mut parts = id.split(':');
            let (Some(group), Some(artifact), Some(version), None) =
                (parts.next(), parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            if group.is_empty() || artifact.is_empty() || version.is_empty() || id.contains(char::is_whitespace) {
                continue;
            }
            check_count(findings)?;
            findings.package(package(
                Coordinates { group: group.into(), artifact: artifact.into(), version: version.into() },
                tests || is_for_tests(configurations),
            ));
        }
        Ok(())
    }
}

/// Whether all configurations are those of tests: `testRuntimeClasspath`, `androidTestCompileClasspath`.
fn is_for_tests(configurations: &str) -> bool {
    let mut configurations = configurations.split(',').map(str::trim).filter(|name| !name.is_empty()).peekable();
    configurations.peek().is_some() && configurations.all(|name| name.starts_with("test") || name.contains("Test"))
}

fn components(text: &str, findings: &mut Findings) -> Result<(), Problem> {
    let mut reader = Reader::from_str(text);
    loop {
        let event =
            reader.read_event().map_err(|error| Problem::malformed(format!("verification-metadata.xml: {error}")))?;
        let element = match event {
            Event::Start(element) | Event::Empty(element) => element,
            Event::Eof => return Ok(()),
            _ => continue,
        };
        if element.local_name().as_ref() != "component" {
            continue;
        }
        let mut found = Coordinates::default();
        // Looking for an attribute that is there twice would take a time that grows with the square of their count.
        for attribute in element.attributes().with_checks(false).take(MOST_ATTRIBUTES).flatten() {
            let field = match attribute.key.as_ref() {
                "group" => &mut found.group,
                "name" => &mut found.artifact,
                "version" => &mut found.version,
                _ => continue,
            };
            if attribute.value.len() <= LONGEST_VALUE {
                *field = attribute.value.to_string();
            }
        }
        if !found.artifact.is_empty() && !found.group.is_empty() {
            check_count(findings)?;
            findings.package(package(found, false));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::declared::maven::tests::read;

    fn check(path: &str, text: &str, expected: &[&str]) {
        assert_eq!(read(&Gradle, path, text), (expected.iter().map(ToString::to_string).collect(), None), "{text}");
    }

    #[test]
    fn lock_files_have_a_dependency_a_line() {
        check(
            "gradle.lockfile",
            "# Generated\r\norg.acme:a:1=compileClasspath,testCompileClasspath\n org.acme:b:2.0-rc=testRuntimeClasspath\n\
             org.acme:c:3\n#org.acme:d:4=x\norg.acme:e=x\na:b:c:d=x\nsome words: and: more\nempty=annotationProcessor\n",
            &["org.acme:a:1", "org.acme:b:2.0-rc*", "org.acme:c:3"],
        );
        check(
            "versions.lock",
            "# Run ./gradlew --write-locks\ncom.acme:a:1.0 (2 constraints: 38053b3b)\n\n[Test dependencies]\njunit:junit:4.13 (1 constraints: d904fd30)\n",
            &["com.acme:a:1.0", "junit:junit:4.13*"],
        );
    }

    #[test]
    fn verification_metadata_name_components() {
        check(
            "gradle/verification-metadata.xml",
            "<?xml version='1.0'?><verification-metadata xmlns='https://schema.gradle.org/x'><components>\n\
             <component name='b' group='org.acme' version='1.0'><artifact name='b.jar'/></component>\n\
             <component group=\"g\" name=\"c\" version=\"2\"/><component name='x'/></components></verification-metadata>",
            &["org.acme:b:1.0", "g:c:2"],
        );
        let wide: String = (0..200_000).map(|n| format!(" a{n}='1'")).collect();
        check("gradle/verification-metadata.xml", &format!("<component{wide}/>"), &[]);
        assert!(read(&Gradle, "gradle/verification-metadata.xml", "<a></b>").1.is_some());
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a-c:=(,#<>/'\" \n\u{e9}]{0,80}") {
            read(&Gradle, "gradle.lockfile", &text);
            read(&Gradle, "gradle/verification-metadata.xml", &format!("<component {text}"));
        }
    }
}
