//! Zip archives that pass as a stream, by their local headers.
//!
//! | Structure | PKWARE APPNOTE 6.3.10 |
//! | --- | --- |
//! | local file header `PK\3\4` | 4.3.7 |
//! | data descriptor, `PK\7\8` or without | 4.3.9 |
//! | zip64 extended information, extra field 1 | 4.5.3 |
//!
//! Java's own writers leave the sizes of a deflated entry to the descriptor behind it, so such an entry can only be
//! passed over by inflating it: deflate says itself where it ends. Stored entries have their size in the header.
//! The walk ends at the first header that is no local one, where the central directory begins.

use std::cell::Cell;
use std::io::{self, Read};

use flate2::{Decompress, FlushDecompress, Status};
use memchr::memmem;

use super::{LOCAL, u16_at, u32_at, u64_at};

/// A header, a name and an extra field of 65 535 bytes each must fit.
const BUFFER: usize = 192 << 10;

/// Bytes of a launcher that may stand before the archive: Spring Boot's script has about 10 KiB.
const LONGEST_LAUNCHER: usize = 64 << 10;

const OVER: &str = "zip: it inflates to more than any honest archive of its size";

/// Why a walk ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The reader failed.
    Read(io::Error),
    /// The archive breaks its format.
    Broken(&'static str),
}

/// Shows every entry's name and contents to `visit`, which may leave them unread; what is left is passed over.
/// `inflatable` is the bytes that may be inflated on the way, shared with whoever else holds the cell.
pub(crate) fn walk(
    reader: &mut dyn Read,
    inflatable: &Cell<u64>,
    visit: &mut dyn FnMut(&[u8], &mut dyn Read),
) -> Result<(), Failure> {
    let mut source = Source { reader, buffer: vec![0; BUFFER], start: 0, end: 0, failure: None };
    if source.peek(LONGEST_LAUNCHER)?.starts_with(b"#!") {
        let launcher = memmem::find(source.peek(LONGEST_LAUNCHER)?, LOCAL);
        source.start += launcher.unwrap_or_default();
    }
    let mut name = Vec::new();
    while let Some(header) = Header::read(&mut source, &mut name)? {
        let mut entry = Entry::new(&mut source, &header, inflatable)?;
        visit(&name, &mut entry);
        let finished = entry.finish();
        if let Some(error) = source.failure.take() {
            return Err(Failure::Read(error));
        }
        finished?;
        if header.described {
            skip_descriptor(&mut source)?;
        }
    }
    Ok(())
}

struct Source<'a> {
    reader: &'a mut dyn Read,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The reader's error, kept here while only the entry's reader knows of it.
    failure: Option<io::Error>,
}

impl Source<'_> {
    /// The next bytes, `wanted` of them unless the stream ends before.
    fn peek(&mut self, wanted: usize) -> Result<&[u8], Failure> {
        self.fill(wanted).map_err(Failure::Read)?;
        Ok(&self.buffer[self.start..self.end])
    }

    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        if self.end - self.start >= wanted {
            return Ok(());
        }
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        while self.end < wanted.min(self.buffer.len()) {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(n) => self.end += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn skip(&mut self, mut count: u64) -> Result<(), Failure> {
        while count > 0 {
            let available = self.peek(1)?.len();
            if available == 0 {
                return Err(Failure::Broken("zip: it ends within an entry"));
            }
            let step = usize::try_from(count).unwrap_or(usize::MAX).min(available);
            self.start += step;
            count -= step as u64;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Header {
    method: u16,
    encrypted: bool,
    /// A data descriptor stands behind the contents.
    described: bool,
    /// Bytes of the contents as they lie there, if the header says so.
    compressed: Option<u64>,
}

impl Header {
    fn read(source: &mut Source<'_>, name: &mut Vec<u8>) -> Result<Option<Self>, Failure> {
        if !source.peek(30)?.starts_with(LOCAL) {
            return Ok(None);
        }
        let fixed = &source.buffer[source.start..source.end];
        let (Some(flags), Some(method), Some(compressed), Some(size), Some(name_length), Some(extra_length)) = (
            u16_at(fixed, 6),
            u16_at(fixed, 8),
            u32_at(fixed, 18),
            u32_at(fixed, 22),
            u16_at(fixed, 26),
            u16_at(fixed, 28),
        ) else {
            return Err(Failure::Broken("zip: it ends within a header"));
        };
        let name_end = 30 + usize::from(name_length);
        let extra_end = name_end + usize::from(extra_length);
        let whole = source.peek(extra_end)?;
        let (Some(name_bytes), Some(extra)) = (whole.get(30..name_end), whole.get(name_end..extra_end)) else {
            return Err(Failure::Broken("zip: it ends within a header"));
        };
        name.clear();
        name.extend_from_slice(name_bytes);
        let described = flags & 8 != 0;
        let mut compressed = u64::from(compressed);
        if compressed == u64::from(u32::MAX) {
            compressed = zip64_size(extra, size == u32::MAX).ok_or(Failure::Broken("zip: an entry has no size"))?;
        }
        source.start += extra_end;
        let known = !described || compressed != 0 || (method == 0 && name.ends_with(b"/"));
        Ok(Some(Self { method, encrypted: flags & 1 != 0, described, compressed: known.then_some(compressed) }))
    }
}

fn zip64_size(mut extra: &[u8], behind_the_inflated: bool) -> Option<u64> {
    loop {
        let (tag, length) = (u16_at(extra, 0)?, usize::from(u16_at(extra, 2)?));
        if tag == 1 {
            return u64_at(extra.get(4..4 + length)?, if behind_the_inflated { 8 } else { 0 });
        }
        extra = extra.get(4 + length..)?;
    }
}

/// The descriptor is as long as makes the next header follow it: its signature is optional, and its sizes have 4 or
/// 8 bytes without anything to tell which.
fn skip_descriptor(source: &mut Source<'_>) -> Result<(), Failure> {
    let ahead = source.peek(28)?;
    let signed = ahead.starts_with(b"PK\x07\x08");
    let lengths = if signed { [16, 24] } else { [12, 20] };
    let next = |at: &usize| {
        ahead.get(*at..*at + 4).is_some_and(|next| matches!(next, b"PK\x03\x04" | b"PK\x01\x02" | b"PK\x05\x06"))
    };
    // A file that is cut off behind the descriptor loses nothing by it.
    let length = lengths.into_iter().find(next).unwrap_or(ahead.len().min(lengths[0]));
    source.start += length;
    Ok(())
}

struct Entry<'a, 'b> {
    source: &'a mut Source<'b>,
    kind: Kind,
    inflatable: &'a Cell<u64>,
    broken: Option<&'static str>,
}

enum Kind {
    Stored {
        left: u64,
    },
    Deflated {
        state: Box<Decompress>,
        left: Option<u64>,
        done: bool,
    },
    /// Its contents cannot be read, but passed over.
    Closed {
        left: u64,
    },
}

impl<'a, 'b> Entry<'a, 'b> {
    fn new(source: &'a mut Source<'b>, header: &Header, inflatable: &'a Cell<u64>) -> Result<Self, Failure> {
        let kind = match (header.method, header.compressed) {
            (8, left) if !header.encrypted => {
                Kind::Deflated { state: Box::new(Decompress::new(false)), left, done: false }
            }
            (0, Some(left)) if !header.encrypted => Kind::Stored { left },
            // Only an empty entry can be told from what follows it.
            (0, None) if source.peek(4)?.starts_with(b"PK") => Kind::Stored { left: 0 },
            (_, Some(left)) => Kind::Closed { left },
            (_, None) => return Err(Failure::Broken("zip: an entry neither says its size nor where it ends")),
        };
        Ok(Self { source, kind, inflatable, broken: None })
    }

    fn finish(mut self) -> Result<(), Failure> {
        match self.kind {
            _ if self.broken == Some(OVER) => Err(Failure::Broken(OVER)),
            Kind::Stored { left } | Kind::Closed { left } | Kind::Deflated { left: Some(left), .. } => {
                self.source.skip(left)
            }
            Kind::Deflated { left: None, .. } => {
                if let Some(reason) = self.broken {
                    return Err(Failure::Broken(reason));
                }
                let mut sink = vec![0; 64 << 10];
                loop {
                    match self.read(&mut sink) {
                        Ok(0) => return Ok(()),
                        Ok(_) => {}
                        Err(_) => return Err(Failure::Broken(self.broken.unwrap_or("zip: an entry cannot be read"))),
                    }
                }
            }
        }
    }

    fn fail(&mut self, reason: &'static str) -> io::Error {
        self.broken = Some(reason);
        io::Error::new(io::ErrorKind::InvalidData, reason)
    }
}

impl Read for Entry<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let wanted = match &self.kind {
                Kind::Stored { left: 0 } | Kind::Closed { .. } | Kind::Deflated { done: true, .. } => return Ok(0),
                _ => 1,
            };
            if let Err(error) = self.source.fill(wanted) {
                let told = io::Error::new(error.kind(), "the archive's stream failed");
                self.source.failure = Some(error);
                return Err(told);
            }
            let available = &self.source.buffer[self.source.start..self.source.end];
            match &mut self.kind {
                Kind::Stored { left } => {
                    let room = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                    let count = available.len().min(room);
                    if count == 0 {
                        return Err(self.fail("zip: it ends within an entry"));
                    }
                    buffer[..count].copy_from_slice(&available[..count]);
                    *left -= count as u64;
                    self.source.start += count;
                    return Ok(count);
                }
                Kind::Deflated { state, left, done } => {
                    let room = left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
                    let input = &available[..available.len().min(room)];
                    let (read, written) = (state.total_in(), state.total_out());
                    let status = state.decompress(input, buffer, FlushDecompress::None);
                    let read = state.total_in() - read;
                    let written = state.total_out() - written;
                    let starved = input.is_empty();
                    self.source.start += usize::try_from(read).unwrap_or(0);
                    if let Some(left) = left {
                        *left -= read;
                    }
                    match status {
                        Ok(Status::StreamEnd) => *done = true,
                        Ok(_) if written == 0 && read == 0 && starved => {
                            return Err(self.fail("zip: it ends within an entry"));
                        }
                        Ok(_) if written == 0 && read == 0 => return Err(self.fail("zip: an entry does not inflate")),
                        Ok(_) => {}
                        Err(_) => return Err(self.fail("zip: an entry does not inflate")),
                    }
                    let Some(inflatable) = self.inflatable.get().checked_sub(written) else {
                        return Err(self.fail(OVER));
                    };
                    self.inflatable.set(inflatable);
                    if written > 0 {
                        return Ok(usize::try_from(written).unwrap_or(0));
                    }
                }
                Kind::Closed { .. } => return Ok(0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogers::zip::tests::zip;

    fn list(mut bytes: &[u8]) -> (Vec<(String, Vec<u8>)>, Option<&'static str>) {
        let mut found = Vec::new();
        let walked = walk(&mut bytes, &Cell::new(1 << 20), &mut |name, contents| {
            let mut data = Vec::new();
            if !name.starts_with(b"skip") {
                let _ = contents.take(100).read_to_end(&mut data);
            }
            found.push((String::from_utf8_lossy(name).into_owned(), data));
        });
        let broken = match walked {
            Ok(()) => None,
            Err(Failure::Broken(reason)) => Some(reason),
            Err(Failure::Read(error)) => panic!("{error}"),
        };
        (found, broken)
    }

    fn owned(entries: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
        entries.iter().map(|(name, data)| ((*name).to_owned(), data.to_vec())).collect()
    }

    /// As Java writes them: sizes behind the contents. `descriptor` is what precedes the 4-byte sizes.
    fn described(entries: &[(&str, &[u8])], descriptor: &[u8], wide: bool) -> Vec<u8> {
        let mut out = Vec::new();
        for entry in entries {
            let one = zip(&[*entry]);
            let central = memmem::rfind(&one, b"PK\x01\x02").unwrap();
            let mut local = one[..central].to_vec();
            let sizes = local[18..26].to_vec();
            local[6] |= 8;
            local[14..26].fill(0);
            out.extend(local);
            out.extend(descriptor);
            out.extend([9; 4]);
            for size in sizes.chunks(4) {
                out.extend(size);
                out.extend(vec![0; if wide { 4 } else { 0 }]);
            }
        }
        out.extend(b"PK\x01\x02 the central directory");
        out
    }

    #[test]
    fn entries_pass_by_in_their_order() {
        let long = vec![b'x'; 5000];
        let entries: [(&str, &[u8]); 5] = [("a", b"1"), ("b!", b"22"), ("skip", &long), ("skip!", &long), ("e", b"")];
        let expected: [(&str, &[u8]); 5] = [("a", b"1"), ("b!", b"22"), ("skip", b""), ("skip!", b""), ("e", b"")];
        assert_eq!(list(&zip(&entries)), (owned(&expected), None));
        let launcher = [b"#!/bin/sh\nexit\n".as_slice(), &zip(&entries)].concat();
        assert_eq!(list(&launcher), (owned(&expected), None));
        assert_eq!(list(b"no zip"), (vec![], None));
    }

    #[test]
    fn sizes_may_stand_behind_the_contents() {
        let long = vec![b'x'; 300_000];
        let entries: [(&str, &[u8]); 4] = [("a", b"1"), ("dir/", b""), ("skip", &long), ("d", b"4")];
        let expected: [(&str, &[u8]); 4] = [("a", b"1"), ("dir/", b""), ("skip", b""), ("d", b"4")];
        for descriptor in [b"PK\x07\x08".as_slice(), b""] {
            for wide in [false, true] {
                let bytes = described(&entries, descriptor, wide);
                assert_eq!(list(&bytes), (owned(&expected), None), "{descriptor:?} {wide}");
            }
        }
        let stored = described(&[("a!", b"not to be found")], b"", false);
        assert_eq!(list(&stored).1, Some("zip: an entry neither says its size nor where it ends"));
    }

    #[test]
    fn bombs_and_cut_files_are_told_of() {
        let bomb = zip(&[("bomb", &vec![0; 2 << 20]), ("b", b"2")]);
        assert_eq!(list(&bomb).1, None, "its size is in the header: nothing is inflated");
        let bomb = described(&[("skip", &vec![0; 2 << 20])], b"", false);
        assert_eq!(list(&bomb).1, Some(OVER));
        let whole = zip(&[("a", b"1"), ("b!", b"22222")]);
        let second = memmem::rfind(&whole, LOCAL).unwrap();
        assert_eq!(list(&whole[..second + 20]), (owned(&[("a", b"1")]), Some("zip: it ends within a header")));
        assert_eq!(list(&whole[..second + 34]).1, Some("zip: it ends within an entry"));
    }

    proptest! {
        #[test]
        fn mutations_never_panic(at in 0_usize..400, byte: u8, wide: bool) {
            let mut bytes = described(&[("a/b", b"one"), ("c", b"two"), ("skip", &[7; 900])], b"PK\x07\x08", wide);
            let length = bytes.len();
            bytes[at % length] = byte;
            list(&bytes);
            list(&bytes[..at % length]);
        }
    }
}
