//! Lua rocks, from their rockspecs.
//!
//! LuaRocks keeps `<tree>/lib/luarocks/rocks-5.4/<name>/<version>/<name>-<version>.rockspec` of what it installed:
//! there the path says name and version. A rockspec elsewhere lies beside the source of a rock, which is what runs:
//! it counts as a `package.json` outside `node_modules` does. Source of the format:
//! <https://github.com/luarocks/luarocks/blob/main/docs/rockspec_format.md>.
//!
//! | Field | |
//! | --- | --- |
//! | `package`, `version` | name and version; the version ends with the rockspec's revision, `1.0-2` |
//! | `description.license`, `.summary`, `.homepage`, `.maintainer` | licence, description, home page, author |
//!
//! Names are in lower case, as LuaRocks has them in its trees and the type definition of package URLs asks.

mod rockspec;

use crate::catalogers::field;
use crate::package::Package;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};
use rockspec::Rockspec;

/// Bytes of a rockspec. That of Kong, with a thousand modules, has 60 KiB.
const LONGEST: usize = 1 << 20;

/// Reads rockspecs.
#[derive(Debug)]
pub(crate) struct Lua;

impl Cataloger for Lua {
    fn name(&self) -> &'static str {
        "lua"
    }

    fn version(&self) -> u32 {
        2
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/*.rockspec")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let text = field::text(contents, LONGEST)?;
        let rockspec = Rockspec::read(&text);
        let describe = |name: &str, version: &str| Package {
            kind: "luarocks".to_owned(),
            name: name.to_lowercase(),
            version: version.to_owned(),
            licenses: rockspec.description("license").and_then(field::line).into_iter().collect(),
            author: rockspec.description("maintainer").and_then(field::line),
            description: rockspec.description("summary").and_then(field::line),
            url: rockspec.description("homepage").and_then(field::word),
            ..Package::default()
        };
        if let Some((name, version)) = installed(file) {
            findings.package(describe(name, version));
        } else if let (Some(name), Some(version)) = (rockspec.text("package"), rockspec.text("version"))
            && field::is_word(name)
            && field::is_word(version)
        {
            findings.package(describe(name, version));
        }
        Ok(())
    }
}

/// Name and version by the directories of a LuaRocks tree.
fn installed<'a>(file: &File<'a>) -> Option<(&'a str, &'a str)> {
    let mut segments = file.directory().rsplit('/');
    let (version, name, tree) = (segments.next()?, segments.next()?, segments.next()?);
    let is_tree = tree == "rocks" || tree.starts_with("rocks-");
    let own = file.name().strip_suffix(".rockspec")?.strip_prefix(name)?.strip_prefix('-')?;
    (is_tree && own == version && field::is_word(name) && field::is_word(version)).then_some((name, version))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::testing;

    const PATH: &str = "usr/local/lib/luarocks/rocks-5.4/quux/2.4.1-2/quux-2.4.1-2.rockspec";
    const QUUX: &str = "\
-- the quux
package = \"Quux\"
local v, revision = \"2.4.1\", 2
version = '2.4.1' .. \"-2\"
source = { url = \"git+https://github.com/acme/quux.git\", tag = \"v2.4.1\" }
description = {
   summary = [[Quuxes for Lua]],
   detailed = [==[
      package = \"other\"
   ]==],
   homepage = \"https://quux.example.org\";
   license = \"MIT/X11\", maintainer = 'Ann <ann@example.org>',
   labels = {\"a\", \"b\"}
}
dependencies = { \"lua >= 5.1\", \"lpeg ~> 1\" }
build = { type = \"builtin\", modules = { [\"quux\"] = \"quux.lua\", version = \"9\" } }
";

    #[test]
    fn reads_every_field() {
        let quux = Package {
            kind: "luarocks".into(),
            name: "quux".into(),
            version: "2.4.1-2".into(),
            licenses: vec!["MIT/X11".into()],
            author: Some("Ann <ann@example.org>".into()),
            description: Some("Quuxes for Lua".into()),
            url: Some("https://quux.example.org".into()),
            ..Package::default()
        };
        for path in [PATH, "app/quux-2.4.1-2.rockspec"] {
            assert_eq!(testing::packages(&Lua, path, QUUX), std::slice::from_ref(&quux), "{path}");
        }
    }

    #[test]
    fn the_tree_knows_without_the_rockspec() {
        assert_eq!(testing::brief(&Lua, PATH, "%%%"), ["quux 2.4.1-2"]);
        assert_eq!(testing::brief(&Lua, "lib/luarocks/rocks/a/1-1/a-1-1.rockspec", ""), ["a 1-1"]);
        assert_eq!(testing::brief(&Lua, "lib/luarocks/rocks-5.4/a/1-1/b-1-1.rockspec", ""), [""; 0]);
        assert_eq!(testing::brief(&Lua, "app/a-1-1.rockspec", ""), [""; 0]);
    }

    proptest! {
        #[test]
        fn mutations_never_panic(change: (usize, u8, usize)) {
            testing::mutate(&Lua, "app/a.rockspec", QUUX, change);
        }
    }
}
