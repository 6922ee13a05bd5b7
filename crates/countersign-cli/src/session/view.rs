//! What is shown of a session.

use crate::out::{Row, Sheet};
use crate::view::Time;
use countersign::Value;
use countersign::session::Description;
use serde::Serialize;
use std::fmt::Write as _;

/// A session as it is listed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SessionView {
    selector: String,
    principal: Option<String>,
    created_at: Time,
    last_seen_at: Time,
    idle_timeout_s: u64,
    expires_at: Time,
    method: Option<&'static str>,
    series: Option<String>,
    attributes: Vec<AttributeView>,
}

#[derive(Clone, Debug, Serialize)]
struct AttributeView {
    name: String,
    kind: &'static str,
    bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<serde_json::Value>,
}

impl SessionView {
    /// With the values of its attributes only if they were asked for.
    pub(super) fn new(session: &Description, values: bool) -> Self {
        let attributes = session.attributes().map(|summary| {
            let name = summary.name.as_str();
            let value = session.value(name).filter(|_| values);
            AttributeView {
                name: name.to_owned(),
                kind: summary.kind.name(),
                bytes: summary.bytes,
                value: value.map(shown),
            }
        });
        let authentication = session.authentication;
        Self {
            selector: session.selector.to_string(),
            principal: session.owner.as_ref().map(ToString::to_string),
            created_at: Time(session.created_at),
            last_seen_at: Time(session.last_seen_at),
            idle_timeout_s: session.max_inactive_s(),
            expires_at: Time(session.expires_at),
            method: authentication.map(|last| last.method.name()),
            series: session.series().map(|series| series.to_string()),
            attributes: attributes.collect(),
        }
    }

    fn principal(&self) -> String {
        let nobody = || "-".to_owned();
        self.principal.clone().unwrap_or_else(nobody)
    }

    fn method(&self) -> String {
        self.method.unwrap_or("-").to_owned()
    }
}

/// A value; bytes as hex digits, JSON as the text that it is.
fn shown(value: &Value) -> serde_json::Value {
    match value {
        Value::Text(text) => (&**text).into(),
        Value::Integer(number) => (*number).into(),
        Value::Boolean(yes) => (*yes).into(),
        Value::Bytes(bytes) => {
            let mut digits = String::new();
            for byte in bytes.iter() {
                // A text takes whatever is written to it.
                let _ = write!(digits, "{byte:02x}");
            }
            digits.into()
        }
        Value::Json(json) => json.as_str().into(),
    }
}

/// A value as a person sees it: nothing in it reaches the terminal as a command.
fn escaped(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => format!("{text:?}"),
        value => value.to_string(),
    }
}

impl AttributeView {
    fn summary(&self) -> String {
        let about = format!("{}, {} bytes", self.kind, self.bytes);
        match &self.value {
            Some(value) => format!("{}: {about}: {}", self.name, escaped(value)),
            None => format!("{}: {about}", self.name),
        }
    }
}

impl Row for SessionView {
    const HEADINGS: &'static [&'static str] = &[
        "SELECTOR",
        "PRINCIPAL",
        "METHOD",
        "CREATED",
        "LAST SEEN",
        "EXPIRES",
        "ATTRIBUTES",
    ];

    fn cells(&self) -> Vec<String> {
        let attribute = |attribute: &AttributeView| match &attribute.value {
            Some(value) => format!("{}={}", attribute.name, escaped(value)),
            None => attribute.name.clone(),
        };
        let attributes: Vec<_> = self.attributes.iter().map(attribute).collect();
        vec![
            self.selector.clone(),
            self.principal(),
            self.method(),
            self.created_at.to_string(),
            self.last_seen_at.to_string(),
            self.expires_at.to_string(),
            attributes.join(" "),
        ]
    }
}

impl Sheet for SessionView {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("selector", self.selector.clone()),
            ("principal", self.principal()),
            ("method", self.method()),
            ("created", self.created_at.to_string()),
            ("last seen", self.last_seen_at.to_string()),
            ("idle timeout", format!("{} s", self.idle_timeout_s)),
            ("expires", self.expires_at.to_string()),
        ];
        lines.extend(self.series.iter().map(|series| ("series", series.clone())));
        let attributes = self.attributes.iter();
        lines.extend(attributes.map(|attribute| ("attribute", attribute.summary())));
        lines
    }
}
