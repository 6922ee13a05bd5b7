//! Where a store is: in a file, or in a schema of a database.

use clap::Args;
use std::fmt;
use std::path::PathBuf;

/// Where a call's store is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    File(PathBuf),
    Database(Url),
}

/// A connection string, with a password in it or not: it is never shown whole.
#[derive(Clone)]
pub(crate) struct Url(String);

/// What a store in a database is opened with besides.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "A store in PostgreSQL")]
pub(crate) struct DatabaseOptions {
    /// The schema that holds it [default: countersign]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) schema: Option<String>,

    /// Believe a server that a certificate in this PEM file vouches for, and no other
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,

    /// Open it although a failover may undo what was acknowledged
    #[arg(long, global = true)]
    pub(crate) allow_lossy_failover: bool,

    /// Open it although losing power may undo what was acknowledged
    #[arg(long, global = true)]
    pub(crate) allow_lossy_crash: bool,

    /// Speak to another machine without TLS
    #[arg(long, global = true)]
    pub(crate) allow_plaintext: bool,
}

/// What a connection string begins with: a URL, or else libpq's pairs, of which one says which
/// server or who. A file whose name begins so has `./` in front.
const BEGINNINGS: [&str; 9] = [
    "postgres://",
    "postgresql://",
    "host=",
    "hostaddr=",
    "port=",
    "dbname=",
    "user=",
    "password=",
    "sslmode=",
];

impl From<PathBuf> for Place {
    fn from(given: PathBuf) -> Self {
        let url = given.to_str().filter(|text| {
            let mut beginnings = BEGINNINGS.into_iter();
            beginnings.any(|beginning| text.starts_with(beginning))
        });
        match url {
            Some(url) => Self::Database(Url(url.to_owned())),
            None => Self::File(given),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Database(url) => url.fmt(f),
        }
    }
}

impl Url {
    /// All of it, for whoever connects.
    #[cfg(feature = "postgres")]
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

/// Hosts and the database alone: neither who connects nor anything behind a question mark.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self
            .0
            .split_once("://")
            .filter(|(scheme, _)| scheme.starts_with("postgres"));
        let Some((scheme, rest)) = url else {
            return f.write_str("the database");
        };
        let shown = match rest.rsplit_once('@') {
            None => rest,
            // Whether a question mark before it, or another one, is a part of a password is not
            // ours to guess.
            Some((who, _)) if who.contains(['@', '?']) => "...",
            Some((_, rest)) => rest,
        };
        let shown = shown.split('?').next().unwrap_or_default();
        write!(f, "{scheme}://{shown}")
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_database_and_anything_else_a_file() {
        for url in [
            "postgres://a/b",
            "postgresql:///b?host=/run",
            "host=a user=b",
        ] {
            assert!(matches!(
                Place::from(PathBuf::from(url)),
                Place::Database(_)
            ));
        }
        for path in ["a.redb", "postgres:/a", "./postgres://a", "./host=a"] {
            assert!(matches!(Place::from(PathBuf::from(path)), Place::File(_)));
        }
    }

    #[test]
    fn neither_password_nor_parameters_are_shown() {
        for (url, shown) in [
            ("host=h password=hunter2", "the database"),
            ("password=a://hunter2", "the database"),
            ("postgres://h:5/d", "postgres://h:5/d"),
            ("postgres://u:hunter2@h,i/d", "postgres://h,i/d"),
            (
                "postgresql://h/d?user=u&password=hunter2",
                "postgresql://h/d",
            ),
            ("postgres://u:hun@ter2@h/d", "postgres://..."),
            ("postgres://u:hun?ter2@h/d", "postgres://..."),
            ("postgres://h/d?password=hun@ter2", "postgres://..."),
        ] {
            let place = Place::from(PathBuf::from(url));
            assert_eq!(place.to_string(), shown);
            assert_eq!(format!("{place:?}"), format!("Database(Url({shown}))"));
        }
    }
}
