//! Ending every image token of one attachment.

use super::attachment::{AttachmentId, AttachmentRecord};
use crate::decision::{Decision, Refusal, Setting, new_event};
use crate::event::EventKind;
use crate::record::{Batch, Expect, Key, Record, Versioned};
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
