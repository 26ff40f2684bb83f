//! `bun.lock`, Bun's lock file as text.
//!
//! Source of the format: <https://github.com/oven-sh/bun/blob/main/src/install/lockfile/bun.lock.zig>. It is JSON
//! with trailing commas. A member of `packages` has as its key the place in the tree (`a/@s/b`: what `a` sees as
//! `@s/b`) and as its value an array: what it is, then, in places that depend on that, an object with its
//! dependencies.
//!
//! | First element | Package |
//! | --- | --- |
//! | `@s/a@1.2.3` | that version; another name than the key's is what an alias stands for |
//! | `a@github:o/a#0123`, `a@file:lib/a`, `a@https://…`, `a@./a.tgz` | no version |
//! | `a@workspace:packages/a`, `a@link:a`, `a@root:` | none: it is part of the project |
//!
//! What is needed for development only is what no workspace's `dependencies` lead to.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::jsonc;
use super::locked::{Entry, Locked, check_size, is_within_node_modules, plain_version, reachable, split_npm, too_many};
use crate::catalogers::MOST_PACKAGES;
use crate::catalogers::lenient::{Keys, Text};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Bytes of a place in the tree of which the way up is followed, and how far up: for each dependency, all of the way
/// is looked up. Real ones have four segments at most.
const LONGEST_PLACE: usize = 512;
const DEEPEST_PLACE: usize = 16;

/// Reads `bun.lock` files.
#[derive(Debug)]
pub(crate) struct BunLock;

impl Cataloger for BunLock {
    fn name(&self) -> &'static str {
        "bun-lock"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/bun.lock")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        if is_within_node_modules(file) {
            return Ok(());
        }
        let text = contents.text()?;
        check_size(file, &text)?;
        let json = jsonc::to_json(&text);
        if !json.trim_start().starts_with('{') {
            return Ok(());
        }
        let lock: Lock<'_> =
            serde_json::from_str(&json).map_err(|error| Problem::malformed(format!("bun.lock: {error}")))?;
        lock.locked().finish(findings)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Lock<'a> {
    #[serde(borrow)]
    workspaces: Members<'a>,
    #[serde(borrow)]
    packages: Members<'a>,
}

/// A workspace, an object of what it needs; or a package, an array with such an object in it.
#[derive(Debug, Default)]
struct Member<'a> {
    /// The first element; none in an object, or where the element is no string.
    identifier: Option<Cow<'a, str>>,
    needs: Needs<'a>,
}

/// Members by their keys.
#[derive(Debug, Default)]
struct Members<'a>(Vec<(Cow<'a, str>, Member<'a>)>);

/// Names only: the tree says which versions they come to.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Needs<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    dependencies: Keys<'a>,
    #[serde(borrow)]
    optional_dependencies: Keys<'a>,
    #[serde(borrow)]
    peer_dependencies: Keys<'a>,
    #[serde(borrow)]
    dev_dependencies: Keys<'a>,
}

impl Needs<'_> {
    fn production(&self) -> impl Iterator<Item = &str> {
        let groups = [&self.dependencies, &self.optional_dependencies, &self.peer_dependencies];
        groups.into_iter().flat_map(|group| &group.0).map(|name| &**name)
    }
}

impl Lock<'_> {
    fn locked(&self) -> Locked {
        let members = &self.packages.0;
        let places: HashMap<&str, usize> =
            members.iter().enumerate().map(|(index, (place, _))| (&**place, index)).collect();
        let edges: Vec<Vec<usize>> = members
            .iter()
            .map(|(place, member)| {
                member.needs.production().filter_map(|name| seen_from(&places, place, name)).collect()
            })
            .collect();
        let (mut production, mut development) = (Vec::new(), Vec::new());
        for (_, Member { needs: workspace, .. }) in &self.workspaces.0 {
            let from = |name: &str| seen_from(&places, workspace.name.as_str(), name);
            production.extend(workspace.production().filter_map(from));
            development.extend(workspace.dev_dependencies.0.iter().filter_map(|name| from(name)));
        }
        let production = reachable(&edges, production);
        let development = reachable(&edges, development);
        let mut locked = Locked::new("npm");
        for (index, (_, member)) in members.iter().enumerate() {
            let Some(identifier) = &member.identifier else { continue };
            let (name, version) = split_npm(identifier);
            if ["workspace:", "link:", "root:"].iter().any(|kind| version.starts_with(kind)) {
                continue;
            }
            locked.add(Entry { name, version: plain_version(version), dev: development[index] && !production[index] });
        }
        locked
    }
}

/// What `name` is to the package at `place`: the nearest of that name on the way up.
fn seen_from(places: &HashMap<&str, usize>, place: &str, name: &str) -> Option<usize> {
    let mut place = if place.len() > LONGEST_PLACE { "" } else { place };
    for _ in 0..DEEPEST_PLACE {
        if place.is_empty() {
            break;
        }
        if let Some(&index) = places.get(&*format!("{place}/{name}")) {
            return Some(index);
        }
        place = place.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
    places.get(name).copied()
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Members::default();
                while let Some((key, member)) = map.next_entry::<Text<'de>, _>()? {
                    members.0.push((key.into_cow(), member));
                    if members.0.len() > MOST_PACKAGES {
                        return Err(A::Error::custom(too_many()));
                    }
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Map)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Member<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// A member, or one element of its array.
        struct Element;
        impl<'de> Visitor<'de> for Element {
            type Value = Member<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array, an object or a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Member { identifier: Some(Cow::Borrowed(text)), ..Member::default() })
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Member { identifier: Some(Cow::Owned(text.to_owned())), ..Member::default() })
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Member::default())
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Member::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let needs = Needs::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Member { needs, ..Member::default() })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
                let mut member = elements.next_element::<Member<'de>>()?.unwrap_or_default();
                // Where in the array the object stands depends on where the package comes from.
                while let Some(element) = elements.next_element::<Member<'de>>()? {
                    if element.identifier.is_none() {
                        member.needs = element.needs;
                        break;
                    }
                }
                while elements.next_element::<IgnoredAny>()?.is_some() {}
                Ok(member)
            }
        }
        deserializer.deserialize_any(Element)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::locked::tests::read;
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(read(&BunLock, "app/bun.lock", text.as_bytes()), expected, "{text}");
    }

    const LOCK: &str = r#"{
  "lockfileVersion": 1,
  "workspaces": {
    "": {
      "name": "app",
      "dependencies": { "a": "^1.0.0", "alias": "npm:@s/b@2", },
      "devDependencies": { "d": "^4.0.0", },
    },
    "packages/w": { "name": "w", "version": "0.1.0", "optionalDependencies": { "o": "1" }, },
  },
  "packages": {
    "@s/x": ["@s/x@1.0.0", "", {}, "sha512-AA=="],

    "a": ["a@1.0.0", "", { "dependencies": { "c": "^1", "@s/x": "1" }, "bin": { "a": "a.js" } }, "sha512-AA=="],

    "alias": ["@s/b@2.0.0-rc.1", "https://npm.example.org/", {}, "sha512-AA=="],

    "c": ["c@2.0.0", "", {}, "sha512-AA=="],

    "d": ["d@4.0.0", "", { "dependencies": { "c": "^2", "e": "*" } }, "sha512-AA=="],

    "e": ["e@github:o/e#0123456", { "peerDependencies": { "c": "*" } }, "o-e-0123456", "sha512-AA=="],

    "f": ["f@file:lib/f", {}],

    "g": ["@s/g@./g-1.0.0.tgz", {}, "sha512-AA=="],

    "o": ["o@1.0.0", "", { "os": "darwin", }, "sha512-AA=="],

    "w": ["w@workspace:packages/w"],

    "a/c": ["c@1.0.0", "", {}, "sha512-AA=="],

    "odd": [],
    "odder": [1, "", {}, "sha512-AA=="],
  }
}
"#;

    #[test]
    fn reads_every_kind_of_package() {
        check(
            LOCK,
            &[
                "@s/x@1.0.0",
                "a@1.0.0",
                "@s/b@2.0.0-rc.1",
                "c@2.0.0 (dev)",
                "d@4.0.0 (dev)",
                "e@ (dev)",
                "f@",
                "@s/g@",
                "o@1.0.0",
                "c@1.0.0",
            ],
        );
        check("{}", &[]);
        check("not JSON", &[]);
        check(
            r#"{"packages": {"a": true}}"#,
            &["bun.lock: invalid type: boolean `true`, expected an array, an object or a string at line 1 column 23"],
        );
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0..LOCK.len(), byte: u8) {
            let mut text = LOCK.as_bytes().to_vec();
            text[at] = byte;
            read(&BunLock, "bun.lock", &text);
        }
    }
}
