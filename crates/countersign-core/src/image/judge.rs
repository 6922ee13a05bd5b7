//! Checking a proven image token against the records it concerns.

use super::attachment::{AttachmentId, AttachmentRecord};
use super::sign::{is_on, latest_epoch};
use super::token::ProvenImage;
use crate::policy::Policy;
use crate::principal::{PrincipalRecord, PrincipalState};
use crate::system::SystemRecord;
use crate::time::Timestamp;
use crate::verdict::Rejection;

/// A proven token with the records that were found for it.
#[derive(Clone, Copy, Debug)]
pub struct PresentedImage<'a> {
    /// The token.
    pub token: &'a ProvenImage,
    /// The attachment that is asked for.
    pub asked: &'a AttachmentId,
    /// The record of the principal that the token names, if there is one.
    pub principal: Option<&'a PrincipalRecord>,
    /// The record of the attachment that the token names, if there is one.
    pub attachment: Option<&'a AttachmentRecord>,
    /// The system record, if it is there.
    pub system: Option<&'a SystemRecord>,
}

/// Whether the token opens the attachment that is asked for.
///
/// # Errors
/// The reason why it does not; [`Rejection::Scope`] where it is good, but for another attachment.
pub fn check(
    now: Timestamp,
    policy: &Policy,
    presented: &PresentedImage<'_>,
) -> Result<(), Rejection> {
    let claims = presented.token.claims();
    let policy = policy.image_tokens();
    let (Some(system), Some(principal), Some(attachment)) =
        (presented.system, presented.principal, presented.attachment)
    else {
        return Err(Rejection::Unknown);
    };
    let foreign = (claims.issuer != system.deployment.server_id)
        | (claims.principal != principal.principal)
        | (claims.attachment != attachment.attachment);
    let disabled = principal.state == PrincipalState::Disabled;
    let revoked = claims.issued_at < latest_epoch(system, principal, attachment);
    let end = policy.end_of(claims.issued_at, claims.expires_at);
    let reasons = [
        (foreign, Rejection::Unknown),
        (!is_on(policy, system), Rejection::SwitchedOff),
        (disabled, Rejection::Disabled),
        (revoked, Rejection::Revoked),
        (now >= end, Rejection::Expired),
        (now < claims.issued_at, Rejection::NotYet),
        (claims.attachment != *presented.asked, Rejection::Scope),
    ];
    let failed = reasons.into_iter().find(|(fails, _)| *fails);
    failed.map_or(Ok(()), |(_, reason)| Err(reason))
}
