//! Memory for the files that are held whole, shared by all layers that are read at one time.

use std::sync::{Arc, Condvar, Mutex};

/// A number of bytes that can be taken and given back. One that waits holds no other bytes, so nobody waits for ever.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
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
        Self { shared: Arc::new(Shared { free: Mutex::new(total), given_back: Condvar::new(), total }) }
    }

    /// Waits until `bytes` are free. More than there are in all counts as all.
    pub(crate) fn take(&self, bytes: u64) -> Taken {
        let bytes = bytes.min(self.shared.total);
        let mut free = self.shared.free.lock().expect("no holder of the lock panics");
        while *free < bytes {
            free = self.shared.given_back.wait(free).expect("no holder of the lock panics");
        }
        *free -= bytes;
        Taken { shared: Arc::clone(&self.shared), bytes }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        *self.shared.free.lock().expect("no holder of the lock panics") += self.bytes;
        self.shared.given_back.notify_all();
    }
}
