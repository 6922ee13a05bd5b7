//! Hazard: an image token that says one thing to us and another to everybody else (E18).
//!
//! The oracle is the `jsonwebtoken` crate, which shares no line with our reader and not even the
//! hash: whatever we accept it accepts, with the same claims. The other way round is not asked for;
//! `docs/FUZZING.md` lists what it takes and we refuse. Signatures are made with it too, under the
//! key that `docs/FORMAT.md` says, so that nothing but the spelling of an input can be wrong.
#![no_main]

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_core::image::{ImageClaims, prove};
use countersign_core::{KeyMaterial, Keyring, Timestamp};
use countersign_fuzz::Choices;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation, crypto, decode};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

const PEPPER: [u8; 32] = [0x22; 32];
const CONTEXT: &str = "countersign 2026-11-22 image token key";
const HEADER: &str = r#"{"alg":"HS256","kid":"1","typ":"JWT"}"#;

static KEYS: LazyLock<Keyring> =
    LazyLock::new(|| Keyring::new(&KeyMaterial::generate(Timestamp::ZERO, [1; 32], PEPPER)));
static KEY: LazyLock<[u8; 32]> = LazyLock::new(|| blake3::derive_key(CONTEXT, &PEPPER));
static VALIDATION: LazyLock<Validation> = LazyLock::new(|| {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_audience(&["image"]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // It would go by the clock of this machine.
    validation.validate_exp = false;
    validation
});

fuzz_target!(|input: &[u8]| {
    let mut choices = Choices::new(input);
    let kind = choices.below(4);
    let input = choices.rest();
    let text = match kind {
        // Claims behind our header.
        0 => signed([HEADER.as_bytes(), input].map(base64)),
        // Header and claims, each on a line.
        1 => {
            let end = input.iter().position(|&byte| byte == b'\n');
            let (header, claims) = input.split_at(end.unwrap_or(input.len()));
            let claims = claims.strip_prefix(b"\n").unwrap_or_default();
            signed([header, claims].map(base64))
        }
        // The same in digits, whatever stands there for them.
        2 => {
            let end = input.iter().position(|&byte| byte == b'.');
            let (header, claims) = input.split_at(end.unwrap_or(input.len()));
            let claims = claims.strip_prefix(b".").unwrap_or_default();
            signed([header.to_vec(), claims.to_vec()])
        }
        // A whole token, whose signature fits if it was kept as it is.
        _ => input.to_vec(),
    };
    agree(&text);
});

fn base64(bytes: &[u8]) -> Vec<u8> {
    URL_SAFE_NO_PAD.encode(bytes).into_bytes()
}

fn signed([header, claims]: [Vec<u8>; 2]) -> Vec<u8> {
    let signed = [&header[..], b".", &claims].concat();
    let key = EncodingKey::from_secret(&*KEY);
    let signature = crypto::sign(&signed, &key, Algorithm::HS256).expect("a key of 32 bytes");
    [&signed[..], b".", signature.as_bytes()].concat()
}

fn agree(text: &[u8]) {
    let Ok(token) = prove(&KEYS, text) else {
        return;
    };
    let key = DecodingKey::from_secret(&*KEY);
    let theirs = decode::<Map<String, Value>>(text, &key, &VALIDATION);
    let theirs = theirs.expect("what we accept, they accept");
    assert_eq!(theirs.header.alg, Algorithm::HS256);
    assert_eq!(theirs.header.typ.as_deref(), Some("JWT"));
    assert_eq!(theirs.header.kid.as_deref(), Some("1"));
    same(token.claims(), &theirs.claims);
}

fn same(ours: &ImageClaims, theirs: &Map<String, Value>) {
    let texts = [
        ("iss", ours.issuer.as_str()),
        ("sub", ours.principal.as_str()),
        ("aud", "image"),
        ("att", ours.attachment.as_str()),
    ];
    for (name, ours) in texts {
        assert_eq!(
            theirs.get(name).and_then(Value::as_str),
            Some(ours),
            "{name}"
        );
    }
    let instants = [("iat", ours.issued_at), ("exp", ours.expires_at)];
    for (name, ours) in instants {
        let theirs = theirs.get(name).expect("a claim that we have read");
        let same = match theirs.as_u64() {
            Some(seconds) => seconds.checked_mul(1000) == Some(ours.as_millis()),
            // They know fractions as floating point alone.
            None => {
                let (ours, theirs) = (ours.as_millis() as f64 / 1000.0, theirs.as_f64());
                theirs.is_some_and(|theirs| (theirs - ours).abs() <= ours * f64::EPSILON)
            }
        };
        assert!(same, "{name}: {theirs} and {ours:?}");
    }
    assert_eq!(
        theirs.len(),
        texts.len() + instants.len(),
        "a claim that we pass over"
    );
}
