//! SQLite in this process: statements that are prepared once, on one connection that alone has the
//! file, with a write-ahead log and as much memory as it wants.
//!
//! Where every commit must reach the disk, a table of its own says how in `bench durable`.

use crate::kept::{self, principal};
use rusqlite::{Connection, OptionalExtension as _, Row, Statement, params};
use std::path::Path;
use tempfile::{TempDir, tempdir};

/// For one connection that alone has the file: no lock of the file and no shared memory for each
/// statement, pages read where the kernel has them, and nothing that waits for the disk. A crash of
/// the process still loses nothing.
const FAST: &str = "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; \
                    PRAGMA synchronous = OFF; PRAGMA mmap_size = 8589934592; \
                    PRAGMA cache_size = -2000000; PRAGMA temp_store = MEMORY;";

/// A file with one connection to it.
pub struct Sqlite {
    connection: Connection,
    /// Dropped after the connection.
    _dir: TempDir,
}

impl Sqlite {
    /// A new file with this table.
    pub fn create(table: &str) -> Self {
        let dir = tempdir().unwrap();
        let connection = Connection::open(dir.path().join("state.sqlite")).unwrap();
        connection.execute_batch(FAST).unwrap();
        connection.execute_batch(table).unwrap();
        Self {
            connection,
            _dir: dir,
        }
    }

    /// Tokens in a table by their number, and their texts.
    pub fn with_tokens(many: usize) -> (Self, Vec<String>) {
        let sqlite = Self::create(TOKENS);
        let mut texts = Vec::with_capacity(many);
        sqlite.in_one_commit(INSERT_TOKEN, |insert| {
            for (text, row) in kept::rows(many) {
                let values = params![
                    row.id,
                    row.digest,
                    row.expires_ms,
                    row.principal,
                    kept::SCOPES
                ];
                insert.execute(values).unwrap();
                texts.push(text);
            }
        });
        (sqlite, texts)
    }

    /// Sessions in a table by their number, and their texts.
    pub fn with_sessions(secrets: impl Iterator<Item = String>) -> (Self, Vec<String>) {
        let sqlite = Self::create(
            "CREATE TABLE sessions (id INTEGER PRIMARY KEY, secret TEXT NOT NULL, \
             principal TEXT NOT NULL, used INTEGER NOT NULL) STRICT",
        );
        let mut texts = Vec::new();
        sqlite.in_one_commit("INSERT INTO sessions VALUES (?1, ?2, ?3, 0)", |insert| {
            for (n, secret) in secrets.enumerate() {
                let id = 1 + i64::try_from(n).unwrap();
                insert.execute(params![id, secret, principal(n)]).unwrap();
                texts.push(format!("{id:016x}.{secret}"));
            }
        });
        (sqlite, texts)
    }

    fn in_one_commit(&self, insert: &str, work: impl FnOnce(&mut Statement<'_>)) {
        self.connection.execute_batch("BEGIN").unwrap();
        work(&mut self.connection.prepare(insert).unwrap());
        let end = "COMMIT; PRAGMA wal_checkpoint(TRUNCATE); ANALYZE;";
        self.connection.execute_batch(end).unwrap();
    }

    /// The statement that finds a token.
    pub fn select(&self) -> Statement<'_> {
        let select = "SELECT digest, expires, principal, scopes FROM tokens WHERE id = ?1";
        self.connection.prepare(select).unwrap()
    }

    /// The statement that finds a session, proves it and notes its use, in one.
    pub fn update(&self) -> Statement<'_> {
        let update = "UPDATE sessions SET used = ?3 WHERE id = ?1 AND secret = ?2 \
                      RETURNING principal";
        self.connection.prepare(update).unwrap()
    }
}

/// Tokens by their number.
pub const TOKENS: &str = "CREATE TABLE tokens (id INTEGER PRIMARY KEY, digest BLOB NOT NULL, \
                          expires INTEGER NOT NULL, principal TEXT NOT NULL, \
                          scopes TEXT NOT NULL) STRICT";

/// A token's row; where there is no number yet, it makes one.
pub const INSERT_TOKEN: &str = "INSERT INTO tokens VALUES (?1, ?2, ?3, ?4, ?5)";

/// Verifies one by one, reading each row where it lies.
pub fn verify(select: &mut Statement<'_>, texts: &[String]) -> usize {
    let accepted = texts.iter().filter(|text| {
        let Some(parsed) = kept::parse(text) else {
            return false;
        };
        let judge = |row: &Row<'_>| {
            let digest = row.get_ref(0)?.as_blob()?;
            let principal = row.get_ref(2)?.as_bytes()?;
            Ok(parsed.fits(digest, row.get(1)?, principal, row.get_ref(3)?.as_bytes()?))
        };
        let found = select.query_row([parsed.id], judge).optional();
        found.unwrap().unwrap_or(false)
    });
    accepted.count()
}

/// Reads sessions and notes their use, each in a commit of its own.
pub fn touch(update: &mut Statement<'_>, texts: &[String], now: i64) -> usize {
    let accepted = texts.iter().filter(|text| {
        let Some((id, secret)) = text.split_once('.') else {
            return false;
        };
        let id = i64::from_str_radix(id, 16).unwrap();
        let known = |row: &Row<'_>| Ok(row.get_ref(0)?.as_bytes()?.len() == 11);
        let found = update.query_row(params![id, secret, now], known);
        found.optional().unwrap().unwrap_or(false)
    });
    accepted.count()
}

/// A connection of one of many writers, whose commits have reached the disk when they return.
pub fn durable(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    let settings = "PRAGMA busy_timeout = 60000; PRAGMA journal_mode = WAL; \
                    PRAGMA synchronous = FULL;";
    connection.execute_batch(settings).unwrap();
    connection
}
