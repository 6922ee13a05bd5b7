//! One text for each token, the same all session long or a new one each time.

use super::*;
use crate::selector::Selector;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn selector() -> Selector {
    "01a202ae-2495-7000-8909-090909090909".parse().unwrap()
}

fn fault(text: &[u8]) -> MalformedCsrfToken {
    CsrfToken::parse(text).unwrap_err()
}

#[test]
fn the_texts_are_what_they_always_were() {
    let secret = SecretKey::from_bytes([0x33; 32]);
    let action = FormAction::new("project.delete").unwrap();
    let stable = CsrfToken::mint_stable(selector(), &secret, None);
    let bound = CsrfToken::mint_stable(selector(), &secret, Some(action));
    let masked = CsrfToken::mint_masked(selector(), &secret, None, [1, 2, 3, 4, 5, 6, 7, 8]);
    let format = include_str!("../../../../../docs/FORMAT.md");
    for (what, token) in [("stable", stable), ("bound", bound), ("masked", masked)] {
        let text = token.text();
        let example = format!("`{}`", text.expose());
        assert!(format.contains(&example), "{what}: {example}");
    }
}

#[test]
fn the_stable_form_is_the_same_all_session_long_and_another_in_every_session() {
    let (ann, again, bob) = (
        Opened::of("ann", 0),
        Opened::of("ann", 1),
        Opened::of("bob", 0),
    );
    assert_eq!(ann.token().text().expose(), ann.token().text().expose());
    let texts = [&ann, &again, &bob].map(|session| session.token().text().expose().to_owned());
    assert_eq!(BTreeSet::from(texts).len(), 3);
}

#[test]
fn a_log_in_gives_a_new_secret_and_with_it_a_new_token() {
    let before = Opened::of("ann", 0);
    let after = SecretKey::from_bytes([9; 32]);
    assert!(!before.token().verify(&after, None));
    let renewed = CsrfToken::mint_stable(before.selector, &after, None);
    assert_ne!(renewed.text().expose(), before.token().text().expose());
}

#[test]
fn the_masked_form_is_a_new_text_each_time_and_verifies_all_the_same() {
    let ann = Opened::of("ann", 0);
    let mut seen = BTreeSet::new();
    for random in 0..=255 {
        let token = ann.masked(random);
        assert!(!token.is_stable(), "a masked token in the stable form");
        assert!(sent(&token).verify(&ann.secret, None));
        seen.insert(token.text().expose()[11..].to_owned());
    }
    // Drawing only zeros gives what drawing only ones gives.
    assert_eq!(seen.len(), 255);
    assert!(!seen.contains(&ann.token().text().expose()[11..]));
}

#[test]
fn a_hint_is_the_random_half_of_its_sessions_selector() {
    let hint = SessionHint::of(selector()).to_bytes();
    assert!(selector().to_bytes().ends_with(&hint));
    let (one, other) = (Opened::of("ann", 0), Opened::of("bob", 0));
    assert_eq!(sent(&one.token()).hint(), SessionHint::of(one.selector));
    assert_ne!(
        one.token().hint().to_bytes(),
        other.token().hint().to_bytes()
    );
}

#[test]
fn only_the_stable_form_for_no_action_is_a_sessions_own() {
    let (ann, bob) = (Opened::of("ann", 0), Opened::of("bob", 0));
    let action = Some(FormAction::new("delete").unwrap());
    let mint = |of: &Opened, under: &Opened, action| {
        CsrfToken::mint_stable(of.selector, &under.secret, action)
    };
    for (what, token, is_own) in [
        ("its own", mint(&ann, &ann, None), true),
        ("masked", ann.masked(1), false),
        ("for an action", mint(&ann, &ann, action), false),
        ("with another hint", mint(&bob, &ann, None), false),
        ("under another secret", mint(&ann, &bob, None), false),
        ("another's", bob.token(), false),
    ] {
        let told = sent(&token).is_stable_of(ann.selector, &ann.secret);
        assert_eq!(told, is_own, "{what}");
    }
}

#[test]
fn a_token_for_one_action_is_good_for_no_other() {
    let ann = Opened::of("ann", 0);
    let [delete, rename] = ["delete", "rename"].map(|text| FormAction::new(text).unwrap());
    let mint = |action| CsrfToken::mint_stable(ann.selector, &ann.secret, action);
    for (minted, asked, good) in [
        (None, None, true),
        (Some(delete), Some(delete), true),
        (Some(delete), Some(rename), false),
        (Some(delete), None, false),
        (None, Some(delete), false),
    ] {
        assert_eq!(
            sent(&mint(minted)).verify(&ann.secret, asked),
            good,
            "{minted:?} {asked:?}"
        );
    }
    assert!(FormAction::new("").is_err() && FormAction::new(&"x".repeat(65)).is_err());
    assert!(FormAction::new(&"x".repeat(64)).is_ok());
}

#[test]
fn each_digit_counts() {
    let ann = Opened::of("ann", 0);
    for token in [ann.token(), ann.masked(7)] {
        let text = token.text().expose().to_owned();
        assert_eq!(text.len(), CSRF_TOKEN_DIGITS);
        for at in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[at] = if other[at] == b'0' { b'1' } else { b'0' };
            let good = CsrfToken::parse(&other).is_ok_and(|it| it.verify(&ann.secret, None));
            assert!(!good, "digit {at} does not count");
        }
    }
}

#[test]
fn what_is_no_token_says_why() {
    let text = Opened::of("ann", 0).token().text().expose().to_owned();
    assert_eq!(fault(b""), MalformedCsrfToken::Length);
    assert_eq!(fault(&text.as_bytes()[..43]), MalformedCsrfToken::Length);
    assert_eq!(
        fault(format!("{text}0").as_bytes()),
        MalformedCsrfToken::Length
    );
    assert_eq!(
        fault(format!(" {}", &text[1..]).as_bytes()),
        MalformedCsrfToken::Digit
    );
    assert_eq!(fault(&[0xff; 44]), MalformedCsrfToken::Digit);
    let overflow = format!("LygHa16AHYG{}", &text[11..]);
    assert_eq!(fault(overflow.as_bytes()), MalformedCsrfToken::Overflow);
    // No UUID ends like this.
    for group in ["00000000000", "AzL8n0Y58m7", "LygHa16AHYF"] {
        let other = format!("{group}{}", &text[11..]);
        assert_eq!(fault(other.as_bytes()), MalformedCsrfToken::Hint, "{group}");
    }
}

#[test]
fn debug_prints_no_digit() {
    let token = Opened::of("ann", 0).token();
    assert_eq!(format!("{token:?}"), "CsrfToken(redacted)");
}

proptest! {
    #[test]
    fn one_text_for_each_token(random: [u8; 8], nonce: [u8; 8], secret: [u8; 32], at: u64) {
        let session = Selector::mint(Timestamp::from_millis(at), ShardTag::NONE, random);
        let secret = SecretKey::from_bytes(secret);
        let token = CsrfToken::mint_masked(session, &secret, None, nonce);
        let back = sent(&token);
        prop_assert_eq!(back.hint(), SessionHint::of(session));
        prop_assert!(back.verify(&secret, None));
        prop_assert!(back.text().expose() == token.text().expose());
    }

    #[test]
    fn a_text_that_reads_is_the_one_text(text in "[0-9A-Za-z]{44}|[ -~]{40,48}|\\PC{0,50}") {
        if let Ok(token) = CsrfToken::parse(text.as_bytes()) {
            prop_assert!(token.text().expose() == text);
        }
    }

    #[test]
    fn no_bytes_hurt_the_readers(bytes in proptest::collection::vec(any::<u8>(), 0..160)) {
        let _ = CsrfToken::parse(&bytes);
        let _ = CsrfCookie::parse(&bytes);
    }
}
