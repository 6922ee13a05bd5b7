//! What can go wrong with a store. All are comparable; foreign causes are kept as text.

use countersign_core::{Key, KeyId};
use std::path::PathBuf;

/// A store could not do what was asked; nothing is said about any credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Something failed and the store is being opened again: try later.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// Too much is waiting to be committed: try later.
    #[error("too many commits are waiting; try again")]
    Busy,
    /// The disk is nearly full; room is kept for revocations.
    #[error("the disk is nearly full, so nothing new is accepted: {0}")]
    NoRoom(String),
    /// A record does not read back whole, so it is not believed.
    #[error("the record {} in table {} is damaged: {detail}", hex(&key.id), key.table.name())]
    Damaged {
        /// Which record.
        key: Key,
        /// What does not fit.
        detail: &'static str,
    },
    /// A batch that no store takes.
    #[error("invalid batch: {0}")]
    Invalid(&'static str),
    /// The store was opened for reading.
    #[error("the store was opened read-only")]
    ReadOnly,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// Why a commit was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// A record was not what the batch expected; nothing was written.
    #[error("record {} in table {} was changed by somebody else", hex(&.0.id), .0.table.name())]
    Conflict(Key),
    /// Nothing was written.
    #[error(transparent)]
    NotApplied(StoreError),
    /// It failed on the way to the medium: it may be there after all, or not.
    #[error("the commit failed and may or may not have been written: {0}")]
    Unknown(String),
}

/// Why a store could not be opened or made. Each names the file and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no such file.
    #[error("no store at {}; make one with `countersign init` or `Engine::open`", .0.display())]
    NotFound(PathBuf),
    /// Something is there already, and nothing is ever overwritten.
    #[error("{} exists already and is never overwritten", .0.display())]
    Exists(PathBuf),
    /// Another process, or another handle of this one, has it open.
    #[error(
        "{} is open elsewhere: end the process that holds it, or open it read-only if that \
         process shares it with readers", .0.display()
    )]
    AlreadyOpen(PathBuf),
    /// The file is something else.
    #[error("{} is no countersign store: {detail}", path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The file fails its integrity check. It is left as it is.
    #[error(
        "{} is damaged and was left as it is: {detail}; keep a copy, then restore a backup or \
         `countersign export` what is whole", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        detail: String,
    },
    /// Written by a newer version of this library.
    #[error(
        "{} has format {found}, and this version reads up to {supported}: use a newer \
         countersign", path.display()
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that is read.
        supported: u32,
    },
    /// Written by an older version, and opened for reading, which cannot bring it up to date.
    #[error(
        "{} has the older format {found}: open it for writing once, which brings it up to date",
        path.display()
    )]
    OlderFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// It was not closed, and opening for reading repairs nothing.
    #[error("{} was not closed: open it for writing once, which puts it in order", .0.display())]
    NeedsRepair(PathBuf),
    /// The file is a copy, and a copy must be adopted before it serves.
    #[error(
        "{} is a copy of another store (its file identity has changed): adopt it with \
         `countersign restore --adopt keep|end-all` or `Builder::adopt`", .0.display()
    )]
    Cloned(PathBuf),
    /// The keys are not the ones that this store was made with.
    #[error("the keys do not belong to {}: give the key file that was made with it", .0.display())]
    WrongKey(PathBuf),
    /// Credentials in the store were made under a pepper that the keys lack.
    #[error(
        "{} needs pepper {id}, which the keys lack: give the complete key file", path.display()
    )]
    MissingPepper {
        /// The file.
        path: PathBuf,
        /// Which pepper.
        id: KeyId,
    },
    /// This process may not do what is needed.
    #[error(
        "{}: {detail}; this process needs to read and write the file and its directory",
        path.display()
    )]
    Permission {
        /// The file.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// The disk is full.
    #[error("{}: {detail}; make room on its disk, then try again", path.display())]
    NoRoom {
        /// The file.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// The records for a new store are such as no store takes.
    #[error("{} was not made: {detail}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        detail: String,
    },
    /// The operating system failed.
    #[error("{}: {detail}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_core::Table;

    #[test]
    fn a_record_is_named_by_its_table_and_its_whole_key() {
        let key = Key {
            table: Table::Grants,
            id: [
                0, 1, 0x0f, 0x10, 0xff, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
            ],
        };
        let id = "00010f10ff05060708090a0b0c0d0e0f";
        let detail = "its tag does not fit";
        assert_eq!(
            StoreError::Damaged { key, detail }.to_string(),
            format!("the record {id} in table grants is damaged: {detail}")
        );
        assert_eq!(
            CommitError::Conflict(key).to_string(),
            format!("record {id} in table grants was changed by somebody else")
        );
    }
}
