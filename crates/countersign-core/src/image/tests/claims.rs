//! The claims have one text, and whatever else is valid JSON is refused.

use super::*;
use crate::text::ServerId;
use crate::time::Timestamp;
use proptest::prelude::*;

const GOOD: &str = concat!(
    r#"{"iss":"tracker","sub":"ann","aud":"image","att":"10001","#,
    r#""iat":1795305600,"exp":1795910400}"#,
);

fn claims(principal: &str, attachment: &str, iat_ms: u64, exp_s: u64) -> ImageClaims {
    ImageClaims {
        issuer: ServerId::new("tracker").unwrap(),
        principal: Principal::new(principal).unwrap(),
        attachment: named(attachment),
        issued_at: Timestamp::from_millis(iat_ms),
        expires_at: Timestamp::from_millis(exp_s * 1000),
    }
}

fn refused(json: &str) {
    let read = ImageClaims::parse(json.as_bytes());
    assert_eq!(read, Err(MalformedClaims), "{json}");
}

#[test]
fn the_text_is_what_it_always_was() {
    let plain = claims("ann", "10001", 1_795_305_600_000, 1_795_910_400);
    assert_eq!(plain.to_json(), GOOD);
    let odd = claims("a\"\\b\u{e9}/", "\\", 1_795_305_600_007, 1);
    let expected = "{\"iss\":\"tracker\",\"sub\":\"a\\\"\\\\b\u{e9}/\",\"aud\":\"image\",\
                    \"att\":\"\\\\\",\"iat\":1795305600.007,\"exp\":1}";
    assert_eq!(odd.to_json(), expected);
    assert_eq!(ImageClaims::parse(expected.as_bytes()), Ok(odd));
}

#[test]
fn the_first_instant_there_is_has_one_digit_and_is_read() {
    let first = claims("ann", "10001", 0, 0);
    let json = first.to_json();
    assert!(json.ends_with("\"iat\":0,\"exp\":0}"), "{json}");
    assert_eq!(ImageClaims::parse(json.as_bytes()), Ok(first));
}

#[test]
fn the_longest_claims_are_within_the_bound() {
    let longest = ImageClaims {
        issuer: ServerId::new(&"x".repeat(ServerId::MAX_BYTES)).unwrap(),
        principal: Principal::new(&"\"".repeat(Principal::MAX_BYTES)).unwrap(),
        attachment: named(&"\\".repeat(AttachmentId::MAX_BYTES)),
        issued_at: Timestamp::MAX,
        expires_at: Timestamp::MAX,
    };
    let json = longest.to_json();
    // What the latest instant lacks are its milliseconds.
    assert_eq!(json.len() + 4, super::super::claims::CLAIMS_MAX);
    let back = ImageClaims::parse(json.as_bytes()).unwrap();
    assert_eq!(back.to_json(), json);
}

/// All of these are read by libraries as the same claims, or as claims that somebody believed.
#[test]
fn every_other_spelling_is_refused() {
    let swap = |from: &str, to: &str| {
        assert!(GOOD.contains(from), "{from}");
        refused(&GOOD.replacen(from, to, 1));
    };
    // Blanks, line ends, marks in front, bytes behind.
    swap(",", ", ");
    swap(":", ": ");
    swap("}", "\n}");
    refused(&format!(" {GOOD}"));
    refused(&format!("{GOOD}\n"));
    refused(&format!("{GOOD}{GOOD}"));
    refused(&format!("\u{feff}{GOOD}"));
    refused(&format!("[{GOOD}]"));
    // Another order, a claim left out, one twice, one more.
    refused(r#"{"sub":"ann","iss":"tracker","aud":"image","att":"10001","iat":1,"exp":2}"#);
    for claim in [
        r#""iss":"tracker","#,
        r#""sub":"ann","#,
        r#""aud":"image","#,
        r#""att":"10001","#,
        r#""iat":1795305600,"#,
        r#","exp":1795910400"#,
    ] {
        swap(claim, "");
        let again = format!(",{}", claim.trim_matches(','));
        refused(&GOOD.replace('}', &format!("{again}}}")));
    }
    swap("}", r#","nbf":1}"#);
    swap("}", r#","jti":"a"}"#);
    swap("}", r#","admin":true}"#);
    // Names and texts in another spelling.
    swap("\"iss\"", "\"\\u0069ss\"");
    swap("\"iss\"", "\"ISS\"");
    swap("\"ann\"", "\"\\u0061nn\"");
    swap("\"ann\"", "\"ann\\/\"");
    swap("\"ann\"", "\"ann\\n\"");
    swap("\"ann\"", "\"a\nn\"");
    swap("\"ann\"", "'ann'");
    swap("\"ann\"", "\"\"");
    swap("\"ann\"", "\" ann\"");
    swap("\"ann\"", "null");
    swap("\"ann\"", "7");
    swap("\"ann\"", "[\"ann\"]");
    swap("\"tracker\"", "\"track\\\\er\"");
    // Another audience, or several.
    swap("\"image\"", "\"images\"");
    swap("\"image\"", "[\"image\"]");
    swap("\"image\"", "[\"image\",\"api\"]");
    swap("\"10001\"", "10001");
    // Numbers in another spelling, and what is none.
    for number in [
        "01795305600",
        "+1795305600",
        "-1",
        "1795305600.0",
        "1795305600.000",
        "1795305600.5",
        "1795305600.0071",
        "1795305600.",
        "1.7953056e9",
        "17953056E2",
        "\"1795305600\"",
        "null",
        "",
        "NaN",
        "0x1",
        "1_000",
        "17953056000000000",
        "99999999999999999999999",
    ] {
        swap("1795305600", number);
        swap("1795910400", number);
    }
    swap("1795910400", "1795910400.007");
    swap("1795910400", "00");
    for cut in 0..GOOD.len() {
        refused(&GOOD[..cut]);
    }
    assert!(ImageClaims::parse(b"{\"iss\":\"\xff\"").is_err());
}

proptest! {
    #[test]
    fn whatever_is_written_is_read(
        principal in "[a-z\"\\\\\u{e9}\u{1f511}/]{1,60}",
        attachment in "[0-9\"\\\\]{1,60}",
        iat in 0..=9_999_999_999_999_999_999u64,
        exp in 0..=9_999_999_999_999_999u64,
    ) {
        let iat = iat.min(9_999_999_999_999_999_000);
        let claims = claims(&principal, &attachment, iat, exp);
        prop_assert_eq!(ImageClaims::parse(claims.to_json().as_bytes()), Ok(claims));
    }

    #[test]
    fn whatever_is_read_was_written(
        sub in "[ -~]{0,12}",
        att in "[ -~]{0,12}",
        iat in "[0-9]{0,17}(\\.[0-9]{0,4})?",
        exp in "[0-9]{0,17}",
    ) {
        let json = format!(
            "{{\"iss\":\"t\",\"sub\":\"{sub}\",\"aud\":\"image\",\"att\":\"{att}\",\
             \"iat\":{iat},\"exp\":{exp}}}"
        );
        if let Ok(claims) = ImageClaims::parse(json.as_bytes()) {
            prop_assert_eq!(claims.to_json(), json);
        }
    }

    #[test]
    fn no_bytes_hurt_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = ImageClaims::parse(&bytes);
    }
}
