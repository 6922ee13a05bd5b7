//! Starting a series: a device is remembered, since its owner asked for it.

use super::room::make_room;
use super::{event, life::epochs_since};
use crate::decision::{Decision, Refusal, Setting};
use crate::epoch::EpochStamp;
use crate::event::EventKind;
use crate::kind::CredentialKind;
use crate::principal::{CredentialRef, Principal, PrincipalRecord, PrincipalState};
use crate::principals::begun;
use crate::record::{Batch, Expect, Key, Record, Versioned};
use crate::secret::Fresh;
use crate::selector::Selector;
use crate::series::{KeyedDigest, Label, SeriesRecord};
use crate::system::Subsystem;
use crate::token::SplitToken;

/// Which device is to be remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSeries {
    /// Whose it is.
    pub principal: Principal,
    /// What they call it.
    pub label: Label,
}

/// A device that is remembered: its first secret, for it alone, and the series behind it.
#[derive(Debug)]
pub struct Started {
    /// The token.
    pub token: Box<SplitToken>,
    /// The record that was written.
    pub series: SeriesRecord,
}

/// Starts a series, if switch and principal allow it; the oldest ones end for room.
///
/// `displaced` are what was found under the keys that [`keys_to_start`](super::keys_to_start)
/// names in the same setting, in that order.
///
/// # Errors
/// Why it is refused.
pub fn start(
    setting: &Setting<'_>,
    fresh: &mut Fresh,
    principal: Option<&Versioned<PrincipalRecord>>,
    displaced: &[Option<Versioned<SeriesRecord>>],
    request: &NewSeries,
) -> Result<Decision<Started>, Refusal> {
    if !setting.system.record.is_on(Subsystem::RememberMe) {
        return Err(Refusal::SwitchedOff(Subsystem::RememberMe));
    }
    let mut record = match principal {
        Some(found) => found.record.clone(),
        None => begun(setting, fresh, &request.principal)?,
    };
    if record.state == PrincipalState::Disabled {
        return Err(Refusal::Disabled);
    }

    let mut batch = Batch::grow();
    batch.keep(Key::SYSTEM, Expect::Version(setting.system.version));
    make_room(setting, fresh, &mut batch, &mut record, displaced)?;

    let started = mint(setting, fresh, &record, request)?;
    let selector = started.token.selector();
    record.credentials.push(CredentialRef {
        kind: CredentialKind::Remember,
        selector,
        ends_at: started.series.expires_at,
    });
    let owner = Key::principal(setting.keyring.principal_key(&request.principal));
    batch.put(
        owner,
        Expect::as_loaded(principal),
        Record::Principal(record),
    );
    let series = started.series.clone();
    batch.record_event(event(
        setting.now,
        fresh,
        EventKind::Issued,
        selector,
        &series,
    )?);
    batch.put(
        Key::series(selector),
        Expect::Absent,
        Record::Series(series),
    );
    Ok(Decision {
        outcome: started,
        batch,
    })
}

/// Makes the token and its series.
fn mint(
    setting: &Setting<'_>,
    fresh: &mut Fresh,
    principal: &PrincipalRecord,
    request: &NewSeries,
) -> Result<Started, Refusal> {
    let (now, keyring) = (setting.now, setting.keyring);
    let tag = keyring.shard_tag(&request.principal);
    // Never older than the epochs that it is started under, also where the clock has stepped back.
    let age = now.max(epochs_since(setting, principal));
    let selector = Selector::mint(age, tag, fresh.take().ok_or(Refusal::NotEnoughRandomness)?);
    let (key_id, kind) = (keyring.current(), CredentialKind::Remember);
    let token = SplitToken::mint(kind, selector, fresh).ok_or(Refusal::NotEnoughRandomness)?;
    let switch = setting.system.record.switch(Subsystem::RememberMe);
    let series = SeriesRecord {
        principal: request.principal.clone(),
        label: request.label.clone(),
        created_at: now,
        expires_at: now.after(setting.policy.remember_me().max_age),
        stamp: EpochStamp {
            subsystem: switch.epoch.number(),
            principal: principal.logins.number(),
        },
        generation: 0,
        salt: [0; 16],
        current: KeyedDigest {
            key_id,
            digest: keyring.digest_new(&token),
        },
        older: Vec::new(),
        rotated_at: now,
        successor_seen_at: None,
        end: None,
    };
    Ok(Started { token, series })
}
