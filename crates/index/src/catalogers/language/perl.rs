//! Perl distributions, from what CPAN clients leave behind.
//!
//! | Path | Written by | Is evidence of |
//! | --- | --- | --- |
//! | `.meta/<distribution>-<version>/install.json` | cpanm, cpm, carton | an installed distribution |
//! | `.meta/<distribution>-<version>/MYMETA.json` | the same | its licence and author |
//! | `META.json`, `META.yml` in a tree of libraries | the distribution's author | an installed distribution |
//! | `META.json`, `META.yml` under `.cpan`, `.cpanm`, `.cpm` | the same | one that was unpacked to be built: declared |
//!
//! Formats: <https://metacpan.org/pod/CPAN::Meta::Spec>; `install.json` is cpanm's own (`App::cpanminus::script`,
//! `save_meta`):
//!
//! | Field | |
//! | --- | --- |
//! | `dist` | `libwww-perl-6.72`: the distribution with its version |
//! | `version` | the version of the main module, by which the name is found in `dist` |
//! | `pathname` | `O/OA/OALDERS/libwww-perl-6.72.tar.gz` on CPAN: the third part is the publisher |
//! | `name` | the main module, `LWP`: not the distribution |
//!
//! What CPAN's own shell installs leaves only lists of files and a log (`.packlist`, `perllocal.pod`) that name main
//! modules, not distributions; these are not read.

use serde::Deserialize;

use crate::catalogers::field::{self, Few, Scalar};
use crate::package::{Evidence, Package, Supplement};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Licences and authors of one distribution.
const MOST: usize = 32;

/// Reads the metadata of distributions.
#[derive(Debug)]
pub(crate) struct Perl;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Install {
    dist: Scalar,
    version: Scalar,
    pathname: Scalar,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Meta {
    name: Scalar,
    version: Scalar,
    r#abstract: Scalar,
    author: Few<Scalar, MOST>,
    license: Few<Scalar, MOST>,
    /// The licences as an SPDX expression, which newer tools add.
    x_spdx_expression: Scalar,
}

/// `META.yml`, whose versions often have no quotes.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct YamlMeta {
    name: Scalar,
    version: Option<String>,
    r#abstract: Scalar,
    author: Few<Scalar, MOST>,
    license: Few<Scalar, MOST>,
    x_spdx_expression: Scalar,
}

impl Cataloger for Perl {
    fn name(&self) -> &'static str {
        "perl"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new()
            .path("**/.meta/*/install.json")
            .path("**/.meta/*/MYMETA.json")
            // Trees of libraries hold copies under names such as `META_1.json`, too. Where the file lies is looked at
            // later: a pattern with `**` twice is quadratic in the depth of a hostile path.
            .path("**/META*.json")
            .path("**/META.yml")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        match file.name() {
            "install.json" => {
                let install: Install = field::json(contents)?;
                findings.package(install.package());
            }
            "MYMETA.json" => {
                let meta: Meta = field::json(contents)?;
                let licenses = meta.licenses();
                if let (Some(name), false) = (field::word(meta.name.text()), licenses.is_empty()) {
                    findings.supplement(Supplement {
                        kind: "cpan".to_owned(),
                        name,
                        licenses,
                        ..Supplement::default()
                    });
                }
            }
            name => {
                let Some(evidence) = place(file.directory()) else { return Ok(()) };
                let meta = match name.ends_with(".yml") {
                    true => field::yaml::<YamlMeta>(contents)?.into(),
                    false => field::json::<Meta>(contents)?,
                };
                findings.package(meta.package(evidence));
            }
        }
        Ok(())
    }
}

/// What a distribution's own metadata in this directory is evidence of.
///
/// Where clients build, that is the directory of an unpacked distribution and none in it, since distributions that
/// are about metadata have such files among their tests: `.cpanm/work/<time>.<process>/A-1.0`, `.cpan/build/A-1.0-0`.
fn place(directory: &str) -> Option<Evidence> {
    if directory.split('/').any(|part| matches!(part, ".cpan" | ".cpanm" | ".perl-cpm")) {
        let mut above = directory.rsplit('/').skip(1);
        let unpacked = matches!((above.next(), above.next()), (Some("build"), Some(".cpan")) | (Some(_), Some("work")));
        return unpacked.then_some(Evidence::Declared);
    }
    directory.split('/').any(|part| matches!(part, "perl" | "perl5")).then_some(Evidence::Installed)
}

impl Install {
    /// The package, or one without a name if the record does not say enough.
    fn package(&self) -> Package {
        let archive = self.pathname.text().rsplit('/').next().unwrap_or_default();
        let archive = [".tar.gz", ".tar.bz2", ".tgz", ".zip"].iter().find_map(|end| archive.strip_suffix(end));
        let version = self.version.text();
        let distribution = Some(self.dist.text()).filter(|dist| !dist.is_empty()).or(archive).unwrap_or_default();
        let name = distribution.strip_suffix(version).and_then(|name| name.strip_suffix('-'));
        // The distribution's version may be written otherwise than its main module's: `v1.2.0` and `1.002`.
        let split = name.filter(|_| !version.is_empty()).map(|name| (name, version)).or_else(|| split(distribution));
        let Some((name, version)) = split.filter(|(name, version)| field::is_word(name) && field::is_word(version))
        else {
            return Package::default();
        };
        Package {
            kind: "cpan".to_owned(),
            namespace: publisher(self.pathname.text()),
            name: name.to_owned(),
            version: version.to_owned(),
            ..Package::default()
        }
    }
}

impl From<YamlMeta> for Meta {
    fn from(meta: YamlMeta) -> Self {
        let YamlMeta { name, version, r#abstract, author, license, x_spdx_expression } = meta;
        Self { name, version: Scalar(version), r#abstract, author, license, x_spdx_expression }
    }
}

impl Meta {
    fn package(&self, evidence: Evidence) -> Package {
        let (Some(name), Some(version)) = (field::word(self.name.text()), field::word(self.version.text())) else {
            return Package::default();
        };
        Package {
            kind: "cpan".to_owned(),
            name,
            version,
            licenses: self.licenses(),
            author: self.author.0.first().and_then(|author| field::line(author.text())),
            description: field::line(self.r#abstract.text()),
            evidence,
            ..Package::default()
        }
    }

    fn licenses(&self) -> Vec<String> {
        match field::line(self.x_spdx_expression.text()) {
            Some(expression) => vec![expression],
            None => {
                let known = |license: &String| license != "unknown";
                self.license.0.iter().filter_map(|license| field::line(license.text())).filter(known).collect()
            }
        }
    }
}

/// `libwww-perl` and `6.72` of `libwww-perl-6.72`: a version begins with a digit, or with `v` and a digit.
pub(in crate::catalogers) fn split(distribution: &str) -> Option<(&str, &str)> {
    let (name, version) = distribution.rsplit_once('-')?;
    let is_version = version.strip_prefix('v').unwrap_or(version).starts_with(|c: char| c.is_ascii_digit());
    (is_version && !name.is_empty()).then_some((name, version))
}

/// The publisher's identity at CPAN: `OALDERS` of `O/OA/OALDERS/…`.
pub(in crate::catalogers) fn publisher(pathname: &str) -> Option<String> {
    let pathname = pathname.strip_prefix("authors/id/").unwrap_or(pathname);
    let mut parts = pathname.split('/');
    let (first, second, id, _) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_id = !first.is_empty() && second.starts_with(first) && id.starts_with(second);
    (is_id && field::is_word(id)).then(|| id.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::testing;

    const INSTALL: &str = "usr/local/lib/perl5/site_perl/5.38.2/x86_64-linux-gnu/.meta/libquux-perl-6.72/install.json";
    const MYMETA: &str = "usr/local/lib/perl5/site_perl/5.38.2/x86_64-linux-gnu/.meta/libquux-perl-6.72/MYMETA.json";
    const BUILD: &str = "root/.cpanm/work/1700000000.1/Quux-Core-0.028/META.json";
    const QUUX: &str = r#"{"abstract": "Quuxes", "author": ["Ann <ann@example.org>", "Bob"], "dynamic_config": 1,
        "license": ["perl_5", "unknown"], "meta-spec": {"version": 2}, "name": "Quux-Core", "version": "0.028",
        "provides": {"Quux::Core": {"file": "lib/Quux/Core.pm", "version": "0.027"}}}"#;

    #[test]
    fn reads_every_field() {
        let text = r#"{"name": "Quux", "version": "6.72", "dist": "libquux-perl-6.72", "target": "Quux",
            "pathname": "A/AN/ANN/libquux-perl-6.72.tar.gz", "provides": {"Quux": {"file": "Quux.pm"}}}"#;
        let quux = Package {
            kind: "cpan".into(),
            namespace: Some("ANN".into()),
            name: "libquux-perl".into(),
            version: "6.72".into(),
            ..Package::default()
        };
        assert_eq!(testing::packages(&Perl, INSTALL, text), [quux]);
        let core = Package {
            kind: "cpan".into(),
            name: "Quux-Core".into(),
            version: "0.028".into(),
            licenses: vec!["perl_5".into()],
            author: Some("Ann <ann@example.org>".into()),
            description: Some("Quuxes".into()),
            ..Package::default()
        };
        assert_eq!(testing::packages(&Perl, "usr/share/perl/5.36/Quux/META.json", QUUX), [core]);
        let facts = testing::find(
            &Perl,
            MYMETA,
            QUUX.replace("dynamic_config\": 1", "x_spdx_expression\": \"MIT\"").as_bytes(),
        );
        let expected = Supplement {
            kind: "cpan".into(),
            name: "Quux-Core".into(),
            licenses: vec!["MIT".into()],
            ..Supplement::default()
        };
        assert_eq!(facts.unwrap().supplements(), [expected]);
    }

    #[test]
    fn a_distribution_is_named_by_its_archive() {
        let check =
            |text: &str, expected: &[&str]| assert_eq!(testing::brief(&Perl, INSTALL, text), expected, "{text}");
        check(r#"{"dist": "A-B-v1.0.0", "version": "v1.0.0"}"#, &["A-B v1.0.0"]);
        check(r#"{"dist": "A-B-v1.2.0", "version": "1.002"}"#, &["A-B v1.2.0"]);
        check(r#"{"dist": "A-1.5", "version": 1.5}"#, &["A 1.5"]);
        check(r#"{"pathname": "A/AN/ANN/A-B-2.0.tar.gz", "version": "2.0"}"#, &["A-B 2.0"]);
        check(r#"{"dist": "A-B", "version": ""}"#, &[]);
        check(r#"{"name": "A", "version": "1"}"#, &[]);
        assert!(testing::find(&Perl, INSTALL, b"{").is_err());
    }

    #[test]
    fn what_was_only_unpacked_is_declared() {
        let check = |path: &str, text: &str, expected: &[&str]| {
            assert_eq!(testing::brief(&Perl, path, text), expected, "{path}");
        };
        check(BUILD, QUUX, &["Quux-Core 0.028?"]);
        check("root/.cpan/build/Quux-Core-0.028-0/META.json", QUUX, &["Quux-Core 0.028?"]);
        check("root/.cpanm/work/1700000000.1/CPAN-Meta-2.1/t/data/META.json", QUUX, &[]);
        let yaml = "---\nabstract: Quuxes\nauthor:\n  - 'Ann'\nlicense: perl\nname: Quux-Core\nversion: '0.08'\n";
        check("root/.cpanm/work/1700000000.1/Quux-Core-0.08/META.yml", yaml, &["Quux-Core 0.08?"]);
        check("usr/lib/perl5/Quux/META.yml", &yaml.replace("'0.08'", "0.10"), &["Quux-Core 0.10"]);
        check("usr/lib/perl5/Quux/META.yml", yaml, &["Quux-Core 0.08"]);
        check("app/META.json", QUUX, &[]);
        check("usr/lib/perl5/Quux/META.yml", "version: '1'\n", &[]);
    }

    #[test]
    fn publishers() {
        assert_eq!(publisher("O/OA/OALDERS/URI-5.35.tar.gz").as_deref(), Some("OALDERS"));
        assert_eq!(publisher("OALDERS/URI-5.35.tar.gz"), None);
        assert_eq!(publisher("https://example.org/URI-5.35.tar.gz"), None);
        assert_eq!(publisher(""), None);
    }

    proptest! {
        #[test]
        fn mutations_never_panic(change: (usize, u8, usize)) {
            testing::mutate(&Perl, BUILD, QUUX, change);
            testing::mutate(&Perl, INSTALL, r#"{"dist": "A-B-v1.0.0", "version": "v1.0.0"}"#, change);
        }
    }
}
