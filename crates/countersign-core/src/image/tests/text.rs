//! The text of a token: its bytes, its keys, its bounds.

use super::super::token::write;
use super::*;
use crate::keys::{KeyId, KeyMaterial, Keyring};
use crate::policy::Policy;
use crate::secret::SecretKey;
use crate::text::ServerId;
use crate::time::Timestamp;
use crate::world::START;
use proptest::prelude::*;

const FORMAT: &str = include_str!("../../../../../docs/FORMAT.md");

fn claims(issuer: &str, principal: &str, attachment: &str) -> ImageClaims {
    ImageClaims {
        issuer: ServerId::new(issuer).unwrap(),
        principal: Principal::new(principal).unwrap(),
        attachment: named(attachment),
        issued_at: Timestamp::from_millis(1_795_305_600_000),
        expires_at: Timestamp::from_millis(1_795_910_400_000),
    }
}

fn proven(keyring: &Keyring, text: &str) -> Result<ImageClaims, Rejection> {
    prove(keyring, text.as_bytes()).map(|token| token.claims().clone())
}

#[test]
fn the_bytes_are_what_they_always_were() {
    let material = KeyMaterial::generate(START, [0x11; 32], [0x22; 32]);
    let keyring = Keyring::new(&material);
    let text = write(keyring.image_key(), &claims("tracker", "ann", "10001"));
    assert!(
        FORMAT.contains(&format!("{}\n", text.expose())),
        "{}",
        text.expose()
    );
    assert!(FORMAT.contains(&claims("tracker", "ann", "10001").to_json()));
    let key = blake3::derive_key(crate::contexts::IMAGE_TOKEN, &[0x22; 32]);
    let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(FORMAT.contains(&format!("`{key}`")), "{key}");
    let filed = keyring.attachment_key(&named("10001")).to_bytes();
    let filed: String = filed.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(FORMAT.contains(&format!("`{filed}`")), "{filed}");
}

/// RFC 4231, test case 2: the key is shorter than the one that we have, and padded as ours is.
#[test]
fn the_signature_is_hmac_sha_256() {
    let mut key = [0; 32];
    key[..4].copy_from_slice(b"Jefe");
    let key = ImageKey::new(KeyId::FIRST, &SecretKey::from_bytes(key));
    let signature = key.sign(b"what do ya want for nothing?");
    let hex: String = signature
        .expose()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        hex,
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
}

#[test]
fn an_old_pepper_goes_on_proving_and_a_dropped_one_does_not() {
    let material = || KeyMaterial::generate(START, [1; 32], [2; 32]);
    let old = Keyring::new(&material());
    let rotated = || material().rotated(START, [3; 32]).unwrap();
    let both = Keyring::new(&rotated());
    let new_alone = Keyring::new(&rotated().without(|id| id == KeyId::FIRST));
    let claims = claims("tracker", "ann", "10001");
    let before = write(old.image_key(), &claims);
    let after = write(both.image_key(), &claims);
    assert_ne!(before.expose(), after.expose());
    assert_eq!(proven(&both, before.expose()).as_ref(), Ok(&claims));
    assert_eq!(proven(&both, after.expose()).as_ref(), Ok(&claims));
    assert_eq!(proven(&new_alone, before.expose()), Err(Rejection::Unknown));
    assert_eq!(proven(&old, after.expose()), Err(Rejection::Unknown));
    // Another deployment's key of the same number.
    let other = Keyring::new(&KeyMaterial::generate(START, [1; 32], [9; 32]));
    assert_eq!(proven(&other, before.expose()), Err(Rejection::Mismatch));
}

#[test]
fn every_changed_cut_or_added_character_is_refused() {
    let keyring = Keyring::new(&KeyMaterial::generate(START, [1; 32], [2; 32]));
    let text = write(keyring.image_key(), &claims("tracker", "ann", "10001"));
    let text = text.expose();
    assert!(proven(&keyring, text).is_ok());
    for at in 0..text.len() {
        for with in [b'A', b'B', b'.', b'=', b'-', 0, 0xff] {
            let mut other = text.as_bytes().to_vec();
            other[at] = with;
            let same = other == text.as_bytes();
            assert_eq!(prove(&keyring, &other).is_ok(), same, "{at} as {with}");
        }
        assert!(
            prove(&keyring, &text.as_bytes()[..at]).is_err(),
            "cut at {at}"
        );
        assert!(
            prove(&keyring, &text.as_bytes()[at + 1..]).is_err(),
            "begun behind {at}"
        );
    }
    for other in [
        format!("{text} "),
        format!(" {text}"),
        format!("{text}="),
        format!("{text}."),
    ] {
        assert!(proven(&keyring, &other).is_err(), "{other}");
    }
}

/// E4: whatever is wrong with a text that has the form of a token, the work is the same.
#[test]
fn a_miss_does_the_work_of_a_hit() {
    let keyring = Keyring::new(&KeyMaterial::generate(START, [1; 32], [2; 32]));
    let other = Keyring::new(&KeyMaterial::generate(START, [1; 32], [3; 32]));
    let claims = claims("tracker", "ann", "10001");
    let good = write(keyring.image_key(), &claims).expose().to_owned();
    let wrong = write(other.image_key(), &claims).expose().to_owned();
    let header = good.find('.').unwrap();
    let unknown = format!("{}{}", "A".repeat(header), &good[header..]);
    let cases = [
        (good, None),
        (wrong, Some(Rejection::Mismatch)),
        (unknown, Some(Rejection::Unknown)),
    ];
    for (text, reason) in cases {
        let (found, work) = crate::work::of(|| prove(&keyring, text.as_bytes()));
        assert_eq!(found.err(), reason);
        assert_eq!((work.hashes, work.comparisons), (1, 1), "{reason:?}");
    }
}

#[test]
fn the_longest_token_is_within_the_bound_and_a_longer_text_is_not_looked_at() {
    let last = crate::keys::PepperMaterial {
        id: KeyId::new(u16::MAX).unwrap(),
        key: SecretKey::from_bytes([2; 32]),
        created_at: START,
    };
    let material = KeyMaterial::new(SecretKey::from_bytes([1; 32]), vec![last]).unwrap();
    let keyring = Keyring::new(&material);
    let mut longest = claims(
        &"x".repeat(ServerId::MAX_BYTES),
        &"\"".repeat(Principal::MAX_BYTES),
        &"\\".repeat(AttachmentId::MAX_BYTES),
    );
    longest.issued_at = Timestamp::from_millis(9_999_999_999_999_998_999);
    longest.expires_at = Timestamp::MAX;
    let text = write(keyring.image_key(), &longest);
    assert_eq!(text.expose().len(), IMAGE_TOKEN_MAX);
    assert!(proven(&keyring, text.expose()).is_ok());
    let longer = "A".repeat(IMAGE_TOKEN_MAX + 1);
    assert_eq!(proven(&keyring, &longer), Err(Rejection::TooLong));
    // It fits what policy lets in by default.
    let let_in = Policy::default().input().max_credential_bytes;
    assert!(IMAGE_TOKEN_MAX < let_in as usize);
}

proptest! {
    #[test]
    fn no_bytes_hurt_and_none_prove(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let keyring = Keyring::new(&KeyMaterial::generate(START, [1; 32], [2; 32]));
        prop_assert!(prove(&keyring, &bytes).is_err());
    }
}
