//! Every domain-separation string of the project, in one place.
//!
//! Each is `[application] [date] [purpose]`, as BLAKE3's key derivation asks for, and none may
//! ever change or be used for a second purpose: what was hashed under it would stop matching.

/// From a pepper's material to the key of credential digests.
pub(crate) const DIGEST: &str = "countersign 2026-11-22 credential digest";
/// From the root key to the key of record tags.
pub(crate) const RECORD_TAG: &str = "countersign 2026-11-22 stored record tag";
/// From the root key to the key that turns names into record keys.
pub(crate) const NAME_INDEX: &str = "countersign 2026-11-22 name to record key";
/// From the root key to the key of shard tags.
pub(crate) const SHARD_TAG: &str = "countersign 2026-11-22 principal shard tag";
/// From a key to its check value, which a store keeps to recognise it.
pub(crate) const KEY_CHECK: &str = "countersign 2026-11-22 key check";
/// From the root key to the key of the key file's own checksum.
pub(crate) const KEY_FILE: &str = "countersign 2026-11-22 key file check";
/// From the root key to the key of the tag over an exported file.
pub(crate) const EXPORT_TAG: &str = "countersign 2026-11-22 export file tag";
/// From the root key to the key that sessions' form token secrets are derived under.
pub(crate) const CSRF_SECRET: &str = "countersign 2026-11-22 session csrf secret";
/// From the root key to the key of the tags in a session snapshot.
pub(crate) const SNAPSHOT_TAG: &str = "countersign 2026-11-22 session snapshot tag";
/// From the root key to the key that derives a remember-me secret from the one before it.
pub(crate) const SUCCESSOR: &str = "countersign 2026-11-22 remember-me successor";
/// From the root key to what veils where a session lies in memory.
pub(crate) const SESSION_VEIL: &str = "countersign 2026-11-22 session row veil";
/// From the root key to the key under which bare ids lead to their sessions.
pub(crate) const BARE_ID: &str = "countersign 2026-11-22 bare session id";
/// From the root key to the key that turns attachments into record keys.
pub(crate) const ATTACHMENT_INDEX: &str = "countersign 2026-11-22 attachment to record key";
/// From a pepper's material to the key of image tokens.
pub(crate) const IMAGE_TOKEN: &str = "countersign 2026-11-22 image token key";
/// In front of what a form token's MAC covers, under a session's own secret.
pub(crate) const FORM_TOKEN: &str = "countersign 2026-11-22 form token";
/// In front of what the epochs of a store are made of whose import is under way, under the key of
/// an export's tags.
pub(crate) const IMPORT_MARK: &str = "countersign 2026-11-29 import under way";

#[cfg(test)]
mod tests {
    #[test]
    fn no_two_purposes_share_a_context() {
        let all = [
            super::DIGEST,
            super::RECORD_TAG,
            super::NAME_INDEX,
            super::SHARD_TAG,
            super::KEY_CHECK,
            super::KEY_FILE,
            super::EXPORT_TAG,
            super::CSRF_SECRET,
            super::SNAPSHOT_TAG,
            super::SUCCESSOR,
            super::SESSION_VEIL,
            super::BARE_ID,
            super::ATTACHMENT_INDEX,
            super::IMAGE_TOKEN,
            super::FORM_TOKEN,
            super::IMPORT_MARK,
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
