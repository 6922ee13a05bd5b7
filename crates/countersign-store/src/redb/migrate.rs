//! From older formats to the current one: one step for each format, all in one transaction.

use super::meta::{FORMAT, Row, header_row};
use super::tables::META;
use countersign_core::Keyring;
use redb::{Error, ReadableTable, WriteTransaction};

/// How to get from the format before `to` to `to`.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub to: u32,
    pub run: fn(&WriteTransaction, &Keyring) -> Result<(), Error>,
}

/// The formats that a store may have.
#[derive(Clone, Copy)]
pub(super) struct Formats {
    pub current: u32,
    pub steps: &'static [Step],
}

/// Format 1 is the first, so nothing leads to it.
pub(super) const MIGRATIONS: &[Step] = &[];

/// The formats of this version.
pub(super) const FORMATS: Formats = Formats {
    current: FORMAT,
    steps: MIGRATIONS,
};

impl Formats {
    /// Takes a store from format `found` to the current one, leaving it to the caller to commit.
    ///
    /// Every format so far has had its store id where the first has it.
    pub(super) fn migrate(
        self,
        txn: &WriteTransaction,
        keyring: &Keyring,
        found: u32,
    ) -> Result<(), Error> {
        for step in self.steps.iter().filter(|step| step.to > found) {
            (step.run)(txn, keyring)?;
        }
        let mut meta = txn.open_table(META)?;
        let header = meta
            .get(&Row::Header.key())?
            .map(|header| header.value().to_vec());
        let id = header
            .as_deref()
            .and_then(|header| header.get(4..20)?.first_chunk::<16>());
        let Some(id) = id else {
            return Err(Error::Corrupted("its header is not one".to_owned()));
        };
        let header = header_row(keyring, self.current, *id);
        meta.insert(&Row::Header.key(), header.as_slice())?;
        Ok(())
    }
}
