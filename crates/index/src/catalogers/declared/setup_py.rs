//! `setup.py`: the requirements that its strings pin, `install_requires=["a==1.2.3"]`.
//!
//! The file is a program and is not run. A string counts if it begins with a name, `==` and a version; what is put
//! together when the program runs (`"%s==%s"`, `f"{name}==1"`) does not.

use memchr::memmem;

use super::locked::{Entry, Locked, check_size};
use super::requirements::{is_name, is_version, without_extras};
use crate::{Cataloger, Contents, File, Findings, Interest, Problem};

/// Bytes that are looked at on each side of `==`.
const LONGEST_SIDE: usize = 256;

/// Reads `setup.py` files.
#[derive(Debug)]
pub(crate) struct SetupPy;

impl Cataloger for SetupPy {
    fn name(&self) -> &'static str {
        "python-setup"
    }

    fn version(&self) -> u32 {
        1
    }

    fn interest(&self) -> Interest {
        Interest::new().path("**/setup.py")
    }

    fn catalog(&self, file: &File<'_>, contents: &mut Contents<'_>, findings: &mut Findings) -> Result<(), Problem> {
        let text = contents.text()?;
        check_size(file, &text)?;
        let mut locked = Locked::new("pypi");
        for at in memmem::find_iter(text.as_bytes(), b"==") {
            if let Some((name, version)) = requirement(&text, at) {
                locked.add(Entry { name, version, dev: false });
            }
        }
        locked.finish(findings)
    }
}

/// Name and version on both sides of the `==` at `at`, if a quote stands before the name.
fn requirement(text: &str, at: usize) -> Option<(&str, &str)> {
    // Most of what stands before `==` in a program is no name in quotes.
    if !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || "]._- \t".contains(c)) {
        return None;
    }
    let from = text.floor_char_boundary(at.saturating_sub(LONGEST_SIDE));
    let before = &text[from..at];
    let (_, name) = before.rsplit_once(['"', '\''])?;
    let name = without_extras(name.trim())?;
    let to = text.floor_char_boundary(at + 2 + LONGEST_SIDE);
    let behind = text[at + 2..to].trim_start_matches([' ', '=']);
    let version = behind.split(|c: char| c.is_whitespace() || "\"';,#".contains(c)).next()?;
    (is_name(name) && is_version(version)).then_some((name, version))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::locked::tests::read;
    use super::*;

    const FILE: &str = r#"
from setuptools import setup
if sys.platform == "win32" or os.environ['X']=='1' or 'a'=='2':
    pass
setup(
    name='app', version="1.0.0",
    install_requires=[
        "a-b==1.0.0", ' c == v2.0;python_version<"3.6"',
        "d[x, y]===3.0.post1", "e>=1", "f==1.*", 'g; python_version=="3.6"',
        "%s==%s" % (name, version), f"{h}==1", "i=={}".format(1), "j==" + version,
    ],
)
"#;

    #[test]
    fn reads_pinned_strings() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(read(&SetupPy, "app/setup.py", text.as_bytes()), expected, "{text}");
        };
        check(FILE, &["a-b@1.0.0", "c@v2.0", "d@3.0.post1"]);
        check("==", &[]);
        check("'a==", &[]);
        check(&format!("'{}==1'", "é".repeat(200)), &[]);
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0..FILE.len(), byte: u8) {
            let mut text = FILE.as_bytes().to_vec();
            text[at] = byte;
            read(&SetupPy, "setup.py", &text);
        }
    }
}
