//! What the sweep does with a grant: notes that its time is over, and later removes it.

use super::life::end_of;
use super::{Decision, FiledGrant, Refusal, Setting, event};
use crate::event::EventKind;
use crate::grant::{EndCause, GrantEnd};
use crate::principal::PrincipalRecord;
use crate::principals::rewrite_list;
use crate::record::{Batch, Expect, Key, Record, Versioned};
use crate::secret::Fresh;
use crate::system::Subsystem;
use crate::time::Timestamp;

/// What became of a grant in a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pruned {
    /// Its time is over, which was noted.
    Expired,
    /// It had been dead for long enough and was removed.
    Removed,
}

/// What a sweep does with a grant, if anything.
///
/// # Errors
/// Only when randomness runs out.
pub fn prune(
    setting: &Setting<'_>,
    fresh: &mut Fresh,
    filed: FiledGrant<'_>,
    principal: Option<&Versioned<PrincipalRecord>>,
) -> Result<Option<Decision<Pruned>>, Refusal> {
    let ended_at = ended_at(setting, filed, principal);
    let policy = setting.policy.access_tokens();
    if ended_at.after(policy.prune_after) <= setting.now {
        return Ok(Some(remove(setting, filed, principal)));
    }
    let by_time = policy.end_of(filed.grant.created_at, filed.grant.expiry);
    if filed.grant.end.is_some() || by_time > setting.now {
        return Ok(None);
    }
    // What an epoch had ended before did not end by time.
    let epoch = setting.system.record.switch(Subsystem::AccessTokens).epoch;
    let stands = |found: &&Versioned<PrincipalRecord>| {
        let principal = found.record.epoch;
        filed.grant.stamp.stands(epoch, principal)
    };
    let Some(found) = principal.filter(stands) else {
        return Ok(None);
    };
    let mut grant = filed.grant.clone();
    grant.end = Some(GrantEnd {
        at: by_time,
        cause: EndCause::Expired,
    });
    let mut batch = Batch::deny();
    batch.record_event(event(
        setting,
        fresh,
        EventKind::Expired,
        filed.selector,
        &grant,
    )?);
    let key = Key::grant(filed.selector);
    batch.put(key, Expect::Version(filed.version), Record::Grant(grant));
    // Under a tightened policy the end is sooner than the list has it.
    rewrite_list(setting.keyring, &mut batch, found, |record| {
        record.note_end(filed.selector, by_time);
    });
    Ok(Some(Decision {
        outcome: Pruned::Expired,
        batch,
    }))
}

/// When a grant ended, by whatever came first: its own end, or an epoch of its principal's or of
/// all access tokens.
fn ended_at(
    setting: &Setting<'_>,
    filed: FiledGrant<'_>,
    principal: Option<&Versioned<PrincipalRecord>>,
) -> Timestamp {
    let own = end_of(setting.policy, filed.grant);
    let system = setting.system.record.switch(Subsystem::AccessTokens).epoch;
    let principal = principal.map(|found| found.record.epoch);
    own.min(filed.grant.stamp.ended_at(system, principal))
}

fn remove(
    setting: &Setting<'_>,
    filed: FiledGrant<'_>,
    principal: Option<&Versioned<PrincipalRecord>>,
) -> Decision<Pruned> {
    let mut batch = Batch::deny();
    batch.delete(Key::grant(filed.selector), Expect::Version(filed.version));
    batch.delete(Key::usage(filed.selector), Expect::Any);
    if let Some(found) = principal {
        rewrite_list(setting.keyring, &mut batch, found, |record| {
            record.forget(filed.selector);
        });
    }
    Decision {
        outcome: Pruned::Removed,
        batch,
    }
}
