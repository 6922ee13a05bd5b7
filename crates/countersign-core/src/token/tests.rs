//! Hazard: two texts for one token, a text taken for what it is not, a parser that can be hurt.

use super::*;
use crate::selector::ShardTag;
use crate::time::Timestamp;
use proptest::prelude::*;

fn format() -> TokenFormat {
    TokenFormat::new(None).unwrap()
}

fn token(kind: CredentialKind) -> SplitToken {
    let now = Timestamp::from_millis(1_795_341_296_789);
    let selector = Selector::mint(now, ShardTag::from_bits(0x123), [9; 8]);
    SplitToken::new(
        kind,
        selector,
        Verifier::from_bytes(core::array::from_fn(|i| u8::try_from(i).unwrap())),
    )
}

fn access_text() -> String {
    format()
        .text(&token(CredentialKind::Access))
        .unwrap()
        .expose()
        .to_owned()
}

fn fault(text: &str) -> MalformedToken {
    format()
        .parse(CredentialKind::Access, text.as_bytes())
        .unwrap_err()
}

#[test]
fn every_kind_reads_back_what_it_wrote() {
    for word in [None, Some("acme"), Some("sixteen_letters_")] {
        let Ok(format) = TokenFormat::new(word) else {
            assert_eq!(word, Some("sixteen_letters_"));
            continue;
        };
        assert_eq!(format.word(), word);
        for kind in [
            CredentialKind::Access,
            CredentialKind::Remember,
            CredentialKind::Session,
        ] {
            let text = format.text(&token(kind)).unwrap();
            let back = format.parse_any(text.expose().as_bytes()).unwrap();
            assert_eq!(
                (back.kind(), back.selector()),
                (kind, token(kind).selector())
            );
            assert_eq!(back.verifier().expose(), token(kind).verifier().expose());
        }
    }
}

#[test]
fn the_text_is_the_documented_one() {
    // Made by an implementation that shares no code with ours (Python's zlib and integers).
    let text = "csa_08gsfFk6ncRBlR0enSSqQj001IYT0XLWR0glqewhlWlr1NWOlQOzi1H24GwrxTJZk5";
    assert_eq!(access_text(), text);
}

#[test]
fn each_fault_is_named_in_order() {
    let good = access_text();
    let swap = |at: usize, with: &str| {
        let mut text = good.clone();
        text.replace_range(at..=at, with);
        text
    };
    assert_eq!(fault(""), MalformedToken::Length);
    assert_eq!(
        fault(good.strip_prefix('c').unwrap()),
        MalformedToken::Length
    );
    assert_eq!(fault(&format!("{good} ")), MalformedToken::Length);
    assert_eq!(fault(&swap(2, "r")), MalformedToken::Prefix);
    assert_eq!(fault(&swap(40, "-")), MalformedToken::Digit);
    assert_eq!(fault(&swap(4, "z")), MalformedToken::Overflow);
    let other = if good.ends_with('0') { "1" } else { "0" };
    assert_eq!(fault(&swap(69, other)), MalformedToken::Checksum);
}

#[test]
fn a_body_whose_selector_is_no_uuidv7_is_refused_after_the_checksum() {
    let format = format();
    let mut body = [0u8; BODY_BYTES];
    let covered: [u8; COVERED_BYTES] = [0; COVERED_BYTES];
    body[COVERED_BYTES..].copy_from_slice(&format.access.checksum.over(&covered).to_be_bytes());
    let digits =
        String::from_utf8(base62::encode::<BODY_BYTES, BODY_DIGITS>(&body).to_vec()).unwrap();
    assert_eq!(fault(&format!("csa_{digits}")), MalformedToken::Version);
}

#[test]
fn one_kind_is_never_taken_for_another() {
    let text = format().text(&token(CredentialKind::Remember)).unwrap();
    assert_eq!(fault(text.expose()), MalformedToken::Prefix);
    // Nor does the digits' checksum fit under the other prefix.
    let forged = text.expose().replacen("csr_", "csa_", 1);
    assert_eq!(fault(&forged), MalformedToken::Checksum);
    let image = format().parse(CredentialKind::Image, b"x");
    assert_eq!(image.unwrap_err(), MalformedToken::Prefix);
}

#[test]
fn words_are_bounded() {
    for good in ["a", "acme", "a1_b", "abcdefghijklmnop"] {
        assert!(TokenFormat::new(Some(good)).is_ok(), "{good}");
    }
    for bad in [
        "",
        "A",
        "acme_",
        "_acme",
        "1acme",
        "a-b",
        "abcdefghijklmnopq",
        "\u{e9}",
    ] {
        assert_eq!(
            TokenFormat::new(Some(bad)).unwrap_err(),
            InvalidWord,
            "{bad}"
        );
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_never_have_two_texts(
        bytes in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        if let Ok(token) = format().parse_any(&bytes) {
            let text = format().text(&token).unwrap();
            prop_assert_eq!(text.expose().as_bytes(), &bytes[..]);
        }
    }

    #[test]
    fn every_changed_character_is_noticed(at in 0usize..70, with in any::<u8>()) {
        let good = access_text().into_bytes();
        let mut bad = good.clone();
        bad[at] = with;
        prop_assume!(bad != good);
        prop_assert!(format().parse_any(&bad).is_err());
    }
}
