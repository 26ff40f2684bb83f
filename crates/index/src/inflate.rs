//! A layer's bytes, hashed as they arrive, inflated chunk by chunk, and looked at in place.

mod piped;

use std::io::{self, BufReader, Read};

pub(crate) use piped::Helped;

use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::{DiffIds, Digest, Limits};

/// Bytes read from the source at a time, and inflated at a time: small enough to stay in a core's second-level
/// cache, large enough that the calls do not count.
const CHUNK: usize = 128 * 1024;

/// Layers smaller than this may inflate at any ratio.
const RATIO_JUDGED_FROM: u64 = 64 << 20;

/// How a layer is compressed, told by its first bytes: media types lie, and older registries have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    Plain,
    Gzip,
    Zstd,
    /// One that image layers are not made with.
    Other(&'static str),
}

impl Compression {
    pub(crate) fn detect(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // The second form is a skippable frame, with which zstd:chunked and pzstd may begin.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Other("xz"),
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..] => Self::Other("bzip2"),
            _ => Self::Plain,
        }
    }
}

/// The digest of a blob under way, in the algorithm that its descriptor names.
pub(crate) enum Hasher {
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Hasher {
    pub(crate) fn sha256() -> Self {
        Self::Sha256(Sha256::new())
    }

    /// `None` if the algorithm is not one of the image specification's.
    pub(crate) fn like(digest: &Digest) -> Option<Self> {
        use oci_spec::image::DigestAlgorithm;
        match digest.algorithm() {
            DigestAlgorithm::Sha256 => Some(Self::sha256()),
            DigestAlgorithm::Sha384 => Some(Self::Sha384(Sha384::new())),
            DigestAlgorithm::Sha512 => Some(Self::Sha512(Sha512::new())),
            _ => None,
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha384(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> Digest {
        fn text(algorithm: &str, hash: &[u8]) -> String {
            use std::fmt::Write as _;
            let mut text = format!("{algorithm}:");
            for byte in hash {
                write!(text, "{byte:02x}").expect("a String takes what is written");
            }
            text
        }
        let text = match self {
            Self::Sha256(hash) => text("sha256", &hash.finalize()),
            Self::Sha384(hash) => text("sha384", &hash.finalize()),
            Self::Sha512(hash) => text("sha512", &hash.finalize()),
        };
        text.parse().expect("an algorithm and its hexadecimal hash are a digest")
    }
}

/// The digest of bytes that are in memory, in the algorithm of `like`.
pub(crate) fn digest_like(like: &Digest, bytes: &[u8]) -> Option<Digest> {
    let mut hasher = Hasher::like(like)?;
    hasher.update(bytes);
    Some(hasher.finish())
}

/// The blob as it is stored: counted and hashed.
pub(crate) struct Blob<R> {
    inner: R,
    hasher: Hasher,
    read: u64,
    stop: Stop,
    /// The source's own failure, which a decoder may have hidden behind one of its own.
    failure: Option<io::Error>,
}

/// Told the bytes read so far before each chunk; `true` ends the reading.
pub(crate) type Stop = Box<dyn Fn(u64) -> bool + Send>;

impl<R: Read> Read for Blob<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.stop)(self.read) {
            return Err(io::Error::other(Cancelled));
        }
        match self.inner.read(buffer) {
            Ok(n) => {
                self.hasher.update(&buffer[..n]);
                self.read += n as u64;
                Ok(n)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let copy = io::Error::new(error.kind(), error.to_string());
                self.failure = Some(error);
                Err(copy)
            }
        }
    }
}

/// Nobody waits for the layer any more.
#[derive(Debug)]
pub(crate) struct Cancelled;

impl std::fmt::Display for Cancelled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cancelled")
    }
}

impl std::error::Error for Cancelled {}

/// A limit was reached; its message names it.
#[derive(Debug)]
pub(crate) struct OverLimit(pub(crate) String);

impl std::fmt::Display for OverLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OverLimit {}

/// The blob with the bytes in front that were read to tell its compression.
type Rewound<R> = BufReader<io::Chain<io::Cursor<Vec<u8>>, Blob<R>>>;

#[expect(clippy::large_enum_variant, reason = "there is one for each layer under way, and all its reads go through it")]
enum Decoder<R: Read> {
    Plain(Rewound<R>),
    Gzip(flate2::bufread::MultiGzDecoder<Rewound<R>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, Rewound<R>>>),
}

impl<R: Read> Decoder<R> {
    fn blob(&self) -> &Blob<R> {
        let reader = match self {
            Self::Plain(reader) => reader,
            Self::Gzip(decoder) => decoder.get_ref(),
            Self::Zstd(decoder) => decoder.get_ref(),
        };
        reader.get_ref().get_ref().1
    }

    fn into_blob(self) -> Blob<R> {
        let reader = match self {
            Self::Plain(reader) => reader,
            Self::Gzip(decoder) => decoder.into_inner(),
            Self::Zstd(decoder) => decoder.finish(),
        };
        reader.into_inner().into_inner().1
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(reader) => reader.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }

    /// Whether `error` is the decoder's word for a frame that wants a larger window than it may have. The crate hands
    /// on the library's message and nothing else.
    fn wants_window(&self, error: &io::Error) -> bool {
        matches!(self, Self::Zstd(_)) && error.to_string() == "Frame requires too much memory for decoding"
    }
}

/// The inflated tar, chunk by chunk.
pub(crate) trait Chunks {
    /// Puts the next chunk in the place of `chunk`; an empty one at the end. All chunks but the last are of the same
    /// size, a multiple of tar's 512 bytes.
    fn next(&mut self, chunk: &mut Vec<u8>) -> io::Result<()>;

    /// Fills `buffer`, a multiple of that size, with the next bytes, or less of it at the end. `None` from those that
    /// have their chunks elsewhere: nothing is gained by a detour.
    fn fill(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>>;

    /// Reads what is left of the blob as it is stored, inflating nothing, and says what was read in all.
    fn finish(self) -> BlobFacts;
}

/// What is known of a blob once it was read to its end.
pub(crate) struct BlobFacts {
    pub(crate) digest: Digest,
    pub(crate) read: u64,
    /// The source's own failure, if that is what ended the reading.
    pub(crate) failure: Option<io::Error>,
}

/// Inflates where it is asked to.
pub(crate) struct Inflater<R: Read> {
    decoder: Decoder<R>,
    /// Bytes inflated so far.
    total: u64,
    layer_size: u64,
    ratio: u64,
    zstd_window_log: u32,
    /// Bytes that the blob has by its descriptor: one that is longer is not read on for ever.
    at_most: u64,
}

impl<R: Read> Inflater<R> {
    /// Begins to read. A compression that is not supported is [`io::ErrorKind::Unsupported`].
    pub(crate) fn open(inner: R, hasher: Hasher, at_most: u64, limits: &Limits, stop: Stop) -> io::Result<Self> {
        let mut blob = Blob { inner, hasher, read: 0, stop, failure: None };
        let mut head = Vec::with_capacity(16);
        (&mut blob).take(16).read_to_end(&mut head)?;
        let compression = Compression::detect(&head);
        let reader = BufReader::with_capacity(CHUNK, io::Cursor::new(head).chain(blob));
        let decoder = match compression {
            Compression::Plain => Decoder::Plain(reader),
            Compression::Gzip => Decoder::Gzip(flate2::bufread::MultiGzDecoder::new(reader)),
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(reader)?;
                decoder.window_log_max(limits.zstd_window_log)?;
                Decoder::Zstd(Box::new(decoder))
            }
            Compression::Other(name) => {
                return Err(io::Error::new(io::ErrorKind::Unsupported, format!("{name} compression")));
            }
        };
        Ok(Self {
            decoder,
            total: 0,
            layer_size: limits.layer_size,
            ratio: limits.inflation_ratio,
            zstd_window_log: limits.zstd_window_log,
            at_most,
        })
    }

    fn check_limits(&self) -> io::Result<()> {
        if self.total > self.layer_size {
            let message = format!("the layer inflates to more than {} bytes (layer_size)", self.layer_size);
            return Err(io::Error::other(OverLimit(message)));
        }
        let stored = self.decoder.blob().read;
        if self.total > RATIO_JUDGED_FROM && self.total / self.ratio > stored {
            let message =
                format!("{stored} stored bytes inflate to more than {} times as many (inflation_ratio)", self.ratio);
            return Err(io::Error::other(OverLimit(message)));
        }
        Ok(())
    }

    /// Fills `buffer`, or less of it at the end.
    fn inflate(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.decoder.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if self.decoder.wants_window(&error) => {
                    let log = self.zstd_window_log;
                    let message = format!("a zstd frame's window is over 2^{log} bytes (zstd_window_log)");
                    return Err(io::Error::other(OverLimit(message)));
                }
                Err(error) => return Err(error),
            }
        }
        self.total += filled as u64;
        self.check_limits()?;
        Ok(filled)
    }
}

impl<R: Read> Chunks for Inflater<R> {
    fn next(&mut self, chunk: &mut Vec<u8>) -> io::Result<()> {
        chunk.resize(CHUNK, 0);
        let filled = self.inflate(chunk)?;
        chunk.truncate(filled);
        Ok(())
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        Some(self.inflate(buffer))
    }

    fn finish(self) -> BlobFacts {
        let mut blob = self.decoder.into_blob();
        let left = self.at_most.saturating_add(1).saturating_sub(blob.read);
        if blob.failure.is_none() {
            // A failure is kept in the blob.
            let _ = io::copy(&mut (&mut blob).take(left), &mut io::sink());
        }
        BlobFacts { digest: blob.hasher.finish(), read: blob.read, failure: blob.failure }
    }
}

/// A layer's tar, inflated into a window that the walker looks into without copying.
pub(crate) struct Inflated<C> {
    chunks: C,
    window: Vec<u8>,
    start: usize,
    total: u64,
    diff_id: Option<Hasher>,
}

impl<C: Chunks> Inflated<C> {
    pub(crate) fn new(chunks: C, diff_ids: DiffIds) -> Self {
        let diff_id = (diff_ids == DiffIds::Verified).then(Hasher::sha256);
        Self { chunks, window: Vec::new(), start: 0, total: 0, diff_id }
    }

    /// The inflated bytes at hand; empty only at the end of the stream.
    pub(crate) fn window(&mut self) -> io::Result<&[u8]> {
        if self.start == self.window.len() {
            self.start = 0;
            let next = self.chunks.next(&mut self.window);
            self.arrived(0, next)?;
        }
        Ok(&self.window[self.start..])
    }

    /// The next `n` inflated bytes, or fewer at the end of the stream.
    pub(crate) fn peek(&mut self, n: usize) -> io::Result<&[u8]> {
        // Chunks end where headers begin, so this is for archives that are not laid out in blocks.
        while self.start > 0 && self.start < self.window.len() && self.window.len() - self.start < n {
            self.window.drain(..self.start);
            self.start = 0;
        }
        if self.window.len() > self.start {
            let mut more = Vec::new();
            while self.window.len() - self.start < n {
                let next = self.chunks.next(&mut more);
                let before = self.window.len();
                self.window.append(&mut more);
                self.arrived(before, next)?;
                if self.window.len() == before {
                    break;
                }
            }
        }
        let window = self.window()?;
        Ok(&window[..window.len().min(n)])
    }

    fn arrived(&mut self, from: usize, result: io::Result<()>) -> io::Result<()> {
        if result.is_err() {
            self.window.truncate(from);
        }
        if let Some(diff_id) = &mut self.diff_id {
            diff_id.update(&self.window[from..]);
        }
        self.total += (self.window.len() - from) as u64;
        result
    }

    /// Passes over bytes that [`window`](Self::window) or [`peek`](Self::peek) showed.
    pub(crate) fn consume(&mut self, n: usize) {
        self.start += n;
        debug_assert!(self.start <= self.window.len(), "only bytes that were shown are consumed");
    }

    /// Passes over `n` bytes. `false` if the stream ends before.
    pub(crate) fn skip(&mut self, mut n: u64) -> io::Result<bool> {
        while n > 0 {
            let held = self.window()?.len();
            if held == 0 {
                return Ok(false);
            }
            let passed = usize::try_from(n).unwrap_or(usize::MAX).min(held);
            self.consume(passed);
            n -= passed as u64;
        }
        Ok(true)
    }

    /// Passes over the rest of the stream.
    pub(crate) fn drain(&mut self) -> io::Result<()> {
        while !self.window()?.is_empty() {
            self.start = self.window.len();
        }
        Ok(())
    }

    /// The bytes inflated and their digest; true only once the stream was read to its end.
    pub(crate) fn finish(self) -> (u64, Option<Digest>, BlobFacts) {
        (self.total, self.diff_id.map(Hasher::finish), self.chunks.finish())
    }
}

impl<C: Chunks> Read for Inflated<C> {
    /// What is wanted in pieces of many chunks is inflated right into its place.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let whole = buffer.len() - buffer.len() % CHUNK;
        if self.start == self.window.len()
            && whole > 0
            && let Some(filled) = self.chunks.fill(&mut buffer[..whole])
        {
            let filled = filled?;
            if let Some(diff_id) = &mut self.diff_id {
                diff_id.update(&buffer[..filled]);
            }
            self.total += filled as u64;
            return Ok(filled);
        }
        let window = self.window()?;
        let n = window.len().min(buffer.len());
        buffer[..n].copy_from_slice(&window[..n]);
        self.consume(n);
        Ok(n)
    }
}
