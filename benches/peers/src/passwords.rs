//! Keys that are kept as passwords are: argon2id with its default parameters, in a map by their id.

use crate::kept;
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use countersign_benches::Shuffle;
use std::collections::HashMap;

/// Hashes of keys, parsed beforehand.
pub struct Passwords {
    argon2: Argon2<'static>,
    hashes: HashMap<String, PasswordHash>,
}

impl Passwords {
    /// As many keys, and their texts.
    pub fn with_keys(many: usize) -> (Self, Vec<String>) {
        let argon2 = Argon2::default();
        let mut shuffle = Shuffle::new();
        let mut texts = Vec::new();
        let hashes = (0..many).map(|n| {
            let (id, secret) = (format!("{n:016x}"), kept::secret(&mut shuffle));
            let salt = std::array::from_fn::<u8, 16, _>(|_| shuffle.below(256).to_le_bytes()[0]);
            let hash = argon2.hash_password_with_salt(secret.as_bytes(), &salt);
            texts.push(format!("{id}.{secret}"));
            (id, hash.unwrap())
        });
        let hashes = hashes.collect();
        (Self { argon2, hashes }, texts)
    }

    /// Verifies one by one.
    pub fn verify(&self, texts: &[String]) -> usize {
        let accepted = texts.iter().filter(|text| {
            let found = text
                .split_once('.')
                .and_then(|(id, secret)| Some((self.hashes.get(id)?, secret)));
            found.is_some_and(|(hash, secret)| {
                self.argon2.verify_password(secret.as_bytes(), hash).is_ok()
            })
        });
        accepted.count()
    }
}
