//! What a store keeps is believed only after every check, and its bytes never change their meaning.

mod golden;
mod hostile;
mod samples;

pub(crate) use self::samples::Dice;
use self::samples::{NEWEST, samples, sealer};
use super::*;
use countersign_core::{ADDRESSES_MAX, Selector};

fn seal(key: Key, record: &Record, version: u64) -> Vec<u8> {
    let sealer = sealer();
    let mut draft = sealer.draft(key, record).unwrap();
    let bytes = sealer.seal(&mut draft, Version::new(version)).to_vec();
    assert_eq!(bytes.len(), draft.len());
    assert!(!draft.is_empty());
    assert_eq!(bytes.len(), encoded_len(record).unwrap());
    bytes
}

fn damage(key: Key, bytes: &[u8]) -> &'static str {
    match sealer().open(key, bytes, NEWEST) {
        Err(StoreError::Damaged { key: named, detail }) if named == key => detail,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_sealed_opens_as_it_was() {
    let sealer = sealer();
    for (name, key, record) in samples() {
        let bytes = seal(key, &record, 42);
        let opened = sealer.open(key, &bytes, NEWEST).unwrap();
        assert_eq!(
            opened,
            Versioned {
                version: Version::new(42),
                record
            },
            "{name}"
        );
        assert_eq!(sealer.version(key, &bytes, NEWEST), Ok(Version::new(42)));
    }
}

#[test]
fn whatever_the_core_can_hold_opens_as_it_was() {
    let mut dice = Dice::new(1);
    for round in 0..2000 {
        let (key, record) = dice.record();
        let bytes = seal(key, &record, round);
        let opened = sealer().open(key, &bytes, NEWEST).unwrap();
        assert_eq!((opened.version.number(), opened.record), (round, record));
    }
}

#[test]
fn a_draft_can_be_sealed_again_under_another_version() {
    let sealer = sealer();
    let (_, key, record) = samples().remove(0);
    let mut draft = sealer.draft(key, &record).unwrap();
    let first = sealer.seal(&mut draft, Version::new(1)).to_vec();
    let second = sealer.seal(&mut draft, Version::new(2)).to_vec();
    assert_ne!(first, second);
    assert_eq!(sealer.seal(&mut draft, Version::new(1)), first);
    assert_eq!(sealer.version(key, &second, NEWEST), Ok(Version::new(2)));
}

#[test]
fn every_flipped_bit_is_noticed() {
    for (name, key, record) in samples() {
        let bytes = seal(key, &record, 42);
        for at in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            assert_eq!(
                damage(key, &flipped),
                "its tag does not fit",
                "{name}, bit {at}"
            );
        }
    }
}

#[test]
fn every_cut_and_every_addition_is_noticed() {
    for (_, key, record) in samples() {
        let bytes = seal(key, &record, 42);
        for keep in 0..bytes.len() {
            damage(key, &bytes[..keep]);
        }
        damage(key, &[&bytes[..], &[0]].concat());
    }
}

#[test]
fn a_record_is_believed_only_in_its_own_place() {
    let samples = samples();
    for (_, key, record) in &samples {
        let bytes = seal(*key, record, 42);
        for (_, other, _) in samples.iter().filter(|(_, other, _)| other != key) {
            assert_eq!(damage(*other, &bytes), "its tag does not fit");
        }
        // Not even the same id of another table.
        for table in Table::ALL.into_iter().filter(|table| *table != key.table) {
            damage(Key { table, id: key.id }, &bytes);
        }
    }
}

#[test]
fn a_record_of_another_key_is_not_believed() {
    let other = samples::sealer_of([9; 32]);
    let (_, key, record) = samples().remove(0);
    let bytes = seal(key, &record, 42);
    assert!(other.open(key, &bytes, NEWEST).is_err());
}

#[test]
fn a_sealer_is_shown_without_its_keys() {
    let shown = format!("{:?}", sealer());
    assert!(shown.starts_with("Sealer(Keyring {"), "{shown}");
    assert_eq!(shown, format!("{:?}", samples::sealer_of([9; 32])));
}

#[test]
fn a_record_from_the_future_is_not_believed() {
    let (_, key, record) = samples().remove(0);
    let bytes = seal(key, &record, 42);
    assert!(sealer().open(key, &bytes, Revision(42)).is_ok());
    let error = sealer().open(key, &bytes, Revision(41)).unwrap_err();
    assert_eq!(
        error,
        StoreError::Damaged {
            key,
            detail: "it is newer than the store"
        }
    );
}

#[test]
fn what_is_too_large_or_misfiled_is_not_drafted() {
    let refused = |key, record: &Record| match sealer().draft(key, record) {
        Err(StoreError::Invalid(why)) => why,
        other => panic!("{other:?}"),
    };
    let policy = |bytes| Record::Policy("x".repeat(bytes));
    // A payload of a policy is the text and its length.
    let largest = policy(PAYLOAD_BYTES_MAX - 8);
    let sealed = seal(Key::POLICY, &largest, 1);
    let opened = sealer().open(Key::POLICY, &sealed, NEWEST);
    assert_eq!(opened.map(|opened| opened.record), Ok(largest));
    assert!(refused(Key::POLICY, &policy(PAYLOAD_BYTES_MAX - 7)).contains("more bytes"));
    assert!(refused(Key::SYSTEM, &policy(1)).contains("does not belong"));
    for (named, table) in [
        ("principal", Table::Principals),
        ("attachment", Table::Attachments),
    ] {
        let (_, _, record) = samples()
            .into_iter()
            .find(|(name, ..)| *name == named)
            .unwrap();
        let elsewhere = Key { table, id: [0; 16] };
        assert!(refused(elsewhere, &record).contains("another one's key"));
    }
    let (_, _, event) = samples()
        .into_iter()
        .find(|(name, ..)| *name == "event")
        .unwrap();
    for (named, why) in [("system", "prefix word"), ("usage", "too many addresses")] {
        let (_, key, mut record) = samples()
            .into_iter()
            .find(|(name, ..)| *name == named)
            .unwrap();
        match &mut record {
            Record::System(system) => system.deployment.word = Some("A".to_owned()),
            Record::Usage(usage) => usage.addresses = vec![usage.addresses[0]; ADDRESSES_MAX + 1],
            other => panic!("{other:?}"),
        }
        assert!(
            refused(key, &record).contains(why),
            "it could not be read back"
        );
    }
    let other = Selector::from_bytes([0x77, 0, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]);
    assert!(refused(Key::event(other.unwrap()), &event).contains("does not belong"));
}
