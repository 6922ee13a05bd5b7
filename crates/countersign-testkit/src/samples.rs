//! Records of every kind, numbered: each number makes another one, and the same one each time.

use crate::must::{must, must_be};
use core::net::IpAddr;
use core::time::Duration;
use countersign_core::image::{AttachmentId, AttachmentRecord};
use countersign_core::{
    CredentialKind, CredentialName, CredentialRef, Deployment, Digest, EndCause, Epoch, EpochStamp,
    Event, EventKind, Expiry, Grant, GrantEnd, Key, KeyId, KeyMaterial, KeyedDigest, Keyring,
    Label, OLDER_MAX, Principal, PrincipalRecord, PrincipalState, Reason, Record, Scope, ScopeSet,
    Selector, SeriesEnd, SeriesEndCause, SeriesRecord, ServerId, ShardTag, Sighting, Subsystem,
    SystemRecord, Timestamp, TokenName, Usage,
};
use std::sync::Arc;

/// The instant that everything here is near: 2026-11-22T10:00:00Z.
pub const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

/// The keys that a store for the suite is made with.
#[must_use]
pub fn keys() -> KeyMaterial {
    KeyMaterial::generate(NOW, [0x11; 32], [0x22; 32])
}

/// The keyring of [`keys`].
#[must_use]
pub fn keyring() -> Arc<Keyring> {
    Arc::new(Keyring::new(&keys()))
}

/// Selectors ascend with their numbers.
#[must_use]
pub fn selector(number: u64) -> Selector {
    let at = NOW.after(Duration::from_millis(number));
    Selector::mint(at, ShardTag::NONE, number.to_be_bytes())
}

/// A principal's name.
#[must_use]
pub fn name(number: u64) -> Principal {
    must(Principal::new(&format!("principal-{number}")))
}

/// A token's usage: the lightest record there is, and a number to count with.
#[must_use]
pub fn usage(number: u64) -> Record {
    Record::Usage(Usage {
        last_used_at: Timestamp::from_millis(number),
        addresses: Vec::new(),
    })
}

/// The number of a [`usage`].
#[must_use]
pub fn number_of(record: &Record) -> Option<u64> {
    match record {
        Record::Usage(usage) => Some(usage.last_used_at.as_millis()),
        _ => None,
    }
}

/// A token's grant.
#[must_use]
pub fn grant(number: u64) -> Record {
    let [.., low] = number.to_be_bytes();
    Record::Grant(Grant {
        principal: name(number),
        name: must(TokenName::new(&format!("token {number}"))),
        scopes: must(ScopeSet::new([must(Scope::new("repo:read"))])),
        key_id: KeyId::FIRST,
        digest: Digest::from_bytes([low; 32]),
        created_at: NOW,
        expiry: Expiry::Never,
        stamp: EpochStamp::default(),
        predecessor: None,
        end: None,
    })
}

/// An audit event with its key.
#[must_use]
pub fn event(number: u64) -> (Key, Record) {
    let id = selector(number);
    let event = Event::new(id, NOW, EventKind::Issued);
    (Key::event(id), Record::Event(event))
}

/// A principal with its key, which takes the keyring of [`keys`].
#[must_use]
pub fn principal(number: u64) -> (Key, Record) {
    let record = PrincipalRecord::new(name(number));
    let key = Key::principal(keyring().principal_key(&record.principal));
    (key, Record::Principal(record))
}

/// An attachment whose links were called back so often, with its key, which takes the keyring of
/// [`keys`].
#[must_use]
pub fn attachment(number: u64, called_back: u32) -> (Key, Record) {
    let attachment = must(AttachmentId::new(&format!("attachment-{number}")));
    let key = Key::attachment(keyring().attachment_key(&attachment));
    let epoch = Epoch::from_parts(called_back, NOW);
    (
        key,
        Record::Attachment(AttachmentRecord { attachment, epoch }),
    )
}

/// The system record.
#[must_use]
pub fn system() -> Record {
    Record::System(SystemRecord::new(Deployment {
        word: None,
        server_id: must(ServerId::new("server")),
        created_at: NOW,
    }))
}

/// Records of every kind with every field at its ends: what a codec could get wrong.
#[must_use]
pub fn every_kind() -> Vec<(Key, Record)> {
    let mut all = vec![
        (Key::SYSTEM, full_system()),
        (Key::POLICY, Record::Policy(String::new())),
        (
            Key::POLICY,
            Record::Policy("# \u{e4}\u{1f511}\n".repeat(99)),
        ),
        principal(1),
        full_principal(),
        (Key::grant(selector(1)), grant(1)),
        (Key::usage(selector(1)), Record::Usage(Usage::default())),
        (Key::usage(selector(2)), full_usage()),
        event(1),
    ];
    let ends = [
        (EndCause::Revoked(None), Timestamp::ZERO),
        (EndCause::Revoked(Some(reason())), Timestamp::MAX),
        (EndCause::Rotated(selector(9)), NOW),
        (EndCause::Evicted, NOW),
        (EndCause::Expired, NOW),
    ];
    for (number, (cause, at)) in (10u64..).zip(ends) {
        let end = GrantEnd { at, cause };
        all.push((Key::grant(selector(number)), full_grant(end)));
    }
    all.push((Key::series(selector(15)), series(15)));
    let causes = [
        SeriesEndCause::Revoked(None),
        SeriesEndCause::Revoked(Some(reason())),
        SeriesEndCause::Evicted,
        SeriesEndCause::Expired,
        SeriesEndCause::Reused,
    ];
    for (number, cause) in (100u64..).zip(causes) {
        all.push((Key::series(selector(number)), full_series(cause)));
    }
    for (number, kind) in (20u64..).zip(EventKind::ALL) {
        all.push(full_event(number, *kind));
    }
    all
}

/// A remembered device.
#[must_use]
pub fn series(number: u64) -> Record {
    let [.., low] = number.to_be_bytes();
    Record::Series(SeriesRecord {
        principal: name(number),
        label: must(Label::new(&format!("device {number}"))),
        created_at: NOW,
        expires_at: NOW.after(Duration::from_secs(14 * 86_400)),
        stamp: EpochStamp::default(),
        generation: 0,
        salt: [0; 16],
        current: KeyedDigest {
            key_id: KeyId::FIRST,
            digest: Digest::from_bytes([low; 32]),
        },
        older: Vec::new(),
        rotated_at: NOW,
        successor_seen_at: None,
        end: None,
    })
}

fn full_series(cause: SeriesEndCause) -> Record {
    let kept = KeyedDigest {
        key_id: must_be(KeyId::new(u16::MAX), "the last key id"),
        digest: Digest::from_bytes([0xff; 32]),
    };
    Record::Series(SeriesRecord {
        principal: must(Principal::new("\u{1f511}")),
        label: must(Label::new(&"\u{e9}".repeat(60))),
        created_at: Timestamp::MAX,
        expires_at: Timestamp::ZERO,
        stamp: EpochStamp {
            subsystem: u32::MAX,
            principal: u32::MAX,
        },
        generation: u32::MAX,
        salt: [0xff; 16],
        current: kept,
        older: vec![kept; OLDER_MAX],
        rotated_at: Timestamp::MAX,
        successor_seen_at: Some(Timestamp::MAX),
        end: Some(SeriesEnd { at: NOW, cause }),
    })
}

fn reason() -> Reason {
    must(Reason::new("left the company, \u{fc}berall gesperrt"))
}

fn full_system() -> Record {
    let mut record = SystemRecord::new(Deployment {
        word: Some("acme_2".to_owned()),
        server_id: must(ServerId::new("ABCD-EFGH-JKLM-NPQR")),
        created_at: Timestamp::MAX,
    });
    for (number, subsystem) in (1u32..).zip(Subsystem::ALL) {
        let switch = record.switch_mut(subsystem);
        switch.on = number.is_multiple_of(2);
        switch.epoch = Epoch::from_parts(u32::MAX, Timestamp::MAX);
    }
    Record::System(record)
}

fn full_principal() -> (Key, Record) {
    let name = must(Principal::new(&"\u{e9}".repeat(127)));
    let key = Key::principal(keyring().principal_key(&name));
    let kinds = CredentialKind::ALL.into_iter().cycle();
    let entries = (0..500u64).zip(kinds).map(|(number, kind)| CredentialRef {
        kind,
        selector: selector(number),
        ends_at: Timestamp::MAX,
    });
    let record = PrincipalRecord {
        principal: name,
        state: PrincipalState::Disabled,
        epoch: Epoch::from_parts(u32::MAX, NOW),
        logins: Epoch::from_parts(u32::MAX, Timestamp::MAX),
        credentials: entries.collect(),
    };
    (key, Record::Principal(record))
}

fn full_grant(end: GrantEnd) -> Record {
    let scopes = (0..64).map(|n| must(Scope::new(&format!("scope-{n}:write"))));
    let key_id = must_be(KeyId::new(u16::MAX), "the last key id");
    Record::Grant(Grant {
        principal: must(Principal::new("\u{1f511}")),
        name: must(TokenName::new(&"n".repeat(255))),
        scopes: must(ScopeSet::new(scopes)),
        key_id,
        digest: Digest::from_bytes([0xff; 32]),
        created_at: Timestamp::MAX,
        expiry: Expiry::At(Timestamp::ZERO),
        stamp: EpochStamp {
            subsystem: u32::MAX,
            principal: u32::MAX,
        },
        predecessor: Some(selector(8)),
        end: Some(end),
    })
}

fn full_usage() -> Record {
    let addresses = [
        IpAddr::from([255, 255, 255, 255]),
        IpAddr::from([0xffff; 8]),
        IpAddr::from([0; 8]),
    ];
    let seen = addresses.map(|address| Sighting { address, at: NOW });
    Record::Usage(Usage {
        last_used_at: Timestamp::MAX,
        addresses: seen.to_vec(),
    })
}

fn full_event(number: u64, kind: EventKind) -> (Key, Record) {
    let (key, _) = event(number);
    let mut event = Event::new(selector(number), NOW, kind);
    event.principal = Some(name(number));
    event.credential = Some(CredentialName {
        kind: CredentialKind::Access,
        selector: selector(1),
    });
    event.subsystem = Some(Subsystem::Sessions);
    event.successor = Some(selector(2));
    event.reason = Some(reason());
    (key, Record::Event(event))
}
