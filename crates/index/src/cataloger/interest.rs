//! Which files a cataloger wants.

/// The files a cataloger wants: by path, or by their leading bytes.
///
/// A path pattern is matched against the whole path from the image's root, without the leading slash:
/// `*` stands for any characters within one segment, `**/` for any number of whole segments (none too).
/// The last segment should hold literal characters at its end or its beginning: the matcher finds candidates by them.
#[derive(Clone, Debug, Default)]
pub struct Interest {
    pub(super) patterns: Vec<Pattern>,
    pub(super) leading: Vec<Leading>,
    pub(super) well_known: Vec<&'static str>,
    pub(super) one_below: Vec<&'static str>,
}

#[derive(Clone, Debug)]
pub(super) struct Leading {
    pub(super) offset: usize,
    pub(super) bytes: &'static [u8],
    /// Findings count only if a well-known path leads to the file.
    pub(super) by_content: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Pattern {
    pub(super) text: &'static str,
    pub(super) any_case: bool,
}

/// How many leading bytes of a file can be matched.
pub(crate) const LEADING_BYTES: usize = 64;

impl Interest {
    /// An interest in nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wants the files whose path matches `pattern`.
    #[must_use]
    pub fn path(mut self, pattern: &'static str) -> Self {
        self.patterns.push(Pattern { text: pattern, any_case: false });
        self
    }

    /// Wants the files whose path matches `pattern`, ASCII letters of either case being alike.
    #[must_use]
    pub fn path_in_any_case(mut self, pattern: &'static str) -> Self {
        self.patterns.push(Pattern { text: pattern, any_case: true });
        self
    }

    /// Wants one file below each directory that lies in `parent` (a path, no pattern): the first of the layer that is
    /// not empty. For stores that keep a directory per package, and the package's name and version in the directory's
    /// name: the file stands for its directory, which is no evidence by itself.
    #[must_use]
    pub fn one_below(mut self, parent: &'static str) -> Self {
        self.one_below.push(parent);
        self
    }

    /// Wants the files that have `bytes` at `offset`, whatever their name: `\x7fELF` at 0.
    ///
    /// # Panics
    ///
    /// If `offset` and `bytes` reach past the first 64 bytes.
    #[must_use]
    pub fn leading(mut self, offset: usize, bytes: &'static [u8]) -> Self {
        assert!(offset + bytes.len() <= LEADING_BYTES, "only the first {LEADING_BYTES} bytes are matched");
        self.leading.push(Leading { offset, bytes, by_content: false });
        self
    }

    /// Wants the file that `well_known` (a path, no pattern) leads to in the finished image even if links make it
    /// another file: a package database behind a symbolic link. Such a file has a name of its own in the layer,
    /// so it is recognised by `bytes` at its very beginning, and what is found there counts only if the links of
    /// the finished image do lead from `well_known` to it.
    #[must_use]
    pub fn behind_links(mut self, well_known: &'static str, bytes: &'static [u8]) -> Self {
        assert!(bytes.len() <= LEADING_BYTES, "only the first {LEADING_BYTES} bytes are matched");
        self.well_known.push(well_known);
        if !self.leading.iter().any(|other| other.by_content && other.bytes == bytes) {
            self.leading.push(Leading { offset: 0, bytes, by_content: true });
        }
        self
    }

    /// The path patterns, in the order in which they were named.
    pub fn patterns(&self) -> impl Iterator<Item = &'static str> {
        self.patterns.iter().map(|pattern| pattern.text)
    }

    /// The leading bytes that are wanted, each with its offset.
    pub fn leading_bytes(&self) -> impl Iterator<Item = (usize, &'static [u8])> {
        self.leading.iter().map(|leading| (leading.offset, leading.bytes))
    }

    /// The directories of which one file each is wanted, for every directory in them.
    pub fn parents(&self) -> impl Iterator<Item = &'static str> {
        self.one_below.iter().copied()
    }
}

impl Interest {
    /// 16 hexadecimal digits that another interest does not have.
    pub(super) fn hash(&self) -> String {
        use sha2::{Digest as _, Sha256};
        let mut hash = Sha256::new();
        // Each part with its length: no two interests are the same bytes.
        let mut add = |kind: u8, number: usize, bytes: &[u8]| {
            hash.update([kind]);
            hash.update((number as u64).to_be_bytes());
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        for pattern in &self.patterns {
            add(b'p', usize::from(pattern.any_case), pattern.text.as_bytes());
        }
        for leading in &self.leading {
            add(if leading.by_content { b'c' } else { b'l' }, leading.offset, leading.bytes);
        }
        for path in &self.well_known {
            add(b'w', 0, path.as_bytes());
        }
        for parent in &self.one_below {
            add(b'b', 0, parent.as_bytes());
        }
        hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Pattern {
    /// Whether `path` matches.
    pub(super) fn matches(&self, path: &str) -> bool {
        segments_match(self.text, path, self.any_case)
    }

    /// The literal beginning of the last segment: `python` of `**/python*`.
    pub(super) fn first_literal(&self) -> &'static str {
        let last = self.text.rsplit('/').next().unwrap_or(self.text);
        last.split('*').next().unwrap_or(last)
    }

    /// The literal end of the last segment (`METADATA` of `*.dist-info/METADATA`, `.list` of `info/*.list`) and
    /// whether it is the whole segment.
    pub(super) fn last_literal(&self) -> (&'static str, bool) {
        let last = self.text.rsplit('/').next().unwrap_or(self.text);
        match last.rsplit_once('*') {
            None => (last, true),
            Some((_, tail)) => (tail, false),
        }
    }
}

/// Whether `path` matches `pattern`, in the grammar of [`Interest::path`].
pub(crate) fn path_matches(pattern: &str, path: &str) -> bool {
    segments_match(pattern, path, false)
}

/// Linear in the path: where a later `**` is met, nothing before it is tried again.
fn segments_match(pattern: &str, path: &str, any_case: bool) -> bool {
    // Byte by byte: segments are too short for a search to be worth its beginning.
    let slash = |text: &str| text.bytes().position(|byte| byte == b'/');
    let split = |text: &str| slash(text).map_or((text.len(), None), |end| (end, Some(end + 1)));
    let (mut pattern, mut path) = (Some(pattern), Some(path));
    // What follows the last `**`, and the tail of the path that it was last tried on.
    let mut retry: Option<(&str, &str)> = None;
    loop {
        if pattern.is_none() && path.is_none() {
            return true;
        }
        if let (Some(wanted), Some(given)) = (pattern, path) {
            let ((end, next), (given_end, given_next)) = (split(wanted), split(given));
            if &wanted[..end] == "**" {
                let Some(next) = next else { return true };
                retry = Some((&wanted[next..], given));
                pattern = Some(&wanted[next..]);
                continue;
            }
            if segment_matches(&wanted.as_bytes()[..end], &given.as_bytes()[..given_end], any_case) {
                pattern = next.map(|next| &wanted[next..]);
                path = given_next.map(|next| &given[next..]);
                continue;
            }
        }
        let Some((wanted, (_, shorter))) = retry.and_then(|(wanted, given)| Some((wanted, given.split_once('/')?)))
        else {
            return false;
        };
        retry = Some((wanted, shorter));
        (pattern, path) = (Some(wanted), Some(shorter));
    }
}

fn segment_matches(pattern: &[u8], text: &[u8], any_case: bool) -> bool {
    let equal = |a: &[u8], b: &[u8]| if any_case { a.eq_ignore_ascii_case(b) } else { a == b };
    let mut parts = pattern.split(|&b| b == b'*');
    let first = parts.next().unwrap_or_default();
    if text.len() < first.len() || !equal(&text[..first.len()], first) {
        return false;
    }
    let mut text = &text[first.len()..];
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return text.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return text.len() >= part.len() && equal(&text[text.len() - part.len()..], part);
        }
        let Some(at) = (0..=text.len().saturating_sub(part.len()))
            .find(|&at| text.len() >= at + part.len() && equal(&text[at..at + part.len()], part))
        else {
            return false;
        };
        text = &text[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_paths() {
        let check = |pattern: &'static str, path: &str, expected: bool| {
            let pattern = Pattern { text: pattern, any_case: false };
            assert_eq!(pattern.matches(path), expected, "{} {path}", pattern.text);
        };
        check("var/lib/dpkg/status", "var/lib/dpkg/status", true);
        check("var/lib/dpkg/status", "x/var/lib/dpkg/status", false);
        check("**/var/lib/dpkg/status", "x/y/var/lib/dpkg/status", true);
        check("**/var/lib/dpkg/status", "var/lib/dpkg/status", true);
        check("**/var/lib/dpkg/status", "var/lib/dpkg/status-old", false);
        check("var/lib/dpkg/status.d/*", "var/lib/dpkg/status.d/base", true);
        check("var/lib/dpkg/status.d/*", "var/lib/dpkg/status.d/a/b", false);
        check("**/*.dist-info/METADATA", "usr/lib/x-1.dist-info/METADATA", true);
        check("**/node_modules/**/package.json", "a/node_modules/package.json", true);
        check("**/node_modules/**/package.json", "a/node_modules/b/c/package.json", true);
        check("**/node_modules/**/package.json", "a/modules/b/c/package.json", false);
        check("**/node_modules/**/package.json", "a/node_modules/b/node_modules/c", false);
        check("**/a/b/**/c/d", "a/a/b/c/c/d", true);
        check("**/a/b/**/c/d", "a/b/c/x/d/a/b/d", false);
        check("**/a/*/c", "a/a/b/c", true);
        check("a/**/a", "a", false);
        check("a/**/a", "a/a", true);
        check("a/**", "a/b/c", true);
        check("a/*b*c", "a/xxbyybzzc", true);
        check("a/*b*c", "a/c", false);
        check("a/x*x", "a/x", false);
        let any_case = Pattern { text: "**/egg-info/pkg-info", any_case: true };
        assert!(any_case.matches("a/EGG-INFO/PKG-INFO"));
    }

    #[test]
    fn a_deep_path_is_little_work() {
        // The longest path that is read, with all that invites to try again. Each try at each depth would take hours.
        let path = "php/".repeat(4096);
        let pattern = Pattern { text: "**/php*/**/php*/**/*.so", any_case: false };
        for _ in 0..100 {
            assert!(!pattern.matches(&path));
        }
    }
}
