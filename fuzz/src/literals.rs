//! The string literals of Rust source files.
//!
//! A parser's source names its keywords, and its tests hold samples of what it reads. Both lead a fuzzer, and taken
//! from there they never go out of date.

use std::path::{Path, PathBuf};

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// Every Rust file below `folder`, which is below the root.
pub(crate) fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![root().join(folder)];
    while let Some(path) = pending.pop() {
        if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        } else if let Ok(entries) = std::fs::read_dir(&path) {
            pending.extend(entries.flatten().map(|entry| entry.path()));
        }
    }
    found.sort();
    found
}

/// The string literals of a source file, escapes resolved. A file that cannot be read has none.
pub(crate) fn of(file: &Path) -> Vec<Vec<u8>> {
    std::fs::read(file).map(|source| scan(&source)).unwrap_or_default()
}

fn scan(source: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&byte) = source.get(at) {
        match byte {
            b'/' if source[at..].starts_with(b"//") => {
                at += source[at..].iter().position(|&byte| byte == b'\n').unwrap_or(source.len() - at);
            }
            b'\'' => at += character(&source[at..]),
            b'"' => {
                let (literal, length) = quoted(&source[at + 1..]);
                found.push(literal);
                at += length + 1;
            }
            b'r' if raw_marks(&source[at + 1..]).is_some() => {
                let marks = raw_marks(&source[at + 1..]).unwrap_or_default();
                let begin = at + 2 + marks;
                let end = [b"\"".as_slice(), &b"#".repeat(marks)].concat();
                let length = source[begin..].windows(end.len()).position(|window| window == end);
                let length = length.unwrap_or(source.len() - begin);
                found.push(source[begin..begin + length].to_vec());
                at = (begin + length + end.len()).min(source.len());
            }
            _ => at += 1,
        }
    }
    found
}

/// The number of `#` before the quote of a raw string, if one begins here.
fn raw_marks(source: &[u8]) -> Option<usize> {
    let marks = source.iter().take_while(|&&byte| byte == b'#').count();
    (source.get(marks) == Some(&b'"')).then_some(marks)
}

/// Bytes of a character literal; 1 for a lifetime.
fn character(source: &[u8]) -> usize {
    match source {
        [_, b'\\', _, rest @ ..] => 4 + rest.iter().take(10).position(|&byte| byte == b'\'').unwrap_or(0),
        [_, _, b'\'', ..] => 3,
        _ => 1,
    }
}

/// A literal and the bytes that it takes, closing quote included.
fn quoted(source: &[u8]) -> (Vec<u8>, usize) {
    let mut literal = Vec::new();
    let mut at = 0;
    while let Some(&byte) = source.get(at) {
        at += 1;
        match byte {
            b'"' => break,
            b'\\' => {
                let escape = source.get(at).copied().unwrap_or_default();
                at += 1;
                match escape {
                    b'n' => literal.push(b'\n'),
                    b't' => literal.push(b'\t'),
                    b'r' => literal.push(b'\r'),
                    b'0' => literal.push(0),
                    b'x' => {
                        let digits = source.get(at..at + 2).and_then(|digits| std::str::from_utf8(digits).ok());
                        literal.extend(digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()));
                        at += 2;
                    }
                    // A line that goes on: what stands before its text is no part of it.
                    b'\n' => at += source[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count(),
                    other => literal.push(other),
                }
            }
            other => literal.push(other),
        }
    }
    (literal, at)
}
