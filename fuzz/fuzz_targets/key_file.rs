//! Hazard: two texts for one set of keys, a damaged key file that is read, or one that is not.
//!
//! No check fits by chance, so most inputs are made into the keys of a good file first, and what
//! is left of the input changes its text.
#![no_main]

use countersign_core::keys::file::{self, KEY_FILE_MAX};
use countersign_core::{KeyId, KeyMaterial, PepperMaterial, SecretKey, Timestamp};
use libfuzzer_sys::fuzz_target;

/// Bytes of input that go into one pepper: its id, its age, one byte of its key.
const PEPPER: usize = 2 + 6 + 1;

fuzz_target!(|input: &[u8]| {
    check(input);
    let Some((&[count, root], rest)) = input.split_first_chunk::<2>() else {
        return;
    };
    let (peppers, changes) = rest.split_at(rest.len().min(usize::from(count % 40) * PEPPER));
    let peppers = peppers.chunks_exact(PEPPER).filter_map(pepper).collect();
    let Ok(material) = KeyMaterial::new(SecretKey::from_bytes([root; 32]), peppers) else {
        return;
    };
    let text = file::write(&material);
    let text = text.expose().as_bytes();
    assert!(text.len() <= KEY_FILE_MAX, "too long to be read");
    let back = file::read(text).expect("what was written reads back");
    assert!(back.peppers().eq(material.peppers()));

    let mut changed = text.to_vec();
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % changed.len();
        changed[at] = change[2];
    }
    if changed != text {
        assert!(
            file::read(&changed).is_err(),
            "a change that was not noticed"
        );
    }
});

/// `read(x) = Ok(m)` implies that `m` is written as `x`.
fn check(input: &[u8]) {
    if let Ok(material) = file::read(input) {
        assert_eq!(file::write(&material).expose().as_bytes(), input);
    }
}

fn pepper(bytes: &[u8]) -> Option<PepperMaterial> {
    let id = KeyId::new(u16::from_be_bytes([bytes[0], bytes[1]]))?;
    let age = bytes[2..8]
        .iter()
        .fold(0, |ms, &byte| ms << 8 | u64::from(byte));
    // What lies past the year 9999 has no text.
    let created_at = Timestamp::from_millis(age).min(Timestamp::LAST_PRINTABLE);
    let key = SecretKey::from_bytes([bytes[8]; 32]);
    Some(PepperMaterial {
        id,
        key,
        created_at,
    })
}
