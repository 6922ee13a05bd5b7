//! How much room is left.

use std::io;
use std::path::Path;

/// The bytes that this process may still write to the file system that holds `path`.
#[cfg(unix)]
pub(super) fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Not asked on this platform: a full disk shows when a write fails.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "other platforms can fail")]
pub(super) fn free_bytes(_: &Path) -> io::Result<u64> {
    Ok(u64::MAX)
}
