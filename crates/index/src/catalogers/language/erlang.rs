//! Erlang and Elixir: applications of OTP, and what mix and rebar3 unpacked from hex.pm.
//!
//! | File | Is evidence of |
//! | --- | --- |
//! | `ebin/*.app` | a compiled application, as releases and OTP itself have it: `pkg:otp` |
//! | `*.app` elsewhere | source code of one: declared |
//! | `hex_metadata.config` | a package of hex.pm, unpacked into `deps` or `_build`: `pkg:hex` |
//!
//! Formats: <https://www.erlang.org/doc/apps/kernel/app.html>,
//! <https://github.com/hexpm/specifications/blob/main/package_metadata.md>.

use crate::catalogers::field;
use crate::catalogers::terms::{self, Syntax, Term};
use crate::package::{Evidence, Package};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Licences of one package.
const MOST_LICENSES: usize = 32;

/// Reads application resources and the metadata of hex packages.
#[derive(Debug)]
pub(crate) struct Erlang;

impl Cataloger for Erlang {
    fn name(&self) -> &'static str {
        "erlang"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/*.app").path("**/hex_metadata.config")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let is_hex = !file.name().ends_with(".app");
        let compiled = file.directory() == "ebin" || file.directory().ends_with("/ebin");
        let text = match field::text(contents, field::LONGEST_TEXT) {
            Ok(text) => text,
            // Programs of macOS and others have the extension, too.
            Err(_) if !is_hex && !compiled => return Ok(()),
            Err(problem) => return Err(problem),
        };
        if !is_hex && !text.contains("application") {
            return Ok(());
        }
        let forms = match terms::parse(&text, Syntax::Erlang) {
            Ok(forms) => forms,
            Err(_) if !is_hex && !compiled => return Ok(()),
            Err(reason) => return Err(Problem::malformed(reason)),
        };
        if is_hex {
            findings.package(hex(&forms));
        } else if let Some([Term::Text(head), Term::Text(name), Term::List(properties)]) =
            forms.first().and_then(Term::tuple)
            && head == "application"
            && let Some(mut package) = application(name, properties)
        {
            package.evidence = if compiled { Evidence::Installed } else { Evidence::Declared };
            findings.package(package);
        }
        Ok(())
    }
}

/// `{vsn, "1.0"}` among the properties, and what else is of use.
fn application(name: &str, properties: &[Term]) -> Option<Package> {
    let version = value(properties, "vsn")?.text()?;
    Some(Package {
        kind: "otp".to_owned(),
        name: field::word(name)?,
        // A template's `%VSN%` is no version.
        version: field::word(version).filter(|version| !version.contains('%'))?,
        licenses: licenses(properties),
        description: value(properties, "description").and_then(Term::text).and_then(field::line),
        ..Package::default()
    })
}

fn hex(forms: &[Term]) -> Package {
    let text = |key| value(forms, key).and_then(Term::text);
    let (Some(name), Some(version)) = (text("name").and_then(field::word), text("version").and_then(field::word))
    else {
        return Package::default();
    };
    let links = value(forms, "links").and_then(Term::list).unwrap_or_default();
    let link = links.iter().filter_map(Term::tuple).find_map(|pair| pair.get(1)?.text());
    Package {
        kind: "hex".to_owned(),
        name,
        version,
        licenses: licenses(forms),
        description: text("description").and_then(field::line),
        url: link.and_then(field::word),
        ..Package::default()
    }
}

fn licenses(pairs: &[Term]) -> Vec<String> {
    let licenses = value(pairs, "licenses").and_then(Term::list).unwrap_or_default();
    licenses.iter().filter_map(Term::text).filter_map(field::line).take(MOST_LICENSES).collect()
}

/// The value of `{key, value}` among `pairs`.
fn value<'a>(pairs: &'a [Term], key: &str) -> Option<&'a Term> {
    pairs.iter().find_map(|pair| match pair.tuple()? {
        [Term::Text(name), value, ..] if name == key => Some(value),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::testing;

    const APP: &str = "app/lib/quux-2.4.1/ebin/quux.app";
    const QUUX: &str = "\
%% -*- erlang -*-
{application, quux,
  [{description, \"Quuxes; many\"}, % of them
   {vsn, \"2.4.1\"},
   {modules, [quux, 'Elixir.Quux', quux_sup]},
   {registered, []},
   {applications, [kernel, stdlib]},
   {licenses, [\"Apache-2.0\", \"MIT\"]},
   {env, [{port, 80}, {re, <<\"}]\">>}]}]}.
";
    const HEX: &str = "\
{<<\"app\">>,<<\"quux\">>}.
{<<\"build_tools\">>,[<<\"mix\">>]}.
{<<\"description\">>,<<\"Quuxes for Elixir.\">>}.
{<<\"licenses\">>,[<<\"MIT\">>]}.
{<<\"links\">>,[{<<\"GitHub\">>,<<\"https://github.com/acme/quux\">>}]}.
{<<\"name\">>,<<\"quux_ex\">>}.
{<<\"requirements\">>,[[{<<\"name\">>,<<\"other\">>},{<<\"version\">>,<<\"~> 9.0\">>}]]}.
{<<\"version\">>,<<\"0.7.0\">>}.
";

    #[test]
    fn reads_every_field() {
        assert_eq!(
            testing::packages(&Erlang, APP, QUUX),
            [Package {
                kind: "otp".into(),
                name: "quux".into(),
                version: "2.4.1".into(),
                licenses: vec!["Apache-2.0".into(), "MIT".into()],
                description: Some("Quuxes; many".into()),
                ..Package::default()
            }]
        );
        assert_eq!(
            testing::packages(&Erlang, "app/deps/quux/hex_metadata.config", HEX),
            [Package {
                kind: "hex".into(),
                name: "quux_ex".into(),
                version: "0.7.0".into(),
                licenses: vec!["MIT".into()],
                description: Some("Quuxes for Elixir.".into()),
                url: Some("https://github.com/acme/quux".into()),
                ..Package::default()
            }]
        );
    }

    #[test]
    fn applications_are_told_from_other_files() {
        let check = |path: &str, text: &str, expected: &[&str]| {
            assert_eq!(testing::brief(&Erlang, path, text), expected, "{path}: {text}");
        };
        check("src/quux.app", QUUX, &["quux 2.4.1?"]);
        check(APP, "{application,'a',[{vsn,\"1\"}]}.", &["a 1"]);
        check(APP, "{application,a,[]}.", &[]);
        check(APP, "{application,a,[{vsn,\"%VSN%\"}]}.", &[]);
        check(APP, "{release,a,[{vsn,\"1\"}]}.", &[]);
        check("Applications/x.app", "application {{", &[]);
        check("deps/a/hex_metadata.config", "{<<\"name\">>,<<\"a\">>}.", &[]);
        assert!(testing::find(&Erlang, APP, b"{application,a,[").is_err());
        assert!(testing::find(&Erlang, "deps/a/hex_metadata.config", b"{<<\"").is_err());
        assert!(testing::wants(Erlang, "usr/lib/erlang/lib/kernel-9.0/ebin/kernel.app"));
    }

    proptest! {
        #[test]
        fn mutations_never_panic(change: (usize, u8, usize)) {
            testing::mutate(&Erlang, APP, QUUX, change);
            testing::mutate(&Erlang, "hex_metadata.config", HEX, change);
        }
    }
}
