//! A body that the parser of forms is handed in pieces that do it no harm.
//!
//! The parser takes whatever is there into its memory before it looks at it, and looks through all
//! of that again for each piece that comes while it searches the end of a part's head. So it gets
//! pieces that are neither many nor far ahead, and no more of them than a head may be long before
//! it has found something: also in a form whose token is good, for its sender may be anybody who is
//! signed in.

use axum_core::body::BodyDataStream;
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

/// Smaller pieces that are there together are handed out as one.
const PIECE: usize = 64 * 1024;
/// The most bytes in front of the first part, or of a part's head; and one piece more.
const HEAD_MAX: usize = 16 * 1024;

/// How far the parser may go on, told by whoever reads what it finds.
#[derive(Debug)]
pub(super) struct Pace {
    /// Bytes that it may be handed before it has found something.
    step: AtomicUsize,
    /// Bytes that it may be handed at all.
    all: AtomicUsize,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            step: AtomicUsize::new(HEAD_MAX),
            all: AtomicUsize::new(usize::MAX),
        }
    }
}

impl Pace {
    /// It has found a part, or a piece of one.
    pub(super) fn moved_on(&self) {
        self.step.store(HEAD_MAX, Ordering::Relaxed);
    }

    /// No more than so many bytes are handed out from here on.
    pub(super) fn stop_after(&self, bytes: usize) {
        self.all.store(bytes, Ordering::Relaxed);
    }

    fn may_go_on(&self) -> bool {
        let left = |limit: &AtomicUsize| limit.load(Ordering::Relaxed) > 0;
        left(&self.step) && left(&self.all)
    }

    fn handed(&self, bytes: usize) {
        for limit in [&self.step, &self.all] {
            let left = limit.load(Ordering::Relaxed);
            if left < usize::MAX {
                limit.store(left.saturating_sub(bytes), Ordering::Relaxed);
            }
        }
    }
}

/// The body, in pieces, one at a time however fast they come.
pub(super) struct Paced {
    body: BodyDataStream,
    pace: Arc<Pace>,
    gathered: BytesMut,
    pause: bool,
}

impl Paced {
    pub(super) fn new(body: BodyDataStream, pace: Arc<Pace>) -> Self {
        Self {
            body,
            pace,
            gathered: BytesMut::new(),
            pause: false,
        }
    }

    /// What is there, up to a piece; `None` at the body's end.
    fn gather(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, axum_core::Error>>> {
        while self.gathered.len() < PIECE {
            match Pin::new(&mut self.body).poll_next(context) {
                Poll::Ready(Some(Ok(bytes)))
                    if self.gathered.is_empty() && bytes.len() >= PIECE =>
                {
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Poll::Ready(Some(Ok(bytes))) => self.gathered.extend_from_slice(&bytes),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) if self.gathered.is_empty() => return Poll::Ready(None),
                Poll::Pending if self.gathered.is_empty() => return Poll::Pending,
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        Poll::Ready(Some(Ok(self.gathered.split().freeze())))
    }
}

impl Stream for Paced {
    type Item = Result<Bytes, axum_core::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.pause) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if !self.pace.may_go_on() {
            let error = io::Error::other("no more of the form is read");
            return Poll::Ready(Some(Err(axum_core::Error::new(error))));
        }
        let next = self.gather(context);
        if let Poll::Ready(Some(Ok(bytes))) = &next {
            self.pace.handed(bytes.len());
            self.pause = true;
        }
        next
    }
}
