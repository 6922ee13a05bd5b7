//! Whether a database keeps what it acknowledges: asked at every connection that is written by.
//!
//! A revocation that was acknowledged and is undone by a failover lets somebody in again. So a
//! cluster is refused whose standbys may miss a write, and a server that does not sync, unless
//! the host has allowed just that by name. Of another engine than PostgreSQL itself nothing is
//! asked: what it promises is its own.

use crate::error::{Fault, PostgresError};
use tokio_postgres::Client;

/// What was found of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) fsync: bool,
    pub(crate) full_page_writes: bool,
    /// Of this session, as it came.
    pub(crate) synchronous_commit: String,
    pub(crate) synchronous_standby_names: String,
    pub(crate) cluster_name: String,
    /// Standbys that are connected.
    pub(crate) standbys: usize,
    /// Hosts in the connection string.
    pub(crate) hosts: usize,
}

/// What the host has allowed by name.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowed {
    pub(crate) lossy_failover: bool,
    pub(crate) lossy_crash: bool,
}

impl Settings {
    pub(crate) async fn read(client: &Client, hosts: usize) -> Result<Self, Fault> {
        let text = "SELECT current_setting('fsync'), current_setting('full_page_writes'),
            current_setting('synchronous_commit'), current_setting('synchronous_standby_names'),
            current_setting('cluster_name'), (SELECT count(*) FROM pg_stat_replication)";
        let row = client.query_one(text, &[]).await?;
        let on = |column| Ok::<_, Fault>(row.try_get::<_, String>(column)? == "on");
        let standbys: i64 = row.try_get(5)?;
        Ok(Self {
            fsync: on(0)?,
            full_page_writes: on(1)?,
            synchronous_commit: row.try_get(2)?,
            synchronous_standby_names: row.try_get(3)?,
            cluster_name: row.try_get(4)?,
            standbys: usize::try_from(standbys).unwrap_or(0),
            hosts,
        })
    }

    /// What commits of this session wait for: the standbys, by what is set or by what is said.
    pub(crate) fn mode(&self) -> &'static str {
        match self.synchronous_commit.as_str() {
            "remote_apply" => "remote_apply",
            _ => "on",
        }
    }

    /// Refuses a server that can lose what it acknowledges.
    pub(crate) fn judge(&self, allowed: Allowed) -> Result<(), PostgresError> {
        if !allowed.lossy_crash {
            for (setting, on) in [
                ("fsync", self.fsync),
                ("full_page_writes", self.full_page_writes),
            ] {
                if !on {
                    return Err(PostgresError::NotDurable {
                        detail: format!("`{setting}` is off, so losing power loses commits"),
                        remedy: "set it to on, or call `allow_lossy_crash()`",
                    });
                }
            }
        }
        if allowed.lossy_failover || (self.standbys == 0 && self.hosts < 2) {
            return Ok(());
        }
        let not_durable = |detail: String| PostgresError::NotDurable {
            detail,
            remedy: "set `synchronous_standby_names` to a quorum such as `ANY 1 (n2, n3)`, or call \
                     `allow_lossy_failover()`",
        };
        let Some(quorum) = Quorum::parse(&self.synchronous_standby_names) else {
            return Err(not_durable(format!(
                "it has standbys, and `synchronous_standby_names` is `{}`, so a failover loses \
                 commits",
                self.synchronous_standby_names
            )));
        };
        let standbys = match quorum.names.iter().any(|name| name == "*") {
            true => self.standbys.max(self.hosts.saturating_sub(1)).max(1),
            false => {
                let own = |name: &&String| **name != self.cluster_name;
                quorum.names.iter().filter(own).count()
            }
        };
        // Of the standbys that do not take over, those that have a commit and those that the new
        // primary waits for must share one.
        if quorum.count.saturating_mul(2) <= standbys.saturating_sub(1) {
            return Err(not_durable(format!(
                "commits wait for {} of {standbys} standbys, so another one that takes over may \
                 miss them",
                quorum.count
            )));
        }
        Ok(())
    }
}

/// What `synchronous_standby_names` says.
#[derive(Debug, PartialEq, Eq)]
struct Quorum {
    count: usize,
    names: Vec<String>,
}

impl Quorum {
    /// `ANY n (a, b)`, `FIRST n (a, b)`, `n (a, b)`, `a, b`; nothing where it is empty or unknown.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (head, list) = match text.split_once('(') {
            Some((head, rest)) => (head.trim(), rest.trim_end().strip_suffix(')')?),
            None => ("1", text),
        };
        let upper = head.to_ascii_uppercase();
        let count = upper
            .strip_prefix("ANY")
            .or_else(|| upper.strip_prefix("FIRST"))
            .unwrap_or(&upper);
        let count: usize = count.trim().parse().ok()?;
        let unquoted = |name: &str| {
            let name = name.trim();
            let quoted = name
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'));
            quoted.unwrap_or(name).to_owned()
        };
        let names: Vec<String> = list.split(',').map(unquoted).collect();
        let whole = count > 0 && names.iter().all(|name| !name.is_empty());
        whole.then_some(Self { count, names })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(names: &str) -> Settings {
        Settings {
            fsync: true,
            full_page_writes: true,
            synchronous_commit: "on".to_owned(),
            synchronous_standby_names: names.to_owned(),
            cluster_name: "n1".to_owned(),
            standbys: 2,
            hosts: 3,
        }
    }

    fn refused(settings: &Settings) -> Option<String> {
        let judged = settings.judge(Allowed::default());
        judged.err().map(|error| error.to_string())
    }

    #[test]
    fn a_cluster_is_taken_whose_quorums_meet() {
        for good in [
            "ANY 1 (n2, n3)",
            "any 1(n2,n3)",
            "FIRST 1 (n2, n3)",
            "n2,n3",
            "1 (n2, n3)",
            "\"n2\", \"n3\"",
            "n2",
            "*",
            "ANY 2 (n2, n3, n4, n5)",
            // Its own name may stand in it, as in a list that all servers share.
            "ANY 1 (n1, n2, n3)",
            "ANY 2 (n1, n2, n3, n4)",
        ] {
            assert_eq!(refused(&cluster(good)), None, "{good}");
        }
        for bad in [
            "",
            " ",
            "ANY 0 (n2)",
            "ANY (n2)",
            "ANY 1 (n2",
            "ANY 1 (n2, n3, n4)",
            "ANY 1 (n2, n3, n4, n5)",
            "n2, n3, n4",
            "ANY 1 (n2,, n3)",
        ] {
            let error = refused(&cluster(bad)).expect(bad);
            assert!(error.contains("allow_lossy_failover"), "{bad}: {error}");
        }
        let mut all = cluster("*");
        all.standbys = 3;
        assert!(refused(&all).is_some(), "one of three");
    }

    #[test]
    fn a_server_alone_needs_no_standby_but_has_to_sync() {
        let mut alone = cluster("");
        (alone.standbys, alone.hosts) = (0, 1);
        assert_eq!(refused(&alone), None);
        alone.fsync = false;
        let error = refused(&alone).unwrap();
        assert!(error.contains("fsync") && error.contains("allow_lossy_crash"));
        (alone.fsync, alone.full_page_writes) = (true, false);
        assert!(refused(&alone).unwrap().contains("full_page_writes"));
        let allowed = Allowed {
            lossy_crash: true,
            ..Allowed::default()
        };
        assert_eq!(alone.judge(allowed), Ok(()));
    }

    #[test]
    fn what_is_allowed_by_name_is_allowed_and_nothing_else() {
        let mut lossy = cluster("");
        let allowed = Allowed {
            lossy_failover: true,
            ..Allowed::default()
        };
        assert_eq!(lossy.judge(allowed), Ok(()));
        lossy.fsync = false;
        assert!(lossy.judge(allowed).is_err());
    }

    #[test]
    fn commits_wait_for_standbys_whatever_is_set() {
        let mut settings = cluster("");
        for (set, mode) in [
            ("on", "on"),
            ("remote_apply", "remote_apply"),
            ("remote_write", "on"),
            ("local", "on"),
            ("off", "on"),
        ] {
            set.clone_into(&mut settings.synchronous_commit);
            assert_eq!(settings.mode(), mode, "{set}");
        }
    }
}
