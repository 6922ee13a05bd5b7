//! The text of an image token, and the proof that it is one of ours.
//!
//! Nothing of a token is believed or even read before its signature has proven it: the header is
//! looked up among the few that our keys have, the signature is computed over the bytes as they
//! were presented, and only then are the claims decoded.

use super::base64url;
use super::claims::{CLAIMS_MAX, ImageClaims};
use super::key::ImageKey;
use crate::digest::Mac;
use crate::keys::Keyring;
use crate::secret::SecretText;
use crate::verdict::Rejection;

/// Digits of a signature.
const SIGNATURE_DIGITS: usize = 43;
/// Digits of the longest header, which has a `kid` of five digits.
const HEADER_DIGITS_MAX: usize = 55;
/// The longest text of an image token.
pub const IMAGE_TOKEN_MAX: usize =
    HEADER_DIGITS_MAX + 1 + base64url::digits_for(CLAIMS_MAX) + 1 + SIGNATURE_DIGITS;

/// Claims that one of our keys has signed.
///
/// There is no other way to one than [`prove`], so nothing is judged on mere claims.
#[derive(Clone, Debug)]
pub struct ProvenImage(ImageClaims);

impl ProvenImage {
    /// What the token says: its principal and attachment name the records that judge it.
    #[must_use]
    pub const fn claims(&self) -> &ImageClaims {
        &self.0
    }
}

/// Reads a token and proves that one of our keys has signed it.
///
/// Whatever is wrong with a text that has the shape of a token, one HMAC is computed and compared.
///
/// # Errors
/// Why it is none of ours: [`Rejection::TooLong`] and [`Rejection::Malformed`] by its form,
/// [`Rejection::Unknown`] when no key that is held goes with its header, [`Rejection::Mismatch`]
/// when its signature is another.
pub fn prove(keyring: &Keyring, text: &[u8]) -> Result<ProvenImage, Rejection> {
    if text.len() > IMAGE_TOKEN_MAX {
        return Err(Rejection::TooLong);
    }
    let parts = Parts::cut(text).ok_or(Rejection::Malformed)?;
    let found = keyring.image_key_of(parts.header);
    // Without the key the current one does the same work, and what it finds does not count.
    let key = found.unwrap_or(keyring.image_key());
    let fits = key.sign(parts.signed) == parts.signature;
    if found.is_none() {
        return Err(Rejection::Unknown);
    }
    if !fits {
        return Err(Rejection::Mismatch);
    }
    let mut room = [0; CLAIMS_MAX];
    let json = base64url::decode(parts.payload, &mut room).ok_or(Rejection::Malformed)?;
    let claims = ImageClaims::parse(json).map_err(|_| Rejection::Malformed)?;
    Ok(ProvenImage(claims))
}

/// A token taken apart at its points.
struct Parts<'a> {
    header: &'a [u8],
    payload: &'a [u8],
    /// Header, point and payload, as they were presented.
    signed: &'a [u8],
    signature: Mac,
}

impl<'a> Parts<'a> {
    fn cut(text: &'a [u8]) -> Option<Self> {
        let (rest, signature) = text.split_last_chunk::<SIGNATURE_DIGITS>()?;
        let signed = rest.strip_suffix(b".")?;
        let mut parts = signed.splitn(2, |&byte| byte == b'.');
        let (header, payload) = (parts.next()?, parts.next()?);
        (!payload.contains(&b'.')).then_some(Self {
            header,
            payload,
            signed,
            signature: Mac::from_32(base64url::decode_32(signature)?),
        })
    }
}

/// Signs claims.
pub(super) fn write(key: &ImageKey, claims: &ImageClaims) -> SecretText {
    let json = claims.to_json();
    let mut text = String::with_capacity(IMAGE_TOKEN_MAX);
    text.push_str(key.header());
    text.push('.');
    base64url::encode(json.as_bytes(), &mut text);
    let signature = key.sign(text.as_bytes());
    text.push('.');
    base64url::encode(signature.expose(), &mut text);
    SecretText::new(text)
}
