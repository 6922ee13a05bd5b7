//! An input that is read as choices, one after the other, and inputs that are drawn from a number.

/// What is left of an input.
///
/// Behind its end there are zeros, so that an input that was cut is still one, and a shorter one.
#[derive(Clone, Debug)]
pub struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    /// All of an input.
    #[must_use]
    pub const fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// At most so many bytes as they stand there.
    pub fn slice(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        self.slice(usize::MAX)
    }

    /// So many bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let taken = self.slice(N);
        let mut bytes = [0; N];
        bytes[..taken.len()].copy_from_slice(taken);
        bytes
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        let [byte] = self.bytes();
        byte
    }

    /// A number below `sides`, which is at most 256.
    pub fn below(&mut self, sides: usize) -> usize {
        usize::from(self.byte()) % sides.max(1)
    }

    /// Yes or no.
    pub fn flag(&mut self) -> bool {
        self.below(2) == 1
    }

    /// A small number, the largest, or any.
    pub fn number(&mut self) -> u64 {
        match self.byte() {
            0xff => u64::MAX,
            0xfe => u64::from_be_bytes(self.bytes()),
            small => small.into(),
        }
    }

    /// A text behind a byte with its length, as far as it is UTF-8.
    pub fn text(&mut self) -> &'a str {
        let len = self.byte();
        let bytes = self.slice(len.into());
        let whole = core::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
        core::str::from_utf8(&bytes[..whole]).unwrap_or_default()
    }

    /// Something or nothing.
    pub fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| make(self))
    }

    /// Makes steps until the input is over, or so many are made; answers how many were. Each is
    /// told its number, from one on.
    pub fn steps(&mut self, most: u64, mut step: impl FnMut(&mut Self, u64)) -> u64 {
        let mut made = 0;
        while made < most && !self.is_over() {
            made += 1;
            step(self, made);
        }
        made
    }

    /// Bytes with others put in their places: two bytes of place and one of contents for each, as
    /// long as there are any.
    #[must_use]
    pub fn changed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut changed = bytes.to_vec();
        while !self.is_over() && !changed.is_empty() {
            let at = usize::from(u16::from_be_bytes(self.bytes())) % changed.len();
            changed[at] = self.byte();
        }
        changed
    }
}

/// So many bytes that belong to a number: splitmix64.
#[must_use]
pub fn drawn(mut number: u64, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = number;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend((mixed ^ (mixed >> 31)).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
