//! Hazard: bytes in a store that are taken for a record that nobody wrote, a second byte string
//! for one record, or a record that does not come back as it was (I8).
//!
//! No tag fits by chance, so an input is sealed first: as the bytes of an envelope, or as a record
//! that is made of it, and what is left of it changes the sealed bytes.
#![no_main]

use core::net::IpAddr;
use core::time::Duration;
use std::sync::LazyLock;

use countersign_core::image::{AttachmentId, AttachmentRecord};
use countersign_core::{
    CredentialKind, CredentialName, CredentialRef, Deployment, Digest, EndCause, Epoch, EpochStamp,
    Event, EventKind, Expiry, Grant, GrantEnd, Key, KeyId, KeyedDigest, Label, OLDER_MAX,
    Principal, PrincipalRecord, PrincipalState, Reason, Record, Scope, ScopeSet, Selector,
    SeriesEnd, SeriesEndCause, SeriesRecord, ServerId, Sighting, Subsystem, Switch, SystemRecord,
    Table, Timestamp, TokenName, Usage, Version, Versioned,
};
use countersign_fuzz::Choices;
use countersign_store::Revision;
use countersign_store::codec::{PAYLOAD_BYTES_MAX, Sealer};
use countersign_testkit::samples;
use libfuzzer_sys::fuzz_target;

static SEALER: LazyLock<Sealer> = LazyLock::new(|| Sealer::new(samples::keyring()));
static KEYRING: LazyLock<std::sync::Arc<countersign_core::Keyring>> =
    LazyLock::new(samples::keyring);

const NEWEST: Revision = Revision(u64::MAX);

fuzz_target!(|input: &[u8]| {
    let mut choices = Choices::new(input);
    if choices.flag() {
        let (key, record) = record(&mut choices);
        kept(key, &record, choices);
    } else {
        let key = key(&mut choices);
        envelope(key, choices.rest());
    }
});

/// Where something is filed, by two bytes.
fn key(choices: &mut Choices<'_>) -> Key {
    let table = Table::ALL[choices.below(Table::ALL.len())];
    let number = choices.byte();
    match table {
        Table::System if number.is_multiple_of(2) => Key::SYSTEM,
        Table::System => Key::POLICY,
        _ => Key {
            table,
            id: samples::selector(number.into()).to_bytes(),
        },
    }
}

/// What is above the tag, under the tag that belongs to it.
fn sealed(key: Key, above: &[u8]) -> Vec<u8> {
    let place = [&[key.table.code()][..], &key.id].concat();
    let tag = KEYRING.record_tag(&[&place, above]);
    [above, &tag].concat()
}

/// Bytes that nobody wrote, under the right tag: a record in its one spelling, or refused.
fn envelope(key: Key, above: &[u8]) {
    assert!(SEALER.open(key, above, NEWEST).is_err(), "a tag by chance");
    let bytes = sealed(key, above);
    let Ok(opened) = SEALER.open(key, &bytes, NEWEST) else {
        return;
    };
    assert_eq!(SEALER.version(key, &bytes, NEWEST), Ok(opened.version));
    // A principal and an attachment lie where the hash of their names says, for those who write.
    let own = match &opened.record {
        Record::Principal(record) => Key::principal(KEYRING.principal_key(&record.principal)),
        Record::Attachment(record) => Key::attachment(KEYRING.attachment_key(&record.attachment)),
        _ => key,
    };
    let bytes = sealed(own, above);
    let again = SEALER.open(own, &bytes, NEWEST);
    assert_eq!(again.as_ref(), Ok(&opened));
    let mut draft = SEALER
        .draft(own, &opened.record)
        .expect("what was read can be written");
    let written = SEALER.seal(&mut draft, opened.version);
    assert_eq!(written, bytes, "a second byte string for one record");
}

/// A record that can be written comes back as it was, and in no other place and after no change.
fn kept(key: Key, record: &Record, mut choices: Choices<'_>) {
    let version = Version::new(choices.number());
    let Ok(mut draft) = SEALER.draft(key, record) else {
        return;
    };
    let bytes = SEALER.seal(&mut draft, version).to_vec();
    assert_eq!(bytes.len(), draft.len());
    let back = SEALER.open(key, &bytes, Revision(version.number()));
    let written = Versioned {
        version,
        record: record.clone(),
    };
    assert_eq!(back.as_ref(), Ok(&written));
    if let Some(before) = version.number().checked_sub(1) {
        assert!(
            SEALER.open(key, &bytes, Revision(before)).is_err(),
            "of the future"
        );
    }
    let [first, id @ ..] = key.id;
    let mut other = key;
    other.id[0] = first.wrapping_add(1 + id[0] % 2);
    assert!(
        SEALER.open(other, &bytes, NEWEST).is_err(),
        "in another place"
    );
    let changed = choices.changed(&bytes);
    if changed != bytes {
        assert!(
            SEALER.open(key, &changed, NEWEST).is_err(),
            "a change that was not noticed"
        );
    }
}

fn record(choices: &mut Choices<'_>) -> (Key, Record) {
    match choices.below(8) {
        0 => (Key::SYSTEM, system(choices)),
        1 => {
            let text = choices.text();
            let times = match choices.flag() {
                true => PAYLOAD_BYTES_MAX / text.len().max(1),
                false => 1,
            };
            (Key::POLICY, Record::Policy(text.repeat(times)))
        }
        2 => {
            let record = principal_record(choices);
            let key = Key::principal(KEYRING.principal_key(&record.principal));
            (key, Record::Principal(record))
        }
        3 => (Key::grant(selector(choices)), Record::Grant(grant(choices))),
        4 => (Key::usage(selector(choices)), Record::Usage(usage(choices))),
        5 => {
            let event = event(choices);
            (Key::event(event.id), Record::Event(event))
        }
        6 => (
            Key::series(selector(choices)),
            Record::Series(series(choices)),
        ),
        _ => {
            let attachment = attachment(choices);
            let key = Key::attachment(KEYRING.attachment_key(&attachment));
            let epoch = epoch(choices);
            (
                key,
                Record::Attachment(AttachmentRecord { attachment, epoch }),
            )
        }
    }
}

fn system(choices: &mut Choices<'_>) -> Record {
    let word = choices.maybe(|choices| choices.text().to_owned());
    let server_id = ServerId::new(choices.text());
    let mut record = SystemRecord::new(Deployment {
        word,
        server_id: server_id.unwrap_or_else(|_| ServerId::new("tracker").expect("a server id")),
        created_at: instant(choices),
    });
    for subsystem in Subsystem::ALL {
        *record.switch_mut(subsystem) = Switch {
            on: choices.flag(),
            epoch: epoch(choices),
        };
    }
    Record::System(record)
}

fn principal_record(choices: &mut Choices<'_>) -> PrincipalRecord {
    let principal = principal(choices);
    let first = epoch(choices);
    PrincipalRecord {
        principal,
        state: match choices.flag() {
            true => PrincipalState::Enabled,
            false => PrincipalState::Disabled,
        },
        epoch: first,
        logins: choices.maybe(epoch).unwrap_or(first),
        credentials: (0..choices.below(9)).map(|_| credential(choices)).collect(),
    }
}

fn credential(choices: &mut Choices<'_>) -> CredentialRef {
    CredentialRef {
        kind: kind(choices),
        selector: selector(choices),
        ends_at: instant(choices),
    }
}

fn grant(choices: &mut Choices<'_>) -> Grant {
    let name = TokenName::new(choices.text());
    let scopes = (0..choices.below(5)).filter_map(|_| Scope::new(choices.text()).ok());
    let scopes = ScopeSet::new(scopes.collect::<Vec<_>>()).expect("a few");
    Grant {
        principal: principal(choices),
        name: name.unwrap_or_else(|_| TokenName::new("ci").expect("a name")),
        scopes,
        key_id: key_id(choices),
        digest: digest(choices),
        created_at: instant(choices),
        expiry: choices.maybe(instant).map_or(Expiry::Never, Expiry::At),
        stamp: stamp(choices),
        predecessor: choices.maybe(selector),
        end: choices.maybe(|choices| GrantEnd {
            at: instant(choices),
            cause: match choices.below(4) {
                0 => EndCause::Revoked(reason(choices)),
                1 => EndCause::Rotated(selector(choices)),
                2 => EndCause::Evicted,
                _ => EndCause::Expired,
            },
        }),
    }
}

/// Also with more addresses than a record may have.
fn usage(choices: &mut Choices<'_>) -> Usage {
    let sighting = |choices: &mut Choices<'_>| Sighting {
        address: match choices.flag() {
            true => IpAddr::from(choices.bytes::<4>()),
            false => IpAddr::from(choices.bytes::<16>()),
        },
        at: instant(choices),
    };
    Usage {
        last_used_at: instant(choices),
        addresses: (0..choices.below(8)).map(|_| sighting(choices)).collect(),
    }
}

fn event(choices: &mut Choices<'_>) -> Event {
    let kind = EventKind::ALL[choices.below(EventKind::ALL.len())];
    let mut event = Event::new(selector(choices), instant(choices), kind);
    event.principal = choices.maybe(principal);
    event.credential = choices.maybe(|choices| CredentialName {
        kind: self::kind(choices),
        selector: selector(choices),
    });
    event.subsystem = choices.maybe(|choices| Subsystem::ALL[choices.below(4)]);
    event.successor = choices.maybe(selector);
    event.reason = reason(choices);
    event.attachment = choices.maybe(attachment);
    event
}

/// Also with another number of older digests than it may have.
fn series(choices: &mut Choices<'_>) -> SeriesRecord {
    let label = Label::new(choices.text());
    let generation = number(choices);
    let older = match choices.flag() {
        true => choices.below(OLDER_MAX + 2),
        false => OLDER_MAX.min(generation as usize),
    };
    SeriesRecord {
        principal: principal(choices),
        label: label.unwrap_or_else(|_| Label::new("a browser").expect("a label")),
        created_at: instant(choices),
        expires_at: instant(choices),
        stamp: stamp(choices),
        generation,
        salt: choices.bytes(),
        current: keyed_digest(choices),
        older: (0..older).map(|_| keyed_digest(choices)).collect(),
        rotated_at: instant(choices),
        successor_seen_at: choices.maybe(instant),
        end: choices.maybe(|choices| SeriesEnd {
            at: instant(choices),
            cause: match choices.below(4) {
                0 => SeriesEndCause::Revoked(reason(choices)),
                1 => SeriesEndCause::Evicted,
                2 => SeriesEndCause::Expired,
                _ => SeriesEndCause::Reused,
            },
        }),
    }
}

/// Around the instant that samples are near, and at both ends of time.
fn instant(choices: &mut Choices<'_>) -> Timestamp {
    match choices.number() {
        u64::MAX => Timestamp::MAX,
        0 => Timestamp::ZERO,
        small @ 1..=0xff => samples::NOW.after(Duration::from_millis(small)),
        any => Timestamp::from_millis(any),
    }
}

fn number(choices: &mut Choices<'_>) -> u32 {
    u32::try_from(choices.number()).unwrap_or(u32::MAX)
}

fn selector(choices: &mut Choices<'_>) -> Selector {
    samples::selector(choices.number())
}

fn epoch(choices: &mut Choices<'_>) -> Epoch {
    Epoch::from_parts(number(choices), instant(choices))
}

fn stamp(choices: &mut Choices<'_>) -> EpochStamp {
    EpochStamp {
        subsystem: number(choices),
        principal: number(choices),
    }
}

fn principal(choices: &mut Choices<'_>) -> Principal {
    Principal::new(choices.text()).unwrap_or_else(|_| samples::name(1))
}

fn attachment(choices: &mut Choices<'_>) -> AttachmentId {
    let id = AttachmentId::new(choices.text());
    id.unwrap_or_else(|_| AttachmentId::new("10001").expect("an attachment"))
}

fn reason(choices: &mut Choices<'_>) -> Option<Reason> {
    choices.maybe(|choices| Reason::new(choices.text()).ok())?
}

fn kind(choices: &mut Choices<'_>) -> CredentialKind {
    CredentialKind::ALL[choices.below(CredentialKind::ALL.len())]
}

fn key_id(choices: &mut Choices<'_>) -> KeyId {
    let id = u16::try_from(choices.number()).unwrap_or(u16::MAX);
    KeyId::new(id).unwrap_or(KeyId::FIRST)
}

fn digest(choices: &mut Choices<'_>) -> Digest {
    Digest::from_bytes([choices.byte(); 32])
}

fn keyed_digest(choices: &mut Choices<'_>) -> KeyedDigest {
    KeyedDigest {
        key_id: key_id(choices),
        digest: digest(choices),
    }
}
