//! C and C++ packages in the cache of Conan 1, from the `conaninfo.txt` of each.
//!
//! `<cache>/data/<name>/<version>/<user>/<channel>/package/<id>/conaninfo.txt`: the path says what the package is
//! (`_` where it has no user and channel), section `full_requires` what it was built with. Sources of the format:
//! `ConanInfo` in `conans/model/info.py` of Conan 1, references in
//! <https://docs.conan.io/1/reference/conanfile/attributes.html>.
//!
//! Conan 2 keeps names in a database of SQLite and only hashes in paths; it is not read.

use crate::catalogers::{check_count, field};
use crate::package::Package;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Reads `conaninfo.txt`.
#[derive(Debug)]
pub(crate) struct Conan;

impl Cataloger for Conan {
    fn name(&self) -> &'static str {
        "conan"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/package/*/conaninfo.txt")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let mut above = file.directory().rsplit('/').skip(2);
        let (Some(channel), Some(user), Some(version), Some(name)) =
            (above.next(), above.next(), above.next(), above.next())
        else {
            return Ok(());
        };
        if let Some(package) = package(name, version, Some((user, channel))) {
            findings.package(package);
        }
        let text = field::text(contents, field::LONGEST_TEXT)?;
        for (section, line) in lines(&text) {
            if section == "full_requires"
                && let Some(package) = reference(line)
            {
                check_count(findings)?;
                findings.package(package);
            }
        }
        Ok(())
    }
}

/// The lines of an INI file of Conan's, each with its section, without comments.
pub(in crate::catalogers) fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut section = "";
    text.lines().filter_map(move |line| {
        let line = line.split(" #").next().unwrap_or_default().trim();
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.trim();
            return None;
        }
        (!line.is_empty() && !line.starts_with('#')).then_some((section, line))
    })
}

/// `name/version[@user[/channel]][#revision][:package[#revision]][%time]`. A range of versions is none.
pub(in crate::catalogers) fn reference(text: &str) -> Option<Package> {
    let (name, rest) = text.trim().split_once('/')?;
    // Ranges have `#` and `%` not, but spaces: `[>=1.0 <2, include_prerelease]`.
    let (version, rest) = match rest.strip_prefix('[') {
        Some(range) => ("", range.split_once(']')?.1),
        None => rest.split_at(rest.find(['@', '#', ':', '%']).unwrap_or(rest.len())),
    };
    let whom = rest.strip_prefix('@').and_then(|rest| {
        let rest = rest.split(['#', ':', '%']).next().unwrap_or_default();
        Some(rest.split_once('/').unwrap_or((rest, ""))).filter(|(user, _)| !user.is_empty())
    });
    package(name, version, whom)
}

fn package(name: &str, version: &str, whom: Option<(&str, &str)>) -> Option<Package> {
    let is_part =
        |text: &str| field::is_word(text) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+.-".contains(&b));
    if !is_part(name) || !(version.is_empty() || is_part(version)) {
        return None;
    }
    let mut package =
        Package { kind: "conan".to_owned(), name: name.to_owned(), version: version.to_owned(), ..Package::default() };
    if let Some((user, channel)) = whom {
        let own = |text: &str| Some(text.to_owned()).filter(|text| text != "_" && is_part(text));
        package.namespace = own(user);
        if let Some(channel) = own(channel) {
            package.qualifiers.insert("channel".to_owned(), channel);
        }
    }
    Some(package)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::testing;

    const PATH: &str = "root/.conan/data/quux/2.4.1/acme/stable/package/f00/conaninfo.txt";
    const QUUX: &str = "\
[settings]
    os=Linux

[requires]
    zlib/1.Y.Z

[full_requires]
    zlib/1.2.13:dfbe50feef7f3c6223a476cd5aeadb687084a646
    inner/cci.20210118@me/testing#f00:0a1b#2

[recipe_hash]
    c6f6387c9b99780f0ee05e25f99d0f39
";

    fn show(package: &Package) -> String {
        let part = |text: Option<&String>| text.cloned().unwrap_or("-".to_owned());
        let (user, channel) = (part(package.namespace.as_ref()), part(package.qualifiers.get("channel")));
        format!("{} {} {user} {channel}", package.name, package.version)
    }

    #[test]
    fn the_path_says_what_it_is() {
        let check = |path: &str, expected: &[&str]| {
            let found: Vec<_> = testing::packages(&Conan, path, QUUX).iter().map(show).collect();
            assert_eq!(found, expected, "{path}");
        };
        let required = ["zlib 1.2.13 - -", "inner cci.20210118 me testing"];
        check(PATH, &["quux 2.4.1 acme stable", required[0], required[1]]);
        let no_user = "root/.conan/data/quux/2.4.1/_/_/package/f00/conaninfo.txt";
        check(no_user, &["quux 2.4.1 - -", required[0], required[1]]);
        check("a/package/f00/conaninfo.txt", &[]);
        assert!(testing::wants(Conan, PATH));
        assert!(!testing::wants(Conan, "root/.conan2/p/b/quuxf00/p/conaninfo.txt"));
    }

    #[test]
    fn references() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(reference(text).as_ref().map(show).as_deref(), expected, "{text}");
        };
        check("zlib/1.2.13", Some("zlib 1.2.13 - -"));
        check("zlib/1.2.13#13c96f538b52e1600c40b88994de240f%1667396813.733", Some("zlib 1.2.13 - -"));
        check("zlib/1.2.13@user#f00", Some("zlib 1.2.13 user -"));
        check("zlib/1.2.13@_/_#f00:1", Some("zlib 1.2.13 - -"));
        check("docopt.cpp/system", Some("docopt.cpp system - -"));
        check("zlib/[>=1.2.11 <2]@user/channel", Some("zlib  user channel"));
        check("1.2.3#f00", None);
        check("zlib/", Some("zlib  - -"));
        check("/1", None);
        check("http://example.org/a", None);
        check("", None);
    }

    proptest! {
        #[test]
        fn mutations_never_panic(change: (usize, u8, usize)) {
            testing::mutate(&Conan, PATH, QUUX, change);
        }
    }
}
