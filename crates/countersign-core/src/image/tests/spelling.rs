//! What other libraries accept, or once accepted, and we do not: `docs/FORMAT.md` has the list.
//!
//! Where a text can be signed with the right key, it is, so that nothing but its spelling is wrong.

use super::super::base64url;
use super::*;
use crate::keys::{KeyMaterial, Keyring};
use crate::world::START;

const HEADER: &str = r#"{"alg":"HS256","kid":"1","typ":"JWT"}"#;
const CLAIMS: &str =
    r#"{"iss":"test","sub":"ann","aud":"image","att":"10001","iat":1795305600,"exp":1795910400}"#;

fn keyring() -> Keyring {
    Keyring::new(&KeyMaterial::generate(START, [1; 32], [2; 32]))
}

fn base64(text: &str) -> String {
    let mut digits = String::new();
    base64url::encode(text.as_bytes(), &mut digits);
    digits
}

/// Signs any header and payload, as they are, with the right key.
fn signed(header: &str, payload: &str) -> String {
    let mut text = format!("{header}.{payload}");
    let keyring = keyring();
    let signature = keyring.image_key().sign(text.as_bytes());
    text.push('.');
    base64url::encode(signature.expose(), &mut text);
    text
}

fn refused(text: &str, why: Rejection) {
    let found = prove(&keyring(), text.as_bytes()).map(|_| ());
    assert_eq!(found, Err(why), "{text}");
}

#[test]
fn the_one_spelling_is_accepted() {
    let text = signed(&base64(HEADER), &base64(CLAIMS));
    assert!(prove(&keyring(), text.as_bytes()).is_ok());
}

#[test]
fn no_other_header_is_accepted_even_with_a_good_signature() {
    for header in [
        r#"{"alg":"none","kid":"1","typ":"JWT"}"#,
        r#"{"alg":"None","kid":"1","typ":"JWT"}"#,
        r#"{"alg":"HS512","kid":"1","typ":"JWT"}"#,
        r#"{"alg":"RS256","kid":"1","typ":"JWT"}"#,
        r#"{"alg":"hs256","kid":"1","typ":"JWT"}"#,
        r#"{"alg":"HS256","typ":"JWT"}"#,
        r#"{"typ":"JWT","alg":"HS256","kid":"1"}"#,
        r#"{"alg":"HS256","kid":"1"}"#,
        r#"{"alg":"HS256","kid":"1","typ":"jwt"}"#,
        r#"{"alg": "HS256","kid":"1","typ":"JWT"}"#,
        r#"{"alg":"HS256","kid":"1","typ":"JWT"} "#,
        r#"{"alg":"HS256","kid":1,"typ":"JWT"}"#,
        r#"{"alg":"HS256","kid":"01","typ":"JWT"}"#,
        r#"{"alg":"HS256","kid":"2","typ":"JWT"}"#,
        r#"{"alg":"HS256","kid":"../1","typ":"JWT"}"#,
        r#"{"alg":"HS256","kid":"1","typ":"JWT","alg":"none"}"#,
        r#"{"alg":"HS256","kid":"1","typ":"JWT","crit":["exp"]}"#,
        r#"{"alg":"HS256","kid":"1","typ":"JWT","b64":false}"#,
        r#"{"alg":"HS256","kid":"1","typ":"JWT","zip":"DEF"}"#,
        r#"{"alg":"HS256","kid":"1","typ":"JWT","jku":"https://example.org/"}"#,
        r#"{"alg":"HS256","kid":"1","typ":"JWT","jwk":{"kty":"oct","k":""}}"#,
        r#"{"\u0061lg":"HS256","kid":"1","typ":"JWT"}"#,
        "",
        "{}",
    ] {
        refused(
            &signed(&base64(header), &base64(CLAIMS)),
            Rejection::Unknown,
        );
    }
    let good = base64(HEADER);
    for spelled in [format!("{good}="), format!("{good}A"), good.to_lowercase()] {
        refused(&signed(&spelled, &base64(CLAIMS)), Rejection::Unknown);
    }
}

#[test]
fn no_other_spelling_of_the_payload_is_accepted_even_with_a_good_signature() {
    let digits = base64(CLAIMS);
    for payload in [
        format!("{digits}="),
        format!("{digits}=="),
        format!("{digits}\n"),
        format!(" {digits}"),
        digits.replacen("i", "+", 1),
        format!("{digits}A"),
        String::new(),
    ] {
        refused(&signed(&base64(HEADER), &payload), Rejection::Malformed);
    }
    // The last digit with bits that stand for nothing.
    let longer = CLAIMS.replacen("ann", "anna", 1);
    for claims in [CLAIMS, &longer, &CLAIMS.replacen("ann", "annab", 1)] {
        let digits = base64(claims);
        assert!(prove(&keyring(), signed(&base64(HEADER), &digits).as_bytes()).is_ok());
        let last = digits.len() - 1;
        let end = digits.as_bytes()[last];
        let spelled = format!("{}{}", &digits[..last], char::from(end + 1));
        if claims.len() % 3 != 0 {
            refused(&signed(&base64(HEADER), &spelled), Rejection::Malformed);
        }
    }
    for claims in [
        CLAIMS.replace(",", ", "),
        CLAIMS.replacen("}", ",\"nbf\":1}", 1),
        CLAIMS.replacen("\"sub\":\"ann\"", "\"sub\":\"ann\",\"sub\":\"bob\"", 1),
        CLAIMS.replacen("1795910400", "\"1795910400\"", 1),
        CLAIMS.replacen("1795910400", "1.7959104e9", 1),
        CLAIMS.replacen("\"image\"", "[\"image\"]", 1),
        CLAIMS.replacen("\"image\"", "\"access\"", 1),
        "{}".to_owned(),
        "null".to_owned(),
    ] {
        refused(
            &signed(&base64(HEADER), &base64(&claims)),
            Rejection::Malformed,
        );
    }
}

#[test]
fn another_number_of_parts_or_another_form_is_malformed() {
    let (header, payload) = (base64(HEADER), base64(CLAIMS));
    let good = signed(&header, &payload);
    let signature = &good[good.len() - 43..];
    for text in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        format!("{header}.{payload}"),
        // Without a signature, which `alg: none` asks to accept.
        format!("{header}.{payload}."),
        format!("{header}..{signature}x"),
        format!("{header}.{signature}"),
        format!("{header}.{payload}.{signature}."),
        format!("{header}.{payload}.{signature}="),
        format!("{header}.{payload}.{}", &signature[1..]),
        format!("{header}.{payload}.x.{signature}"),
        // Five parts are an encrypted token, braces the JSON form of a signed one.
        format!("{header}.a.b.{payload}.{signature}"),
        format!(r#"{{"protected":"{header}","payload":"{payload}","signature":"{signature}"}}"#),
        format!("Bearer {good}\n"),
    ] {
        refused(&text, Rejection::Malformed);
    }
    // A signature whose last digit has bits that stand for nothing.
    let last = char::from(signature.as_bytes()[42] + 1);
    let spelled = format!("{}{last}", &good[..good.len() - 1]);
    refused(&spelled, Rejection::Malformed);
    refused(&signed("", &payload), Rejection::Unknown);
    refused(&signed(&payload, &header), Rejection::Unknown);
}
