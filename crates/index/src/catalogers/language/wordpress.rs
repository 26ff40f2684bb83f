//! WordPress: its core, plugins and themes.
//!
//! | File | Package |
//! | --- | --- |
//! | `wp-content/plugins/*.php`, `wp-content/plugins/*/*.php`, `wp-content/mu-plugins/*.php` | the plugin of its header |
//! | `wp-content/themes/*/style.css` | the theme of its header |
//! | `wp-includes/version.php` | WordPress: `$wp_version = '6.4.2';` |
//!
//! A header is lines `Field: value` in a comment, in the first 8 KiB:
//! <https://developer.wordpress.org/plugins/plugin-basics/header-requirements/>, read as `get_file_data` of
//! `wp-includes/functions.php` does:
//!
//! | Field | | Field | |
//! | --- | --- | --- | --- |
//! | `Plugin Name`, `Theme Name` | name | `License` | licence |
//! | `Version` | version | `Author` | author |
//! | `Description` | description | `Plugin URI`, `Theme URI` | home page |
//!
//! There is no package URL type for plugins; `wordpress-plugin` is Syft's. The directory, by which WordPress's
//! own directory and vulnerability databases know a plugin, is kept as the qualifier `slug`.

use crate::package::Package;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Bytes that WordPress reads of a file to find its header.
const HEADER: usize = 8 << 10;

/// Characters of a value.
const LONGEST_VALUE: usize = 512;

/// Reads WordPress's core, plugins and themes.
#[derive(Debug)]
pub(super) struct Wordpress;

impl Cataloger for Wordpress {
    fn name(&self) -> &'static str {
        "wordpress"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new()
            .path("**/wp-content/plugins/*.php")
            .path("**/wp-content/plugins/*/*.php")
            .path("**/wp-content/mu-plugins/*.php")
            .path("**/wp-content/themes/*/style.css")
            .path("**/wp-includes/version.php")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let bytes = contents.whole()?;
        let text = String::from_utf8_lossy(bytes.get(..HEADER).unwrap_or(bytes));
        let package = match file.name() {
            "style.css" => header(&text, "Theme").map(|header| header.package("wordpress-theme", file)),
            "version.php" if file.directory().ends_with("wp-includes") => core(&text),
            _ => header(&text, "Plugin").map(|header| header.package("wordpress-plugin", file)),
        };
        if let Some(package) = package {
            findings.package(package);
        }
        Ok(())
    }
}

fn core(text: &str) -> Option<Package> {
    let value =
        text.lines().find_map(|line| line.trim_start().strip_prefix("$wp_version")?.trim_start().strip_prefix('='))?;
    let version = value.trim().trim_end_matches(';').trim().trim_matches(['\'', '"']);
    let is_version = version.starts_with(|c: char| c.is_ascii_digit())
        && version.len() <= 64
        && version.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
    is_version.then(|| Package {
        kind: "generic".to_owned(),
        name: "wordpress".to_owned(),
        version: version.to_owned(),
        cpes: vec![format!("cpe:2.3:a:wordpress:wordpress:{version}:*:*:*:*:*:*:*")],
        ..Package::default()
    })
}

#[derive(Default)]
struct Header<'a> {
    name: &'a str,
    version: &'a str,
    license: &'a str,
    author: &'a str,
    description: &'a str,
    url: &'a str,
}

/// The header of a `Plugin` or a `Theme`, if it has a name and a version.
fn header<'a>(text: &'a str, what: &str) -> Option<Header<'a>> {
    let mut header = Header::default();
    for line in text.split(['\n', '\r']) {
        let line = line.trim_start().strip_prefix("<?php").unwrap_or(line);
        let line = line.trim_start_matches([' ', '\t', '/', '*', '#', '@']);
        let Some((key, value)) = line.split_once(':') else { continue };
        let own = key.get(..what.len()).filter(|prefix| prefix.eq_ignore_ascii_case(what)).map(|_| &key[what.len()..]);
        let is = |name: &str| key.eq_ignore_ascii_case(name);
        let is_own = |name: &str| own.is_some_and(|own| own.eq_ignore_ascii_case(name));
        let field = match () {
            () if is_own(" Name") => &mut header.name,
            () if is_own(" URI") => &mut header.url,
            () if is("Version") => &mut header.version,
            () if is("License") => &mut header.license,
            () if is("Author") => &mut header.author,
            () if is("Description") => &mut header.description,
            () => continue,
        };
        // The first of each counts, and the comment or the script may end behind it.
        if field.is_empty() {
            let end = [value.find("*/"), value.find("?>")].into_iter().flatten().min().unwrap_or(value.len());
            *field = value[..end].trim();
        }
    }
    let valid = |value: &str| !value.is_empty() && value.len() <= LONGEST_VALUE;
    (valid(header.name) && valid(header.version)).then_some(header)
}

impl Header<'_> {
    fn package(&self, kind: &str, file: &File<'_>) -> Package {
        let optional = |value: &str| (!value.is_empty()).then(|| value.to_owned());
        let directory = file.directory().rsplit('/').next().unwrap_or_default();
        let slug = match directory {
            "plugins" | "mu-plugins" => file.name().strip_suffix(".php").unwrap_or_default(),
            directory => directory,
        };
        Package {
            kind: kind.to_owned(),
            name: self.name.to_owned(),
            version: self.version.to_owned(),
            qualifiers: [("slug".to_owned(), slug.to_owned())].into(),
            licenses: optional(self.license).into_iter().collect(),
            author: optional(self.author),
            description: optional(self.description),
            url: optional(self.url),
            ..Package::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(path: &str, text: &[u8]) -> Vec<Package> {
        let file = File { path, size: text.len() as u64, executable: false };
        let mut findings = Findings::default();
        Wordpress.catalog(&file, &mut Contents::held(text), &mut findings).expect("is held");
        findings.packages().to_vec()
    }

    const PLUGIN: &str = "var/www/html/wp-content/plugins/quux/quux.php";

    const QUUX: &str = "<?php\n/**\n * @package quux\n */\n/*\nPlugin Name:Quux: The Plugin\nPlugin URI: https://quux.example.org/\n\
        Description: Does <b>things</b>.\nversion: 5.3-beta1 */\nRequires PHP: 5.6.20\nAuthor: Ann - Example\n\
        Author URI: https://ann.example.org\nLicense: GPLv2 or later\nVersion: 9\n*/\n$x = 'Plugin Name: Other';\n";

    #[test]
    fn plugins_are_read() {
        assert_eq!(
            read(PLUGIN, QUUX.as_bytes()),
            [Package {
                kind: "wordpress-plugin".into(),
                name: "Quux: The Plugin".into(),
                version: "5.3-beta1".into(),
                qualifiers: [("slug".into(), "quux".into())].into(),
                licenses: vec!["GPLv2 or later".into()],
                author: Some("Ann - Example".into()),
                description: Some("Does <b>things</b>.".into()),
                url: Some("https://quux.example.org/".into()),
                ..Package::default()
            }]
        );
    }

    #[test]
    fn headers_are_found_as_wordpress_does() {
        let check = |path: &str, text: &str, expected: &[&str]| {
            let found: Vec<_> = read(path, text.as_bytes())
                .iter()
                .map(|package| {
                    let slug = package.qualifiers.get("slug").map_or("", |slug| slug);
                    format!("{} {} {} {slug}", package.kind, package.name, package.version)
                })
                .collect();
            assert_eq!(found, expected, "{path} {text}");
        };
        check(PLUGIN, "<?php /* Plugin Name: A\r\n * VERSION: 1.0\r\n", &["wordpress-plugin A 1.0 quux"]);
        check(PLUGIN, "<?php\n# Plugin name: A ?>\n// Version: 1.0\n", &["wordpress-plugin A 1.0 quux"]);
        check(PLUGIN, "<?php\n// Plugin Name: A\n", &[]);
        check(PLUGIN, "<?php\n// Version: 1\n", &[]);
        check(PLUGIN, "<?php\n// Plugin Name:\n// Version: 1\n", &[]);
        check(PLUGIN, &format!("<?php\n{}// Plugin Name: A\n// Version: 1\n", " ".repeat(HEADER)), &[]);
        check(
            "wp-content/plugins/hello.php",
            "<?php\n/*\nPlugin Name: Hello\nVersion: 1.7.2\n*/",
            &["wordpress-plugin Hello 1.7.2 hello"],
        );
        check(
            "x/wp-content/themes/acme/style.css",
            "/*\nTheme Name: Acme\nVersion: 2.0\n*/",
            &["wordpress-theme Acme 2.0 acme"],
        );
        check("x/wp-content/themes/acme/style.css", "/* Plugin Name: A\nVersion: 2.0\n*/", &[]);
        check("x/wp-includes/version.php", "<?php\n$wp_version = '6.4.2';\n", &["generic wordpress 6.4.2 "]);
        check("x/wp-includes/version.php", "<?php\n$wp_version = $other;\n$wp_db_version = 1;", &[]);
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0..QUUX.len(), byte: u8, cut in 0..QUUX.len()) {
            let mut text = QUUX.as_bytes().to_vec();
            text[at] = byte;
            text.truncate(cut);
            read(PLUGIN, &text);
            read("wp-includes/version.php", &text);
        }
    }
}
