//! Looks for the signs of programs in a file.

use std::collections::BTreeMap;
use std::io::{self, Read};

use memchr::memmem;

use super::PROGRAMS;
use super::program::{Sign, regex};

/// In a file that passes as a stream, how far a sign may reach to either side of where its match begins.
pub(super) const REACH: usize = 4096;

/// Bytes of a stream that are searched at a time.
const FRESH: usize = 1 << 20;

/// Matches of one sign that are tried in what is searched at a time, where something else decides whether a match
/// counts. Real programs have a handful.
const MOST_MATCHES: usize = 10_000;

/// Bytes of a version.
const LONGEST: usize = 128;

/// A version and, where the pattern names any, its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) version: String,
    parts: BTreeMap<&'static str, String>,
}

impl Found {
    pub(super) fn part(&self, name: &str) -> Option<&str> {
        self.parts.get(name).map(String::as_str)
    }
}

/// Which of `candidates` the file of this name is, with what it says.
pub(super) fn held(candidates: &[usize], name: &str, bytes: &[u8]) -> Vec<(usize, Found)> {
    let mut recognised = Recognised::default();
    for &program in candidates {
        if recognised.settled(program) || is_wrapper(program, bytes) {
            continue;
        }
        let version = PROGRAMS[program].named(name).unwrap_or_default();
        let found = PROGRAMS[program].signs.iter().enumerate().find_map(|(index, sign)| {
            let beside = sign.beside.is_none_or(|beside| memmem::find(bytes, beside).is_some());
            beside.then(|| Search { program, index, sign, version }.find(bytes, 0, bytes.len()))?
        });
        recognised.add(program, found);
    }
    recognised.found
}

/// As [`held`], for a file that passes by.
///
/// What is searched at a time overlaps with what was before it and what comes after it by [`REACH`].
pub(super) fn passing(candidates: &[usize], name: &str, reader: &mut dyn Read) -> io::Result<Vec<(usize, Found)>> {
    struct Pending<'a> {
        search: Search<'a>,
        found: Option<Found>,
        beside: bool,
    }
    let mut pending: Vec<Pending<'_>> = Vec::new();
    let mut buffer = Vec::new();
    let (mut from, mut first) = (0, true);
    loop {
        let ended = fill(reader, &mut buffer, from + FRESH + REACH)?;
        if first {
            first = false;
            for &program in candidates.iter().filter(|&&program| !is_wrapper(program, &buffer)) {
                let version = PROGRAMS[program].named(name).unwrap_or_default();
                pending.extend(PROGRAMS[program].signs.iter().enumerate().map(|(index, sign)| Pending {
                    search: Search { program, index, sign, version },
                    found: None,
                    beside: sign.beside.is_none(),
                }));
            }
        }
        let until = if ended { buffer.len() } else { buffer.len() - REACH };
        let mut settled = None;
        pending.retain_mut(|pending| {
            let Search { program, sign, .. } = pending.search;
            if settled == Some(program) {
                return false;
            }
            if pending.found.is_none() {
                pending.found = pending.search.find(&buffer, from, until);
            }
            // What begins before `from` was searched with what follows it.
            pending.beside |= sign.beside.is_some_and(|beside| memmem::find(&buffer[from..], beside).is_some());
            if pending.found.is_some() && pending.beside {
                // No sign of lower rank can count any more.
                settled = Some(program);
            }
            true
        });
        if ended {
            break;
        }
        from = until.min(REACH);
        buffer.drain(..until - from);
    }
    let mut recognised = Recognised::default();
    for pending in pending {
        if !recognised.settled(pending.search.program) {
            recognised.add(pending.search.program, pending.found.filter(|_| pending.beside));
        }
    }
    Ok(recognised.found)
}

/// Reads until there are `wanted` bytes; whether the stream has ended before.
fn fill(reader: &mut dyn Read, buffer: &mut Vec<u8>, wanted: usize) -> io::Result<bool> {
    let missing = wanted.saturating_sub(buffer.len()) as u64;
    buffer.reserve(wanted.saturating_sub(buffer.len()));
    Ok((reader.take(missing).read_to_end(buffer)? as u64) < missing)
}

fn is_wrapper(program: usize, bytes: &[u8]) -> bool {
    bytes.starts_with(b"#!") && !PROGRAMS[program].script
}

#[derive(Default)]
struct Recognised {
    found: Vec<(usize, Found)>,
}

impl Recognised {
    /// Whether this program has been found, or another of the same choice.
    fn settled(&self, program: usize) -> bool {
        let choice = PROGRAMS[program].choice;
        self.found.iter().any(|&(other, _)| other == program || !choice.is_empty() && PROGRAMS[other].choice == choice)
    }

    fn add(&mut self, program: usize, found: Option<Found>) {
        self.found.extend(found.map(|found| (program, found)));
    }
}

/// A sign of a program that is looked for.
#[derive(Clone, Copy)]
struct Search<'a> {
    program: usize,
    index: usize,
    sign: &'static Sign,
    /// What the version must begin with, by the file's name.
    version: &'a str,
}

impl Search<'_> {
    /// The first match that counts of those that begin from `from` up to `until`.
    fn find(&self, bytes: &[u8], from: usize, until: usize) -> Option<Found> {
        let regex = regex(self.program, self.index);
        let mut at = from;
        for _ in 0..MOST_MATCHES {
            let matched = regex.find_at(bytes, at).filter(|matched| matched.start() < until)?;
            if self.surrounded(bytes, matched.start(), matched.end())
                && let Some(found) = self.read(bytes, matched.start())
            {
                return Some(found);
            }
            // The last byte of a match may be the first of the next: zeroes stand between strings.
            at = (matched.start() + 1).max(matched.end().saturating_sub(1));
        }
        None
    }

    fn surrounded(&self, bytes: &[u8], start: usize, end: usize) -> bool {
        let then = self.sign.then.is_none_or(|(then, within)| {
            memmem::find(&bytes[end..bytes.len().min(end + within + then.len())], then).is_some()
        });
        then && self.sign.after.is_none_or(|(after, within)| {
            memmem::find(&bytes[start.saturating_sub(within + after.len())..start], after).is_some()
        })
    }

    fn read(&self, bytes: &[u8], start: usize) -> Option<Found> {
        let regex = regex(self.program, self.index);
        let captures = regex.captures_at(bytes, start)?;
        let text = |name: &str| std::str::from_utf8(captures.name(name)?.as_bytes()).ok();
        let names = ["primary", "update", "major", "minor", "patch"];
        let parts: BTreeMap<_, _> = names.into_iter().filter_map(|name| Some((name, text(name)?.to_owned()))).collect();
        let version = match (parts.get("major"), parts.get("minor"), parts.get("patch")) {
            (Some(major), Some(minor), Some(patch)) => format!("{major}.{minor}.{patch}"),
            _ => std::str::from_utf8(captures.get(1)?.as_bytes()).ok()?.to_owned(),
        };
        let rest = version.strip_prefix(self.version)?;
        let continues = !self.version.is_empty() && rest.starts_with(|c: char| c.is_ascii_digit());
        (!continues && version.len() <= LONGEST).then_some(Found { version, parts })
    }
}
