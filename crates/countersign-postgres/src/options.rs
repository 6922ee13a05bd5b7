//! Everything about opening a store in a database that has a default.

use crate::error::PostgresError;
use crate::follow::POLL;
use crate::schema;
use crate::store::PostgresStore;
use crate::tls::Tls;
use core::fmt;
use core::time::Duration;
use countersign_core::Keyring;
use std::sync::Arc;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// How a store in a database is opened.
///
/// A connection string is one of libpq's: `host=a,b,c port=5432 user=app dbname=app
/// sslmode=require`, or the same as a URL. Where it names several hosts, the one that can be
/// written to is found, and found again after a failover.
#[derive(Clone)]
pub struct PostgresOptions {
    pub(crate) config: Config,
    pub(crate) tls: Tls,
    pub(crate) schema: String,
    pub(crate) create: bool,
    pub(crate) readers: usize,
    pub(crate) queue: usize,
    pub(crate) staleness: Duration,
    pub(crate) poll: Duration,
    pub(crate) answer_within: Duration,
    pub(crate) commit_within: Duration,
    pub(crate) log_kept: Duration,
    pub(crate) allow_lossy_failover: bool,
    pub(crate) allow_lossy_crash: bool,
    pub(crate) allow_plaintext: bool,
    pub(crate) listens: bool,
}

/// As many hosts as a connection string may name.
const HOSTS_MAX: usize = 16;

impl PostgresOptions {
    /// All defaults, for the database of a connection string.
    ///
    /// # Errors
    /// [`PostgresError::Option`] when it is none. A password in it is not shown.
    pub fn new(connection: &str) -> Result<Self, PostgresError> {
        let config = connection.parse().map_err(|_| PostgresError::Option {
            field: "connection string",
            // The parser's own words may quote what was given, a password among it.
            detail: "it is neither `key=value` pairs as libpq takes them nor a `postgres://` URL"
                .to_owned(),
        })?;
        Self::from_config(config)
    }

    /// All defaults, for a database that was described piece by piece.
    ///
    /// # Errors
    /// [`PostgresError::Option`] when it names no host, or too many.
    pub fn from_config(config: Config) -> Result<Self, PostgresError> {
        let hosts = config.get_hosts().len();
        if hosts == 0 || hosts > HOSTS_MAX {
            return Err(PostgresError::Option {
                field: "hosts",
                detail: format!("{hosts} are named; 1 to {HOSTS_MAX} are allowed"),
            });
        }
        Ok(Self {
            config,
            tls: Tls::default(),
            schema: "countersign".to_owned(),
            create: true,
            readers: 4,
            queue: 4096,
            staleness: Duration::from_secs(1),
            poll: POLL,
            answer_within: Duration::from_secs(5),
            commit_within: Duration::from_secs(30),
            log_kept: Duration::from_secs(24 * 60 * 60),
            allow_lossy_failover: false,
            allow_lossy_crash: false,
            allow_plaintext: false,
            listens: true,
        })
    }

    /// The schema that holds the tables; `countersign` if nothing is said.
    ///
    /// # Errors
    /// [`PostgresError::Option`] when it would need quotes.
    pub fn schema(mut self, name: &str) -> Result<Self, PostgresError> {
        schema::check_name(name)?;
        name.clone_into(&mut self.schema);
        Ok(self)
    }

    /// Whether tables may be made where there are none; they may if nothing is said.
    #[must_use]
    pub const fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// How many connections are read by, each of which carries many reads at once; 4, at most 64.
    #[must_use]
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers.clamp(1, 64);
        self
    }

    /// How late this node may hear of another one's change before it trusts nothing it has in
    /// memory. An engine sets it by its policy (`cache.staleness_ms`).
    #[must_use]
    pub const fn staleness(mut self, bound: Duration) -> Self {
        self.staleness = bound;
        self
    }

    /// How often other nodes' changes are asked for when no notification comes; 50 ms.
    #[must_use]
    pub fn poll(mut self, interval: Duration) -> Self {
        self.poll = interval.clamp(Duration::from_millis(1), Duration::from_secs(60));
        self
    }

    /// Whether notifications are listened for and sent; they are if nothing is said. For engines
    /// that have none: then the interval of [`PostgresOptions::poll`] decides alone.
    #[must_use]
    pub const fn notifications(mut self, listens: bool) -> Self {
        self.listens = listens;
        self
    }

    /// How long an answer to a read is waited for; 5 s.
    #[must_use]
    pub const fn answer_within(mut self, patience: Duration) -> Self {
        self.answer_within = patience;
        self
    }

    /// How long a commit is waited for, through a failover, before its outcome is told as unknown;
    /// 30 s.
    #[must_use]
    pub const fn commit_within(mut self, patience: Duration) -> Self {
        self.commit_within = patience;
        self
    }

    /// How long the log of changes is kept; a day, and at least an hour. A node that was away for
    /// longer begins with nothing in memory.
    #[must_use]
    pub fn log_kept(mut self, kept: Duration) -> Self {
        self.log_kept = kept.max(Duration::from_secs(3600));
        self
    }

    /// Which certificates are believed.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// Opens a cluster all the same whose standbys may miss what was acknowledged: a failover may
    /// then undo a revocation.
    #[must_use]
    pub const fn allow_lossy_failover(mut self) -> Self {
        self.allow_lossy_failover = true;
        self
    }

    /// Opens a server all the same that does not sync what it acknowledges: losing power may then
    /// undo a revocation.
    #[must_use]
    pub const fn allow_lossy_crash(mut self) -> Self {
        self.allow_lossy_crash = true;
        self
    }

    /// Speaks to hosts that are not this machine without TLS all the same.
    #[must_use]
    pub const fn allow_plaintext(mut self) -> Self {
        self.allow_plaintext = true;
        self
    }

    /// Connects, brings the schema up to date, and checks that the database keeps what it
    /// acknowledges. Blocks meanwhile.
    ///
    /// # Errors
    /// When no server can be reached that can be written to, or it does not fit.
    pub fn open(self, keyring: Arc<Keyring>) -> Result<PostgresStore, PostgresError> {
        self.check()?;
        PostgresStore::start(self, keyring)
    }

    fn check(&self) -> Result<(), PostgresError> {
        let plain = self.config.get_ssl_mode() != SslMode::Require;
        if plain && !self.allow_plaintext {
            let addresses = self.config.get_hostaddrs();
            let far = |(place, host): &(usize, &Host)| match addresses.get(*place) {
                Some(address) => !address.is_loopback(),
                None => !is_near(host),
            };
            let far = self.config.get_hosts().iter().enumerate().find(far);
            if let Some((_, Host::Tcp(name))) = far {
                return Err(PostgresError::Option {
                    field: "sslmode",
                    detail: format!(
                        "{name} is another machine, and records would cross the network \
                         unprotected: say `sslmode=require`, or `allow_plaintext()`"
                    ),
                });
            }
        }
        Ok(())
    }
}

/// Whether a host is this machine.
fn is_near(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .parse::<core::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of the connection, what is no secret.
        f.debug_struct("PostgresOptions")
            .field("hosts", &self.config.get_hosts())
            .field("database", &self.config.get_dbname())
            .field("schema", &self.schema)
            .field("staleness", &self.staleness)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_are_spoken_to_over_tls_alone() {
        let open = |text: &str| PostgresOptions::new(text).and_then(|options| options.check());
        for near in [
            "host=localhost user=a",
            "host=127.0.0.1 user=a",
            "host=/run/postgresql user=a",
            "postgres://a@[::1]/b",
            "host=db.example.org user=a sslmode=require",
        ] {
            assert_eq!(open(near), Ok(()), "{near}");
        }
        for far in [
            "host=db.example.org user=a",
            "host=localhost,10.0.0.1 user=a sslmode=prefer",
            "host=localhost hostaddr=10.0.0.1 user=a",
        ] {
            let error = open(far).unwrap_err().to_string();
            assert!(error.contains("sslmode=require"), "{error}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let secret = "hunter2hunter2";
        let options = PostgresOptions::new(&format!("host=localhost password={secret}")).unwrap();
        assert!(!format!("{options:?}").contains(secret));
        let error = PostgresOptions::new(&format!("host=localhost password={secret} nonsense"));
        assert!(!format!("{error:?}").contains(secret));
    }
}
