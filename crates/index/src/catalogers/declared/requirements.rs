//! Requirements files of pip: `requirements.txt`, `dev-requirements.txt`, `requirements/base.txt`.
//!
//! Source of the format: <https://pip.pypa.io/en/stable/reference/requirements-file-format/>
//!
//! | Line | Package |
//! | --- | --- |
//! | `a-b[x,y] == 1.2.3 ; python_version < "3" --hash=sha256:… # c` | `a-b` 1.2.3 |
//! | `a===1.2.3` | `a` 1.2.3 |
//! | `a \` and then `==1.2.3` | `a` 1.2.3: a backslash joins lines |
//! | `a`, `a>=1`, `a==1.*`, `a~=1.0` | none: no version is named |
//! | `-r other.txt`, `-c constraints.txt`, `-e .`, `--index-url …` | none: the other file is read under its own name |
//! | `a @ https://…`, `./a.whl`, `a==${VERSION}` | none |

use std::borrow::Cow;

use super::locked::{Entry, Locked, check_size};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Reads requirements files.
#[derive(Debug)]
pub(crate) struct Requirements;

impl Cataloger for Requirements {
    fn name(&self) -> &'static str {
        "python-requirements"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/*requirements*.txt").path("**/requirements/*.txt")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let text = decode(contents.whole()?);
        check_size(file, &text)?;
        let mut locked = Locked::new("pypi");
        let mut joined = String::new();
        let mut add = |line: &str| {
            if let Some((name, version)) = pinned(without_comment(line)) {
                locked.add(Entry { name, version, dev: false });
            }
        };
        for line in text.lines() {
            // pip joins lines before it looks for comments; a comment of a whole line is the last of a joined one.
            let is_comment = line.trim_start().starts_with('#');
            if let Some(begun) = line.strip_suffix('\\').filter(|_| !is_comment) {
                joined.push_str(begun);
            } else if joined.is_empty() {
                add(line);
            } else {
                joined.push_str(if is_comment { "" } else { line });
                add(&joined);
                joined.clear();
            }
        }
        add(&joined);
        locked.finish(findings)
    }
}

/// The text, which Windows writes as UTF-16 at times.
fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let from: fn([u8; 2]) -> u16 = match bytes {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)),
    };
    let units: Vec<u16> = bytes[2..].chunks_exact(2).map(|unit| from([unit[0], unit[1]])).collect();
    Cow::Owned(String::from_utf16_lossy(&units))
}

/// A comment begins the line or follows space.
fn without_comment(line: &str) -> &str {
    let comment = memchr::memchr_iter(b'#', line.as_bytes())
        .find(|&at| line[..at].chars().next_back().is_none_or(char::is_whitespace));
    comment.map_or(line, |at| &line[..at])
}

/// Name and version of a requirement that allows one version only.
fn pinned(line: &str) -> Option<(&str, &str)> {
    let (name, version) = line.split_once("==")?;
    let name = without_extras(name.trim())?;
    let version = version.strip_prefix('=').unwrap_or(version);
    // Behind it stand a marker, and options of this requirement.
    let mut words = version.split(';').next()?.split_ascii_whitespace();
    let version = words.next()?;
    let is_alone = words.next().is_none_or(|word| word.starts_with('-'));
    (is_alone && is_name(name) && is_version(version)).then_some((name, version))
}

/// `a[x, y]` → `a`
pub(super) fn without_extras(name: &str) -> Option<&str> {
    match name.split_once('[') {
        None => Some(name),
        Some((name, extras)) => {
            let extras = extras.strip_suffix(']')?;
            (!extras.contains(['[', ']', '"', '\''])).then_some(name.trim_end())
        }
    }
}

/// A name as PEP 508 allows it.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// A version in the letters of PEP 440, and not all versions that begin so (`1.*`).
pub(super) fn is_version(version: &str) -> bool {
    version.trim_start_matches(['v', 'V']).starts_with(|c: char| c.is_ascii_digit())
        && version.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-+!".contains(&b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::locked::tests::read;
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(read(&Requirements, "app/requirements.txt", text.as_bytes()), expected, "{text}");
    }

    // pip 23.2 takes the same lines for requirements with one version, but for the one with a variable, which it
    // replaces.
    const FILE: &str = "\
# comment
-r other.txt
--index-url https://example.org/simple
-e git+https://example.org/e.git@v1==1#egg=e
A_b.c-D==1.0.0
b [x,y] == 2.0.post1 ; python_version < '3' # comment
c===3.0
d==4.0 --hash=sha256:00 \\
    --hash=sha256:11;#
e \\
  ==5!5.0+local
ended \\
# by a comment
unpinned
range>=1,<2
any==1.*
both==1.0,>0.9
compatible~=1.0
not!=1.0
url @ https://example.org/url-1.0.whl#sha256=00
./local==1.whl
env==${VERSION}
{{ template }}==1.0
missing==
missing== --hash=sha256:00
f==v6.0-rc.1
g==7.0 -C option
h==8.0\t--hash=sha256:00
odd==1.0 text --hash=sha256:00
open[x==1.0
closed]x==1.0
twice[x]]==1.0
end==9.0 \\
";

    #[test]
    fn reads_what_is_pinned() {
        check(
            FILE,
            &[
                "A_b.c-D@1.0.0",
                "b@2.0.post1",
                "c@3.0",
                "d@4.0",
                "e@5!5.0+local",
                "f@v6.0-rc.1",
                "g@7.0",
                "h@8.0",
                "end@9.0",
            ],
        );
        check("", &[]);
    }

    #[test]
    fn other_encodings_are_read() {
        check("\u{feff}a==1\r\nb==2\r\n", &["a@1", "b@2"]);
        let units: Vec<u16> = "\u{feff}a==1\r\nb==2".encode_utf16().collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        for bytes in [little, big] {
            assert_eq!(read(&Requirements, "requirements.txt", &bytes), ["a@1", "b@2"]);
        }
        assert!(read(&Requirements, "requirements.txt", b"\xff\xfea").is_empty());
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0..FILE.len(), byte: u8) {
            let mut text = FILE.as_bytes().to_vec();
            text[at] = byte;
            read(&Requirements, "requirements.txt", &text);
        }
    }
}
