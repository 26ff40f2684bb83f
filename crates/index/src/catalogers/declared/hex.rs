//! What an Elixir, Erlang or Gleam project takes from hex.pm: `mix.lock`, `rebar.lock`, `manifest.toml`.
//!
//! | File | Entry |
//! | --- | --- |
//! | `mix.lock` | `"app": {:hex, :package, "1.0.0", hash, managers, dependencies, "hexpm", hash}` |
//! | | `"app": {:git, "https://…", revision, options}`, `"app": {:path, "../app", options}` |
//! | `rebar.lock` | `{<<"app">>,{pkg,<<"package">>,<<"1.0.0">>},0}` |
//! | | `{<<"app">>,{git,"https://…",{ref,"…"}},0}` |
//! | `manifest.toml` | `{ name = "package", version = "1.0.0", source = "hex", … }` in `packages` |
//!
//! Sources: `Mix.Dep.Lock` and `Hex.Mix.to_lock` (<https://github.com/hexpm/hex/blob/main/lib/hex/scm.ex>),
//! <https://rebar3.org/docs/workflow/#lock-files>, <https://gleam.run/writing-gleam/gleam-toml/>.
//!
//! A repository `hexpm:acme` is that of an organisation, which is the namespace of the package URL. What comes from git
//! or a path has no version in `mix.lock`; of `rebar.lock` the revision is taken for one, as the peers do.

use serde::Deserialize;

use crate::catalogers::field::{self, Few, Scalar};
use crate::catalogers::terms::{self, Syntax, Term};
use crate::catalogers::{MOST_PACKAGES, check_count};
use crate::package::{Evidence, Package};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Reads `mix.lock`, `rebar.lock` and Gleam's `manifest.toml`.
#[derive(Debug)]
pub(crate) struct Hex;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Manifest {
    packages: Few<Locked, MOST_PACKAGES>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Locked {
    name: Scalar,
    version: Scalar,
    source: Scalar,
}

impl Cataloger for Hex {
    fn name(&self) -> &'static str {
        "hex"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/mix.lock").path("**/rebar.lock").path("**/manifest.toml")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let packages: Vec<Package> = match file.name() {
            "manifest.toml" => {
                // Other tools have a file of this name.
                let Ok(manifest) = field::toml::<Manifest>(contents) else { return Ok(()) };
                manifest.packages.0.iter().filter_map(gleam).collect()
            }
            name => {
                let text = field::text(contents, field::LONGEST_TEXT)?;
                if name == "mix.lock" {
                    mix(&terms::parse(&text, Syntax::Elixir).map_err(Problem::malformed)?)
                } else {
                    rebar(&terms::parse(&text, Syntax::Erlang).map_err(Problem::malformed)?)
                }
            }
        };
        for package in packages {
            check_count(findings)?;
            findings.package(package);
        }
        Ok(())
    }
}

/// `%{"app": {…}, …}`: names and tuples in turn.
fn mix(forms: &[Term]) -> Vec<Package> {
    let entries = forms.first().and_then(Term::tuple).unwrap_or_default();
    let entry = |pair: &[Term]| {
        let [Term::Text(app), Term::Tuple(locked)] = pair else { return None };
        let text = |n: usize| locked.get(n).and_then(Term::text).unwrap_or_default();
        match text(0) {
            "hex" => {
                let organisation = text(6).strip_prefix("hexpm:").and_then(field::word);
                Some(Package { namespace: organisation, ..package(text(1), text(2))? })
            }
            "path" => package(app, ""),
            "git" => {
                let mut package = package(app, "")?;
                if field::is_word(text(1)) && field::is_word(text(2)) {
                    package.qualifiers.insert("vcs_url".to_owned(), format!("git+{}@{}", text(1), text(2)));
                }
                Some(package)
            }
            _ => None,
        }
    };
    entries.windows(2).filter_map(entry).collect()
}

/// `{"1.2.0", [{name, source, level}, …]}`, before version 1.1.0 only the list.
fn rebar(forms: &[Term]) -> Vec<Package> {
    let list = match forms.first() {
        Some(Term::List(list)) => Some(&**list),
        Some(Term::Tuple(versioned)) => versioned.get(1).and_then(Term::list),
        _ => None,
    };
    let entry = |entry: &Term| {
        let [Term::Text(app), Term::Tuple(source), ..] = entry.tuple()? else { return None };
        match &**source {
            [Term::Text(kind), Term::Text(name), Term::Text(version), ..] if kind == "pkg" => package(name, version),
            [_, Term::Text(_), Term::Tuple(revision), ..] => package(app, revision.get(1)?.text()?),
            _ => package(app, ""),
        }
    };
    list.unwrap_or_default().iter().filter_map(entry).collect()
}

fn gleam(locked: &Locked) -> Option<Package> {
    let is_hex = matches!(locked.source.text(), "hex" | "git");
    is_hex.then(|| package(locked.name.text(), locked.version.text()))?
}

fn package(name: &str, version: &str) -> Option<Package> {
    Some(Package {
        kind: "hex".to_owned(),
        name: field::word(name)?,
        version: field::word(version).unwrap_or_default(),
        evidence: Evidence::Declared,
        ..Package::default()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::testing;

    const MIX: &str = r#"%{
  "quux": {:hex, :quux, "2.4.1", "f00", [:mix, :rebar3], [{:plug, "~> 1.0", [hex: :plug, repo: "hexpm", optional: false]}], "hexpm", "ba4"},
  "old": {:hex, :old_name, "0.1.0", "f00", [:make], []},
  # ours
  "inner": {:hex, :inner, "1.0.0-rc.1", "f00", [:mix], [], "hexpm:acme", "ba4"},
  "forked": {:git, "https://github.com/acme/forked.git", "f00ba4", [branch: "main"]},
  "local": {:path, "../local", []},
}
"#;
    const REBAR: &str = "\
{\"1.2.0\",
[{<<\"quux\">>,{pkg,<<\"quux_hex\">>,<<\"2.4.1\">>},0},
 {<<\"forked\">>,
  {git,\"https://github.com/acme/forked\",
       {ref,\"f00ba4\"}},
  1}]}.
[
{pkg_hash,[
 {<<\"quux\">>, <<\"0123\">>}]}
].
";

    #[test]
    fn locks_of_three_tools() {
        let check = |path: &str, text: &str, expected: &[&str]| assert_eq!(testing::brief(&Hex, path, text), expected);
        check("app/mix.lock", MIX, &["quux 2.4.1?", "old_name 0.1.0?", "inner 1.0.0-rc.1?", "forked?", "local?"]);
        check("app/mix.lock", "%{\n}\n", &[]);
        check("app/rebar.lock", REBAR, &["quux_hex 2.4.1?", "forked f00ba4?"]);
        check("app/rebar.lock", "[{<<\"a\">>,{pkg,<<\"a\">>,<<\"1.0\">>},0}].\n", &["a 1.0?"]);
        check("app/rebar.lock", "[].", &[]);
        let gleam = "packages = [\n  { name = \"a\", version = \"0.34.0\", build_tools = [\"gleam\"], source = \"hex\" },\n  \
            { name = \"b\", version = \"1.0.0\", source = \"local\", path = \"../b\" },\n]\n[requirements]\na = { version = \"~> 0.34\" }\n";
        check("app/manifest.toml", gleam, &["a 0.34.0?"]);
        check("app/manifest.toml", "packages = 3", &[]);
        check("app/manifest.toml", "no toml", &[]);
        assert!(testing::find(&Hex, "mix.lock", b"%{").is_err());
    }

    #[test]
    fn where_they_are_from() {
        let packages = testing::packages(&Hex, "mix.lock", MIX);
        assert_eq!(packages[2].namespace.as_deref(), Some("acme"));
        let address = packages[3].qualifiers.get("vcs_url").map(String::as_str);
        assert_eq!(address, Some("git+https://github.com/acme/forked.git@f00ba4"));
    }

    proptest! {
        #[test]
        fn mutations_never_panic(change: (usize, u8, usize)) {
            testing::mutate(&Hex, "mix.lock", MIX, change);
            testing::mutate(&Hex, "rebar.lock", REBAR, change);
        }
    }
}
