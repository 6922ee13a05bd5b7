//! What an attacker or a bad disk does to a store's rows behind its back, through redb itself.
//!
//! The file's pages and checksums stay in order, so only the store's own tags can tell.

use countersign_core::Key;
use redb::{Database, Error, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use std::path::Path;

type Rows<'a> = TableDefinition<'a, [u8; 16], &'static [u8]>;

/// The table in which a store keeps what it says about itself.
pub const META: &str = "meta";

/// A row as it lies in the file: key and bytes.
pub type Row = ([u8; 16], Vec<u8>);

/// Every row of a table.
///
/// # Errors
/// When the file does not open or has no such table.
pub fn rows(path: &Path, table: &str) -> Result<Vec<Row>, Error> {
    let db = Database::open(path)?;
    let table = db.begin_read()?.open_table(Rows::new(table))?;
    let mut rows = Vec::new();
    for row in table.iter()? {
        let (key, bytes) = row?;
        rows.push((key.value(), bytes.value().to_vec()));
    }
    Ok(rows)
}

/// Puts bytes under a key, or removes what is there.
///
/// # Errors
/// When the file does not open, or cannot be written to.
pub fn put(path: &Path, table: &str, id: [u8; 16], bytes: Option<&[u8]>) -> Result<(), Error> {
    let db = Database::open(path)?;
    let txn = db.begin_write()?;
    {
        let mut rows = txn.open_table(Rows::new(table))?;
        match bytes {
            Some(bytes) => drop(rows.insert(&id, bytes)?),
            None => drop(rows.remove(&id)?),
        }
    }
    txn.commit()?;
    Ok(())
}

/// Changes the bytes under a key; answers whether there were any.
///
/// # Errors
/// When the file does not open, or cannot be written to.
pub fn edit(path: &Path, key: Key, change: impl FnOnce(&mut Vec<u8>)) -> Result<bool, Error> {
    let found = rows(path, key.table.name())?;
    let Some((_, mut bytes)) = found.into_iter().find(|(id, _)| *id == key.id) else {
        return Ok(false);
    };
    change(&mut bytes);
    put(path, key.table.name(), key.id, Some(&bytes))?;
    Ok(true)
}
