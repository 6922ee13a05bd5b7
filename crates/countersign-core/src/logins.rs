//! Decisions about log-ins: who may have a session opened, and whether one that is open stands.
//!
//! The sessions themselves are not here; they lie in memory, each with the stamp that it was
//! opened under.

use crate::decision::{Decision, Refusal, Setting};
use crate::epoch::EpochStamp;
use crate::principal::{Principal, PrincipalRecord, PrincipalState};
use crate::principals::begun;
use crate::record::{Batch, Expect, Key, Record, Versioned};
use crate::secret::Fresh;
use crate::system::{Subsystem, SystemRecord};
use crate::verdict::Rejection;

/// Admits a principal to a log-in; the outcome is what the session is stamped with.
///
/// A principal without a record gets one, since presence grants. For one who has a record nothing
/// is written.
///
/// # Errors
/// When sessions are switched off, the principal is disabled, or randomness runs out.
pub fn admit(
    setting: &Setting<'_>,
    fresh: &mut Fresh,
    principal: &Principal,
    found: Option<&Versioned<PrincipalRecord>>,
) -> Result<Decision<EpochStamp>, Refusal> {
    let switch = setting.system.record.switch(Subsystem::Sessions);
    if !switch.on {
        return Err(Refusal::SwitchedOff(Subsystem::Sessions));
    }
    let mut batch = Batch::grow();
    let logins = match found {
        Some(found) if found.record.state == PrincipalState::Disabled => {
            return Err(Refusal::Disabled);
        }
        Some(found) => found.record.logins,
        None => {
            let record = begun(setting, fresh, principal)?;
            let logins = record.logins;
            let key = Key::principal(setting.keyring.principal_key(principal));
            batch.put(key, Expect::Absent, Record::Principal(record));
            logins
        }
    };
    let outcome = EpochStamp {
        subsystem: switch.epoch.number(),
        principal: logins.number(),
    };
    Ok(Decision { outcome, batch })
}

/// Whose session it is that is judged.
#[derive(Clone, Copy, Debug)]
pub enum Holder<'a> {
    /// Nobody's: it is anonymous.
    Nobody,
    /// A principal's, with their record if it is there.
    Principal(Option<&'a PrincipalRecord>),
    /// A principal's whose credentials are being changed from it: it outlives the epoch that this
    /// moves on.
    Kept(Option<&'a PrincipalRecord>),
    /// A principal's, of whose record a part was copied: they are enabled, and this is the number
    /// of the epoch of their log-ins.
    Enabled(u32),
}

/// Whether a session that was opened under `stamp` stands.
///
/// # Errors
/// The reason why it does not. Presence grants and absence denies: a session whose principal has
/// no record is refused. One of a disabled principal has not ended, and stands again when they are
/// enabled.
pub fn stands(
    stamp: EpochStamp,
    system: &SystemRecord,
    holder: Holder<'_>,
) -> Result<(), Rejection> {
    let switch = system.switch(Subsystem::Sessions);
    let (record, logins) = match holder {
        Holder::Nobody => (None, None),
        Holder::Principal(record) => (Some(record), record.map(|found| found.logins.number())),
        Holder::Kept(record) => (Some(record), None),
        Holder::Enabled(logins) => (None, Some(logins)),
    };
    let unknown = matches!(record, Some(None));
    let record = record.flatten();
    let disabled = record.is_some_and(|record| record.state == PrincipalState::Disabled);
    let moved_on = logins.is_some_and(|logins| stamp.principal != logins);
    let revoked = (stamp.subsystem != switch.epoch.number()) | moved_on;
    let reasons = [
        (unknown, Rejection::Unknown),
        (!switch.on, Rejection::SwitchedOff),
        (disabled, Rejection::Disabled),
        (revoked, Rejection::Revoked),
    ];
    let first = reasons.into_iter().find(|(failed, _)| *failed);
    first.map_or(Ok(()), |(_, reason)| Err(reason))
}

#[cfg(test)]
mod tests {
    //! Hazard: a session that stands when something should have ended it.

    use super::*;
    use crate::principals::PrincipalAction::{self, CredentialsChanged, Disable, Enable, Revoke};
    use crate::switches::SwitchAction::{self, Off, On, RevokeAll};
    use crate::world::World;

    fn admitted(world: &mut World, name: &str) -> Result<EpochStamp, Refusal> {
        let (system, mut fresh) = (world.system(), world.fresh());
        let found = world.principal(name);
        let principal = Principal::new(name).unwrap();
        let decision = admit(
            &world.setting(&system),
            &mut fresh,
            &principal,
            found.as_ref(),
        )?;
        assert_eq!(decision.batch.writes.len(), usize::from(found.is_none()));
        world.commit(decision.batch);
        Ok(decision.outcome)
    }

    fn switch(world: &mut World, action: SwitchAction) {
        let (system, mut fresh) = (world.system(), world.fresh());
        let setting = world.setting(&system);
        let switch = Subsystem::Sessions;
        let decision = crate::switches::act(&setting, &mut fresh, switch, action, None);
        world.commit(decision.unwrap().batch);
    }

    /// What actions leave of a session that ann, a visitor, and ann with the session kept have.
    #[track_caller]
    fn check(
        actions: &[PrincipalAction],
        switched: &[SwitchAction],
        expected: [Result<(), Rejection>; 3],
    ) {
        let mut world = World::new();
        let stamp = admitted(&mut world, "ann").unwrap();
        for action in actions {
            world.act("ann", *action);
        }
        for action in switched {
            switch(&mut world, *action);
        }
        let (system, found) = (world.system().record, world.principal("ann"));
        let record = found.as_ref().map(|found| &found.record);
        let holders = [
            Holder::Principal(record),
            Holder::Nobody,
            Holder::Kept(record),
        ];
        let verdicts = holders.map(|holder| stands(stamp, &system, holder));
        assert_eq!(verdicts, expected, "{actions:?} {switched:?}");
    }

    #[test]
    fn epochs_end_it_switch_and_state_stop_it() {
        let (ended, off) = (Err(Rejection::Revoked), Err(Rejection::SwitchedOff));
        let disabled = Err(Rejection::Disabled);
        check(&[], &[], [Ok(()); 3]);
        check(&[Enable], &[On], [Ok(()); 3]);
        check(&[Disable], &[], [disabled, Ok(()), disabled]);
        check(&[Disable, Enable], &[], [Ok(()); 3]);
        check(&[Revoke], &[], [ended, Ok(()), Ok(())]);
        check(&[CredentialsChanged], &[], [ended, Ok(()), Ok(())]);
        check(&[], &[Off], [off; 3]);
        check(&[], &[Off, On], [ended; 3]);
        check(&[], &[RevokeAll], [ended; 3]);
        check(&[Revoke], &[RevokeAll], [ended; 3]);
        check(&[Disable], &[Off], [off; 3]);
    }

    #[test]
    fn without_a_record_a_principal_s_session_is_refused() {
        let world = World::new();
        let (system, stamp) = (world.system().record, EpochStamp::default());
        for holder in [Holder::Principal(None), Holder::Kept(None)] {
            assert_eq!(stands(stamp, &system, holder), Err(Rejection::Unknown));
        }
    }

    #[test]
    fn only_the_first_log_in_writes_and_who_is_shut_out_is_refused() {
        let mut world = World::new();
        let first = admitted(&mut world, "ann").unwrap();
        assert_eq!(admitted(&mut world, "ann"), Ok(first));
        world.act("ann", CredentialsChanged);
        assert_ne!(admitted(&mut world, "ann"), Ok(first));
        world.act("ann", Disable);
        assert_eq!(admitted(&mut world, "ann"), Err(Refusal::Disabled));
        switch(&mut world, Off);
        let off = Refusal::SwitchedOff(Subsystem::Sessions);
        assert_eq!(admitted(&mut world, "bob"), Err(off));
    }

    #[test]
    fn a_record_that_was_lost_and_made_anew_lets_no_session_of_before_stand() {
        let mut world = World::new();
        let before = admitted(&mut world, "ann").unwrap();
        world.records.remove(&world.principal_key("ann"));
        let after = admitted(&mut world, "ann").unwrap();
        let (system, found) = (world.system().record, world.principal("ann"));
        let holder = Holder::Principal(found.as_ref().map(|found| &found.record));
        assert_eq!(stands(before, &system, holder), Err(Rejection::Revoked));
        assert_eq!(stands(after, &system, holder), Ok(()));
    }
}
