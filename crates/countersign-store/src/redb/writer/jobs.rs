//! What the writer does besides committing: closing, and the list of peppers.

use super::super::contain::Fault;
use super::super::open::{in_transaction, put_peppers, with_new};
use super::super::queue::Job;
use super::super::tables::definition;
use super::{Answer, ControlFlow, Writer};
use crate::codec::Sealer;
use crate::error::StoreError;
use crate::store::Revision;
use countersign_core::keys::KeyCheck;
use countersign_core::{Key, KeyId, Keyring, Record, Table};
use redb::{Error, ReadableTable, WriteTransaction};
use std::sync::Arc;

impl Writer {
    pub(super) fn run_job(&mut self, job: Job) -> ControlFlow<()> {
        match job {
            Job::Close(answer) => {
                self.close(answer);
                return ControlFlow::Break(());
            }
            Job::RenewKeyring(keyring, answer) => answer.send(self.renew_keyring(keyring)),
            Job::RetirePepper(id, answer) => answer.send(self.retire_pepper(id)),
        }
        ControlFlow::Continue(())
    }

    /// Answers a job that cannot be done while the store is not in order; closing always can.
    pub(super) fn refuse_job(&mut self, job: Job, detail: &str) -> ControlFlow<()> {
        match job {
            Job::Close(answer) => {
                self.shared.close(None);
                self.shared.queue.close();
                answer.send(Err(StoreError::Unavailable(detail.to_owned())));
                ControlFlow::Break(())
            }
            Job::RenewKeyring(_, answer) | Job::RetirePepper(_, answer) => {
                answer.send(Err(StoreError::Unavailable(detail.to_owned())));
                ControlFlow::Continue(())
            }
        }
    }

    fn close(&mut self, answer: Answer<Result<(), StoreError>>) {
        self.shared.close(None);
        // Closing makes durable what was deferred.
        let closed = self.handle.take().map_or(Ok(()), super::Handle::close);
        self.shared.queue.close();
        // Told only after the file is let go, so that it can be opened again at once.
        answer.send(closed.map_err(|fault| StoreError::Unavailable(fault.detail())));
    }

    fn renew_keyring(&mut self, keyring: Arc<Keyring>) -> Result<(), StoreError> {
        if keyring.root_check() != self.keyring.root_check() {
            return Err(StoreError::Invalid("the keyring is not of this store"));
        }
        let new = self.meta.new_peppers(&keyring);
        let new = new.map_err(|_| StoreError::Invalid("the keyring lacks a pepper in use"))?;
        let peppers = with_new(&self.meta.peppers, &new);
        if !new.is_empty() {
            let newest = self.newest;
            let noted = self.alter(|txn| put_peppers(txn, &keyring, &peppers).map(Ok), newest);
            noted??;
        }
        self.shared.note_peppers(peppers.clone());
        self.meta.peppers = peppers;
        self.keyring = keyring;
        Ok(())
    }

    fn retire_pepper(&mut self, id: KeyId) -> Result<(), StoreError> {
        if id == self.keyring.current() {
            return Err(StoreError::Invalid("the current pepper cannot be retired"));
        }
        let noted = self.meta.peppers.iter().copied();
        let left: Vec<(KeyId, KeyCheck)> = noted.filter(|(noted, _)| *noted != id).collect();
        let keyring = Arc::clone(&self.keyring);
        let sealer = self.shared.sealer.clone();
        let newest = self.newest;
        let retire = |txn: &WriteTransaction| {
            // In the writing transaction, so that no grant can slip in behind the search.
            if let Err(named) = search_named(txn, &sealer, newest, id)? {
                return Ok(Err(named));
            }
            put_peppers(txn, &keyring, &left).map(Ok)
        };
        self.alter(retire, newest)??;
        self.shared.note_peppers(left.clone());
        self.meta.peppers = left;
        Ok(())
    }

    /// Runs `work` in a transaction of its own; the outer error has ended this opening of the file.
    fn alter(
        &mut self,
        work: impl FnOnce(&WriteTransaction) -> Result<Result<(), StoreError>, Error>,
        newest: Revision,
    ) -> Result<Result<(), StoreError>, StoreError> {
        let done = match &self.handle {
            Some(handle) => handle.with(|db| in_transaction(db, work)),
            None => Err(Fault::Io("it is not open".to_owned())),
        };
        let done = done.map_err(|fault| {
            let detail = fault.detail();
            self.fail(&detail);
            StoreError::Unavailable(detail)
        })?;
        // It has made durable what was deferred, and changed no record.
        if self.deferred > 0 {
            self.durable = self.newest;
        }
        self.newest = newest;
        self.deferred = 0;
        Ok(done)
    }
}

/// An error if a record names pepper `id`, or one cannot be read and so may.
fn search_named(
    txn: &WriteTransaction,
    sealer: &Sealer,
    newest: Revision,
    id: KeyId,
) -> Result<Result<(), StoreError>, Error> {
    for table in [Table::Grants, Table::Series] {
        let rows = txn.open_table(definition(table))?;
        for row in rows.iter()? {
            let (key, bytes) = row?;
            let key = Key {
                table,
                id: key.value(),
            };
            let named = sealer
                .open(key, bytes.value(), newest)
                .and_then(|versioned| names(&versioned.record, id));
            if let Err(stays) = named {
                return Ok(Err(stays));
            }
        }
    }
    Ok(Ok(()))
}

/// An error if the record names pepper `id`, or is of a kind that may.
fn names(record: &Record, id: KeyId) -> Result<(), StoreError> {
    let (named, what) = match record {
        Record::Grant(grant) => (grant.key_id == id, "a grant still names this pepper"),
        Record::Series(series) => {
            let mut digests = series.older.iter().chain([&series.current]);
            let named = digests.any(|digest| digest.key_id == id);
            (named, "a remembered device still names this pepper")
        }
        _ => (true, "a record of another kind stands in its table"),
    };
    if named {
        return Err(StoreError::Invalid(what));
    }
    Ok(())
}
