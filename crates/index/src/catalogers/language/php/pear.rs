//! PEAR and PECL packages, from the registry that `pear` and `pecl` keep.
//!
//! `.registry/<name>.reg` for packages of `pear.php.net`, `.registry/.channel.<channel>/<name>.reg` for those of
//! other channels: a serialised array ([`serialized`](super::serialized)), made of the package's `package.xml`:
//!
//! | Field | `package.xml` 2 | 1 |
//! | --- | --- | --- |
//! | name | `name` | `package` |
//! | channel | `channel` | that of the path |
//! | version | `version`: `release` | `version` |
//! | licence | `license`: text, or `_content` | `release_license` |
//! | description | `summary` | `summary` |
//!
//! Source of the format: <https://pear.php.net/manual/guide.developers.package2.php> and `PEAR/Registry.php`.

use super::serialized::{NotSerialized, Reader};
use crate::package::Package;
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Reads PEAR's registry.
#[derive(Debug)]
pub(in crate::catalogers::language) struct Pear;

impl Cataloger for Pear {
    fn name(&self) -> &'static str {
        "pear"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/.registry/*.reg").path("**/.registry/.channel.*/*.reg")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let mut record = Record::default();
        match record.read(contents.whole()?) {
            Ok(()) => findings.package(record.package(file)),
            Err(NotSerialized) => return Err(Problem::malformed("registry: not a serialised array")),
        }
        Ok(())
    }
}

#[derive(Default)]
struct Record<'a> {
    name: &'a [u8],
    channel: &'a [u8],
    version: &'a [u8],
    license: &'a [u8],
    summary: &'a [u8],
}

impl<'a> Record<'a> {
    fn read(&mut self, bytes: &'a [u8]) -> Result<(), NotSerialized> {
        Reader::new(bytes.trim_ascii_start()).array(|key, reader| {
            let field = match key {
                b"name" | b"package" => &mut self.name,
                b"channel" => &mut self.channel,
                b"version" => &mut self.version,
                b"license" | b"release_license" => &mut self.license,
                b"summary" => &mut self.summary,
                _ => return reader.skip(),
            };
            text(reader, field)
        })
    }

    /// The package, or one without a name (which is dropped) if it has no name or no version.
    fn package(&self, file: &File<'_>) -> Package {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes.trim_ascii()).into_owned();
        let optional = |bytes: &[u8]| Some(text(bytes)).filter(|text| !text.is_empty());
        let Some(version) = optional(self.version) else { return Package::default() };
        let of_path = file.directory().rsplit('/').next().and_then(|name| name.strip_prefix(".channel."));
        let channel = optional(self.channel).unwrap_or_else(|| of_path.unwrap_or("pear.php.net").to_owned());
        Package {
            kind: "pear".to_owned(),
            namespace: Some(channel),
            name: text(self.name),
            version,
            licenses: optional(self.license).into_iter().collect(),
            description: optional(self.summary).and_then(|summary| summary.lines().next().map(str::to_owned)),
            ..Package::default()
        }
    }
}

/// A string, or the one of an array of these keys. What comes first counts.
fn text<'a>(reader: &mut Reader<'a>, field: &mut &'a [u8]) -> Result<(), NotSerialized> {
    let mut found = None;
    if reader.is_array() {
        reader.array(|key, reader| match key {
            b"release" | b"_content" => {
                found = reader.string()?;
                Ok(())
            }
            _ => reader.skip(),
        })?;
    } else {
        found = reader.string()?;
    }
    if field.is_empty() {
        *field = found.unwrap_or_default();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(path: &str, bytes: &[u8]) -> Result<Vec<Package>, Problem> {
        let file = File { path, size: bytes.len() as u64, executable: false };
        let mut findings = Findings::default();
        Pear.catalog(&file, &mut Contents::held(bytes), &mut findings)?;
        Ok(findings.packages().to_vec())
    }

    const PATH: &str = "usr/local/lib/php/.registry/.channel.pecl.php.net/quux.reg";

    /// Of a `package.xml` 2; `old` repeats what its predecessor would have said.
    const QUUX: &[u8] = b"a:8:{s:7:\"attribs\";a:1:{s:7:\"version\";s:3:\"2.1\";}s:4:\"name\";s:4:\"quux\";\
        s:7:\"channel\";s:12:\"pecl.php.net\";s:7:\"summary\";s:12:\"Quux for PHP\";s:4:\"lead\";a:2:{i:0;\
        a:1:{s:4:\"name\";s:3:\"Ann\";}i:1;a:1:{s:4:\"name\";s:2:\"Bo\";}}s:7:\"version\";a:2:{s:7:\"release\";\
        s:5:\"3.2.0\";s:3:\"api\";s:5:\"3.0.0\";}s:7:\"license\";a:2:{s:7:\"attribs\";a:1:{s:3:\"uri\";s:1:\"x\";}\
        s:8:\"_content\";s:11:\"PHP License\";}s:3:\"old\";a:1:{s:7:\"version\";s:5:\"0.0.1\";}}";

    #[test]
    fn both_versions_are_read() {
        let quux = Package {
            kind: "pear".into(),
            namespace: Some("pecl.php.net".into()),
            name: "quux".into(),
            version: "3.2.0".into(),
            licenses: vec!["PHP License".into()],
            description: Some("Quux for PHP".into()),
            ..Package::default()
        };
        assert_eq!(read(PATH, QUUX).unwrap(), std::slice::from_ref(&quux));
        let first = b"a:4:{s:7:\"package\";s:4:\"quux\";s:7:\"summary\";s:12:\"Quux for PHP\";\
            s:7:\"version\";s:5:\"3.2.0\";s:15:\"release_license\";s:11:\"PHP License\";}";
        assert_eq!(read(PATH, first).unwrap(), std::slice::from_ref(&quux));
        let of_pear = Package { namespace: Some("pear.php.net".into()), ..quux };
        assert_eq!(read("usr/share/php/.registry/quux.reg", first).unwrap(), [of_pear]);
    }

    #[test]
    fn what_is_not_a_registry() {
        assert_eq!(read(PATH, b"a:1:{s:4:\"name\";s:4:\"quux\";}").unwrap(), []);
        for bytes in [&b""[..], b"\0", b"a:1:{", b"a:1:{s:4:\"name\";s:40:\"quux\";}", &QUUX[..100]] {
            assert_eq!(read(PATH, bytes).unwrap_err().to_string(), "registry: not a serialised array");
        }
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0..QUUX.len(), byte: u8, cut in 0..QUUX.len()) {
            let mut bytes = QUUX.to_vec();
            bytes[at] = byte;
            bytes.truncate(cut);
            _ = read(PATH, &bytes);
        }
    }
}
