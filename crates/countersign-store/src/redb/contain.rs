//! The one boundary to redb: its errors and its panics come out as a [`Fault`].
//!
//! After any fault the handle that it came from is of no use: redb latches the first I/O error,
//! and what a panic left behind is not to be built upon.

use core::any::Any;
use redb::Error;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why redb did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The disk, a quota or the file's own limit is full.
    NoRoom(Full, String),
    /// Somebody else has the file open.
    AlreadyOpen,
    /// It was not closed and has to be opened for writing once.
    NeedsRepair,
    /// A file of redb's, but of a format that no store of ours ever had.
    OldFile(u8),
    /// A file of redb's, but the tables in it are not ours.
    NotOurs(String),
    /// Something in the file does not fit.
    Corrupt(String),
    /// The operating system did not do it.
    Io(String),
    /// redb panicked.
    Panic(String),
}

/// What is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// The disk or a quota on it, which giving something up helps against.
    Disk,
    /// The file itself may grow no further.
    File,
}

/// Runs `work` and turns whatever comes of it into a value.
pub(super) fn contain<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Fault> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| Fault::from_redb(&error)),
        Err(panic) => Err(Fault::Panic(panic_text(&*panic))),
    }
}

/// Runs code that is not ours and may panic, where nothing depends on its outcome.
pub(super) fn contain_callback(work: impl FnOnce()) {
    // The panic has been printed by its hook; there is nobody to hand it on to.
    let _ = catch_unwind(AssertUnwindSafe(work));
}

impl Fault {
    fn from_redb(error: &Error) -> Self {
        match error {
            Error::DatabaseAlreadyOpen | Error::LockProtocolMismatch => Self::AlreadyOpen,
            Error::RepairAborted => Self::NeedsRepair,
            Error::UpgradeRequired(version) => Self::OldFile(*version),
            Error::TableTypeMismatch { .. }
            | Error::TypeDefinitionChanged { .. }
            | Error::TableIsMultimap(_)
            | Error::TableDoesNotExist(_) => Self::NotOurs(error.to_string()),
            Error::Corrupted(detail) => Self::Corrupt(detail.clone()),
            Error::Io(error) => Self::from_io(error),
            _ => Self::Io(error.to_string()),
        }
    }

    pub(super) fn from_io(error: &io::Error) -> Self {
        match Full::of(error) {
            Some(full) => Self::NoRoom(full, error.to_string()),
            None if error.kind() == io::ErrorKind::UnexpectedEof => {
                Self::Corrupt("it is shorter than it says, so it was truncated".to_owned())
            }
            None => Self::Io(error.to_string()),
        }
    }

    /// The fault in words.
    pub(super) fn detail(&self) -> String {
        match self {
            Self::NoRoom(_, detail)
            | Self::NotOurs(detail)
            | Self::Corrupt(detail)
            | Self::Io(detail) => detail.clone(),
            Self::AlreadyOpen => "it is open elsewhere".to_owned(),
            Self::NeedsRepair => "it was not closed".to_owned(),
            Self::OldFile(version) => format!("it is a redb file of the old format {version}"),
            Self::Panic(text) => format!("the database gave up: {text}"),
        }
    }
}

impl Full {
    /// What an error says is full, if it says so.
    pub(super) fn of(error: &io::Error) -> Option<Self> {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(Self::Disk),
            io::ErrorKind::FileTooLarge => Some(Self::File),
            _ => None,
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without words").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_comes_out_as_a_value() {
        let fault = contain::<()>(|| panic!("page {} is odd", 7)).unwrap_err();
        assert_eq!(fault, Fault::Panic("page 7 is odd".to_owned()));
        let mut done = false;
        contain_callback(|| {
            done = true;
            panic!("not ours");
        });
        assert!(done);
    }

    #[test]
    fn what_the_database_says_is_told_as_what_can_be_done_about_it() {
        let table = || "grants".to_owned();
        for (error, fault) in [
            (Error::DatabaseAlreadyOpen, Fault::AlreadyOpen),
            (Error::LockProtocolMismatch, Fault::AlreadyOpen),
            (Error::RepairAborted, Fault::NeedsRepair),
            (Error::UpgradeRequired(2), Fault::OldFile(2)),
            (Error::Corrupted(table()), Fault::Corrupt(table())),
        ] {
            assert_eq!(Fault::from_redb(&error), fault, "{error}");
        }
        for error in [
            Error::TableDoesNotExist(table()),
            Error::TableIsMultimap(table()),
        ] {
            let fault = Fault::from_redb(&error);
            assert!(matches!(fault, Fault::NotOurs(_)), "{error}: {fault:?}");
        }
        let other = Fault::from_redb(&Error::PreviousIo);
        assert!(matches!(other, Fault::Io(_)), "{other:?}");
        let old = Fault::OldFile(2).detail();
        assert!(old.contains("old format 2"), "{old}");
    }

    #[test]
    fn what_is_full_is_told_apart_from_what_is_broken() {
        for (kind, full) in [
            (io::ErrorKind::StorageFull, Some(Full::Disk)),
            (io::ErrorKind::QuotaExceeded, Some(Full::Disk)),
            (io::ErrorKind::FileTooLarge, Some(Full::File)),
            (io::ErrorKind::Other, None),
        ] {
            assert_eq!(Full::of(&kind.into()), full, "{kind:?}");
        }
        let cut = Fault::from_io(&io::ErrorKind::UnexpectedEof.into());
        assert!(matches!(cut, Fault::Corrupt(_)));
    }
}
