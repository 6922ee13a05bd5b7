//! Groups of 8 bytes to 11 base62 digits each and back, by arithmetic alone.
//!
//! A group is big-endian and written in digits of `0-9A-Za-z`: a split token's body has six
//! groups, a form token four.
//! No table is indexed by a digit and no branch depends on one: what is decoded here may be a
//! secret, and only "malformed or not" is let out.
//! This is not a general codec: a length is fixed when it is compiled, so there is one text for
//! each value.

/// Bytes of a token's body.
pub(crate) const BODY_BYTES: usize = 48;
/// Digits of a token's body.
pub(crate) const BODY_DIGITS: usize = 66;

const GROUP_BYTES: usize = 8;
const GROUP_DIGITS: usize = 11;
/// Groups of a token's body.
pub(crate) const GROUPS: usize = BODY_BYTES / GROUP_BYTES;
const BASE: u64 = 62;
/// What two digits stand for.
const BASE_2: u64 = 62 * 62;
/// What four digits stand for.
const BASE_4: u64 = BASE_2 * BASE_2;
/// Digits that are read at once.
const LANE: usize = 16;
/// Lanes that hold the longest text.
const LANES: usize = BODY_DIGITS.div_ceil(LANE);

/// Why a body is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base62Error {
    /// A character that is no digit.
    Digit,
    /// A group above 2^64 - 1.
    Overflow,
}

/// Whether so many digits are whole groups, are what so many bytes are written in, and fit.
const fn fits(bytes: usize, digits: usize) -> bool {
    bytes.is_multiple_of(GROUP_BYTES)
        && digits.is_multiple_of(GROUP_DIGITS)
        && bytes / GROUP_BYTES == digits / GROUP_DIGITS
        && digits <= BODY_DIGITS
}

/// Writes `body` as digits.
pub(crate) fn encode<const BYTES: usize, const DIGITS: usize>(body: &[u8; BYTES]) -> [u8; DIGITS] {
    const { assert!(fits(BYTES, DIGITS), "another number of digits") };
    let mut text = [0u8; DIGITS];
    let (groups, _) = body.as_chunks::<GROUP_BYTES>();
    let (digits, _) = text.as_chunks_mut::<GROUP_DIGITS>();
    for (group, out) in groups.iter().zip(digits) {
        let mut rest = u64::from_be_bytes(*group);
        for slot in out.iter_mut().rev() {
            // The remainder is below 62, so the cast keeps it whole.
            *slot = digit_of((rest % BASE) as u8);
            rest /= BASE;
        }
    }
    text
}

/// Digits that were written here, as the text that they are.
pub(crate) fn as_text(digits: &[u8]) -> &str {
    // Digits are ASCII: the other case does not happen.
    core::str::from_utf8(digits).unwrap_or_default()
}

/// Reads all the digits as bytes, in time that does not depend on their values.
#[inline]
pub(crate) fn decode<const DIGITS: usize, const BYTES: usize>(
    text: &[u8; DIGITS],
) -> Result<[u8; BYTES], Base62Error> {
    const { assert!(fits(BYTES, DIGITS), "another number of bytes") };
    let mut body = [0u8; BYTES];
    let (groups, _) = body.as_chunks_mut::<GROUP_BYTES>();
    let words = words::<DIGITS, GROUPS>(text)?;
    for (out, word) in groups.iter_mut().zip(words) {
        *out = word.to_be_bytes();
    }
    Ok(body)
}

/// Reads the groups of all the digits, in time that does not depend on their values. What lies
/// beyond the last group is zero.
#[inline]
pub(crate) fn words<const DIGITS: usize, const WORDS: usize>(
    text: &[u8; DIGITS],
) -> Result<[u64; WORDS], Base62Error> {
    const { assert!(DIGITS / GROUP_DIGITS <= WORDS, "no room for all groups") };
    // Padded with the digit zero to whole lanes, which the compiler turns into vector code.
    let mut padded = [b'0'; LANES * LANE];
    let (used, _) = padded.split_at_mut(DIGITS);
    used.copy_from_slice(text);
    let mut values = [0u8; LANES * LANE];
    let mut bad = [0u8; LANE];
    let (lanes, _) = padded.as_chunks::<LANE>();
    let outs = values.as_chunks_mut::<LANE>().0;
    for (lane, out) in lanes.iter().zip(outs).take(DIGITS.div_ceil(LANE)) {
        lane_values(lane, out, &mut bad);
    }

    let mut words = [0; WORDS];
    let mut over = 0u64;
    let (digits, _) = values.as_chunks::<GROUP_DIGITS>();
    let groups = digits.iter().take(DIGITS / GROUP_DIGITS);
    for (group, out) in groups.zip(&mut words) {
        let (value, high) = group_value(group);
        over |= high;
        *out = value;
    }

    // One exit for each fault, taken only after all digits were read.
    if u128::from_ne_bytes(bad) != 0 {
        return Err(Base62Error::Digit);
    }
    if over != 0 {
        return Err(Base62Error::Overflow);
    }
    Ok(words)
}

/// The values of sixteen digits; `bad` gathers what is none.
#[inline]
fn lane_values(digits: &[u8; LANE], values: &mut [u8; LANE], bad: &mut [u8; LANE]) {
    for ((&digit, value), bad) in digits.iter().zip(values).zip(bad) {
        let (v, wrong) = value_of(digit);
        *value = v;
        *bad |= wrong;
    }
}

/// The value of eleven digits: its low 64 bits, and what lies above them.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the two halves of a 128-bit product"
)]
#[inline]
fn group_value(digits: &[u8; GROUP_DIGITS]) -> (u64, u64) {
    let [a, b, c, d, e, f, g, h, i, j, last] = digits.map(u64::from);
    // Ten digits stay below 2^60, so these sums cannot wrap; only the eleventh can go over. In
    // pairs, so that the multiplications do not wait for one another.
    let six = join(
        join(join(a, b, BASE), join(c, d, BASE), BASE_2),
        join(e, f, BASE),
        BASE_2,
    );
    let four = join(join(g, h, BASE), join(i, j, BASE), BASE_2);
    let ten = join(six, four, BASE_4);
    let all = u128::from(ten)
        .wrapping_mul(u128::from(BASE))
        .wrapping_add(u128::from(last));
    (all as u64, (all >> 64) as u64)
}

/// Two numbers written one behind the other, the second with as many digits as `base` stands for.
#[inline]
fn join(high: u64, low: u64, base: u64) -> u64 {
    high.wrapping_mul(base).wrapping_add(low)
}

/// The digit for a value below 62.
#[inline]
fn digit_of(value: u8) -> u8 {
    // '0'..'9', then a step of 7 to 'A', then a step of 6 to 'a'.
    let upper = mask(value >= 10) & 7;
    let lower = mask(value >= 36) & 6;
    value
        .wrapping_add(b'0')
        .wrapping_add(upper)
        .wrapping_add(lower)
}

/// The value of a digit, and 255 if it is none.
#[inline]
fn value_of(digit: u8) -> (u8, u8) {
    let number = digit.wrapping_sub(b'0');
    let upper = digit.wrapping_sub(b'A');
    let lower = digit.wrapping_sub(b'a');
    let is_number = mask(number < 10);
    let is_upper = mask(upper < 26);
    let is_lower = mask(lower < 26);
    let value = (number & is_number)
        | (upper.wrapping_add(10) & is_upper)
        | (lower.wrapping_add(36) & is_lower);
    (value, !(is_number | is_upper | is_lower))
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

    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    #[test]
    fn digits_and_values_are_the_alphabet() {
        for (value, &digit) in (0u8..).zip(ALPHABET) {
            assert_eq!(digit_of(value), digit);
            assert_eq!(value_of(digit), (value, 0));
        }
        let strangers = (0..=255u8).filter(|c| !ALPHABET.contains(c));
        for digit in strangers {
            assert_eq!(value_of(digit).1, 255, "{digit} is no digit");
        }
    }

    #[test]
    fn the_largest_group_is_read_and_the_next_overflows() {
        largest_and_next::<BODY_BYTES, BODY_DIGITS>();
        largest_and_next::<32, 44>();
        largest_and_next::<8, 11>();
    }

    fn largest_and_next<const BYTES: usize, const DIGITS: usize>() {
        let largest: [u8; DIGITS] = encode(&[255; BYTES]);
        assert_eq!(decode(&largest), Ok([255; BYTES]));
        for last in (10..DIGITS).step_by(GROUP_DIGITS) {
            assert!(largest[..=last].ends_with(b"LygHa16AHYF"));
            let mut next = largest;
            next[last] = b'G';
            assert_eq!(decode::<DIGITS, BYTES>(&next), Err(Base62Error::Overflow));
            next[last] = b'-';
            assert_eq!(decode::<DIGITS, BYTES>(&next), Err(Base62Error::Digit));
        }
        let all = decode::<DIGITS, BYTES>(&[b'z'; DIGITS]);
        assert_eq!(all, Err(Base62Error::Overflow));
    }

    #[test]
    fn every_digit_is_looked_at() {
        let zeros = [b'0'; 44];
        for place in 0..44 {
            let mut text = zeros;
            text[place] = b'1';
            assert!(
                matches!(decode::<44, 32>(&text), Ok(body) if body != [0; 32]),
                "{place}"
            );
            text[place] = b'_';
            assert_eq!(decode::<44, 32>(&text), Err(Base62Error::Digit), "{place}");
        }
    }

    proptest! {
        #[test]
        fn one_text_for_each_value(
            body in proptest::array::uniform32(any::<u8>()),
            tail in any::<[u8; 16]>(),
        ) {
            let mut bytes = [0u8; BODY_BYTES];
            bytes[..32].copy_from_slice(&body);
            bytes[32..].copy_from_slice(&tail);
            let text: [u8; BODY_DIGITS] = encode(&bytes);
            prop_assert_eq!(decode(&text), Ok(bytes));
            // A shorter text is the beginning of the longer one.
            let short: [u8; 44] = encode(&body);
            prop_assert_eq!(&short, text.first_chunk::<44>().unwrap());
            prop_assert_eq!(decode(&short), Ok(body));
        }

        #[test]
        fn whatever_is_read_is_written_back_the_same(
            text in proptest::collection::vec(0usize..62, BODY_DIGITS),
        ) {
            let digits: Vec<u8> = text.iter().map(|&i| ALPHABET[i]).collect();
            let digits: [u8; BODY_DIGITS] = digits.try_into().unwrap();
            if let Ok(body) = decode::<BODY_DIGITS, BODY_BYTES>(&digits) {
                prop_assert_eq!(encode(&body), digits);
            }
            let digits = digits.first_chunk::<44>().unwrap();
            if let Ok(body) = decode::<44, 32>(digits) {
                prop_assert_eq!(encode(&body), *digits);
            }
        }
    }
}
