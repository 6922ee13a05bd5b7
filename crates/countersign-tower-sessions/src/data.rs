//! A record's data as a session's attributes: a key is an attribute, and its value the JSON text.
//!
//! Names of attributes have no blanks and are ASCII; what else a key has in it is written as `%`
//! and two hexadecimal digits for each byte, and so is `%`. A list shows an operator which keys a
//! session has, and how large their values are, without the values.
//!
//! Attributes that the host sets by itself, through the engine, are seen as JSON where they are a
//! text, a number or a truth; bytes are not seen, and are left alone.

use crate::fault::Fault;
use countersign::session::{ATTRIBUTE_NAME_MAX, JsonText};
use countersign::{AttributeChange, AttributeName, Attributes, Value};
use serde_json::Value as Json;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;

/// What a record holds.
pub(crate) type Data = HashMap<String, Json>;

/// What a request had loaded, or saved last: ascending by name, each name once. A copy shares the
/// values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known(Vec<(AttributeName, Value)>);

impl Known {
    /// What a session has.
    pub(crate) fn of(attributes: &Attributes) -> Self {
        let seen = attributes.iter().filter(|(_, value)| text(value).is_some());
        let seen = seen.map(|(name, value)| (name.clone(), value.clone()));
        Self(seen.collect())
    }

    /// What a record holds.
    pub(crate) fn written(data: &Data) -> Result<Self, Fault> {
        let mut known = Vec::with_capacity(data.len());
        for (key, value) in data {
            let text = serde_json::to_string(value);
            let text = text.map_err(|error| Fault::Encode(error.to_string()))?;
            known.push((name(key)?, Value::Json(JsonText::new(&text)?)));
        }
        known.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Self(known))
    }

    /// The same as a record's data.
    pub(crate) fn read(&self) -> Result<Data, Fault> {
        // A map of its own, whose hasher no other has: see `loads`.
        let mut data = Data::new();
        for (name, value) in &self.0 {
            let (Some(key), Some(text)) = (key(name), text(value)) else {
                continue;
            };
            let value = serde_json::from_str(&text);
            data.insert(
                key,
                value.map_err(|error| Fault::Decode(error.to_string()))?,
            );
        }
        Ok(data)
    }

    /// How many bytes it holds on to, about.
    pub(crate) fn bytes(&self) -> usize {
        let sizes = self.0.iter();
        sizes.fold(0, |sum: usize, (name, value)| {
            sum.saturating_add(name.as_str().len())
                .saturating_add(value.bytes())
        })
    }

    /// What makes this out of nothing.
    pub(crate) fn changes_to_nothing(&self) -> Vec<AttributeChange> {
        let all = self.0.iter();
        all.map(|(name, value)| AttributeChange::Set(name.clone(), value.clone()))
            .collect()
    }

    /// What makes this out of whatever is there: for a save of which nobody knows what it was
    /// made from.
    pub(crate) fn instead(&self, there: &Attributes) -> Vec<AttributeChange> {
        self.since(&Self::of(there), |_, _| true)
    }

    /// What was done to `loaded` to make this, and nothing else.
    pub(crate) fn changes_to(&self, loaded: &Self) -> Vec<AttributeChange> {
        self.since(loaded, |before, now| before != now)
    }

    fn since(
        &self,
        before: &Self,
        worth_setting: impl Fn(Option<Cow<'_, str>>, Option<Cow<'_, str>>) -> bool,
    ) -> Vec<AttributeChange> {
        let removed = before
            .0
            .iter()
            .filter(|(name, _)| self.find(name).is_none());
        let removed = removed.map(|(name, _)| AttributeChange::Remove(name.clone()));
        let set = self
            .0
            .iter()
            .filter(|(name, value)| worth_setting(before.find(name).and_then(text), text(value)));
        let set = set.map(|(name, value)| AttributeChange::Set(name.clone(), value.clone()));
        removed.chain(set).collect()
    }

    fn find(&self, name: &AttributeName) -> Option<&Value> {
        let place = self.0.binary_search_by(|(n, _)| n.cmp(name));
        self.0.get(place.ok()?).map(|(_, value)| value)
    }
}

/// A value as JSON; `None` for bytes.
fn text(value: &Value) -> Option<Cow<'_, str>> {
    Some(match value {
        Value::Json(json) => Cow::Borrowed(json.as_str()),
        Value::Text(text) => Cow::Owned(Json::from(&**text).to_string()),
        Value::Integer(number) => Cow::Owned(number.to_string()),
        Value::Boolean(yes) => Cow::Borrowed(if *yes { "true" } else { "false" }),
        Value::Bytes(_) => return None,
    })
}

/// The name of a key's attribute.
fn name(key: &str) -> Result<AttributeName, Fault> {
    let mut name = String::with_capacity(key.len());
    for byte in key.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            name.push(char::from(byte));
        } else {
            // A text takes whatever is written to it.
            let _ = write!(name, "%{byte:02x}");
        }
    }
    AttributeName::new(&name).map_err(|_| {
        Fault::Encode(format!(
            "a key of a session has 1 to {ATTRIBUTE_NAME_MAX} bytes, and each that is no \
             printable ASCII character counts for three; this one has {}",
            name.len()
        ))
    })
}

/// The key of an attribute's name, unless it is one that no key has.
fn key(name: &AttributeName) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.as_str().len());
    let mut rest = name.as_str().bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (high, low) = (rest.next()?, rest.next()?);
        let digits = [high, low];
        let digits = core::str::from_utf8(&digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
    }
    let key = String::from_utf8(bytes).ok()?;
    // One name for each key: another spelling is no key's.
    (self::name(&key).ok()? == *name).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn data<const N: usize>(pairs: [(&str, Json); N]) -> Data {
        pairs.map(|(key, value)| (key.to_owned(), value)).into()
    }

    fn known<const N: usize>(pairs: [(&str, Json); N]) -> Known {
        Known::written(&data(pairs)).unwrap()
    }

    fn shown(changes: &[AttributeChange]) -> Vec<String> {
        let shown = changes.iter().map(|change| match change {
            AttributeChange::Set(name, value) => format!("{name}={}", text(value).unwrap()),
            AttributeChange::Remove(name) => format!("-{name}"),
            other => format!("{other:?}"),
        });
        shown.collect()
    }

    #[test]
    fn whatever_json_a_record_holds_comes_back_the_same() {
        let all = data([
            ("number", json!(-42)),
            ("large", json!(u64::MAX)),
            ("fraction", json!(0.1 + 0.2)),
            ("tiny", json!(5e-324)),
            ("text", json!("\u{e9}\n\"")),
            ("list", json!([null, true, {"a": []}])),
            ("a key, 100% \u{e9}", json!({})),
            ("%41", json!(1)),
            ("A", json!(2)),
        ]);
        let known = Known::written(&all).unwrap();
        assert_eq!(known.read().unwrap(), all);
        assert!(known.bytes() > 100);
    }

    #[test]
    fn keys_that_are_too_long_and_values_that_are_too_deep_are_refused() {
        let refused = |key: &str, value: Json| {
            let written = Known::written(&data([(key, value)]));
            assert!(matches!(written, Err(Fault::Encode(_))), "{key}");
        };
        refused("", json!(1));
        refused(&"k".repeat(65), json!(1));
        refused(&"\u{e9}".repeat(11), json!(1));
        let mut deep = json!(1);
        for _ in 0..200 {
            deep = json!([deep]);
        }
        refused("deep", deep);
        assert!(Known::written(&data([(&"k".repeat(64), json!(1))])).is_ok());
    }

    #[test]
    fn names_that_no_key_has_are_not_seen() {
        for strange in ["%", "%4", "%4g", "%+1", "%41", "%C3%A9", "%ff"] {
            assert_eq!(
                key(&AttributeName::new(strange).unwrap()),
                None,
                "{strange}"
            );
        }
        assert_eq!(key(&name("100% \u{e9}").unwrap()).unwrap(), "100% \u{e9}");
    }

    #[test]
    fn only_what_was_changed_is_a_change() {
        let loaded = known([("a", json!(1)), ("b", json!(2)), ("c", json!(3))]);
        let saved = known([("a", json!(1)), ("b", json!(5)), ("d", json!(4))]);
        assert_eq!(shown(&saved.changes_to(&loaded)), ["-c", "b=5", "d=4"]);
        assert_eq!(shown(&loaded.changes_to(&loaded)), [""; 0]);
        assert_eq!(shown(&loaded.changes_to_nothing()), ["a=1", "b=2", "c=3"]);
    }

    #[test]
    fn what_the_host_keeps_by_itself_is_seen_as_json_and_bytes_are_left_alone() {
        let pair = |key: &str, value| (AttributeName::new(key).unwrap(), value);
        let host = [
            pair("n", Value::Integer(7)),
            pair("t", Value::from("x\"")),
            pair("y", Value::Boolean(true)),
        ];
        let host = Known(host.into());
        let expected = data([("n", json!(7)), ("t", json!("x\"")), ("y", json!(true))]);
        assert_eq!(host.read().unwrap(), expected);
        // Saved as they were loaded, they are not changed.
        let saved = Known::written(&expected).unwrap();
        assert_eq!(shown(&saved.changes_to(&host)), [""; 0]);
        assert_eq!(text(&Value::Bytes(b"x"[..].into())), None);
    }
}
