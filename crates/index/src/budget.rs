//! Memory for the files that are held whole, shared by all layers that are read at one time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// A number of bytes that can be taken and given back. One that waits holds no other bytes, so nobody waits for ever.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// How many wait.
    waiting: AtomicUsize,
    state: Mutex<State>,
    given_back: Condvar,
    total: u64,
}

#[derive(Debug)]
struct State {
    free: u64,
    /// Memory of layers that are read, for those that are not: fresh memory costs more than what is read into it.
    idle: Vec<Memory>,
    /// Buffers in use. Without any there is no reading, and nothing is kept for it.
    buffers: usize,
}

/// Memory with the bytes of the budget that it stands for.
#[derive(Debug, Default)]
struct Memory {
    bytes: Vec<u8>,
    taken: u64,
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
                state: Mutex::new(State { free: total, idle: Vec::new(), buffers: 0 }),
                given_back: Condvar::new(),
                total,
            }),
        }
    }

    /// Waits until `bytes` are free. More than there are in all counts as all.
    pub(crate) fn take(&self, bytes: u64) -> Taken {
        let bytes = bytes.min(self.shared.total);
        self.shared.wait_for(self.shared.lock(), bytes);
        Taken { shared: Arc::clone(&self.shared), bytes }
    }

    /// A buffer that holds nothing yet.
    pub(crate) fn buffer(&self) -> Buffer {
        self.shared.lock().buffers += 1;
        Buffer { shared: Arc::clone(&self.shared), memory: Memory::default() }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of the lock panics")
    }

    /// Takes `bytes` once they are free. Whoever calls this holds none.
    fn wait_for(&self, mut state: MutexGuard<'_, State>, bytes: u64) {
        if state.free < bytes {
            state.sweep();
        }
        if state.free < bytes {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            while state.free < bytes {
                state = self.given_back.wait(state).expect("no holder of the lock panics");
            }
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        state.free -= bytes;
    }
}

impl State {
    fn sweep(&mut self) {
        self.free += self.idle.drain(..).map(|memory| memory.taken).sum::<u64>();
    }
}

/// A buffer for one file after another. Its memory is kept from file to file, and given up as soon as somebody waits
/// for it.
#[derive(Debug)]
pub(crate) struct Buffer {
    shared: Arc<Shared>,
    memory: Memory,
}

impl Buffer {
    /// The buffer, with room for `size` bytes. Waits until there is so much in the budget. What is in it is of no
    /// meaning: it is there so that it need not be cleared again.
    pub(crate) fn for_file(&mut self, size: u64) -> &mut Vec<u8> {
        let bytes = size.min(self.shared.total);
        if self.memory.taken < bytes {
            self.grow(bytes);
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let memory = &mut self.memory.bytes;
        if memory.capacity() < size {
            // There is nothing to be carried over.
            memory.clear();
            // Room for the largest file there can be: what of it is never written to takes no memory, and what has
            // been written to once need not be made again for a file that is a little larger.
            let largest = usize::try_from(self.shared.total).unwrap_or(usize::MAX);
            if memory.try_reserve_exact(largest.max(size)).is_err() {
                memory.reserve_exact(size);
            }
        }
        memory
    }

    /// Has at least `bytes` of the budget, with memory that is there already if there is some.
    fn grow(&mut self, bytes: u64) {
        let mut state = self.shared.lock();
        if self.memory.taken == 0
            && let Some(largest) = (0..state.idle.len()).max_by_key(|&index| state.idle[index].taken)
        {
            self.memory = state.idle.swap_remove(largest);
        }
        let more = bytes.saturating_sub(self.memory.taken);
        if more > state.free {
            state.sweep();
        }
        if more <= state.free {
            state.free -= more;
        } else {
            // Who waits holds nothing, so nobody waits for ever.
            state.free += std::mem::take(&mut self.memory).taken;
            self.shared.given_back.notify_all();
            self.shared.wait_for(state, bytes);
        }
        self.memory.taken = self.memory.taken.max(bytes);
    }

    /// Gives the bytes back if somebody waits for some.
    pub(crate) fn yield_to_others(&mut self) {
        if self.memory.taken > 0 && self.shared.waiting.load(Ordering::Relaxed) > 0 {
            let memory = std::mem::take(&mut self.memory);
            self.shared.lock().free += memory.taken;
            self.shared.given_back.notify_all();
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.buffers -= 1;
        state.idle.push(std::mem::take(&mut self.memory));
        if state.buffers == 0 || self.shared.waiting.load(Ordering::Relaxed) > 0 {
            state.sweep();
        }
        self.shared.given_back.notify_all();
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.shared.lock().free += self.bytes;
        self.shared.given_back.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_kept_until_somebody_waits_for_it() {
        let budget = Budget::new(100);
        let mut first = budget.buffer();
        first.for_file(60).extend([1; 60]);
        let place = first.for_file(40).as_ptr();
        assert_eq!(first.for_file(80).as_ptr(), place, "the same memory serves again, for a larger file too");
        first.yield_to_others();
        assert_eq!(first.memory.taken, 80, "nobody waits");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let mut second = budget.buffer();
                second.for_file(50);
                second.memory.taken
            });
            while first.memory.taken > 0 {
                std::thread::yield_now();
                first.yield_to_others();
            }
            assert_eq!(waiting.join().expect("does not panic"), 50);
        });
        // More than there is counts as all.
        assert!(first.for_file(500).capacity() >= 500);
        assert_eq!(first.memory.taken, 100);
    }

    #[test]
    fn memory_goes_from_layer_to_layer_and_back_when_all_are_read() {
        let budget = Budget::new(100);
        let mut first = budget.buffer();
        let other = budget.buffer();
        let place = first.for_file(70).as_ptr();
        drop(first);
        let mut next = budget.buffer();
        assert_eq!(next.for_file(60).as_ptr(), place);
        drop(next);
        // What lies idle is no reason to wait.
        drop(budget.take(90));
        drop(budget.buffer());
        drop(other);
        let state = budget.shared.lock();
        assert!(state.idle.is_empty() && state.free == 100);
    }
}
