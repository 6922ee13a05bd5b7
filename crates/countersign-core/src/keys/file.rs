//! The text of a key file: one root key, the peppers, and a check over all of it.
//!
//! ```text
//! countersign-keys 1
//! root <64 hex digits>
//! pepper <id> <64 hex digits> <made at, RFC 3339>
//! check <32 hex digits>
//! ```
//! Lines end with a line feed, peppers ascend, and nothing else is allowed: there is one text for
//! each set of keys. The check finds damage, which would otherwise look like a wrong key.

use super::{KeyId, KeyMaterial, KeyMaterialError, PEPPERS_MAX, PepperMaterial, keyed_over};
use crate::contexts;
use crate::secret::{SecretKey, SecretText};
use crate::time::Timestamp;
use core::fmt::Write as _;
use zeroize::Zeroizing;

/// The longest key file that is read.
pub const KEY_FILE_MAX: usize = 256 + PEPPERS_MAX * 128;

const HEADER: &str = "countersign-keys 1";

/// Why a text is no key file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// Longer than any key file.
    #[error("a key file has at most {KEY_FILE_MAX} bytes")]
    TooLong,
    /// Its first line is another one.
    #[error("the first line is not `{HEADER}`: this is no key file, or one of a newer version")]
    Header,
    /// A line that does not read as it should.
    #[error("line {line} is not `{expected}`")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What belongs there.
        expected: &'static str,
    },
    /// The lines read well but do not fit their check.
    #[error("the check on the last line does not fit: the file was damaged or edited")]
    Check,
    /// The keys make no keyring.
    #[error(transparent)]
    Material(#[from] KeyMaterialError),
}

/// Writes the text of a key file.
#[must_use]
pub fn write(material: &KeyMaterial) -> SecretText {
    let mut text = String::with_capacity(KEY_FILE_MAX);
    let _ = writeln!(
        text,
        "{HEADER}\nroot {}",
        hex(material.root.expose()).as_str()
    );
    for pepper in &material.peppers {
        let key = hex(pepper.key.expose());
        let _ = writeln!(
            text,
            "pepper {} {} {}",
            pepper.id,
            key.as_str(),
            pepper.created_at
        );
    }
    let check = check(&material.root, text.as_bytes());
    let _ = writeln!(text, "check {}", hex(&check).as_str());
    SecretText::new(text)
}

/// Reads the text of a key file, all of it.
///
/// # Errors
/// The first fault, with the number of its line.
pub fn read(text: &[u8]) -> Result<KeyMaterial, KeyFileError> {
    if text.len() > KEY_FILE_MAX {
        return Err(KeyFileError::TooLong);
    }
    let text = core::str::from_utf8(text).map_err(|_| KeyFileError::Header)?;
    let body = text
        .strip_prefix(HEADER)
        .and_then(|rest| rest.strip_prefix('\n'));
    let body = body.ok_or(KeyFileError::Header)?;
    let body = body.strip_suffix('\n').ok_or(KeyFileError::Check)?;
    let mut lines = body.split('\n');

    let root = lines
        .next()
        .and_then(|line| unhex(line.strip_prefix("root ")?));
    let expected = "root <64 hex digits>";
    let root = SecretKey::from_bytes(*root.ok_or(KeyFileError::Line { line: 2, expected })?);

    let mut peppers = Vec::new();
    let mut sum = None;
    for (line, number) in lines.zip(3usize..) {
        if sum.is_some() || peppers.len() > PEPPERS_MAX {
            return Err(KeyFileError::Line {
                line: number,
                expected: "the end of the file",
            });
        }
        if let Some(digits) = line.strip_prefix("check ") {
            let expected = "check <32 hex digits>";
            let read = unhex::<16>(digits).ok_or(KeyFileError::Line {
                line: number,
                expected,
            })?;
            sum = Some(*read);
        } else {
            let expected = "pepper <id> <64 hex digits> <made at>";
            let read = read_pepper(line).ok_or(KeyFileError::Line {
                line: number,
                expected,
            })?;
            peppers.push(read);
        }
    }

    let material = KeyMaterial::new(root, peppers)?;
    // Writing it again proves the check and that no other spelling was used.
    if sum.is_none() || write(&material).expose() != text {
        return Err(KeyFileError::Check);
    }
    Ok(material)
}

fn read_pepper(line: &str) -> Option<PepperMaterial> {
    let mut words = line.strip_prefix("pepper ")?.split(' ');
    let id = KeyId::new(words.next()?.parse().ok()?)?;
    let key = SecretKey::from_bytes(*unhex(words.next()?)?);
    let created_at = Timestamp::from_rfc3339(words.next()?)?;
    words.next().is_none().then_some(PepperMaterial {
        id,
        key,
        created_at,
    })
}

fn check(root: &SecretKey, text: &[u8]) -> [u8; 16] {
    keyed_over(&super::derive(contexts::KEY_FILE, root), &[text])
}

fn hex(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len().saturating_mul(2)));
    for byte in bytes {
        text.push(hex_digit(byte >> 4));
        text.push(hex_digit(byte & 15));
    }
    text
}

/// By arithmetic, like base62: what is written is a key.
fn hex_digit(value: u8) -> char {
    let letter = u8::from(value >= 10).wrapping_mul(b'a' - b'0' - 10);
    char::from(value.wrapping_add(b'0').wrapping_add(letter))
}

fn unhex<const N: usize>(digits: &str) -> Option<Zeroizing<[u8; N]>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = Zeroizing::new([0u8; N]);
    let mut bad = 0u8;
    for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
        let (high, wrong_high) = hex_value(high);
        let (low, wrong_low) = hex_value(low);
        *byte = (high << 4) | low;
        bad |= wrong_high | wrong_low;
    }
    (bad == 0).then_some(bytes)
}

fn hex_value(digit: u8) -> (u8, u8) {
    let number = digit.wrapping_sub(b'0');
    let letter = digit.wrapping_sub(b'a');
    let is_number = u8::from(number < 10).wrapping_neg();
    let is_letter = u8::from(letter < 6).wrapping_neg();
    let value = (number & is_number) | (letter.wrapping_add(10) & is_letter);
    (value & 15, !(is_number | is_letter))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> KeyMaterial {
        let material = KeyMaterial::generate(Timestamp::from_millis(1000), [0x1f; 32], [0xa0; 32]);
        material
            .rotated(Timestamp::from_millis(2000), [3; 32])
            .unwrap()
    }

    #[test]
    fn it_reads_what_it_wrote() {
        let text = write(&sample());
        let back = read(text.expose().as_bytes()).unwrap();
        assert_eq!(write(&back).expose(), text.expose());
        assert_eq!(back.peppers().count(), 2);
        assert!(text.expose().starts_with("countersign-keys 1\nroot 1f1f"));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let text = write(&sample()).expose().as_bytes().to_vec();
        for at in 0..text.len() {
            for with in [0u8, b'0', b'f', b'\n', 0xff] {
                let mut bad = text.clone();
                bad[at] = with;
                if bad != text {
                    assert!(read(&bad).is_err(), "byte {at} as {with}");
                }
            }
            assert!(read(&text[..at]).is_err(), "cut at {at}");
        }
        assert!(read(&[text.as_slice(), b"\n"].concat()).is_err());
    }

    #[test]
    fn what_is_as_long_as_a_key_file_may_be_is_looked_at() {
        let long = vec![b'x'; KEY_FILE_MAX + 1];
        assert_eq!(read(&long[1..]).unwrap_err(), KeyFileError::Header);
        assert_eq!(read(&long).unwrap_err(), KeyFileError::TooLong);
    }

    #[test]
    fn a_fault_names_its_line() {
        let text = write(&sample()).expose().replace("pepper 2", "pepper two");
        let expected = "pepper <id> <64 hex digits> <made at>";
        assert_eq!(
            read(text.as_bytes()).unwrap_err(),
            KeyFileError::Line { line: 4, expected }
        );
        assert_eq!(read(b"something else").unwrap_err(), KeyFileError::Header);
    }

    proptest! {
        #[test]
        fn no_bytes_hurt_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(read(&bytes).is_err(), "a key file does not come about by chance");
        }

        #[test]
        fn no_lines_hurt_the_reader_and_what_is_read_is_the_one_text(
            lines in proptest::collection::vec(any_line(), 0..8),
        ) {
            let text = format!("{HEADER}\n{}", lines.concat());
            if let Ok(material) = read(text.as_bytes()) {
                prop_assert!(write(&material).expose() == text);
            }
        }

        #[test]
        fn whatever_is_written_is_read(
            ids in proptest::collection::btree_set(1u16.., 1..=32),
            ms in 0..=Timestamp::LAST_PRINTABLE.as_millis(),
        ) {
            let pepper = |id| PepperMaterial {
                id: KeyId::new(id).unwrap(),
                key: SecretKey::from_bytes([9; 32]),
                created_at: Timestamp::from_millis(ms),
            };
            let root = SecretKey::from_bytes([8; 32]);
            let material = KeyMaterial::new(root, ids.into_iter().map(pepper).collect()).unwrap();
            let text = write(&material);
            prop_assert!(text.expose().len() <= KEY_FILE_MAX);
            let back = read(text.expose().as_bytes()).unwrap();
            prop_assert!(write(&back).expose() == text.expose());
        }
    }

    fn any_line() -> impl Strategy<Value = String> {
        prop_oneof![
            "root [0-9a-f]{63,65}\n",
            "pepper [0-9]{1,6} [0-9a-f]{64} [0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,12}Z\n",
            "check [0-9a-f]{32}\n",
            ".{0,80}\n?",
        ]
    }
}
