//! What can go wrong with a database, and what follows from it for a write that was under way.

use countersign_store::StoreError;
use std::error::Error as _;
use tokio_postgres::error::{DbError, Severity, SqlState};

/// Why a store could not be opened. Each says what was found and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// An option that cannot be.
    #[error("invalid {field}: {detail}")]
    Option {
        /// Which one.
        field: &'static str,
        /// What was wrong, and what is allowed.
        detail: String,
    },
    /// No server answered that can be written to.
    #[error("no server that can be written to was reached: {0}")]
    Unreachable(String),
    /// A server did not do what was asked.
    #[error("the database refused: {0}")]
    Refused(String),
    /// The database can lose what it has acknowledged.
    #[error("the database can lose what it has acknowledged: {detail}; {remedy}")]
    NotDurable {
        /// What was found.
        detail: String,
        /// What to set, or what to allow by name.
        remedy: &'static str,
    },
    /// The keys are not the ones that this store was made with.
    #[error("the keys do not belong to this store: {0}")]
    WrongKeys(&'static str),
    /// Written by a newer version of this library.
    #[error("its schema is {found}, and this version knows up to {known}: use a newer countersign")]
    NewerSchema {
        /// The schema that is there.
        found: i32,
        /// The newest that is known.
        known: i32,
    },
    /// There is no such schema, and none was to be made.
    #[error("there is no store in schema `{0}`")]
    NotFound(String),
    /// It is closed.
    #[error("the store is closed")]
    Closed,
    /// The operating system refused threads.
    #[error("the store's threads could not be started: {0}")]
    Threads(String),
}

/// How a call to the database failed, by what it means for what was asked.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The server rolled everything back: the same may go through when it is tried again.
    Again(String),
    /// The server rolled everything back, and would do it again.
    Refused(String),
    /// It has no room.
    NoRoom(String),
    /// The server cannot be written to, or is going down.
    Away(String),
    /// The connection ended: what was under way may be done or not.
    Lost(String),
    /// It was opened on a server that can lose what it acknowledges.
    NotDurable(PostgresError),
}

impl Fault {
    pub(crate) fn of(error: &tokio_postgres::Error) -> Self {
        let text = describe(error);
        let Some(state) = error.code() else {
            let broken = error
                .source()
                .is_some_and(<dyn std::error::Error>::is::<std::io::Error>);
            return match error.is_closed() || broken {
                true => Self::Lost(text),
                // A value that does not fit, before anything was sent.
                false => Self::Refused(text),
            };
        };
        let severity = error.as_db_error().and_then(DbError::parsed_severity);
        if matches!(severity, Some(Severity::Fatal | Severity::Panic)) {
            // The session is over: at a commit, it may have been before or after it was done.
            return Self::Lost(text);
        }
        match *state {
            SqlState::T_R_SERIALIZATION_FAILURE
            | SqlState::T_R_DEADLOCK_DETECTED
            | SqlState::UNIQUE_VIOLATION
            | SqlState::LOCK_NOT_AVAILABLE
            // After an error in the same transaction, whose cause came first.
            | SqlState::IN_FAILED_SQL_TRANSACTION => Self::Again(text),
            SqlState::DISK_FULL => Self::NoRoom(text),
            SqlState::READ_ONLY_SQL_TRANSACTION => Self::Away(text),
            // The server ends this session; what it was doing may be done.
            SqlState::ADMIN_SHUTDOWN
            | SqlState::CRASH_SHUTDOWN
            | SqlState::CANNOT_CONNECT_NOW
            | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => Self::Lost(text),
            _ if state.code().starts_with("08") => Self::Lost(text),
            _ => Self::Refused(text),
        }
    }

    /// Whether the connection is of no use any more.
    pub(crate) const fn ends_line(&self) -> bool {
        matches!(self, Self::Away(_) | Self::Lost(_) | Self::NotDurable(_))
    }

    /// What a caller is told whose reading it was, or whose writing is known not to have happened.
    pub(crate) fn told(self) -> StoreError {
        match self {
            Self::NoRoom(text) => StoreError::NoRoom(text),
            Self::NotDurable(error) => StoreError::Unavailable(error.to_string()),
            Self::Again(text) | Self::Refused(text) | Self::Away(text) | Self::Lost(text) => {
                StoreError::Unavailable(text)
            }
        }
    }
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::of(&error)
    }
}

impl From<Fault> for PostgresError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NotDurable(error) => error,
            Fault::Away(text) | Fault::Lost(text) => Self::Unreachable(text),
            Fault::Again(text) | Fault::Refused(text) | Fault::NoRoom(text) => Self::Refused(text),
        }
    }
}

/// What an error says, with what the server said of it: a bare "db error" helps nobody.
///
/// Neither ever holds a parameter of a statement: no record and no digest.
pub(crate) fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", said.message(), said.code().code());
    }
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
