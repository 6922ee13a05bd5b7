//! Whoever uses the application: principals and their tokens, made when they are asked for.
//!
//! A hundred million records need no room for as long as nobody changes them: the record of a
//! number is always the same, and a key tells the number.

use crate::hand::START;
use countersign::core::{
    CredentialKind, CredentialRef, Deployment, EpochStamp, Key, KeyMaterial, Keyring,
    PrincipalRecord, Record, SplitToken, SystemRecord, Table, Verifier, Versioned,
};
use countersign::{
    Expiry, Grant, Principal, Scope, ScopeSet, SecretText, Selector, ServerId, Timestamp,
    TokenFormat, TokenName,
};
use countersign_core::Version;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Whoever there is, numbered from zero.
pub(crate) struct People {
    pub(crate) users: usize,
    pub(crate) tokens_each: usize,
    keyring: Arc<Keyring>,
    format: TokenFormat,
    /// The keys of principals are hashes.
    numbers: HashMap<[u8; 16], u32>,
    name: TokenName,
    scopes: ScopeSet,
}

impl People {
    pub(crate) fn new(users: usize, tokens_each: usize) -> Self {
        let keyring = Arc::new(Keyring::new(&Self::keys()));
        let key = |user: u32| (keyring.principal_key(&name(user as usize)).to_bytes(), user);
        let numbers = (0..users as u32).map(key).collect();
        Self {
            users,
            tokens_each,
            keyring,
            format: TokenFormat::new(None).unwrap(),
            numbers,
            name: TokenName::new("deploy key").unwrap(),
            scopes: ScopeSet::new([Scope::new("repo:read").unwrap()]).unwrap(),
        }
    }

    /// The keys of every node.
    pub(crate) fn keys() -> KeyMaterial {
        KeyMaterial::generate(issued_at(0), [0x11; 32], [0x22; 32])
    }

    /// How many tokens there were when the day began.
    pub(crate) const fn tokens(&self) -> usize {
        self.users * self.tokens_each
    }

    /// Which token is a user's.
    pub(crate) const fn token_of(&self, user: usize, which: usize) -> usize {
        user * self.tokens_each + which % self.tokens_each
    }

    /// Which record a token has.
    pub(crate) fn selector(&self, token: usize) -> Selector {
        let tag = self.keyring.shard_tag(&name(token / self.tokens_each));
        Selector::mint(issued_at(token), tag, (token as u64).to_be_bytes())
    }

    /// Which record a user has.
    pub(crate) fn key_of(&self, user: usize) -> Key {
        Key::principal(self.keyring.principal_key(&name(user)))
    }

    /// What its bearer presents.
    pub(crate) fn text(&self, token: usize) -> SecretText {
        self.format.text(&self.split(token)).unwrap()
    }

    /// The record of a key as it was when the day began.
    pub(crate) fn record(&self, key: Key) -> Option<Versioned> {
        let record = match key.table {
            Table::System if key == Key::SYSTEM => Record::System(SystemRecord::new(Deployment {
                word: None,
                server_id: ServerId::new("server").unwrap(),
                created_at: issued_at(0),
            })),
            Table::Principals => Record::Principal(self.principal(*self.numbers.get(&key.id)?)),
            Table::Grants => Record::Grant(self.grant(key)?),
            _ => return None,
        };
        let version = Version::new(1);
        Some(Versioned { version, record })
    }

    fn principal(&self, user: u32) -> PrincipalRecord {
        let first = self.token_of(user as usize, 0);
        let credential = |token| CredentialRef {
            kind: CredentialKind::Access,
            selector: self.selector(token),
            ends_at: Timestamp::MAX,
        };
        let mut record = PrincipalRecord::new(name(user as usize));
        record.credentials = (first..first + self.tokens_each).map(credential).collect();
        record
    }

    fn grant(&self, key: Key) -> Option<Grant> {
        let [.., a, b, c, d, e, f, g, h] = key.id;
        let low = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        // The first two bits say which kind of id it is.
        let token = usize::try_from(low & (u64::MAX >> 2)).ok()?;
        if token >= self.tokens() || Key::grant(self.selector(token)) != key {
            return None;
        }
        Some(Grant {
            principal: name(token / self.tokens_each),
            name: self.name.clone(),
            scopes: self.scopes.clone(),
            key_id: self.keyring.current(),
            digest: self.keyring.digest_new(&self.split(token)),
            created_at: issued_at(token),
            expiry: Expiry::Never,
            stamp: EpochStamp::default(),
            predecessor: None,
            end: None,
        })
    }

    fn split(&self, token: usize) -> SplitToken {
        let mut secret = [0x5a; 28];
        secret[..8].copy_from_slice(
            &(token as u64)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .to_le_bytes(),
        );
        let verifier = Verifier::from_bytes(secret);
        SplitToken::new(CredentialKind::Access, self.selector(token), verifier)
    }
}

/// A user's name.
pub(crate) fn name(user: usize) -> Principal {
    Principal::new(&format!("user-{user:09}")).unwrap()
}

/// Tokens were issued one after the other, the last of them before the day began.
fn issued_at(token: usize) -> Timestamp {
    let before = START.as_millis() - 30 * 86_400_000;
    Timestamp::from_millis(before).after(Duration::from_millis(token as u64 / 1000))
}

impl fmt::Debug for People {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("People")
            .field("users", &self.users)
            .field("tokens", &self.tokens())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_made_from_its_key_and_others_are_not_there() {
        let people = People::new(20, 5);
        let key = Key::grant(people.selector(57));
        let Some(Record::Grant(grant)) = people.record(key).map(|found| found.record) else {
            panic!("no grant");
        };
        assert_eq!(grant.principal, name(11));
        let owner = Key::principal(people.keyring.principal_key(&name(11)));
        let Some(Record::Principal(record)) = people.record(owner).map(|found| found.record) else {
            panic!("no principal");
        };
        assert!(
            record
                .credentials
                .iter()
                .any(|one| one.selector == people.selector(57))
        );
        let mut other = key;
        other.id[0] ^= 1;
        assert!(people.record(other).is_none());
        assert!(people.record(Key::grant(people.selector(100))).is_none());
    }
}
