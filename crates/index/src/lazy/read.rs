//! A layer by its table of contents: the walk of [`read_layer`](crate::read_layer()), over rows instead of headers.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

use super::plan::{self, CHUNK};
use super::ranges::Ranges;
use super::table::{Chunk, Entry, Table};
use super::{Form, Unread, Vouched};
use crate::cataloger::Selection;
use crate::read_layer::{Context, Walk, stream_error};
use crate::tar::TarError;
use crate::{Descriptor, File, LayerIndex, LayerReading};

/// Reads `layer` in parts. Blocks.
pub(crate) fn read(
    context: &Context<'_>,
    layer: &Descriptor,
    vouched: &Vouched,
    mut ranges: Ranges,
) -> Result<(LayerIndex, u64), Unread> {
    let table = Table::fetch(layer, vouched, &mut ranges, context.limits)?;
    ranges.plan(plan::plan(&table, layer.size(), context.catalogers, context.limits)?);
    let form = vouched.form.clone();
    let mut streams =
        Streams { form, window_log: context.limits.zstd_window_log, now: Stream::None(ranges), at: (0, 0) };
    let mut walk = Walk::new(context);
    for entry in &table.entries {
        self::entry(context, &mut walk, &table, entry, &mut streams)?;
    }
    let index = LayerIndex {
        format: LayerIndex::FORMAT,
        digest: layer.digest().clone(),
        diff_id: None,
        size: layer.size(),
        inflated_size: table.entries.iter().map(|entry| entry.size).sum(),
        reading: LayerReading::ByContents { table: vouched.digest.clone() },
        entries: walk.index.entries,
        findings: walk.index.findings,
        skipped: walk.index.skipped,
        catalogers: context.catalogers.versions().to_vec(),
        // A layer that is read in parts is not brought up to date by what was kept of it.
        captures: None,
    };
    Ok((index, streams.into_ranges().received()))
}

fn entry(
    context: &Context<'_>,
    walk: &mut Walk<'_>,
    table: &Table,
    entry: &Entry,
    streams: &mut Streams,
) -> Result<(), Unread> {
    let placed = walk.place(entry.name.as_bytes(), entry.kind, entry.target.as_bytes(), entry.size);
    let Some(path) = placed.map_err(unread)? else { return Ok(()) };
    let catalogers = context.catalogers;
    let mut selection = Selection::new();
    catalogers.select_by_path(&path, &mut selection);
    catalogers.select_one_below(&path, &mut walk.index.chosen, &mut selection);
    let chunks = table.chunks(entry);
    if chunks.is_empty() {
        // The table itself, as a file of the layer: its bytes are gone.
        catalogers.select_by_leading_bytes(&table.head, &mut selection);
        return if selection.is_empty() {
            Ok(())
        } else {
            Err(Unread::Whole("a cataloger wants the table of contents"))
        };
    }
    if selection.is_empty() && catalogers.shortest_leading_bytes().is_none_or(|head| head > entry.size) {
        return Ok(());
    }
    let mut contents = Contents { streams, chunks, buffer: Vec::new(), start: 0, failure: None };
    contents.load()?;
    // A short first chunk may end before all the bytes that decide.
    let head_length = catalogers.leading_bytes();
    while contents.buffer.len() < head_length && !contents.chunks.is_empty() {
        contents.load()?;
    }
    let head = &contents.buffer[..contents.buffer.len().min(head_length)];
    catalogers.select_by_leading_bytes(head, &mut selection);
    if selection.is_empty() {
        return Ok(());
    }
    let file = File { path: &path, size: entry.size, executable: entry.executable };
    let read = walk.file(&mut contents, &file, &selection);
    // Whatever the catalogers made of it.
    if let Some(failure) = contents.failure {
        return Err(failure);
    }
    read.map_err(unread)
}

fn unread(error: TarError) -> Unread {
    match error {
        TarError::Malformed(_) => Unread::Whole("it is malformed"),
        TarError::Stream(error) => stream_error(error).into(),
    }
}

/// A file's bytes, handed out once they are verified.
struct Contents<'a> {
    streams: &'a mut Streams,
    /// Those that were not read yet.
    chunks: &'a [Chunk],
    buffer: Vec<u8>,
    start: usize,
    failure: Option<Unread>,
}

impl Contents<'_> {
    /// Appends the next chunk to the buffer.
    fn load(&mut self) -> Result<(), Unread> {
        let Some((chunk, rest)) = self.chunks.split_first() else { return Ok(()) };
        let end = rest.last().unwrap_or(chunk).end;
        self.streams.read(chunk, end, &mut self.buffer)?;
        self.chunks = rest;
        Ok(())
    }
}

impl BufRead for Contents<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.buffer.len() && !self.chunks.is_empty() {
            self.buffer.clear();
            self.start = 0;
            if let Err(failure) = self.load() {
                self.chunks = &[];
                self.failure = Some(failure);
            }
        }
        if self.failure.is_some() {
            return Err(io::Error::other("the layer cannot be read on"));
        }
        Ok(&self.buffer[self.start..])
    }

    fn consume(&mut self, n: usize) {
        self.start += n;
    }
}

impl Read for Contents<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buffer)?;
        self.consume(n);
        Ok(n)
    }
}

/// The compressed streams that chunks lie in, one at a time.
struct Streams {
    form: Form,
    window_log: u32,
    now: Stream,
    /// Where the present stream begins in the blob, and how much of it was inflated.
    at: (u64, u64),
}

enum Stream {
    None(Ranges),
    Gzip(Box<GzDecoder<Ranges>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, Ranges>>),
    /// Only while one takes the place of another.
    Changing,
}

impl Stream {
    fn into_ranges(self) -> Option<Ranges> {
        match self {
            Self::None(ranges) => Some(ranges),
            Self::Gzip(decoder) => Some(decoder.into_inner()),
            Self::Zstd(decoder) => Some(decoder.finish()),
            Self::Changing => None,
        }
    }
}

impl Streams {
    fn into_ranges(self) -> Ranges {
        self.now.into_ranges().expect("no change is left half done")
    }

    /// Appends `chunk` to `buffer` if it is what the table says. If it must be asked for, all up to `end` is.
    fn read(&mut self, chunk: &Chunk, end: u64, buffer: &mut Vec<u8>) -> Result<(), Unread> {
        if chunk.length > CHUNK {
            return Err(Unread::Whole("its chunks are too large"));
        }
        let (offset, inflated) = self.at;
        if offset != chunk.offset || inflated > chunk.inner {
            self.open(chunk, end)?;
        }
        let before = buffer.len();
        let before_it = chunk.inner - self.at.1;
        let skipped = io::copy(&mut self.inflate().take(before_it), &mut io::sink());
        let read = skipped.and_then(|skipped| {
            self.at.1 += skipped;
            // Nothing is reserved on the table's word alone.
            self.inflate().take(chunk.length).read_to_end(buffer)
        });
        self.at.1 += (buffer.len() - before) as u64;
        if read.is_err() && self.ranges().has_failed() {
            return Err(self.ranges().failed());
        }
        if !chunk.is(&buffer[before..]) {
            return Err(Unread::Whole("a chunk is not what the table of contents says"));
        }
        Ok(())
    }

    fn open(&mut self, chunk: &Chunk, end: u64) -> Result<(), Unread> {
        let stream = std::mem::replace(&mut self.now, Stream::Changing);
        let mut ranges = stream.into_ranges().ok_or(Unread::Whole("it was given up"))?;
        ranges.seek(chunk.offset..end)?;
        self.at = (chunk.offset, 0);
        self.now = match self.form {
            Form::EStargz => Stream::Gzip(Box::new(GzDecoder::new(ranges))),
            Form::ZstdChunked(..) => {
                let decoder = zstd::stream::read::Decoder::with_buffer(ranges).and_then(|mut decoder| {
                    decoder.window_log_max(self.window_log)?;
                    Ok(decoder.single_frame())
                });
                let failed = |error| crate::Error::from_source("start to inflate", true, error);
                Stream::Zstd(Box::new(decoder.map_err(failed)?))
            }
        };
        Ok(())
    }

    fn ranges(&mut self) -> &mut Ranges {
        match &mut self.now {
            Stream::None(ranges) => ranges,
            Stream::Gzip(decoder) => decoder.get_mut(),
            Stream::Zstd(decoder) => decoder.get_mut(),
            Stream::Changing => unreachable!("no change is left half done but by an error, which ends the reading"),
        }
    }

    fn inflate(&mut self) -> &mut dyn Read {
        match &mut self.now {
            Stream::Gzip(decoder) => decoder,
            Stream::Zstd(decoder) => decoder,
            Stream::None(_) | Stream::Changing => unreachable!("a stream is opened before it is read"),
        }
    }
}
