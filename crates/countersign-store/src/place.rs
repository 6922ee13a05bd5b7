//! Where a snapshot of sessions lies: bytes that are there whole or not at all, and belong to one
//! node at a time.

use core::fmt;
use std::io;

/// A place for the snapshot of one node's sessions.
///
/// Called where blocking is allowed: an answer may have to come over a network.
pub trait SnapshotPlace: fmt::Debug + Send + Sync + 'static {
    /// What it is called in reports: a path, or a name.
    fn name(&self) -> String;

    /// Makes it this node's. Whoever had it before can put nothing there any more, and must come to
    /// know that the sessions in it are not its own from now on.
    ///
    /// # Errors
    /// When that cannot be made sure of.
    fn claim(&self) -> io::Result<()>;

    /// The bytes that lie there, if any do.
    ///
    /// # Errors
    /// When they cannot be read, or are more than `max`.
    fn read(&self, max: u64) -> io::Result<Option<Vec<u8>>>;

    /// Puts bytes there in one step: whatever fails, those of before are there or these.
    ///
    /// # Errors
    /// When they may not be there, or it is another node's by now.
    fn put(&self, bytes: &[u8]) -> io::Result<()>;

    /// Takes away what lies there, if anything does.
    ///
    /// # Errors
    /// When it may still be there.
    fn clear(&self) -> io::Result<()>;

    /// Keeps what cannot be used out of the way, where there is somewhere to; answers where.
    fn set_aside(&self) -> Option<String>;
}
