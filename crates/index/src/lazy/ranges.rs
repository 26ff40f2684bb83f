//! Parts of a layer, asked for on a blocking thread and fetched by the caller's runtime.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::ops::Range;
use std::pin::pin;
use std::task::Poll;

use bytes::{Buf as _, Bytes};
use futures_util::future::{Either, poll_fn, select};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::mpsc;

use super::Unread;
use crate::inflate::Stop;
use crate::{Descriptor, Error, ErrorKind, ImageSource};

/// Requests that wait to be taken up: those ahead, and one in between.
pub(crate) const REQUESTS: usize = AHEAD + 1;

/// Ranges that are asked for before they are read, so that the round trip of one passes while another is read.
const AHEAD: usize = 4;

/// Pieces of a range that wait for the reader, as for a whole layer.
const PIECES_IN_FLIGHT: usize = 16;

/// A range that is wanted, and where its bytes go.
pub(crate) struct Request {
    range: Range<u64>,
    answer: mpsc::Sender<Answer>,
}

enum Answer {
    Piece(Bytes),
    /// The layer is to be had whole, if at all.
    WholeOnly(&'static str),
    Failed(Error),
}

/// Fetches what is asked for, until nobody asks any more.
pub(crate) async fn serve(source: &dyn ImageSource, layer: &Descriptor, mut requests: mpsc::Receiver<Request>) {
    let mut under_way = FuturesUnordered::new();
    loop {
        let next = poll_fn(|context| {
            while let Poll::Ready(Some(())) = under_way.poll_next_unpin(context) {}
            requests.poll_recv(context)
        });
        match next.await {
            Some(request) => under_way.push(fetch(source, layer, request)),
            None => return,
        }
    }
}

/// Hands a range's pieces over until there are no more or the reader has enough.
async fn fetch(source: &dyn ImageSource, layer: &Descriptor, request: Request) {
    let Request { range, answer } = request;
    let mut stream = match source.open_range(layer, range).await {
        Ok(Some(stream)) => stream,
        Ok(None) => {
            let _ = answer.send(Answer::WholeOnly("the source serves no ranges")).await;
            return;
        }
        // Some servers and proxies take a range for a mistake.
        Err(error) if !error.is_retryable() => {
            let _ = answer.send(Answer::WholeOnly("a range was refused")).await;
            return;
        }
        Err(error) => {
            let _ = answer.send(Answer::Failed(error)).await;
            return;
        }
    };
    loop {
        let piece = match select(stream.next(), pin!(answer.closed())).await {
            Either::Left((Some(piece), _)) => piece,
            Either::Left((None, _)) | Either::Right(_) => return,
        };
        let last = piece.is_err();
        let piece = match piece {
            Ok(piece) => Answer::Piece(piece),
            Err(error) => Answer::Failed(Error::from_source("receive its bytes", true, error)),
        };
        if answer.send(piece).await.is_err() || last {
            return;
        }
    }
}

/// The blocking end: reads forward through the ranges that were planned, and through others in between.
pub(crate) struct Ranges {
    requests: mpsc::Sender<Request>,
    planned: VecDeque<Range<u64>>,
    /// Planned ones that were asked for. The first is read from, unless `between` is.
    open: VecDeque<Open>,
    between: Option<Open>,
    /// Where reading ends for now.
    end: u64,
    read: u64,
    stop: Stop,
    failure: Option<Unread>,
}

struct Open {
    position: u64,
    end: u64,
    pieces: mpsc::Receiver<Answer>,
    piece: Bytes,
}

impl Ranges {
    /// `stop` is told of progress and may end the work.
    pub(crate) fn new(requests: mpsc::Sender<Request>, stop: Stop) -> Self {
        Self {
            requests,
            planned: VecDeque::new(),
            open: VecDeque::new(),
            between: None,
            end: 0,
            read: 0,
            stop,
            failure: None,
        }
    }

    /// Bytes received so far.
    pub(super) fn received(&self) -> u64 {
        self.read
    }

    /// What will be read, in order.
    pub(super) fn plan(&mut self, ranges: Vec<Range<u64>>) {
        self.planned = ranges.into();
    }

    /// Reads from `wanted.start` on, up to `wanted.end`. Never backwards.
    pub(super) fn seek(&mut self, wanted: Range<u64>) -> Result<(), Unread> {
        while self.open.front().is_some_and(|open| open.end <= wanted.start) {
            self.open.pop_front();
        }
        while self.planned.front().is_some_and(|range| range.end <= wanted.start) {
            self.planned.pop_front();
        }
        while self.open.len() < AHEAD
            && let Some(range) = self.planned.pop_front()
        {
            let open = self.ask(range)?;
            self.open.push_back(open);
        }
        self.end = wanted.end;
        if self.open.front().is_some_and(|open| open.position <= wanted.start) {
            self.between = None;
        } else if !self.between.as_ref().is_some_and(|open| (open.position..open.end).contains(&wanted.start)) {
            let open = self.ask(wanted.clone())?;
            self.between = Some(open);
        }
        while self.position() < wanted.start {
            let left = wanted.start - self.position();
            let held = self.fill_buf().map(<[u8]>::len).unwrap_or(0);
            if held == 0 {
                return Err(self.failed());
            }
            self.consume(usize::try_from(left).unwrap_or(usize::MAX).min(held));
        }
        Ok(())
    }

    /// Why reading failed, after it did.
    pub(super) fn failed(&mut self) -> Unread {
        self.failure.take().unwrap_or(Unread::Whole("it does not inflate"))
    }

    /// Whether the source failed, whatever a decoder made of it.
    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    fn ask(&self, range: Range<u64>) -> Result<Open, Unread> {
        let (answer, pieces) = mpsc::channel(PIECES_IN_FLIGHT);
        let open = Open { position: range.start, end: range.end, pieces, piece: Bytes::new() };
        // Nobody serves any more: nobody waits for the layer either.
        self.requests.blocking_send(Request { range, answer }).map_err(|_| cancelled())?;
        Ok(open)
    }

    fn position(&self) -> u64 {
        self.between.as_ref().or(self.open.front()).map_or(self.end, |open| open.position)
    }

    fn receive(&mut self) -> Result<(), Unread> {
        let Some(open) = self.between.as_mut().or(self.open.front_mut()) else { return Ok(()) };
        while open.piece.is_empty() && open.position < open.end {
            if (self.stop)(self.read) {
                return Err(cancelled());
            }
            match open.pieces.blocking_recv() {
                Some(Answer::Piece(mut piece)) => {
                    piece.truncate(usize::try_from(open.end - open.position).unwrap_or(usize::MAX));
                    self.read += piece.len() as u64;
                    open.piece = piece;
                }
                Some(Answer::WholeOnly(reason)) => return Err(Unread::Whole(reason)),
                Some(Answer::Failed(error)) => return Err(error.into()),
                None => {
                    let message = "receive its bytes: a range ends early";
                    return Err(Error::from_source(message, true, io::Error::from(io::ErrorKind::UnexpectedEof)).into());
                }
            }
        }
        Ok(())
    }
}

impl BufRead for Ranges {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.failure.is_none()
            && self.position() < self.end
            && let Err(unread) = self.receive()
        {
            self.failure = Some(unread);
        }
        if self.failure.is_some() {
            return Err(io::Error::other("the range failed"));
        }
        let left = usize::try_from(self.end.saturating_sub(self.position())).unwrap_or(usize::MAX);
        let piece = self.between.as_ref().or(self.open.front()).map_or(&[][..], |open| &open.piece);
        Ok(&piece[..piece.len().min(left)])
    }

    fn consume(&mut self, n: usize) {
        if let Some(open) = self.between.as_mut().or(self.open.front_mut()) {
            open.piece.advance(n);
            open.position += n as u64;
        }
    }
}

impl Read for Ranges {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let held = self.fill_buf()?;
        let n = held.len().min(buffer.len());
        buffer[..n].copy_from_slice(&held[..n]);
        self.consume(n);
        Ok(n)
    }
}

fn cancelled() -> Unread {
    Unread::Failed(Error::new(ErrorKind::Cancelled, "cancelled"))
}
