//! Carries operations through, whether or not anybody waits for them.
//!
//! An operation first runs on the calling thread; most of those that only read are done then.
//! One that has to wait for a commit goes on, once that is there, on the thread that waits for it,
//! and where none does on a thread of the driver's: so a caller who goes away, as an HTTP client
//! does, leaves nothing half done. A caller whose thread must not wait for the disk, as one of an
//! async runtime, has all of it done there (`off_thread`).

use crate::sync::mpsc::{self, Sender};
use crate::sync::thread::{self, JoinHandle, LocalKey};
use crate::sync::{Mutex, thread_local};
use countersign_store::pending::{Pending, Work};
use futures_util::future::BoxFuture;
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use zeroize::zeroize_stack;

/// What the frames take in which an operation is made and gone on with.
const STACK_BYTES: usize = 16 * 1024;

thread_local! {
    /// Whether this thread has its operations done by the driver from their beginning.
    static OFF_THREAD: Cell<bool> = const { Cell::new(false) };
    /// Whether this thread is at work on an operation that stopping would wait for.
    static AT_WORK: Cell<bool> = const { Cell::new(false) };
}

/// Sets a flag of this thread, for as long as `call` takes.
fn with<T>(flag: &'static LocalKey<Cell<bool>>, call: impl FnOnce() -> T) -> T {
    struct Restore(&'static LocalKey<Cell<bool>>, bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            self.0.with(|flag| flag.set(self.1));
        }
    }
    let _restore = Restore(flag, flag.with(|flag| flag.replace(true)));
    call()
}

/// Makes a call whose operations are not begun on this thread.
///
/// What a call says before it starts an operation is from memory alone; a flag of the thread
/// reaches all of them, those within others too, without a second form of every method.
pub(crate) fn off_thread<T>(call: impl FnOnce() -> T) -> T {
    with(&OFF_THREAD, call)
}

/// Makes a call on a stack that holds nothing of what was called there before.
///
/// What goes to the heap, as an operation does that may have to wait, is copied whole: with the
/// places that it does not fill yet, and what lies there. On a stack on which a secret was checked
/// just before, that may be the secret. Wiping it there would slow every check down; here it is
/// the price of what goes to the store.
#[inline]
pub(crate) fn on_wiped_stack<T>(call: impl FnOnce() -> T) -> T {
    /// Has its frame, and all below, where was wiped.
    #[inline(never)]
    fn below<T>(call: impl FnOnce() -> T) -> T {
        call()
    }
    zeroize_stack::<STACK_BYTES>();
    below(call)
}

/// The thread and the way to it.
pub(crate) struct Driver {
    /// Gone once the driver is stopped. It has no bound of its own: what is in it was asked for by
    /// somebody, and how much that is at once is the host's to limit.
    inbox: Mutex<Option<Inbox>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Where operations go that nobody waits for, each time that they can go on. The thread behind it
/// ends when nobody can send to it any more.
type Inbox = Sender<Arc<dyn Turn>>;

/// An operation of some kind.
trait Turn: Send + Sync {
    /// Does what can be done now.
    fn turn(self: Arc<Self>);
}

/// An operation that has to wait.
struct Task<T> {
    /// Gone once it is done.
    operation: Mutex<Option<BoxFuture<'static, T>>>,
    state: Mutex<State<T>>,
    lost: fn() -> T,
    /// Whether it is for the driver's thread alone.
    off_thread: bool,
}

struct State<T> {
    answer: Option<T>,
    /// Whom to tell of it.
    told: Option<Waker>,
    /// Whether that is a thread that does the work meanwhile.
    here: bool,
    /// Gone once it is done, so that the driver can end.
    inbox: Option<Inbox>,
}

impl<T: Send + 'static> Turn for Task<T> {
    fn turn(self: Arc<Self>) {
        on_wiped_stack(|| self.go_on());
    }
}

impl<T: Send + 'static> Task<T> {
    fn go_on(self: Arc<Self>) {
        let waker = Waker::from(Arc::clone(&self));
        let mut context = Context::from_waker(&waker);
        let mut place = self.operation.lock();
        let Some(operation) = &mut *place else {
            return;
        };
        let work = AssertUnwindSafe(|| operation.as_mut().poll(&mut context));
        let answer = match with(&AT_WORK, || catch_unwind(work)) {
            Ok(Poll::Pending) => return,
            Ok(Poll::Ready(value)) => value,
            // A fault of ours in one operation must not take the others with it.
            Err(_) => (self.lost)(),
        };
        let operation = place.take();
        drop(place);
        // What a panic left in it may panic when it is dropped.
        let dropped = AssertUnwindSafe(|| drop(operation));
        let _ = with(&AT_WORK, || catch_unwind(dropped));
        let told = {
            let mut state = self.state.lock();
            state.answer = Some(answer);
            state.inbox = None;
            state.told.take()
        };
        if let Some(told) = told {
            told.wake();
        }
    }
}

impl<T: Send + 'static> Wake for Task<T> {
    fn wake(self: Arc<Self>) {
        let state = self.state.lock();
        if let (true, Some(told)) = (state.here, &state.told) {
            told.wake_by_ref();
        } else if let Some(inbox) = state.inbox.clone() {
            drop(state);
            // The thread is there for as long as this sender is.
            let _ = inbox.send(self);
        }
    }
}

impl<T: Send + 'static> Task<T> {
    /// The answer, if it is there, or else tells of it later.
    fn take(&self, context: &Context<'_>, here: bool) -> Poll<T> {
        let mut state = self.state.lock();
        match state.answer.take() {
            Some(value) => Poll::Ready(value),
            None => {
                state.told = Some(context.waker().clone());
                state.here = here;
                Poll::Pending
            }
        }
    }
}

impl<T: Send + 'static> Work<T> for Task<T> {
    fn poll(self: Arc<Self>, context: &mut Context<'_>, here: bool) -> Poll<T> {
        let here = here && !self.off_thread;
        match self.take(context, here) {
            Poll::Pending if here => {
                Arc::clone(&self).turn();
                self.take(context, here)
            }
            answer => answer,
        }
    }
}

impl Driver {
    pub(crate) fn start() -> Result<Self, String> {
        let (inbox, tasks) = mpsc::channel::<Arc<dyn Turn>>();
        let work = move || {
            for task in tasks {
                task.turn();
            }
        };
        let thread = thread::Builder::new()
            .name("countersign-driver".to_owned())
            .spawn(work)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            inbox: Mutex::new(Some(inbox)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Starts an operation now and sees it through; `lost` is the answer should the driver be
    /// stopped before it gets there.
    pub(crate) fn run<T, F>(&self, lost: fn() -> T, operation: F) -> Pending<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        match self.begin(lost, operation) {
            Ok(value) => Pending::ready(value),
            Err(task) => Pending::carried(task),
        }
    }

    /// The answer of an operation, or `Err` with what has to wait.
    fn begin<T, F>(&self, lost: fn() -> T, operation: F) -> Result<T, Arc<Task<T>>>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let mut operation: BoxFuture<'static, T> = Box::pin(operation);
        let mut context = Context::from_waker(Waker::noop());
        let off_thread = OFF_THREAD.with(Cell::get);
        if !off_thread && let Poll::Ready(value) = Pin::new(&mut operation).poll(&mut context) {
            return Ok(value);
        }
        let Some(inbox) = self.inbox.lock().clone() else {
            return Ok(lost());
        };
        let task = Arc::new(Task {
            operation: Mutex::new(Some(operation)),
            state: Mutex::new(State {
                answer: None,
                told: None,
                here: false,
                inbox: Some(inbox),
            }),
            lost,
            off_thread,
        });
        if off_thread {
            Waker::from(Arc::clone(&task)).wake();
        } else {
            // Once more, so that it tells when it can go on.
            Arc::clone(&task).turn();
        }
        Err(task)
    }

    /// Whether this is called on the driver's own thread, or from within an operation that it would
    /// wait for: stopping must be left to another thread then.
    pub(crate) fn is_current(&self) -> bool {
        let thread = self.thread.lock();
        let own = |thread: &JoinHandle<()>| thread.thread().id() == thread::current().id();
        AT_WORK.with(Cell::get) || thread.as_ref().is_some_and(own)
    }

    /// Takes no more, sees everything through that was started, and ends the thread.
    pub(crate) fn stop(&self) {
        drop(self.inbox.lock().take());
        let thread = self.thread.lock().take();
        if let Some(thread) = thread
            && thread.thread().id() != thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Driver")
    }
}

#[cfg(test)]
mod tests;
