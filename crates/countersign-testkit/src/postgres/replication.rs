//! What a server is to another one: its primary, its standby, or cut off from it.

use super::failure::{Failure, Outcome};
use super::options::quoted;
use super::server::{OWNER, Server};
use super::tools::run;
use super::wait::until;
use crate::must::must;
use std::fs;

/// Where nobody listens.
const NOWHERE: &str = "host=127.0.0.1 port=1";
/// The setting of what a commit waits for.
pub(super) const SYNCHRONOUS: &str = "synchronous_standby_names";

impl Server {
    /// Sets something by `alter system`, and waits until every new session and, for what a commit
    /// waits for, every session sees it. What only a start can change is not waited for.
    #[track_caller]
    pub fn set(&self, name: &str, value: &str) {
        must(self.try_set(name, value));
    }

    pub(super) fn try_set(&self, name: &str, value: &str) -> Outcome<()> {
        let loaded = self.try_sql("select pg_conf_load_time()")?;
        let value = quoted(value);
        self.try_sql(&format!(
            "alter system set {name} = {value};\nselect pg_reload_conf()"
        ))?;
        until("settings to be read", || {
            Ok(self.try_sql("select pg_conf_load_time()")? != loaded)
        })?;
        self.try_sql("checkpoint; checkpoint").map(drop)
    }

    /// Whether it takes no writes of its own.
    #[must_use]
    #[track_caller]
    pub fn is_standby(&self) -> bool {
        self.sql("select pg_is_in_recovery()") == "t"
    }

    /// Makes a standby a primary, and waits until it takes writes.
    ///
    /// Which standbys its commits wait for stays as it is set there: see [`Self::set`].
    #[track_caller]
    pub fn promote(&self) {
        must(self.try_promote());
    }

    pub(super) fn try_promote(&self) -> Outcome<()> {
        let promoted = self.try_sql("select pg_promote(true, 60)")?;
        if promoted != "t" {
            let name = self.name();
            return Err(Failure::new(format!("{name} was not promoted: {promoted}")));
        }
        until("a primary that takes writes", || {
            Ok(self.try_sql("select pg_is_in_recovery()")? == "f")
        })
    }

    /// Cuts a standby off from its primary, which goes on without it, or waits for it in vain.
    #[track_caller]
    pub fn cut_replication(&self) {
        must(self.try_cut_replication());
    }

    pub(super) fn try_cut_replication(&self) -> Outcome<()> {
        self.try_set("primary_conninfo", NOWHERE)?;
        self.await_no_receiver()
    }

    /// Points a standby at a primary, and waits until it has caught up; also undoes
    /// [`Self::cut_replication`].
    ///
    /// It must hold nothing that the primary does not: for one that may, there is
    /// [`Self::rejoin`].
    #[track_caller]
    pub fn follow(&self, primary: &Self) {
        must(self.try_follow(primary));
    }

    pub(super) fn try_follow(&self, primary: &Self) -> Outcome<()> {
        self.try_set("primary_conninfo", &primary.replication_string())?;
        primary.await_standby(self.name())
    }

    /// Waits until a standby shows everything that was committed on the primary so far: that a
    /// commit waits for a standby means that it is safe there, not that it is to be seen there.
    #[track_caller]
    pub fn catch_up(&self, primary: &Self) {
        let far = primary.sql("select pg_current_wal_flush_lsn()");
        let question = format!("select pg_last_wal_replay_lsn() >= '{far}'");
        must(until("a standby to show what its primary has", || {
            Ok(self.try_sql(&question)? == "t")
        }));
    }

    /// Makes it a standby of `primary` whatever it was: what it held is thrown away, and it begins
    /// with a copy of the primary's data.
    #[track_caller]
    pub fn rejoin(&self, primary: &Self) {
        must(self.try_rejoin(primary));
    }

    pub(super) fn try_rejoin(&self, primary: &Self) -> Outcome<()> {
        self.kill();
        self.throw_away()
            .map_err(Failure::of("the data of a server"))?;
        self.copy(primary)?;
        self.try_start()?;
        primary.await_standby(self.name())
    }

    /// Begins with a copy of the primary's data, as its standby.
    pub(super) fn copy(&self, primary: &Self) -> Outcome<()> {
        let tools = self.tools();
        let mut command = tools.as_user(&tools.pg_basebackup, self.home());
        command
            .args(["-R", "-X", "stream", "-c", "fast", "--no-sync"])
            .arg("-d")
            .arg(primary.replication_string())
            .arg("-D")
            .arg(self.data());
        run(&command).map(drop)
    }

    /// Its lock file stays, in a folder of its own: the guard reads in it what a killed server has
    /// left in memory.
    fn throw_away(&self) -> std::io::Result<()> {
        let data = self.data();
        let lock = data.join("postmaster.pid");
        if lock.exists() {
            let prefix = format!("{}-", self.name());
            let kept = tempfile::Builder::new()
                .prefix(&prefix)
                .tempdir_in(self.home())?;
            fs::rename(lock, kept.keep().join("postmaster.pid"))?;
        }
        fs::remove_dir_all(data)
    }

    /// By the socket, which is there for every server; the name of the standby is its own.
    fn replication_string(&self) -> String {
        let (home, port) = (self.home().display(), self.port());
        format!("host={home} port={port} user={OWNER}")
    }

    /// Waits until a standby has caught up so far that it is streamed to.
    pub(super) fn await_standby(&self, standby: &str) -> Outcome<()> {
        self.await_replication(standby, "state = 'streaming'")
    }

    /// Waits until a standby is one that commits may wait for.
    pub(super) fn await_synchronous(&self, standby: &str) -> Outcome<()> {
        self.await_replication(standby, "sync_state in ('sync', 'quorum')")
    }

    fn await_replication(&self, standby: &str, condition: &str) -> Outcome<()> {
        let question = format!(
            "select coalesce(bool_or({condition}), false) from pg_stat_replication \
             where application_name = '{standby}'"
        );
        let what = format!("{} to have {standby} with {condition}", self.name());
        until(&what, || Ok(self.try_sql(&question)? == "t"))
    }

    /// Waits until a standby receives nothing any more.
    pub(super) fn await_no_receiver(&self) -> Outcome<()> {
        until("a standby to be cut off", || {
            Ok(self.try_sql("select count(*) from pg_stat_wal_receiver")? == "0")
        })
    }
}
