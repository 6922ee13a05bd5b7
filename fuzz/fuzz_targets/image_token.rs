//! Hazard: an image token that proves what nobody signed, a second text for one token, or a text
//! that hurts its reader (E18).
//!
//! No signature fits by chance, so the claims are read on their own as well, and most inputs are
//! made into a token first, which what is left of the input then changes.
#![no_main]

use std::sync::LazyLock;

use countersign_core::image::{
    AttachmentId, AttachmentRecord, IMAGE_TOKEN_MAX, ImageClaims, ImageRequest, PresentedImage,
    check, prove, sign,
};
use countersign_core::policy::Policy;
use countersign_core::{
    Deployment, Fresh, KeyMaterial, Keyring, Principal, PrincipalRecord, ServerId, Setting,
    SystemRecord, Timestamp, Version, Versioned,
};
use libfuzzer_sys::fuzz_target;

static KEYS: LazyLock<Keyring> =
    LazyLock::new(|| Keyring::new(&KeyMaterial::generate(Timestamp::ZERO, [1; 32], [2; 32])));

fuzz_target!(|input: &[u8]| {
    assert!(prove(&KEYS, input).is_err(), "a signature that nobody made");
    if let Ok(claims) = ImageClaims::parse(input) {
        assert_eq!(
            claims.to_json().as_bytes(),
            input,
            "a second text for the same claims"
        );
    }
    if let Some((time, rest)) = input.split_first_chunk::<8>() {
        built(Timestamp::from_millis(u64::from_be_bytes(*time)), rest);
    }
});

/// The input's lines: a principal, an attachment, and changes of three bytes each.
fn built(now: Timestamp, rest: &[u8]) {
    let mut lines = rest.splitn(3, |&byte| byte == b'\n');
    let mut text = || core::str::from_utf8(lines.next()?).ok();
    let (Some(principal), Some(attachment)) = (text(), text()) else {
        return;
    };
    let (Ok(principal), Ok(attachment)) =
        (Principal::new(principal), AttachmentId::new(attachment))
    else {
        return;
    };
    let server_id = ServerId::new("tracker").expect("a server id");
    let deployment = Deployment {
        word: None,
        server_id,
        created_at: Timestamp::ZERO,
    };
    let system = Versioned {
        version: Version::new(1),
        record: SystemRecord::new(deployment),
    };
    let policy = Policy::default();
    let setting = Setting {
        now,
        keyring: &KEYS,
        policy: &policy,
        system: &system,
    };
    let request = ImageRequest {
        principal: &principal,
        attachment: &attachment,
    };
    let mut fresh = Fresh::new([7; Fresh::LEN]);
    let signed = sign(&setting, &mut fresh, request, None, None).expect("nothing is in the way");
    let text = signed.outcome.text.expose().as_bytes();
    assert!(text.len() <= IMAGE_TOKEN_MAX, "too long to be read");
    let token = prove(&KEYS, text).expect("what was signed proves");
    let claims = token.claims();
    assert_eq!(
        (&claims.principal, &claims.attachment),
        (&principal, &attachment)
    );

    let presented = PresentedImage {
        token: &token,
        asked: &attachment,
        principal: Some(&PrincipalRecord::begun(principal.clone(), now, [0; 4])),
        attachment: Some(&AttachmentRecord::begun(attachment.clone(), now, [0; 4])),
        system: Some(&system.record),
    };
    // Past the last instant that a token can name, what is signed is dead from the start.
    if now < Timestamp::from_millis(9_999_999_999_000_000_000) {
        assert_eq!(check(now, &policy, &presented), Ok(()));
    }

    let mut changed = text.to_vec();
    for change in lines.next().unwrap_or_default().chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % changed.len();
        changed[at] = change[2];
    }
    if changed != text {
        assert!(
            prove(&KEYS, &changed).is_err(),
            "a change that was not noticed"
        );
    }
}
