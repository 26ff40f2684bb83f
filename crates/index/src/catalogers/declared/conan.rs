//! What a C or C++ project takes from Conan: `conan.lock`, `conanfile.txt`.
//!
//! | File | Entries |
//! | --- | --- |
//! | `conan.lock` of Conan 1 | `graph_lock.nodes.*` with a reference in `ref`, before 1.28 in `pref`; the project itself is a node, too |
//! | `conan.lock` of Conan 2 | references in `requires`, `build_requires`, `python_requires`, `config_requires` |
//! | `conanfile.txt` | references, one a line, in `[requires]`, `[build_requires]`, `[tool_requires]`, `[test_requires]` |
//!
//! What is needed to build only is marked as for development. Sources: <https://docs.conan.io/1/versioning/lockfiles.html>,
//! <https://docs.conan.io/2/tutorial/versioning/lockfiles.html>, <https://docs.conan.io/2/reference/conanfile_txt.html>.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::catalogers::field::{self, Entries, Few, Scalar};
use crate::catalogers::language::conan::{lines, reference};
use crate::catalogers::{MOST_PACKAGES, check_count};
use crate::package::Evidence;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Reads `conan.lock` and `conanfile.txt`.
#[derive(Debug)]
pub(crate) struct ConanLock;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Lock {
    graph_lock: Graph,
    requires: Few<Scalar, MOST_PACKAGES>,
    build_requires: Few<Scalar, MOST_PACKAGES>,
    python_requires: Few<Scalar, MOST_PACKAGES>,
    config_requires: Few<Scalar, MOST_PACKAGES>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Graph {
    nodes: Entries<Node>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Node {
    r#ref: Scalar,
    pref: Scalar,
    path: Scalar,
    context: Scalar,
    requires: Ids,
    build_requires: Ids,
}

/// Keys of other nodes: a list, or in older files the values of a map.
#[derive(Debug, Default)]
struct Ids(Vec<String>);

impl Cataloger for ConanLock {
    fn name(&self) -> &'static str {
        "conan-lock"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/conan.lock").path("**/conanfile.txt")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let mut add = |text: &str, dev: bool| {
            if let Some(package) = reference(text) {
                findings.package(crate::Package { evidence: Evidence::Declared, dev, ..package });
            }
            check_count(findings)
        };
        if file.name() == "conanfile.txt" {
            let text = field::text(contents, field::LONGEST_TEXT)?;
            for (section, line) in lines(&text) {
                match section {
                    "requires" => add(line, false)?,
                    "build_requires" | "tool_requires" | "test_requires" => add(line, true)?,
                    _ => {}
                }
            }
            return Ok(());
        }
        let lock: Lock = field::json(contents)?;
        let nodes = &lock.graph_lock.nodes.0;
        let ids = |of: fn(&Node) -> &Ids| nodes.iter().flat_map(move |(_, node)| &of(node).0).collect::<HashSet<_>>();
        let (required, for_build) = (ids(|node| &node.requires), ids(|node| &node.build_requires));
        for (id, node) in nodes {
            let (required, for_build) = (required.contains(id), for_build.contains(id));
            // The project itself has a path and nothing requires it; what is under work beside it has one, too.
            if !node.path.text().is_empty() && !required && !for_build {
                continue;
            }
            let text = [&node.r#ref, &node.pref].into_iter().map(Scalar::text).find(|text| !text.is_empty());
            add(text.unwrap_or_default(), !required && (for_build || node.context.text() == "build"))?;
        }
        for text in &lock.requires.0 {
            add(text.text(), false)?;
        }
        for text in
            [&lock.build_requires, &lock.python_requires, &lock.config_requires].into_iter().flat_map(|few| &few.0)
        {
            add(text.text(), true)?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Ids {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Ids;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list or a map")
            }

            fn visit_unit<E: Error>(self) -> Result<Ids, E> {
                Ok(Ids::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Ids, A::Error> {
                let mut ids = Ids::default();
                while let Some(id) = values.next_element::<Scalar>()? {
                    ids.0.extend(id.0);
                }
                Ok(ids)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ids, A::Error> {
                let mut ids = Ids::default();
                while let Some((_, id)) = map.next_entry::<String, Scalar>()? {
                    ids.0.extend(id.0);
                }
                Ok(ids)
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

    const FIRST: &str = r#"{"version": "0.4", "profile_host": "[settings]\nos=Linux\n", "graph_lock": {"revisions_enabled": true, "nodes": {
        "0": {"ref": "app/1.0", "path": "conanfile.py", "requires": ["1", "4"], "build_requires": ["3"], "context": "host"},
        "1": {"ref": "quux/2.4.1@acme/stable#f00", "options": "fPIC=True", "requires": ["2"], "context": "host"},
        "2": {"ref": "zlib/1.2.13", "package_id": "f00", "prev": "0"},
        "3": {"ref": "ninja/1.11.1", "context": "build"},
        "4": {"ref": "edited/0.1", "path": "../edited"},
        "5": {"options": ""}}}}"#;
    const SECOND: &str = r#"{"version": "0.5", "requires": ["zlib/1.2.13#13c9%1667396813.733", "1.2.3#13c9%1.2"],
        "build_requires": ["cmake/3.25#f00%1"], "python_requires": ["tool/1.0"], "config_requires": []}"#;
    const TEXT: &str = "\
# requires
[requires]
zlib/1.2.13 # the library
 quux/2.4.1@acme/stable
# fmt/9.0
range/[>=1.0 <2]

[tool_requires]
cmake/3.25

[generators]
CMakeDeps
";

    #[test]
    fn locks_and_files() {
        let check = |path: &str, text: &str, expected: &[&str]| {
            assert_eq!(testing::brief(&ConanLock, path, text), expected, "{text}");
        };
        check("conan.lock", FIRST, &["quux 2.4.1?", "zlib 1.2.13?", "ninja 1.11.1? (dev)", "edited 0.1?"]);
        check("conan.lock", SECOND, &["zlib 1.2.13?", "cmake 3.25? (dev)", "tool 1.0? (dev)"]);
        let older = r#"{"graph_lock": {"nodes": {
            "a-1": {"pref": null, "requires": {"zlib/1.2.11@me/testing#f00": "a-2"}},
            "a-0": {"pref": "app/1.0:f00", "path": "/src/app"},
            "a-2": {"pref": "zlib/1.2.11@me/testing#f00:ba4#f00"}}}, "profile": "[settings]"}"#;
        check("conan.lock", older, &["zlib 1.2.11?"]);
        check("conan.lock", "{}", &[]);
        check("conanfile.txt", TEXT, &["zlib 1.2.13?", "quux 2.4.1?", "range?", "cmake 3.25? (dev)"]);
        assert!(testing::find(&ConanLock, "conan.lock", b"").is_err());
    }

    proptest! {
        #[test]
        fn mutations_never_panic(change: (usize, u8, usize)) {
            testing::mutate(&ConanLock, "conan.lock", FIRST, change);
            testing::mutate(&ConanLock, "conan.lock", SECOND, change);
            testing::mutate(&ConanLock, "conanfile.txt", TEXT, change);
        }
    }
}
