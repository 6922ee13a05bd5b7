//! From payloads to records. Every field is parsed into a type that cannot be wrong.
//!
//! The length of a payload is bounded before it is read, texts are borrowed from it, and the
//! vectors of its records are bounded by its length, so that no number in it can ask for memory
//! that it does not itself take up.

use super::encode::end_cause;
use super::wire::{
    AttachmentV1, CredentialNameV1, CredentialV1, EndV1, EpochV1, EventV1, EventV2, GrantV1,
    KeyedDigestV1, PolicyV1, PrincipalV1, PrincipalV2, SeriesEndV1, SeriesV1, SightingV1, SwitchV1,
    SystemV1, UsageV1,
};
use super::{FORMAT_V2, Kind, PAYLOAD_BYTES_MAX, older_digests};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use countersign_core::image::{AttachmentId, AttachmentRecord};
use countersign_core::{
    ADDRESSES_MAX, CredentialKind, CredentialName, CredentialRef, Deployment, Digest, EndCause,
    Epoch, EpochStamp, Event, EventKind, Expiry, Grant, GrantEnd, Key, KeyId, KeyedDigest, Label,
    Principal, PrincipalRecord, PrincipalState, Reason, Record, Scope, ScopeSet, Selector,
    SeriesEnd, SeriesEndCause, SeriesRecord, ServerId, Sighting, Subsystem, Switch, SystemRecord,
    Timestamp, TokenFormat, TokenName, Usage,
};
use serde::Deserialize;

type Parsed<T> = Result<T, &'static str>;

/// Reads the payload of a record that is filed under `key`.
pub(super) fn payload(kind: Kind, format: u8, key: Key, bytes: &[u8]) -> Parsed<Record> {
    match kind {
        Kind::System => system(&read(bytes)?).map(Record::System),
        Kind::Policy => {
            let PolicyV1 { toml } = read(bytes)?;
            Ok(Record::Policy(toml.to_owned()))
        }
        Kind::Principal if format == FORMAT_V2 => {
            let PrincipalV2 { first, logins } = read(bytes)?;
            let logins = epoch(&logins);
            if logins == epoch(&first.epoch) {
                return Err("it is laid out for an epoch of log-ins that it has not");
            }
            let record = principal_record(first)?;
            Ok(Record::Principal(PrincipalRecord { logins, ..record }))
        }
        Kind::Principal => principal_record(read(bytes)?).map(Record::Principal),
        Kind::Grant => grant(&read(bytes)?).map(Record::Grant),
        Kind::Usage => usage(&read(bytes)?).map(Record::Usage),
        Kind::Event if format == FORMAT_V2 => {
            let EventV2 { first, attachment } = read(bytes)?;
            let mut event = event(key, &first)?;
            event.attachment = Some(attachment_id(attachment)?);
            Ok(Record::Event(event))
        }
        Kind::Event => event(key, &read(bytes)?).map(Record::Event),
        Kind::Series => series(&read(bytes)?).map(Record::Series),
        Kind::Attachment => attachment(&read(bytes)?).map(Record::Attachment),
    }
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Parsed<T> {
    if bytes.len() > PAYLOAD_BYTES_MAX {
        return Err("it has more bytes than a record may have");
    }
    let config = bincode::config::legacy().with_limit::<PAYLOAD_BYTES_MAX>();
    let (wire, used) = bincode::serde::borrow_decode_from_slice(bytes, config)
        .map_err(|_| "its payload cannot be read")?;
    if used == bytes.len() {
        Ok(wire)
    } else {
        Err("bytes follow its payload")
    }
}

fn system(wire: &SystemV1<'_>) -> Parsed<SystemRecord> {
    if TokenFormat::new(wire.word).is_err() {
        return Err("its prefix word is not one");
    }
    let [a, b, c, d] = &wire.switches;
    Ok(SystemRecord {
        deployment: Deployment {
            word: wire.word.map(str::to_owned),
            server_id: ServerId::new(wire.server_id).map_err(|_| "its server id is not one")?,
            created_at: Timestamp::from_millis(wire.created_at_ms),
        },
        switches: [switch(a)?, switch(b)?, switch(c)?, switch(d)?],
    })
}

fn switch(wire: &SwitchV1) -> Parsed<Switch> {
    Ok(Switch {
        on: flag(wire.on)?,
        epoch: epoch(&wire.epoch),
    })
}

const fn epoch(wire: &EpochV1) -> Epoch {
    Epoch::from_parts(wire.number, Timestamp::from_millis(wire.since_ms))
}

const fn flag(byte: u8) -> Parsed<bool> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err("a flag is neither set nor clear"),
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "its list is consumed by the conversion"
)]
fn principal_record(wire: PrincipalV1<'_>) -> Parsed<PrincipalRecord> {
    let enabled = flag(wire.enabled)?;
    Ok(PrincipalRecord {
        principal: principal(wire.principal)?,
        state: if enabled {
            PrincipalState::Enabled
        } else {
            PrincipalState::Disabled
        },
        epoch: epoch(&wire.epoch),
        logins: epoch(&wire.epoch),
        credentials: wire
            .credentials
            .iter()
            .map(credential)
            .collect::<Parsed<_>>()?,
    })
}

fn attachment(wire: &AttachmentV1<'_>) -> Parsed<AttachmentRecord> {
    Ok(AttachmentRecord {
        attachment: attachment_id(wire.attachment)?,
        epoch: epoch(&wire.epoch),
    })
}

fn attachment_id(text: &str) -> Parsed<AttachmentId> {
    AttachmentId::new(text).map_err(|_| "its attachment is not one")
}

fn credential(wire: &CredentialV1) -> Parsed<CredentialRef> {
    Ok(CredentialRef {
        kind: credential_kind(wire.kind)?,
        selector: selector(wire.selector)?,
        ends_at: Timestamp::from_millis(wire.ends_at_ms),
    })
}

fn grant(wire: &GrantV1<'_>) -> Parsed<Grant> {
    Ok(Grant {
        principal: principal(wire.principal)?,
        name: TokenName::new(wire.name).map_err(|_| "its name is not one")?,
        scopes: scopes(&wire.scopes)?,
        key_id: KeyId::new(wire.key_id).ok_or("its pepper has no number")?,
        digest: Digest::from_bytes(wire.digest),
        created_at: Timestamp::from_millis(wire.created_at_ms),
        expiry: wire
            .expires_at_ms
            .map_or(Expiry::Never, |ms| Expiry::At(Timestamp::from_millis(ms))),
        stamp: EpochStamp {
            subsystem: wire.subsystem_epoch,
            principal: wire.principal_epoch,
        },
        predecessor: wire.predecessor.map(selector).transpose()?,
        end: wire.end.as_ref().map(end).transpose()?,
    })
}

fn scopes(texts: &[&str]) -> Parsed<ScopeSet> {
    let scope = |text: &&str| Scope::new(text).map_err(|_| "one of its scopes is not one");
    let list = texts.iter().map(scope).collect::<Parsed<Vec<_>>>()?;
    let set = ScopeSet::new(list).map_err(|_| "it has too many scopes")?;
    // One set has one encoding: sorted, each scope once.
    if set.len() == texts.len() && set.iter().map(Scope::as_str).eq(texts.iter().copied()) {
        Ok(set)
    } else {
        Err("its scopes are not in order")
    }
}

fn end(wire: &EndV1<'_>) -> Parsed<GrantEnd> {
    let cause = match (wire.cause, wire.reason, wire.successor) {
        (end_cause::REVOKED, text, None) => EndCause::Revoked(text.map(reason).transpose()?),
        (end_cause::ROTATED, None, Some(successor)) => EndCause::Rotated(selector(successor)?),
        (end_cause::EVICTED, None, None) => EndCause::Evicted,
        (end_cause::EXPIRED, None, None) => EndCause::Expired,
        _ => return Err("its end has no cause that fits"),
    };
    Ok(GrantEnd {
        at: Timestamp::from_millis(wire.at_ms),
        cause,
    })
}

fn usage(wire: &UsageV1) -> Parsed<Usage> {
    if wire.addresses.len() > ADDRESSES_MAX {
        return Err("it has too many addresses");
    }
    Ok(Usage {
        last_used_at: Timestamp::from_millis(wire.last_used_at_ms),
        addresses: wire.addresses.iter().map(sighting).collect::<Parsed<_>>()?,
    })
}

const fn sighting(wire: &SightingV1) -> Parsed<Sighting> {
    let address = match (wire.family, wire.address) {
        (4, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]) => {
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        (6, octets) => IpAddr::V6(Ipv6Addr::from_octets(octets)),
        _ => return Err("one of its addresses is not one"),
    };
    Ok(Sighting {
        address,
        at: Timestamp::from_millis(wire.at_ms),
    })
}

fn event(key: Key, wire: &EventV1<'_>) -> Parsed<Event> {
    Ok(Event {
        id: selector(key.id)?,
        at: Timestamp::from_millis(wire.at_ms),
        kind: EventKind::from_code(wire.kind).ok_or("its kind of event is not known")?,
        principal: wire.principal.map(principal).transpose()?,
        credential: wire.credential.as_ref().map(credential_name).transpose()?,
        subsystem: wire
            .subsystem
            .map(|code| Subsystem::from_code(code).ok_or("its subsystem is not known"))
            .transpose()?,
        successor: wire.successor.map(selector).transpose()?,
        reason: wire.reason.map(reason).transpose()?,
        attachment: None,
    })
}

fn series(wire: &SeriesV1<'_>) -> Parsed<SeriesRecord> {
    if wire.older.len() != older_digests(wire.generation) {
        return Err("its older digests are not as many as it was rotated");
    }
    Ok(SeriesRecord {
        principal: principal(wire.principal)?,
        label: Label::new(wire.label).map_err(|_| "its label is not one")?,
        created_at: Timestamp::from_millis(wire.created_at_ms),
        expires_at: Timestamp::from_millis(wire.expires_at_ms),
        stamp: EpochStamp {
            subsystem: wire.subsystem_epoch,
            principal: wire.principal_epoch,
        },
        generation: wire.generation,
        salt: wire.salt,
        current: keyed_digest(&wire.current)?,
        older: wire.older.iter().map(keyed_digest).collect::<Parsed<_>>()?,
        rotated_at: Timestamp::from_millis(wire.rotated_at_ms),
        successor_seen_at: wire.successor_seen_at_ms.map(Timestamp::from_millis),
        end: wire.end.as_ref().map(series_end).transpose()?,
    })
}

fn keyed_digest(wire: &KeyedDigestV1) -> Parsed<KeyedDigest> {
    Ok(KeyedDigest {
        key_id: KeyId::new(wire.key_id).ok_or("its pepper has no number")?,
        digest: Digest::from_bytes(wire.digest),
    })
}

fn series_end(wire: &SeriesEndV1<'_>) -> Parsed<SeriesEnd> {
    let cause = match (wire.cause, wire.reason) {
        (end_cause::REVOKED, text) => SeriesEndCause::Revoked(text.map(reason).transpose()?),
        (end_cause::EVICTED, None) => SeriesEndCause::Evicted,
        (end_cause::EXPIRED, None) => SeriesEndCause::Expired,
        (end_cause::REUSED, None) => SeriesEndCause::Reused,
        _ => return Err("its end has no cause that fits"),
    };
    Ok(SeriesEnd {
        at: Timestamp::from_millis(wire.at_ms),
        cause,
    })
}

fn credential_name(wire: &CredentialNameV1) -> Parsed<CredentialName> {
    Ok(CredentialName {
        kind: credential_kind(wire.kind)?,
        selector: selector(wire.selector)?,
    })
}

fn credential_kind(code: u8) -> Parsed<CredentialKind> {
    CredentialKind::from_code(code).ok_or("a kind of credential is not known")
}

fn principal(text: &str) -> Parsed<Principal> {
    Principal::new(text).map_err(|_| "its principal is not one")
}

fn reason(text: &str) -> Parsed<Reason> {
    Reason::new(text).map_err(|_| "its reason is not one")
}

fn selector(bytes: [u8; 16]) -> Parsed<Selector> {
    Selector::from_bytes(bytes).ok_or("a selector is not one")
}
