//! The attributes of one session as an immutable whole: a change makes another one.
//!
//! A reader holds what it was given, whatever is changed meanwhile, and nothing is ever half
//! changed: an object shared between two requests that one of them altered is how sessions of two
//! people got mixed up elsewhere.

use crate::attribute::{AttributeChange, AttributeFault, AttributeName, Value};
use countersign_core::Selector;
use countersign_core::policy::SessionPolicy;

/// More changes at once than this are not looked at: a session has at most as many attributes.
pub const ATTRIBUTE_CHANGES_MAX: usize = 1024;

/// A session's attributes, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Ascending by name, each name once.
    entries: Vec<(AttributeName, Value)>,
}

/// What only some sessions have, shared by whoever looks at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bag {
    /// The remember-me series that opened the session or was made with it.
    pub(crate) series: Option<Selector>,
    pub(crate) attributes: Attributes,
}

impl Attributes {
    /// No attributes.
    pub const EMPTY: Self = Self {
        entries: Vec::new(),
    };

    /// Those of a list that is in order; `None` when it is not.
    pub(crate) fn from_sorted(entries: Vec<(AttributeName, Value)>) -> Option<Self> {
        let sorted = entries.is_sorted_by(|(a, _), (b, _)| a < b);
        sorted.then_some(Self { entries })
    }

    /// One of them.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Value> {
        let place = self.entries.binary_search_by(|(n, _)| n.as_str().cmp(name));
        self.entries.get(place.ok()?).map(|(_, value)| value)
    }

    /// All of them, by name.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&AttributeName, &Value)> {
        self.entries.iter().map(|(name, value)| (name, value))
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many bytes they count for, names included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let sizes = self.iter();
        sizes.fold(0, |sum: usize, (name, value)| {
            sum.saturating_add(name.as_str().len())
                .saturating_add(value.bytes())
        })
    }

    /// Only those that are named.
    pub(crate) fn only(&self, names: &[AttributeName]) -> Self {
        let named = self.entries.iter().filter(|(name, _)| names.contains(name));
        Self {
            entries: named.cloned().collect(),
        }
    }

    /// These with `changes` made, or the first fault and nothing made.
    pub(crate) fn changed(
        &self,
        changes: &[AttributeChange],
        policy: &SessionPolicy,
    ) -> Result<Self, AttributeFault> {
        if changes.len() > ATTRIBUTE_CHANGES_MAX {
            return Err(AttributeFault::TooManyChanges {
                count: changes.len(),
                max: ATTRIBUTE_CHANGES_MAX,
            });
        }
        let mut changed = self.clone();
        for change in changes {
            changed.make(change)?;
        }
        changed.check(policy)?;
        Ok(changed)
    }

    /// Whether they are within the policy's bounds.
    pub(crate) fn check(&self, policy: &SessionPolicy) -> Result<(), AttributeFault> {
        let (count, max) = (self.len(), policy.max_attributes as usize);
        if count > max {
            return Err(AttributeFault::TooMany { count, max });
        }
        let (bytes, max) = (self.bytes(), policy.max_attribute_bytes as usize);
        if bytes > max {
            return Err(AttributeFault::TooLarge { bytes, max });
        }
        Ok(())
    }

    fn make(&mut self, change: &AttributeChange) -> Result<(), AttributeFault> {
        match change {
            AttributeChange::Set(name, value) => self.set(name, value.clone()),
            AttributeChange::Remove(name) => self.entries.retain(|(n, _)| n != name),
            AttributeChange::Clear => self.entries.clear(),
            AttributeChange::Add(name, by) => {
                let sum = match self.find(name.as_str()) {
                    None => Some(*by),
                    Some(Value::Integer(old)) => old.checked_add(*by),
                    Some(_) => return Err(AttributeFault::NotAnInteger(name.clone())),
                };
                let sum = sum.ok_or_else(|| AttributeFault::Overflow(name.clone()))?;
                self.set(name, Value::Integer(sum));
            }
        }
        Ok(())
    }

    fn set(&mut self, name: &AttributeName, value: Value) {
        match self.entries.binary_search_by(|(n, _)| n.cmp(name)) {
            Ok(place) => {
                if let Some((_, old)) = self.entries.get_mut(place) {
                    *old = value;
                }
            }
            Err(place) => self.entries.insert(place, (name.clone(), value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AttributeChange::{Add, Clear, Remove, Set};
    use countersign_core::policy::Policy;

    fn name(text: &str) -> AttributeName {
        AttributeName::new(text).unwrap()
    }

    fn check(changes: &[AttributeChange]) -> Result<Vec<(String, Value)>, AttributeFault> {
        let mut policy = Policy::default().sessions().clone();
        (policy.max_attributes, policy.max_attribute_bytes) = (3, 20);
        let changed = Attributes::EMPTY.changed(changes, &policy)?;
        let pairs = changed.iter().map(|(n, v)| (n.to_string(), v.clone()));
        Ok(pairs.collect())
    }

    #[test]
    fn changes_are_made_in_their_order() {
        let made = check(&[
            Set(name("b"), "2".into()),
            Set(name("a"), "1".into()),
            Set(name("b"), "3".into()),
            Add(name("n"), 5),
            Add(name("n"), -7),
            Remove(name("a")),
            Remove(name("absent")),
        ]);
        let expected = [("b", Value::from("3")), ("n", Value::Integer(-2))];
        assert_eq!(made.unwrap(), expected.map(|(n, v)| (n.to_owned(), v)));
        assert_eq!(check(&[Add(name("n"), 1), Clear]).unwrap(), []);
    }

    #[test]
    fn a_change_that_does_not_fit_is_refused_as_a_whole() {
        let set = |n: &str, text: &str| Set(name(n), text.into());
        let four = ["a", "b", "c", "d"].map(|n| set(n, ""));
        assert_eq!(
            check(&four),
            Err(AttributeFault::TooMany { count: 4, max: 3 })
        );
        // What is over a bound on the way but not in the end is none of our business.
        assert!(check(&[&four[..], &[Remove(name("a"))]].concat()).is_ok());
        let large = check(&[set("ab", &"x".repeat(19))]);
        assert_eq!(large, Err(AttributeFault::TooLarge { bytes: 21, max: 20 }));
        let text = check(&[set("a", "1"), Add(name("a"), 1)]);
        assert_eq!(text, Err(AttributeFault::NotAnInteger(name("a"))));
        let sum = check(&[Add(name("a"), i64::MAX), Add(name("a"), 1)]);
        assert_eq!(sum, Err(AttributeFault::Overflow(name("a"))));
        let many = check(&vec![Clear; 1025]);
        assert!(matches!(many, Err(AttributeFault::TooManyChanges { .. })));
    }

    #[test]
    fn what_is_just_within_every_bound_fits() {
        let set = |n: &str, text: &str| Set(name(n), text.into());
        let three = ["a", "b", "c"].map(|n| set(n, ""));
        assert_eq!(check(&three).unwrap().len(), 3);
        assert_eq!(check(&[set("ab", &"x".repeat(18))]).unwrap().len(), 1);
        assert_eq!(check(&vec![Clear; 1024]), Ok(Vec::new()));
    }

    #[test]
    fn a_list_out_of_order_or_with_a_name_twice_is_none() {
        let list = |names: &[&str]| names.iter().map(|n| (name(n), Value::Integer(1))).collect();
        let sorted = Attributes::from_sorted(list(&["a", "b"]));
        assert_eq!(sorted.map(|attributes| attributes.len()), Some(2));
        for names in [&["a", "a"], &["b", "a"]] {
            assert_eq!(Attributes::from_sorted(list(names)), None, "{names:?}");
        }
    }

    #[test]
    fn only_what_is_named_is_kept() {
        let policy = Policy::default();
        let both = [Set(name("a"), "1".into()), Set(name("b"), "2".into())];
        let both = Attributes::EMPTY.changed(&both, policy.sessions()).unwrap();
        assert_eq!(both.only(&[name("b"), name("c")]).len(), 1);
        assert_eq!(both.only(&[]), Attributes::EMPTY);
        assert_eq!((both.find("a"), both.find("c")), (Some(&"1".into()), None));
    }
}
