//! Signing an image token: the same text for a whole bucket of time, a new one after a revocation.

use super::attachment::{AttachmentId, AttachmentRecord};
use super::claims::ImageClaims;
use super::token::write;
use crate::decision::{Decision, Refusal, Setting};
use crate::policy::ImageTokenPolicy;
use crate::principal::{Principal, PrincipalRecord, PrincipalState};
use crate::principals::begun;
use crate::record::{Batch, Expect, Key, Record, Versioned};
use crate::secret::{Fresh, SecretText};
use crate::system::{Subsystem, SystemRecord};
use crate::time::Timestamp;
use core::time::Duration;

/// What an image link is wanted for.
#[derive(Clone, Copy, Debug)]
pub struct ImageRequest<'a> {
    /// On whose behalf the image will be opened.
    pub principal: &'a Principal,
    /// Which attachment it is.
    pub attachment: &'a AttachmentId,
}

/// An image token, and until when it works at most.
#[derive(Debug)]
pub struct SignedImage {
    /// The token, for the one mail or page that shows the image.
    pub text: SecretText,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// Signs a token, if switches, principal and policy allow it.
///
/// Writes nothing but a record that is missing: the first token for an attachment makes its
/// record, and the first credential of a principal theirs.
///
/// # Errors
/// Why it is refused.
pub fn sign(
    setting: &Setting<'_>,
    fresh: &mut Fresh,
    request: ImageRequest<'_>,
    principal: Option<&Versioned<PrincipalRecord>>,
    attachment: Option<&Versioned<AttachmentRecord>>,
) -> Result<Decision<SignedImage>, Refusal> {
    let policy = setting.policy.image_tokens();
    if !is_on(policy, &setting.system.record) {
        return Err(Refusal::ImageTokensOff);
    }
    let mut batch = Batch::grow();
    let owner = match principal {
        Some(found) => found.record.clone(),
        None => new_principal(setting, fresh, request.principal, &mut batch)?,
    };
    if owner.state == PrincipalState::Disabled {
        return Err(Refusal::Disabled);
    }
    let opened = match attachment {
        Some(found) => found.record.clone(),
        None => new_attachment(setting, fresh, request.attachment, &mut batch)?,
    };

    let since = latest_epoch(&setting.system.record, &owner, &opened);
    // A token from an instant that has not come could not be told from one that is signed before
    // the next revocation of this very instant, nor would others accept it.
    if since > setting.now {
        return Err(Refusal::NotYet { at: since });
    }
    let issued_at = bucket_start(setting.now, policy).max(since);
    let claims = ImageClaims {
        issuer: setting.system.record.deployment.server_id.clone(),
        principal: request.principal.clone(),
        attachment: request.attachment.clone(),
        issued_at,
        expires_at: whole_second(issued_at.after(policy.lifetime())),
    };
    let outcome = SignedImage {
        text: write(setting.keyring.image_key(), &claims),
        expires_at: claims.expires_at,
    };
    Ok(Decision { outcome, batch })
}

fn new_principal(
    setting: &Setting<'_>,
    fresh: &mut Fresh,
    principal: &Principal,
    batch: &mut Batch,
) -> Result<PrincipalRecord, Refusal> {
    let record = begun(setting, fresh, principal)?;
    let key = Key::principal(setting.keyring.principal_key(principal));
    batch.put(key, Expect::Absent, Record::Principal(record.clone()));
    Ok(record)
}

fn new_attachment(
    setting: &Setting<'_>,
    fresh: &mut Fresh,
    attachment: &AttachmentId,
    batch: &mut Batch,
) -> Result<AttachmentRecord, Refusal> {
    let random = fresh.take().ok_or(Refusal::NotEnoughRandomness)?;
    let record = AttachmentRecord::begun(attachment.clone(), setting.now, random);
    let key = Key::attachment(setting.keyring.attachment_key(attachment));
    batch.put(key, Expect::Absent, Record::Attachment(record.clone()));
    Ok(record)
}

/// Whether image tokens are on in all three ways: both switches, and an expiry that is not zero.
pub(super) fn is_on(policy: &ImageTokenPolicy, system: &SystemRecord) -> bool {
    system.is_on(Subsystem::ImageTokens) & (policy.expiry_hours != 0)
}

/// The latest instant of the epochs that a token is under: everything from before it is dead.
pub(super) fn latest_epoch(
    system: &SystemRecord,
    principal: &PrincipalRecord,
    attachment: &AttachmentRecord,
) -> Timestamp {
    let switch = |subsystem| system.switch(subsystem).epoch.since();
    switch(Subsystem::ImageTokens)
        .max(switch(Subsystem::AccessTokens))
        .max(principal.epoch.since())
        .max(attachment.epoch.since())
}

/// The beginning of the bucket of time that `now` lies in.
///
/// A bucket is at most half a lifetime, so that every token works for at least the other half.
fn bucket_start(now: Timestamp, policy: &ImageTokenPolicy) -> Timestamp {
    let bucket = crate::time::millis(policy.bucket).min(crate::time::millis(policy.lifetime()) / 2);
    let into = now.as_millis().checked_rem(bucket).unwrap_or(0);
    now.before(Duration::from_millis(into))
}

fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_secs().saturating_mul(1000))
}
