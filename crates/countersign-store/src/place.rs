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

    /// What a snapshot in it is bound to, the same whoever asks: one that was copied here from
    /// another place, or belongs to another store, is not taken in.
    fn binding(&self) -> [u8; 16];

    /// Makes it this node's. Whoever had it before can put nothing there any more, and has come to
    /// know that the sessions in it are not its own, or can let nobody in.
    ///
    /// # Errors
    /// When that cannot be made sure of.
    fn claim(&self) -> io::Result<()>;

    /// The bytes that lie there, if any do.
    ///
    /// # Errors
    /// When they cannot be read.
    fn read(&self, max: u64) -> Result<Option<Vec<u8>>, Unread>;

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

    /// Lets go of it, with what lies there: it is nobody's, and free for whoever claims it.
    ///
    /// # Errors
    /// When it may still be this node's.
    fn release(&self) -> io::Result<()>;

    /// Takes away what lies there and lets go of it, in one step.
    ///
    /// # Errors
    /// When something may still be there.
    fn vacate(&self) -> io::Result<()>;

    /// Keeps what cannot be used out of the way, where there is somewhere to; answers where.
    fn set_aside(&self) -> Option<String>;
}

/// Why a snapshot was not read.
#[derive(Debug)]
pub enum Unread {
    /// There is one, and it cannot be used.
    Unusable(io::Error),
    /// It cannot be had now; nothing is known of it.
    Unreachable(io::Error),
}
