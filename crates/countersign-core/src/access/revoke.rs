//! Revoking one access token.

use super::life::is_final;
use super::{Decision, FiledGrant, Refusal, Setting, event};
use crate::event::EventKind;
use crate::grant::{EndCause, Grant, GrantEnd};
use crate::principal::PrincipalRecord;
use crate::record::{Batch, Expect, Key, Record, Versioned};
use crate::secret::Fresh;
use crate::text::Reason;

/// What a revocation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// The grant as it is now.
    pub grant: Grant,
    /// Whether it had been ended for good before, so that nothing needed to be written.
    pub already: bool,
}

/// Ends a token now and for good. One that has been ended for good already stays as it is; one
/// that time alone has ended, or that is in its overlap or past it, is ended for good.
///
/// # Errors
/// Only when randomness runs out.
pub fn revoke(
    setting: &Setting<'_>,
    fresh: &mut Fresh,
    filed: FiledGrant<'_>,
    principal: Option<&Versioned<PrincipalRecord>>,
    reason: Option<&Reason>,
) -> Result<Decision<Revoked>, Refusal> {
    let mut batch = Batch::deny();
    let mut grant = filed.grant.clone();
    if grant.end.as_ref().is_some_and(is_final) {
        return Ok(Decision {
            outcome: Revoked {
                grant,
                already: true,
            },
            batch,
        });
    }

    grant.end = Some(GrantEnd {
        at: setting.now,
        cause: EndCause::Revoked(reason.cloned()),
    });
    let mut told = event(setting, fresh, EventKind::Revoked, filed.selector, &grant)?;
    told.reason = reason.cloned();
    let key = Key::grant(filed.selector);
    batch.put(
        key,
        Expect::Version(filed.version),
        Record::Grant(grant.clone()),
    );
    // A principal whose record is gone has no list to keep, and is refused anyway.
    if let Some(found) = principal {
        let mut record = found.record.clone();
        record.note_end(filed.selector, setting.now);
        let key = Key::principal(setting.keyring.principal_key(&grant.principal));
        batch.put(
            key,
            Expect::Version(found.version),
            Record::Principal(record),
        );
    }
    batch.record_event(told);
    Ok(Decision {
        outcome: Revoked {
            grant,
            already: false,
        },
        batch,
    })
}
