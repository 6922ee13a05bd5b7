//! What an operator, or a test, decides about a tracker.

use countersign::{Clock, Timestamp};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// What an operator decides.
#[derive(Clone, Debug)]
pub struct TrackerOptions {
    /// Where everything is kept; made if it is not there.
    pub dir: PathBuf,
    /// Where to listen; port 0 takes any.
    pub listen: SocketAddr,
    /// How browsers reach it, such as `https://issues.example.org`: it stands in links of mails,
    /// and forms are taken from there. `http://` and the address of `listen` where it is `None`.
    pub base_url: Option<String>,
    /// Whether cookies travel over TLS only. Without TLS in front browsers drop such cookies.
    pub secure_cookies: bool,
    /// What a password's hash costs.
    pub password_cost: PasswordCost,
    /// Where the time comes from; the system where it is `None`.
    pub clock: Option<Arc<dyn Clock>>,
}

impl TrackerOptions {
    /// A tracker for this machine alone: `127.0.0.1:8080`, without TLS.
    #[must_use]
    pub fn loopback(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            base_url: None,
            secure_cookies: false,
            password_cost: PasswordCost::default(),
            clock: None,
        }
    }

    /// With another clock than the system's.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }
}

/// What a password's argon2id hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCost {
    /// KiB of memory.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl PasswordCost {
    /// As little as argon2 allows, for tests alone.
    #[must_use]
    pub const fn for_tests() -> Self {
        Self {
            memory_kib: 8,
            passes: 1,
        }
    }
}

impl Default for PasswordCost {
    /// 19 MiB and two passes, as OWASP's password storage cheat sheet has it.
    fn default() -> Self {
        Self {
            memory_kib: 19 * 1024,
            passes: 2,
        }
    }
}

/// A clock behind a handle, as the engine takes it.
pub(crate) struct SharedClock(pub(crate) Arc<dyn Clock>);

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

impl fmt::Debug for SharedClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
