//! The claims of an image token as JSON: one order, one spelling, nothing else.
//!
//! ```text
//! {"iss":"tracker","sub":"ann","aud":"image","att":"10001","iat":1795305600,"exp":1795910400}
//! ```
//! This reads only what it writes; it is no JSON parser. An instant has whole seconds, but for
//! `iat`, which has three digits of milliseconds behind a point where they are not zero.

use super::attachment::AttachmentId;
use crate::principal::Principal;
use crate::text::ServerId;
use crate::time::Timestamp;
use core::fmt::Write as _;
use std::borrow::Cow;

/// The last instant that is written: 16 digits of seconds.
const LAST: Timestamp = Timestamp::from_millis(9_999_999_999_999_999_000);
const SECOND_DIGITS_MAX: usize = 16;

/// The longest JSON of claims: what is fixed, every byte of a name escaped, two instants.
pub(super) const CLAIMS_MAX: usize = 56
    + ServerId::MAX_BYTES
    + 2 * (Principal::MAX_BYTES + AttachmentId::MAX_BYTES)
    + (SECOND_DIGITS_MAX + 4)
    + SECOND_DIGITS_MAX;

/// What an image token says. That somebody says so proves nothing: [`prove`](super::prove) does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageClaims {
    /// `iss`: which server it is of.
    pub issuer: ServerId,
    /// `sub`: on whose behalf the image is opened.
    pub principal: Principal,
    /// `att`: which attachment it opens.
    pub attachment: AttachmentId,
    /// `iat`: the instant it is from; an epoch that begins later ends it.
    pub issued_at: Timestamp,
    /// `exp`: when it expires, in whole seconds.
    pub expires_at: Timestamp,
}

/// A text that is not the claims of an image token as we write them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these are no claims of an image token, in our order and spelling")]
pub struct MalformedClaims;

impl ImageClaims {
    /// The JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = String::with_capacity(CLAIMS_MAX);
        json.push_str("{\"iss\":\"");
        json.push_str(self.issuer.as_str());
        json.push_str("\",\"sub\":\"");
        push_escaped(&mut json, self.principal.as_str());
        json.push_str("\",\"aud\":\"image\",\"att\":\"");
        push_escaped(&mut json, self.attachment.as_str());
        let issued_at = self.issued_at.min(LAST);
        // Writing to a text cannot fail.
        let _ = write!(json, "\",\"iat\":{}", issued_at.as_secs());
        let ms = issued_at.as_millis() % 1000;
        if ms != 0 {
            let _ = write!(json, ".{ms:03}");
        }
        let _ = write!(json, ",\"exp\":{}}}", self.expires_at.min(LAST).as_secs());
        json
    }

    /// Reads JSON that [`ImageClaims::to_json`] wrote, all of it.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn parse(json: &[u8]) -> Result<Self, MalformedClaims> {
        Reader(json).claims().ok_or(MalformedClaims)
    }
}

/// Two characters must be escaped, and no text of ours holds one of the others that must be.
fn push_escaped(json: &mut String, text: &str) {
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            json.push('\\');
        }
        json.push(c);
    }
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn claims(mut self) -> Option<ImageClaims> {
        self.skip(b"{\"iss\":\"")?;
        let issuer = ServerId::new(&self.text()?).ok()?;
        self.skip(b",\"sub\":\"")?;
        let principal = Principal::new(&self.text()?).ok()?;
        self.skip(b",\"aud\":\"image\",\"att\":\"")?;
        let attachment = AttachmentId::new(&self.text()?).ok()?;
        self.skip(b",\"iat\":")?;
        let issued_at = self.seconds()?.checked_add(self.fraction()?)?;
        self.skip(b",\"exp\":")?;
        let expires_at = self.seconds()?;
        self.skip(b"}")?;
        self.0.is_empty().then_some(ImageClaims {
            issuer,
            principal,
            attachment,
            issued_at: Timestamp::from_millis(issued_at),
            expires_at: Timestamp::from_millis(expires_at),
        })
    }

    fn skip(&mut self, expected: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(expected)?;
        Some(())
    }

    /// The rest of a text, with the quote that ends it.
    fn text(&mut self) -> Option<Cow<'a, str>> {
        let plain = self
            .0
            .iter()
            .position(|byte| matches!(byte, b'"' | b'\\'))?;
        let (front, rest) = self.0.split_at_checked(plain)?;
        self.0 = rest;
        let front = core::str::from_utf8(front).ok()?;
        if self.skip(b"\"").is_some() {
            return Some(Cow::Borrowed(front));
        }
        let mut text = front.to_owned();
        loop {
            let (escaped, rest) = self.0.split_first_chunk::<2>()?;
            match escaped {
                b"\\\"" => text.push('"'),
                b"\\\\" => text.push('\\'),
                _ => break,
            }
            self.0 = rest;
            let plain = self
                .0
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\'))?;
            let (front, rest) = self.0.split_at_checked(plain)?;
            text.push_str(core::str::from_utf8(front).ok()?);
            self.0 = rest;
        }
        self.skip(b"\"")?;
        Some(Cow::Owned(text))
    }

    /// Whole seconds, as milliseconds: no sign, no zero in front, no exponent.
    fn seconds(&mut self) -> Option<u64> {
        let digits = self.digits();
        if digits.len() > SECOND_DIGITS_MAX || (digits.len() > 1 && digits.starts_with(b"0")) {
            return None;
        }
        number(digits)?.checked_mul(1000)
    }

    /// Milliseconds behind a point, or none.
    fn fraction(&mut self) -> Option<u64> {
        if self.skip(b".").is_none() {
            return Some(0);
        }
        let digits = self.digits();
        let ms = number(digits)?;
        (digits.len() == 3 && ms != 0).then_some(ms)
    }

    fn digits(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| !byte.is_ascii_digit());
        let (digits, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest;
        digits
    }
}

/// The number of these digits; there is at least one.
fn number(digits: &[u8]) -> Option<u64> {
    core::str::from_utf8(digits).ok()?.parse().ok()
}
