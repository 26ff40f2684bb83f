//! Inflating on a thread of its own, so that a single layer keeps two processors busy: one inflates, the other hashes
//! what was inflated, walks it and lets the catalogers read.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use super::{BlobFacts, Chunks, Hasher, Inflater};

/// Chunks between the two threads. Enough that neither waits while the other is at a large file.
const CHUNKS_IN_FLIGHT: usize = 8;

/// Inflates where it is asked to for as long as the processors are busy with other layers, and on a thread of its own
/// from when one is idle: a second thread for each layer would only pass the bytes from cache to cache.
pub(crate) struct Helped<'scope, 'env, R: Read, F> {
    scope: &'scope Scope<'scope, 'env>,
    is_idle: F,
    place: Place<'scope, R>,
}

#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each layer under way, and all its chunks go through it"
)]
enum Place<'scope, R: Read> {
    Here(Inflater<R>),
    There(Piped<'scope>),
    /// No thread could be had, and the layer went with it.
    Lost(io::Error),
}

impl<'scope, 'env, R: Read + Send + 'scope, F: Fn() -> bool> Helped<'scope, 'env, R, F> {
    pub(crate) fn new(scope: &'scope Scope<'scope, 'env>, inflater: Inflater<R>, is_idle: F) -> Self {
        Self { scope, is_idle, place: Place::Here(inflater) }
    }

    fn look_around(&mut self) {
        if matches!(self.place, Place::Here(_)) && (self.is_idle)() {
            let on_the_way = Place::Lost(io::ErrorKind::Other.into());
            if let Place::Here(inflater) = std::mem::replace(&mut self.place, on_the_way) {
                self.place = pipe(self.scope, inflater).map_or_else(Place::Lost, Place::There);
            }
        }
    }
}

impl<'scope, R: Read + Send + 'scope, F: Fn() -> bool> Chunks for Helped<'scope, '_, R, F> {
    fn next(&mut self, chunk: &mut Vec<u8>) -> io::Result<()> {
        self.look_around();
        match &mut self.place {
            Place::Here(inflater) => inflater.next(chunk),
            Place::There(piped) => piped.next(chunk),
            Place::Lost(error) => Err(error.kind().into()),
        }
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        self.look_around();
        match &mut self.place {
            Place::Here(inflater) => inflater.fill(buffer),
            Place::There(_) | Place::Lost(_) => None,
        }
    }

    fn finish(self) -> BlobFacts {
        match self.place {
            Place::Here(inflater) => inflater.finish(),
            Place::There(piped) => piped.finish(),
            Place::Lost(error) => BlobFacts { digest: Hasher::sha256().finish(), read: 0, failure: Some(error) },
        }
    }
}

/// The reading end.
struct Piped<'scope> {
    full: Receiver<io::Result<Vec<u8>>>,
    /// Chunks go back to be filled again: no allocation per chunk.
    empty: SyncSender<Vec<u8>>,
    thread: ScopedJoinHandle<'scope, BlobFacts>,
    ended: bool,
}

/// Starts to inflate on a thread of `scope`.
fn pipe<'scope, R: Read + Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    inflater: Inflater<R>,
) -> io::Result<Piped<'scope>> {
    let (full_sender, full) = sync_channel(CHUNKS_IN_FLIGHT);
    let (empty, empty_receiver) = sync_channel(CHUNKS_IN_FLIGHT + 2);
    let thread = std::thread::Builder::new()
        .name("inflate".into())
        .spawn_scoped(scope, move || inflate(inflater, &full_sender, &empty_receiver))?;
    Ok(Piped { full, empty, thread, ended: false })
}

fn inflate<R: Read>(
    mut inflater: Inflater<R>,
    full: &SyncSender<io::Result<Vec<u8>>>,
    empty: &Receiver<Vec<u8>>,
) -> BlobFacts {
    loop {
        let mut chunk = match empty.try_recv() {
            Ok(chunk) => chunk,
            Err(TryRecvError::Empty) => Vec::new(),
            Err(TryRecvError::Disconnected) => break,
        };
        let filled = inflater.next(&mut chunk);
        let last = filled.is_err() || chunk.is_empty();
        // A walker that found the archive broken does not read on; the blob is then only hashed to its end.
        if full.send(filled.map(|()| chunk)).is_err() || last {
            break;
        }
    }
    inflater.finish()
}

impl Chunks for Piped<'_> {
    fn next(&mut self, chunk: &mut Vec<u8>) -> io::Result<()> {
        let emptied = std::mem::take(chunk);
        if self.ended {
            return Ok(());
        }
        if emptied.capacity() > 0 {
            // If the way back is full, there are chunks enough.
            let _ = self.empty.try_send(emptied);
        }
        // The thread sends an end or an error before it is gone, unless it panicked; `finish` passes the panic on.
        let next = self.full.recv().unwrap_or_else(|_| Err(io::Error::other("the inflating thread is gone")));
        match next {
            Ok(full) => {
                self.ended = full.is_empty();
                *chunk = full;
                Ok(())
            }
            Err(error) => {
                self.ended = true;
                Err(error)
            }
        }
    }

    fn fill(&mut self, _: &mut [u8]) -> Option<io::Result<usize>> {
        None
    }

    fn finish(self) -> BlobFacts {
        drop((self.full, self.empty));
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::Write as _;

    use super::*;
    use crate::Limits;
    use crate::inflate::CHUNK;

    /// All bytes, by chunks and by direct fills in turns, and the facts of the blob; idle from the nth question on.
    fn read(blob: &[u8], idle_from: usize) -> (Vec<u8>, BlobFacts) {
        let stop = Box::new(|_| false);
        let inflater =
            Inflater::open(blob, Hasher::sha256(), blob.len() as u64, &Limits::default(), stop).expect("it is gzip");
        let asked = Cell::new(0);
        let is_idle = || asked.replace(asked.get() + 1) >= idle_from;
        std::thread::scope(|scope| {
            let mut chunks = Helped::new(scope, inflater, is_idle);
            let (mut all, mut chunk, mut piece) = (Vec::new(), Vec::new(), vec![0; 2 * CHUNK]);
            loop {
                if let Some(filled) = chunks.fill(&mut piece) {
                    all.extend_from_slice(&piece[..filled.expect("it inflates")]);
                }
                chunks.next(&mut chunk).expect("it inflates");
                if chunk.is_empty() {
                    break;
                }
                all.extend_from_slice(&chunk);
            }
            (all, chunks.finish())
        })
    }

    #[test]
    fn help_changes_nothing_whenever_it_comes() {
        let plain: Vec<u8> = (0..10 * CHUNK + 77).map(|n| (n / 3) as u8).collect();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&plain).expect("memory takes it");
        let blob = encoder.finish().expect("memory takes it");
        let mut hasher = Hasher::sha256();
        hasher.update(&blob);
        let expected = hasher.finish();
        for idle_from in [0, 1, 2, 5, usize::MAX] {
            let (all, facts) = read(&blob, idle_from);
            assert!(all == plain, "{idle_from}");
            assert!(facts.failure.is_none() && facts.read == blob.len() as u64, "{idle_from}");
            assert_eq!(facts.digest, expected, "{idle_from}");
        }
    }
}
