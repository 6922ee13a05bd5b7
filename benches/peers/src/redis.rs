//! Redis without persistence, over a unix socket.

use crate::kept::{self, Parsed, Row};
use crate::server::{Missing, Server, bound_to_us, find};
use redis::{Client, Cmd, Connection, ConnectionAddr, IntoConnectionInfo as _, Pipeline};
use std::path::Path;
use tempfile::tempdir;

/// A server with one connection to it.
pub struct Redis {
    connection: Connection,
    /// Dropped after the connection.
    _server: Server,
}

impl Redis {
    /// Starts one that is empty.
    ///
    /// # Errors
    /// Where it is not installed.
    pub fn start() -> Result<Self, Missing> {
        let missing = Missing {
            program: "redis-server",
            package: "redis-server",
        };
        let program = find(missing.program, &[]).ok_or(missing)?;
        let dir = tempdir().unwrap();
        let mut command = bound_to_us(&program, None);
        command.args(["--port", "0", "--save", "", "--appendonly", "no"]);
        command.arg("--dir").arg(dir.path());
        command.arg("--unixsocket").arg(socket(dir.path()));
        let server = Server::start(command, dir, |dir| connect(dir).is_ok());
        Ok(Self {
            connection: connect(server.dir()).unwrap(),
            _server: server,
        })
    }

    /// Sends commands by the thousand.
    fn load(&mut self, commands: impl Iterator<Item = Cmd>) {
        let mut commands = commands.peekable();
        while commands.peek().is_some() {
            let mut pipeline = Pipeline::new();
            for command in commands.by_ref().take(1000) {
                pipeline.add_command(command).ignore();
            }
            pipeline.exec(&mut self.connection).unwrap();
        }
    }

    /// Loads rows, and answers the texts of their tokens.
    pub fn fill(&mut self, many: usize) -> Vec<String> {
        let mut texts = Vec::with_capacity(many);
        let commands = kept::rows(many).map(|(text, row)| {
            let mut command = redis::cmd("SET");
            command
                .arg(kept::parse(&text).unwrap().key)
                .arg(value(&row));
            texts.push(text);
            command
        });
        self.load(commands);
        texts
    }

    /// Verifies one by one: the command is written into the same buffer every time.
    pub fn verify(&mut self, texts: &[String]) -> usize {
        let mut command = Cmd::with_capacity(2, 32);
        let accepted = texts.iter().filter(|text| {
            let Some(parsed) = kept::parse(text) else {
                return false;
            };
            command.clear();
            command.arg("GET").arg(parsed.key);
            let value: Option<Vec<u8>> = command.query(&mut self.connection).unwrap();
            value.is_some_and(|value| fits(&parsed, &value))
        });
        accepted.count()
    }

    /// Verifies as many at once as `batch` says.
    pub fn verify_pipelined(&mut self, texts: &[String], batch: usize) -> usize {
        let mut pipeline = Pipeline::with_capacity(batch);
        let mut accepted = 0;
        for texts in texts.chunks(batch) {
            let parsed: Vec<Parsed<'_>> =
                texts.iter().filter_map(|text| kept::parse(text)).collect();
            pipeline.clear();
            for parsed in &parsed {
                pipeline.cmd("GET").arg(parsed.key);
            }
            let values: Vec<Option<Vec<u8>>> = pipeline.query(&mut self.connection).unwrap();
            let pairs = parsed.iter().zip(&values);
            accepted += pairs
                .filter(|(parsed, value)| value.as_ref().is_some_and(|value| fits(parsed, value)))
                .count();
        }
        accepted
    }

    /// Loads sessions under these ids, each of which ends in half an hour.
    pub fn fill_sessions(&mut self, ids: &[String]) {
        let commands = ids.iter().enumerate().map(|(n, id)| {
            let mut command = redis::cmd("SET");
            command.arg(id).arg(kept::principal(n)).arg("EX").arg(1800);
            command
        });
        self.load(commands);
    }

    /// Reads sessions, each of which begins its half hour anew.
    pub fn touch(&mut self, ids: &[String]) -> usize {
        let mut command = Cmd::with_capacity(4, 64);
        let accepted = ids.iter().filter(|id| {
            command.clear();
            command.arg("GETEX").arg(id.as_str()).arg("EX").arg("1800");
            let principal: Option<Vec<u8>> = command.query(&mut self.connection).unwrap();
            principal.is_some_and(|principal| principal.len() == 11)
        });
        accepted.count()
    }

    /// How many bytes it says that its data takes.
    pub fn used_memory(&mut self) -> usize {
        let mut command = redis::cmd("INFO");
        let info: String = command.arg("memory").query(&mut self.connection).unwrap();
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix("used_memory:"));
        line.unwrap().parse().unwrap()
    }
}

fn socket(dir: &Path) -> std::path::PathBuf {
    dir.join("redis.sock")
}

fn connect(dir: &Path) -> redis::RedisResult<Connection> {
    let info = ConnectionAddr::Unix(socket(dir)).into_connection_info()?;
    let mut connection = Client::open(info)?.get_connection()?;
    redis::cmd("PING").exec(&mut connection)?;
    Ok(connection)
}

/// Digest, end, principal and scopes, one after the other.
fn value(row: &Row) -> Vec<u8> {
    let ends = row.expires_ms.to_le_bytes();
    let parts = [
        &row.digest[..],
        &ends,
        row.principal.as_bytes(),
        b"\n",
        kept::SCOPES.as_bytes(),
    ];
    parts.concat()
}

fn fits(parsed: &Parsed<'_>, value: &[u8]) -> bool {
    let read = || {
        let (digest, rest) = value.split_at_checked(32)?;
        let (ends, rest) = rest.split_first_chunk()?;
        let line = rest.iter().position(|byte| *byte == b'\n')?;
        let (principal, scopes) = rest.split_at(line);
        Some(parsed.fits(digest, i64::from_le_bytes(*ends), principal, &scopes[1..]))
    };
    read().unwrap_or(false)
}
