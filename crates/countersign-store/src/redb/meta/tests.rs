//! What a store says about itself is believed only whole and under the right keys.

use super::*;
use countersign_core::{KeyMaterial, Timestamp};

const ID: [u8; 16] = [7; 16];

fn material() -> KeyMaterial {
    KeyMaterial::generate(Timestamp::ZERO, [1; 32], [2; 32])
}

fn keyring() -> Keyring {
    Keyring::new(&material())
}

fn rows(keyring: &Keyring) -> RawRows {
    let peppers: Vec<_> = keyring.pepper_checks().collect();
    [
        Some(header_row(keyring, FORMAT, ID)),
        Some(counter_row(keyring, Revision(42))),
        Some(peppers_row(keyring, &peppers)),
        Some(identity_row(keyring, Identity::COPY)),
    ]
}

#[test]
fn rows_read_back_as_they_were_written() {
    let keyring = keyring();
    let meta = Meta::parse(&rows(&keyring), &keyring, FORMAT).unwrap();
    let peppers = keyring.pepper_checks().collect();
    let expected = Meta {
        store_id: ID,
        revision: Revision(42),
        peppers,
        identity: Identity::COPY,
    };
    assert_eq!(meta, expected);
    assert_eq!(meta.new_peppers(&keyring), Ok(vec![]));
    assert_eq!(
        parse_counter(&keyring, &counter_row(&keyring, Revision(9))),
        Some(Revision(9))
    );
}

#[test]
fn every_flipped_bit_missing_row_and_swapped_row_is_noticed() {
    let keyring = keyring();
    let whole = rows(&keyring);
    for row in 0..4 {
        for at in 0..whole[row].as_ref().unwrap().len() * 8 {
            let mut flipped = whole.clone();
            flipped[row].as_mut().unwrap()[at / 8] ^= 1 << (at % 8);
            assert!(
                Meta::parse(&flipped, &keyring, FORMAT).is_err(),
                "row {row}, bit {at}"
            );
        }
        let mut missing = whole.clone();
        missing[row] = None;
        assert!(Meta::parse(&missing, &keyring, FORMAT).is_err());
        for other in (0..4).filter(|other| *other != row) {
            let mut swapped = whole.clone();
            swapped.swap(row, other);
            assert!(Meta::parse(&swapped, &keyring, FORMAT).is_err());
        }
    }
}

#[test]
fn a_reason_is_given_that_helps() {
    let keyring = keyring();
    let whole = rows(&keyring);
    let parse = |rows: &RawRows, keyring: &Keyring| Meta::parse(rows, keyring, FORMAT).unwrap_err();
    let other = Keyring::new(&KeyMaterial::generate(Timestamp::ZERO, [9; 32], [2; 32]));
    assert_eq!(parse(&whole, &other), Unfit::WrongKey);
    let with_format = |format| {
        let mut rows = whole.clone();
        rows[0] = Some(header_row(&keyring, format, ID));
        rows
    };
    assert_eq!(
        parse(&with_format(FORMAT + 1), &keyring),
        Unfit::NewerFormat(FORMAT + 1)
    );
    assert_eq!(
        parse(&with_format(FORMAT + 1), &other),
        Unfit::NewerFormat(FORMAT + 1)
    );
    assert!(matches!(
        parse(&with_format(0), &keyring),
        Unfit::Damaged(_)
    ));
    let older = Meta::parse(&whole, &keyring, FORMAT + 1).unwrap_err();
    assert_eq!(older, Unfit::OlderFormat(FORMAT));
    assert!(matches!(
        parse(&[None, None, None, None], &keyring),
        Unfit::NotAStore(_)
    ));
}

#[test]
fn peppers_are_compared_one_by_one() {
    let keyring = keyring();
    let rotated = Keyring::new(&material().rotated(Timestamp::ZERO, [5; 32]).unwrap());
    let meta = Meta::parse(&rows(&keyring), &keyring, FORMAT).unwrap();
    let new = meta.new_peppers(&rotated).unwrap();
    assert_eq!(
        new.iter().map(|(id, _)| id.number()).collect::<Vec<_>>(),
        [2]
    );
    let later = Meta::parse(&rows(&rotated), &rotated, FORMAT).unwrap();
    assert_eq!(
        later.new_peppers(&keyring),
        Err(Unfit::MissingPepper(KeyId::new(2).unwrap()))
    );
    let other = Keyring::new(&KeyMaterial::generate(Timestamp::ZERO, [1; 32], [6; 32]));
    assert_eq!(meta.new_peppers(&other), Err(Unfit::WrongKey));
}
