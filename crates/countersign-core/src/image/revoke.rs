//! Ending every image token of one attachment, with or without its record.

use super::attachment::{AttachmentId, AttachmentRecord};
use crate::decision::{Decision, Refusal, Setting, new_event};
use crate::event::EventKind;
use crate::record::{Batch, Change, Expect, Key, Record, Table, Versioned};
use crate::secret::Fresh;
use crate::text::Reason;

/// Ends every token that was signed for an attachment, known or not; new ones may be signed.
///
/// # Errors
/// When epoch numbers or randomness run out.
pub fn revoke_attachment(
    setting: &Setting<'_>,
    fresh: &mut Fresh,
    attachment: &AttachmentId,
    found: Option<&Versioned<AttachmentRecord>>,
    reason: Option<&Reason>,
) -> Result<Decision<AttachmentRecord>, Refusal> {
    let mut record = match found {
        Some(found) => found.record.clone(),
        None => {
            let random = fresh.take().ok_or(Refusal::NotEnoughRandomness)?;
            AttachmentRecord::begun(attachment.clone(), setting.now, random)
        }
    };
    let advanced = record.epoch.advanced(setting.now);
    record.epoch = advanced.ok_or(Refusal::EpochsExhausted)?;

    let mut told = new_event(setting.now, fresh, EventKind::AttachmentRevoked)?;
    told.attachment = Some(attachment.clone());
    told.reason = reason.cloned();
    let mut batch = Batch::deny();
    let key = Key::attachment(setting.keyring.attachment_key(attachment));
    let put = Record::Attachment(record.clone());
    batch.put(key, Expect::as_loaded(found), put);
    batch.record_event(told);
    Ok(Decision {
        outcome: record,
        batch,
    })
}

/// Ends every token that was signed for an attachment and removes its record, for one that the
/// host has deleted: absence denies. Answers whether there was one.
///
/// A token that is signed for that name later has a record that begins then. So the record of an
/// epoch that does not lie in the past, because the clock has stepped back behind it, stays for
/// now and is advanced: one that begins before it would let the tokens of before in.
///
/// # Errors
/// When epoch numbers or randomness run out.
pub fn forget_attachment(
    setting: &Setting<'_>,
    fresh: &mut Fresh,
    attachment: &AttachmentId,
    found: Option<&Versioned<AttachmentRecord>>,
    reason: Option<&Reason>,
) -> Result<Decision<bool>, Refusal> {
    let Some(record) = found else {
        return Ok(Decision {
            outcome: false,
            batch: Batch::default(),
        });
    };
    let is_past = record.record.epoch.since() < setting.now;
    let Decision { mut batch, .. } = revoke_attachment(setting, fresh, attachment, found, reason)?;
    if is_past {
        for write in &mut batch.writes {
            if write.key.table == Table::Attachments {
                write.change = Change::Delete;
            }
        }
    }
    Ok(Decision {
        outcome: true,
        batch,
    })
}
