//! What a cluster is made of.

use core::num::NonZeroU8;

/// How many servers, and how they are set up: without more said, one server that syncs its files
/// and listens on a socket and on 127.0.0.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub(super) standbys: u8,
    pub(super) quorum: Option<NonZeroU8>,
    pub(super) fsync: bool,
    pub(super) tcp: bool,
    pub(super) settings: Vec<(String, String)>,
}

impl Options {
    /// One server.
    #[must_use]
    pub fn new() -> Self {
        Self {
            standbys: 0,
            quorum: None,
            fsync: true,
            tcp: true,
            settings: Vec::new(),
        }
    }

    /// How many standbys there are beside the primary, at most two.
    #[must_use]
    pub fn standbys(mut self, standbys: u8) -> Self {
        self.standbys = standbys.min(2);
        self
    }

    /// A commit waits until this many standbys have it, whichever they are; with zero, for none.
    #[must_use]
    pub fn synchronous(mut self, quorum: u8) -> Self {
        self.quorum = NonZeroU8::new(quorum);
        self
    }

    /// Whether files are synced; a test that kills no machine starts faster without.
    #[must_use]
    pub fn fsync(mut self, fsync: bool) -> Self {
        self.fsync = fsync;
        self
    }

    /// Only the socket is listened on, and no port of the machine is taken.
    #[must_use]
    pub fn socket_only(mut self) -> Self {
        self.tcp = false;
        self
    }

    /// One more setting for every server, as it would stand in `postgresql.conf`.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The lines that every server's `postgresql.conf` ends with.
    pub(super) fn lines(&self) -> String {
        let fsync = if self.fsync { "on" } else { "off" };
        let own = [
            ("fsync", fsync),
            ("full_page_writes", fsync),
            // A standby that lost its primary asks again at once, not after five seconds.
            ("wal_retrieve_retry_interval", "100ms"),
            // One that comes back late still finds what it has missed.
            ("wal_keep_size", "256MB"),
            ("shared_buffers", "32MB"),
            // After a crash, and for a copy, all is synced at once, not a thousand files in turn.
            ("recovery_init_sync_method", "syncfs"),
        ];
        let own = own.map(|(name, value)| line(name, value));
        let more = self.settings.iter().map(|(name, value)| line(name, value));
        own.into_iter().chain(more).collect()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

/// A line of a configuration file.
fn line(name: &str, value: &str) -> String {
    format!("{name} = {}\n", quoted(value))
}

/// A value between quotes, as configuration files and SQL both want it.
pub(super) fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}
