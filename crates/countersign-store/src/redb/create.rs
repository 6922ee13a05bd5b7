//! Making a store's file: built under another name, published whole.

use super::contain::Fault;
use super::file::Scaffold;
use super::handle::{Handle, open_error};
use super::identity::Identity;
use super::meta::{self, Row};
use super::open::{in_transaction, put_meta, put_peppers};
use super::options::{Mode, RedbOptions};
use super::tables::definition;
use crate::codec::Sealer;
use crate::error::{OpenError, StoreError};
use crate::store::Revision;
use countersign_core::keys::KeyCheck;
use countersign_core::{Key, KeyId, Keyring, Record, Table, Version};
use redb::{Error, WriteTransaction};
use std::path::Path;
use std::sync::Arc;

/// The revision of a new store.
const FIRST: Revision = Revision(1);

/// What a new file says about itself.
pub(super) struct Head {
    pub store_id: [u8; 16],
    pub revision: Revision,
    pub peppers: Vec<(KeyId, KeyCheck)>,
    /// Whether it is a copy, which fits no file.
    pub copy: bool,
}

/// Makes a store with `initial` records at `path`, where nothing may be yet.
pub(super) fn create(
    path: &Path,
    options: &RedbOptions,
    keyring: &Arc<Keyring>,
    store_id: [u8; 16],
    initial: &[(Key, Record)],
) -> Result<(), OpenError> {
    let sealer = Sealer::new(Arc::clone(keyring));
    let draft = |(key, record): &(Key, Record)| sealer.draft(*key, record);
    let drafts: Result<Vec<_>, StoreError> = initial.iter().map(draft).collect();
    let mut drafts = drafts.map_err(|error| OpenError::Invalid {
        path: path.to_owned(),
        detail: error.to_string(),
    })?;
    let peppers = keyring.pepper_checks().collect();
    let head = Head {
        store_id,
        revision: FIRST,
        peppers,
        copy: false,
    };
    build(path, options, keyring, &head, |txn| {
        for draft in &mut drafts {
            let key = draft.key();
            let mut table = txn.open_table(definition(key.table))?;
            table.insert(&key.id, sealer.seal(draft, Version::new(FIRST.0)))?;
        }
        Ok(())
    })
}

/// Builds a file with `head` and what `fill` puts into its tables, and publishes it at `path`.
pub(super) fn build(
    path: &Path,
    options: &RedbOptions,
    keyring: &Keyring,
    head: &Head,
    fill: impl FnOnce(&WriteTransaction) -> Result<(), Error>,
) -> Result<(), OpenError> {
    let (scaffold, file) = Scaffold::new(path, head.store_id)?;
    let fault = |fault: Fault| open_error(path, &fault);
    // Nobody else knows of the file, so it is built for this process alone.
    let options = options.clone().mode(Mode::Exclusive);
    let handle = Handle::on(scaffold.path(), file, &options).map_err(fault)?;
    let identity = if head.copy {
        Identity::COPY
    } else {
        handle.identity()
    };
    let built = handle.with(|db| {
        in_transaction(db, |txn| {
            for table in Table::ALL {
                txn.open_table(definition(table))?;
            }
            let format = options.formats.current;
            put_meta(
                txn,
                Row::Header,
                &meta::header_row(keyring, format, head.store_id),
            )?;
            put_meta(
                txn,
                Row::Counter,
                &meta::counter_row(keyring, head.revision),
            )?;
            put_peppers(txn, keyring, &head.peppers)?;
            put_meta(txn, Row::Identity, &meta::identity_row(keyring, identity))?;
            fill(txn)
        })
    });
    built.map_err(fault)?;
    // A drop would swallow the errors that only closing tells.
    handle.close().map_err(fault)?;
    scaffold.publish()
}
