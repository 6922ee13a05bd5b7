//! What a token may do: a bounded set of scopes, matched exactly or by a trailing `:*`.
//!
//! A scope is words of `[a-z0-9_.-]` joined by colons, such as `repo:read`. A *granted* scope may
//! end in `:*` and then covers everything below it, or be `*` alone and cover everything; a
//! *required* scope is always exact. The empty set covers nothing that names a scope.

use core::fmt;
use core::str::FromStr;
use std::sync::Arc;

/// The most bytes of one scope.
pub const SCOPE_BYTES_MAX: usize = 64;
/// The most scopes in one set; policy may bound it further.
pub const SCOPES_MAX: usize = 64;

/// Why scopes were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScopeError {
    /// Not words joined by colons.
    #[error(
        "`{0}` is no scope: words of a-z, 0-9, `_`, `.` and `-` joined by `:`, at most \
         {SCOPE_BYTES_MAX} bytes, with `*` allowed as the last word of a granted scope"
    )]
    Malformed(String),
    /// More than the bound.
    #[error("{count} scopes; at most {max} are allowed")]
    TooMany {
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
}

/// One scope: `repo:read`, `repo:*` or `*`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(Arc<str>);

impl Scope {
    /// Takes a scope's text.
    ///
    /// # Errors
    /// When it is not of the form this module's head describes.
    pub fn new(text: &str) -> Result<Self, ScopeError> {
        if is_scope(text) {
            Ok(Self(text.into()))
        } else {
            Err(malformed(text))
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a grant of this scope allows what `required` names.
    ///
    /// `repo:*` covers `repo:read` and `repo:read:all`, but not `repo` and not `repository:read`.
    #[must_use]
    pub fn covers(&self, required: &Scope) -> bool {
        allows(self.0.as_bytes(), required.0.as_bytes())
    }
}

fn allows(granted: &[u8], required: &[u8]) -> bool {
    match granted.strip_suffix(b"*") {
        // `prefix` ends with a colon, or is empty for `*` alone.
        Some(prefix) => required.starts_with(prefix),
        None => granted == required,
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        Self::new(text)
    }
}

/// A sorted set of scopes without duplicates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeSet(Vec<Scope>);

impl ScopeSet {
    /// The set of no scopes.
    pub const EMPTY: Self = Self(Vec::new());

    /// Collects scopes, sorted, each once.
    ///
    /// # Errors
    /// When there are more than [`SCOPES_MAX`] different ones.
    pub fn new(scopes: impl IntoIterator<Item = Scope>) -> Result<Self, ScopeError> {
        let mut scopes: Vec<Scope> = scopes.into_iter().collect();
        scopes.sort_unstable();
        scopes.dedup();
        let count = scopes.len();
        if count > SCOPES_MAX {
            return Err(ScopeError::TooMany {
                count,
                max: SCOPES_MAX,
            });
        }
        Ok(Self(scopes))
    }

    /// Whether any scope of the set covers `required`.
    #[must_use]
    pub fn covers(&self, required: &Scope) -> bool {
        self.0.iter().any(|scope| scope.covers(required))
    }

    /// The scopes in order.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Scope> {
        self.0.iter()
    }

    /// The scopes one behind the other, each with a blank before the next: as few bytes as they
    /// can be kept in.
    #[must_use]
    pub fn joined(&self) -> String {
        let scopes: Vec<&str> = self.iter().map(Scope::as_str).collect();
        scopes.join(" ")
    }

    /// Takes scopes apart that were joined.
    ///
    /// # Errors
    /// When one of them is no scope, or there are too many.
    pub fn from_joined(joined: &str) -> Result<Self, ScopeError> {
        let scopes = joined.split_ascii_whitespace().map(Scope::new);
        Self::new(scopes.collect::<Result<Vec<_>, _>>()?)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a token may do, as a record has it or as it was copied.
#[derive(Clone, Copy, Debug)]
pub enum Granted<'a> {
    /// The set itself.
    Set(&'a ScopeSet),
    /// As [`ScopeSet::joined`] writes it.
    Joined(&'a [u8]),
}

impl Granted<'_> {
    /// Whether any of the scopes covers `required`.
    #[must_use]
    pub fn covers(self, required: &Scope) -> bool {
        match self {
            Self::Set(set) => set.covers(required),
            Self::Joined(joined) => {
                let mut scopes = joined.split(|byte| *byte == b' ');
                scopes.any(|granted| allows(granted, required.0.as_bytes()))
            }
        }
    }
}

fn is_scope(text: &str) -> bool {
    if text.len() > SCOPE_BYTES_MAX {
        return false;
    }
    let (words, last) = text
        .rsplit_once(':')
        .map_or((None, text), |(w, l)| (Some(w), l));
    let words_are_plain = words.is_none_or(|words| words.split(':').all(is_word));
    words_are_plain && (last == "*" || is_word(last))
}

fn is_word(word: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"_.-".contains(&c);
    !word.is_empty() && word.bytes().all(allowed)
}

fn malformed(text: &str) -> ScopeError {
    // A refused text may be long or hostile: show its beginning, escaped.
    ScopeError::Malformed(text.chars().take(40).flat_map(char::escape_debug).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn covers(granted: &str, required: &str) -> bool {
        Scope::new(granted)
            .unwrap()
            .covers(&Scope::new(required).unwrap())
    }

    #[test]
    fn the_longest_scope_is_one_and_a_byte_more_is_none() {
        let longest = "s".repeat(SCOPE_BYTES_MAX);
        let scope = Scope::new(&longest).unwrap();
        assert_eq!(format!("{scope}"), longest);
        assert_eq!(format!("{scope:?}"), format!("{longest:?}"));
        assert!(Scope::new(&(longest + "s")).is_err());
    }

    #[test]
    fn only_a_set_without_scopes_is_empty() {
        assert!(ScopeSet::from_joined("").unwrap().is_empty());
        assert!(!ScopeSet::from_joined("repo:read").unwrap().is_empty());
    }

    #[test]
    fn a_star_covers_what_is_below_and_nothing_beside() {
        for (granted, required, expected) in [
            ("repo:read", "repo:read", true),
            ("repo:read", "repo:write", false),
            ("repo:read", "repo:read:all", false),
            ("repo:*", "repo:read", true),
            ("repo:*", "repo:read:all", true),
            ("repo:*", "repo", false),
            ("repo:*", "repository:read", false),
            ("*", "anything:at:all", true),
            ("repo", "repo", true),
            ("repo", "repo:read", false),
            ("repo:read", "repo:*", false),
        ] {
            assert_eq!(
                covers(granted, required),
                expected,
                "{granted} over {required}"
            );
        }
    }

    #[test]
    fn scopes_are_words_joined_by_colons() {
        for good in ["a", "a:b", "a:*", "*", "a.b-c_d:1"] {
            assert!(Scope::new(good).is_ok(), "{good}");
        }
        let long = "a".repeat(SCOPE_BYTES_MAX + 1);
        for bad in [
            "", ":", "a:", ":a", "a::b", "A", "a b", "*:a", "a*", "a:**", "\u{e9}", &long,
        ] {
            assert!(
                matches!(Scope::new(bad), Err(ScopeError::Malformed(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_set_is_sorted_bounded_and_covers_by_any_member() {
        let scopes = ["b", "a", "b"].map(|s| Scope::new(s).unwrap());
        let set = ScopeSet::new(scopes).unwrap();
        assert_eq!(
            set.iter().map(Scope::as_str).collect::<Vec<_>>(),
            ["a", "b"]
        );
        assert!(set.covers(&Scope::new("b").unwrap()));
        assert!(!ScopeSet::EMPTY.covers(&Scope::new("b").unwrap()));
        let many = (0..=SCOPES_MAX).map(|i| Scope::new(&format!("s{i}")).unwrap());
        assert!(matches!(
            ScopeSet::new(many),
            Err(ScopeError::TooMany { count: 65, max: 64 })
        ));
    }

    #[test]
    fn an_error_shows_a_hostile_text_escaped_and_cut() {
        let error = Scope::new(&format!("\u{1b}[2J{}", "x".repeat(500)))
            .unwrap_err()
            .to_string();
        assert!(error.contains("\\u{1b}[2J") && error.len() < 250, "{error}");
    }

    proptest! {
        #[test]
        fn a_text_that_reads_is_the_one_text(text in "[a-z:*.]{0,12}|\\PC{0,80}") {
            match Scope::new(&text) {
                Ok(scope) => prop_assert_eq!(scope.as_str(), text),
                Err(error) => prop_assert!(error.to_string().len() < 1000),
            }
        }

        #[test]
        fn covering_is_by_whole_words(
            granted in "[ab]{1,2}(:[ab]{1,2}){0,2}",
            required in "[ab]{1,2}(:[ab]{1,2}){0,3}",
        ) {
            let below = Scope::new(&format!("{granted}:*")).unwrap();
            let (exact, required) = (Scope::new(&granted).unwrap(), Scope::new(&required).unwrap());
            let mine: Vec<&str> = exact.as_str().split(':').collect();
            let theirs: Vec<&str> = required.as_str().split(':').collect();
            prop_assert_eq!(exact.covers(&required), mine == theirs);
            let is_below = theirs.len() > mine.len() && theirs.starts_with(&mine);
            prop_assert_eq!(below.covers(&required), is_below);
            // A copy grants what the set does, and reads back as the set.
            let set = ScopeSet::new([exact.clone(), below.clone()]).unwrap();
            let copy = set.joined();
            let granted = Granted::Joined(copy.as_bytes()).covers(&required);
            prop_assert_eq!(granted, set.covers(&required));
            prop_assert!(!Granted::Joined(b"").covers(&required));
            prop_assert_eq!(Granted::Set(&set).covers(&required), set.covers(&required));
            prop_assert_eq!(ScopeSet::from_joined(&copy), Ok(set));
        }
    }
}
