//! Ports for the programs under test.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range that the kernel takes the ports of outgoing connections from, so that none of those gets in the
/// way between two runs of one program.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port of 127.0.0.1 that nobody listens on and that no other test of this process gets.
///
/// Most programs cannot take a port of their own choice and tell it, and those that restart need the same one again.
///
/// # Panics
///
/// If there is no free port.
pub fn free_port() -> u16 {
    // Test processes that run side by side begin at different places.
    let start = (std::process::id() % u32::from(COUNT / 40)) as u16 * 40;
    for _ in 0..COUNT {
        let port = FIRST + (start + NEXT.fetch_add(1, Ordering::SeqCst)) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free between {FIRST} and {}", FIRST + COUNT);
}
