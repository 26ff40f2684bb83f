//! Java archives, and the archives within them: libraries, web and enterprise applications, Spring Boot and Quarkus
//! applications, Jenkins plugins.
//!
//! | Entry | Says | Source of the format |
//! | --- | --- | --- |
//! | `**/pom.properties` | group, artifact, version: one for each artifact that was merged into the archive | Maven Archiver |
//! | `META-INF/maven/**/pom.xml` | the same, licences and dependencies | Maven's model |
//! | `META-INF/MANIFEST.MF` | titles, versions, symbolic names, licences | JAR file specification, OSGi core, Jenkins |
//! | the archive's own name | artifact and version | Maven's and Gradle's naming |
//! | `*.jar`, `*.war`, … | an archive within this one | |
//!
//! Of an archive that lies in memory the central directory leads to these entries and nothing else is inflated. One
//! that is too large to hold passes by its local headers. Source of the container: [`crate::catalogers::zip`].
//!
//! `META-INF/maven/**/pom.properties` as a file is the same evidence: an application that was unpacked.

mod archive;
mod file_name;
mod groups;
mod identity;
mod manifest;
pub(in crate::catalogers) mod pom;

use archive::{Place, Walk};

use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Licences of one artifact.
const MOST_LICENSES: usize = 32;

/// Reads Java archives.
#[derive(Debug)]
pub(crate) struct Java;

/// Extensions of archives, by what deploys them: Java, servlet containers, application servers (EAR, RAR), JBoss and
/// Nuxeo (PAR, SAR), NiFi (NAR), Jenkins (JPI, HPI), Karaf (KAR), Liferay (LPKG). A `.rar` mostly is another format;
/// then it does not begin as a zip archive.
const EXTENSIONS: [&str; 11] =
    [".jar", ".war", ".ear", ".rar", ".par", ".sar", ".nar", ".jpi", ".hpi", ".kar", ".lpkg"];

impl Cataloger for Java {
    fn name(&self) -> &'static str {
        "java"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interest(&self) -> Interest {
        const PATTERNS: [&str; 11] = [
            "**/*.jar",
            "**/*.war",
            "**/*.ear",
            "**/*.rar",
            "**/*.par",
            "**/*.sar",
            "**/*.nar",
            "**/*.jpi",
            "**/*.hpi",
            "**/*.kar",
            "**/*.lpkg",
        ];
        let interest = Interest::new().path("**/META-INF/maven/**/pom.properties");
        PATTERNS.into_iter().fold(interest, Interest::path_in_any_case)
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let place = Place { path: file.path, within: "", depth: 0 };
        if file.name() == "pom.properties" {
            let mut parts = identity::Parts::default();
            parts.properties(file.directory(), contents.whole()?);
            identity::packages(parts, "").into_iter().for_each(|package| findings.package(package));
            return Ok(());
        }
        let mut walk = Walk::new(file.size, findings);
        match contents.whole() {
            // What begins otherwise is no archive, whatever its name; a launcher may stand before one.
            Ok(bytes) if bytes.starts_with(b"PK") || bytes.starts_with(b"#!") => walk.held(bytes, place),
            Ok(_) => {}
            Err(_) => walk.stream(contents, place),
        }
        walk.finish()
    }
}

/// Whether a path ends in one of the extensions, in either case.
fn is_archive(path: &[u8]) -> bool {
    let ends = |extension: &&str| {
        let start = path.len().checked_sub(extension.len());
        start.is_some_and(|start| start > 0 && path[start..].eq_ignore_ascii_case(extension.as_bytes()))
    };
    EXTENSIONS.iter().any(ends)
}

fn ends_with(text: &str, suffix: &str) -> bool {
    let start = text.len().checked_sub(suffix.len());
    start.is_some_and(|start| text.as_bytes()[start..].eq_ignore_ascii_case(suffix.as_bytes()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::zip::tests::zip;

    fn run(path: &str, bytes: &[u8], contents: &mut Contents<'_>) -> (Vec<String>, Option<String>) {
        let file = File { path, size: bytes.len() as u64, executable: false };
        let mut findings = Findings::default();
        let problem = Java.catalog(&file, contents, &mut findings).err();
        let text = |package: &crate::Package| {
            let group = package.namespace.as_deref().unwrap_or_default();
            let within = package.within.as_deref().unwrap_or_default();
            format!("{group}:{}:{} {within}", package.name, package.version).trim_end().to_owned()
        };
        (findings.packages().iter().map(text).collect::<Vec<_>>(), problem.map(|problem| problem.to_string()))
    }

    fn read_held(path: &str, bytes: &[u8]) -> (Vec<String>, Option<String>) {
        run(path, bytes, &mut Contents::held(bytes))
    }

    fn read_at(path: &str, bytes: &[u8]) -> (Vec<String>, Option<String>) {
        let held = read_held(path, bytes);
        // What passes as a stream is the same archive.
        let mut reader = bytes;
        let passing = run(path, bytes, &mut Contents::passing(&mut reader, bytes.len() as u64, 1));
        if held.1.is_none() {
            let sorted = |(mut packages, _): (Vec<String>, _)| {
                packages.sort();
                packages
            };
            assert_eq!(sorted(held.clone()), sorted(passing), "{path}");
        }
        held
    }

    fn read(path: &str, bytes: &[u8]) -> Vec<String> {
        let (packages, problem) = read_at(path, bytes);
        assert_eq!(problem, None);
        packages
    }

    #[test]
    fn a_project_names_what_it_needs_when_it_runs() {
        let dependency = |artifact: &str, more: &str| {
            format!("<dependency><groupId>org.acme</groupId><artifactId>{artifact}</artifactId>{more}</dependency>")
        };
        let dependencies = [
            dependency("lib", "<version>[1,2)</version>"),
            dependency("driver", "<scope>runtime</scope>"),
            dependency("junit", "<scope>test</scope>"),
            dependency("servlet", "<scope>provided</scope>"),
            "<dependency><groupId>${no}</groupId><artifactId>x</artifactId></dependency>".to_owned(),
        ];
        let pom = format!("<project><dependencies>{}</dependencies></project>", dependencies.concat());
        let bytes = jar("quux", &[("META-INF/maven/org.acme/quux/pom.xml", pom.as_bytes())]);
        let file = File { path: "lib/quux-1.jar", size: bytes.len() as u64, executable: false };
        let mut findings = Findings::default();
        Java.catalog(&file, &mut Contents::held(&bytes), &mut findings).unwrap();
        let names: Vec<_> = findings.packages()[0].requires.iter().map(|required| required.name.as_str()).collect();
        assert_eq!(names, ["org.acme/lib", "org.acme/driver"]);
    }

    fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        while let Some(at) = memchr::memmem::find(&bytes, from) {
            bytes[at..at + from.len()].copy_from_slice(to);
        }
        bytes
    }

    fn jar(artifact: &str, more: &[(&str, &[u8])]) -> Vec<u8> {
        let properties = format!("groupId=org.acme\nartifactId={artifact}\nversion=1\n");
        let path = format!("META-INF/maven/org.acme/{artifact}/pom.properties");
        let mut entries: Vec<(&str, &[u8])> = vec![
            ("META-INF/MANIFEST.MF", b"Manifest-Version: 1.0\n"),
            ("a/B.class", &[7; 900]),
            (&path, properties.as_bytes()),
        ];
        entries.extend(more);
        zip(&entries)
    }

    #[test]
    fn archives_are_read_at_every_level() {
        let inner = jar("inner", &[]);
        let middle = jar("middle", &[("lib/inner.jar", &inner)]);
        let stored = jar("stored", &[]);
        let outer = jar(
            "outer",
            &[("WEB-INF/lib/middle.JAR", &middle), ("BOOT-INF/lib/stored.jar!", &stored), ("x.jar", b"no archive")],
        );
        // The tests' archives store what ends in an exclamation mark; the name is one that counts only now.
        let outer = replaced(&outer, b"stored.jar!", b"stored2.jar");
        let expected = [
            "org.acme:inner:1 WEB-INF/lib/middle.JAR:lib/inner.jar",
            "org.acme:middle:1 WEB-INF/lib/middle.JAR",
            "org.acme:stored:1 BOOT-INF/lib/stored2.jar",
            "org.acme:outer:1",
        ];
        assert_eq!(read("app/outer.war", &outer), expected);
        let launched = [b"#!/bin/sh\nexec java -jar\n".as_slice(), &outer].concat();
        assert_eq!(read("app/outer.jar", &launched), expected);
    }

    #[test]
    fn an_archive_without_its_directory_is_walked() {
        let whole = jar("outer", &[("lib/inner.jar", &jar("inner", &[]))]);
        let directory = memchr::memmem::rfind(&whole, b"PK\x01\x02outer").unwrap_or(whole.len() - 60);
        let (packages, _) = read_at("outer.jar", &whole[..directory]);
        assert_eq!(packages, ["org.acme:inner:1 lib/inner.jar", "org.acme:outer:1"]);
    }

    #[test]
    fn what_is_no_archive_is_no_problem() {
        assert_eq!(read("a-1.jar", b""), [""; 0]);
        assert_eq!(read("a-1.rar", b"Rar!\x1a\x07\x00"), [""; 0]);
        assert_eq!(read("a-1.jar", &zip(&[("x", b"y")])), ["a:a:1"]);
    }

    #[test]
    fn an_unpacked_application_has_its_descriptor() {
        let path = "opt/app/META-INF/maven/org.acme/quux/pom.properties";
        let mut findings = Findings::default();
        let text = b"groupId=org.acme\nartifactId=quux\nversion=1\n";
        let file = File { path, size: text.len() as u64, executable: false };
        Java.catalog(&file, &mut Contents::held(text), &mut findings).unwrap();
        assert_eq!(findings.packages()[0].name, "quux");
    }

    #[test]
    fn depth_is_bounded() {
        let mut nested = jar("deepest", &[]);
        for _ in 0..40 {
            nested = jar("around", &[("in.jar", &nested)]);
        }
        let (packages, problem) = read_at("a.jar", &nested);
        assert_eq!(packages.len(), 17);
        assert_eq!(problem.as_deref(), Some("archives nested deeper than 16"));
    }

    #[test]
    fn many_archives_in_one_are_bounded() {
        let one = zip(&[("x", b"")]);
        let names: Vec<String> = (0..12_000).map(|n| format!("{n}.jar")).collect();
        let entries: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), one.as_slice())).collect();
        let (packages, problem) = read_at("a.jar", &zip(&entries));
        assert_eq!(packages, [""; 0]);
        assert_eq!(problem.as_deref(), Some("more than 10000 archives in one file"));
    }

    #[test]
    fn overlapping_entries_stop_at_what_is_honest() {
        // 300 names for one archive that inflates to 8 MiB: 2.4 GiB from some kilobytes.
        let inner = zip(&[("zeroes!", &vec![0; 8 << 20])]);
        let one = zip(&[("in.jar", &inner)]);
        let central = memchr::memmem::rfind(&one, b"PK\x01\x02").unwrap();
        let end = memchr::memmem::rfind(&one, b"PK\x05\x06").unwrap();
        let directory = one[central..end].repeat(300);
        let mut bomb = [&one[..central], &*directory, &one[end..]].concat();
        let at = bomb.len() - 22;
        bomb[at + 12..at + 16].copy_from_slice(&(directory.len() as u32).to_le_bytes());
        let (_, problem) = read_at("a.jar", &bomb);
        assert_eq!(problem.as_deref(), Some("it inflates to more than any honest archive of its size"));
    }

    #[test]
    fn sizes_that_lie_lead_nowhere() {
        let whole = jar("outer", &[("lib/inner.jar", &jar("inner", &[]))]);
        let central: Vec<usize> = memchr::memmem::find_iter(&whole, b"PK\x01\x02").collect();
        for field in [20, 24, 42] {
            let mut lies = whole.clone();
            let last = *central.last().unwrap();
            lies[last + field..last + field + 4].fill(0xff);
            let (packages, problem) = read_held("outer.jar", &lies);
            // How long it says to be when inflated is only a hint.
            let expected: &[&str] = if field == 24 {
                &["org.acme:inner:1 lib/inner.jar", "org.acme:outer:1"]
            } else {
                &["org.acme:outer:1"]
            };
            assert_eq!(
                (&*packages, problem),
                (&*expected.iter().map(ToString::to_string).collect::<Vec<_>>(), None),
                "{field}"
            );
        }
    }

    #[test]
    fn a_failing_stream_is_the_layers_problem() {
        struct Failing(Vec<u8>, usize);
        impl std::io::Read for Failing {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                if self.1 == self.0.len() {
                    return Err(std::io::Error::other("gone"));
                }
                let n = (&self.0[self.1..]).read(buffer)?;
                self.1 += n;
                Ok(n)
            }
        }
        let whole = jar("outer", &[("lib/inner.jar", &jar("inner", &[]))]);
        for length in [10, 100, whole.len() / 2] {
            let mut reader = Failing(whole[..length].to_vec(), 0);
            let file = File { path: "a.jar", size: 1 << 30, executable: false };
            let result =
                Java.catalog(&file, &mut Contents::passing(&mut reader, file.size, 1), &mut Findings::default());
            assert!(matches!(result, Err(Problem::Stream(_))), "{length} {result:?}");
        }
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0_usize..4000, byte: u8) {
            let mut bytes = jar("outer", &[("lib/inner.jar", &jar("inner", &[])), ("b.jar!", b"PK")]);
            let length = bytes.len();
            bytes[at % length] = byte;
            for passing in [false, true] {
                let file = File { path: "outer-1.jar", size: length as u64, executable: false };
                let mut reader = &*bytes;
                let mut contents =
                    if passing { Contents::passing(&mut reader, file.size, 1) } else { Contents::held(&bytes) };
                let _ = Java.catalog(&file, &mut contents, &mut Findings::default());
            }
        }
    }
}
