//! The bytes of records, pinned: files that were written once are read for ever.

use super::samples::samples;
use super::seal;
use crate::codec::{ENVELOPE_BYTES, HEAD_BYTES};
use countersign_core::{
    EndCause, Event, Expiry, Grant, KeyedDigest, PrincipalRecord, Record, Scope, SeriesEndCause,
    SeriesRecord, Usage,
};

macro_rules! golden {
    ($($name:literal),* $(,)?) => {
        &[$((
            $name,
            include_str!(concat!("../../../../../tests/fixtures/records/", $name, ".hex")),
        )),*]
    };
}

const GOLDEN: &[(&str, &str)] = golden![
    "system",
    "system-bare",
    "policy",
    "principal",
    "principal-bare",
    "principal-logins",
    "grant",
    "grant-revoked",
    "grant-revoked-bare",
    "grant-rotated",
    "grant-evicted",
    "grant-expired",
    "usage",
    "usage-bare",
    "event",
    "event-bare",
    "event-attachment",
    "attachment",
    "series",
    "series-bare",
    "series-revoked",
    "series-evicted",
    "series-expired",
    "series-reused",
];

const VERSION: u64 = 0x0102_0304;

/// Lines of 32 bytes.
fn hex(bytes: &[u8]) -> String {
    let line = |chunk: &[u8]| chunk.iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n";
    bytes.chunks(32).map(line).collect()
}

/// Run with `COUNTERSIGN_WRITE_GOLDEN=1`, it writes the files anew: only for records that are new,
/// or for a new format beside the old one.
#[test]
fn records_have_the_bytes_that_they_always_had() {
    let samples = samples();
    assert_eq!(samples.len(), GOLDEN.len());
    let anew = std::env::var_os("COUNTERSIGN_WRITE_GOLDEN").is_some();
    for ((name, key, record), (file, golden)) in samples.iter().zip(GOLDEN) {
        assert_eq!(name, file);
        let bytes = hex(&seal(*key, record, VERSION));
        if anew {
            let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/records");
            std::fs::write(format!("{dir}/{name}.hex"), bytes).unwrap();
        } else {
            assert_eq!(bytes, *golden, "{name}");
        }
    }
}

/// The payload of a record as another encoder of the same format makes it.
///
/// Tuples have the layout of structs, so nothing of the codec's own types is used.
fn by_another_encoder(record: &Record) -> Vec<u8> {
    match record {
        Record::System(system) => {
            let switch = |i: usize| {
                let switch = system.switches[i];
                (
                    u8::from(switch.on),
                    (switch.epoch.number(), switch.epoch.since().as_millis()),
                )
            };
            let deployment = &system.deployment;
            wincode::serialize(&(
                deployment.word.clone(),
                deployment.server_id.as_str().to_owned(),
                deployment.created_at.as_millis(),
                (switch(0), switch(1), switch(2), switch(3)),
            ))
        }
        Record::Policy(text) => wincode::serialize(&(text.clone(),)),
        Record::Principal(principal) if principal.logins == principal.epoch => {
            wincode::serialize(&principal_tuple(principal))
        }
        Record::Principal(principal) => {
            let logins = principal.logins;
            let logins = (logins.number(), logins.since().as_millis());
            wincode::serialize(&(principal_tuple(principal), logins))
        }
        Record::Grant(grant) => return grant_bytes(grant),
        Record::Usage(usage) => wincode::serialize(&usage_tuple(usage)),
        Record::Event(event) => return event_bytes(event),
        Record::Series(series) => return series_bytes(series),
        Record::Attachment(opened) => wincode::serialize(&(
            opened.attachment.as_str().to_owned(),
            (opened.epoch.number(), opened.epoch.since().as_millis()),
        )),
        _ => panic!("a record without a second opinion"),
    }
    .unwrap()
}

type Credential = (u8, [u8; 16], u64);

fn principal_tuple(record: &PrincipalRecord) -> (String, u8, (u32, u64), Vec<Credential>) {
    let enabled = record.state == countersign_core::PrincipalState::Enabled;
    let credentials = record.credentials.iter();
    (
        record.principal.as_str().to_owned(),
        u8::from(enabled),
        (record.epoch.number(), record.epoch.since().as_millis()),
        credentials
            .map(|c| (c.kind.code(), c.selector.to_bytes(), c.ends_at.as_millis()))
            .collect(),
    )
}

fn grant_bytes(grant: &Grant) -> Vec<u8> {
    let expires_at = match grant.expiry {
        Expiry::At(at) => Some(at.as_millis()),
        Expiry::Never => None,
    };
    let end = grant.end.as_ref().map(|end| {
        let (cause, reason, successor) = match &end.cause {
            EndCause::Revoked(reason) => (1u8, reason.as_ref().map(ToString::to_string), None),
            EndCause::Rotated(successor) => (2, None, Some(successor.to_bytes())),
            EndCause::Evicted => (3, None, None),
            EndCause::Expired => (4, None, None),
            _ => panic!("a cause without a second opinion"),
        };
        (end.at.as_millis(), cause, reason, successor)
    });
    let scopes: Vec<String> = grant.scopes.iter().map(Scope::to_string).collect();
    let head = (
        grant.principal.as_str().to_owned(),
        grant.name.as_str().to_owned(),
        scopes,
        grant.key_id.number(),
        *grant.digest.expose(),
        grant.created_at.as_millis(),
    );
    let tail = (
        expires_at,
        grant.stamp.subsystem,
        grant.stamp.principal,
        grant.predecessor.map(countersign_core::Selector::to_bytes),
        end,
    );
    [
        wincode::serialize(&head).unwrap(),
        wincode::serialize(&tail).unwrap(),
    ]
    .concat()
}

fn usage_tuple(usage: &Usage) -> (u64, Vec<(u8, [u8; 16], u64)>) {
    let address = |address: core::net::IpAddr| match address {
        core::net::IpAddr::V4(v4) => {
            let mut bytes = [0; 16];
            bytes[12..].copy_from_slice(&v4.octets());
            (4u8, bytes)
        }
        core::net::IpAddr::V6(v6) => (6, v6.octets()),
    };
    let seen = usage.addresses.iter().map(|seen| {
        let (family, bytes) = address(seen.address);
        (family, bytes, seen.at.as_millis())
    });
    (usage.last_used_at.as_millis(), seen.collect())
}

fn event_bytes(event: &Event) -> Vec<u8> {
    let credential = event
        .credential
        .map(|name| (name.kind.code(), name.selector.to_bytes()));
    let mut bytes = wincode::serialize(&(
        event.at.as_millis(),
        event.kind.code(),
        event.principal.as_ref().map(ToString::to_string),
        credential,
        event.subsystem.map(countersign_core::Subsystem::code),
        event.successor.map(countersign_core::Selector::to_bytes),
        event.reason.as_ref().map(ToString::to_string),
    ))
    .unwrap();
    if let Some(attachment) = &event.attachment {
        let attachment = attachment.as_str().to_owned();
        bytes.extend(wincode::serialize(&(attachment,)).unwrap());
    }
    bytes
}

fn series_bytes(series: &SeriesRecord) -> Vec<u8> {
    let digest = |kept: &KeyedDigest| (kept.key_id.number(), *kept.digest.expose());
    let end = series.end.as_ref().map(|end| {
        let (cause, reason) = match &end.cause {
            SeriesEndCause::Revoked(reason) => (1u8, reason.as_ref().map(ToString::to_string)),
            SeriesEndCause::Evicted => (3, None),
            SeriesEndCause::Expired => (4, None),
            SeriesEndCause::Reused => (5, None),
            _ => panic!("a cause without a second opinion"),
        };
        (end.at.as_millis(), cause, reason)
    });
    let head = (
        series.principal.as_str().to_owned(),
        series.label.as_str().to_owned(),
        series.created_at.as_millis(),
        series.expires_at.as_millis(),
        series.stamp.subsystem,
        series.stamp.principal,
        series.generation,
    );
    let seen_at = series.successor_seen_at;
    let tail = (
        series.salt,
        digest(&series.current),
        series.older.iter().map(digest).collect::<Vec<_>>(),
        series.rotated_at.as_millis(),
        seen_at.map(countersign_core::Timestamp::as_millis),
        end,
    );
    [
        wincode::serialize(&head).unwrap(),
        wincode::serialize(&tail).unwrap(),
    ]
    .concat()
}

#[test]
fn another_encoder_makes_the_same_bytes() {
    for (name, key, record) in samples() {
        let sealed = seal(key, &record, VERSION);
        let payload = &sealed[HEAD_BYTES..sealed.len() - (ENVELOPE_BYTES - HEAD_BYTES)];
        assert_eq!(by_another_encoder(&record), payload, "{name}");
    }
}
