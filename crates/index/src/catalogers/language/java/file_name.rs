//! What the name of an archive says: `spring-core-5.3.4-SNAPSHOT.jar`.

/// The name of an archive, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileName<'a> {
    /// Without directories and extension.
    pub(super) stem: &'a str,
    /// What stands before the version.
    pub(super) name: &'a str,
    /// The version, with whatever follows it; empty if there is none.
    pub(super) version: &'a str,
}

impl<'a> FileName<'a> {
    /// Takes the name of a path apart.
    ///
    /// Maven and Gradle name archives `artifact-version[-classifier]`, OSGi tools `bundle_version`. The version begins
    /// at the first hyphen before what looks like one, or else at the first underscore or dot before a digit.
    pub(super) fn parse(path: &'a str) -> Self {
        let last = path.rsplit('/').next().unwrap_or(path);
        let stem = last.rsplit_once('.').map_or(last, |(stem, _)| stem);
        let hyphen = stem.match_indices('-').find(|(at, _)| *at > 0 && is_version(&stem[at + 1..]));
        let other = || stem.match_indices(['_', '.']).find(|(at, _)| *at > 0 && is_version(&stem[at + 1..]));
        match hyphen.or_else(other) {
            Some((at, _)) => Self { stem, name: &stem[..at], version: &stem[at + 1..] },
            None => Self { stem, name: stem, version: "" },
        }
    }
}

/// Digits first, or `build212`, `r06`, `rc4` as a word of its own.
fn is_version(text: &str) -> bool {
    let digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    if digit(text) {
        return true;
    }
    let bytes = text.as_bytes();
    if bytes.len() > 5 && bytes[..5].eq_ignore_ascii_case(b"build") {
        return bytes[5].is_ascii_digit();
    }
    let Some(after) = text.strip_prefix(['r', 'R']) else { return false };
    let after = after.strip_prefix(['c', 'C']).unwrap_or(after);
    let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    digit(after) && !rest.starts_with(|c: char| c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let check = |path: &str, name: &str, version: &str| {
            let parsed = FileName::parse(path);
            assert_eq!((parsed.name, parsed.version), (name, version), "{path}");
        };
        // The ways in which build tools write a version; syft and osv-scalibr take such names apart alike.
        check("some/dir-1.2/guava-31.1-jre.jar", "guava", "31.1-jre");
        check("guava-r06.jar", "guava", "r06");
        check("jcsp-core-rc4.jar", "jcsp-core", "rc4");
        check("trilead-ssh2-build212-hudson-5.jar", "trilead-ssh2", "build212-hudson-5");
        check("spring-data-r2dbc-1.1.0.RELEASE.jar", "spring-data-r2dbc", "1.1.0.RELEASE");
        check("jboss-saaj-api_1.4_spec-1.0.2.Final.jar", "jboss-saaj-api_1.4_spec", "1.0.2.Final");
        check("scala-parser_2.13-2.3.0.jar", "scala-parser_2.13", "2.3.0");
        check("org.eclipse.osgi_3.18.0.v2022.jar", "org.eclipse.osgi", "3.18.0.v2022");
        check("jtidy-4aug2000r7-dev.jar", "jtidy", "4aug2000r7-dev");
        check("commons-logging.1.2.jar", "commons-logging", "1.2");
        check("buildings-rc1asd-1.0.jar", "buildings-rc1asd", "1.0");
        check("service.war", "service", "");
        check("-1.jar", "-1", "");
        check(".jar", "", "");
        check("é-1é.jar", "é", "1é");
    }
}
