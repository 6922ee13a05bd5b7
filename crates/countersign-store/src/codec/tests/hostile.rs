//! Payloads that carry a tag that fits and are nonsense all the same: nothing panics, nothing asks
//! for memory that it does not itself take up, and whatever is accepted has one encoding.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "tests cut random numbers to size"
)]

use super::samples::{Dice, NEWEST, keyring_of, samples, sealer};
use super::{damage, seal};
use crate::codec::{ENVELOPE_BYTES, HEAD_BYTES, PAYLOAD_BYTES_MAX, encode};
use countersign_core::{Key, Record};

/// Seals bytes that no encoder wrote.
fn forge(key: Key, envelope: u8, kind: u8, format: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![envelope, kind, format, 0, 0, 0, 0, 0, 0, 0, 1];
    bytes.extend_from_slice(payload);
    let place = [&[key.table.code()][..], &key.id].concat();
    let tag = keyring_of([1; 32]).record_tag(&[&place, &bytes]);
    [&bytes[..], &tag].concat()
}

/// The kind's code, the format and the payload of a sealed record.
fn parts(key: Key, record: &Record) -> (u8, u8, Vec<u8>) {
    let bytes = seal(key, record, 1);
    (
        bytes[1],
        bytes[2],
        bytes[HEAD_BYTES..bytes.len() - (ENVELOPE_BYTES - HEAD_BYTES)].to_vec(),
    )
}

#[test]
fn other_envelopes_kinds_and_formats_are_refused() {
    for (_, key, record) in samples() {
        let (kind, format, payload) = parts(key, &record);
        assert_eq!(
            damage(key, &forge(key, 2, kind, format, &payload)),
            "its format is not known"
        );
        for other in [0, 3, if matches!(kind, 3 | 6) { 4 } else { 2 }] {
            assert_eq!(
                damage(key, &forge(key, 1, kind, other, &payload)),
                "its format is not known"
            );
        }
        assert_eq!(
            damage(key, &forge(key, 1, 0, 1, &payload)),
            "its kind is not known"
        );
        assert_eq!(
            damage(key, &forge(key, 1, 9, 1, &payload)),
            "its kind is not known"
        );
        for other in (1..=8).filter(|other| *other != kind) {
            let forged = forge(key, 1, other, 1, &payload);
            assert_eq!(damage(key, &forged), "it does not belong in this table");
        }
    }
}

#[test]
fn payloads_that_are_cut_or_go_on_are_refused() {
    for (name, key, record) in samples() {
        let (kind, format, payload) = parts(key, &record);
        for keep in 0..payload.len() {
            damage(key, &forge(key, 1, kind, format, &payload[..keep]));
        }
        let longer = [&payload[..], &[0]].concat();
        let detail = damage(key, &forge(key, 1, kind, format, &longer));
        assert_eq!(detail, "bytes follow its payload", "{name}");
    }
}

#[test]
fn what_has_two_formats_reads_in_its_own_alone() {
    for (name, own) in [
        ("event", 1),
        ("event-attachment", 2),
        ("principal", 1),
        ("principal-logins", 2),
    ] {
        let (_, key, record) = samples().into_iter().find(|(it, ..)| *it == name).unwrap();
        let (kind, format, payload) = parts(key, &record);
        assert_eq!(format, own);
        damage(key, &forge(key, 1, kind, 3 - format, &payload));
    }
}

#[test]
fn a_principal_whose_log_ins_have_no_epoch_of_their_own_has_one_encoding() {
    let samples = samples();
    let (_, key, record) = samples.iter().find(|(it, ..)| *it == "principal").unwrap();
    let (kind, _, mut payload) = parts(*key, record);
    let Record::Principal(principal) = record else {
        panic!("no principal")
    };
    let epoch = principal.epoch;
    payload.extend_from_slice(&epoch.number().to_le_bytes());
    payload.extend_from_slice(&epoch.since().as_millis().to_le_bytes());
    let detail = damage(*key, &forge(*key, 1, kind, 2, &payload));
    assert!(detail.contains("log-ins"), "{detail}");
}

#[test]
fn a_length_that_lies_is_refused() {
    for (_, key, record) in samples() {
        let (kind, format, payload) = parts(key, &record);
        for length in [
            u64::MAX,
            1 << 62,
            1 << 32,
            PAYLOAD_BYTES_MAX as u64 + 1,
            60_000,
        ] {
            for at in 0..payload.len().saturating_sub(8) {
                let mut lying = payload.clone();
                lying[at..at + 8].copy_from_slice(&length.to_le_bytes());
                // Most such places hold a number that may be anything; what counts is the end.
                let _ = sealer().open(key, &forge(key, 1, kind, format, &lying), NEWEST);
            }
        }
    }
    let giant = vec![0; PAYLOAD_BYTES_MAX + 1];
    let detail = damage(Key::POLICY, &forge(Key::POLICY, 1, 2, 1, &giant));
    assert_eq!(detail, "it has more bytes than a record may have");
}

#[test]
fn what_is_accepted_has_one_encoding() {
    let mut dice = Dice::new(7);
    let samples = samples();
    let mut accepted = 0;
    for _ in 0..60_000 {
        let (_, key, record) = &samples[dice.below(samples.len())];
        let (kind, format, mut payload) = parts(*key, record);
        for _ in 0..=dice.below(3) {
            let at = dice.below(payload.len());
            payload[at] = dice.next() as u8;
        }
        let forged = forge(*key, 1, kind, format, &payload);
        if let Ok(opened) = sealer().open(*key, &forged, NEWEST) {
            let mut again = Vec::new();
            let (_, format_again) = encode::payload(&opened.record, &mut again).unwrap();
            assert_eq!((format_again, again), (format, payload));
            accepted += 1;
        }
    }
    assert!(
        accepted > 1000,
        "only {accepted} were accepted, so little was tried"
    );
}

#[test]
fn a_series_has_as_many_older_digests_as_it_was_rotated() {
    let samples = samples();
    let (_, key, record) = samples.iter().find(|(name, ..)| *name == "series").unwrap();
    let Record::Series(series) = record else {
        panic!("no series")
    };
    let (kind, format, payload) = parts(*key, record);
    // Behind the principal, the label, two instants and two epochs.
    let at = 8 + series.principal.as_str().len() + 8 + series.label.as_str().len() + 16 + 8;
    assert_eq!(payload[at..at + 4], series.generation.to_le_bytes());
    for generation in [0, 1, 2, 4, u32::MAX] {
        let mut lying = payload.clone();
        lying[at..at + 4].copy_from_slice(&generation.to_le_bytes());
        let detail = damage(*key, &forge(*key, 1, kind, format, &lying));
        assert!(detail.contains("older digests"), "{generation}: {detail}");

        let mut unfit = series.clone();
        unfit.generation = generation;
        assert!(sealer().draft(*key, &Record::Series(unfit)).is_err());
    }
}

#[test]
fn an_end_has_a_reason_only_where_somebody_can_give_one() {
    let samples = samples();
    let named = |wanted| samples.iter().find(|(name, ..)| *name == wanted).unwrap();
    let (_, key, record) = named("series-revoked");
    let (kind, format, payload) = parts(*key, record);
    // Before the reason, its length and the byte that says that there is one.
    let at = payload.len() - "lost laptop".len() - 8 - 1 - 1;
    assert_eq!(payload[at], 1);
    for cause in [0, 2, 3, 4, 5, 6, 255] {
        let mut lying = payload.clone();
        lying[at] = cause;
        let detail = damage(*key, &forge(*key, 1, kind, format, &lying));
        assert_eq!(detail, "its end has no cause that fits", "{cause}");
    }
}

#[test]
fn noise_is_refused() {
    let mut dice = Dice::new(3);
    let samples = samples();
    for _ in 0..20_000 {
        let (_, key, record) = &samples[dice.below(samples.len())];
        let len = dice.below(200);
        let noise = dice.bytes(len);
        let (kind, format, _) = parts(*key, record);
        let _ = sealer().open(*key, &forge(*key, 1, kind, format, &noise), NEWEST);
        let _ = sealer().open(*key, &noise, NEWEST);
    }
}
