//! What can go wrong with the engine. A refused credential is not among it: that is a verdict.

use crate::keyfile::KeyFileFault;
use countersign_core::policy::PolicyTextError;
use countersign_core::{Refusal, TextError};
use countersign_sessions::Denied;
use countersign_store::error::{CommitError, OpenError, StoreError};

/// The engine could not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A rule forbids what was asked; nothing was written.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The session table does not do what was asked; the session was not changed.
    #[error(transparent)]
    Session(#[from] Denied),
    /// The store could not be opened or made.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The key file could not be read or made.
    #[error(transparent)]
    Keys(#[from] KeyFileFault),
    /// The store failed; nothing is known to have been written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The commit failed on the way to the medium: it may be there after all, or not.
    #[error("the outcome is not known, because the commit failed on its way to the medium: {0}")]
    Unknown(String),
    /// Others kept changing the same records.
    #[error("the same records kept being changed by others, {attempts} times; try again")]
    Contended {
        /// How often it was tried.
        attempts: u32,
    },
    /// So many denials are waiting for the disk that no more can be held in memory.
    #[error("{waiting} revocations are waiting for the disk; no more can be held")]
    DenialsFull {
        /// How many there are.
        waiting: usize,
    },
    /// The store holds no system record, without which nothing is judged.
    #[error("the store has no system record; restore it from a backup")]
    NoSystemRecord,
    /// The stored policy does not read.
    #[error("the stored policy: {0}")]
    Policy(#[from] PolicyTextError),
    /// A text that was given does not fit.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The source of randomness failed.
    #[error("no randomness: {0}")]
    Entropy(String),
    /// The builder was given things that do not go together.
    #[error("{0}")]
    Setup(&'static str),
    /// An imported line does not read.
    #[error("line {line}: {detail}")]
    Import {
        /// Counted from 1.
        line: u64,
        /// What is wrong.
        detail: String,
    },
    /// Records are imported into a new store alone.
    #[error("the store has {table} of its own; import into a new one")]
    NotEmpty {
        /// The first table that holds something.
        table: &'static str,
    },
    /// Reading or writing what was being moved failed.
    #[error("{0}")]
    Io(String),
    /// The engine is closed.
    #[error("the engine is closed")]
    Closed,
}

impl Error {
    /// Whether trying again later may succeed.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Store(StoreError::Unavailable(_) | StoreError::Busy | StoreError::NoRoom(_))
                | Self::Refused(Refusal::NotYet { .. })
                | Self::Contended { .. }
                | Self::DenialsFull { .. }
                | Self::Entropy(_)
        )
    }

    /// A short name for scripts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused(Refusal::NotFound) => "not_found",
            Self::Refused(Refusal::NotYet { .. }) => "not_yet",
            Self::Refused(_) => "refused",
            Self::Session(denied) => session_code(denied),
            Self::Open(error) => open_code(error),
            Self::Keys(_) => "keys",
            Self::Store(StoreError::NoRoom(_)) => "no_room",
            Self::Store(StoreError::Damaged { .. }) => "damaged",
            Self::Store(StoreError::ReadOnly) => "read_only",
            Self::Store(_) => "unavailable",
            Self::Unknown(_) => "unknown_outcome",
            Self::Contended { .. } => "contended",
            Self::DenialsFull { .. } => "denials_full",
            Self::NoSystemRecord => "no_system_record",
            Self::Policy(_) => "policy",
            Self::Text(_) => "text",
            Self::Entropy(_) => "entropy",
            Self::Setup(_) => "setup",
            Self::Import { .. } => "import",
            Self::NotEmpty { .. } => "not_empty",
            Self::Io(_) => "io",
            Self::Closed => "closed",
        }
    }
}

const fn session_code(denied: &Denied) -> &'static str {
    match denied {
        Denied::Unknown => "not_found",
        Denied::Gone(_) => "session_ended",
        Denied::Renewed => "session_renewed",
        Denied::Full => "sessions_full",
        _ => "refused",
    }
}

const fn open_code(error: &OpenError) -> &'static str {
    match error {
        OpenError::NotFound(_) => "no_store",
        OpenError::Exists(_) => "exists",
        OpenError::AlreadyOpen(_) => "already_open",
        OpenError::NotAStore { .. } => "not_a_store",
        OpenError::Damaged { .. } => "damaged",
        OpenError::NewerFormat { .. } => "newer_format",
        OpenError::Cloned(_) => "cloned",
        OpenError::WrongKey(_) => "wrong_key",
        OpenError::MissingPepper { .. } => "missing_pepper",
        _ => "io",
    }
}

impl From<CommitError> for Error {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::NotApplied(error) => Self::Store(error),
            CommitError::Unknown(detail) => Self::Unknown(detail),
            // Conflicts are retried before they get here.
            _ => Self::Contended { attempts: 1 },
        }
    }
}

#[cfg(test)]
mod tests {
    //! Hazard: a script that reads one outcome as another, or tries again what cannot succeed.

    use super::*;
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    #[test]
    fn each_fault_has_its_code_and_only_what_passes_is_tried_again() {
        let text = || "why".to_owned();
        let place = || PathBuf::from("state.redb");
        let cases = [
            (Error::Refused(Refusal::NotFound), "not_found", false),
            (Error::Refused(Refusal::Disabled), "refused", false),
            (Error::Session(Denied::Unknown), "not_found", false),
            (Error::Session(Denied::Renewed), "session_renewed", false),
            (Error::Session(Denied::Full), "sessions_full", false),
            (Error::Open(OpenError::NotFound(place())), "no_store", false),
            (Error::Open(OpenError::Exists(place())), "exists", false),
            (
                Error::Open(OpenError::AlreadyOpen(place())),
                "already_open",
                false,
            ),
            (
                Error::Open(OpenError::WrongKey(place())),
                "wrong_key",
                false,
            ),
            (Error::Store(StoreError::NoRoom(text())), "no_room", true),
            (
                Error::Store(StoreError::Unavailable(text())),
                "unavailable",
                true,
            ),
            (Error::Store(StoreError::Busy), "unavailable", true),
            (Error::Store(StoreError::ReadOnly), "read_only", false),
            (Error::Unknown(text()), "unknown_outcome", false),
            (Error::Contended { attempts: 9 }, "contended", true),
            (Error::DenialsFull { waiting: 9 }, "denials_full", true),
            (Error::NoSystemRecord, "no_system_record", false),
            (Error::Entropy(text()), "entropy", true),
            (Error::Setup("how"), "setup", false),
            (Error::Io(text()), "io", false),
            (Error::Closed, "closed", false),
        ];
        for (error, code, passes) in &cases {
            assert_eq!(
                (error.code(), error.is_retryable()),
                (*code, *passes),
                "{error}"
            );
        }
        let told: BTreeSet<_> = cases.iter().map(|(error, ..)| error.to_string()).collect();
        assert_eq!(
            told.len(),
            cases.len(),
            "messages that say the same: {told:?}"
        );
    }

    #[test]
    fn what_a_commit_came_to_is_not_mistaken() {
        let turned_away = CommitError::NotApplied(StoreError::ReadOnly);
        assert_eq!(Error::from(turned_away), Error::Store(StoreError::ReadOnly));
        let unknown = CommitError::Unknown("lost".to_owned());
        assert_eq!(Error::from(unknown), Error::Unknown("lost".to_owned()));
    }
}
