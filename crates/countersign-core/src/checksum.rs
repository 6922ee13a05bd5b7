//! The checksum of a token's text: CRC-32 (IEEE) over the prefix and the first 44 bytes.
//!
//! It is there to tell a mistyped or truncated token from a wrong one before anything is looked
//! up, and to let a secret scanner discard chance matches. It is no protection against forgery.
//!
//! The bytes under it hold a secret, so the usual table of 256 entries would leak them through
//! the cache. `crc32fast` computes blocks of 16 bytes by carry-less multiplication, which has no
//! table, where the processor has that instruction; therefore the message is laid into exactly
//! four such blocks, padded with zeros in front, and the register starts at zero so that the
//! padding does not count.

/// Bytes of a body that the checksum covers.
pub(crate) const COVERED_BYTES: usize = 44;
/// The longest prefix: a deployment's word of 16, an underscore, and three letters.
pub(crate) const PREFIX_MAX: usize = BLOCKS - COVERED_BYTES;
/// Four blocks of 16 bytes: the length has no remainder that would be done by table.
const BLOCKS: usize = 64;

/// A prefix laid out for summing, made once for each prefix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checksum {
    blocks: [u8; BLOCKS],
    /// What the first byte behind the prefix is combined with.
    first: u8,
}

impl Checksum {
    /// Lays out `prefix`, or answers `None` if it is shorter than 3 bytes or longer than
    /// [`PREFIX_MAX`].
    pub(crate) fn new(prefix: &[u8]) -> Option<Self> {
        let room = PREFIX_MAX
            .checked_sub(prefix.len())
            .filter(|_| prefix.len() >= 3)?;
        let mut blocks = [0u8; BLOCKS];
        blocks.get_mut(room..PREFIX_MAX)?.copy_from_slice(prefix);
        // CRC-32 starts from all ones, which is the same as inverting the first four bytes of
        // the message and starting from zero. Behind a prefix of three, one of them is the body's.
        for byte in blocks.get_mut(room..PREFIX_MAX)?.iter_mut().take(4) {
            *byte ^= 0xff;
        }
        let first = if prefix.len() == 3 { 0xff } else { 0 };
        Some(Self { blocks, first })
    }

    /// The checksum of the prefix followed by `covered`.
    #[inline]
    pub(crate) fn over(&self, covered: &[u8; COVERED_BYTES]) -> u32 {
        let mut blocks = self.blocks;
        let (_, tail) = blocks.split_at_mut(PREFIX_MAX);
        tail.copy_from_slice(covered);
        if let Some(first) = tail.first_mut() {
            *first ^= self.first;
        }
        let mut hasher = crc32fast::Hasher::new_with_initial(u32::MAX);
        hasher.update(&blocks);
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_plain_crc_32_over_prefix_and_body() {
        for prefix in ["csa", "csr", "acme_csa", "sixteen_letters__csa"] {
            assert!(prefix.len() <= PREFIX_MAX);
            let covered: [u8; COVERED_BYTES] =
                core::array::from_fn(|i| u8::try_from(i).unwrap() ^ 0xa5);
            let mut plain = prefix.as_bytes().to_vec();
            plain.extend_from_slice(&covered);
            let sum = Checksum::new(prefix.as_bytes()).unwrap().over(&covered);
            assert_eq!(sum, crc32fast::hash(&plain), "{prefix}");
        }
    }

    #[test]
    fn a_prefix_that_does_not_fit_is_refused() {
        assert!(Checksum::new(&[b'a'; PREFIX_MAX]).is_some());
        assert!(Checksum::new(&[b'a'; PREFIX_MAX + 1]).is_none());
        assert!(Checksum::new(b"ab").is_none());
    }
}
