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

/// Reads all of `text` into the front of `room`, or nothing: what does not fit is not read.
pub(super) fn decode<'a>(text: &[u8], room: &'a mut [u8]) -> Option<&'a [u8]> {
    let bytes = room.get_mut(..decoded_len(text.len())?)?;
    decode_into(text, bytes)?;
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

/// Digits that are read side by side, and the bytes that they stand for.
const DIGITS: usize = 64;
const BYTES: usize = 48;

/// `bytes` is as long as [`decoded_len`] says.
fn decode_into(text: &[u8], bytes: &mut [u8]) -> Option<()> {
    let (blocks, rest) = text.as_chunks::<DIGITS>();
    let (whole, tail) = bytes.as_chunks_mut::<BYTES>();
    let mut wrong = 0;
    for (block, out) in blocks.iter().zip(whole) {
        let (values, bad) = values_of(block);
        *out = pack(&values);
        wrong |= bad;
    }
    // What is missing counts as the digit zero, and what it stands for must be zero.
    let mut last = [b'A'; DIGITS];
    last.get_mut(..rest.len())?.copy_from_slice(rest);
    let (values, bad) = values_of(&last);
    let packed = pack(&values);
    let (kept, left_over) = packed.split_at_checked(tail.len())?;
    tail.copy_from_slice(kept);
    wrong |= left_over.iter().fold(bad, |all, byte| all | byte);
    (wrong == 0).then_some(())
}

/// The values of digits, and not zero if one of them is none.
///
/// The same for each digit and without a branch, so that a compiler does eight or more at once.
#[inline]
fn values_of(digits: &[u8; DIGITS]) -> ([u8; DIGITS], u8) {
    let mut values = [0; DIGITS];
    let mut all = 0;
    for (value, digit) in values.iter_mut().zip(digits) {
        let found = value_of(*digit);
        all |= found;
        [*value, _] = found.to_le_bytes();
    }
    // One that is none is negative, and so are all together.
    let [_, wrong] = all.to_le_bytes();
    (values, wrong)
}

/// The bytes of values of six bits: eight of them are put together at once, by pairs, by fours, and
/// then all.
#[inline]
fn pack(values: &[u8; DIGITS]) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    let (eights, _) = values.as_chunks::<8>();
    let (sixes, _) = bytes.as_chunks_mut::<6>();
    for (eight, six) in eights.iter().zip(sixes) {
        let all = u64::from_be_bytes(*eight);
        let all = ((all & 0x3f00_3f00_3f00_3f00) >> 2) | (all & 0x003f_003f_003f_003f);
        let all = ((all & 0x0fff_0000_0fff_0000) >> 4) | (all & 0x0000_0fff_0000_0fff);
        let all = ((all & 0x00ff_ffff_0000_0000) >> 8) | (all & 0x0000_0000_00ff_ffff);
        let [_, _, read @ ..] = all.to_be_bytes();
        *six = read;
    }
    bytes
}

/// The four digits of three bytes.
fn quad(a: u8, b: u8, c: u8) -> [char; 4] {
    let value = u32::from_be_bytes([0, a, b, c]);
    [18, 12, 6, 0].map(|shift| char::from(digit_of(six_bits(value >> shift))))
}

const fn six_bits(value: u32) -> u8 {
    (value & 63) as u8
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

/// The value of a digit, and -1 if it is none.
#[inline]
const fn value_of(digit: u8) -> i16 {
    let digit = digit as i16;
    // Each is one more than the value, so that none of them is zero.
    let upper = within(digit, b'A', b'Z') & digit.wrapping_sub(64);
    let lower = within(digit, b'a', b'z') & digit.wrapping_sub(70);
    let number = within(digit, b'0', b'9') & digit.wrapping_add(5);
    let minus = within(digit, b'-', b'-') & 63;
    let under = within(digit, b'_', b'_') & 64;
    // And at most one of them applies.
    (upper | lower | number | minus | under).wrapping_sub(1)
}

/// All ones if a byte is in a range, else zero.
#[inline]
const fn within(byte: i16, first: u8, last: u8) -> i16 {
    let from_first = (first as i16).wrapping_sub(1).wrapping_sub(byte);
    let to_last = byte.wrapping_sub(last as i16).wrapping_sub(1);
    // Both are negative in the range alone, and never below -256.
    (from_first & to_last) >> 8
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

    fn read(text: &str) -> Option<Vec<u8>> {
        decode(text.as_bytes(), &mut [0; 200]).map(<[u8]>::to_vec)
    }

    fn text(bytes: &[u8]) -> String {
        let mut text = String::new();
        encode(bytes, &mut text);
        text
    }

    #[test]
    fn digits_and_values_are_the_alphabet() {
        for (value, &digit) in (0u8..).zip(ALPHABET) {
            assert_eq!(digit_of(value), digit);
            assert_eq!(value_of(digit), i16::from(value));
        }
        for digit in (0..=255u8).filter(|c| !ALPHABET.contains(c)) {
            assert_eq!(value_of(digit), -1, "{digit} is no digit");
        }
    }

    #[test]
    fn the_examples_of_the_rfc_without_their_padding() {
        let examples = ["", "Zg", "Zm8", "Zm9v", "Zm9vYg", "Zm9vYmE", "Zm9vYmFy"];
        for (len, example) in examples.into_iter().enumerate() {
            assert_eq!(text(&b"foobar"[..len]), example);
            assert_eq!(read(example).unwrap(), &b"foobar"[..len]);
            assert_eq!(digits_for(len), example.len());
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for bad in [
            "Z", "Zh", "Zm9", "Zg==", "Zm8=", "Zm9vY", " Zg", "Zg\n", "Z+g/", "Zm9vYh",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        let good = text(&[0xff; 32]);
        let mut digits: [u8; 43] = good.as_bytes().try_into().unwrap();
        assert_eq!(decode_32(&digits), Some([0xff; 32]));
        for spare in [b'9', b'-', b'_'] {
            digits[42] = spare;
            assert_eq!(decode_32(&digits), None, "bits are left over");
        }
    }

    #[test]
    fn what_has_no_room_is_not_read() {
        for (room, fits) in [(5, false), (6, true), (7, true)] {
            let mut room = vec![0; room];
            assert_eq!(decode(b"Zm9vYmFy", &mut room).is_some(), fits);
        }
    }

    proptest! {
        #[test]
        fn one_text_for_each_byte_string(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(read(&text(&bytes)), Some(bytes));
        }

        #[test]
        fn whatever_is_read_is_written_back_the_same(
            given in "[A-Za-z0-9_-]{0,12}|[ -~]{0,12}|[A-Za-z0-9_-]{60,140}",
        ) {
            if let Some(bytes) = read(&given) {
                prop_assert_eq!(text(&bytes), given);
            }
        }

        /// Wherever it stands, in a block of digits or across two.
        #[test]
        fn one_wrong_digit_spoils_all(at in 0..200usize, wrong in any::<u8>()) {
            prop_assume!(!ALPHABET.contains(&wrong));
            let mut digits = [b'Q'; 200];
            digits[at] = wrong;
            prop_assert!(decode(&digits, &mut [0; 200]).is_none());
        }
    }
}
