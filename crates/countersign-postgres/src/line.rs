//! One connection: how it is made, what it is connected to, and what was told on it unasked.

use crate::error::{Fault, PostgresError, describe};
use crate::gate::{Allowed, Settings};
use crate::options::PostgresOptions;
use core::fmt;
use core::future::poll_fn;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Config};

/// How long one connection may take to come about.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// How long a connection may stay silent, with something sent and not acknowledged by its machine.
const SILENCE: Duration = Duration::from_secs(10);

/// What notifications between the nodes of one schema are called.
pub(crate) fn channel(options: &PostgresOptions) -> String {
    format!("countersign_{}", options.schema)
}

/// A connection that is set up.
pub(crate) struct Line {
    pub(crate) client: Client,
    pub(crate) server: Server,
    /// Which server's turn it was made in.
    pub(crate) generation: u64,
    /// The server's process for it.
    pub(crate) process: Process,
    told: Arc<Told>,
}

/// A process of a server: another one may get its number once it has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) number: i32,
    /// When it began, as text; empty where that is not known.
    pub(crate) began: String,
}

/// A server, as it was when it was connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    /// Which of the hosts.
    pub(crate) place: usize,
    /// When it was started, as text: another start, another server.
    pub(crate) started: String,
    /// Moved on by each promotion.
    pub(crate) timeline: u32,
    /// Whether it can be written to.
    pub(crate) writable: bool,
    /// Whether it is PostgreSQL itself.
    pub(crate) stock: bool,
}

/// What a server says unasked.
#[derive(Default)]
struct Told {
    /// It warned of something: that a commit was acknowledged before the standbys had it, for one.
    doubted: AtomicBool,
    ended: AtomicBool,
    rung: Notify,
}

impl Line {
    /// Connects to one of the hosts, and finds out what it is.
    pub(crate) async fn connect(
        options: &PostgresOptions,
        place: usize,
        generation: u64,
    ) -> Result<Self, Fault> {
        let connecting = Self::connect_slowly(options, place, generation);
        match tokio::time::timeout(CONNECT_WITHIN, connecting).await {
            Ok(connected) => connected,
            Err(_) => Err(Fault::Lost(format!(
                "host {place} did not answer within {} s",
                CONNECT_WITHIN.as_secs()
            ))),
        }
    }

    async fn connect_slowly(
        options: &PostgresOptions,
        place: usize,
        generation: u64,
    ) -> Result<Self, Fault> {
        let config = single(&options.config, place)?;
        let tls = options.tls.connector().map_err(Fault::NotDurable)?;
        let connected = config.connect(tls).await;
        // Refused or unreachable: there is nothing that it could have done.
        let (client, mut connection) = connected.map_err(|error| Fault::Lost(describe(&error)))?;
        let told = Arc::new(Told::default());
        let heard = Arc::clone(&told);
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await
            {
                heard.hear(&message);
            }
            heard.ended.store(true, Ordering::Release);
            heard.rung.notify_one();
        });
        let server = Server::of(&client, place).await?;
        let process = Process::of(&client, server.stock).await?;
        let line = Self {
            client,
            server,
            generation,
            process,
            told,
        };
        line.set_up(options).await?;
        Ok(line)
    }

    async fn set_up(&self, options: &PostgresOptions) -> Result<(), Fault> {
        // Nothing of ours is ever cancelled by the server: a commit whose wait for the standbys is
        // cancelled is told as done, with a warning that has to come through. A node that is gone
        // must not leave a transaction behind that holds records.
        let schema = &options.schema;
        let session = format!(
            "SET search_path TO {schema}; SET statement_timeout TO 0; \
             SET lock_timeout TO 0; SET default_transaction_isolation TO 'read committed'; \
             SET idle_in_transaction_session_timeout TO '10s'; \
             SET client_min_messages TO warning"
        );
        self.client.batch_execute(&session).await?;
        if self.server.stock {
            // Plans are made once, often for tables that are empty yet, where reading all of one
            // is cheapest. Each statement is for a few keys, so each goes by its index.
            let plans = "SET enable_seqscan TO off; SET enable_bitmapscan TO off; \
                         SET enable_hashjoin TO off; SET enable_mergejoin TO off; SET jit TO off";
            self.client.batch_execute(plans).await?;
        }
        Ok(())
    }

    /// Checks that what is acknowledged on this connection is kept.
    pub(crate) async fn check(&self, options: &PostgresOptions) -> Result<(), Fault> {
        if !self.server.stock {
            return Ok(());
        }
        let hosts = options.config.get_hosts().len();
        let settings = Settings::read(&self.client, hosts).await?;
        let allowed = Allowed {
            lossy_failover: options.allow_lossy_failover,
            lossy_crash: options.allow_lossy_crash,
        };
        settings.judge(allowed).map_err(Fault::NotDurable)?;
        // Said in any case: the server's own setting may be weakened while this connection lasts.
        let waits = format!("SET synchronous_commit TO {}", settings.mode());
        self.client.batch_execute(&waits).await?;
        Ok(())
    }

    /// Whether it can still be used.
    pub(crate) fn is_alive(&self) -> bool {
        !self.client.is_closed() && !self.told.ended.load(Ordering::Acquire)
    }

    /// Gives it up.
    pub(crate) fn end(&self) {
        self.told.ended.store(true, Ordering::Release);
    }

    /// Whether the server has warned of anything since this was last asked.
    pub(crate) fn take_doubt(&self) -> bool {
        self.told.doubted.swap(false, Ordering::AcqRel)
    }

    /// Waits for a notification, or for the end of the connection.
    pub(crate) async fn rung(&self) {
        self.told.rung.notified().await;
    }
}

impl Told {
    fn hear(&self, message: &AsyncMessage) {
        match message {
            // By its code: its words are in the server's language.
            AsyncMessage::Notice(notice) if *notice.code() == SqlState::WARNING => {
                self.doubted.store(true, Ordering::Release);
            }
            AsyncMessage::Notification(_) => self.rung.notify_one(),
            _ => {}
        }
    }
}

impl Process {
    async fn of(client: &Client, stock: bool) -> Result<Self, Fault> {
        let text = match stock {
            true => {
                "SELECT pid, backend_start::text FROM pg_stat_activity
                WHERE pid = pg_backend_pid()"
            }
            false => "SELECT pg_backend_pid(), ''",
        };
        let row = client.query_one(text, &[]).await?;
        Ok(Self {
            number: row.try_get(0)?,
            began: row.try_get(1)?,
        })
    }
}

impl Server {
    async fn of(client: &Client, place: usize) -> Result<Self, Fault> {
        let version: String = client
            .query_one("SELECT version()", &[])
            .await?
            .try_get(0)?;
        let stock = version.starts_with("PostgreSQL ") && !version.contains("-YB-");
        if !stock {
            return Ok(Self {
                place,
                started: version,
                timeline: 0,
                writable: true,
                stock,
            });
        }
        let text = "SELECT pg_is_in_recovery(), pg_postmaster_start_time()::text,
            CASE WHEN pg_is_in_recovery() THEN NULL
                ELSE pg_walfile_name(pg_current_wal_lsn()) END,
            current_setting('default_transaction_read_only')";
        let row = client.query_one(text, &[]).await?;
        let recovering: bool = row.try_get(0)?;
        let file: Option<String> = row.try_get(2)?;
        let timeline = file.as_deref().and_then(|name| name.get(..8));
        let timeline = timeline.and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let read_only: String = row.try_get(3)?;
        Ok(Self {
            place,
            started: row.try_get(1)?,
            timeline: timeline.unwrap_or(0),
            writable: !recovering && read_only == "off",
            stock,
        })
    }
}

/// The same connection string with one of its hosts alone.
fn single(all: &Config, place: usize) -> Result<Config, Fault> {
    let missing = || {
        Fault::NotDurable(PostgresError::Option {
            field: "hosts",
            detail: format!("there is no host number {place}"),
        })
    };
    let mut one = Config::new();
    match all.get_hosts().get(place).ok_or_else(missing)? {
        Host::Tcp(name) => one.host(name),
        #[cfg(unix)]
        Host::Unix(path) => one.host_path(path),
    };
    if let Some(address) = all.get_hostaddrs().get(place) {
        one.hostaddr(*address);
    }
    // One port for all, or one for each.
    let ports = all.get_ports();
    if let Some(port) = ports.get(place).or_else(|| ports.first()) {
        one.port(*port);
    }
    if let Some(user) = all.get_user() {
        one.user(user);
    }
    if let Some(password) = all.get_password() {
        one.password(password);
    }
    if let Some(name) = all.get_dbname() {
        one.dbname(name);
    }
    if let Some(options) = all.get_options() {
        one.options(options);
    }
    one.application_name(all.get_application_name().unwrap_or("countersign"))
        .ssl_mode(all.get_ssl_mode())
        .ssl_negotiation(all.get_ssl_negotiation())
        .channel_binding(all.get_channel_binding())
        .keepalives(all.get_keepalives())
        .keepalives_idle(all.get_keepalives_idle())
        .connect_timeout(*all.get_connect_timeout().unwrap_or(&CONNECT_WITHIN))
        .tcp_user_timeout(*all.get_tcp_user_timeout().unwrap_or(&SILENCE));
    Ok(one)
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("server", &self.server)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}
