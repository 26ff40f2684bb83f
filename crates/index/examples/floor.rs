//! What an indexer cannot be faster than: reading, hashing and inflating the blobs of an OCI layout, and nothing else.
//!
//! `cargo run --release -p supercargo-index --example floor -- LAYOUT`
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use sha2::{Digest as _, Sha256};

struct Hashed<R>(R, Sha256);

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.0.read(buffer)?;
        self.1.update(&buffer[..n]);
        Ok(n)
    }
}

fn inflate(path: &Path) -> std::io::Result<u64> {
    let mut magic = [0; 4];
    let known = File::open(path)?.read(&mut magic)?;
    let blob = BufReader::with_capacity(1 << 17, Hashed(File::open(path)?, Sha256::new()));
    let mut plain: Box<dyn Read> = match &magic[..known] {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(blob)),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::stream::read::Decoder::with_buffer(blob)?),
        _ => Box::new(blob),
    };
    let mut buffer = vec![0; 1 << 17];
    let mut inflated = 0;
    loop {
        match plain.read(&mut buffer)? {
            0 => return Ok(inflated),
            n => inflated += n as u64,
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let layout = PathBuf::from(std::env::args().nth(1).ok_or("usage: floor LAYOUT")?);
    let mut blobs = Vec::new();
    for blob in std::fs::read_dir(layout.join("blobs/sha256"))? {
        let blob = blob?;
        blobs.push((blob.metadata()?.len(), blob.path()));
    }
    // The smallest first: the queue is emptied from its end, the largest that way.
    blobs.sort();
    let queue = Mutex::new(blobs);
    let start = Instant::now();
    let inflated: u64 = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..std::thread::available_parallelism().map_or(2, std::num::NonZero::get))
            .map(|_| {
                scope.spawn(|| {
                    let mut sum = 0;
                    loop {
                        let next = queue.lock().expect("no holder of the lock panics").pop();
                        let Some((_, path)) = next else { return Ok(sum) };
                        sum += inflate(&path)?;
                    }
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker does not panic")).sum::<std::io::Result<u64>>()
    })?;
    println!("{inflated} bytes inflated in {:.2?}", start.elapsed());
    Ok(())
}
