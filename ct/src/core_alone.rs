//! The checks of the core with their records at hand. All keys are secret here.

use crate::marks;
use crate::secrets::{
    NOW, Presents, format, framed, marked, presented, secret_keyring, token, watched,
};
use countersign::core::access::{self, HashedToken};
use countersign::core::csrf::{self, CsrfToken, FormSession, SessionFate};
use countersign::core::image::{self, AttachmentRecord, ImageRequest};
use countersign::core::{
    BareId, CredentialKind, Deployment, Digest, EpochStamp, Fresh, KeyedDigest, Keyring, Setting,
    Version, Versioned, remember,
};
use countersign::{
    AttachmentId, CsrfVerdict, Expiry, Grant, Label, Policy, Principal, PrincipalRecord, Rejection,
    ScopeSet, SeriesRecord, ServerId, SystemRecord, Timestamp, TokenName,
};

/// Digits of a form token's code, and of an image token's signature.
pub(crate) const CODE_DIGITS: usize = 22;
pub(crate) const SIGNATURE_DIGITS: usize = 43;

pub(crate) const CASES: &[(&str, fn())] = &[
    ("core-access-hit", || access(Presents::Right, true, Ok(()))),
    ("core-access-wrong-first", || {
        access(Presents::WrongFirst, true, Err(Rejection::Mismatch));
    }),
    ("core-access-wrong-last", || {
        access(Presents::WrongLast, true, Err(Rejection::Mismatch));
    }),
    ("core-access-unknown", || {
        access(Presents::Right, false, Err(Rejection::Unknown));
    }),
    ("core-access-mistyped", || {
        access(Presents::Mistyped, true, Err(Rejection::Checksum));
    }),
    ("core-remember-hit", || device(Presents::Right, NOW, Ok(()))),
    ("core-remember-replaced", || {
        device(Presents::Right, Timestamp::ZERO, Ok(()));
    }),
    ("core-remember-wrong", || {
        device(Presents::WrongFirst, NOW, Err(Rejection::Mismatch));
    }),
    ("core-remember-previous", previous),
    ("core-remember-oldest", || {
        reused(Presents::Right, Rejection::Reused);
    }),
    ("core-remember-none-of-five", || {
        reused(Presents::WrongLast, Rejection::Mismatch);
    }),
    ("core-form-hit", || form(true, "", "")),
    ("core-form-wrong", || form(false, "", "")),
    ("core-form-cookie", || form(true, "ct|", "|lin")),
    ("core-image-hit", || image(true)),
    ("core-image-wrong", || image(false)),
    ("core-bare", bare),
];

fn principal() -> Principal {
    Principal::new("alice").expect("a name")
}

fn system() -> SystemRecord {
    SystemRecord::new(Deployment {
        word: None,
        server_id: ServerId::new("ct").expect("an id"),
        created_at: Timestamp::ZERO,
    })
}

fn first<T>(record: T) -> Versioned<T> {
    Versioned {
        version: Version::new(1),
        record,
    }
}

/// What is kept of a token.
fn kept(keyring: &Keyring, kind: CredentialKind) -> Digest {
    let token = token(kind);
    let id = Some(keyring.current());
    keyring.digest(id, kind, token.selector(), token.verifier())
}

fn access(presents: Presents, is_known: bool, expected: Result<(), Rejection>) {
    let keyring = secret_keyring();
    let (policy, format) = (Policy::default(), format());
    let decoy = access::Decoy::new().expect("names that fit");
    let grant = Grant {
        principal: principal(),
        name: TokenName::new("ci").expect("a name"),
        scopes: ScopeSet::EMPTY,
        key_id: keyring.current(),
        digest: kept(&keyring, CredentialKind::Access),
        created_at: Timestamp::ZERO,
        expiry: Expiry::Never,
        stamp: EpochStamp::default(),
        predecessor: None,
        end: None,
    };
    let (owner, system) = (PrincipalRecord::new(principal()), system());
    let text = format.text(&token(CredentialKind::Access));
    let text = presented(text.expect("a text").expose(), presents);
    watched(|| {
        let checked = match format.parse(CredentialKind::Access, &text) {
            Err(malformed) => Err(Rejection::from(malformed)),
            Ok(token) => {
                let presented = access::Presented {
                    token: HashedToken::new(&keyring, &token),
                    grant: is_known.then_some(&grant),
                    principal: is_known.then_some(&owner),
                    system: Some(&system),
                    scope: None,
                };
                access::check(NOW, &keyring, &policy, &decoy, presented)
            }
        };
        assert_eq!(checked, expected);
    });
}

/// A remembered device, whose secret was handed out at this instant.
fn device(presents: Presents, rotated_at: Timestamp, expected: Result<(), Rejection>) {
    let keyring = secret_keyring();
    let series = series(&keyring, rotated_at);
    present(&keyring, presents, series, expected);
}

/// A device that has not seen the secret that it was given last.
fn previous() {
    let keyring = secret_keyring();
    let mut series = series(&keyring, NOW);
    let token = token(CredentialKind::Remember);
    let successor = keyring.successor(token.selector(), 0, &series.salt, token.verifier());
    let key_id = keyring.current();
    let kind = CredentialKind::Remember;
    let digest = keyring.digest(Some(key_id), kind, token.selector(), &successor);
    let own = core::mem::replace(&mut series.current, KeyedDigest { key_id, digest });
    series.older = vec![own];
    series.generation = 1;
    present(&keyring, Presents::Right, series, Ok(()));
}

/// A device that was given others since, and presents the oldest of those that are kept.
fn reused(presents: Presents, expected: Rejection) {
    let keyring = secret_keyring();
    let mut series = series(&keyring, NOW);
    let key_id = keyring.current();
    let other = |n| KeyedDigest {
        key_id,
        digest: Digest::from_bytes([n; 32]),
    };
    let oldest = core::mem::replace(&mut series.current, other(5));
    series.older = vec![other(6), other(7), other(8), oldest];
    series.generation = 4;
    present(&keyring, presents, series, Err(expected));
}

fn series(keyring: &Keyring, rotated_at: Timestamp) -> SeriesRecord {
    SeriesRecord {
        principal: principal(),
        label: Label::new("a browser").expect("a label"),
        created_at: NOW,
        expires_at: Timestamp::MAX,
        stamp: EpochStamp::default(),
        generation: 0,
        salt: [0; 16],
        current: KeyedDigest {
            key_id: keyring.current(),
            digest: kept(keyring, CredentialKind::Remember),
        },
        older: Vec::new(),
        rotated_at,
        successor_seen_at: None,
        end: None,
    }
}

fn present(
    keyring: &Keyring,
    presents: Presents,
    series: SeriesRecord,
    expected: Result<(), Rejection>,
) {
    let (policy, format) = (Policy::default(), format());
    let decoy = remember::Decoy::new().expect("names that fit");
    let is_due = series.rotated_at < NOW;
    let series = first(series);
    let (owner, system) = (first(PrincipalRecord::new(principal())), first(system()));
    let mut fresh = Fresh::new([9; Fresh::LEN]);
    let text = format.text(&token(CredentialKind::Remember));
    let text = presented(text.expect("a text").expose(), presents);
    watched(|| {
        let Ok(token) = format.parse(CredentialKind::Remember, &text) else {
            panic!("it is one");
        };
        let presented = remember::Presented {
            token: &token,
            series: Some(&series),
            principal: Some(&owner),
            system: Some(&system),
        };
        let judged = remember::present(NOW, keyring, &policy, &decoy, &mut fresh, presented);
        let outcome = judged.expect("enough randomness").outcome;
        if let Ok(admitted) = &outcome {
            let is_replaced = matches!(admitted.handed, remember::Handed::Successor(_));
            assert_eq!(is_replaced, is_due);
        }
        assert_eq!(outcome.map(drop), expected);
    });
}

/// A form's token, by itself or as the cookie's value.
fn form(is_good: bool, before: &str, after: &str) {
    let keyring = secret_keyring();
    let server = ServerId::new("ct").expect("an id");
    let selector = token(CredentialKind::Session).selector();
    let secret = keyring.csrf_secret(selector, 0);
    let made_under = match is_good {
        true => keyring.csrf_secret(selector, 0),
        false => keyring.csrf_secret(selector, 1),
    };
    let made = CsrfToken::mint_stable(selector, &made_under, None);
    let text = marked(made.text().expose(), CODE_DIGITS);
    let text = framed(before, &text, after);
    watched(|| {
        let current = FormSession {
            selector,
            principal: None,
            secret: &secret,
            fate: SessionFate::Living,
        };
        let verdict = match csrf::read(&server, Some(&text)) {
            Ok(token) => csrf::judge(&token, None, Some(current), Some(current)),
            Err(verdict) => verdict,
        };
        let expected = if is_good {
            CsrfVerdict::Accepted
        } else {
            CsrfVerdict::Mismatch
        };
        assert_eq!(verdict, expected);
    });
}

fn image(is_good: bool) {
    let keyring = secret_keyring();
    let policy = Policy::default();
    let (who, what) = (principal(), AttachmentId::new("10000").expect("an id"));
    let (owner, system) = (first(PrincipalRecord::new(who.clone())), first(system()));
    let opened = first(AttachmentRecord::begun(
        what.clone(),
        Timestamp::ZERO,
        [5; 4],
    ));
    let setting = Setting {
        now: NOW,
        keyring: &keyring,
        policy: &policy,
        system: &system,
    };
    let mut fresh = Fresh::new([9; Fresh::LEN]);
    let request = ImageRequest {
        principal: &who,
        attachment: &what,
    };
    let signed = image::sign(&setting, &mut fresh, request, Some(&owner), Some(&opened));
    let signed = signed.expect("images are on").outcome;
    let mut text = signed.text.expose().to_owned();
    if !is_good {
        let at = text.len() - SIGNATURE_DIGITS;
        let other = if text[at..].starts_with('a') {
            "b"
        } else {
            "a"
        };
        text.replace_range(at..=at, other);
    }
    let text = marked(&text, SIGNATURE_DIGITS);
    watched(|| {
        let proven = image::prove(&keyring, &text);
        let checked = proven.and_then(|token| {
            let presented = image::PresentedImage {
                token: &token,
                asked: &what,
                principal: Some(&owner.record),
                attachment: Some(&opened.record),
                system: Some(&system.record),
            };
            image::check(NOW, &policy, &presented)
        });
        let expected = if is_good {
            Ok(())
        } else {
            Err(Rejection::Mismatch)
        };
        assert_eq!(checked, expected);
    });
}

/// What a bare id stands for: its place and its shard are public once they are computed, and
/// nothing on the way to them may be.
fn bare() {
    let keyring = secret_keyring();
    let mut bytes = [6; BareId::LEN];
    marks::secret(&mut bytes);
    let id = BareId::from_bytes(bytes);
    watched(|| {
        let unveiled = keyring.unveil(&id);
        std::hint::black_box(&unveiled);
    });
}
