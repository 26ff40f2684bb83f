//! Inflating on a thread of its own, so that a single layer keeps two processors busy: one inflates, the other hashes
//! what was inflated, walks it and lets the catalogers read.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use super::{BlobFacts, Chunks, Inflater};

/// Chunks between the two threads. Enough that neither waits while the other is at a large file.
const CHUNKS_IN_FLIGHT: usize = 8;

/// The reading end.
pub(crate) struct Piped<'scope> {
    full: Receiver<io::Result<Vec<u8>>>,
    /// Chunks go back to be filled again: no allocation per chunk.
    empty: SyncSender<Vec<u8>>,
    thread: ScopedJoinHandle<'scope, BlobFacts>,
    ended: bool,
}

/// Starts to inflate on a thread of `scope`.
pub(crate) fn pipe<'scope, R: Read + Send + 'scope>(
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
