//! One stream for several readers, of which none has to be held whole.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Bytes that are handed on at a time.
const CHUNK: usize = 256 << 10;

/// Chunks that a reader may lag behind the stream: 1 MiB for each, however large the file.
const LAG: usize = 4;

/// Runs every task on all of `reader`, each on a thread of its own, while the stream passes once. A task that reads
/// no further costs the others nothing. A task that no thread could be had for is not run: it has no outcome.
///
/// # Errors
///
/// Those of `reader`, after every task has ended; to the tasks it looks like the end of the stream.
pub(crate) fn tee<T: Send>(
    reader: &mut dyn Read,
    tasks: impl ExactSizeIterator<Item = impl FnOnce(&mut dyn Read) -> T + Send>,
) -> io::Result<Vec<Option<T>>> {
    if tasks.len() == 1 {
        return Ok(tasks.map(|task| Some(task(reader))).collect());
    }
    thread::scope(|scope| {
        let (mut senders, mut threads) = (Vec::new(), Vec::new());
        for task in tasks {
            let (sender, receiver) = sync_channel(LAG);
            let run = move || task(&mut Tap { receiver, chunk: Arc::default(), read: 0 });
            let thread = thread::Builder::new().name("tee".into()).spawn_scoped(scope, run);
            senders.extend(thread.is_ok().then_some(sender));
            threads.push(thread.ok());
        }
        let passed = pass(reader, senders);
        let outcomes = threads.into_iter().map(|thread| {
            // A panic goes on where it would have gone without the thread.
            thread.map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        let outcomes = outcomes.collect();
        passed.map(|()| outcomes)
    })
}

/// Hands the stream on until it ends or nobody listens. What is not read here the owner of the stream skips.
fn pass(reader: &mut dyn Read, mut senders: Vec<SyncSender<Arc<[u8]>>>) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    while !senders.is_empty() {
        let mut length = 0;
        while length < CHUNK {
            match reader.read(&mut buffer[length..]) {
                Ok(0) => break,
                Ok(n) => length += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if length == 0 {
            break;
        }
        let chunk: Arc<[u8]> = buffer[..length].into();
        senders.retain(|sender| sender.send(Arc::clone(&chunk)).is_ok());
    }
    Ok(())
}

/// One reader's end.
struct Tap {
    receiver: Receiver<Arc<[u8]>>,
    chunk: Arc<[u8]>,
    read: usize,
}

impl Read for Tap {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.chunk.len() {
            let Ok(chunk) = self.receiver.recv() else { return Ok(0) };
            (self.chunk, self.read) = (chunk, 0);
        }
        let n = (&self.chunk[self.read..]).read(buffer)?;
        self.read += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Task = Box<dyn FnOnce(&mut dyn Read) -> u64 + Send>;

    fn sum(reader: &mut dyn Read) -> u64 {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        bytes.iter().map(|&byte| u64::from(byte)).sum()
    }

    #[test]
    fn everyone_reads_all_of_it() {
        let bytes: Vec<u8> = (0..5 * CHUNK + 7).map(|n| n as u8).collect();
        let expected = sum(&mut &*bytes);
        for count in [1, 2, 5] {
            let tasks = (0..count).map(|_| sum);
            assert_eq!(tee(&mut &*bytes, tasks).unwrap(), vec![Some(expected); count]);
        }
    }

    #[test]
    fn those_who_stop_early_hold_nobody_up() {
        let bytes = vec![1; 20 * CHUNK];
        let tasks: Vec<Task> =
            vec![Box::new(|_| 0), Box::new(sum), Box::new(|reader| reader.read(&mut [0]).unwrap() as u64)];
        assert_eq!(tee(&mut &*bytes, tasks.into_iter()).unwrap(), [Some(0), Some(bytes.len() as u64), Some(1)]);
        let mut endless = io::repeat(1);
        assert_eq!(tee(&mut endless, [|_: &mut dyn Read| 1, |_: &mut dyn Read| 2].into_iter()).unwrap().len(), 2);
    }

    #[test]
    fn an_error_of_the_stream_is_reported_once_all_have_ended() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("torn"))
            }
        }
        let error = tee(&mut Broken, [sum, sum].into_iter()).unwrap_err();
        assert_eq!(error.to_string(), "torn");
    }
}
