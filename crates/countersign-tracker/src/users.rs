//! Who may log in: names, hashes, and who is an administrator.

use crate::error::TrackerError;
use countersign::{Principal, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// How many users there may be.
const USERS_MAX: usize = 10_000;
/// The longest name, in bytes.
const NAME_MAX: usize = 64;

/// All of them, by name.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Users(BTreeMap<String, User>);

/// One of them.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct User {
    /// The password's hash, a PHC string.
    pub(crate) hash: String,
    pub(crate) administrator: bool,
    /// Milliseconds since 1970.
    pub(crate) added_at: u64,
}

impl Users {
    pub(crate) fn find(&self, name: &str) -> Option<&User> {
        self.0.get(name)
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &User)> {
        self.0.iter().map(|(name, user)| (name.as_str(), user))
    }

    pub(crate) fn is_administrator(&self, name: &str) -> bool {
        self.find(name).is_some_and(|user| user.administrator)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a user in.
    pub(crate) fn add(
        &mut self,
        name: &str,
        hash: String,
        administrator: bool,
        now: Timestamp,
    ) -> Result<(), TrackerError> {
        if self.0.contains_key(name) {
            return rule(format!("there is a user {name} already"));
        }
        if self.0.len() >= USERS_MAX {
            return rule(format!(
                "there are {USERS_MAX} users, which is as many as may be"
            ));
        }
        let user = User {
            hash,
            administrator,
            added_at: now.as_millis(),
        };
        self.0.insert(name.to_owned(), user);
        Ok(())
    }

    /// Whether this is still the hash of a user's password.
    pub(crate) fn has_hash(&self, name: &str, hash: &str) -> bool {
        self.find(name).is_some_and(|user| user.hash == hash)
    }

    /// Takes a new hash in the place of the one that the old password was compared with: of two
    /// changes at once the second has been made under a password that is none any more.
    pub(crate) fn replace_hash(
        &mut self,
        name: &str,
        old: &str,
        new: String,
    ) -> Result<(), TrackerError> {
        match self.0.get_mut(name).filter(|user| user.hash == old) {
            Some(user) => {
                user.hash = new;
                Ok(())
            }
            None => rule("the password has been changed meanwhile".to_owned()),
        }
    }
}

/// A name that a new user may have.
pub(crate) fn new_name(name: &str) -> Result<Principal, TrackerError> {
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-_.".contains(&c);
    if !(1..=NAME_MAX).contains(&name.len()) || !name.bytes().all(allowed) {
        let said = format!("a name has 1 to {NAME_MAX} of a-z, 0-9, `-`, `_` and `.`");
        return Err(TrackerError::Rule(said));
    }
    Principal::new(name).map_err(|error| TrackerError::Rule(error.to_string()))
}

fn rule<T>(said: String) -> Result<T, TrackerError> {
    Err(TrackerError::Rule(said))
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("administrator", &self.administrator)
            .finish_non_exhaustive()
    }
}
