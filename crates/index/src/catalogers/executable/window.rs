//! A file that is searched as it passes.

use std::io::{self, Read};

/// A sliding part of a stream.
pub(super) struct Window<'a> {
    reader: &'a mut dyn Read,
    buffer: Vec<u8>,
    start: usize,
    /// Where in the stream the window begins.
    pub(super) position: u64,
    ended: bool,
}

impl<'a> Window<'a> {
    /// Bytes read at a time.
    pub(super) const CHUNK: usize = 256 << 10;

    pub(super) fn new(reader: &'a mut dyn Read) -> Self {
        Self { reader, buffer: Vec::new(), start: 0, position: 0, ended: false }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Reads until there are `wanted` bytes or the stream has ended; how many there are.
    pub(super) fn fill(&mut self, wanted: usize) -> io::Result<usize> {
        while self.bytes().len() < wanted && !self.ended {
            self.buffer.drain(..self.start);
            self.start = 0;
            let held = self.buffer.len();
            self.buffer.resize(held.max(wanted) + Self::CHUNK, 0);
            let mut length = held;
            while length < self.buffer.len() {
                match self.reader.read(&mut self.buffer[length..]) {
                    Ok(0) => {
                        self.ended = true;
                        break;
                    }
                    Ok(n) => length += n,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            self.buffer.truncate(length);
        }
        Ok(self.bytes().len())
    }

    pub(super) fn skip(&mut self, n: usize) {
        self.start += n;
        self.position += n as u64;
    }

    /// Skips all but the last `kept` bytes: the beginning of what may go on in those that come.
    pub(super) fn skip_to_tail(&mut self, kept: usize) {
        self.skip(self.bytes().len().saturating_sub(kept));
    }
}
