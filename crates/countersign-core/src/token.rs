//! The text form of split tokens: `<prefix>_<66 base62 digits>`, parsed canonically and totally.
//!
//! `docs/FORMAT.md` has the byte map, the ABNF and the regular expression for secret scanners.
//! Parsing allocates nothing, looks nothing up, and takes every byte or none: for each token
//! there is exactly one text. Which token a text names is decided elsewhere.

use crate::base62::{self, BODY_BYTES, BODY_DIGITS, Base62Error, GROUPS};
use crate::checksum::{COVERED_BYTES, Checksum};
use crate::kind::CredentialKind;
use crate::secret::{Fresh, SecretText, VERIFIER_BYTES, Verifier};
use crate::selector::Selector;
use zeroize::Zeroizing;

/// The longest text of a split token: a word of 16, `_csa_`, and 66 digits.
pub const TOKEN_TEXT_MAX: usize = WORD_MAX + 5 + BODY_DIGITS;
/// The longest word that a deployment may put in front.
pub const WORD_MAX: usize = 16;

/// A split token: which record, and the secret that must match it.
///
/// Its secret is wiped where it lies when it is dropped. Moving it leaves a copy behind that is
/// not, so one that was made is boxed and handed on so.
#[derive(Debug)]
pub struct SplitToken {
    kind: CredentialKind,
    selector: Selector,
    verifier: Verifier,
}

impl SplitToken {
    /// Puts the halves together.
    #[must_use]
    pub const fn new(kind: CredentialKind, selector: Selector, verifier: Verifier) -> Self {
        Self {
            kind,
            selector,
            verifier,
        }
    }

    /// A new one with a random secret; `None` when the random bytes have run out.
    pub fn mint(kind: CredentialKind, selector: Selector, fresh: &mut Fresh) -> Option<Box<Self>> {
        let empty = Verifier::from_bytes([0; VERIFIER_BYTES]);
        let mut token = Box::new(Self::new(kind, selector, empty));
        fresh.fill(&mut token.verifier)?;
        Some(token)
    }

    /// Access, remember or session.
    #[must_use]
    pub const fn kind(&self) -> CredentialKind {
        self.kind
    }

    /// The public half.
    #[must_use]
    pub const fn selector(&self) -> Selector {
        self.selector
    }

    /// The secret half.
    #[must_use]
    pub const fn verifier(&self) -> &Verifier {
        &self.verifier
    }
}

/// Why a text is no token; the checks stand in the order of the variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedToken {
    /// Not the number of bytes that a token of this kind has.
    #[error("a token of this kind has another length")]
    Length,
    /// Another kind, another deployment, or no token at all.
    #[error("the text does not begin with a prefix of this deployment")]
    Prefix,
    /// A character that is no base62 digit.
    #[error("the text holds a character other than 0-9, A-Z and a-z after its prefix")]
    Digit,
    /// A group of digits above 2^64 - 1.
    #[error("a group of digits stands for too large a number")]
    Overflow,
    /// The checksum does not fit: mistyped or cut.
    #[error("the checksum does not fit; the token was mistyped or cut")]
    Checksum,
    /// The selector is no UUIDv7.
    #[error("the public half is not a UUIDv7")]
    Version,
}

/// A deployment's word that is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a prefix word has 1 to {WORD_MAX} lower-case letters, digits or underscores, begins with a \
     letter and does not end with an underscore"
)]
pub struct InvalidWord;

/// The prefixes of one deployment, ready for reading and writing tokens.
#[derive(Clone, Debug)]
pub struct TokenFormat {
    word: Option<String>,
    access: Shape,
    remember: Shape,
    session: Shape,
}

/// One kind's prefix, and its checksum laid out.
#[derive(Clone, Debug)]
struct Shape {
    kind: CredentialKind,
    /// With the underscore that ends it.
    prefix: String,
    checksum: Checksum,
}

impl TokenFormat {
    /// The format with a deployment's own word in front (`acme_csa_...`), or without.
    ///
    /// # Errors
    /// [`InvalidWord`] when the word is not 1 to 16 of `[a-z0-9_]`, beginning with a letter and
    /// not ending with an underscore.
    pub fn new(word: Option<&str>) -> Result<Self, InvalidWord> {
        if word.is_some_and(|word| !is_word(word)) {
            return Err(InvalidWord);
        }
        Ok(Self {
            word: word.map(str::to_owned),
            access: Shape::new(word, CredentialKind::Access, "csa")?,
            remember: Shape::new(word, CredentialKind::Remember, "csr")?,
            session: Shape::new(word, CredentialKind::Session, "css")?,
        })
    }

    /// The deployment's word, if it has one.
    #[must_use]
    pub fn word(&self) -> Option<&str> {
        self.word.as_deref()
    }

    /// Reads a text as a token of one kind.
    ///
    /// # Errors
    /// The first fault, in the order of [`MalformedToken`]'s variants.
    // Always: where it is called, a token is taken on in registers, and not through memory.
    #[inline(always)]
    pub fn parse(&self, kind: CredentialKind, text: &[u8]) -> Result<SplitToken, MalformedToken> {
        self.shape(kind).ok_or(MalformedToken::Prefix)?.parse(text)
    }

    /// Reads a text as a token of whichever kind its prefix names.
    ///
    /// # Errors
    /// The first fault, in the order of [`MalformedToken`]'s variants.
    pub fn parse_any(&self, text: &[u8]) -> Result<SplitToken, MalformedToken> {
        // The prefixes of the kinds have one length, so any shape judges it.
        if text.len() != self.access.text_len() {
            return Err(MalformedToken::Length);
        }
        let shapes = [&self.access, &self.remember, &self.session];
        let shape = shapes
            .into_iter()
            .find(|shape| text.starts_with(shape.prefix.as_bytes()));
        shape.ok_or(MalformedToken::Prefix)?.parse(text)
    }

    /// Writes a token as its owner gets to see it; `None` for a kind that is no split token.
    #[must_use]
    pub fn text(&self, token: &SplitToken) -> Option<SecretText> {
        Some(self.shape(token.kind)?.text(token))
    }

    fn shape(&self, kind: CredentialKind) -> Option<&Shape> {
        match kind {
            CredentialKind::Access => Some(&self.access),
            CredentialKind::Remember => Some(&self.remember),
            CredentialKind::Session => Some(&self.session),
            CredentialKind::Image | CredentialKind::Csrf => None,
        }
    }
}

impl Shape {
    fn new(word: Option<&str>, kind: CredentialKind, letters: &str) -> Result<Self, InvalidWord> {
        let summed = word.map_or_else(|| letters.to_owned(), |word| format!("{word}_{letters}"));
        let checksum = Checksum::new(summed.as_bytes()).ok_or(InvalidWord)?;
        Ok(Self {
            kind,
            prefix: format!("{summed}_"),
            checksum,
        })
    }

    const fn text_len(&self) -> usize {
        self.prefix.len().saturating_add(BODY_DIGITS)
    }

    #[inline(always)]
    fn parse(&self, text: &[u8]) -> Result<SplitToken, MalformedToken> {
        if text.len() != self.text_len() {
            return Err(MalformedToken::Length);
        }
        let digits = text
            .strip_prefix(self.prefix.as_bytes())
            .ok_or(MalformedToken::Prefix)?;
        let digits = digits
            .first_chunk::<BODY_DIGITS>()
            .ok_or(MalformedToken::Length)?;
        let words = base62::words(digits).map_err(|error| match error {
            Base62Error::Digit => MalformedToken::Digit,
            Base62Error::Overflow => MalformedToken::Overflow,
        })?;
        self.token_of(words)
    }

    /// Words, as they come out of the digits: a processor passes on what has just been written as
    /// a word at once, but not what was written as two and is read as one piece.
    #[inline(always)]
    fn token_of(&self, words: [u64; GROUPS]) -> Result<SplitToken, MalformedToken> {
        let [high, low, v0, v1, v2, last] = words;
        let [v24, v25, v26, v27, sum @ ..] = last.to_be_bytes();
        let mut covered = [0; COVERED_BYTES];
        let (front, back) = covered.split_at_mut(40);
        let (places, _) = front.as_chunks_mut::<8>();
        for (place, word) in places.iter_mut().zip(words) {
            *place = word.to_be_bytes();
        }
        back.copy_from_slice(&[v24, v25, v26, v27]);
        if self.checksum.over(&covered) != u32::from_be_bytes(sum) {
            return Err(MalformedToken::Checksum);
        }
        let selector = Selector::from_halves([high, low]).ok_or(MalformedToken::Version)?;
        let mut verifier = [0; VERIFIER_BYTES];
        let (front, back) = verifier.split_at_mut(24);
        let (places, _) = front.as_chunks_mut::<8>();
        for (place, word) in places.iter_mut().zip([v0, v1, v2]) {
            *place = word.to_be_bytes();
        }
        back.copy_from_slice(&[v24, v25, v26, v27]);
        let verifier = Verifier::from_bytes(verifier);
        Ok(SplitToken::new(self.kind, selector, verifier))
    }

    fn text(&self, token: &SplitToken) -> SecretText {
        let mut covered = Zeroizing::new([0u8; COVERED_BYTES]);
        let (selector, verifier) = covered.split_at_mut(16);
        selector.copy_from_slice(&token.selector.to_bytes());
        verifier.copy_from_slice(token.verifier.expose());
        let mut body = Zeroizing::new([0u8; BODY_BYTES]);
        let (front, sum) = body.split_at_mut(COVERED_BYTES);
        front.copy_from_slice(covered.as_slice());
        sum.copy_from_slice(&self.checksum.over(&covered).to_be_bytes());

        let digits: Zeroizing<[u8; BODY_DIGITS]> = Zeroizing::new(base62::encode(&body));
        let mut text = String::with_capacity(self.text_len());
        text.push_str(&self.prefix);
        text.push_str(base62::as_text(&*digits));
        SecretText::new(text)
    }
}

fn is_word(word: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
    word.len() <= WORD_MAX
        && word.bytes().all(allowed)
        && word.bytes().next().is_some_and(|c| c.is_ascii_lowercase())
        && !word.ends_with('_')
}

#[cfg(test)]
mod tests;
