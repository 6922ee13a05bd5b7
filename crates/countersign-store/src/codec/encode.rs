//! From records to payloads. What could not be read back is not written.

use super::wire::{
    AttachmentV1, CredentialNameV1, CredentialV1, EndV1, EpochV1, EventV1, EventV2, GrantV1,
    KeyedDigestV1, PolicyV1, PrincipalV1, PrincipalV2, SeriesEndV1, SeriesV1, SightingV1, SwitchV1,
    SystemV1, UsageV1,
};
use super::{FORMAT_V1, FORMAT_V2, Kind, PAYLOAD_BYTES_MAX, older_digests};
use crate::error::StoreError;
use core::net::IpAddr;
use countersign_core::image::AttachmentRecord;
use countersign_core::{
    ADDRESSES_MAX, CredentialRef, EndCause, Epoch, Event, Expiry, Grant, GrantEnd, KeyedDigest,
    PrincipalRecord, PrincipalState, Record, Scope, Selector, SeriesEnd, SeriesEndCause,
    SeriesRecord, Sighting, SystemRecord, Timestamp, TokenFormat, Usage,
};
use serde::Serialize;

/// A value of the core that was added after this codec was written.
const UNKNOWN: StoreError = StoreError::Invalid("a record holds what this codec cannot write");

/// Appends a record's payload to `out` and answers what it is and how it is laid out.
pub(super) fn payload(record: &Record, out: &mut Vec<u8>) -> Result<(Kind, u8), StoreError> {
    let (kind, written) = match record {
        Record::System(system) => (Kind::System, write(&system_v1(system)?, out)),
        Record::Policy(toml) => (Kind::Policy, write(&PolicyV1 { toml }, out)),
        Record::Principal(record) => return principal(record, out),
        Record::Grant(grant) => (Kind::Grant, write(&grant_v1(grant)?, out)),
        Record::Usage(usage) => (Kind::Usage, write(&usage_v1(usage)?, out)),
        Record::Event(event) => return event_payload(event, out),
        Record::Attachment(opened) => (Kind::Attachment, write(&attachment_v1(opened), out)),
        Record::Series(series) => (Kind::Series, write(&series_v1(series)?, out)),
        _ => return Err(UNKNOWN),
    };
    written.map(|()| (kind, FORMAT_V1))
}

/// An event has the first format wherever that can hold it, so that it has one encoding.
fn event_payload(event: &Event, out: &mut Vec<u8>) -> Result<(Kind, u8), StoreError> {
    let first = event_v1(event);
    let Some(attachment) = &event.attachment else {
        return write(&first, out).map(|()| (Kind::Event, FORMAT_V1));
    };
    let attachment = attachment.as_str();
    write(&EventV2 { first, attachment }, out).map(|()| (Kind::Event, FORMAT_V2))
}

fn write(wire: &impl Serialize, out: &mut Vec<u8>) -> Result<(), StoreError> {
    let payload = bincode::serde::encode_to_vec(wire, bincode::config::legacy())
        .map_err(|_| StoreError::Invalid("a record cannot be encoded"))?;
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(StoreError::Invalid(
            "a record has more bytes than a store takes",
        ));
    }
    out.extend_from_slice(&payload);
    Ok(())
}

const fn epoch_v1(epoch: Epoch) -> EpochV1 {
    EpochV1 {
        number: epoch.number(),
        since_ms: epoch.since().as_millis(),
    }
}

fn system_v1(system: &SystemRecord) -> Result<SystemV1<'_>, StoreError> {
    if TokenFormat::new(system.deployment.word.as_deref()).is_err() {
        return Err(StoreError::Invalid("a prefix word is not one"));
    }
    let switch = |switch: countersign_core::Switch| SwitchV1 {
        on: u8::from(switch.on),
        epoch: epoch_v1(switch.epoch),
    };
    Ok(SystemV1 {
        word: system.deployment.word.as_deref(),
        server_id: system.deployment.server_id.as_str(),
        created_at_ms: system.deployment.created_at.as_millis(),
        switches: system.switches.map(switch),
    })
}

fn attachment_v1(opened: &AttachmentRecord) -> AttachmentV1<'_> {
    AttachmentV1 {
        attachment: opened.attachment.as_str(),
        epoch: epoch_v1(opened.epoch),
    }
}

fn principal(record: &PrincipalRecord, out: &mut Vec<u8>) -> Result<(Kind, u8), StoreError> {
    let first = principal_v1(record);
    if record.logins == record.epoch {
        return write(&first, out).map(|()| (Kind::Principal, FORMAT_V1));
    }
    let logins = epoch_v1(record.logins);
    write(&PrincipalV2 { first, logins }, out).map(|()| (Kind::Principal, FORMAT_V2))
}

fn principal_v1(record: &PrincipalRecord) -> PrincipalV1<'_> {
    let credential = |entry: &CredentialRef| CredentialV1 {
        kind: entry.kind.code(),
        selector: entry.selector.to_bytes(),
        ends_at_ms: entry.ends_at.as_millis(),
    };
    PrincipalV1 {
        principal: record.principal.as_str(),
        enabled: u8::from(record.state == PrincipalState::Enabled),
        epoch: epoch_v1(record.epoch),
        credentials: record.credentials.iter().map(credential).collect(),
    }
}

fn grant_v1(grant: &Grant) -> Result<GrantV1<'_>, StoreError> {
    Ok(GrantV1 {
        principal: grant.principal.as_str(),
        name: grant.name.as_str(),
        scopes: grant.scopes.iter().map(Scope::as_str).collect(),
        key_id: grant.key_id.number(),
        digest: *grant.digest.expose(),
        created_at_ms: grant.created_at.as_millis(),
        expires_at_ms: match grant.expiry {
            Expiry::At(at) => Some(at.as_millis()),
            Expiry::Never => None,
        },
        subsystem_epoch: grant.stamp.subsystem,
        principal_epoch: grant.stamp.principal,
        predecessor: grant.predecessor.map(Selector::to_bytes),
        end: grant.end.as_ref().map(end_v1).transpose()?,
    })
}

/// What ended a grant or a series: the codes are stored and never change.
pub(super) mod end_cause {
    pub(crate) const REVOKED: u8 = 1;
    pub(crate) const ROTATED: u8 = 2;
    pub(crate) const EVICTED: u8 = 3;
    pub(crate) const EXPIRED: u8 = 4;
    pub(crate) const REUSED: u8 = 5;
}

fn end_v1(end: &GrantEnd) -> Result<EndV1<'_>, StoreError> {
    let (cause, reason, successor) = match &end.cause {
        EndCause::Revoked(reason) => (end_cause::REVOKED, reason.as_ref(), None),
        EndCause::Rotated(successor) => (end_cause::ROTATED, None, Some(*successor)),
        EndCause::Evicted => (end_cause::EVICTED, None, None),
        EndCause::Expired => (end_cause::EXPIRED, None, None),
        _ => return Err(UNKNOWN),
    };
    Ok(EndV1 {
        at_ms: end.at.as_millis(),
        cause,
        reason: reason.map(countersign_core::Reason::as_str),
        successor: successor.map(Selector::to_bytes),
    })
}

fn usage_v1(usage: &Usage) -> Result<UsageV1, StoreError> {
    if usage.addresses.len() > ADDRESSES_MAX {
        return Err(StoreError::Invalid("a usage has too many addresses"));
    }
    let sighting = |seen: &Sighting| {
        let (family, address) = address_v1(seen.address);
        SightingV1 {
            family,
            address,
            at_ms: seen.at.as_millis(),
        }
    };
    Ok(UsageV1 {
        last_used_at_ms: usage.last_used_at.as_millis(),
        addresses: usage.addresses.iter().map(sighting).collect(),
    })
}

const fn address_v1(address: IpAddr) -> (u8, [u8; 16]) {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            (4, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d])
        }
        IpAddr::V6(v6) => (6, v6.octets()),
    }
}

fn event_v1(event: &Event) -> EventV1<'_> {
    EventV1 {
        at_ms: event.at.as_millis(),
        kind: event.kind.code(),
        principal: event
            .principal
            .as_ref()
            .map(countersign_core::Principal::as_str),
        credential: event.credential.map(|name| CredentialNameV1 {
            kind: name.kind.code(),
            selector: name.selector.to_bytes(),
        }),
        subsystem: event.subsystem.map(countersign_core::Subsystem::code),
        successor: event.successor.map(Selector::to_bytes),
        reason: event.reason.as_ref().map(countersign_core::Reason::as_str),
    }
}

fn series_v1(series: &SeriesRecord) -> Result<SeriesV1<'_>, StoreError> {
    if series.older.len() != older_digests(series.generation) {
        return Err(StoreError::Invalid(
            "a series has not as many older digests as it was rotated",
        ));
    }
    Ok(SeriesV1 {
        principal: series.principal.as_str(),
        label: series.label.as_str(),
        created_at_ms: series.created_at.as_millis(),
        expires_at_ms: series.expires_at.as_millis(),
        subsystem_epoch: series.stamp.subsystem,
        principal_epoch: series.stamp.principal,
        generation: series.generation,
        salt: series.salt,
        current: keyed_digest_v1(&series.current),
        older: series.older.iter().map(keyed_digest_v1).collect(),
        rotated_at_ms: series.rotated_at.as_millis(),
        successor_seen_at_ms: series.successor_seen_at.map(Timestamp::as_millis),
        end: series.end.as_ref().map(series_end_v1).transpose()?,
    })
}

const fn keyed_digest_v1(kept: &KeyedDigest) -> KeyedDigestV1 {
    KeyedDigestV1 {
        key_id: kept.key_id.number(),
        digest: *kept.digest.expose(),
    }
}

fn series_end_v1(end: &SeriesEnd) -> Result<SeriesEndV1<'_>, StoreError> {
    let (cause, reason) = match &end.cause {
        SeriesEndCause::Revoked(reason) => (end_cause::REVOKED, reason.as_ref()),
        SeriesEndCause::Evicted => (end_cause::EVICTED, None),
        SeriesEndCause::Expired => (end_cause::EXPIRED, None),
        SeriesEndCause::Reused => (end_cause::REUSED, None),
        _ => return Err(UNKNOWN),
    };
    Ok(SeriesEndV1 {
        at_ms: end.at.as_millis(),
        cause,
        reason: reason.map(countersign_core::Reason::as_str),
    })
}
