//! Image tokens: a link in a mail that opens one attachment on behalf of one principal and does
//! nothing else, until it expires (S10, E8).
//!
//! A token is a JWT (RFC 7519) in JWS compact form, signed with HMAC-SHA-256, so that any library
//! can read it. We read only what we write, byte for byte: the header is compared with the few that
//! our keys have and never parsed, so no algorithm can be confused (RFC 8725), and the claims are
//! taken in one order and one spelling.
//!
//! A token has no record of its own. It carries the instant it is from, which is the beginning of
//! a bucket of time, or the latest of the epochs concerned: so its text stays the same for a while
//! and mail proxies keep one picture, and whatever moves an epoch on ends it. Presence grants and
//! absence denies here as everywhere: an attachment gets a record when the first token for it is
//! signed, and without that record none is accepted.

mod attachment;
mod base64url;
mod claims;
mod judge;
mod key;
mod revoke;
mod sign;
mod token;

pub use attachment::{AttachmentId, AttachmentKey, AttachmentRecord};
pub use claims::{ImageClaims, MalformedClaims};
pub use judge::{PresentedImage, check};
pub use revoke::{forget_attachment, revoke_attachment};
pub use sign::{ImageRequest, SignedImage, sign};
pub use token::{IMAGE_TOKEN_MAX, ProvenImage, prove};

pub(crate) use key::ImageKey;

#[cfg(test)]
mod tests;
