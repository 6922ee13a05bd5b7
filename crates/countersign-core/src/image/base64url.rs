//! Base64url without padding (RFC 4648, section 5), strictly: one text for each byte string.
//!
//! What is left over in the last digit must be zero, no other alphabet is taken, and no digit
//! indexes a table: a signature is good for a request until it expires.

/// Digits for so many bytes.
pub(super) const fn digits_for(bytes: usize) -> usize {
    bytes.saturating_mul(8).div_ceil(6)
}

/// Writes `bytes` behind `text`.
pub(super) fn encode(bytes: &[u8], text: &mut String) {
    let (whole, rest) = bytes.as_chunks::<3>();
    for &[a, b, c] in whole {
        text.extend(quad(a, b, c));
    }
    match *rest {
        [a] => text.extend(quad(a, 0, 0).into_iter().take(2)),
        [a, b] => text.extend(quad(a, b, 0).into_iter().take(3)),
        _ => {}
    }
}

/// Reads all of `text`, or nothing.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = vec![0; decoded_len(text.len())?];
    decode_into(text, &mut bytes)?;
    Some(bytes)
}

/// Reads 43 digits as the 32 bytes that they stand for.
pub(super) fn decode_32(text: &[u8; 43]) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    decode_into(text, &mut bytes)?;
    Some(bytes)
}

/// How many bytes so many digits stand for; one left over stands for none.
const fn decoded_len(digits: usize) -> Option<usize> {
    let whole = (digits / 4).saturating_mul(3);
    match digits % 4 {
        0 => Some(whole),
        2 => Some(whole.saturating_add(1)),
        3 => Some(whole.saturating_add(2)),
        _ => None,
    }
}

/// `bytes` is as long as [`decoded_len`] says.
fn decode_into(text: &[u8], bytes: &mut [u8]) -> Option<()> {
    let (quads, rest) = text.as_chunks::<4>();
    let (whole, tail) = bytes.as_chunks_mut::<3>();
    let mut bad = 0;
    for (quad, out) in quads.iter().zip(whole) {
        let (value, wrong) = value_of_quad(*quad);
        let [_, a, b, c] = value.to_be_bytes();
        *out = [a, b, c];
        bad |= wrong;
    }
    // What is missing counts as the digit zero, and what would be written there must be zero.
    let last = match *rest {
        [a, b] => [a, b, b'A', b'A'],
        [a, b, c] => [a, b, c, b'A'],
        _ => [b'A'; 4],
    };
    let (value, wrong) = value_of_quad(last);
    let [_, a, b, c] = value.to_be_bytes();
    let mut spare = [a, b, c].into_iter();
    for slot in tail {
        *slot = spare.next()?;
    }
    let left_over = spare.fold(0, |all, byte| all | byte);
    ((bad | wrong | left_over) == 0).then_some(())
}

/// The four digits of three bytes.
fn quad(a: u8, b: u8, c: u8) -> [char; 4] {
    let value = u32::from_be_bytes([0, a, b, c]);
    [18, 12, 6, 0].map(|shift| char::from(digit_of(six_bits(value >> shift))))
}

const fn six_bits(value: u32) -> u8 {
    (value & 63) as u8
}

/// The value of four digits, and whether one of them is none.
#[inline]
fn value_of_quad(digits: [u8; 4]) -> (u32, u8) {
    let [(a, bad_a), (b, bad_b), (c, bad_c), (d, bad_d)] = digits.map(value_of);
    let value = (u32::from(a) << 18) | (u32::from(b) << 12) | (u32::from(c) << 6) | u32::from(d);
    (value, bad_a | bad_b | bad_c | bad_d)
}

/// The digit for a value below 64.
#[inline]
fn digit_of(value: u8) -> u8 {
    // From 'A' on; then steps to 'a', to '0', to '-' and to '_'.
    let lower = mask(value >= 26) & 6;
    let number = mask(value >= 52) & 75;
    let minus = mask(value >= 62) & 13;
    let under = mask(value >= 63) & 49;
    value
        .wrapping_add(b'A')
        .wrapping_add(lower)
        .wrapping_sub(number)
        .wrapping_sub(minus)
        .wrapping_add(under)
}

/// The value of a digit, and 255 if it is none.
#[inline]
fn value_of(digit: u8) -> (u8, u8) {
    let (upper, lower) = (digit.wrapping_sub(b'A'), digit.wrapping_sub(b'a'));
    let number = digit.wrapping_sub(b'0');
    let is_upper = mask(upper < 26);
    let is_lower = mask(lower < 26);
    let is_number = mask(number < 10);
    let is_minus = mask(digit == b'-');
    let is_under = mask(digit == b'_');
    let value = (upper & is_upper)
        | (lower.wrapping_add(26) & is_lower)
        | (number.wrapping_add(52) & is_number)
        | (62 & is_minus)
        | (63 & is_under);
    (
        value,
        !(is_upper | is_lower | is_number | is_minus | is_under),
    )
}

/// All ones if `yes`, else zero, without a branch.
#[inline]
fn mask(yes: bool) -> u8 {
    u8::from(yes).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    fn text(bytes: &[u8]) -> String {
        let mut text = String::new();
        encode(bytes, &mut text);
        text
    }

    #[test]
    fn digits_and_values_are_the_alphabet() {
        for (value, &digit) in (0u8..).zip(ALPHABET) {
            assert_eq!(digit_of(value), digit);
            assert_eq!(value_of(digit), (value, 0));
        }
        for digit in (0..=255u8).filter(|c| !ALPHABET.contains(c)) {
            assert_eq!(value_of(digit).1, 255, "{digit} is no digit");
        }
    }

    #[test]
    fn the_examples_of_the_rfc_without_their_padding() {
        let examples = ["", "Zg", "Zm8", "Zm9v", "Zm9vYg", "Zm9vYmE", "Zm9vYmFy"];
        for (len, example) in examples.into_iter().enumerate() {
            assert_eq!(text(&b"foobar"[..len]), example);
            assert_eq!(decode(example.as_bytes()).unwrap(), &b"foobar"[..len]);
            assert_eq!(digits_for(len), example.len());
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for bad in [
            "Z", "Zh", "Zm9", "Zg==", "Zm8=", "Zm9vY", " Zg", "Zg\n", "Z+g/", "Zm9vYh",
        ] {
            assert_eq!(decode(bad.as_bytes()), None, "{bad}");
        }
        let good = text(&[0xff; 32]);
        let mut digits: [u8; 43] = good.as_bytes().try_into().unwrap();
        assert_eq!(decode_32(&digits), Some([0xff; 32]));
        for spare in [b'9', b'-', b'_'] {
            digits[42] = spare;
            assert_eq!(decode_32(&digits), None, "bits are left over");
        }
    }

    proptest! {
        #[test]
        fn one_text_for_each_byte_string(bytes in proptest::collection::vec(any::<u8>(), 0..70)) {
            prop_assert_eq!(decode(text(&bytes).as_bytes()), Some(bytes));
        }

        #[test]
        fn whatever_is_read_is_written_back_the_same(read in "[A-Za-z0-9_-]{0,12}|[ -~]{0,12}") {
            if let Some(bytes) = decode(read.as_bytes()) {
                prop_assert_eq!(text(&bytes), read);
            }
        }
    }
}
