//! Memory for the files that are held whole, shared by all layers that are read at one time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

/// A number of bytes that can be taken and given back. One that waits holds no other bytes, so nobody waits for ever.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// How many wait.
    waiting: AtomicUsize,
    free: Mutex<u64>,
    given_back: Condvar,
    total: u64,
}

/// Bytes taken; given back when dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    shared: Arc<Shared>,
    bytes: u64,
}

impl Budget {
    pub(crate) fn new(total: u64) -> Self {
        Self {
            shared: Arc::new(Shared {
                waiting: AtomicUsize::new(0),
                free: Mutex::new(total),
                given_back: Condvar::new(),
                total,
            }),
        }
    }

    /// Waits until `bytes` are free. More than there are in all counts as all.
    pub(crate) fn take(&self, bytes: u64) -> Taken {
        let bytes = bytes.min(self.shared.total);
        let mut free = self.shared.free.lock().expect("no holder of the lock panics");
        if *free < bytes {
            self.shared.waiting.fetch_add(1, Ordering::Relaxed);
            while *free < bytes {
                free = self.shared.given_back.wait(free).expect("no holder of the lock panics");
            }
            self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        *free -= bytes;
        Taken { shared: Arc::clone(&self.shared), bytes }
    }
}

/// A buffer for one file after another. It is kept from file to file, since fresh memory costs more than what is read
/// into it, and given up as soon as somebody waits for its bytes.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    taken: Option<Taken>,
}

impl Buffer {
    /// The buffer, empty and with room for `size` bytes. Waits until there is so much in the budget.
    pub(crate) fn for_file(&mut self, size: u64, budget: &Budget) -> &mut Vec<u8> {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        self.bytes.clear();
        if self.bytes.capacity() < size {
            // Who waits holds nothing, so nobody waits for ever.
            *self = Self::default();
            self.taken = Some(budget.take(size as u64));
            self.bytes.reserve_exact(size);
        }
        &mut self.bytes
    }

    /// Gives the bytes back if somebody waits for some.
    pub(crate) fn yield_to_others(&mut self) {
        if let Some(taken) = &self.taken
            && taken.shared.waiting.load(Ordering::Relaxed) > 0
        {
            *self = Self::default();
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        *self.shared.free.lock().expect("no holder of the lock panics") += self.bytes;
        self.shared.given_back.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_kept_until_somebody_waits_for_it() {
        let budget = Budget::new(100);
        let mut first = Buffer::default();
        first.for_file(80, &budget).extend([1; 80]);
        let place = first.for_file(60, &budget).as_ptr();
        assert_eq!(first.for_file(80, &budget).as_ptr(), place, "the same memory serves again");
        first.yield_to_others();
        assert!(first.taken.is_some(), "nobody waits");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| Buffer::default().for_file(50, &budget).capacity());
            while first.taken.is_some() {
                std::thread::yield_now();
                first.yield_to_others();
            }
            assert_eq!(waiting.join().expect("does not panic"), 50);
        });
        // More than there is counts as all.
        assert_eq!(first.for_file(500, &budget).capacity(), 500);
    }
}
