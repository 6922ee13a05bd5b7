//! The key that image tokens are signed with: one for each pepper, and the header it goes with.

use super::base64url;
use crate::digest;
use crate::keys::KeyId;
use crate::secret::SecretKey;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The block of SHA-256: a key of HMAC is padded to it with zeros.
const BLOCK: usize = 64;

/// One key, ready for use.
pub(crate) struct ImageKey {
    /// The header's text, with which every token of this key begins.
    header: String,
    /// With the key taken in already, which spares each token two blocks.
    hmac: Hmac<Sha256>,
}

impl ImageKey {
    pub(crate) fn new(id: KeyId, key: &SecretKey) -> Self {
        let json = format!("{{\"alg\":\"HS256\",\"kid\":\"{id}\",\"typ\":\"JWT\"}}");
        let mut header = String::with_capacity(base64url::digits_for(json.len()));
        base64url::encode(json.as_bytes(), &mut header);
        let mut block = zeroize::Zeroizing::new([0; BLOCK]);
        let (front, _) = block.split_at_mut(32);
        front.copy_from_slice(key.expose());
        let hmac = Hmac::<Sha256>::new((&*block).into());
        Self { header, hmac }
    }

    pub(crate) fn header(&self) -> &str {
        &self.header
    }

    /// The signature over a header, a point and a payload.
    pub(super) fn sign(&self, signed: &[u8]) -> digest::Mac {
        #[cfg(test)]
        crate::work::hashed();
        let mut hmac = self.hmac.clone();
        hmac.update(signed);
        digest::Mac::from_32(hmac.finalize().into_bytes().into())
    }
}
