//! Formulae and casks that Homebrew installed.
//!
//! | File | |
//! | --- | --- |
//! | `…/Cellar/<name>/<version>/INSTALL_RECEIPT.json` | written last when a formula is installed |
//! | `…/Cellar/<name>/<version>/.brew/<name>.rb` | the formula it was installed by: `desc`, `homepage`, `license` |
//! | `…/Caskroom/<name>/.metadata/<version>/<time>/Casks/<name>.{json,rb}` | the cask it was installed by |
//! | `…/Caskroom/<name>/<version>/…/<name>.wrapper.sh`, `source.properties` | what some casks bring |
//!
//! Name and version are the path's: the receipt has no version of its own, and a revision (`1.2_1`) is only there.
//! A formula in a tap (`Library/Taps/…/Formula/<name>.rb`) is one that could be installed; the Linux images of
//! Homebrew itself held all 7 000 of them. Source: Homebrew's `Library/Homebrew/{tab,keg,formula,cask/caskroom}.rb`.

use crate::package::Package;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// A formula is read up to here; its fields stand at the top.
const LONGEST: usize = 64 << 10;

/// Licences that one formula names.
const MOST_LICENSES: usize = 32;

/// Reads Homebrew's Cellar and Caskroom.
#[derive(Debug)]
pub(crate) struct Homebrew;

impl Cataloger for Homebrew {
    fn name(&self) -> &'static str {
        "homebrew"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new()
            .path("**/Cellar/*/*/INSTALL_RECEIPT.json")
            .path("**/Cellar/*/*/.brew/*.rb")
            .path("**/Caskroom/*/.metadata/*/*/Casks/*.json")
            .path("**/Caskroom/*/.metadata/*/*/Casks/*.rb")
            .path("**/Caskroom/*/*/*.wrapper.sh")
            .path("**/Caskroom/*/*/source.properties")
            .path("**/Caskroom/*/*/*/source.properties")
            .path("**/Caskroom/*/*/*.app")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let Some((name, version)) = name_and_version(file.path) else { return Ok(()) };
        let mut package = Package {
            kind: "brew".to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            ..Package::default()
        };
        if file.path.contains("/.brew/") {
            let bytes = contents.whole()?;
            let text = String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST)]);
            read_formula(&text, &mut package);
        }
        findings.package(package);
        Ok(())
    }
}

/// From the last Cellar or Caskroom of the path: an application may bring a Cellar of its own.
fn name_and_version(path: &str) -> Option<(&str, &str)> {
    let mut segments = path.split('/').rev().collect::<Vec<_>>();
    let at = segments.iter().position(|segment| matches!(*segment, "Cellar" | "Caskroom"))?;
    segments.truncate(at);
    let mut below = segments.into_iter().rev();
    let name = below.next()?;
    let version = below.next()?;
    let version = if version == ".metadata" { below.next()? } else { version };
    (!name.starts_with('.') && !version.starts_with('.')).then_some((name, version))
}

/// Takes the fields of the formula's class; those of its resources and blocks are indented further.
fn read_formula(text: &str, package: &mut Package) {
    for line in text.lines() {
        let Some(line) = line.strip_prefix("  ") else { continue };
        let Some((field, value)) = line.split_once([' ', '\t']) else { continue };
        let first = || quoted(value).next().map(str::to_owned);
        match field {
            "desc" => package.description = package.description.take().or_else(first),
            "homepage" => package.url = package.url.take().or_else(first),
            "license" if package.licenses.is_empty() => package.licenses = licenses(value),
            _ => {}
        }
    }
}

/// `"MIT"`, `all_of: ["MIT", "Zlib"]`, `any_of: ["MIT", { "GPL-2.0-only" => { with: "Classpath-exception-2.0" } }]`,
/// `:public_domain`, `:cannot_represent`.
fn licenses(value: &str) -> Vec<String> {
    let names: Vec<_> = quoted(value).filter(|name| !name.is_empty()).take(MOST_LICENSES).collect();
    if value.contains("any_of:") && !value.contains("all_of:") && !value.contains("with:") && names.len() > 1 {
        return vec![names.join(" OR ")];
    }
    let mut licenses: Vec<String> = Vec::new();
    let exceptions: Vec<_> = value.split("with:").skip(1).filter_map(|rest| quoted(rest).next()).collect();
    for name in names {
        match licenses.last_mut() {
            Some(license) if exceptions.contains(&name) => *license = format!("{license} WITH {name}"),
            _ => licenses.push(name.to_owned()),
        }
    }
    licenses
}

/// What stands between double quotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(path: &str, text: &str) -> Vec<Package> {
        let file = File { path, size: text.len() as u64, executable: false };
        let mut findings = Findings::default();
        Homebrew.catalog(&file, &mut Contents::held(text.as_bytes()), &mut findings).expect("has no way to fail");
        findings.packages().to_vec()
    }

    #[test]
    fn the_path_names_the_package() {
        let check = |path: &str, expected: Option<(&str, &str)>| {
            let found = read(path, "");
            assert_eq!(found.first().map(|p| (&*p.name, &*p.version)), expected, "{path}");
        };
        check("home/linuxbrew/.linuxbrew/Cellar/quux/2.4.1_1/INSTALL_RECEIPT.json", Some(("quux", "2.4.1_1")));
        check("opt/homebrew/Cellar/python@3.12/3.12.7/.brew/python@3.12.rb", Some(("python@3.12", "3.12.7")));
        check("usr/local/Caskroom/quux/1.1/quux.wrapper.sh", Some(("quux", "1.1")));
        check("usr/local/Caskroom/quux/1.1/tools/source.properties", Some(("quux", "1.1")));
        check("usr/local/Caskroom/quux/.metadata/1.1/20240101.1/Casks/quux.json", Some(("quux", "1.1")));
        check("opt/Cellar/a/1/libexec/Cellar/b/2/INSTALL_RECEIPT.json", Some(("b", "2")));
        check("opt/Cellar/INSTALL_RECEIPT.json", None);
        check("Caskroom/quux/.metadata", None);
    }

    #[test]
    fn the_formula_tells_more() {
        let formula = "\
require \"x\"
class Quux < Formula
  desc \"Quux, the tool\"
  homepage \"https://quux.example.org/\"
  url \"https://quux.example.org/quux-2.4.1.tar.gz\"
  license \"Apache-2.0\"

  resource \"inner\" do
    desc \"no\"
    license \"no\"
  end
end
";
        let package = read("opt/homebrew/Cellar/quux/2.4.1/.brew/quux.rb", formula).remove(0);
        assert_eq!(package.description.as_deref(), Some("Quux, the tool"));
        assert_eq!(package.url.as_deref(), Some("https://quux.example.org/"));
        assert_eq!(package.licenses, ["Apache-2.0"]);
        assert_eq!(read("opt/homebrew/Cellar/quux/2.4.1/INSTALL_RECEIPT.json", formula)[0].url, None);
    }

    #[test]
    fn licences_are_read() {
        let check = |value: &str, expected: &[&str]| assert_eq!(licenses(value), expected, "{value}");
        check("\"MIT\"", &["MIT"]);
        check("any_of: [\"MIT\", \"Apache-2.0\"]", &["MIT OR Apache-2.0"]);
        check("all_of: [\"MIT\", \"Zlib\"]", &["MIT", "Zlib"]);
        check(
            "\"GPL-2.0-only\" => { with: \"Classpath-exception-2.0\" }",
            &["GPL-2.0-only WITH Classpath-exception-2.0"],
        );
        check(":public_domain", &[]);
        check("\"\"", &[]);
        check("\"open", &["open"]);
    }

    proptest! {
        #[test]
        fn never_panics(path in "(opt/)?(Cellar|Caskroom)(/[a.]{0,3}){0,5}/.brew/x.rb", text in "(  (desc|license|homepage) |.|\"|\n){0,60}") {
            read(&path, &text);
        }
    }
}
