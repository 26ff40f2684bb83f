//! The layers of one image, each once, the largest first.

use std::collections::HashMap;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use bytes::{Buf, Bytes};
use futures_util::future::{BoxFuture, Either, select};
use futures_util::stream::{BoxStream, StreamExt, TryStreamExt};
use tokio::sync::{mpsc, oneshot};

use super::{Indexer, Progress};
use crate::inflate::Stop;
use crate::lazy::{self, Ranges, Unread};
use crate::upgrade::upgrade;
use crate::{
    Descriptor, DiffIds, Digest, Error, ErrorKind, ImageSource, LayerBlob, LayerIndex, LayerKey, LayerReading,
    LazyLayers, Result,
};

/// Pieces of a stream that wait for a reader. Registries send pieces of 8 to 64 KiB.
const PIECES_IN_FLIGHT: usize = 16;

/// Reads `layers`; the result is in their order.
pub(super) async fn read(
    indexer: &Indexer,
    source: &dyn ImageSource,
    layers: &[Descriptor],
) -> Result<Vec<LayerIndex>> {
    let bytes = layers.iter().map(Descriptor::size).sum();
    indexer.report(Progress::Begun { layers: layers.len(), bytes });
    // The same layer may stand twice in an image, the empty one above all.
    let mut different: Vec<&Descriptor> = Vec::new();
    for layer in layers {
        if !different.iter().any(|other| other.digest() == layer.digest()) {
            different.push(layer);
        }
    }
    // The largest first: the last to end is then a small one, and no processor idles while it is read.
    different.sort_by_key(|layer| std::cmp::Reverse(layer.size()));
    // Collected, because a closure within the stream would keep the future from being spawned (rust-lang/rust#102211).
    let left = &Arc::new(AtomicUsize::new(different.len()));
    let reads: Vec<_> = different.into_iter().map(|layer| one(indexer, source, layer, left)).collect();
    let read: HashMap<Digest, LayerIndex> = futures_util::stream::iter(reads)
        .buffer_unordered(indexer.layers_at_once)
        .map_ok(|layer| (layer.digest.clone(), layer))
        .try_collect()
        .await?;
    let mut read = read;
    let mut ordered = Vec::with_capacity(layers.len());
    for (number, layer) in layers.iter().enumerate() {
        let again = layers[number + 1..].iter().any(|other| other.digest() == layer.digest());
        let index = if again { read.get(layer.digest()).cloned() } else { read.remove(layer.digest()) };
        ordered.push(index.expect("every digest was read, and is removed at its last place only"));
    }
    Ok(ordered)
}

/// Reads one layer; `left` counts those that are not done.
async fn one(
    indexer: &Indexer,
    source: &dyn ImageSource,
    layer: &Descriptor,
    left: &Arc<AtomicUsize>,
) -> Result<LayerIndex> {
    let read = read_one(indexer, source, layer, left).await;
    left.fetch_sub(1, Ordering::Relaxed);
    read
}

async fn read_one(
    indexer: &Indexer,
    source: &dyn ImageSource,
    layer: &Descriptor,
    left: &Arc<AtomicUsize>,
) -> Result<LayerIndex> {
    let key = LayerKey { digest: layer.digest().clone(), indexer: indexer.version().to_owned() };
    // Another image that has the layer may be reading it right now: its result will be in the cache.
    let turn = indexer.cache.is_some().then(|| indexer.turns.of(layer.digest()));
    let _turn = match &turn {
        Some(turn) => Some(turn.lock().await),
        None => None,
    };
    let fits = |cached: &LayerIndex| {
        cached.reading.is_whole() && (cached.diff_id.is_some() || indexer.diff_ids == DiffIds::Claimed)
    };
    if let Some(cached) = cached(indexer, layer, &key, fits).await {
        return Ok(LayerIndex { captures: None, ..cached });
    }
    if let Some(upgraded) = upgraded(indexer, layer, &key, fits).await {
        return Ok(LayerIndex { captures: None, ..upgraded });
    }
    if let Some(index) = by_contents(indexer, source, layer).await? {
        return Ok(index);
    }
    let left = Arc::clone(left);
    let whole = |reader| {
        on_a_thread(indexer, layer, move |indexer, layer, stop| {
            // Fewer layers than processors: the last ones of an image, or all of a small one.
            let is_idle = || left.load(Ordering::Relaxed) < indexer.layers_at_once;
            indexer.context().read_with_help(reader, layer, stop, is_idle)
        })
    };
    let index = match source.open_layer(layer).await? {
        LayerBlob::Reader(reader) => whole(reader)?.await,
        LayerBlob::Stream(stream) => {
            let (sender, receiver) = mpsc::channel(PIECES_IN_FLIGHT);
            let reader = PieceReader { receiver, piece: Bytes::new() };
            let index = whole(Box::new(reader))?;
            // Whichever ends first decides: a reader that found its layer broken does not wait for the rest of it.
            match select(index, Box::pin(feed(stream, sender))).await {
                Either::Left((index, _)) => index,
                Either::Right(((), index)) => index.await,
            }
        }
    }?;
    keep(indexer, &key, &index).await;
    // Of use to a cache only, and not small.
    Ok(LayerIndex { captures: None, ..index })
}

/// The layer under `key`, if the cache has it.
async fn cached(
    indexer: &Indexer,
    layer: &Descriptor,
    key: &LayerKey,
    fits: impl Fn(&LayerIndex) -> bool,
) -> Option<LayerIndex> {
    // A cache that fails costs time, not the image.
    let cached = indexer.cache.as_ref()?.get(key).await.ok().flatten()?;
    if !is_of(&cached, layer) || !fits(&cached) {
        return None;
    }
    indexer.report(Progress::Cached { bytes: layer.size() });
    Some(cached)
}

/// The layer as these catalogers would read it, by what others kept of it.
async fn upgraded(
    indexer: &Indexer,
    layer: &Descriptor,
    key: &LayerKey,
    fits: impl Fn(&LayerIndex) -> bool,
) -> Option<LayerIndex> {
    let other = indexer.cache.as_ref()?.get_any(layer.digest()).await.ok().flatten()?;
    if !is_of(&other, layer) || !fits(&other) {
        return None;
    }
    let upgraded =
        on_a_thread(indexer, layer, move |indexer, _, stop| Ok(upgrade(&indexer.context(), other, || stop(0))));
    let upgraded = upgraded.ok()?.await.ok()??;
    indexer.report(Progress::Cached { bytes: layer.size() });
    keep(indexer, key, &upgraded).await;
    Some(upgraded)
}

fn is_of(cached: &LayerIndex, layer: &Descriptor) -> bool {
    cached.format == LayerIndex::FORMAT && cached.digest == *layer.digest() && cached.size == layer.size()
}

async fn keep(indexer: &Indexer, key: &LayerKey, index: &LayerIndex) {
    if let Some(cache) = &indexer.cache {
        // As above: a cache that fails costs time.
        let _ = cache.put(key, index).await;
    }
}

/// The layer by its table of contents, if it may and can be read so.
async fn by_contents(indexer: &Indexer, source: &dyn ImageSource, layer: &Descriptor) -> Result<Option<LayerIndex>> {
    if indexer.lazy_layers == LazyLayers::Off || !source.serves_ranges() {
        return Ok(None);
    }
    let Some(vouched) = lazy::vouched(layer) else { return Ok(None) };
    // A key of its own, with the table in it: what one manifest vouches for is nothing to the images of another, and
    // nothing to those who want their layers verified.
    let key = LayerKey {
        digest: layer.digest().clone(),
        indexer: format!("{}+{}", indexer.version(), vouched.digest.digest()),
    };
    let reading = LayerReading::ByContents { table: vouched.digest.clone() };
    if let Some(cached) = cached(indexer, layer, &key, |cached| cached.reading == reading).await {
        return Ok(Some(cached));
    }
    let (requests, asked) = mpsc::channel(lazy::REQUESTS);
    let read = on_a_thread(indexer, layer, move |indexer, layer, stop| {
        match lazy::read(&indexer.context(), layer, &vouched, Ranges::new(requests, stop)) {
            Ok(read) => Ok(Ok(read)),
            Err(Unread::Whole(reason)) => Ok(Err(reason)),
            Err(Unread::Failed(error)) => {
                Err(error.with_context(format_args!("read layer {} in parts", layer.digest())))
            }
        }
    })?;
    let read = match select(read, Box::pin(lazy::serve(source, layer, asked))).await {
        Either::Left((read, _)) => read,
        Either::Right(((), read)) => read.await,
    };
    let (index, received) = match read? {
        Ok(read) => read,
        Err(reason) => {
            indexer.report(Progress::NotInParts { reason });
            return Ok(None);
        }
    };
    indexer.report(Progress::Spared { bytes: layer.size().saturating_sub(received) });
    keep(indexer, &key, &index).await;
    Ok(Some(index))
}

/// One at a time for each layer, over all clones of an indexer.
#[derive(Debug, Default)]
pub(super) struct Turns {
    under_way: Mutex<HashMap<Digest, Weak<tokio::sync::Mutex<()>>>>,
}

impl Turns {
    fn of(&self, layer: &Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut under_way = self.under_way.lock().expect("no holder of the lock panics");
        if let Some(turn) = under_way.get(layer).and_then(Weak::upgrade) {
            return turn;
        }
        // Nobody takes out what is over; it is swept before it adds up.
        if under_way.len() >= 1024 {
            under_way.retain(|_, turn| turn.strong_count() > 0);
        }
        let turn = Arc::default();
        under_way.insert(layer.clone(), Arc::downgrade(&turn));
        turn
    }
}

/// Hands the stream's pieces to the reader until either has enough.
async fn feed(mut stream: BoxStream<'static, io::Result<Bytes>>, sender: mpsc::Sender<io::Result<Bytes>>) {
    while let Some(piece) = stream.next().await {
        let last = piece.is_err();
        if sender.send(piece).await.is_err() || last {
            return;
        }
    }
}

/// Reads a layer by `read` on a thread of its own. Dropping the future ends the thread at its next piece.
fn on_a_thread<T: Send + 'static>(
    indexer: &Indexer,
    layer: &Descriptor,
    read: impl FnOnce(&Indexer, &Descriptor, Stop) -> Result<T> + Send + 'static,
) -> Result<BoxFuture<'static, Result<T>>> {
    let cancelled = Arc::new(AtomicBool::new(false));
    let (done, result) = oneshot::channel();
    let thread = std::thread::Builder::new().name("layer".into());
    let run = {
        let (indexer, layer, cancelled) = (indexer.clone(), layer.clone(), Arc::clone(&cancelled));
        move || {
            let index = catch_unwind(AssertUnwindSafe(|| read(&indexer, &layer, reporting(&indexer, cancelled))));
            let index = index.unwrap_or_else(|panic| {
                let message = format!("read layer {}: supercargo panicked: {}", layer.digest(), said(&*panic));
                Err(Error::new(ErrorKind::Internal, message))
            });
            // Nobody waits any more: nothing to say.
            let _ = done.send(index);
        }
    };
    thread.spawn(run).map_err(|error| Error::from_source("start a thread for a layer", true, error))?;
    let cancel = CancelOnDrop(cancelled);
    Ok(Box::pin(async move {
        let _cancel = cancel;
        result.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "read a layer: its thread is gone")))
    }))
}

/// Reports progress, and ends the reading once it is cancelled.
fn reporting(indexer: &Indexer, cancelled: Arc<AtomicBool>) -> Stop {
    let progress = indexer.progress.clone();
    let reported = std::cell::Cell::new(0);
    Box::new(move |read: u64| {
        if let Some(progress) = &progress
            && read > reported.get()
        {
            progress(Progress::Read { bytes: read - reported.replace(read) });
        }
        cancelled.load(Ordering::Relaxed)
    })
}

fn said(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The blocking end of a stream.
struct PieceReader {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for PieceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let n = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..n]);
        Ok(n)
    }
}
