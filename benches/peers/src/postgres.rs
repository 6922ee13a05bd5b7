//! PostgreSQL over a unix socket, with all that it does for safety on disk turned off and the whole
//! table in its memory.

use crate::kept;
use crate::server::{Missing, Server, bound_to_us, find};
use postgres::{Client, Config, NoTls, Statement};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::tempdir;

/// What makes reads and the load quick; nothing of it has to survive.
const SETTINGS: [&str; 12] = [
    "listen_addresses=",
    "shared_buffers=1GB",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_wal_size=8GB",
    "autovacuum=off",
    "jit=off",
    "plan_cache_mode=force_generic_plan",
    "track_activities=off",
    "track_counts=off",
    "max_connections=10",
];

/// A server with one connection to it.
pub struct Postgres {
    client: Client,
    select: Option<Statement>,
    /// Dropped after the connection.
    _server: Server,
}

impl Postgres {
    /// Starts one that is empty.
    ///
    /// # Errors
    /// Where it is not installed.
    pub fn start() -> Result<Self, Missing> {
        let program = |name| {
            let missing = Missing {
                program: name,
                package: "postgresql",
            };
            find(name, &installations()).ok_or(missing)
        };
        let (initdb, postgres) = (program("initdb")?, program("postgres")?);
        let dir = tempdir().unwrap();
        let user = user_to_be(dir.path());
        let data = dir.path().join("data");

        let mut command = bound_to_us(&initdb, user);
        command.args(["--auth=trust", "--username=postgres", "--no-sync"]);
        command.args(["--locale=C", "--encoding=UTF8", "--pgdata"]);
        let made = command.arg(&data).stdin(Stdio::null()).output().unwrap();
        assert!(made.status.success(), "{made:?}");

        let mut command = bound_to_us(&postgres, user);
        command.arg("-D").arg(&data).arg("-k").arg(dir.path());
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        let server = Server::start(command, dir, |dir| connect(dir).is_ok());
        Ok(Self {
            client: connect(server.dir()).unwrap(),
            select: None,
            _server: server,
        })
    }

    /// Loads rows, and answers the texts of their tokens.
    pub fn fill(&mut self, many: usize) -> Vec<String> {
        let table = "CREATE TABLE tokens (id BIGINT PRIMARY KEY, digest BYTEA NOT NULL, \
                     expires BIGINT NOT NULL, principal TEXT NOT NULL, scopes TEXT NOT NULL)";
        self.client.batch_execute(table).unwrap();
        let mut texts = Vec::with_capacity(many);
        let mut copy = self.client.copy_in("COPY tokens FROM STDIN").unwrap();
        for (text, row) in kept::rows(many) {
            let hex: String = row
                .digest
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            let (id, ends, principal) = (row.id, row.expires_ms, &row.principal);
            let scopes = kept::SCOPES;
            writeln!(copy, "{id}\t\\\\x{hex}\t{ends}\t{principal}\t{scopes}").unwrap();
            texts.push(text);
        }
        assert_eq!(copy.finish().unwrap(), many as u64);
        let settle = "VACUUM (FREEZE, ANALYZE) tokens";
        self.client.batch_execute(settle).unwrap();
        let select = "SELECT digest, expires, principal, scopes FROM tokens WHERE id = $1";
        self.select = Some(self.client.prepare(select).unwrap());
        texts
    }

    /// Verifies one by one.
    pub fn verify(&mut self, texts: &[String]) -> usize {
        let select = self.select.as_ref().unwrap();
        let accepted = texts.iter().filter(|text| {
            let Some(parsed) = kept::parse(text) else {
                return false;
            };
            let row = self.client.query_opt(select, &[&parsed.id]).unwrap();
            row.is_some_and(|row| {
                let (principal, scopes): (&str, &str) = (row.get(2), row.get(3));
                parsed.fits(
                    row.get(0),
                    row.get(1),
                    principal.as_bytes(),
                    scopes.as_bytes(),
                )
            })
        });
        accepted.count()
    }
}

fn connect(dir: &Path) -> Result<Client, postgres::Error> {
    Config::new()
        .host_path(dir)
        .user("postgres")
        .dbname("postgres")
        .connect(NoTls)
}

/// Debian keeps each version's programs away from the path; the newest comes first.
fn installations() -> Vec<PathBuf> {
    let found = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut found: Vec<PathBuf> = found
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    found.sort();
    found.reverse();
    found
}

/// It refuses to run as root: then it runs as the user that Debian made for it, to whom its
/// directory is given.
fn user_to_be(dir: &Path) -> Option<&'static str> {
    if fs::metadata(dir).unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let mut fields = users
        .lines()
        .find_map(|line| line.strip_prefix("postgres:"))
        .expect("Debian's package makes a user `postgres`")
        .split(':')
        .skip(1)
        .map(|field| field.parse().ok());
    chown(dir, fields.next().flatten(), fields.next().flatten()).unwrap();
    Some("postgres")
}
