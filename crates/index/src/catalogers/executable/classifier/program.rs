//! What a row of the table can say.

use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder};

/// One program: a row of the table.
#[derive(Debug)]
pub(super) struct Program {
    /// Type, namespace and name of the package URL: `generic/python`, `golang/github.com/hashicorp/consul`.
    pub(super) purl: &'static str,
    /// Which files, as patterns of [`Interest::path`](crate::Interest::path).
    pub(super) files: &'static [&'static str],
    /// What shows the version. The first that is found counts, in this order, wherever it stands in the file.
    pub(super) signs: &'static [Sign],
    /// `vendor:product` of its CPE names, as the National Vulnerability Database has them.
    pub(super) cpes: &'static [&'static str],
    /// Of the rows with the same choice only the first that is recognised in a file counts: several vendors' programs
    /// have one name. Empty: no such rows.
    pub(super) choice: &'static str,
    /// What must stand before and after a version in the file's name, with which the version then must begin: a
    /// `python3.11` that has `3.8.1` within is no Python 3.8.
    pub(super) name: Option<(&'static str, &'static [&'static str])>,
    /// It is a script, or an archive behind one: it may begin with `#!`. Others of its name that do are wrappers.
    pub(super) script: bool,
}

/// What stands around a version.
#[derive(Debug)]
pub(super) struct Sign {
    /// A regular expression over bytes, without Unicode: `\d` is a digit of ASCII, `.` any byte but a line feed. Its
    /// first group is the version; or the groups `major`, `minor` and `patch` are its parts.
    ///
    /// It should match a few dozen bytes at most: in a file that passes as a stream, up to [`REACH`](super::scan::REACH).
    /// What is farther off is [`then`](Self::then) or [`after`](Self::after), which cost far less.
    pub(super) pattern: &'static str,
    /// Bytes that begin within so many bytes behind the match.
    pub(super) then: Option<(&'static [u8], usize)>,
    /// Bytes that end within so many bytes before it.
    pub(super) after: Option<(&'static [u8], usize)>,
    /// Bytes that are somewhere in the file.
    pub(super) beside: Option<&'static [u8]>,
}

impl Program {
    pub(super) const fn new(purl: &'static str, files: &'static [&'static str], signs: &'static [Sign]) -> Self {
        Self { purl, files, signs, cpes: &[], choice: "", name: None, script: false }
    }

    pub(super) const fn cpes(mut self, cpes: &'static [&'static str]) -> Self {
        self.cpes = cpes;
        self
    }

    pub(super) const fn choice(mut self, choice: &'static str) -> Self {
        self.choice = choice;
        self
    }

    pub(super) const fn version_in_name(mut self, before: &'static str, after: &'static [&'static str]) -> Self {
        self.name = Some((before, after));
        self
    }

    pub(super) const fn script(mut self) -> Self {
        self.script = true;
        self
    }

    /// The version that the file's name demands, `""` if any will do; `None` if the name is not this program's.
    pub(super) fn named<'a>(&self, name: &'a str) -> Option<&'a str> {
        let Some((before, after)) = self.name else { return Some("") };
        let rest = name.strip_prefix(before)?;
        let length = rest.bytes().take_while(|&b| b == b'.' || b.is_ascii_digit()).count();
        // The dot before `so` is not the version's.
        let (version, rest) = rest.split_at(rest[..length].trim_end_matches('.').len());
        let plausible = version.contains('.') && !version.starts_with('.');
        (plausible
            && after
                .iter()
                .any(|after| rest == *after || after.ends_with('*') && rest.starts_with(&after[..after.len() - 1])))
        .then_some(version)
    }
}

impl Sign {
    pub(super) const fn new(pattern: &'static str) -> Self {
        Self { pattern, then: None, after: None, beside: None }
    }

    pub(super) const fn then(mut self, bytes: &'static [u8], within: usize) -> Self {
        self.then = Some((bytes, within));
        self
    }

    pub(super) const fn after(mut self, bytes: &'static [u8], within: usize) -> Self {
        self.after = Some((bytes, within));
        self
    }

    pub(super) const fn beside(mut self, bytes: &'static [u8]) -> Self {
        self.beside = Some(bytes);
        self
    }
}

/// The compiled pattern of a row's sign: each is compiled when the first file comes that needs it.
pub(super) fn regex(program: usize, sign: usize) -> &'static Regex {
    static COMPILED: OnceLock<Vec<Vec<OnceLock<Regex>>>> = OnceLock::new();
    let compiled = COMPILED.get_or_init(|| {
        super::PROGRAMS.iter().map(|program| program.signs.iter().map(|_| OnceLock::new()).collect()).collect()
    });
    compiled[program][sign].get_or_init(|| compile(super::PROGRAMS[program].signs[sign].pattern))
}

fn compile(pattern: &str) -> Regex {
    RegexBuilder::new(pattern).unicode(false).build().expect("the table's patterns are compiled in a test")
}
