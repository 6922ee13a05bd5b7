//! A primary, its standbys, and the directory that they are in.

use super::failure::{Failure, Outcome};
use super::home::Home;
use super::options::Options;
use super::replication::SYNCHRONOUS;
use super::server::{OWNER, Server};
use super::skip::skip;
use super::tools::{Tools, run};
use crate::must::must;
use core::num::NonZeroU8;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::Arc;
use std::thread;

/// What a commit waits for after a failover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// For as many standbys as before, or for all that remain; where none does, for one of those
    /// that are gone, until it rejoins. In a cluster that is not synchronous, for none.
    Synchronous,
    /// For none.
    Alone,
}

/// Servers that replicate, named `n1`, `n2` and `n3`; the first one begins as the primary.
#[derive(Debug)]
pub struct Cluster {
    // First, since the guard ends the servers' processes before those are asked how they ended.
    home: Home,
    servers: Vec<Server>,
    primary: AtomicUsize,
    quorum: Option<NonZeroU8>,
}

impl Cluster {
    /// Whether everything is there that servers are started with.
    ///
    /// # Errors
    /// What is missing, and how to install it.
    pub fn available() -> Result<(), String> {
        Tools::find()
            .map(drop)
            .map_err(|failure| failure.to_string())
    }

    /// Starts one, and waits until its standbys are streamed to and, if they are synchronous, are
    /// waited for by commits. Where that cannot be done, the test ends.
    #[must_use]
    #[track_caller]
    pub fn start(options: &Options) -> Self {
        must(Tools::find().and_then(|tools| Self::try_start(tools, options)))
    }

    /// The same, and nothing where PostgreSQL is missing: that is said loudly, and with the
    /// variable [`REQUIRED`](super::REQUIRED) in the environment it ends the test.
    #[must_use]
    #[track_caller]
    pub fn start_or_skip(options: &Options) -> Option<Self> {
        match Self::available() {
            Ok(()) => Some(Self::start(options)),
            Err(missing) => {
                skip(&missing);
                None
            }
        }
    }

    fn try_start(tools: Tools, options: &Options) -> Outcome<Self> {
        let tools = Arc::new(tools);
        let home = Home::make(tools.user.as_ref())?;
        let servers = (0..=options.standbys)
            .map(|number| {
                let name = format!("n{}", number.saturating_add(1));
                Server::planned(name, &tools, home.path(), options)
            })
            .collect::<Outcome<_>>()?;
        let cluster = Self {
            home,
            servers,
            primary: AtomicUsize::new(0),
            quorum: options.quorum,
        };
        cluster.begin(&tools, options)?;
        Ok(cluster)
    }

    fn begin(&self, tools: &Tools, options: &Options) -> Outcome<()> {
        let Some((primary, standbys)) = self.servers.split_first() else {
            return Err(Failure::new("a cluster without a server"));
        };
        self.initialise(tools, primary, options)?;
        primary.start_first()?;
        thread::scope(|scope| {
            let begin = |standby: &Server| {
                standby.copy(primary)?;
                standby.start_first()?;
                primary.await_standby(standby.name())
            };
            let threads: Vec<_> = standbys
                .iter()
                .map(|standby| scope.spawn(move || begin(standby)))
                .collect();
            threads.into_iter().try_for_each(|thread| {
                let ended = thread.join();
                ended.unwrap_or_else(|_| Err(Failure::new("a standby did not begin")))
            })
        })?;
        self.wait_for(primary, &standbys.iter().collect::<Vec<_>>())
    }

    /// Makes the data of the first server; the others have a copy, also of its settings.
    fn initialise(&self, tools: &Tools, server: &Server, options: &Options) -> Outcome<()> {
        let mut initdb = tools.as_user(&tools.initdb, self.home.path());
        initdb
            .args(["-A", "trust", "-U", OWNER, "-E", "UTF8", "--locale=C"])
            .args(["--no-sync", "--no-instructions", "-D"])
            .arg(server.data());
        run(&initdb)?;
        let file = server.data().join("postgresql.conf");
        let file = OpenOptions::new().append(true).open(file);
        file.and_then(|mut file| file.write_all(options.lines().as_bytes()))
            .map_err(Failure::of("postgresql.conf"))
    }

    /// The primary: the first server, or whoever the last [`Self::failover`] made it.
    #[must_use]
    #[track_caller]
    pub fn primary(&self) -> &Server {
        let at = self.primary.load(Ordering::SeqCst);
        must(self.servers.get(at).ok_or("a cluster without a primary"))
    }

    /// All the others, whether or not they run.
    #[must_use]
    pub fn standbys(&self) -> Vec<&Server> {
        let at = self.primary.load(Ordering::SeqCst);
        let others = self.servers.iter().enumerate().filter(|(i, _)| *i != at);
        others.map(|(_, server)| server).collect()
    }

    /// All of them, in the order of their names.
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// How to connect to whichever server there is: every host and every port, in the order of
    /// the servers' names.
    #[must_use]
    pub fn connection_string(&self) -> String {
        let part = |server: &Server, key: &str| {
            let text = server.connection_string();
            let value = text.split(' ').find_map(|pair| pair.strip_prefix(key));
            value.unwrap_or_default().to_owned()
        };
        let all = |key: &str| {
            let parts: Vec<_> = self.servers.iter().map(|one| part(one, key)).collect();
            parts.join(",")
        };
        let (hosts, ports) = (all("host="), all("port="));
        format!("host={hosts} port={ports} user={OWNER} dbname=postgres")
    }

    /// Makes a live standby the primary: the one that has received most, so that what was
    /// acknowledged is kept. The others that live follow it. The old primary is left as it is:
    /// running, standing still, or gone.
    #[track_caller]
    pub fn failover(&self, after: After) -> &Server {
        must(self.try_failover(after))
    }

    fn try_failover(&self, after: After) -> Outcome<&Server> {
        let old = self.primary();
        let mut live = self.standbys();
        live.retain(|standby| standby.is_live());
        let mut furthest: Option<(u64, &Server)> = None;
        for standby in &live {
            match old.is_running() {
                // It would go on receiving, past where the other one is promoted.
                true => standby.try_cut_replication()?,
                // What is still under way to it counts.
                false => standby.await_no_receiver()?,
            }
        }
        for standby in live.iter().copied() {
            let received = received(standby)?;
            if furthest.is_none_or(|(most, _)| received > most) {
                furthest = Some((received, standby));
            }
        }
        let (_, next) = furthest.ok_or_else(|| Failure::new("no standby lives"))?;
        live.retain(|standby| standby.name() != next.name());

        // Before it takes writes, so that none slips through.
        next.try_set(SYNCHRONOUS, &self.names(next, &live, after))?;
        next.try_promote()?;
        let at = self
            .servers
            .iter()
            .position(|server| server.name() == next.name());
        self.primary.store(at.unwrap_or_default(), Ordering::SeqCst);
        for standby in &live {
            standby.try_follow(next)?;
            if after == After::Synchronous && self.quorum.is_some() {
                next.await_synchronous(standby.name())?;
            }
        }
        Ok(next)
    }

    /// Makes a server a standby of the primary, with a copy of its data. In a synchronous cluster
    /// commits then wait for as many standbys as at the beginning, as far as they live.
    #[track_caller]
    pub fn rejoin(&self, server: &Server) {
        let primary = self.primary();
        server.rejoin(primary);
        let mut live = self.standbys();
        live.retain(|standby| standby.is_live());
        must(self.wait_for(primary, &live));
    }

    /// Lets commits wait for standbys that are streamed to, if the cluster is synchronous.
    fn wait_for(&self, primary: &Server, standbys: &[&Server]) -> Outcome<()> {
        if self.quorum.is_none() || standbys.is_empty() {
            return Ok(());
        }
        let names = self.names(primary, standbys, After::Synchronous);
        primary.try_set(SYNCHRONOUS, &names)?;
        standbys
            .iter()
            .try_for_each(|standby| primary.await_synchronous(standby.name()))
    }

    /// Whom commits on a primary wait for, as the server wants it to be said.
    fn names(&self, primary: &Server, standbys: &[&Server], after: After) -> String {
        let Some(quorum) = self.quorum.filter(|_| after == After::Synchronous) else {
            return String::new();
        };
        let mut waited_for = standbys.to_vec();
        if waited_for.is_empty() {
            let others = self.servers.iter();
            waited_for.extend(others.filter(|one| one.name() != primary.name()));
        }
        let quorum = usize::from(quorum.get()).min(standbys.len()).max(1);
        let names: Vec<_> = waited_for.into_iter().map(Server::name).collect();
        format!("ANY {quorum} ({})", names.join(","))
    }
}

/// How far a standby has received, in bytes from the beginning of all.
fn received(standby: &Server) -> Outcome<u64> {
    let at = standby.try_sql("select pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')")?;
    at.parse()
        .map_err(Failure::of("what a standby has received"))
}
