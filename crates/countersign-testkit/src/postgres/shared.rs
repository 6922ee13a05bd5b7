//! One server for many tests, and a database on it for each.

use super::cluster::Cluster;
use super::failure::Failure;
use super::options::Options;
use super::skip::skip;
use super::sql::Access;
use super::tools::psql;
use crate::must::must;
use core::sync::atomic::{AtomicU32, Ordering};
use std::env;
use std::process;
use std::sync::OnceLock;

/// The variable of the environment that says how to connect to a server that runs already.
pub const SHARED: &str = "COUNTERSIGN_POSTGRES";

/// The server that all tests share: never killed, and without syncing its files.
#[derive(Debug)]
pub struct Shared {
    access: Access,
    /// Kept while the process lives, if it is our own; its guard does the rest.
    _own: Option<Cluster>,
}

/// The server that [`SHARED`] names, or else one for this process. Where there is none and none
/// can be started, the test is skipped, as by [`Cluster::start_or_skip`].
#[must_use]
#[track_caller]
pub fn shared() -> Option<&'static Shared> {
    static ONE: OnceLock<Shared> = OnceLock::new();
    let named = env::var(SHARED).ok().filter(|named| !named.is_empty());
    if let Some(missing) = named
        .is_none()
        .then(Cluster::available)
        .and_then(Result::err)
    {
        skip(&missing);
        return None;
    }
    Some(ONE.get_or_init(|| named.map_or_else(Shared::start, Shared::elsewhere)))
}

impl Shared {
    fn start() -> Self {
        let own = Cluster::start(&Options::new().fsync(false));
        Self {
            access: access(own.primary().connection_string()),
            _own: Some(own),
        }
    }

    fn elsewhere(connection: String) -> Self {
        Self {
            access: access(connection),
            _own: None,
        }
    }

    /// How to connect: to a database that all tests share.
    #[must_use]
    pub fn connection_string(&self) -> &str {
        &self.access.connection
    }

    /// What statements answer: a row a line, its values with `|` in between.
    #[track_caller]
    pub fn sql(&self, statements: &str) -> String {
        must(self.access.psql().run(statements))
    }

    /// An empty database for one test.
    #[must_use]
    #[track_caller]
    pub fn database(&'static self) -> Database {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", process::id());
        // An earlier process of this number may have left one behind on a server elsewhere.
        self.sql(&format!(
            "drop database if exists {name} with (force);\n\
             create database {name} template template0"
        ));
        Database {
            access: access(with_database(&self.access.connection, &name)),
            server: self,
            name,
        }
    }
}

/// A database of the shared server; it is dropped with this.
#[derive(Debug)]
pub struct Database {
    access: Access,
    server: &'static Shared,
    name: String,
}

impl Database {
    /// How to connect to it.
    #[must_use]
    pub fn connection_string(&self) -> &str {
        &self.access.connection
    }

    /// What statements answer: a row a line, its values with `|` in between.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "many statements answer nothing")]
    pub fn sql(&self, statements: &str) -> String {
        must(self.try_sql(statements))
    }

    /// The same for statements that may fail.
    ///
    /// # Errors
    /// What the server or `psql` complained of.
    pub fn try_sql(&self, statements: &str) -> Result<String, Failure> {
        self.access.psql().run(statements)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("drop database if exists {} with (force)", self.name);
        // It may be that the server is gone; then the database is, too.
        let _ = self.server.access.psql().run(&drop);
    }
}

#[track_caller]
fn access(connection: String) -> Access {
    Access {
        program: must(psql()),
        connection,
        home: env::temp_dir(),
    }
}

/// How to connect to another database of the same server: what is said last holds.
fn with_database(connection: &str, name: &str) -> String {
    let separator = match (connection.contains("://"), connection.contains('?')) {
        (false, _) => ' ',
        (true, false) => '?',
        (true, true) => '&',
    };
    format!("{connection}{separator}dbname={name}")
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn another_database_of_the_same_server_is_named_in_each_form() {
        for (connection, expected) in [
            ("host=a dbname=b", "host=a dbname=b dbname=c"),
            ("postgres://a/b", "postgres://a/b?dbname=c"),
            ("postgres://a/b?x=y", "postgres://a/b?x=y&dbname=c"),
        ] {
            assert_eq!(with_database(connection, "c"), expected);
        }
    }
}
